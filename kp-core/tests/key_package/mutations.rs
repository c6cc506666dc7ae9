//! Mutations at random: the reader never panics, and what it reads has one encoding.

use kp_core::key_package::{Extensions, UnverifiedKeyPackage};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::draft::{Draft, opaque};

/// How many mutations are tried. `KP_MUTATIONS=1000000` tries more; `KP_SEED` begins elsewhere.
const MUTATIONS: u64 = 20_000;

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

    /// Flips, sets, inserts, repeats or cuts.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let until = (at + self.below(9)).min(bytes.len());
        match self.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x3F, 0x40, 0x80, 0xFF][self.below(6)],
            2 => bytes.insert(at, self.0.random()),
            3 => bytes.splice(at..at, bytes[at..until].to_vec()).for_each(drop),
            4 => bytes.drain(at..until).for_each(drop),
            _ => bytes.truncate(at.max(1)),
        }
    }
}

fn drafts() -> Vec<Vec<u8>> {
    let long = Draft {
        credential: (2, opaque(&opaque(&[0x30; 300]))),
        supported_extensions: (0..9_000).collect(),
        ..Draft::new()
    };
    let short = Draft {
        init_key: vec![],
        encryption_key: vec![1],
        leaf_extensions: vec![],
        extensions: vec![],
        ..Draft::new()
    };
    let wrapped = [&[0, 1, 0, 5], &*Draft::new().bytes()].concat();
    // A long one takes long to mutate, and so is one of ten.
    let mut drafts = vec![long.bytes()];
    for _ in 0..3 {
        drafts.extend([Draft::new().bytes(), wrapped.clone(), short.bytes()]);
    }
    drafts
}

#[test]
fn mutations_never_panic_and_have_one_encoding() {
    let seed = number("KP_SEED", 0x9E37_79B9_7F4A_7C15);
    let (mutations, mut random, drafts) = (
        number("KP_MUTATIONS", MUTATIONS),
        Random(StdRng::seed_from_u64(seed)),
        drafts(),
    );
    let (mut readable, mut checked) = (0_u64, 0_u64);
    for round in 0..mutations {
        let mut bytes = drafts[random.below(drafts.len())].clone();
        for _ in 0..=random.below(3) {
            random.mutate(&mut bytes);
        }
        let Ok(package) = UnverifiedKeyPackage::read(&bytes) else {
            continue;
        };
        readable += 1;
        checked += u64::from(package.check().is_ok());
        let bare = UnverifiedKeyPackage::bare(&bytes);
        assert_eq!(package.bytes(), bare, "seed {seed:#x}, round {round}");
        assert_eq!(written(&package), bare, "seed {seed:#x}, round {round}");
        assert!(format!("{package:?}").len() < 20 * bytes.len() + 1_000);
    }
    println!("{mutations} mutations, seed {seed:#x}: {readable} readable, {checked} checked");
    assert!(readable > mutations / 20 && checked > 0 && checked < readable);
}

/// Writes the KeyPackage from what the view shows.
fn written(package: &UnverifiedKeyPackage<'_>) -> Vec<u8> {
    let list = |extensions: Extensions<'_>| {
        let all = extensions.iter().map(|it| (it.extension_type.0, it.data.to_vec()));
        all.collect()
    };
    let (leaf, capabilities) = (package.leaf_node(), package.leaf_node().capabilities());
    let credential = leaf.credential();
    assert_eq!(
        credential.end_entity_key().is_some(),
        credential.end_entity_key().is_some_and(|key| key.len() < 400)
    );
    let draft = Draft {
        version: package.version().0,
        ciphersuite: package.ciphersuite().0,
        init_key: package.init_key().to_vec(),
        encryption_key: leaf.encryption_key().to_vec(),
        signature_key: leaf.signature_key().to_vec(),
        credential: (credential.credential_type().0, credential.content().to_vec()),
        versions: capabilities.versions().iter().map(|it| it.0).collect(),
        ciphersuites: capabilities.ciphersuites().iter().map(|it| it.0).collect(),
        supported_extensions: capabilities.extensions().iter().map(|it| it.0).collect(),
        proposals: capabilities.proposals().iter().map(|it| it.0).collect(),
        credentials: capabilities.credentials().iter().map(|it| it.0).collect(),
        source: 1,
        lifetime: (leaf.not_before(), leaf.not_after()),
        leaf_extensions: list(leaf.extensions()),
        leaf_signature: leaf.signed().signature.to_vec(),
        extensions: list(package.extensions()),
        signature: package.signed().signature.to_vec(),
    };
    assert_eq!(draft.leaf_tbs(), leaf.signed().content);
    assert_eq!(draft.tbs(), package.signed().content);
    draft.bytes()
}
