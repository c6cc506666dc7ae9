//! Each demand on a KeyPackage, broken alone, by hand: refused with its own code (ADM-2). `docs/admission.md` lists the demands.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod adder;
mod client;
mod draft;

use adder::Adder;
use client::{Client, builder, bytes, wrapped};
use draft::{CIPHERSUITES, CREDENTIALS, Draft, EXTENSIONS, PROPOSALS, VERSIONS, certificate_of, opaque};
use kp_core::key_package::{CredentialType, ExtensionType, ProtocolVersion};
use kp_core::protocol::{KeyFault, LeafFault, PublicKeyField, Refusal};
use kp_core::server::{Admission, Admitted, Uploader};
use kp_core::{Ciphersuite, Timestamp};
use kp_openmls::OpenMlsAdmission;
use openmls::prelude::KeyPackage;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto as _;
use rstest::rstest;

type Verdict = Result<(), Refusal>;
type Change = fn(&mut Draft);

/// A moment in the lifetime of a package that was made now.
fn moment(package: &KeyPackage) -> Timestamp {
    let not_before = i64::try_from(package.life_time().not_before()).unwrap();
    Timestamp::try_from(not_before).unwrap().plus(3_600)
}

/// What the admission says of a package of Bob's with this change, signed again by Bob; and what OpenMLS's add says.
fn judge(suite: u16, change: Change) -> (Verdict, Result<(), String>) {
    let bob = Client::new("bob", Ciphersuite(suite));
    let package = bob.build(builder());
    let mut draft = Draft::of(&package);
    change(&mut draft);
    let uploaded = draft.signed(&bob);
    let verdict = admit(&uploaded, moment(&package));
    let added = Adder::new(bob.suite, draft.credential.0).add_and_commit(&uploaded);
    println!("{suite:#06x}: {verdict:?}; OpenMLS: {added:?}");
    assert!(
        verdict.is_err() || added.is_ok(),
        "admitted, and cannot be added: {added:?}"
    );
    (verdict, added)
}

fn admit(uploaded: &[u8], now: Timestamp) -> Verdict {
    let answer = OpenMlsAdmission::new().admit(uploaded, &Uploader::unchecked(), now);
    answer.map(|_| ())
}

const fn leaf(fault: LeafFault) -> Verdict {
    Err(Refusal::InvalidLeaf(fault))
}

const fn key(fault: KeyFault) -> Verdict {
    Err(Refusal::InvalidKey(fault))
}

const fn length(key: PublicKeyField, found: usize, expected: usize) -> Verdict {
    Err(Refusal::InvalidKey(KeyFault::Length { key, found, expected }))
}

const UNLISTED: ExtensionType = ExtensionType(0xF999);
const INIT: PublicKeyField = PublicKeyField::InitKey;
const ENCRYPTION: PublicKeyField = PublicKeyField::EncryptionKey;
const SIGNATURE: PublicKeyField = PublicKeyField::SignatureKey;

