//! Random faults in the fields and the bytes of a KeyPackage.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::draft::{CREDENTIALS, Draft, EXTENSIONS, certificate_of, compressed, opaque};

/// A number from the environment.
pub fn number(name: &str, default: u64) -> u64 {
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
