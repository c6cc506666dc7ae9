//! Each demand on a KeyPackage, broken alone, by hand: refused with its own code (ADM-2). `docs/admission.md` lists the demands.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod adder;
mod client;

use adder::Adder;
use client::{Client, builder, bytes, wrapped};
use kp_core::key_package::{CredentialType, ExtensionType, ProtocolVersion};
use kp_core::protocol::{KeyFault, LeafFault, PublicKeyField, Refusal};
use kp_core::server::{Admission, Admitted, Uploader};
use kp_core::{Ciphersuite, Timestamp};
use kp_openmls::OpenMlsAdmission;
use kp_test_support::demands::{Change, DEMANDS, NOT_REFUSED};
use kp_test_support::draft::{Draft, EXTENSIONS, VERSIONS, compressed, opaque};
use kp_test_support::judged::{self, Judged, Verdict};
use openmls::prelude::KeyPackage;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto as _;
use rstest::rstest;

/// A moment in the lifetime of a package that was made now.
fn moment(package: &KeyPackage) -> Timestamp {
    let not_before = i64::try_from(package.life_time().not_before()).unwrap();
    Timestamp::try_from(not_before).unwrap().plus(3_600)
}

/// What the admission says of a package of Bob's with this change, signed again by Bob; and what OpenMLS says, of the add and
/// of the commit after it.
fn judge(suite: u16, change: Change) -> Judged {
    let bob = Client::new("bob", Ciphersuite(suite));
    let package = bob.build(builder());
    let mut draft = Draft::of(&bytes(&package));
    change(&mut draft);
    let uploaded = draft.signed(|content| bob.sign(content));
    let mut alice = Adder::new(bob.suite, draft.credential.0);
    let judged = Judged {
        verdict: admit(&uploaded, moment(&package)),
        added: alice.add(&uploaded),
        committed: alice.add_and_commit(&uploaded),
    };
    judged.checked(suite, "OpenMLS")
}

fn admit(uploaded: &[u8], now: Timestamp) -> Verdict {
    let answer = OpenMlsAdmission::new().admit(uploaded, &Uploader::unchecked(), now);
    answer.map(|_| ())
}

#[test]
fn each_demand_has_its_refusal() {
    judged::each_demand_has_its_refusal("OpenMLS", judge);
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
fn what_is_not_refused(#[values(1, 2, 3)] suite: u16) {
    for (name, change) in NOT_REFUSED {
        let Judged { verdict, added, .. } = judge(suite, *change);
        assert_eq!((verdict, added), (Ok(()), Ok(())), "{name}");
    }
}

/// RFC 9420 has GREASE ignored; OpenMLS cannot add who has such an extension.
#[rstest]
#[case::leaf_grease_extension(|it: &mut Draft| {
    it.leaf_extensions.push((0x0A0A, vec![7]));
    it.capabilities[EXTENSIONS].push(0x0A0A);
})]
#[case::package_grease_extension(|it: &mut Draft| {
    it.extensions.push((0x0A0A, vec![7]));
    it.capabilities[EXTENSIONS].push(0x0A0A);
})]
#[case::package_grease_not_listed(|it: &mut Draft| it.extensions.push((0x0A0A, vec![])))]
fn grease(#[case] change: Change, #[values(1, 2, 3)] suite: u16) {
    let Judged { verdict, added, .. } = judge(suite, change);
    let refusal = Refusal::Other("OpenMLS cannot add a KeyPackage with a GREASE extension");
    assert_eq!(verdict, Err(refusal));
    assert!(added.is_err());
}

/// What is wrong with the bytes around the fields, or with a signature.
#[rstest]
fn a_signature_is_of_its_label_its_key_and_its_bytes(#[values(1, 2, 3)] suite: u16) {
    let (bob, eve) = (
        Client::new("bob", Ciphersuite(suite)),
        Client::new("eve", Ciphersuite(suite)),
    );
    let package = bob.build(builder());
    let (draft, now) = (Draft::of(&bytes(&package)), moment(&package));
    let bad = Err(Refusal::BadSignature);
    assert_eq!(admit(&draft.signed(|it| bob.sign(it)), now), Ok(()));
    assert_eq!(admit(&draft.signed(|it| eve.sign(it)), now), bad);

    // The outer signature by somebody else, and the inner one.
    let (by_bob, by_eve) = (draft.signed(|it| bob.sign(it)), draft.signed(|it| eve.sign(it)));
    let outer = |bytes: &[u8]| {
        let read = kp_core::key_package::UnverifiedKeyPackage::read(bytes).unwrap();
        (read.signed().content.to_vec(), read.signed().signature.to_vec())
    };
    let ((bobs, _), (eves, signature)) = (outer(&by_bob), outer(&by_eve));
    assert_eq!(admit(&[bobs, opaque(&signature)].concat(), now), bad);
    let by_bob_over_eves = draft.signed_with(
        |it| bob.sign(it),
        |label, tbs| {
            if label == "KeyPackageTBS" {
                *tbs = eves.clone();
            }
        },
    );
    assert_eq!(admit(&by_bob_over_eves, now), bad);
}