#[rstest]
#[case::version(|it: &mut Draft| it.version = 2, Err(Refusal::UnsupportedVersion))]
#[case::unknown_ciphersuite(|it: &mut Draft| it.ciphersuite = 0xF00D, Err(Refusal::UnsupportedCiphersuite))]
#[case::source_update(|it: &mut Draft| it.source = 2, leaf(LeafFault::Source(2)))]
#[case::source_commit(|it: &mut Draft| it.source = 3, leaf(LeafFault::Source(3)))]
#[case::source_reserved(|it: &mut Draft| it.source = 0, Err(Refusal::Malformed))]
#[case::lifetime_reversed(|it: &mut Draft| it.lifetime = (it.lifetime.1, it.lifetime.0), Err(Refusal::Malformed))]
#[case::lifetime_over(|it: &mut Draft| it.lifetime.1 = it.lifetime.0 + 1, Err(Refusal::Expired))]
#[case::lifetime_ahead(|it: &mut Draft| it.lifetime.0 += 9_000, Err(Refusal::NotYetValid))]
#[case::lifetime_wide(|it: &mut Draft| it.lifetime.1 += 1, Err(Refusal::LifetimeTooWide))]
#[case::version_not_listed(|it: &mut Draft| it.capabilities[VERSIONS] = vec![2], leaf(LeafFault::VersionNotListed(ProtocolVersion(1))))]
#[case::no_version_listed(|it: &mut Draft| it.capabilities[VERSIONS] = vec![], leaf(LeafFault::VersionNotListed(ProtocolVersion(1))))]
#[case::credential_not_listed(|it: &mut Draft| it.capabilities[CREDENTIALS] = vec![2], leaf(LeafFault::CredentialNotListed(CredentialType(1))))]
#[case::no_credential_listed(|it: &mut Draft| it.capabilities[CREDENTIALS] = vec![], leaf(LeafFault::CredentialNotListed(CredentialType(1))))]
#[case::credential_reserved(|it: &mut Draft| {
    it.credential.0 = 0;
    it.capabilities[CREDENTIALS] = vec![0, 1];
}, leaf(LeafFault::ReservedCredential(CredentialType(0))))]
#[case::credential_grease(|it: &mut Draft| {
    it.credential.0 = 0x0A0A;
    it.capabilities[CREDENTIALS] = vec![0x0A0A, 1];
}, leaf(LeafFault::ReservedCredential(CredentialType(0x0A0A))))]
#[case::no_certificate(|it: &mut Draft| {
    it.credential = (2, vec![]);
    it.capabilities[CREDENTIALS] = vec![2];
}, leaf(LeafFault::UnreadableCertificate))]
#[case::garbage_for_a_certificate(|it: &mut Draft| {
    it.credential = (2, opaque(b"garbage"));
    it.capabilities[CREDENTIALS] = vec![2];
}, leaf(LeafFault::UnreadableCertificate))]
#[case::certificate_of_another_key(|it: &mut Draft| {
    it.credential = (2, certificate_of(&it.encryption_key));
    it.capabilities[CREDENTIALS] = vec![2];
}, leaf(LeafFault::CertificateOfAnotherKey))]
#[case::leaf_extension_not_listed(|it: &mut Draft| it.leaf_extensions.push((0xF999, b"abc".to_vec())), leaf(LeafFault::ExtensionNotListed(UNLISTED)))]
#[case::package_extension_not_listed(|it: &mut Draft| it.extensions.push((0xF999, b"abc".to_vec())), leaf(LeafFault::ExtensionNotListed(UNLISTED)))]
#[case::last_resort_not_listed(|it: &mut Draft| {
    it.extensions.push((10, vec![]));
    it.capabilities[EXTENSIONS] = vec![];
}, leaf(LeafFault::ExtensionNotListed(ExtensionType::LAST_RESORT)))]
#[case::leaf_grease_not_listed(|it: &mut Draft| it.leaf_extensions.push((0x0A0A, vec![])), leaf(LeafFault::ExtensionNotListed(ExtensionType(0x0A0A))))]
#[case::package_grease_not_listed(|it: &mut Draft| it.extensions.push((0x0A0A, vec![])), Err(Refusal::Other("OpenMLS cannot add a KeyPackage with a GREASE extension")))]
#[case::leaf_extension_twice(|it: &mut Draft| {
    it.leaf_extensions.extend([(0xF123, vec![]), (0xF123, vec![1])]);
    it.capabilities[EXTENSIONS].push(0xF123);
}, leaf(LeafFault::ExtensionTwice(ExtensionType(0xF123))))]
#[case::package_extension_twice(|it: &mut Draft| it.extensions.extend([(10, vec![]), (10, vec![])]), leaf(LeafFault::ExtensionTwice(ExtensionType(10))))]
#[case::leaf_ratchet_tree(|it: &mut Draft| it.leaf_extensions.push((2, vec![0])), leaf(LeafFault::NotForLeaf(ExtensionType(2))))]
#[case::leaf_required_capabilities(|it: &mut Draft| it.leaf_extensions.push((3, vec![0; 3])), leaf(LeafFault::NotForLeaf(ExtensionType(3))))]
#[case::leaf_external_pub(|it: &mut Draft| it.leaf_extensions.push((4, vec![0])), leaf(LeafFault::NotForLeaf(ExtensionType(4))))]
#[case::leaf_external_senders(|it: &mut Draft| it.leaf_extensions.push((5, vec![0])), leaf(LeafFault::NotForLeaf(ExtensionType(5))))]
#[case::leaf_last_resort(|it: &mut Draft| it.leaf_extensions.push((10, vec![])), leaf(LeafFault::NotForLeaf(ExtensionType(10))))]
#[case::package_application_id(|it: &mut Draft| it.extensions.push((1, opaque(b"id"))), leaf(LeafFault::NotForKeyPackage(ExtensionType(1))))]
#[case::package_ratchet_tree(|it: &mut Draft| it.extensions.push((2, vec![0])), leaf(LeafFault::NotForKeyPackage(ExtensionType(2))))]
#[case::package_required_capabilities(|it: &mut Draft| it.extensions.push((3, vec![0; 3])), leaf(LeafFault::NotForKeyPackage(ExtensionType(3))))]
#[case::package_external_pub(|it: &mut Draft| it.extensions.push((4, vec![0])), leaf(LeafFault::NotForKeyPackage(ExtensionType(4))))]
#[case::package_external_senders(|it: &mut Draft| it.extensions.push((5, vec![0])), leaf(LeafFault::NotForKeyPackage(ExtensionType(5))))]
#[case::application_id_of_no_form(|it: &mut Draft| it.leaf_extensions.push((1, vec![9])), leaf(LeafFault::ExtensionContent(ExtensionType(1))))]
#[case::last_resort_with_content(|it: &mut Draft| it.extensions.push((10, vec![0])), leaf(LeafFault::ExtensionContent(ExtensionType(10))))]
#[case::same_keys(|it: &mut Draft| it.init_key = it.encryption_key.clone(), key(KeyFault::SameKeys))]
#[case::leaf_grease_extension(|it: &mut Draft| {
    it.leaf_extensions.push((0x0A0A, vec![7]));
    it.capabilities[EXTENSIONS].push(0x0A0A);
}, Err(Refusal::Other("OpenMLS cannot add a KeyPackage with a GREASE extension")))]
#[case::package_grease_extension(|it: &mut Draft| {
    it.extensions.push((0x0A0A, vec![7]));
    it.capabilities[EXTENSIONS].push(0x0A0A);
}, Err(Refusal::Other("OpenMLS cannot add a KeyPackage with a GREASE extension")))]
fn a_demand_of_every_ciphersuite(#[case] change: Change, #[case] answer: Verdict, #[values(1, 2, 3)] suite: u16) {
    assert_eq!(judge(suite, change).0, answer);
}

