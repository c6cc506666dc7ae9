//! Refusals have stable codes, failures keep their source, and a refusal is never taken for a failure (ERR-1, ERR-3).

use std::collections::BTreeSet;
use std::error::Error as _;
use std::io;

use kp_core::protocol::Refusal;
use kp_core::{BackendError, Effect, Error, OpenError, Rejection};

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
        (Refusal::BadSignature, "bad_signature"),
        (Refusal::UnsupportedCiphersuite, "unsupported_ciphersuite"),
        (Refusal::Expired, "expired"),
        (Refusal::NotYetValid, "not_yet_valid"),
        (Refusal::LifetimeTooWide, "lifetime_too_wide"),
        (Refusal::TooLarge, "too_large"),
        (Refusal::CredentialMismatch, "credential_mismatch"),
        (Refusal::InitKeyReused, "init_key_reused"),
        (Refusal::BeforeRestorePoint, "before_restore_point"),
        (Refusal::Other("too loud"), "other"),
    ];
    for (refusal, code) in codes {
        assert_eq!(refusal.code(), code);
    }
    assert_eq!(Refusal::Other("too loud").to_string(), "too loud");
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
