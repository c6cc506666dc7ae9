//! Reads KeyPackages that were made by hand: right ones, wrong ones, and random mutations of both (ADM-1, ADM-3).

mod draft;
mod mutations;
mod policy;

use kp_core::Ciphersuite;
use kp_core::key_package::{
    CredentialType, ExtensionType, ProposalType, ProtocolVersion, UnreadableKeyPackage, UnverifiedKeyPackage,
};
use kp_core::protocol::{KeyFault, LeafFault, Refusal};
use rstest::rstest;

use crate::draft::{Draft, opaque};

/// A certificate that OpenSSL made for an Ed25519 key, and the key.
const CERTIFICATE: &str = "308201303081e3a0030201020214177d8def56e8f0fb196c3043edc72c37a3721ec4300506032b6570300e310c300a06035504030c0362\
6f62301e170d3236313132383038353333365a170d3236313232383038353333365a300e310c300a06035504030c03626f62302a300506\
032b65700321000a6b055501af3a6bc11deb9802eb7f3fa25ea5017aa65002c16aaba676ad8868a3533051301d0603551d0e0416041493\
fc9be9e690585de981cce357a512c01a5e42cb301f0603551d2304183016801493fc9be9e690585de981cce357a512c01a5e42cb300f06\
03551d130101ff040530030101ff300506032b657003410040a4ef4b6f360d43962f33c8aa5059f9a87b157078d6ce9b2eac102053d39e\
283c8707b61fa0075d07cc347bd3e124c4b08579b349daeb1695a8aecc1add970f";
const CERTIFIED: &str = "0a6b055501af3a6bc11deb9802eb7f3fa25ea5017aa65002c16aaba676ad8868";

fn decode(text: &str) -> Vec<u8> {
    let digits = text
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    digits
        .map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal"))
        .collect()
}

fn wrapped(bare: &[u8]) -> Vec<u8> {
    [&[0, 1, 0, 5], bare].concat()
}

fn read(bytes: &[u8]) -> Result<UnverifiedKeyPackage<'_>, UnreadableKeyPackage> {
    UnverifiedKeyPackage::read(bytes)
}

/// What an admission without cryptography says.
fn check(draft: &Draft) -> Result<(), Refusal> {
    UnverifiedKeyPackage::read(&draft.bytes())?.check()
}

#[test]
fn every_field_is_read_bare_and_wrapped() {
    let draft = Draft::new();
    let bare = draft.bytes();
    for uploaded in [bare.clone(), wrapped(&bare)] {
        let package = read(&uploaded).expect("a KeyPackage");
        assert_eq!(package.bytes(), bare);
        assert_eq!(package.version(), ProtocolVersion::MLS10);
        assert_eq!(package.ciphersuite(), Ciphersuite(2));
        assert_eq!(package.init_key(), draft.init_key);
        assert_eq!(package.signed().content, draft.tbs());
        assert_eq!(package.signed().signature, draft.signature);
        assert!(package.is_last_resort());
        let kinds = package.extensions().iter().map(|extension| extension.extension_type.0);
        assert_eq!(kinds.collect::<Vec<_>>(), [0x000A, 0x0A0A]);

        let leaf = package.leaf_node();
        assert_eq!(leaf.encryption_key(), draft.encryption_key);
        assert_eq!(leaf.signature_key(), draft.signature_key);
        let signing_identity = [opaque(&draft.signature_key), vec![0, 1], opaque(b"bob")].concat();
        assert_eq!(leaf.signing_identity(), signing_identity);
        assert_eq!(leaf.credential().credential_type(), CredentialType::BASIC);
        assert_eq!(leaf.credential().identity(), Some(b"bob".as_slice()));
        assert_eq!((leaf.not_before(), leaf.not_after()), draft.lifetime);
        assert_eq!(leaf.signed().content, draft.leaf_tbs());
        assert_eq!(leaf.signed().signature, draft.leaf_signature);
        let own = leaf.extensions().get(ExtensionType(0xF123)).expect("there");
        assert_eq!(own.data, draft.leaf_extensions[1].1);
        let capabilities = leaf.capabilities();
        assert!(capabilities.versions().iter().eq([ProtocolVersion::MLS10]));
        assert!(capabilities.ciphersuites().iter().eq([1, 2, 0x0A0A].map(Ciphersuite)));
        assert!(
            capabilities
                .extensions()
                .iter()
                .eq([1, 0x0A0A, 0x000A, 0xF123].map(ExtensionType))
        );
        assert!(capabilities.proposals().iter().eq([0x1A1A, 7].map(ProposalType)));
        assert!(capabilities.credentials().iter().eq([0x2A2A, 1, 2].map(CredentialType)));
        assert_eq!(package.check(), Ok(()));
        let unlisted = Draft {
            extensions: vec![(0x3A3A, vec![])],
            ..draft.clone()
        };
        assert_eq!(check(&unlisted), Ok(()), "GREASE of the KeyPackage need not be listed");
    }
    let one_time = Draft {
        extensions: vec![],
        ..draft
    };
    assert!(!read(&one_time.bytes()).expect("a KeyPackage").is_last_resort());
}