#[rstest]
#[case::ciphersuite_not_listed(1, |it: &mut Draft| it.capabilities[CIPHERSUITES] = vec![2, 3], leaf(LeafFault::CiphersuiteNotListed(Ciphersuite(1))))]
#[case::no_ciphersuite_listed(2, |it: &mut Draft| it.capabilities[CIPHERSUITES] = vec![], leaf(LeafFault::CiphersuiteNotListed(Ciphersuite(2))))]
#[case::init_key_empty(1, |it: &mut Draft| it.init_key = vec![], length(INIT, 0, 32))]
#[case::init_key_short(1, |it: &mut Draft| { it.init_key.pop(); }, length(INIT, 31, 32))]
#[case::init_key_long(1, |it: &mut Draft| it.init_key.push(0), length(INIT, 33, 32))]
#[case::init_key_of_low_order(1, |it: &mut Draft| it.init_key = vec![0; 32], key(KeyFault::Unusable(INIT)))]
#[case::init_key_of_order_2(3, |it: &mut Draft| it.init_key = [vec![1], vec![0; 31]].concat(), key(KeyFault::Unusable(INIT)))]
#[case::init_key_of_another_kem(2, |it: &mut Draft| it.init_key = vec![9; 32], length(INIT, 32, 65))]
#[case::init_key_off_the_curve(2, |it: &mut Draft| it.init_key[64] ^= 1, key(KeyFault::Unusable(INIT)))]
#[case::init_key_compressed(2, |it: &mut Draft| it.init_key = compressed(&it.init_key), length(INIT, 33, 65))]
#[case::init_key_hybrid(2, |it: &mut Draft| it.init_key[0] = 6 | it.init_key[64] & 1, key(KeyFault::Unusable(INIT)))]
#[case::encryption_key_of_one_byte(1, |it: &mut Draft| it.encryption_key = vec![9], length(ENCRYPTION, 1, 32))]
#[case::encryption_key_of_low_order(1, |it: &mut Draft| it.encryption_key = vec![0; 32], key(KeyFault::Unusable(ENCRYPTION)))]
#[case::encryption_key_off_the_curve(2, |it: &mut Draft| it.encryption_key[64] ^= 1, key(KeyFault::Unusable(ENCRYPTION)))]
#[case::encryption_key_compressed(2, |it: &mut Draft| it.encryption_key = compressed(&it.encryption_key), length(ENCRYPTION, 33, 65))]
#[case::signature_key_long(1, |it: &mut Draft| it.signature_key.push(0), length(SIGNATURE, 33, 32))]
#[case::signature_key_compressed(2, |it: &mut Draft| it.signature_key = compressed(&it.signature_key), length(SIGNATURE, 33, 65))]
#[case::signature_key_off_the_curve(2, |it: &mut Draft| it.signature_key[64] ^= 1, Err(Refusal::BadSignature))]
#[case::signature_key_of_small_order(1, |it: &mut Draft| it.signature_key = vec![0; 32], Err(Refusal::BadSignature))]
fn a_demand_of_one_ciphersuite(#[case] suite: u16, #[case] change: Change, #[case] answer: Verdict) {
    assert_eq!(judge(suite, change).0, answer);
}

