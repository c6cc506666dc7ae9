//! What a server takes, beyond the demands of RFC 9420 (ADM-2).

use std::time::Duration;

use kp_core::key_package::{CredentialType, ExtensionType, KeyAlgorithms, ProposalType, UnverifiedKeyPackage};
use kp_core::protocol::{KeyFault, PublicKeyField, Refusal, Requirement};
use kp_core::server::{AdmissionPolicy, Uploader};
use kp_core::{Ciphersuite, Lifetime, Timestamp};
use rstest::rstest;

use crate::draft::Draft;

const DAY: u64 = 86_400;
const NOW: u64 = 1_700_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::MIN.plus(seconds)
}

fn valid(not_before: u64, not_after: u64) -> Draft {
    let lifetime = (not_before, not_after);
    Draft {
        lifetime,
        ..Draft::new()
    }
}

fn judge(policy: &AdmissionPolicy, draft: &Draft, by: &Uploader) -> Result<Lifetime, Refusal> {
    let bytes = draft.bytes();
    policy.check(&policy.read(&bytes)?, by, at(NOW))
}

fn stored(policy: &AdmissionPolicy, not_before: u64, not_after: u64) -> Result<(u64, u64), Refusal> {
    let lifetime = judge(policy, &valid(not_before, not_after), &Uploader::unchecked())?;
    let seconds = |moment: Timestamp| moment.get().unsigned_abs();
    Ok((seconds(lifetime.not_before()), seconds(lifetime.not_after())))
}

/// What the libraries make by default, and which policy takes it.
#[rstest]
#[case::openmls(NOW - 3_600, NOW + 84 * DAY, Ok(NOW + 84 * DAY))]
#[case::one_second_more(NOW - 3_600, NOW + 84 * DAY + 1, Err(Refusal::LifetimeTooWide))]
#[case::mls_rs(NOW - 3_600, NOW + 365 * DAY, Err(Refusal::LifetimeTooWide))]
#[case::ts_mls(0, (1 << 63) - 1, Err(Refusal::LifetimeTooWide))]
#[case::mlspp(0, u64::MAX, Err(Refusal::LifetimeTooWide))]
fn a_lifetime_by_default(#[case] from: u64, #[case] to: u64, #[case] ends: Result<u64, Refusal>) {
    assert_eq!(stored(&AdmissionPolicy::new(), from, to), ends.map(|ends| (from, ends)));

    let last = Timestamp::MAX.get().unsigned_abs();
    let endless = AdmissionPolicy::new().max_lifetime(Duration::MAX);
    assert_eq!(stored(&endless, from, to), Ok((from, to.min(last))));

    let clamped = AdmissionPolicy::new().clamp_lifetime(Duration::from_secs(30 * DAY));
    assert_eq!(stored(&clamped, from, to), Ok((from, NOW + 30 * DAY)));
}

#[test]
fn a_clamped_lifetime_is_never_wider_and_judged_all_the_same() {
    let clamped = AdmissionPolicy::new().clamp_lifetime(Duration::from_secs(600));
    assert_eq!(stored(&clamped, 0, NOW + 599), Ok((0, NOW + 599)));
    assert_eq!(stored(&clamped, 0, NOW + 600), Ok((0, NOW + 600)));
    assert_eq!(stored(&clamped, 0, NOW + 601), Ok((0, NOW + 600)));
    assert_eq!(stored(&clamped, 0, NOW), Err(Refusal::Expired));
    assert_eq!(stored(&clamped, 9, 9), Err(Refusal::Malformed));
    assert_eq!(stored(&clamped, NOW + 3_601, u64::MAX), Err(Refusal::NotYetValid));
    // Within the skew, but begun after the end that would be stored.
    assert_eq!(stored(&clamped, NOW + 600, u64::MAX), Err(Refusal::NotYetValid));
    assert_eq!(stored(&clamped, NOW + 599, u64::MAX), Ok((NOW + 599, NOW + 600)));
    // The later of the two setters counts.
    let bounded = clamped.max_lifetime(Duration::from_secs(DAY));
    assert_eq!(stored(&bounded, 0, NOW + 1), Err(Refusal::LifetimeTooWide));
}

#[test]
fn a_beginning_may_be_as_far_ahead_as_the_skew() {
    let policy = AdmissionPolicy::new();
    let ends = NOW + DAY;
    assert_eq!(stored(&policy, NOW + 3_600, ends), Ok((NOW + 3_600, ends)));
    assert_eq!(stored(&policy, NOW + 3_601, ends), Err(Refusal::NotYetValid));
}

#[test]
fn nothing_that_begins_beyond_all_timestamps_is_stored() {
    let endless = AdmissionPolicy::new().max_lifetime(Duration::MAX).skew(Duration::MAX);
    let last = Timestamp::MAX.get().unsigned_abs();
    assert_eq!(stored(&endless, last - 1, u64::MAX), Ok((last - 1, last)));
    assert_eq!(stored(&endless, last, u64::MAX), Err(Refusal::NotYetValid));
    assert_eq!(stored(&endless, u64::MAX - 1, u64::MAX), Err(Refusal::NotYetValid));
}

