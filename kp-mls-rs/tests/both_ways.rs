//! What the admission takes, mls-rs adds; and what mls-rs adds, the admission takes, but for policy and for what RFC 9420
//! demands beyond mls-rs (ADM-2). On random mutations that are signed again with the real key.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod client;

use std::collections::BTreeMap;

use client::{Adder, Person, SUITES, now};
use kp_core::key_package::UnverifiedKeyPackage;
use kp_core::protocol::{LeafFault, Refusal};
use kp_core::server::{Admission, Uploader};
use kp_mls_rs::MlsRsAdmission;
use kp_test_support::draft::Draft;
use kp_test_support::mutations::{Run, Trial};

/// How many KeyPackages are tried, unless more are asked for.
const MUTATIONS: u64 = 1_000;

/// What the admission refuses although mls-rs would add it.
fn is_beyond_mls_rs(refusal: Refusal) -> bool {
    match refusal {
        // Policy (RFC 9420 §7.2 demands a bound).
        Refusal::LifetimeTooWide => true,
        // mls-rs looks at no encryption key, lets keys of low order pass, and reads points in two forms.
        Refusal::InvalidKey(_) => true,
        Refusal::InvalidLeaf(fault) => matches!(
            fault,
            // mls-rs looks into no credential by itself.
            LeafFault::ReservedCredential(_)
                | LeafFault::UnreadableCertificate
                | LeafFault::CertificateOfAnotherKey
                // Of the capabilities, mls-rs compares credentials and the leaf's extensions.
                | LeafFault::VersionNotListed(_)
                | LeafFault::CiphersuiteNotListed(_)
                | LeafFault::ExtensionNotListed(_)
                // mls-rs looks neither where an extension stands, nor into it.
                | LeafFault::NotForLeaf(_)
                | LeafFault::NotForKeyPackage(_)
                | LeafFault::ExtensionContent(_)
        ),
        _ => false,
    }
}

struct Bob {
    person: Person,
    draft: Draft,
    other: Draft,
    adders: BTreeMap<(u16, u16), Adder>,
}

impl Bob {
    fn new(suite: u16) -> Self {
        let person = Person::new("bob", suite);
        let draft = |person: &Person| {
            let mut draft = Draft::of(&person.package());
            draft.lifetime = (draft.lifetime.0 - 3_600, draft.lifetime.1 - 3_600);
            draft
        };
        Self {
            draft: draft(&person),
            other: draft(&Person::new("eve", suite)),
            person,
            adders: BTreeMap::new(),
        }
    }

    /// Somebody whose group the package fits. Of bytes that no longer are a KeyPackage, anybody will do.
    fn adder(&mut self, bytes: &[u8]) -> &Adder {
        let read = UnverifiedKeyPackage::read(bytes);
        let kind = read.map_or(1, |read| read.leaf_node().credential().credential_type().0);
        let suite = read.map_or(1, |read| read.ciphersuite().0);
        let suite = SUITES.into_iter().find(|known| *known == suite).unwrap_or(1);
        self.adders
            .entry((suite, kind))
            .or_insert_with(|| Adder::new(suite, kind))
    }
}

#[test]
fn what_is_admitted_can_be_added_and_what_can_be_added_is_admitted() {
    let mut run = Run::new(MUTATIONS);
    let mut random = run.random();
    let mut bobs = SUITES.map(Bob::new);
    let admission = MlsRsAdmission::new();
    for round in run.rounds() {
        let bob = &mut bobs[random.below(SUITES.len())];
        let bytes = random.mutated(&bob.draft, &bob.other, |content| bob.person.sign(content));
        let (at, now) = (run.at(round), now());
        let answer = admission.admit(&bytes, &Uploader::unchecked(), now);
        match run.trial(answer, now) {
            Some(Trial::Admitted) => {
                run.commits += 1;
                let goes_on = bob.adder(&bytes).add_and_commit(&bytes);
                goes_on.unwrap_or_else(|error| panic!("admitted, and not added: {error}; {at}"));
            }
            Some(Trial::Refused(refusal)) if bob.adder(&bytes).add(&bytes).is_ok() => {
                run.beyond += 1;
                assert!(is_beyond_mls_rs(refusal), "added, and refused as {refusal}; {at}");
            }
            _ => {}
        }
    }
    run.end("mls-rs");
}
