//! Random faults in the fields and the bytes of a KeyPackage, and what an admission says of them.

use std::collections::BTreeMap;
use std::ops::Range;

use kp_core::Timestamp;
use kp_core::protocol::Refusal;
use kp_core::server::Admitted;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::draft::{CREDENTIALS, Draft, EXTENSIONS, certificate_of, compressed, opaque};

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Draws mutations from a seed.
pub struct Random(StdRng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound.max(1))
    }

    pub fn of<T: Clone>(&mut self, choices: &[T]) -> T {
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
            6 if key.len() == 65 => *key = compressed(key),
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

    /// The KeyPackage with one to three faults, signed again.
    pub fn mutated(&mut self, draft: &Draft, other: &Draft, sign: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut draft = draft.clone();
        for _ in 0..=self.below(2) {
            self.change(&mut draft, other);
        }
        let (in_leaf, in_package) = (self.below(12) == 0, self.below(12) == 0);
        draft.signed_with(sign, |label, tbs| {
            if (label == "LeafNodeTBS" && in_leaf) || (label == "KeyPackageTBS" && in_package) {
                self.change_bytes(tbs);
            }
        })
    }
}

/// A run of mutations, as the environment asks for it: `KP_MUTATIONS` says how many, `KP_SEED` where they begin. Of what is
/// admitted, one of `KP_SAMPLED` is added, so that a long run ends; of what is refused, all.
pub struct Run {
    seed: u64,
    mutations: u64,
    pub sampled: u64,
    admitted: u64,
    waiting: u64,
    /// How many of the admitted are added, and with how many of these a commit follows.
    pub adds: u64,
    pub commits: u64,
    /// How many are refused, and added all the same.
    pub beyond: u64,
    codes: BTreeMap<&'static str, u64>,
}

/// What the library is to say of a mutation.
pub enum Trial {
    /// It is admitted, and so it can be added.
    Admitted,
    Refused(Refusal),
}

impl Run {
    pub fn new(mutations: u64) -> Self {
        Self {
            seed: number("KP_SEED", 0x9E37_79B9_7F4A_7C15),
            mutations: number("KP_MUTATIONS", mutations),
            sampled: number("KP_SAMPLED", 1),
            admitted: 0,
            waiting: 0,
            adds: 0,
            commits: 0,
            beyond: 0,
            codes: BTreeMap::new(),
        }
    }

    pub fn random(&self) -> Random {
        Random::new(self.seed)
    }

    pub fn rounds(&self) -> Range<u64> {
        0..self.mutations
    }

    /// Where a round is found again.
    pub fn at(&self, round: u64) -> String {
        format!("seed {:#x}, round {round}", self.seed)
    }

    /// Counts what the admission said, and returns what the library is to be asked.
    pub fn trial(&mut self, answer: Result<Admitted, Refusal>, now: Timestamp) -> Option<Trial> {
        match answer {
            // No pool hands such a package out before its lifetime begins.
            Ok(admitted) if now < admitted.package.info.lifetime.not_before() => {
                self.waiting += 1;
                None
            }
            Ok(_) => {
                self.admitted += 1;
                let is_sampled = self.admitted.is_multiple_of(self.sampled);
                self.adds += u64::from(is_sampled);
                is_sampled.then_some(Trial::Admitted)
            }
            Err(refusal) => {
                *self.codes.entry(refusal.code()).or_default() += 1;
                Some(Trial::Refused(refusal))
            }
        }
    }

    /// Prints what came of it. Every kind of fault was among them.
    pub fn end(self, library: &str) {
        let Self {
            seed,
            mutations,
            admitted,
            waiting,
            adds,
            commits,
            beyond,
            codes,
            ..
        } = self;
        println!(
            "{mutations} mutations, seed {seed:#x}: {admitted} admitted, {adds} added, {commits} of them with a commit after"
        );
        println!("admitted besides, and not valid yet: {waiting}");
        println!("refused: {codes:?}; {beyond} of them {library} adds");
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
}