/// RFC 9420 §5.1.2 and §5.2: what is signed, and what is hashed.
#[test]
fn what_is_signed_and_hashed_has_its_label() {
    let draft = Draft::new();
    let bytes = draft.bytes();
    let package = read(&bytes).expect("a KeyPackage");
    let labelled = |label: &[u8], content: &[u8]| [opaque(label), opaque(content)].concat();
    let leaf = package.leaf_node().signed();
    assert_eq!(leaf.sign_content(), labelled(b"MLS 1.0 LeafNodeTBS", &draft.leaf_tbs()));
    assert_eq!(
        package.signed().sign_content(),
        labelled(b"MLS 1.0 KeyPackageTBS", &draft.tbs())
    );
    assert_eq!(
        package.ref_hash_input(),
        labelled(b"MLS 1.0 KeyPackage Reference", &bytes)
    );
}

#[test]
fn a_cut_or_a_trailing_byte_is_found() {
    let bytes = Draft::new().bytes();
    for uploaded in [bytes.clone(), wrapped(&bytes)] {
        for len in 0..uploaded.len() {
            assert!(read(&uploaded[..len]).is_err(), "cut at {len}");
        }
        let trailing = [uploaded.as_slice(), &[0]].concat();
        assert_eq!(read(&trailing).err(), Some(UnreadableKeyPackage::TrailingBytes));
    }
}

/// RFC 9420 §2.1.2: the shortest length, and no other.
#[rstest]
#[case::two_bytes_for_one(&[0x40, 0x3F], UnreadableKeyPackage::InvalidLength)]
#[case::four_bytes_for_one(&[0x80, 0, 0, 0], UnreadableKeyPackage::InvalidLength)]
#[case::four_bytes_for_two(&[0x80, 0, 0x3F, 0xFF], UnreadableKeyPackage::InvalidLength)]
#[case::reserved(&[0xC0], UnreadableKeyPackage::InvalidLength)]
#[case::a_gigabyte(&[0xBF, 0xFF, 0xFF, 0xFF], UnreadableKeyPackage::Truncated)]
fn a_length_has_one_form(#[case] length: &[u8], #[case] error: UnreadableKeyPackage) {
    let mut bytes = [&[0, 1, 0, 1], length].concat();
    bytes.resize(20_000, 0);
    assert_eq!(read(&bytes).err(), Some(error));
}

#[test]
fn every_length_has_one_form() {
    let whole = Draft::new().bytes();
    let mut lengthened = 0;
    for at in 0..whole.len() {
        let long = [&whole[..at], &[0x40, whole[at]], &whole[at + 1..]].concat();
        if whole[at] < 0x40 && read(&long).err() == Some(UnreadableKeyPackage::InvalidLength) {
            lengthened += 1;
        }
    }
    // The lengths of one byte: the credential, five lists, the application id, the empty mark, GREASE, the list of both.
    assert_eq!(lengthened, 10);
}

#[rstest]
#[case::reserved(0, UnreadableKeyPackage::InvalidSource(0), Refusal::Malformed)]
#[case::update(2, UnreadableKeyPackage::OtherSource(2), Refusal::InvalidLeaf(LeafFault::Source(2)))]
#[case::commit(3, UnreadableKeyPackage::OtherSource(3), Refusal::InvalidLeaf(LeafFault::Source(3)))]
#[case::unknown(4, UnreadableKeyPackage::InvalidSource(4), Refusal::Malformed)]
fn a_leaf_of_another_source_is_told_apart(
    #[case] source: u8,
    #[case] error: UnreadableKeyPackage,
    #[case] refusal: Refusal,
) {
    let bytes = Draft { source, ..Draft::new() }.bytes();
    assert_eq!(read(&bytes).err(), Some(error));
    assert_eq!(Refusal::from(error), refusal);
}

