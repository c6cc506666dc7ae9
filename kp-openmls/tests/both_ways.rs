//! What the admission takes, OpenMLS adds; and what OpenMLS adds, the admission takes, but for policy and for what RFC 9420
//! demands beyond OpenMLS (ADM-2). On random mutations that are signed again with the real key.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod adder;
mod client;

use std::collections::BTreeMap;

use adder::Adder;
use client::{Client, builder, bytes};
use kp_core::Timestamp;
use kp_core::key_package::UnverifiedKeyPackage;
use kp_core::protocol::{KeyFault, LeafFault, Refusal};
use kp_core::server::{Admission, Uploader};
use kp_openmls::OpenMlsAdmission;
use kp_test_support::draft::Draft;
use kp_test_support::mutations::{Run, Trial};
use openmls_traits::types::Ciphersuite;

/// How many KeyPackages are tried, unless more are asked for.
const MUTATIONS: u64 = 3_000;

/// What the admission refuses although OpenMLS would add it.
fn is_beyond_openmls(refusal: Refusal) -> bool {
    match refusal {
        // Policy (RFC 9420 §7.2 demands a bound).
        Refusal::LifetimeTooWide => true,
        // OpenMLS looks at no encryption key, and reads points in two forms.
        Refusal::InvalidKey(_) => true,
        // OpenMLS looks into no credential.
        Refusal::InvalidLeaf(fault) => matches!(
            fault,
            LeafFault::ReservedCredential(_) | LeafFault::UnreadableCertificate | LeafFault::CertificateOfAnotherKey
        ),
        _ => false,
    }
}

struct Bob {
    client: Client,
    draft: Draft,
    other: Draft,
    now: Timestamp,
    adders: BTreeMap<(u16, u16), Adder>,
}

impl Bob {
    fn new(suite: u16) -> Self {
        let suite = kp_core::Ciphersuite(suite);
        let client = Client::new("bob", suite);
        let package = client.build(builder());
        let not_before = i64::try_from(package.life_time().not_before()).unwrap();
        Self {
            draft: Draft::of(&bytes(&package)),
            other: Draft::of(&bytes(&Client::new("eve", suite).build(builder()))),
            now: Timestamp::try_from(not_before).unwrap().plus(3_600),
            client,
            adders: BTreeMap::new(),
        }
    }

    /// Somebody whose group the package fits. Of bytes that no longer are a KeyPackage, anybody will do.
    fn adder(&mut self, bytes: &[u8]) -> &mut Adder {
        let read = UnverifiedKeyPackage::read(bytes);
        let kind = read.map_or(1, |read| read.leaf_node().credential().credential_type().0);
        let suite = read.map_or(1, |read| read.ciphersuite().0).clamp(1, 3);
        let of_suite = || Adder::new(Ciphersuite::try_from(suite).unwrap(), kind);
        self.adders.entry((suite, kind)).or_insert_with(of_suite)
    }
}

#[test]
fn what_is_admitted_can_be_added_and_what_can_be_added_is_admitted() {
    let mut run = Run::new(MUTATIONS);
    let mut random = run.random();
    let mut bobs = [1, 2, 3].map(Bob::new);
    let admission = OpenMlsAdmission::new();
    for round in run.rounds() {
        let bob = &mut bobs[random.below(3)];
        let bytes = random.mutated(&bob.draft, &bob.other, |content| bob.client.sign(content));
        let at = run.at(round);
        let answer = admission.admit(&bytes, &Uploader::unchecked(), bob.now);
        match run.trial(answer, bob.now) {
            Some(Trial::Admitted) => {
                let adder = bob.adder(&bytes);
                adder
                    .add(&bytes)
                    .unwrap_or_else(|error| panic!("admitted, and not added: {error}; {at}"));
                if run.adds.is_multiple_of(8) {
                    run.commits += 1;
                    let goes_on = adder.add_and_commit(&bytes);
                    goes_on.unwrap_or_else(|error| panic!("no commit after the add: {error}; {at}"));
                }
            }
            Some(Trial::Refused(refusal)) if bob.adder(&bytes).add(&bytes).is_ok() => {
                run.beyond += 1;
                assert!(is_beyond_openmls(refusal), "added, and refused as {refusal}; {at}");
                if let Refusal::InvalidKey(fault) = refusal
                    && run.beyond.is_multiple_of(run.sampled.min(8))
                    && !matches!(
                        fault,
                        KeyFault::Length {
                            found: 33,
                            expected: 65,
                            ..
                        }
                    )
                {
                    let goes_on = bob.adder(&bytes).add_and_commit(&bytes);
                    assert!(goes_on.is_err(), "the group goes on, and refused as {refusal}; {at}");
                }
            }
            _ => {}
        }
    }
    run.end("OpenMLS");
}
