//! `ERR-4`: what a handler logs shows no package bytes, identities or parties.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::fmt::Debug;

use kp_core::protocol::Refusal;
use kp_core::server::{Admission, Admitted, TakeOptions, Uploader};
use kp_core::{GroupId, Party, PoolId, ReservationId, Timestamp};
use kp_memory::MemoryStore;
use kp_server::{KeyPackageDirectory, Swept, Take, Upload, UploadError};

/// Each secret, a byte sixteen times over: printed in whatever way, it shows.
const SECRET: u8 = 0xA1;

/// Asserts that the secret shows neither as a number, nor in hexadecimal, nor as a character.
fn hides(what: &impl Debug) {
    for text in [format!("{what:?}"), format!("{what:#?}"), format!("{what:x?}")] {
        for shown in ["161", "a1a1", "a1,", "\\xa1", "\u{a1}"] {
            assert!(!text.contains(shown), "{shown:?} shows in {text}");
        }
    }
}

#[derive(Debug)]
struct Nobody;

impl Admission for Nobody {
    fn admit(&self, _: &[u8], _: &Uploader, _: Timestamp) -> Result<Admitted, Refusal> {
        Err(Refusal::Malformed)
    }
}

#[test]
fn the_test_would_see_it() {
    assert!(std::panic::catch_unwind(|| hides(&[SECRET; 16])).is_err());
}

/// Every public type of the crate that holds what somebody gave it, made of marked bytes.
#[test]
fn no_debug_of_a_public_type_shows_a_secret() {
    let secret = vec![SECRET; 16];
    let pool = PoolId::try_from("bob").unwrap();
    for by in [Uploader::identity(&secret), Uploader::signature_key(&secret)] {
        hides(&Upload::new(pool.clone(), by, vec![secret.clone()]).replace());
    }
    let options = TakeOptions::new().by(Party::try_from(secret.clone()).unwrap());
    let take = Take::from(options)
        .id(ReservationId::from_bytes([SECRET; 16]))
        .group(GroupId::try_from(secret).unwrap());
    hides(&take);
    hides(&UploadError::TooManyKeyPackages { found: 2, most: 1 });
    hides(&UploadError::AdmissionPanicked);
    hides(&Swept::default());
    let (subscriber, notices) = kp_server::notices(1);
    hides(&subscriber);
    hides(&notices);
    let builder = KeyPackageDirectory::builder(MemoryStore::new(), Nobody);
    hides(&builder);
    hides(&builder.build().unwrap());
}
