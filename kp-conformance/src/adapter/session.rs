use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kp_core::OpenError;
use kp_core::server::KeyPackageStore;

use super::Adapters;
use super::process::Adapter;
use super::store::AdapterStore;
use super::wire::{self, Call};
use crate::{Facets, Factory, Method, Space};

/// Among how many adapters the stores of a space are dealt out, where the backend has several processes.
const PROCESSES: usize = 2;

/// The factory of one check: the adapters that the check has to itself, and what it asked of them.
#[derive(Debug)]
pub(crate) struct Session {
    adapters: Arc<Adapters>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: Vec<Arc<Adapter>>,
    opened: usize,
    open: usize,
    calls: u64,
    not_offered: Option<Method>,
}

impl Session {
    pub(crate) fn new(adapters: &Arc<Adapters>) -> Arc<Self> {
        Arc::new(Self {
            adapters: Arc::clone(adapters),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call of a store: each item of a batch.
    ///
    /// # Panics
    ///
    /// When the backend does not offer the method: the check ends here, and has shown nothing.
    pub(super) fn note(&self, call: &Call) {
        let mut state = self.state();
        state.calls += call.items().max(1) as u64;
        if let Some(method) = call.method().filter(|method| !self.adapters.offers(*method)) {
            state.not_offered = Some(method);
            drop(state);
            panic!("`{method}` is not offered");
        }
    }

    /// Notes that a store was closed.
    pub(super) fn closed(&self) {
        self.state().open -= 1;
    }

    /// How many calls the check made, each item of a batch counted.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The method that the check called although the backend does not offer it.
    pub(crate) fn not_offered(&self) -> Option<Method> {
        self.state().not_offered
    }

    /// The adapter that the next store is opened in.
    async fn next_adapter(&self) -> Result<Arc<Adapter>, super::AdapterError> {
        let facets = self.adapters.facets();
        let all = if facets.handles && facets.processes {
            PROCESSES
        } else {
            1
        };
        let turn = {
            let mut state = self.state();
            state.opened += 1;
            (state.opened - 1) % all
        };
        if let Some(adapter) = self.state().taken.get(turn) {
            return Ok(Arc::clone(adapter));
        }
        let adapter = self.adapters.take().await?;
        self.state().taken.push(Arc::clone(&adapter));
        Ok(adapter)
    }
}

#[async_trait]
impl Factory for SessionFactory {
    fn name(&self) -> &str {
        self.0.adapters.name()
    }

    fn facets(&self) -> Facets {
        self.0.adapters.facets()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        let unreachable = |error: &dyn ToString| OpenError::Unreachable(error.to_string().into());
        let adapter = self.0.next_adapter().await.map_err(|fault| unreachable(&fault))?;
        let store = self.0.adapters.next_store();
        let open = Call::Open(wire::Open {
            store,
            space: space.name().to_owned(),
            dir: space.dir().to_owned(),
            max_records: space.limits().max_records,
        });
        let opened: Result<(), _> = adapter.call(None, open).await;
        opened.map_err(|unmet| unreachable(&unmet))?;
        self.0.state().open += 1;
        Ok(Arc::new(AdapterStore::new(adapter, store, Arc::clone(&self.0))))
    }

    async fn destroy(&self, space: &Space) {
        let taken = std::mem::take(&mut self.0.state().taken);
        if self.0.state().open > 0 {
            // The check hung: its adapters may be in the middle of something, and end with it.
            return;
        }
        for adapter in &taken {
            adapter.settled().await;
        }
        if let Some(adapter) = taken.iter().find(|adapter| adapter.fault().is_none()) {
            let destroy = Call::Destroy(wire::Space {
                space: space.name().to_owned(),
                dir: space.dir().to_owned(),
            });
            let destroyed: Result<(), _> = adapter.call(None, destroy).await;
            if let Err(unmet) = destroyed {
                panic!("the space cannot be destroyed: {unmet}");
            }
        }
        let fault = taken.iter().find_map(|adapter| adapter.fault());
        for adapter in taken {
            self.0.adapters.give_back(adapter);
        }
        if let Some(fault) = fault {
            panic!("{fault}");
        }
    }

    fn offers(&self, method: Method) -> bool {
        self.0.adapters.offers(method)
    }
}

/// The session as a factory.
#[derive(Debug, Clone)]
pub(crate) struct SessionFactory(pub(crate) Arc<Session>);
