//! A store over an engine that can be disturbed: right, or wrong in what it makes of that.

mod calls;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kp_conformance::{Outage, ReferenceStore};
use kp_core::rules::{Model, State};
use kp_core::server::{Answers, KeyPackageStore, Save};
use kp_core::{BackendError, Effect, Error};
use tokio::task::yield_now;

use crate::store::FlawedStore;

/// What a store makes of an outage that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// While the engine is away, all pools are empty.
    FindsNothing,
    /// A call whose reply was lost says that it was not applied.
    DeniesWhatItDid,
    /// A call is answered, and nothing is committed.
    AnswersWithoutItsCommit,
    /// What was not applied, as it says, is applied when the engine is back.
    AppliesLater,
    /// A save whose reply was lost has stored its first item alone.
    StoresAPart,
    /// A connection that was lost is never made again.
    KeepsADeadConnection,
    /// The engine comes back without what was used.
    ComesBackWithout,
    /// The outage is none.
    NeverInForce,
}

/// What the handles on a space have in common.
#[derive(Debug)]
pub(crate) struct Engine {
    store: FlawedStore,
    mishap: Option<Mishap>,
    state: Mutex<Works>,
}

#[derive(Debug, Default)]
struct Works {
    is_out: bool,
    /// How often connections were lost.
    losses: u64,
    /// How many calls have met the outage.
    met: u64,
    /// [`Mishap::AppliesLater`]: what there will be.
    later: Option<ReferenceStore>,
}

impl Engine {
    pub(crate) fn new(store: FlawedStore, mishap: Option<Mishap>) -> Self {
        let state = Mutex::default();
        Self { store, mishap, state }
    }

    fn works(&self) -> MutexGuard<'_, Works> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn disturb(&self, outage: Outage) {
        if self.mishap == Some(Mishap::NeverInForce) {
            return;
        }
        let mut works = self.works();
        works.is_out = outage != Outage::Cut;
        works.losses += 1;
        works.later = (self.mishap == Some(Mishap::AppliesLater)).then(|| self.copy());
    }

    pub(crate) fn mend(&self) {
        let mut works = self.works();
        works.is_out = false;
        if let Some(later) = works.later.take() {
            *self.store.model() = later.model().clone();
        }
        if self.mishap == Some(Mishap::ComesBackWithout) {
            self.forget_what_was_used();
        }
    }

    fn forget_what_was_used(&self) {
        let mut model = self.store.model();
        let pools: Vec<_> = model.list_pools().cloned().collect();
        for pool in pools {
            model.step(&pool, |pool| {
                pool.records
                    .retain(|(record, _)| !matches!(record.state, State::Used(_)));
                Ok(())
            });
        }
    }

    /// A store that holds the same.
    fn copy(&self) -> ReferenceStore {
        let copy = ReferenceStore::default();
        let held: Model = self.store.model().clone();
        *copy.model() = held;
        copy
    }
}

/// A handle, with a connection of its own.
#[derive(Debug)]
pub(crate) struct Connected {
    engine: Arc<Engine>,
    /// How many losses it has noticed.
    noticed: AtomicU64,
}

/// A call on its way: of which store it is made, and what its failure says, if it fails.
struct UnderWay<'a> {
    connected: &'a Connected,
    operation: &'static str,
    store: Arc<dyn KeyPackageStore>,
    losses: u64,
    fails: Option<Effect>,
}

impl Connected {
    pub(crate) fn to(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::clone(engine),
            noticed: engine.works().losses.into(),
        }
    }

    fn failed(operation: &'static str, effect: Effect) -> BackendError {
        BackendError::transient("flawed", operation, effect, "the engine is away")
    }

    /// Whether the call meets an outage. Then it is the n-th to do so.
    fn meets(&self) -> Option<u64> {
        let mut works = self.engine.works();
        let lost = self.noticed.load(Ordering::Relaxed) != works.losses;
        if lost && !works.is_out && self.engine.mishap != Some(Mishap::KeepsADeadConnection) {
            self.noticed.store(works.losses, Ordering::Relaxed);
        }
        (works.is_out || lost).then(|| {
            works.met += 1;
            works.met
        })
    }

    /// Begins a call. In an outage it is not made, or its reply is lost, in turn.
    async fn begin(&self, operation: &'static str) -> Result<UnderWay<'_>, BackendError> {
        yield_now().await;
        let Engine { store, mishap, .. } = &*self.engine;
        let met = self.meets();
        let losses = self.engine.works().losses;
        let (store, fails): (Arc<dyn KeyPackageStore>, _) = match (met, mishap) {
            (None, _) => (Arc::new(store.clone()), None),
            (Some(_), Some(Mishap::FindsNothing)) => (Arc::new(ReferenceStore::default()), None),
            (Some(_), Some(Mishap::AnswersWithoutItsCommit)) => (Arc::new(self.engine.copy()), None),
            (Some(_), Some(Mishap::DeniesWhatItDid)) => (Arc::new(store.clone()), Some(Effect::NotApplied)),
            (Some(_), Some(Mishap::AppliesLater)) => {
                let later = self.engine.works().later.clone();
                (Arc::new(later.unwrap_or_default()), Some(Effect::NotApplied))
            }
            (Some(n), _) if n % 2 == 0 => return Err(Self::failed(operation, Effect::NotApplied)),
            (Some(_), _) => (Arc::new(store.clone()), Some(Effect::Unknown)),
        };
        Ok(UnderWay {
            connected: self,
            operation,
            store,
            losses,
            fails,
        })
    }
}

impl UnderWay<'_> {
    /// What its failure says, when it fails: also one that was made, and lost its connection before it was answered.
    async fn failure(&self) -> Option<BackendError> {
        yield_now().await;
        let lost = self.connected.engine.works().losses != self.losses;
        let effect = self.fails.or(lost.then_some(Effect::Unknown))?;
        Some(Connected::failed(self.operation, effect))
    }

    async fn end<T>(self, answer: kp_core::Result<T>) -> kp_core::Result<T> {
        self.failure().await.map_or(answer, |failure| Err(failure.into()))
    }

    async fn end_each<T>(self, answers: Answers<T>) -> Answers<T> {
        match self.failure().await {
            Some(failure) => Answers::all_failed(answers.len(), &Error::from(failure)),
            None => answers,
        }
    }

    /// What a save stores.
    fn stored(&self, save: &Save) -> Save {
        let cut = self.fails.is_some() && self.connected.engine.mishap == Some(Mishap::StoresAPart);
        match save.packages().first().filter(|_| cut) {
            Some(first) => Save::one(save.pool.clone(), first.clone()).mode(save.mode),
            None => save.clone(),
        }
    }
}
