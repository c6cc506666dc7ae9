use kp_core::rules::Model;
use kp_core::{
    Ciphersuite, GroupId, LastResort, OnLapse, Package, Party, PoolId, Removal, ReservationToken, Save, SaveMode, Take,
    Timestamp, Usage,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::Call;
use crate::packages::{Altered, OTHER_SUITE, SUITE, at, group, id, key_package_ref, one_time, party, ttl};

/// Out of how much calls are drawn: little, so that they meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) pools: &'static [&'static str],
    pub(crate) packages: u64,
    pub(crate) ids: u64,
    /// The most packages of a save.
    pub(crate) batch: usize,
    /// Moments lie between 0 and this.
    pub(crate) moments: i64,
    /// With calls that are a series of steps: sweeps, and listings of all pools.
    pub(crate) in_steps: bool,
}

/// Draws calls from a seed. A model goes along, so that many of them are about something that is there.
#[derive(Debug)]
pub(crate) struct Draw {
    random: StdRng,
    scale: Scale,
    now: Timestamp,
    model: Model,
}

impl Draw {
    pub(crate) fn new(seed: u64, scale: Scale) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            scale,
            now: at(0),
            model: Model::default(),
        }
    }

    /// The next call.
    pub(crate) fn call(&mut self) -> Call {
        self.tick();
        let now = self.now;
        let call = match self.random.random_range(0..100) {
            0..18 => self.save(),
            18..38 => {
                let lapse = self.one_of(&[OnLapse::Return, OnLapse::Retire]);
                Call::Reserve(self.take(), lapse, now)
            }
            38..52 => Call::Claim(self.take(), self.group(), now),
            52..64 => {
                let usage = Usage {
                    group: self.group(),
                    by: self.party(),
                };
                Call::Spend(self.token(), usage, now)
            }
            64..72 => Call::Release(self.token(), now),
            72..77 => Call::Withdraw(self.pool(), self.removal(), now),
            77..79 => Call::Delete(self.pool()),
            79..84 => self.series(),
            84..90 => {
                let n = self.random.random_range(0..self.scale.packages);
                Call::Get(self.pool(), key_package_ref(n), self.moment())
            }
            90..95 => {
                let limit = if self.scale.in_steps { self.limit() } else { 1_000 };
                Call::List {
                    pool: self.pool(),
                    limit,
                    now: self.moment(),
                }
            }
            _ => Call::Count(self.pool(), self.moment()),
        };
        call.answered_by(&mut self.model);
        call
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

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        *items.choose(&mut self.random).expect("there are some")
    }

    fn moment(&mut self) -> Timestamp {
        at(self.random.random_range(0..=self.scale.moments))
    }

    fn limit(&mut self) -> u32 {
        self.random.random_range(0..5)
    }

    fn pool(&mut self) -> PoolId {
        PoolId::try_from(self.one_of(self.scale.pools)).expect("a short name is a pool id")
    }

    fn party(&mut self) -> Option<Party> {
        self.one_of(&[None, Some("alice"), Some("mallory")]).map(party)
    }

    fn group(&mut self) -> Option<GroupId> {
        self.one_of(&[None, Some("club"), Some("family")]).map(group)
    }

    /// The facts follow from the number, but now and then.
    fn package(&mut self) -> Package {
        let n = self.random.random_range(0..self.scale.packages);
        let mut facts = StdRng::seed_from_u64(n);
        let facts = if self.random.random_bool(0.03) {
            &mut self.random
        } else {
            &mut facts
        };
        let moments = self.scale.moments;
        let begin = if facts.random_bool(0.8) {
            0
        } else {
            facts.random_range(0..moments)
        };
        let end = begin + facts.random_range(1..=moments);
        let suite = if facts.random_bool(0.7) { SUITE } else { OTHER_SUITE };
        let mut package = one_time(n).of(suite).valid(begin, end);
        package.info.last_resort = facts.random_bool(0.25);
        if facts.random_bool(0.02) {
            package = package.with_bytes_of(n + 1_000);
        }
        package
    }

    fn save(&mut self) -> Call {
        let count = self.random.random_range(0..=self.scale.batch);
        let packages = (0..count).map(|_| self.package()).collect();
        let mut save = Save::new(self.pool(), packages).expect("a small batch");
        if self.random.random_bool(0.2) {
            save.mode = SaveMode::Replace;
        }
        if self.random.random_bool(0.3) {
            save.cap_per_suite = self.limit();
        }
        Call::Save(save, self.now)
    }

    fn take(&mut self) -> Take {
        let n = self.random.random_range(0..self.scale.ids);
        let longest = u32::try_from(self.scale.moments / 3).expect("moments are few");
        let mut take = Take::new(self.pool(), id(n), ttl(self.random.random_range(1..=longest)));
        take.by = self.party();
        if self.random.random_bool(0.2) {
            take.limit = Some(self.limit());
        }
        if self.random.random_bool(0.3) {
            take.suites = vec![self.one_of::<Ciphersuite>(&[SUITE, OTHER_SUITE])];
        }
        if self.random.random_bool(0.2) {
            take.remaining = self.random.random_range(0..3 * longest);
        }
        let (never, fallback) = (LastResort::Never, LastResort::Fallback);
        take.last_resort = self.one_of(&[never, never, fallback, fallback, LastResort::Only]);
        if self.random.random_bool(0.2) {
            take.only = Some(key_package_ref(self.random.random_range(0..self.scale.packages)));
        }
        take
    }

    /// Mostly that of a reservation that is there.
    fn token(&mut self) -> ReservationToken {
        let pool = self.pool();
        let records = self.model.pool(&pool).into_iter().flat_map(|pool| &pool.records);
        let bound = records.filter_map(|(record, _)| Some((record.info.key_package_ref.clone(), *record.bound_id()?)));
        let bound: Vec<_> = bound.collect();
        let any = (
            key_package_ref(self.random.random_range(0..self.scale.packages)),
            id(self.random.random_range(0..self.scale.ids)),
        );
        let known = bound.choose(&mut self.random).filter(|_| self.random.random_bool(0.9));
        let (key_package_ref, id) = known.cloned().unwrap_or(any);
        ReservationToken::new(pool, key_package_ref, id)
    }

    fn removal(&mut self) -> Removal {
        if self.random.random_bool(0.2) {
            return Removal::All;
        }
        let count = self.random.random_range(0..4);
        let refs = (0..count).map(|_| key_package_ref(self.random.random_range(0..self.scale.packages)));
        Removal::Refs(refs.collect())
    }

    /// A call on all pools. Without those in steps, one that is one step when there is one pool.
    fn series(&mut self) -> Call {
        let (limit, now) = (self.limit(), self.now);
        let which = if self.scale.in_steps {
            self.random.random_range(0..4)
        } else {
            0
        };
        match which {
            0 => Call::Retire {
                saved_before: self.moment(),
                limit,
                now,
            },
            1 => Call::Settle { limit, now },
            2 => Call::Pools { limit },
            // A sweep forgets, so that it mostly runs behind (DIR-4).
            _ => Call::CleanUp {
                limit,
                now: self.moment().min(now),
            },
        }
    }
}