#[rstest]
#[case(Requirement::ExtensionSupport(ExtensionType(0xF123)), true)]
#[case(Requirement::ExtensionSupport(ExtensionType(5)), true)]
#[case(Requirement::ExtensionSupport(ExtensionType(0xF124)), false)]
#[case(Requirement::ProposalSupport(ProposalType(7)), true)]
#[case(Requirement::ProposalSupport(ProposalType(1)), true)]
#[case(Requirement::ProposalSupport(ProposalType(8)), false)]
#[case(Requirement::CredentialSupport(CredentialType(2)), true)]
#[case(Requirement::CredentialSupport(CredentialType(3)), false)]
#[case(Requirement::LeafExtension(ExtensionType(0xF123)), true)]
#[case(Requirement::LeafExtension(ExtensionType(0x000A)), false)]
#[case(Requirement::KeyPackageExtension(ExtensionType(0x000A)), true)]
#[case(Requirement::KeyPackageExtension(ExtensionType(0xF123)), false)]
fn a_requirement_is_met_or_named(#[case] requirement: Requirement, #[case] met: bool) {
    let policy = AdmissionPolicy::new().require([Requirement::Unspecified, requirement]);
    let answer = judge(&policy, &valid(NOW - 1, NOW + 1), &Uploader::unchecked());
    assert_eq!(answer.is_ok(), met);
    if !met {
        let refusal = Refusal::RequirementNotMet(requirement);
        assert_eq!(answer, Err(refusal));
        let on_the_wire = format!("{}: {}", refusal.code(), refusal.detail().expect("a detail"));
        assert_eq!(Refusal::from_code(&on_the_wire), Some(refusal), "{on_the_wire}");
    }
}

#[test]
fn the_servers_own_look_at_the_credential_replaces_the_comparison() {
    let draft = Draft {
        credential: (1, b"did:plc:bob#phone".to_vec()),
        ..valid(NOW - 1, NOW + 1)
    };
    let (bob, eve) = (Uploader::identity("did:plc:bob"), Uploader::identity("did:plc:eve"));
    assert_eq!(
        judge(&AdmissionPolicy::new(), &draft, &bob),
        Err(Refusal::CredentialMismatch)
    );
    let devices = AdmissionPolicy::new().credential(|leaf, by| match (leaf.credential().identity(), by) {
        (Some(device), Uploader::Identity(account)) => {
            leaf.signature_key() == [3; 65] && device.strip_prefix(&account[..]).is_some_and(|it| it.starts_with(b"#"))
        }
        _ => false,
    });
    assert!(judge(&devices, &draft, &bob).is_ok());
    assert_eq!(judge(&devices, &draft, &eve), Err(Refusal::CredentialMismatch));
    assert_eq!(
        judge(&devices, &draft, &Uploader::unchecked()),
        Err(Refusal::CredentialMismatch)
    );
    let other_key = Draft {
        signature_key: vec![4; 65],
        ..draft
    };
    assert_eq!(judge(&devices, &other_key, &bob), Err(Refusal::CredentialMismatch));
}

#[test]
fn size_and_ciphersuite_come_first() {
    let draft = valid(9, 5);
    let len = draft.bytes().len();
    let judged = |policy: AdmissionPolicy| judge(&policy, &draft, &Uploader::identity("eve"));
    assert_eq!(
        judged(AdmissionPolicy::new().max_bytes(len - 1)),
        Err(Refusal::TooLarge)
    );
    assert_eq!(judged(AdmissionPolicy::new().max_bytes(len)), Err(Refusal::Malformed));
    // ADM-1: it is stored bare.
    let wrapped = [&[0, 1, 0, 5], draft.bytes().as_slice()].concat();
    let read = |policy: AdmissionPolicy| policy.read(&wrapped).map(drop);
    assert_eq!(read(AdmissionPolicy::new().max_bytes(len - 1)), Err(Refusal::TooLarge));
    assert_eq!(read(AdmissionPolicy::new().max_bytes(len)), Ok(()));
    let other = AdmissionPolicy::new().ciphersuites([Ciphersuite(1)]);
    assert_eq!(judged(other), Err(Refusal::UnsupportedCiphersuite));
    assert_eq!(
        judged(AdmissionPolicy::new().ciphersuites([Ciphersuite(2)])),
        Err(Refusal::Malformed)
    );
}

/// RFC 9420 §17.1 with RFC 9180 §7.1 and RFC 8446 §4.2.3.
#[rstest]
#[case(1, 32, 32)]
#[case(2, 65, 65)]
#[case(3, 32, 32)]
#[case(4, 56, 57)]
#[case(5, 133, 133)]
#[case(6, 56, 57)]
#[case(7, 97, 97)]
fn a_key_has_the_length_of_its_algorithm(#[case] suite: u16, #[case] hpke: usize, #[case] signature: usize) {
    let algorithms = KeyAlgorithms::of(Ciphersuite(suite)).expect("a ciphersuite of RFC 9420");
    let judged = |init: usize, encryption: usize, signature: usize| {
        let draft = Draft {
            init_key: vec![1; init],
            encryption_key: vec![2; encryption],
            signature_key: vec![3; signature],
            ..Draft::new()
        };
        let bytes = draft.bytes();
        UnverifiedKeyPackage::read(&bytes)
            .expect("a KeyPackage")
            .check_key_lengths(algorithms)
    };
    let wrong = |key, found, expected| Err(Refusal::InvalidKey(KeyFault::Length { key, found, expected }));
    assert_eq!(judged(hpke, hpke, signature), Ok(()));
    assert_eq!(judged(33, hpke, signature), wrong(PublicKeyField::InitKey, 33, hpke));
    assert_eq!(
        judged(hpke, 0, signature),
        wrong(PublicKeyField::EncryptionKey, 0, hpke)
    );
    assert_eq!(
        judged(hpke, hpke, 33),
        wrong(PublicKeyField::SignatureKey, 33, signature)
    );
    assert_eq!(KeyAlgorithms::of(Ciphersuite(0x004D)), None);
}
