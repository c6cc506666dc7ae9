//! Refusals have stable codes, failures keep their source, and a refusal is never taken for a failure (ERR-1, ERR-3).

use std::collections::BTreeSet;
use std::error::Error as _;
use std::io;

use kp_core::key_package::{CredentialType, ExtensionType, ProposalType, ProtocolVersion};
use kp_core::protocol::{KeyFault, LeafFault, PublicKeyField, Refusal, Requirement};
use kp_core::server::Answers;
use kp_core::{BackendError, Ciphersuite, Effect, Error, OpenError, Rejection};

/// Lists the codes, which protocols and logs rely on: a code never changes once released.
const CODES: [(Rejection, &str); 12] = [
    (Rejection::PoolExhausted, "pool_exhausted"),
    (Rejection::NothingFits, "nothing_fits"),
    (Rejection::AlreadySpent, "already_spent"),
    (Rejection::AlreadyReserved, "already_reserved"),
    (Rejection::Expired, "expired"),
    (Rejection::NotFound, "not_found"),
    (Rejection::Unsuitable, "unsuitable"),
    (Rejection::ReservationConflict, "reservation_conflict"),
    (Rejection::TooManyReservations, "too_many_reservations"),
    (Rejection::NoLiveReservation, "no_live_reservation"),
    (Rejection::TooManyItems, "too_many_items"),
    (Rejection::InvalidCursor, "invalid_cursor"),
];

#[test]
fn the_codes_of_rejections_are_stable() {
    let codes: Vec<_> = Rejection::ALL
        .iter()
        .map(|rejection| (*rejection, rejection.code()))
        .collect();
    assert_eq!(codes, CODES);
}

#[test]
fn the_codes_and_texts_of_rejections_are_unique() {
    let codes: BTreeSet<_> = Rejection::ALL.iter().map(|rejection| rejection.code()).collect();
    let texts: BTreeSet<_> = Rejection::ALL.iter().map(ToString::to_string).collect();
    assert_eq!((codes.len(), texts.len()), (Rejection::ALL.len(), Rejection::ALL.len()));
}

#[test]
fn the_codes_of_refusals_are_stable() {
    let codes = [
        (Refusal::Malformed, "malformed"),
        (Refusal::UnsupportedVersion, "unsupported_version"),
        (Refusal::BadSignature, "bad_signature"),
        (Refusal::InvalidLeaf(LeafFault::Unspecified), "invalid_leaf"),
        (Refusal::InvalidKey(KeyFault::Unspecified), "invalid_key"),
        (Refusal::UnsupportedCiphersuite, "unsupported_ciphersuite"),
        (Refusal::Expired, "expired"),
        (Refusal::NotYetValid, "not_yet_valid"),
        (Refusal::LifetimeTooWide, "lifetime_too_wide"),
        (Refusal::TooLarge, "too_large"),
        (Refusal::CredentialMismatch, "credential_mismatch"),
        (
            Refusal::RequirementNotMet(Requirement::Unspecified),
            "requirement_not_met",
        ),
        (Refusal::InitKeyReused, "init_key_reused"),
        (Refusal::BeforeRestorePoint, "before_restore_point"),
        (Refusal::Other("too loud"), "other"),
    ];
    for (refusal, code) in codes {
        assert_eq!(refusal.code(), code);
        assert!(!code.contains(':'), "a detail follows a colon");
    }
    assert_eq!(codes.len(), Refusal::ALL.len());
    assert_eq!(Refusal::Other("too loud").to_string(), "too loud");
}

