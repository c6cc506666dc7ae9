//! Each demand on a KeyPackage, broken alone, by hand: refused with its own code (ADM-2); and what mls-rs's add says of the same
//! bytes. `docs/admission.md` lists both.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod client;

use client::{Adder, Person, now};
use kp_core::protocol::Refusal;
use kp_core::server::{Admission, Uploader};
use kp_mls_rs::MlsRsAdmission;
use kp_test_support::demands::{Change, NOT_REFUSED};
use kp_test_support::draft::{Draft, EXTENSIONS, opaque};
use kp_test_support::judged::{self, Judged, Verdict};
use rstest::rstest;

/// What the admission says of a package of Bob's with this change, signed again by Bob; and what mls-rs says, of the add and of
/// the commit after it.
fn judge(suite: u16, change: Change) -> Judged {
    let bob = Person::new("bob", suite);
    let mut draft = Draft::of(&bob.package()).without_grease();
    draft.lifetime = (draft.lifetime.0 - 3_600, draft.lifetime.1 - 3_600);
    change(&mut draft);
    let uploaded = draft.signed(|it| bob.sign(it));
    let alice = Adder::new(suite, draft.credential.0);
    let judged = Judged {
        verdict: admit(&uploaded),
        added: alice.add(&uploaded),
        committed: alice.add_and_commit(&uploaded),
    };
    judged.checked(suite, "mls-rs")
}

fn admit(uploaded: &[u8]) -> Verdict {
    let answer = MlsRsAdmission::new().admit(uploaded, &Uploader::unchecked(), now());
    answer.map(|_| ())
}

#[test]
fn each_demand_has_its_refusal() {
    judged::each_demand_has_its_refusal("mls-rs", judge);
}

/// mls-rs reads these rules in its own way, and adds nobody who is told otherwise.
const NOT_BY_MLS_RS: [(&str, &str); 3] = [
    (
        "default_types_listed",
        "mls-rs cannot add a KeyPackage whose capabilities list default types",
    ),
    (
        "unknown_extensions",
        "mls-rs cannot add a KeyPackage whose capabilities list default types",
    ),
    (
        "application_id",
        "mls-rs cannot add a leaf with the extension application_id",
    ),
];

/// What a client must not do, or need not, and no validation refuses, but for mls-rs's own rules.
#[rstest]
fn what_is_not_refused(#[values(1, 2, 3, 7)] suite: u16) {
    for (name, change) in NOT_REFUSED {
        let Judged { verdict, added, .. } = judge(suite, *change);
        match NOT_BY_MLS_RS.iter().find(|(theirs, _)| theirs == name) {
            Some((_, reason)) => {
                assert_eq!(verdict, Err(Refusal::Other(reason)), "{name}");
                assert!(added.is_err(), "{name}");
            }
            None => assert_eq!((verdict, added), (Ok(()), Ok(())), "{name}"),
        }
    }
}

/// GREASE extensions, as mls-rs makes them: listed in the leaf, and not listed outside of it.
#[rstest]
fn grease_is_taken(#[values(1, 2, 3, 7)] suite: u16) {
    let Judged { verdict, added, .. } = judge(suite, |it| {
        it.leaf_extensions.push((0x0A0A, vec![7]));
        it.capabilities[EXTENSIONS].push(0x0A0A);
        it.extensions.push((0x1A1A, vec![]));
    });
    assert_eq!((verdict, added), (Ok(()), Ok(())));
}

/// What is wrong with a signature.
#[rstest]
fn a_signature_is_of_its_label_its_key_and_its_bytes(#[values(1, 2, 3, 7)] suite: u16) {
    let (bob, eve) = (Person::new("bob", suite), Person::new("eve", suite));
    let draft = Draft::of(&bob.package());
    let bad = Err(Refusal::BadSignature);
    let (by_bob, by_eve) = (draft.signed(|it| bob.sign(it)), draft.signed(|it| eve.sign(it)));
    assert_eq!(admit(&by_bob), Ok(()));
    assert_eq!(admit(&by_eve), bad);

    // The outer signature by somebody else, and the inner one.
    let outer = |bytes: &[u8]| {
        let read = kp_core::key_package::UnverifiedKeyPackage::read(bytes).unwrap();
        (read.signed().content.to_vec(), read.signed().signature.to_vec())
    };
    let ((bobs, _), (eves, signature)) = (outer(&by_bob), outer(&by_eve));
    assert_eq!(admit(&[bobs, opaque(&signature)].concat()), bad);
    let by_bob_over_eves = draft.signed_with(
        |it| bob.sign(it),
        |label, tbs| {
            if label == "KeyPackageTBS" {
                *tbs = eves.clone();
            }
        },
    );
    assert_eq!(admit(&by_bob_over_eves), bad);
}
