use std::future::Future;
use std::mem;

use futures::FutureExt as _;
use kp_core::rules::{Answer, Model};
use kp_core::server::{
    Cursor, KeyPackageStore, KeyPackageStoreExt, OnLapse, Page, ReservationToken, Save, Spend, TakeRequest, Withdrawal,
};
use kp_core::{Error, GroupId, KeyPackageRef, PoolId, Result, Timestamp, Ttl};

use super::Reply;
use crate::{Method, ReferenceStore};

/// One call; of one item where the trait takes batches, but for `ReserveMany`. Those that go in steps (listings, sweeps,
/// retirements) are made to their end.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Save(Save, Timestamp),
    Reserve(TakeRequest, OnLapse, Timestamp),
    /// A series of steps (`LIN-1`).
    ReserveMany(Vec<TakeRequest>, OnLapse, Timestamp),
    Claim(TakeRequest, Option<GroupId>, Timestamp),
    Spend(ReservationToken, Spend, Timestamp),
    Release(ReservationToken, Timestamp),
    Renew(ReservationToken, Ttl, Timestamp),
    Withdraw(PoolId, Withdrawal, Timestamp),
    Delete(PoolId),
    Retire {
        saved_before: Timestamp,
        limit: u32,
        now: Timestamp,
    },
    CleanUp {
        limit: u32,
        now: Timestamp,
    },
    Settle {
        limit: u32,
        now: Timestamp,
    },
    Get(PoolId, KeyPackageRef, Timestamp),
    Statuses(PoolId, Vec<KeyPackageRef>, Timestamp),
    List {
        pool: PoolId,
        limit: u32,
        now: Timestamp,
    },
    Ready(PoolId, Timestamp),
    Count(PoolId, Timestamp),
    Pools {
        limit: u32,
    },
}

impl Call {
    /// Makes the call; only a failure of the backend is an error.
    pub(crate) async fn ask(&self, store: &dyn KeyPackageStore) -> Result<Reply> {
        Ok(match self {
            Self::Save(save, now) => Reply::Saved(store.save_key_packages(save, *now).await?),
            Self::Reserve(take, lapse, now) => {
                Reply::Reserved(answer(store.reserve_key_package(take, *lapse, *now).await)?)
            }
            Self::ReserveMany(takes, lapse, now) => {
                let answers = store.reserve_key_packages(takes, *lapse, *now).await;
                Reply::ReservedMany(answers.into_iter().map(answer).collect::<Result<_>>()?)
            }
            Self::Claim(take, group, now) => {
                Reply::Claimed(answer(store.claim_key_package(take, group.as_ref(), *now).await)?)
            }
            Self::Spend(token, usage, now) => Reply::Spent(answer(store.spend_key_package(token, usage, *now).await)?),
            Self::Release(token, now) => Reply::Released(answer(store.release_key_package(token, *now).await)?),
            Self::Renew(token, ttl, now) => Reply::Renewed(answer(store.renew_key_package(token, *ttl, *now).await)?),
            Self::Withdraw(pool, what, now) => Reply::Withdrawn(store.withdraw_key_packages(pool, what, *now).await?),
            Self::Delete(pool) => {
                store.delete_pool(pool).await?;
                Reply::Deleted
            }
            Self::Retire {
                saved_before,
                limit,
                now,
            } => {
                let (mut total, mut steps, mut after) = (0, 0, None);
                loop {
                    let step = store.retire_unspent(*saved_before, *now, after.as_ref(), *limit);
                    let (count, next) = step.await?;
                    total += count;
                    steps += 1;
                    if next.is_none() {
                        break Reply::Swept(total);
                    }
                    if next == after || steps >= MOST_STEPS {
                        break Reply::Endless { steps };
                    }
                    after = next;
                }
            }
            Self::CleanUp { limit, now } => swept(most(*limit), || store.cleanup_expired(*now, *limit)).await?,
            Self::Settle { limit, now } => swept(u64::MAX, || store.release_expired_reservations(*now, *limit)).await?,
            Self::Get(pool, key_package_ref, now) => {
                Reply::Got(store.get_key_package(pool, key_package_ref, *now).await?)
            }
            Self::Statuses(pool, refs, now) => Reply::Statuses(store.get_statuses(pool, refs, *now).await?),
            Self::List { pool, limit, now } => {
                let page = |after: Option<Cursor>| async move {
                    store.list_available(pool, after.as_ref(), *limit, *now).await
                };
                all_pages(*limit, page).await?.map_or_else(|wrong| wrong, Reply::Listed)
            }
            Self::Ready(pool, now) => Reply::Ready(store.list_ready(pool, *now).await?),
            Self::Count(pool, now) => Reply::Counted(store.count_by_status(pool, *now).await?),
            Self::Pools { limit } => {
                let page = |after: Option<Cursor>| async move { store.list_pools(after.as_ref(), *limit).await };
                // READ-5 promises no order.
                let sorted = |mut all: Vec<PoolId>| {
                    all.sort();
                    Reply::Pools(all)
                };
                all_pages(*limit, page).await?.map_or_else(|wrong| wrong, sorted)
            }
        })
    }

