//! What the admission takes, OpenMLS adds; and what OpenMLS adds, the admission takes, but for policy and for what RFC 9420
//! demands beyond OpenMLS (ADM-2). On random mutations that are signed again with the real key.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod adder;
mod client;
mod draft;

use std::collections::BTreeMap;

use adder::Adder;
use client::{Client, builder};
use draft::{CREDENTIALS, Draft, EXTENSIONS, certificate_of, opaque};
use kp_core::Timestamp;
use kp_core::key_package::UnverifiedKeyPackage;
use kp_core::protocol::{KeyFault, LeafFault, Refusal};
use kp_core::server::{Admission, Uploader};
use kp_openmls::OpenMlsAdmission;
use openmls_traits::types::Ciphersuite;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// How many KeyPackages are tried. `KP_MUTATIONS=1000000` tries more; `KP_SEED` begins elsewhere.
const MUTATIONS: u64 = 3_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Draws mutations from a seed.
struct Random(StdRng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound.max(1))
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// A key that is another key, or none.
    fn change_key(&mut self, key: &mut Vec<u8>, other: &[u8]) {
        match self.below(8) {
            0 => key.truncate(self.below(key.len())),
            1 => key.push(self.0.random()),
            2 => key.fill(0),
            3 => key.clear(),
            4 => *key = other.to_vec(),
            5 => *key = (0..key.len()).map(|_| self.0.random()).collect(),
            6 if key.len() == 65 => *key = [&[2 | key[64] & 1], &key[1..33]].concat(),
            _ if !key.is_empty() => {
                let at = self.below(key.len());
                key[at] ^= 1 << self.below(8);
            }
            _ => {}
        }
    }

    fn change_list(&mut self, list: &mut Vec<u16>) {
        let known = [0, 1, 2, 3, 4, 5, 7, 10, 0x0A0A, 0x1A1A, 0xF123, 0xF999, 0xFAFA];
        match self.below(5) {
            0 => list.clear(),
            1 if !list.is_empty() => drop(list.remove(self.below(list.len()))),
            2 => list.extend(list.clone()),
            _ => list.insert(self.below(list.len() + 1), self.of(&known)),
        }
    }

    /// Adds an extension, and mostly lists the type.
    fn change_extensions(&mut self, extensions: &mut Vec<(u16, Vec<u8>)>, listed: &mut Vec<u16>) {
        let kind = self.of(&[0, 1, 2, 3, 4, 5, 6, 7, 10, 10, 0x0A0A, 0xF123, 0xF123, 0xF999, 0xFAFA]);
        let data = self.of(&[vec![], vec![0], vec![0; 3], opaque(b"id"), vec![0x40, 0], vec![7; 100]]);
        if self.below(4) > 0 {
            listed.push(kind);
        }
        extensions.push((kind, data));
        if self.below(10) == 0 {
            extensions.extend(extensions.clone());
        }
    }

    fn change_credential(&mut self, draft: &mut Draft) {
        let kind = self.of(&[0, 1, 2, 2, 2, 0x0A0A, 0xF123]);
        let own_key = draft.signature_key.clone();
        draft.credential.0 = kind;
        draft.credential.1 = match self.below(6) {
            0 => vec![],
            1 => opaque(b"garbage"),
            2 => certificate_of(&draft.init_key),
            3 => [certificate_of(&own_key), certificate_of(&own_key)].concat(),
            4 => (0..self.below(200)).map(|_| self.0.random()).collect(),
            _ => certificate_of(&own_key),
        };
        if self.below(4) > 0 {
            draft.capabilities[CREDENTIALS].push(kind);
        }
    }

    fn change(&mut self, draft: &mut Draft, other: &Draft) {
        match self.below(20) {
            0 => draft.version = self.of(&[0, 2, 0x0100]),
            1 => draft.ciphersuite = self.of(&[0, 1, 2, 3, 5, 0x0A0A]),
            2 | 3 => self.change_key(&mut draft.init_key, &other.init_key),
            4 | 5 => self.change_key(&mut draft.encryption_key, &draft.init_key.clone()),
            6 => self.change_key(&mut draft.signature_key, &other.signature_key),
            7 | 8 => self.change_credential(draft),
            9 => draft.credential.1 = (0..self.below(300)).map(|_| self.0.random()).collect(),
            10 => draft.source = self.of(&[0, 2, 3, 4]),
            // Not between five seconds and an hour ahead: OpenMLS waits, and the admission need not.
            11 => {
                draft.lifetime.0 = self.of(&[
                    0,
                    draft.lifetime.0.saturating_sub(9),
                    draft.lifetime.0.saturating_add(20_000),
                    u64::MAX,
                ])
            }
            12 => draft.lifetime.1 = self.of(&[0, draft.lifetime.0, draft.lifetime.1.saturating_add(9), u64::MAX]),
            13 | 14 => self.change_extensions(&mut draft.leaf_extensions, &mut draft.capabilities[EXTENSIONS]),
            15 | 16 => self.change_extensions(&mut draft.extensions, &mut draft.capabilities[EXTENSIONS]),
            _ => {
                let list = self.below(5);
                self.change_list(&mut draft.capabilities[list]);
            }
        }
    }

    /// Changes bytes anywhere, whatever they mean.
    fn change_bytes(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(4) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, self.0.random()),
            _ => bytes[at] ^= 1 << self.below(8),
        }
    }
}

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
            draft: Draft::of(&package),
            other: Draft::of(&Client::new("eve", suite).build(builder())),
            now: Timestamp::try_from(not_before).unwrap().plus(3_600),
            client,
            adders: BTreeMap::new(),
        }
    }

    fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut draft = self.draft.clone();
        for _ in 0..=random.below(2) {
            random.change(&mut draft, &self.other);
        }
        let (in_leaf, in_package) = (random.below(12) == 0, random.below(12) == 0);
        draft.signed_with(&self.client.signer, |label, tbs| {
            if (label == "LeafNodeTBS" && in_leaf) || (label == "KeyPackageTBS" && in_package) {
                random.change_bytes(tbs);
            }
        })
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
    let seed = number("KP_SEED", 0x9E37_79B9_7F4A_7C15);
    let (mutations, mut random) = (number("KP_MUTATIONS", MUTATIONS), Random(StdRng::seed_from_u64(seed)));
    // Of what is admitted, one of so many is added, so that a long run ends; of what is refused, all.
    let sampled = number("KP_SAMPLED", 1);
    let mut bobs = [1, 2, 3].map(Bob::new);
    let admission = OpenMlsAdmission::new();
    let (mut admitted, mut adds, mut commits, mut beyond) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut codes = BTreeMap::new();
    for round in 0..mutations {
        let bob = &mut bobs[random.below(3)];
        let bytes = bob.mutated(&mut random);
        let at = format!("seed {seed:#x}, round {round}");
        let refusal = match admission.admit(&bytes, &Uploader::unchecked(), bob.now) {
            Ok(_) => {
                admitted += 1;
                if admitted % sampled == 0 {
                    adds += 1;
                    let adder = bob.adder(&bytes);
                    adder
                        .add(&bytes)
                        .unwrap_or_else(|error| panic!("admitted, and not added: {error}; {at}"));
                    if adds % 8 == 0 {
                        commits += 1;
                        let goes_on = adder.add_and_commit(&bytes);
                        goes_on.unwrap_or_else(|error| panic!("no commit after the add: {error}; {at}"));
                    }
                }
                continue;
            }
            Err(refusal) => refusal,
        };
        *codes.entry(refusal.code()).or_insert(0_u64) += 1;
        if bob.adder(&bytes).add(&bytes).is_ok() {
            beyond += 1;
            assert!(is_beyond_openmls(refusal), "added, and refused as {refusal}; {at}");
            if let Refusal::InvalidKey(fault) = refusal
                && beyond % sampled.min(8) == 0
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
    }
    println!(
        "{mutations} mutations, seed {seed:#x}: {admitted} admitted, {adds} added, {commits} of them with a commit after"
    );
    println!("refused: {codes:?}; {beyond} of them OpenMLS adds");
    let expected = [
        "bad_signature",
        "invalid_key",
        "invalid_leaf",
        "lifetime_too_wide",
        "malformed",
        "other",
    ];
    assert!(expected.iter().all(|code| codes.contains_key(code)), "{codes:?}");
    assert!(
        admitted > mutations / 20 && beyond > 0,
        "{admitted} admitted, {beyond} beyond"
    );
}