#[test]
fn a_list_ends_with_an_item() {
    let draft = Draft {
        supported_extensions: vec![],
        ..Draft::new()
    };
    let bytes = draft.bytes();
    let at = bytes
        .windows(6)
        .position(|window| window == [4, 0x1A, 0x1A, 0, 7, 6])
        .expect("the proposals");
    let odd = [&bytes[..at], &[5], &bytes[at + 1..]].concat();
    assert_eq!(read(&odd).err(), Some(UnreadableKeyPackage::InvalidList));

    let cut = Draft {
        extensions: vec![],
        ..Draft::new()
    }
    .tbs();
    let cut = [&cut[..cut.len() - 1], &opaque(&[0, 10]), &opaque(&[7; 70])].concat();
    assert_eq!(read(&cut).err(), Some(UnreadableKeyPackage::InvalidList));
}

/// RFC 9420 §10: the version within is the version of the `MLSMessage`.
#[test]
fn a_version_within_another_is_refused() {
    let other = Draft {
        version: 2,
        ..Draft::new()
    };
    let uploaded = wrapped(&other.bytes());
    assert_eq!(
        read(&uploaded).expect("readable").check(),
        Err(Refusal::UnsupportedVersion)
    );
    assert_eq!(check(&other), Err(Refusal::UnsupportedVersion));
}

const fn leaf(fault: LeafFault) -> Result<(), Refusal> {
    Err(Refusal::InvalidLeaf(fault))
}

#[rstest]
#[case::version(|it: &mut Draft| it.versions = vec![2], leaf(LeafFault::VersionNotListed(ProtocolVersion(1))))]
#[case::ciphersuite(|it: &mut Draft| it.ciphersuites = vec![1], leaf(LeafFault::CiphersuiteNotListed(Ciphersuite(2))))]
#[case::credential(|it: &mut Draft| it.credentials = vec![2], leaf(LeafFault::CredentialNotListed(CredentialType(1))))]
#[case::credential_0(|it: &mut Draft| { it.credential.0 = 0; it.credentials.push(0); }, leaf(LeafFault::ReservedCredential(CredentialType(0))))]
#[case::grease_as_credential(|it: &mut Draft| it.credential.0 = 0x2A2A, leaf(LeafFault::ReservedCredential(CredentialType(0x2A2A))))]
#[case::unlisted_in_leaf(|it: &mut Draft| it.leaf_extensions.push((0xF999, vec![])), leaf(LeafFault::ExtensionNotListed(ExtensionType(0xF999))))]
#[case::unlisted_in_package(|it: &mut Draft| it.extensions.push((0xF999, vec![])), leaf(LeafFault::ExtensionNotListed(ExtensionType(0xF999))))]
#[case::unlisted_grease(|it: &mut Draft| it.leaf_extensions.push((0x1A1A, vec![])), leaf(LeafFault::ExtensionNotListed(ExtensionType(0x1A1A))))]
#[case::unlisted_last_resort(|it: &mut Draft| { it.supported_extensions.remove(2); }, leaf(LeafFault::ExtensionNotListed(ExtensionType(10))))]
#[case::twice_in_leaf(|it: &mut Draft| it.leaf_extensions.push((0xF123, vec![])), leaf(LeafFault::ExtensionTwice(ExtensionType(0xF123))))]
#[case::twice_in_package(|it: &mut Draft| it.extensions.push((10, vec![])), leaf(LeafFault::ExtensionTwice(ExtensionType(10))))]
#[case::last_resort_in_leaf(|it: &mut Draft| it.leaf_extensions.push((10, vec![])), leaf(LeafFault::NotForLeaf(ExtensionType(10))))]
#[case::id_in_package(|it: &mut Draft| it.extensions.push((1, opaque(b""))), leaf(LeafFault::NotForKeyPackage(ExtensionType(1))))]
#[case::last_resort_with_content(|it: &mut Draft| it.extensions[0].1 = vec![0], leaf(LeafFault::ExtensionContent(ExtensionType(10))))]
#[case::id_of_no_form(|it: &mut Draft| it.leaf_extensions[0].1 = vec![9], leaf(LeafFault::ExtensionContent(ExtensionType(1))))]
#[case::same_keys(|it: &mut Draft| it.init_key = it.encryption_key.clone(), Err(Refusal::InvalidKey(KeyFault::SameKeys)))]
#[case::no_certificate(|it: &mut Draft| it.credential = (2, vec![]), leaf(LeafFault::UnreadableCertificate))]
#[case::garbage_for_a_certificate(|it: &mut Draft| it.credential = (2, opaque(b"garbage")), leaf(LeafFault::UnreadableCertificate))]
#[case::another_key(|it: &mut Draft| it.credential = (2, opaque(&decode(CERTIFICATE))), leaf(LeafFault::CertificateOfAnotherKey))]
#[case::the_certified_key(|it: &mut Draft| {
    it.credential = (2, [opaque(&decode(CERTIFICATE)), opaque(b"another")].concat());
    it.signature_key = decode(CERTIFIED);
}, Ok(()))]
#[case::defaults_listed(|it: &mut Draft| { it.supported_extensions.extend(1..=5); it.proposals.extend(1..=7); }, Ok(()))]
#[case::unknown_and_twice_in_capabilities(|it: &mut Draft| {
    it.versions.extend([9, 9]);
    it.ciphersuites.extend([0, 2, 0xFFFF]);
    it.supported_extensions.extend([0, 10, 10]);
    it.credentials.extend([0, 1]);
}, Ok(()))]
#[case::nothing_but_what_is_needed(|it: &mut Draft| {
    it.ciphersuites = vec![2];
    (it.supported_extensions, it.proposals, it.credentials) = (vec![], vec![], vec![1]);
    it.leaf_extensions = vec![(1, opaque(b""))];
    it.extensions = vec![];
}, Ok(()))]
fn each_demand_has_its_refusal(#[case] change: fn(&mut Draft), #[case] answer: Result<(), Refusal>) {
    let mut draft = Draft::new();
    change(&mut draft);
    assert_eq!(check(&draft), answer);
}