/// The other form of a NIST point, which crypto providers read, and MLS does not have.
fn compressed(point: &[u8]) -> Vec<u8> {
    [&[2 | point[64] & 1], &point[1..33]].concat()
}

/// Why the length counts, although both forms are a point: sealed to the one, and opened by the owner of the other.
#[test]
fn nobody_opens_what_is_sealed_to_a_compressed_key() {
    let crypto = RustCrypto::default();
    let config = || Client::new("bob", Ciphersuite(2)).suite.hpke_config();
    let pair = crypto.derive_hpke_keypair(config(), &[7; 32]).unwrap();
    for (key, opens) in [(pair.public.clone(), true), (compressed(&pair.public), false)] {
        let sealed = crypto.hpke_seal(config(), &key, b"", b"", b"a secret").unwrap();
        let opened = crypto.hpke_open(config(), &sealed, &pair.private, b"", b"");
        assert_eq!(opened.is_ok(), opens);
    }
}

/// What a client must not do, or need not, and no validation refuses.
#[rstest]
#[case::as_it_was(|_: &mut Draft| {})]
#[case::last_resort(|it: &mut Draft| it.extensions.push((10, vec![])))]
#[case::default_types_listed(|it: &mut Draft| {
    it.capabilities[EXTENSIONS].extend(1..=5);
    it.capabilities[PROPOSALS].extend(1..=7);
})]
#[case::grease_in_the_capabilities(|it: &mut Draft| it.capabilities[1..].iter_mut().for_each(|list| list.insert(0, 0x0A0A)))]
#[case::unknown_in_the_capabilities(|it: &mut Draft| it.capabilities.iter_mut().for_each(|list| list.push(0xF777)))]
#[case::twice_in_the_capabilities(|it: &mut Draft| it.capabilities.iter_mut().for_each(|list| list.extend(list.clone())))]
#[case::unknown_extensions(|it: &mut Draft| {
    it.leaf_extensions.extend([(0xF123, vec![7; 90]), (0, vec![]), (0xFAFA, vec![1])]);
    it.extensions = it.leaf_extensions.clone();
    it.capabilities[EXTENSIONS].extend([0xF123, 0, 0xFAFA]);
})]
#[case::application_id(|it: &mut Draft| it.leaf_extensions.push((1, opaque(b"an id"))))]
#[case::an_empty_identity(|it: &mut Draft| it.credential.1 = vec![])]
#[case::x509(|it: &mut Draft| {
    it.credential = (2, certificate_of(&it.signature_key));
    it.capabilities[CREDENTIALS] = vec![1, 2];
})]
#[case::a_credential_of_ones_own(|it: &mut Draft| {
    it.credential = (0xF123, b"did:plc:bob#phone".to_vec());
    it.capabilities[CREDENTIALS] = vec![0xF123];
})]
fn what_is_not_refused(#[case] change: Change, #[values(1, 2, 3)] suite: u16) {
    assert_eq!(judge(suite, change), (Ok(()), Ok(())));
}