#[test]
fn bytes_that_are_no_key_package_are_malformed() {
    let bob = Client::new("bob", Ciphersuite(1));
    let package = bob.build(builder());
    let (draft, now, malformed) = (Draft::of(&bytes(&package)), moment(&package), Err(Refusal::Malformed));
    let trailing = [draft.signed(|it| bob.sign(it)), vec![0]].concat();
    assert_eq!(admit(&trailing, now), malformed);
    let long_length = draft.signed_with(
        |it| bob.sign(it),
        |label, tbs| {
            if label == "LeafNodeTBS" {
                tbs.splice(0..1, [0x40, 32]);
            }
        },
    );
    assert_eq!(admit(&long_length, now), malformed);
    let cut_list = draft.signed_with(
        |it| bob.sign(it),
        |label, tbs| {
            if label == "KeyPackageTBS" {
                tbs.pop();
                tbs.extend([2, 0, 10]);
            }
        },
    );
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
    let mut draft = Draft::of(&bytes(&package));
    draft.version = 2;
    let other = [&[0, 1, 0, 5], &*draft.signed(|it| bob.sign(it))].concat();
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
    let mut draft = Draft::of(&bytes(&package));
    let by_alice = |draft: &Draft| {
        let answer = OpenMlsAdmission::new().admit(&draft.signed(|it| bob.sign(it)), &Uploader::identity("alice"), now);
        answer.map(|_| ())
    };
    draft.init_key = vec![0; 32];
    draft.capabilities[VERSIONS] = vec![];
    assert_eq!(by_alice(&draft), Err(Refusal::CredentialMismatch));
    assert_eq!(
        admit(&draft.signed(|it| bob.sign(it)), now),
        Err(Refusal::InvalidLeaf(LeafFault::VersionNotListed(ProtocolVersion(1))))
    );
    draft.capabilities[VERSIONS] = vec![1];
    let by_eve = draft.signed(|it| Client::new("eve", Ciphersuite(1)).sign(it));
    assert_eq!(admit(&by_eve, now), Err(Refusal::BadSignature));
    assert_eq!(
        admit(&draft.signed(|it| bob.sign(it)), now),
        Err(Refusal::InvalidKey(KeyFault::Unusable(PublicKeyField::InitKey)))
    );
}

/// SAVE-9, RES-3: signed anew over the same init key, a package has another ref and the same fingerprint. Its support is what
/// the capabilities list, without GREASE and defaults.
#[test]
fn a_package_signed_anew_keeps_the_fingerprint_of_its_init_key() {
    for suite in [1, 2, 3] {
        let bob = Client::new("bob", Ciphersuite(suite));
        let package = bob.build(builder());
        let admitted = |draft: &Draft| {
            let uploaded = draft.signed(|it| bob.sign(it));
            let answer = OpenMlsAdmission::new().admit(&uploaded, &Uploader::unchecked(), moment(&package));
            answer.unwrap()
        };
        let mut draft = Draft::of(&bytes(&package));
        let first = admitted(&draft);
        draft.capabilities[EXTENSIONS].extend([0xF002, 0x0A0A, 1, 0xF001, 0xF002]);
        let anew = admitted(&draft);
        let named = |admitted: &Admitted| admitted.package.info.key_package_ref.clone();
        assert_ne!(named(&first), named(&anew));
        assert_eq!(first.fingerprint, anew.fingerprint);
        let other = admitted(&Draft::of(&bytes(&bob.build(builder()))));
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
    let mut cases = names("#[case::");
    cases.extend(DEMANDS.iter().map(|demand| demand.name.to_owned()));
    cases.extend(NOT_REFUSED.iter().map(|(name, _)| (*name).to_owned()));
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
