use kp_core::Role;
use kp_core::rules::{Limits, Model};
use kp_core::server::{
    Admitted, LastResort, OnLapse, ReservationToken, Save, SaveMode, Spend, TakeRequest, Withdrawal,
};
use kp_core::{Ciphersuite, CredentialHash, GroupId, KeyPackageRef, Party, PoolId, Timestamp, Ttl};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{Call, Reply};
use crate::Method;
use crate::packages::{
    Altered, OTHER_SUITE, SUITE, Types, at, group, id, init_key, key_package_ref, one_time, party, ttl,
};

const SUITES: [Ciphersuite; 3] = [SUITE, OTHER_SUITE, Ciphersuite(0x0002)];

/// What packages support, and requests require.
const TYPES: [Types; 5] = [
    Types(&[0xF001], &[], &[1]),
    Types(&[0xF001, 0xF002], &[0xF001], &[1, 2]),
    Types(&[], &[0xF001, 0xF003], &[1]),
    Types(&[0xF002], &[], &[2]),
    Types(&[1, 5], &[1, 7], &[]),
];

/// Out of how much calls are drawn: little, so that they meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub(crate) pools: &'a [&'a str],
    pub(crate) packages: u64,
    pub(crate) ids: u64,
    /// The most packages of a save.
    pub(crate) batch: usize,
    /// Moments lie between 0 and this.
    pub(crate) moments: i64,
    /// With calls that are a series of steps: sweeps to their end, batches, and listings of all pools.
    pub(crate) in_steps: bool,
}

/// Draws calls from a seed. A model goes along, so that many of them are about something that is there.
#[derive(Debug)]
pub(crate) struct Draw<'a> {
    random: StdRng,
    scale: Scale<'a>,
    now: Timestamp,
    model: Model,
    offered: Vec<Method>,
}