/// What is wrong with the bytes around the fields, or with a signature.
#[rstest]
fn a_signature_is_of_its_label_its_key_and_its_bytes(#[values(1, 2, 3)] suite: u16) {
    let (bob, eve) = (
        Client::new("bob", Ciphersuite(suite)),
        Client::new("eve", Ciphersuite(suite)),
    );
    let package = bob.build(builder());
    let (draft, now) = (Draft::of(&package), moment(&package));
    let bad = Err(Refusal::BadSignature);
    assert_eq!(admit(&draft.signed(&bob), now), Ok(()));
    assert_eq!(admit(&draft.signed(&eve), now), bad);

    // The outer signature by somebody else, and the inner one.
    let (by_bob, by_eve) = (draft.signed(&bob), draft.signed(&eve));
    let outer = |bytes: &[u8]| {
        let read = kp_core::key_package::UnverifiedKeyPackage::read(bytes).unwrap();
        (read.signed().content.to_vec(), read.signed().signature.to_vec())
    };
    let ((bobs, _), (eves, signature)) = (outer(&by_bob), outer(&by_eve));
    assert_eq!(admit(&[bobs, opaque(&signature)].concat(), now), bad);
    let by_bob_over_eves = draft.signed_with(&bob.signer, |label, tbs| {
        if label == "KeyPackageTBS" {
            *tbs = eves.clone();
        }
    });
    assert_eq!(admit(&by_bob_over_eves, now), bad);
}

#[test]
fn bytes_that_are_no_key_package_are_malformed() {
    let bob = Client::new("bob", Ciphersuite(1));
    let package = bob.build(builder());
    let (draft, now, malformed) = (Draft::of(&package), moment(&package), Err(Refusal::Malformed));
    let trailing = [draft.signed(&bob), vec![0]].concat();
    assert_eq!(admit(&trailing, now), malformed);
    let long_length = draft.signed_with(&bob.signer, |label, tbs| {
        if label == "LeafNodeTBS" {
            tbs.splice(0..1, [0x40, 32]);
        }
    });
    assert_eq!(admit(&long_length, now), malformed);
    let cut_list = draft.signed_with(&bob.signer, |label, tbs| {
        if label == "KeyPackageTBS" {
            tbs.pop();
            tbs.extend([2, 0, 10]);
        }
    });
    assert_eq!(admit(&cut_list, now), malformed);
    let twice_wrapped = [&[0, 1, 0, 5], &*wrapped(&package)].concat();
    assert_eq!(admit(&twice_wrapped, now), malformed);
    assert_eq!(admit(&vec![0; 33_000], now), Err(Refusal::TooLarge));
}

/// RFC 9420 §10: the version of an `MLSMessage` is the version of the KeyPackage within.
#[test]
fn a_wrapped_package_has_the_version_of_its_message() {
    let bob = Client::new("bob", Ciphersuite(1));
    let package = bob.build(builder());
    let mut draft = Draft::of(&package);
    draft.version = 2;
    let other = [&[0, 1, 0, 5], &*draft.signed(&bob)].concat();
    assert_eq!(admit(&other, moment(&package)), Err(Refusal::UnsupportedVersion));
    assert_eq!(admit(&wrapped(&package), moment(&package)), Ok(()));
    assert_eq!(admit(&bytes(&package), moment(&package)), Ok(()));
}