/// RFC 9420 §17.3: types 2 to 5 stand in a GroupInfo or in a GroupContext.
#[rstest]
fn an_extension_of_a_group_is_in_no_key_package(#[values(2, 3, 4, 5)] kind: u16) {
    let mut draft = Draft::new();
    draft.leaf_extensions.push((kind, vec![0]));
    assert_eq!(check(&draft), leaf(LeafFault::NotForLeaf(ExtensionType(kind))));
    let mut draft = Draft::new();
    draft.extensions.push((kind, vec![0]));
    assert_eq!(check(&draft), leaf(LeafFault::NotForKeyPackage(ExtensionType(kind))));
}

/// RFC 9420 §13.5: fifteen numbers, and 0xfafa is for private use.
#[test]
fn grease_is_known() {
    let grease: Vec<_> = (0..=u16::MAX)
        .filter(|number| ExtensionType(*number).is_grease())
        .collect();
    let expected: Vec<u16> = (0..=0xE).map(|high| (high << 4 | 0xA) * 0x0101).collect();
    assert_eq!(grease, expected);
}

/// ADM-3: each of 10,000 extensions is looked for among 16,000 types. Lists that are ten times as long cost some ten times as much;
/// pair by pair it would be a hundred times.
#[test]
#[expect(clippy::disallowed_methods, reason = "the time is what is tested")]
fn long_lists_cost_little() {
    let lists = |length: u16| {
        let mut draft = Draft::new();
        draft.supported_extensions = (0..16 * length).map(|number| 0x1000 + number).collect();
        draft.leaf_extensions = (0..10 * length).map(|number| (0x1000 + number, vec![])).collect();
        draft.extensions = vec![];
        draft.bytes()
    };
    let cost = |bytes: &[u8]| {
        let start = std::time::Instant::now();
        assert_eq!(read(bytes).expect("readable").check(), Ok(()));
        start.elapsed()
    };
    let (short, long) = (lists(100), lists(1_000));
    let least = (0..20).map(|_| cost(&short)).min().unwrap_or_default();
    // A busy machine makes a run slower, and none faster.
    assert!(
        (0..100).any(|_| cost(&long) < 30 * least),
        "more than 30 times {least:?}"
    );
}
