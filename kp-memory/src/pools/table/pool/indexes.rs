//! Compares the indexes of a pool with its records, after each of many random calls.

use kp_core::rules;
use kp_core::server::{OnLapse, ReservationToken, Save, SaveMode, Spend, TakeOptions, TakeRequest, Withdrawal};
use kp_core::{CredentialHash, KeyPackage, KeyPackageBytes, Lifetime, PoolId, Role, Ttl};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

impl Pool {
    /// Fails unless each index holds what the records say, and nothing is kept beside a record that is of no more use.
    fn check(&self, told: &str) {
        let keys = |which: &dyn Fn(&Entry) -> bool| -> Vec<Key> {
            let entries = self.entries.iter().filter(|(_, entry)| which(entry));
            entries.map(|(key, _)| key).collect()
        };
        let indexed = |index: &HashTable<Key>| -> Vec<Key> {
            let mut keys: Vec<_> = index.iter().copied().collect();
            keys.sort_unstable();
            keys
        };
        let has_id = |entry: &Entry| entry.bound_id().is_some();
        let is_in_slot = |entry: &Entry| matches!(entry.state(), State::Slot { .. });
        assert_eq!(indexed(&self.by_ref), keys(&|_| true), "refs, {told}");
        assert_eq!(indexed(&self.by_id), keys(&has_id), "ids, {told}");
        let has_fingerprint = |entry: &Entry| entry.fingerprint().is_some();
        assert_eq!(indexed(&self.by_init_key), keys(&has_fingerprint), "init keys, {told}");
        assert_eq!(self.slots, keys(&is_in_slot), "slots, {told}");

        let (mut lapses, mut taken) = (Vec::new(), HashMap::<Party, u32>::default());
        for (key, entry) in self.entries.iter() {
            let state = entry.state();
            lapses.extend(state.lapses_at().map(|at| (at, key)));
            if let Some(party) = state.reserver() {
                *taken.entry(party.clone()).or_default() += 1;
            }
            assert_eq!(entry.bytes().is_some(), state.keeps_bytes(), "bytes, {told}");
            assert!(entry.support().is_none() || state.keeps_bytes(), "support, {told}");
        }
        lapses.sort_unstable();
        let (known, few_are_stale) = self.lapses.all(lapses_at(&self.entries));
        assert_eq!(known, lapses, "ends of leases, {told}");
        assert!(few_are_stale, "stale ends of leases, {told}");
        assert_eq!(self.taken, taken, "what parties took, {told}");

        let sequences: Vec<_> = self.records().map(|record| record.sequence).collect();
        assert!(sequences.is_sorted_by(|one, next| one < next), "sequences, {told}");
        assert!(
            sequences.last() < Some(&self.next_sequence),
            "the next sequence, {told}"
        );

        let first = self.records().map(|record| record.info.lifetime.not_after()).min();
        assert_eq!(
            self.earliest.is_some(),
            first.is_some(),
            "a pool that holds something, {told}"
        );
        assert!(self.earliest <= first, "the first end of a lifetime, {told}");
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(seconds).unwrap()
}

/// A package of this number: some share an init key, and some have none. What it supports may be known or not.
fn item(number: u8, supports: bool) -> Admitted {
    let lifetime = Lifetime::new(at(0), at(20 + 3 * i64::from(number))).unwrap();
    let named = KeyPackageRef::try_from([number].as_slice()).unwrap();
    let suite = Ciphersuite(1 + u16::from(number % 2));
    let info = KeyPackageInfo::new(named, suite, lifetime, CredentialHash([0; 32])).role(Role::of(number % 10 == 9));
    let bytes = KeyPackageBytes::try_from([number].as_slice()).unwrap();
    let mut item = Admitted::new(KeyPackage::new(info, bytes));
    if supports {
        item.support = Support::new([], [], []);
        item.fingerprint = (!number.is_multiple_of(3)).then(|| InitKeyFingerprint::from_bytes([number / 2; 8]));
    }
    item
}

#[test]
fn the_indexes_are_what_the_records_say() {
    let name = PoolId::try_from("bob").unwrap();
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut pool, mut tokens) = (Pool::default(), Vec::<ReservationToken>::new());
        for step in 0..250 {
            let now = at(rng.random_range(0..120));
            let id = ReservationId::from_bytes([rng.random_range(0..8); 16]);
            let by = Party::try_from([rng.random_range(1..4)].as_slice()).unwrap();
            let options = TakeOptions::new().by(by);
            let take =
                TakeRequest::new(name.clone(), id, Ttl::seconds(rng.random_range(1..40)).unwrap()).options(options);
            let token = tokens.get(rng.random_range(0..tokens.len().max(1))).cloned();
            match (rng.random_range(0..12), token) {
                (0..3, _) => {
                    let items: Vec<_> = (0..rng.random_range(1..6))
                        .map(|_| item(rng.random_range(0..30), rng.random_bool(0.7)))
                        .collect();
                    let mode = [SaveMode::Append, SaveMode::Append, SaveMode::Replace, SaveMode::Amend];
                    let save = Save::new(name.clone(), items)
                        .unwrap()
                        .mode(mode[rng.random_range(0..4)]);
                    rules::save(&mut pool, &save, rules::Limits::default(), now).unwrap();
                }
                (3, _) => {
                    let lapse = [OnLapse::Return, OnLapse::Retire][rng.random_range(0..2)];
                    let reserved = rules::reserve(&mut pool, &take, lapse, now).unwrap();
                    tokens.extend(reserved.ok().and_then(|reserved| Some(reserved.lease?.token)));
                }
                (4, _) => _ = rules::claim(&mut pool, &take, None, now).unwrap(),
                (5, Some(token)) => _ = rules::spend(&mut pool, &token, &Spend::new(), now).unwrap(),
                (6, Some(token)) => _ = rules::release(&mut pool, &token, now).unwrap(),
                (7, Some(token)) => _ = rules::renew(&mut pool, &token, take.ttl, now).unwrap(),
                (8, _) => {
                    let named = KeyPackageRef::try_from([rng.random_range(0..30)].as_slice()).unwrap();
                    rules::withdraw(&mut pool, &Withdrawal::Refs(vec![named]), now).unwrap();
                }
                _ => _ = pool.sweep(now, rng.random_range(1..30)).unwrap(),
            }
            pool.check(&format!("seed {seed}, step {step}"));
        }
    }
}