/// A cheap check goes before a dear one: who cannot sign makes nobody encapsulate, and a stranger's fault is not looked for.
#[test]
fn the_first_fault_names_the_refusal() {
    let bob = Client::new("bob", Ciphersuite(1));
    let package = bob.build(builder());
    let now = moment(&package);
    let mut draft = Draft::of(&package);
    let by_alice = |draft: &Draft| {
        let answer = OpenMlsAdmission::new().admit(&draft.signed(&bob), &Uploader::identity("alice"), now);
        answer.map(|_| ())
    };
    draft.init_key = vec![0; 32];
    draft.capabilities[VERSIONS] = vec![];
    assert_eq!(by_alice(&draft), Err(Refusal::CredentialMismatch));
    assert_eq!(
        admit(&draft.signed(&bob), now),
        leaf(LeafFault::VersionNotListed(ProtocolVersion(1)))
    );
    draft.capabilities[VERSIONS] = vec![1];
    let by_eve = draft.signed(&Client::new("eve", Ciphersuite(1)));
    assert_eq!(admit(&by_eve, now), Err(Refusal::BadSignature));
    assert_eq!(admit(&draft.signed(&bob), now), key(KeyFault::Unusable(INIT)));
}

/// SAVE-9, RES-3: signed anew over the same init key, a package has another ref and the same fingerprint. Its support is what
/// the capabilities list, without GREASE and defaults.
#[test]
fn a_package_signed_anew_keeps_the_fingerprint_of_its_init_key() {
    for suite in [1, 2, 3] {
        let bob = Client::new("bob", Ciphersuite(suite));
        let package = bob.build(builder());
        let admitted = |draft: &Draft| {
            let answer = OpenMlsAdmission::new().admit(&draft.signed(&bob), &Uploader::unchecked(), moment(&package));
            answer.unwrap()
        };
        let mut draft = Draft::of(&package);
        let first = admitted(&draft);
        draft.capabilities[EXTENSIONS].extend([0xF002, 0x0A0A, 1, 0xF001, 0xF002]);
        let anew = admitted(&draft);
        let named = |admitted: &Admitted| admitted.package.info.key_package_ref.clone();
        assert_ne!(named(&first), named(&anew));
        assert_eq!(first.fingerprint, anew.fingerprint);
        let other = admitted(&Draft::of(&bob.build(builder())));
        assert_ne!(first.fingerprint, other.fingerprint);
        let (few, more) = (first.support.unwrap(), anew.support.unwrap());
        let added = [ExtensionType(0xF001), ExtensionType(0xF002)];
        assert!(more.extensions().eq(few.extensions().chain(added)), "{few:?}, {more:?}");
        assert!(more.credentials().eq([CredentialType::BASIC]));
    }
}

/// The page and the cases name each other.
#[test]
fn every_case_is_in_the_docs_and_every_name_there_is_a_case() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/admission.md")).unwrap();
    let source = include_str!("demands.rs");
    let names = |begin: &'static str| {
        let parts = source.split(begin).skip(1);
        let word = |part: &str| {
            let end = part.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
            part[..end.unwrap_or_default()].to_owned()
        };
        parts.map(word).filter(|name| !name.is_empty()).collect::<Vec<_>>()
    };
    let cases = names("#[case::");
    for case in cases
        .iter()
        .filter(|case| !["as_it_was", "last_resort", "application_id", "an_empty_identity"].contains(&case.as_str()))
    {
        assert!(
            page.contains(&format!("`{case}`")),
            "{case} is not in docs/admission.md"
        );
    }
    let functions = names("\nfn ");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(" §"))
        .count();
    assert!(rows > 30, "{rows} rows");
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains('§')) {
        let tests = row.split('|').nth(5).unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            let is_there = cases.iter().chain(&functions).any(|it| it == name);
            assert!(is_there, "{name} is no test");
        }
    }
}