    /// Makes the call like [`ask`](Self::ask), but sweeps once: what is beyond the limit stays.
    pub(crate) async fn ask_once(&self, store: &dyn KeyPackageStore) -> Result<Reply> {
        Ok(match self {
            Self::CleanUp { limit, now } => Reply::Swept(store.cleanup_expired(*now, *limit).await?),
            Self::Settle { limit, now } => Reply::Swept(store.release_expired_reservations(*now, *limit).await?),
            _ => self.ask(store).await?,
        })
    }

    /// The method that it calls.
    pub(crate) const fn method(&self) -> Method {
        match self {
            Self::Save(..) => Method::Save,
            Self::Reserve(..) | Self::ReserveMany(..) => Method::Reserve,
            Self::Claim(..) => Method::Claim,
            Self::Spend(..) => Method::Spend,
            Self::Release(..) => Method::Release,
            Self::Renew(..) => Method::Renew,
            Self::Withdraw(..) => Method::Withdraw,
            Self::Delete(..) => Method::DeletePool,
            Self::Retire { .. } => Method::Retire,
            Self::CleanUp { .. } => Method::CleanUp,
            Self::Settle { .. } => Method::Settle,
            Self::Get(..) => Method::Get,
            Self::Statuses(..) => Method::Statuses,
            Self::List { .. } => Method::ListAvailable,
            Self::Ready(..) => Method::ListReady,
            Self::Count(..) => Method::Count,
            Self::Pools { .. } => Method::ListPools,
        }
    }

    /// Whether it changes nothing (`READ-1`).
    pub(crate) const fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Get(..)
                | Self::Statuses(..)
                | Self::List { .. }
                | Self::Ready(..)
                | Self::Count(..)
                | Self::Pools { .. }
        )
    }

    /// Whether it goes over all pools.
    pub(crate) const fn is_on_all_pools(&self) -> bool {
        matches!(
            self,
            Self::Retire { .. } | Self::CleanUp { .. } | Self::Settle { .. } | Self::Pools { .. }
        )
    }

    /// The call, with what the rules answer.
    pub(crate) fn answered(self, model: &mut Model) -> (Self, Reply) {
        let reply = self.answered_by(model);
        (self, reply)
    }

    /// What the rules answer, as the [`ReferenceStore`] follows them.
    pub(crate) fn answered_by(&self, model: &mut Model) -> Reply {
        let store = ReferenceStore::of_model(mem::take(model));
        let answered = self.ask(&store).now_or_never();
        *model = mem::take(&mut store.model());
        match answered {
            Some(Ok(reply)) => reply,
            other => panic!("it neither waits nor fails: {other:?}"),
        }
    }
}

/// How many there may be at once: 0 counts as 1 (`COST-1`).
fn most(limit: u32) -> u64 {
    u64::from(limit.max(1))
}

/// More steps than any check has packages to show or sweep, one at a time.
const MOST_STEPS: u64 = 25_000;
/// How many pages may show nothing, and still have a next.
const MOST_EMPTY: u64 = 100;

/// The items of all pages, unless there are too many on one, or no end to the pages.
async fn all_pages<T, F: Future<Output = Result<Page<T>>>>(
    limit: u32,
    page: impl Fn(Option<Cursor>) -> F,
) -> Result<std::result::Result<Vec<T>, Reply>> {
    let (mut all, mut steps, mut empty, mut after) = (Vec::new(), 0, 0, None);
    loop {
        let Page { items, next, .. } = page(after.clone()).await?;
        if items.len() as u64 > most(limit) {
            return Ok(Err(Reply::TooMany));
        }
        steps += 1;
        empty += u64::from(items.is_empty());
        all.extend(items);
        if next.is_none() {
            return Ok(Ok(all));
        }
        if next == after || empty > MOST_EMPTY || steps >= MOST_STEPS {
            return Ok(Err(Reply::Endless { steps }));
        }
        after = next;
    }
}

/// How much is swept by steps of so many at most, until nothing is left.
async fn swept<F: Future<Output = Result<u64>>>(most: u64, step: impl Fn() -> F) -> Result<Reply> {
    let mut total = 0;
    for steps in 0..MOST_STEPS {
        match step().await? {
            0 => return Ok(Reply::Swept(total)),
            count if count > most => return Ok(Reply::TooMany),
            count if total + count > MOST_STEPS => return Ok(Reply::Endless { steps }),
            count => total += count,
        }
    }
    Ok(Reply::Endless { steps: MOST_STEPS })
}

/// What the rules said; a failure of the backend stays an error.
fn answer<T>(result: Result<T>) -> Result<Answer<T>> {
    match result {
        Err(Error::Rejected(rejection)) => Ok(Err(rejection)),
        other => other.map(Ok),
    }
}
