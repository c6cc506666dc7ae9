use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::AdapterError;
use super::process::{Adapter, Start, Unmet};
use super::profile::Profile;
use super::wire::{Call, Facet, Greeting, Hello, VERSION};
use crate::{Facets, Method};

/// The adapters that are running, and what their backend can do. A check takes those that it needs, and gives them back.
#[derive(Debug)]
pub(crate) struct Adapters {
    start: Start,
    profile: Profile,
    hello: Hello,
    offered: Vec<Method>,
    idle: Mutex<Vec<Arc<Adapter>>>,
    stores: AtomicU64,
    faults: AtomicUsize,
}

impl Adapters {
    /// Starts the first adapter, and asks what it can do.
    pub(crate) async fn start(start: Start, profile: Profile) -> Result<Arc<Self>, AdapterError> {
        let adapter = Adapter::start(&start)?;
        let hello = greet(&adapter).await?;
        let named = |method: &Method| match &hello.calls {
            Some(calls) => calls.iter().any(|call| call == method.name()),
            None => true,
        };
        if let Some(unknown) = hello.calls.iter().flatten().find(|call| !is_method(call)) {
            let why = format!("there is no call `{unknown}`");
            return Err(adapter.wrong("hello", &why, format!("{:?}", hello.calls)));
        }
        let offered: Vec<_> = Method::ALL.iter().copied().filter(named).collect();
        let lacking = |method: &&Method| profile.demands(**method) && !offered.contains(method);
        if let Some(lacking) = Method::ALL.iter().find(lacking) {
            return Err(AdapterError::TooLittle {
                call: lacking.name(),
                profile: profile.name(),
            });
        }
        Ok(Arc::new(Self {
            start,
            profile,
            hello,
            offered,
            idle: Mutex::new(vec![Arc::new(adapter)]),
            stores: AtomicU64::new(0),
            faults: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    /// The backend's name.
    pub(crate) fn name(&self) -> &str {
        &self.hello.name
    }

    pub(crate) fn facets(&self) -> Facets {
        let has = |facet| self.hello.facets.contains(&facet);
        Facets {
            handles: has(Facet::Handles),
            reopens: has(Facet::Reopens),
            processes: has(Facet::Processes),
            limits: has(Facet::Limits),
            ..Facets::NONE
        }
    }

    /// Whether the backend has the method, and the profile too.
    pub(crate) fn offers(&self, method: Method) -> bool {
        self.profile.has(method) && self.offered.contains(&method)
    }

    /// How many adapters were ended for what they did wrong.
    pub(crate) fn faults(&self) -> usize {
        self.faults.load(Ordering::Relaxed)
    }

    /// A number for a store, new in every adapter.
    pub(crate) fn next_store(&self) -> u64 {
        self.stores.fetch_add(1, Ordering::Relaxed)
    }

    /// An adapter that no other check has.
    pub(crate) async fn take(&self) -> Result<Arc<Adapter>, AdapterError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(adapter) = idle {
            return Ok(adapter);
        }
        let started = async {
            let adapter = Adapter::start(&self.start)?;
            greet(&adapter).await?;
            Ok(Arc::new(adapter))
        };
        let started = started.await;
        if started.is_err() {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
        started
    }

    /// Takes back an adapter that serves nobody any more; one that did something wrong has ended.
    pub(crate) fn give_back(&self, adapter: Arc<Adapter>) {
        match adapter.fault() {
            Some(_) => drop(self.faults.fetch_add(1, Ordering::Relaxed)),
            None => self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(adapter),
        }
    }

    /// Ends all adapters that are idle. Returns how many did not end by themselves.
    pub(crate) fn end(&self) -> usize {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = idle.into_iter().filter_map(Arc::into_inner).map(Adapter::end);
        ended.filter(|by_itself| !by_itself).count()
    }
}

fn is_method(name: &str) -> bool {
    Method::ALL.iter().any(|method| method.name() == name)
}

/// The greetings, by which both sides learn which version the other speaks.
async fn greet(adapter: &Adapter) -> Result<Hello, AdapterError> {
    let greeting = Call::Hello(Greeting { protocol: VERSION });
    let hello: Hello = match adapter.call(None, greeting).await {
        Ok(hello) => hello,
        Err(Unmet::Fault(fault)) => return Err(fault),
        Err(refused) => return Err(adapter.wrong("hello", &"it is not to be refused", refused.to_string())),
    };
    if hello.protocol == VERSION {
        return Ok(hello);
    }
    Err(AdapterError::OtherVersion {
        found: hello.protocol,
        known: VERSION,
    })
}
