mod calls;
mod torn;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kp_conformance::{Method, ReferenceStore};
use kp_core::rules::{Answer, Limits, Model};
use kp_core::server::ReservationToken;
use kp_core::{PoolId, Timestamp};

use crate::flaw::{Call, Flaw, Records, Torn};
use crate::gate::Gate;
use crate::locks::Locks;

/// A handle on the reference store with a flaw.
#[derive(Clone)]
pub(crate) struct FlawedStore {
    flaw: Flaw,
    limits: Limits,
    correct: ReferenceStore,
    /// How many packages were taken without the id of their request.
    unbound: Arc<AtomicU64>,
    /// Where the calls meet, if it is wrong only in a race.
    gate: Option<Arc<Gate>>,
    /// Whether a claim is under way, or was ([`Torn::KeepsItsLock`]).
    locked: Arc<AtomicBool>,
    /// [`Torn::LocksAsItGoes`]
    locks: Locks,
    /// The pools that were leased from, if the flaw has it so.
    due: Arc<Mutex<HashSet<PoolId>>>,
    /// The pools that were found exhausted, if the flaw has it so.
    exhausted: Arc<Mutex<HashSet<PoolId>>>,
    /// What this handle remembers of all pools, for the reads that the flaw answers from memory.
    remembered: Arc<Mutex<Option<Model>>>,
    /// Shared by all handles.
    handles: Arc<()>,
}

impl FlawedStore {
    pub(crate) fn new(flaw: Flaw, limits: Limits) -> Self {
        Self {
            flaw,
            limits,
            correct: ReferenceStore::with_limits(limits),
            unbound: Arc::default(),
            gate: flaw.torn.filter(|torn| torn.races()).map(Gate::of).map(Arc::new),
            locked: Arc::default(),
            locks: Locks::default(),
            due: Arc::default(),
            exhausted: Arc::default(),
            remembered: Arc::default(),
            handles: Arc::default(),
        }
    }

    /// Another handle; the first after all others were dropped opens the store again.
    pub(crate) fn handle(&self) -> Self {
        if Arc::strong_count(&self.handles) == 1 {
            self.on_each(&self.pools(), |records| (self.flaw.reopened)(records));
        }
        let remembered = Arc::default();
        Self {
            remembered,
            ..self.clone()
        }
    }

    /// What a read is answered from: what is there, or what this handle remembers.
    fn readable(&self, method: Method) -> ReferenceStore {
        if !self.flaw.remembers.contains(&method) {
            return self.correct.clone();
        }
        let now = self.model().clone();
        let model = self.remembered().get_or_insert(now).clone();
        let readable = ReferenceStore::with_limits(self.limits);
        *readable.model() = model;
        readable
    }

    fn remembered(&self) -> MutexGuard<'_, Option<Model>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does to the same ref in every other pool what was done in this one, if the flaw has it so.
    fn reach(&self, method: Method, token: &ReservationToken, step: impl Fn(&mut Records<'_>, &ReservationToken)) {
        if !self.flaw.reaches.contains(&method) {
            return;
        }
        for pool in self.pools().into_iter().filter(|pool| *pool != token.pool) {
            let reached = ReservationToken::new(pool.clone(), token.key_package_ref.clone(), token.id());
            self.at_once(&pool, |records| step(records, &reached));
        }
    }

    /// Whether the oldest package of a pool that was found exhausted has expired: behind it, the flaw does not look.
    fn seems_exhausted(&self, pool: &PoolId, now: Timestamp) -> bool {
        let noted = self
            .exhausted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(pool);
        noted
            && self.at_once(pool, |records| {
                records
                    .pool
                    .records
                    .first()
                    .is_some_and(|(oldest, _)| oldest.is_expired(now))
            })
    }

    fn note_exhausted(&self, pool: &PoolId) {
        if self.flaw.notes_exhausted_pools {
            let mut exhausted = self.exhausted.lock().unwrap_or_else(PoisonError::into_inner);
            exhausted.insert(pool.clone());
        }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.correct.model()
    }

    /// Whether a list of the call is too long (COST-1).
    fn refuses(&self, bounded: Answer<()>) -> bool {
        self.flaw.bounds_lists && bounded.is_err()
    }

    /// One atomic step.
    fn at_once<T>(&self, pool: &PoolId, step: impl FnOnce(&mut Records<'_>) -> T) -> T {
        let (flaw, limits) = (&self.flaw, self.limits);
        self.model().step(pool, |pool| {
            if self.gate.is_none() && flaw.remembers.is_empty() {
                return Ok(step(&mut Records { pool, flaw, limits }));
            }
            let before = pool.clone();
            let result = step(&mut Records { pool, flaw, limits });
            if *pool != before {
                *self.remembered() = None;
                if let Some(gate) = &self.gate {
                    gate.come_in();
                }
            }
            Ok(result)
        })
    }

    fn due(&self) -> MutexGuard<'_, HashSet<PoolId>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a pool is due, if the flaw has it so, that is gone.
    fn is_due_for_a_gone_pool(&self) -> bool {
        let pools = self.pools();
        self.due().iter().any(|pool| !pools.contains(pool))
    }

    /// The first of the two steps of a torn call: reads, and then lets others in.
    async fn first<T>(&self, read: impl FnOnce(&mut Model) -> T) -> T {
        let (result, came) = {
            let mut model = self.model();
            (read(&mut model), self.gate.as_deref().map(Gate::come_in))
        };
        if let (Some(gate), Some(came)) = (&self.gate, came) {
            gate.window(came).await;
        }
        result
    }

    /// A call on one pool, atomic unless torn.
    async fn step<T>(&self, call: Call, pool: &PoolId, step: impl FnOnce(&mut Records<'_>) -> T) -> T {
        if self.flaw.keeps_gone_pools_due && matches!(call, Call::Reserve | Call::Claim) {
            self.due().insert(pool.clone());
        }
        if self.flaw.torn != Some(Torn::Apart(call)) {
            if let Some(gate) = self.gate.as_ref().filter(|_| !call.sweeps()) {
                gate.door().await;
            }
            return self.at_once(pool, step);
        }
        let (flaw, limits) = (&self.flaw, self.limits);
        let read = |model: &mut Model| {
            let mut read = model.pool(pool).cloned().unwrap_or_default();
            (
                step(&mut Records {
                    pool: &mut read,
                    flaw,
                    limits,
                }),
                read,
            )
        };
        let (answer, read) = self.first(read).await;
        self.at_once(pool, |records| *records.pool = read);
        answer
    }

    /// A read, before which the flaw may change the pool.
    async fn read<T>(&self, pool: &PoolId, now: Timestamp, read: impl Future<Output = T>) -> T {
        self.at_once(pool, |records| (self.flaw.read)(records, now));
        let gate = self.gate.as_ref().filter(|_| self.flaw.torn == Some(Torn::ItemByItem));
        if let Some(gate) = gate {
            gate.door().await;
        }
        let seen = read.await;
        if let Some(gate) = gate {
            gate.come_in();
        }
        seen
    }

    /// A step on each of the pools.
    fn on_each(&self, pools: &[PoolId], step: impl Fn(&mut Records<'_>)) {
        for pool in pools {
            self.at_once(pool, &step);
        }
    }

    fn pools(&self) -> Vec<PoolId> {
        self.model().list_pools().cloned().collect()
    }
}

impl fmt::Debug for FlawedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_list();
        for name in self.pools() {
            if let Some(pool) = self.model().pool(&name) {
                shown.entry(&(self.flaw.printed)(pool));
            }
        }
        shown.finish()
    }
}