impl<'a> Draw<'a> {
    pub(crate) fn new(seed: u64, scale: Scale<'a>) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            scale,
            now: at(0),
            model: Model::default(),
            offered: Method::ALL.to_vec(),
        }
    }

    /// Of calls of these methods alone.
    pub(crate) fn of(mut self, offers: impl Fn(Method) -> bool) -> Self {
        self.offered.retain(|method| offers(*method));
        self
    }

    /// For a store with these limits.
    pub(crate) fn limits(self, limits: Limits) -> Self {
        Self {
            model: Model::with_limits(limits),
            ..self
        }
    }

    /// The model as the calls so far have left it.
    pub(crate) const fn model(&self) -> &Model {
        &self.model
    }

    /// The next call.
    pub(crate) fn call(&mut self) -> Call {
        self.step().0
    }

    /// The next call, and what the rules answer.
    pub(crate) fn step(&mut self) -> (Call, Reply) {
        loop {
            let call = self.any();
            if self.offered.contains(&call.method()) {
                return call.answered(&mut self.model);
            }
        }
    }

    fn any(&mut self) -> Call {
        self.tick();
        let now = self.now;
        match self.random.random_range(0..100) {
            0..18 => self.save(),
            18..22 if self.scale.in_steps => {
                let lapse = self.one_of(&[OnLapse::Return, OnLapse::Retire]);
                let most = (self.scale.batch / 3).clamp(4, 20);
                let takes = (0..self.random.random_range(0..most)).map(|_| self.take());
                Call::ReserveMany(takes.collect(), lapse, now)
            }
            18..38 => {
                let lapse = self.one_of(&[OnLapse::Return, OnLapse::Retire]);
                Call::Reserve(self.take(), lapse, now)
            }
            38..52 => Call::Claim(self.take(), self.group(), now),
            52..64 => {
                let mut spend = Spend::new();
                (spend.group, spend.by) = (self.group(), self.party());
                Call::Spend(self.token(), spend, now)
            }
            64..68 => Call::Release(self.token(), now),
            68..72 => Call::Renew(self.token(), self.ttl(), now),
            72..77 => Call::Withdraw(self.pool(), self.withdrawal(), now),
            77..79 if !self.is_wide() || self.random.random_bool(0.1) => Call::Delete(self.pool()),
            79..84 => self.series(),
            84..89 if !self.scale.in_steps => self.series(),
            84..90 => {
                let named = key_package_ref(self.number());
                Call::Get(self.pool(), named, self.moment())
            }
            90..95 => {
                let limit = if self.scale.in_steps { self.limit() } else { 1_000 };
                Call::List {
                    pool: self.pool(),
                    limit,
                    now: self.moment(),
                }
            }
            95..97 => Call::Ready(self.pool(), self.moment()),
            _ => Call::Count(self.pool(), self.moment()),
        }
    }

    /// Reads of all pools, at some moment, and what the rules answer: everything, but of many packages only some.
    pub(crate) fn reads(&mut self) -> Vec<(Call, Reply)> {
        let now = self.moment();
        let mut calls = vec![Call::Pools { limit: self.limit() }];
        for pool in self.scale.pools {
            let pool = PoolId::try_from(*pool).expect("a short name is a pool id");
            let some = self.scale.packages.min(50);
            let first = self.random.random_range(0..=self.scale.packages - some);
            let refs: Vec<_> = (first..first + some).map(key_package_ref).collect();
            let get = |named: &KeyPackageRef| Call::Get(pool.clone(), named.clone(), now);
            calls.extend(refs.iter().take(15).map(get));
            let limit = self.limit();
            calls.extend([
                Call::Statuses(pool.clone(), refs, now),
                Call::Ready(pool.clone(), now),
                Call::Count(pool.clone(), now),
                Call::List { pool, limit, now },
            ]);
        }
        calls.retain(|call| self.offered.contains(&call.method()));
        calls.into_iter().map(|call| call.answered(&mut self.model)).collect()
    }

    /// Time stands still, goes on, jumps, and steps back (`TIME-3`).
    fn tick(&mut self) {
        let step = self.random.random_range(0..=self.scale.moments.unsigned_abs() / 8);
        self.now = match self.random.random_range(0..12) {
            0 => self.moment(),
            1 => self.now.minus(step).max(at(0)),
            2..6 => self.now.plus(step),
            _ => self.now,
        };
        if self.now > at(self.scale.moments) {
            self.now = at(0);
        }
    }

    /// Pools take long to fill, and are to stay so.
    fn is_wide(&self) -> bool {
        self.scale.packages >= 100
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        *items.choose(&mut self.random).expect("there are some")
    }

    fn moment(&mut self) -> Timestamp {
        at(self.random.random_range(0..=self.scale.moments))
    }

    /// How many at once: a page, a step of a sweep, the cap of a save.
    fn limit(&mut self) -> u32 {
        let most = self.scale.batch.max(4);
        self.random
            .random_range(0..=u32::try_from(most).expect("batches are small"))
    }

    fn pool(&mut self) -> PoolId {
        PoolId::try_from(self.one_of(self.scale.pools)).expect("a short name is a pool id")
    }

    /// Of a package.
    fn number(&mut self) -> u64 {
        self.random.random_range(0..self.scale.packages)
    }

    fn party(&mut self) -> Option<Party> {
        self.one_of(&[None, Some("alice"), Some("mallory")]).map(party)
    }

    fn group(&mut self) -> Option<GroupId> {
        self.one_of(&[None, Some("club"), Some("family")]).map(group)
    }

    /// The facts follow from the number, but now and then.
    fn package(&mut self) -> Admitted {
        let n = self.number();
        let (moments, wide) = (self.scale.moments, self.is_wide());
        let mut facts = StdRng::seed_from_u64(n);
        let facts = if self.random.random_bool(0.03) {
            &mut self.random
        } else {
            &mut facts
        };
        let begin = if facts.random_bool(0.8) {
            0
        } else {
            facts.random_range(0..moments)
        };
        let end = begin + facts.random_range(1..=moments);
        let suite = if facts.random_bool(0.6) {
            SUITE
        } else {
            *SUITES.choose(facts).expect("there are some")
        };
        let mut package = one_time(n).of(suite).valid(begin, end);
        // There is one slot a ciphersuite, so that a few do.
        package.info.role = Role::of(facts.random_bool(if wide { 0.02 } else { 0.25 }));
        if facts.random_bool(0.1) {
            package.info.credential = CredentialHash([8; 32]);
        }
        // Some share an init key, but most of those that have one have their own.
        let key = init_key(facts.random_range(0..4 * self.scale.packages));
        let fingerprint = facts.random_bool(0.5).then_some(key);
        let support = TYPES
            .choose(facts)
            .filter(|_| facts.random_bool(0.7))
            .map(|types| types.support());
        if self.random.random_bool(0.01) {
            package = package.with_bytes_of(n + self.scale.packages);
        }
        let mut item = Admitted::from(package);
        // Neither is a fact: an item may come without, and again with them.
        if self.random.random_bool(0.8) {
            (item.fingerprint, item.support) = (fingerprint, support);
        }
        item
    }

    fn save(&mut self) -> Call {
        let count = self.random.random_range(0..=self.scale.batch);
        let packages: Vec<_> = (0..count).map(|_| self.package()).collect();
        let mut save = Save::new(self.pool(), packages).expect("a small batch");
        if self.random.random_bool(0.25) {
            let replace = SaveMode::Replace;
            save.mode = self.one_of(&[replace, replace, replace, SaveMode::Amend]);
        }
        if self.random.random_bool(0.3) {
            save.cap_per_ciphersuite = self.limit();
        }
        Call::Save(save, self.now)
    }

    fn take(&mut self) -> TakeRequest {
        let n = self.random.random_range(0..self.scale.ids);
        let longest = self.longest();
        let mut take = TakeRequest::new(self.pool(), id(n), self.ttl());
        take.options.by = self.party();
        if self.random.random_bool(0.2) {
            take.limit = Some(self.random.random_range(0..5));
        }
        if self.random.random_bool(0.4) {
            let some = self.random.random_range(1..=SUITES.len());
            take.options.ciphersuites = SUITES.choose_multiple(&mut self.random, some).copied().collect();
        }
        if self.random.random_bool(0.2) {
            take.options.requirements = self.one_of(&TYPES).requirements();
        }
        if self.random.random_bool(0.2) {
            take.options.remaining = self.random.random_range(0..3 * longest);
        }
        let (never, fallback) = (LastResort::Never, LastResort::Fallback);
        take.options.last_resort = self.one_of(&[never, never, fallback, fallback, LastResort::Only]);
        if self.random.random_bool(0.2) {
            take.options.only = Some(key_package_ref(self.number()));
        }
        take
    }

    /// The longest time to live.
    fn longest(&self) -> u32 {
        u32::try_from(self.scale.moments / 3).expect("moments are few")
    }

    fn ttl(&mut self) -> Ttl {
        ttl(self.random.random_range(1..=self.longest()))
    }

    /// Mostly that of a reservation that is there.
    fn token(&mut self) -> ReservationToken {
        let pool = self.pool();
        let records = self.model.pool(&pool).into_iter().flat_map(|pool| &pool.records);
        let bound =
            records.filter_map(|(record, _)| Some((record.info.key_package_ref.clone(), *record.state.bound_id()?)));
        let bound: Vec<_> = bound.collect();
        let any = (
            key_package_ref(self.number()),
            id(self.random.random_range(0..self.scale.ids)),
        );
        let known = bound.choose(&mut self.random).filter(|_| self.random.random_bool(0.9));
        let (key_package_ref, id) = known.cloned().unwrap_or(any);
        ReservationToken::new(pool, key_package_ref, id)
    }

    fn withdrawal(&mut self) -> Withdrawal {
        if self.random.random_bool(0.2) {
            return Withdrawal::All;
        }
        let count = self.random.random_range(0..4);
        let refs = (0..count).map(|_| key_package_ref(self.number()));
        Withdrawal::Refs(refs.collect())
    }

    /// A call on all pools. Without those in steps, one that is one step when there is one pool, or a clean-up.
    fn series(&mut self) -> Call {
        let (limit, now) = (self.limit(), self.now);
        let in_steps = self.scale.in_steps;
        match self.random.random_range(0..4) {
            0 => Call::Retire {
                saved_before: self.moment(),
                limit,
                now,
            },
            1 => Call::Settle {
                limit: if in_steps { limit } else { 1 },
                now,
            },
            2 if in_steps => Call::Pools { limit },
            // A sweep forgets, so that it mostly runs behind (DIR-4).
            _ => {
                let now = if self.random.random_bool(0.7) {
                    now
                } else {
                    at(self.scale.moments)
                };
                let now = self.moment().min(now);
                Call::CleanUp { limit, now }
            }
        }
    }
}
