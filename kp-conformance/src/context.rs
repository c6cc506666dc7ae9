use std::fmt;
use std::sync::Arc;

use kp_core::KeyPackage;
use kp_core::moving::MovePools;
use kp_core::rules::Limits;
use kp_core::server::KeyPackageStore;

use crate::causes::with_causes;
use crate::packages::at;
use crate::pool::Pool;
use crate::progress::Progress;
use crate::{Facets, Factory, Method, Outage, Space};

/// What a check works with: the factory of the backend, and a space of its own.
pub struct Context<S: ?Sized + 'static = dyn KeyPackageStore> {
    factory: Arc<dyn Factory<S>>,
    space: Space,
    progress: Progress,
}

impl<S: ?Sized + 'static> Context<S> {
    pub(crate) fn new(factory: Arc<dyn Factory<S>>, space: Space) -> Self {
        let progress = Progress::default();
        Self {
            factory,
            space,
            progress,
        }
    }

    /// How far the check has come.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The same space, for another who works with it.
    pub(crate) fn share(&self) -> Self {
        Self {
            factory: Arc::clone(&self.factory),
            space: self.space.clone(),
            progress: self.progress.clone(),
        }
    }

    /// The same space, not opened yet, with other limits.
    pub(crate) fn with_limits(&self, limits: Limits) -> Self {
        Self {
            space: self.space.clone().with_limits(limits),
            ..self.share()
        }
    }

    pub(crate) fn facets(&self) -> Facets {
        self.factory.facets()
    }

    pub(crate) fn offers(&self, method: Method) -> bool {
        self.factory.offers(method)
    }

    /// A handle on the space: the first, another beside it, or, when all were dropped, a reopening.
    ///
    /// # Panics
    ///
    /// When the store cannot be opened.
    pub async fn open(&self) -> Arc<S> {
        match self.factory.open(&self.space).await {
            Ok(store) => store,
            Err(error) => {
                let (backend, error) = (self.factory.name(), with_causes(&error));
                panic!("the store of {backend} cannot be opened: {error}")
            }
        }
    }

    /// This many handles where the backend has [`handles`](crate::Facets::handles), and one, again and again, otherwise.
    pub(crate) async fn handles(&self, count: usize) -> Vec<Arc<S>> {
        let mut handles = vec![self.open().await; count];
        if self.facets().handles {
            for handle in handles.iter_mut().skip(1) {
                *handle = self.open().await;
            }
        }
        handles
    }

    /// Begins an outage.
    pub(crate) async fn disturb(&self, outage: Outage) {
        self.factory.disturb(&self.space, outage).await;
    }

    /// Ends it.
    pub(crate) async fn mend(&self, outage: Outage) {
        self.factory.mend(&self.space, outage).await;
    }

    /// How many bytes the space takes, if the backend can tell.
    pub(crate) async fn bytes(&self) -> Option<u64> {
        self.factory.bytes(&self.space).await
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }
}

impl Context {
    /// A pool, through a handle of its own.
    pub(crate) async fn pool(&self) -> Pool {
        self.pool_of(self.open().await)
    }

    /// A handle that moves pools; the backend has the facet [`moves`](crate::Facets::moves).
    ///
    /// # Panics
    ///
    /// When the store cannot be opened.
    pub(crate) async fn mover(&self) -> Arc<dyn MovePools> {
        match self.factory.open_mover(&self.space).await {
            Ok(store) => store,
            Err(error) => {
                let (backend, error) = (self.factory.name(), with_causes(&error));
                panic!("the store of {backend} cannot be opened: {error}")
            }
        }
    }

    fn pool_of(&self, store: Arc<dyn KeyPackageStore>) -> Pool {
        Pool {
            only_claims: !self.offers(Method::Reserve),
            ..Pool::new(self.progress.counting(store), "bob/phone")
        }
    }

    /// A pool that holds these packages, saved at 0.
    pub(crate) async fn stocked(&self, packages: Vec<KeyPackage>) -> Pool {
        let pool = self.pool().await;
        pool.stock(packages, at(0)).await;
        pool
    }

    /// A pool that holds these packages, saved at 0, through this many [`handles`](Self::handles).
    pub(crate) async fn stocked_pools(&self, handles: usize, packages: Vec<KeyPackage>) -> Vec<Pool> {
        let pools = self.pools(handles).await;
        pools[0].stock(packages, at(0)).await;
        pools
    }

    /// The pool through this many [`handles`](Self::handles).
    pub(crate) async fn pools(&self, handles: usize) -> Vec<Pool> {
        let pools = self.handles(handles).await.into_iter();
        pools.map(|handle| self.pool_of(handle)).collect()
    }
}

impl<S: ?Sized + 'static> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("factory", &self.factory.name())
            .field("space", &self.space)
            .finish()
    }
}
