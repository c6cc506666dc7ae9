use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use kp_core::Timestamp;
use kp_core::server::{KeyPackageStore, Save, SaveOutcome, TakeRequest};

use super::Fallible;
use super::inputs::{self, Kind, NOW, PER_POOL};

/// How many pools are filled at once.
const AT_ONCE: usize = 256;

/// How many packages of each pool may be taken before it is filled up: it is never nearly empty.
const DRAWN_PER_POOL: u32 = 80;

/// The pools from here on are none of the stock: something is tried with them, and they go.
const SPARE: u32 = 1 << 30;

/// Full pools in a store, and what was taken of them.
pub(crate) struct Stock {
    pub(crate) store: Arc<dyn KeyPackageStore>,
    pub(crate) kind: Kind,
    pools: Range<u32>,
    drawn: u32,
    spare: Range<u32>,
    serial: u64,
}

impl Stock {
    pub(crate) async fn fill(store: &Arc<dyn KeyPackageStore>, pools: Range<u32>, kind: Kind) -> Fallible<Self> {
        fill(store, pools.clone(), 0..PER_POOL, kind, NOW).await?;
        Ok(Self {
            store: Arc::clone(store),
            kind,
            pools,
            drawn: 0,
            spare: SPARE..SPARE,
            serial: 0,
        })
    }

    /// As many pools as this, full.
    pub(crate) async fn grow(&mut self, pools: u32) -> Fallible<()> {
        delete(&self.store, self.pools.clone()).await?;
        self.pools.end = self.pools.start + pools;
        self.refill().await
    }

    /// How many pools it has.
    pub(crate) fn pools(&self) -> u32 {
        self.pools.len() as u32
    }

    /// The most that can be drawn at a time.
    pub(crate) fn most(&self) -> u32 {
        self.pools.len() as u32 * DRAWN_PER_POOL
    }

    /// Requests for so many packages: all pools are met in turn, in no order that a cache could guess. What was drawn
    /// before is put back first when the pools run low.
    pub(crate) async fn draw(&mut self, count: u32) -> Fallible<Vec<TakeRequest>> {
        if self.drawn + count > self.most() {
            self.restock().await?;
        }
        let pools = self.pools.len() as u64;
        let takes = (self.drawn..self.drawn + count).map(|number| {
            self.serial += 1;
            // A prime step.
            let pool = u64::from(number) * 2_741 % pools;
            inputs::take(self.pools.start + pool as u32, self.serial)
        });
        let takes = takes.collect::<Fallible<_>>()?;
        self.drawn += count;
        Ok(takes)
    }

    /// So many pools besides, which hold nothing.
    pub(crate) fn spare(&mut self, count: u32) -> Range<u32> {
        let first = self.spare.end;
        self.spare.end += count;
        first..self.spare.end
    }

    /// Removes what lies in the spare pools.
    pub(crate) async fn tidy(&mut self) -> Fallible<()> {
        delete(&self.store, std::mem::replace(&mut self.spare, SPARE..SPARE)).await
    }

    /// The same packages again, in the same order.
    pub(crate) async fn restock(&mut self) -> Fallible<()> {
        delete(&self.store, self.pools.clone()).await?;
        self.refill().await
    }

    async fn refill(&mut self) -> Fallible<()> {
        fill(&self.store, self.pools.clone(), 0..PER_POOL, self.kind, NOW).await?;
        self.drawn = 0;
        Ok(())
    }
}

/// Saves these packages into each of these pools.
pub(crate) async fn fill(
    store: &Arc<dyn KeyPackageStore>,
    pools: Range<u32>,
    packages: Range<u32>,
    kind: Kind,
    now: Timestamp,
) -> Fallible<()> {
    let saves = pools.map(|pool| {
        let packages = packages.clone();
        async move {
            let save = inputs::save(pool, packages, kind)?;
            let outcomes = store.save_key_packages(&save, now).await?;
            match outcomes.iter().find(|outcome| **outcome != SaveOutcome::Saved) {
                Some(outcome) => Err(format!("a save was answered {outcome:?}").into()),
                None => Fallible::Ok(()),
            }
        }
    });
    stream::iter(saves).buffer_unordered(AT_ONCE).try_collect().await
}

/// Saves a last resort into each of these pools.
pub(crate) async fn save_last_resorts(store: &Arc<dyn KeyPackageStore>, pools: Range<u32>, kind: Kind) -> Fallible<()> {
    for pool in pools {
        let save = Save::one(inputs::pool_id(pool)?, inputs::last_resort(pool, kind)?);
        store.save_key_packages(&save, NOW).await?;
    }
    Ok(())
}

pub(crate) async fn delete(store: &Arc<dyn KeyPackageStore>, pools: Range<u32>) -> Fallible<()> {
    let deletes = pools.map(async |pool| Fallible::Ok(store.delete_pool(&inputs::pool_id(pool)?).await?));
    stream::iter(deletes).buffer_unordered(AT_ONCE).try_collect().await
}
