use futures::stream::{self, Stream, TryStreamExt as _};
use kp_core::server::{Cursor, Page, StoredKeyPackage};
use kp_core::{Error, KeyPackageInfo, KeyPackageRef, PoolId, Result};

use crate::directory::{KeyPackageDirectory, STEP};
use crate::observe::observe;

impl KeyPackageDirectory {
    /// Returns one record of a pool, with the bytes while the KeyPackage is unspent. `None`: never uploaded, or expired and
    /// swept. Nothing is handed out by this: show it to the owner and to operators.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn get(&self, pool: &PoolId, key_package_ref: &KeyPackageRef) -> Result<Option<StoredKeyPackage>> {
        let store = &self.0.store;
        observe("get", store.get_key_package(pool, key_package_ref, self.now())).await
    }

    /// Lists a page of the KeyPackages that could be handed out now, in that order. A page has at most `limit` items, and at
    /// most [`max_items`](crate::DirectoryBuilder::max_items).
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](kp_core::Rejection::InvalidCursor), or a failure of the store.
    pub async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<KeyPackageInfo>> {
        let (store, limit) = (&self.0.store, self.0.config.page(limit));
        observe("list_available", store.list_available(pool, after, limit, self.now())).await
    }

    /// Streams the KeyPackages that could be handed out now, in that order.
    ///
    /// # Errors
    ///
    /// Only failures of the store; the stream ends with the first.
    pub fn available(&self, pool: &PoolId) -> impl Stream<Item = Result<KeyPackageInfo>> + Send + use<> {
        let (directory, pool) = (self.clone(), pool.clone());
        pages(move |after| {
            let (directory, pool) = (directory.clone(), pool.clone());
            async move { directory.list_available(&pool, after.as_ref(), STEP).await }
        })
    }

    /// Lists a page of the pools that hold anything: for operators. A page has at most `limit` items, and at most
    /// [`max_items`](crate::DirectoryBuilder::max_items).
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](kp_core::Rejection::InvalidCursor), or a failure of the store.
    pub async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let limit = self.0.config.page(limit);
        observe("list_pools", self.0.store.list_pools(after, limit)).await
    }

    /// Streams the pools that hold anything: for operators.
    ///
    /// # Errors
    ///
    /// Only failures of the store; the stream ends with the first.
    pub fn pools(&self) -> impl Stream<Item = Result<PoolId>> + Send + use<> {
        let directory = self.clone();
        pages(move |after| {
            let directory = directory.clone();
            async move { directory.list_pools(after.as_ref(), STEP).await }
        })
    }
}

/// Where a walk over the pages of a listing stands.
enum Walk {
    Next(Option<Cursor>),
    Done,
}

/// Streams the items of all pages of a listing.
fn pages<T, F>(page: impl Fn(Option<Cursor>) -> F) -> impl Stream<Item = Result<T>>
where
    F: Future<Output = Result<Page<T>>>,
{
    let pages = stream::try_unfold((page, Walk::Next(None)), |(page, walk)| async move {
        let Walk::Next(after) = walk else {
            return Ok::<_, Error>(None);
        };
        let Page { items, next, .. } = page(after).await?;
        let walk = next.map_or(Walk::Done, |next| Walk::Next(Some(next)));
        let items = stream::iter(items.into_iter().map(Ok));
        Ok(Some((items, (page, walk))))
    });
    pages.try_flatten()
}