/// Lists a refusal of each detail, and the details' texts.
fn details() -> Vec<(Refusal, &'static str)> {
    let (last_resort, key) = (ExtensionType::LAST_RESORT, PublicKeyField::InitKey);
    let (found, expected) = (800, 1_216);
    let leaf = [
        (LeafFault::Source(3), "the leaf_node_source is 3, and not key_package"),
        (
            LeafFault::VersionNotListed(ProtocolVersion(1)),
            "version 0x0001 is not in the capabilities",
        ),
        (
            LeafFault::CiphersuiteNotListed(Ciphersuite(0x4E)),
            "ciphersuite 0x004e is not in the capabilities",
        ),
        (
            LeafFault::CredentialNotListed(CredentialType(2)),
            "credential type 0x0002 is not in the capabilities",
        ),
        (
            LeafFault::ReservedCredential(CredentialType(0)),
            "credential type 0x0000 is reserved",
        ),
        (
            LeafFault::UnreadableCertificate,
            "the credential's certificates cannot be read",
        ),
        (
            LeafFault::CertificateOfAnotherKey,
            "the end-entity certificate has another key than signature_key",
        ),
        (
            LeafFault::ExtensionNotListed(ExtensionType(0xF999)),
            "extension 0xf999 is not in the capabilities",
        ),
        (
            LeafFault::ExtensionNotListed(last_resort),
            "extension 0x000a (last resort) is not in the capabilities",
        ),
        (
            LeafFault::ExtensionTwice(last_resort),
            "extension 0x000a (last resort) is there twice",
        ),
        (
            LeafFault::NotForLeaf(ExtensionType(2)),
            "extension 0x0002 must not be in a leaf",
        ),
        (
            LeafFault::NotForKeyPackage(ExtensionType(1)),
            "extension 0x0001 must not be in a KeyPackage outside of its leaf",
        ),
        (
            LeafFault::ExtensionContent(ExtensionType(1)),
            "extension 0x0001 has a content that is not of its type",
        ),
    ];
    let keys = [
        (
            KeyFault::Length { key, found, expected },
            "init_key has 800 bytes, and not 1216",
        ),
        (
            KeyFault::Unusable(PublicKeyField::EncryptionKey),
            "encryption_key is no key of the ciphersuite",
        ),
        (
            KeyFault::Unusable(PublicKeyField::SignatureKey),
            "signature_key is no key of the ciphersuite",
        ),
        (KeyFault::SameKeys, "init_key and encryption_key are the same"),
    ];
    let leaf = leaf.map(|(fault, text)| (Refusal::InvalidLeaf(fault), text));
    let required = [
        (
            Requirement::ExtensionSupport(ExtensionType(0xF123)),
            "extension 0xf123 is required in the capabilities",
        ),
        (
            Requirement::ProposalSupport(ProposalType(8)),
            "proposal 0x0008 is required in the capabilities",
        ),
        (
            Requirement::CredentialSupport(CredentialType(2)),
            "credential type 0x0002 is required in the capabilities",
        ),
        (
            Requirement::LeafExtension(ExtensionType(0xF123)),
            "extension 0xf123 is required in the leaf",
        ),
        (
            Requirement::KeyPackageExtension(ExtensionType(0xF123)),
            "extension 0xf123 is required in the KeyPackage",
        ),
    ];
    leaf.into_iter()
        .chain(keys.map(|(fault, text)| (Refusal::InvalidKey(fault), text)))
        .chain(required.map(|(requirement, text)| (Refusal::RequirementNotMet(requirement), text)))
        .collect()
}

#[test]
fn a_detail_follows_the_code_and_is_read_again() {
    for (refusal, text) in details() {
        assert_eq!(refusal.detail().as_deref(), Some(text));
        let told = format!("{}: {text}", refusal.code());
        assert_eq!(Refusal::from_code(&told), Some(refusal));
        assert!(refusal.to_string().ends_with(text));
    }
    for plain in Refusal::ALL {
        assert_eq!(plain.detail(), None);
        let with_more = format!("{}: whatever a later release adds", plain.code());
        assert_eq!(Refusal::from_code(&with_more).map(Refusal::code), Some(plain.code()));
    }
    assert_eq!(Refusal::from_code("of another age: extension 0xf999"), None);
}

#[test]
fn a_rejection_is_no_failure() {
    let error = Error::from(Rejection::PoolExhausted);
    assert_eq!(error.rejection(), Some(&Rejection::PoolExhausted));
    assert_eq!(error.to_string(), "the pool has no KeyPackage left");
}

fn disk_full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space")
}

#[test]
fn a_failure_says_where_it_was_and_what_is_known() {
    let failed = BackendError::new("sqlite", "save", Effect::NotApplied, disk_full());
    assert_eq!((failed.backend(), failed.operation()), ("sqlite", "save"));
    assert_eq!((failed.effect(), failed.is_transient()), (Effect::NotApplied, false));
    let lost = BackendError::transient("redis", "claim", Effect::Unknown, "the reply was lost");
    assert_eq!((lost.effect(), lost.is_transient()), (Effect::Unknown, true));
    assert_eq!(
        lost.to_string(),
        "redis: claim failed (outcome unknown): the reply was lost"
    );
}

#[test]
fn a_failure_keeps_its_source_through_every_layer_and_clone() {
    let error = Error::from(BackendError::new("sqlite", "save", Effect::NotApplied, disk_full()));
    assert_eq!(error.rejection(), None);
    let again: Error = error.clone();
    for error in [error, again] {
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::StorageFull));
    }
}

#[test]
fn a_store_that_does_not_open_says_why() {
    let error = OpenError::Unreachable(disk_full().into());
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::StorageFull));
    let newer = OpenError::NewerSchema { found: 9, known: 2 };
    assert_eq!(
        newer.to_string(),
        "the database has schema 9, and this release knows 2 at most"
    );
}

/// ERR-1: a store that does not answer one item once may have done anything.
#[test]
fn one_item_has_one_answer() {
    for answers in [vec![], vec![Ok(1), Ok(2)], vec![Ok(1), Err(Rejection::NotFound.into())]] {
        let answers: Answers<u8> = answers.into();
        let failed = answers.only();
        assert!(
            matches!(&failed, Err(Error::Backend(failure)) if failure.effect() == Effect::Unknown),
            "{failed:?}"
        );
    }
}
