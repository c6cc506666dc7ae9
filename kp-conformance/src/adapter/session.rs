use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use kp_core::OpenError;
use kp_core::server::KeyPackageStore;

use super::adapters::Adapters;
use super::error::AdapterError;
use super::process::Adapter;
use super::store::AdapterStore;
use super::tally::Tally;
use super::wire::{self, Call};
use crate::{Facets, Factory, Method, Space};

/// Among how many adapters the stores of a space are dealt out, where the backend has several processes.
const PROCESSES: usize = 2;

/// The factory of one check: the adapters that the check has to itself, and what it asked of them.
#[derive(Debug)]
pub(crate) struct Session {
    adapters: Arc<Adapters>,
    tally: Arc<Tally>,
    dealt: Mutex<Dealt>,
    fault: OnceLock<AdapterError>,
}

#[derive(Debug, Default)]
struct Dealt {
    adapters: Vec<Arc<Adapter>>,
    stores: usize,
}

impl Session {
    pub(crate) fn new(adapters: &Arc<Adapters>) -> Self {
        Self {
            adapters: Arc::clone(adapters),
            tally: Arc::new(Tally::new(adapters)),
            dealt: Mutex::default(),
            fault: OnceLock::new(),
        }
    }

    /// How many calls the check made, each item of a batch counted.
    pub(crate) fn calls(&self) -> u64 {
        self.tally.calls()
    }

    /// The method that the check called although the backend does not offer it.
    pub(crate) fn not_offered(&self) -> Option<Method> {
        self.tally.not_offered()
    }

    /// What an adapter of the check did wrong. A hang is told as the check's: it may be the server's.
    pub(crate) fn fault(&self) -> Option<AdapterError> {
        let fault = self.fault.get().cloned();
        fault.filter(|fault| !matches!(fault, AdapterError::Hangs { .. }))
    }

    fn dealt(&self) -> MutexGuard<'_, Dealt> {
        self.dealt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The adapter that the next store is opened in.
    async fn next_adapter(&self) -> Result<Arc<Adapter>, AdapterError> {
        let facets = self.facets();
        let all = if facets.handles && facets.processes {
            PROCESSES
        } else {
            1
        };
        let known = {
            let mut dealt = self.dealt();
            dealt.stores += 1;
            dealt.adapters.get((dealt.stores - 1) % all).cloned()
        };
        if let Some(adapter) = known {
            return Ok(adapter);
        }
        let adapter = self.adapters.take().await;
        let adapter = adapter.inspect_err(|fault| drop(self.fault.set(fault.clone())))?;
        self.dealt().adapters.push(Arc::clone(&adapter));
        Ok(adapter)
    }
}

fn unreachable(error: &dyn ToString) -> OpenError {
    OpenError::Unreachable(error.to_string().into())
}

#[async_trait]
impl Factory for Session {
    fn name(&self) -> &str {
        self.adapters.name()
    }

    fn facets(&self) -> Facets {
        self.adapters.facets()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        let adapter = self.next_adapter().await.map_err(|fault| unreachable(&fault))?;
        let store = self.adapters.next_store();
        let open = Call::Open(wire::Open {
            store,
            space: space.name().to_owned(),
            dir: space.dir().to_owned(),
            max_records: space.limits().max_records,
        });
        let opened: Result<(), _> = adapter.call(None, open).await;
        opened.map_err(|unmet| unreachable(&unmet))?;
        Ok(Arc::new(AdapterStore::new(adapter, store, Arc::clone(&self.tally))))
    }

    async fn destroy(&self, space: &Space) {
        let taken = mem::take(&mut self.dealt().adapters);
        if let Some(fault) = taken.iter().find_map(|adapter| adapter.fault()) {
            let _ = self.fault.set(fault);
        }
        if self.tally.open() > 0 {
            // The check hung: its adapters may be in the middle of something, and end with it.
            return;
        }
        for adapter in &taken {
            adapter.settled().await;
        }
        let closed = self.tally.closed().await;
        let mut destroyed = Ok(());
        if let Some(adapter) = taken.iter().find(|adapter| adapter.fault().is_none()) {
            let destroy = Call::Destroy(wire::Space {
                space: space.name().to_owned(),
                dir: space.dir().to_owned(),
            });
            destroyed = adapter.call(None, destroy).await;
        }
        let fault = taken.iter().find_map(|adapter| adapter.fault());
        for adapter in taken {
            self.adapters.give_back(adapter);
        }
        if let Some(fault) = fault {
            panic!("{fault}");
        }
        if let Err(unmet) = closed {
            panic!("a store cannot be closed: {unmet}");
        }
        if let Err(unmet) = destroyed {
            panic!("the space cannot be destroyed: {unmet}");
        }
    }

    fn offers(&self, method: Method) -> bool {
        self.adapters.offers(method)
    }
}
