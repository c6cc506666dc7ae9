use kp_core::rules::{Answer, Model};
use kp_core::server::{
    Cursor, KeyPackageStore, KeyPackageStoreExt, OnLapse, ReservationToken, Save, Spend, TakeRequest, Withdrawal,
};
use kp_core::{Error, GroupId, KeyPackageRef, PoolId, Result, Timestamp, Ttl};

use super::Reply;

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
                let (mut total, mut after) = (0, None);
                loop {
                    let (count, next) = store
                        .retire_unspent(*saved_before, *now, after.as_ref(), *limit)
                        .await?;
                    total += count;
                    after = next;
                    if after.is_none() {
                        break Reply::Swept(total);
                    }
                }
            }
            Self::CleanUp { limit, now } => {
                let mut total = 0;
                loop {
                    match store.cleanup_expired(*now, *limit).await? {
                        0 => break Reply::Swept(total),
                        count if count > u64::from(most(*limit)) => break Reply::TooMany,
                        count => total += count,
                    }
                }
            }
            Self::Settle { limit, now } => {
                let mut total = 0;
                loop {
                    match store.release_expired_reservations(*now, *limit).await? {
                        0 => break Reply::Swept(total),
                        count => total += count,
                    }
                }
            }
            Self::Get(pool, key_package_ref, now) => {
                Reply::Got(store.get_key_package(pool, key_package_ref, *now).await?)
            }
            Self::Statuses(pool, refs, now) => Reply::Statuses(store.get_statuses(pool, refs, *now).await?),
            Self::List { pool, limit, now } => {
                let (mut all, mut after) = (Vec::new(), None::<Cursor>);
                loop {
                    let page = store.list_available(pool, after.as_ref(), *limit, *now).await?;
                    if page.items.len() > most(*limit) as usize {
                        break Reply::TooMany;
                    }
                    all.extend(page.items);
                    after = page.next;
                    if after.is_none() {
                        break Reply::Listed(all);
                    }
                }
            }
            Self::Count(pool, now) => Reply::Counted(store.count_by_status(pool, *now).await?),
            Self::Pools { limit } => {
                let (mut all, mut after) = (Vec::new(), None::<Cursor>);
                loop {
                    let page = store.list_pools(after.as_ref(), *limit).await?;
                    if page.items.len() > most(*limit) as usize {
                        break Reply::TooMany;
                    }
                    all.extend(page.items);
                    after = page.next;
                    if after.is_none() {
                        // READ-5 promises no order.
                        all.sort();
                        break Reply::Pools(all);
                    }
                }
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

    /// Whether it changes nothing (`READ-1`).
    pub(crate) const fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Get(..) | Self::Statuses(..) | Self::List { .. } | Self::Count(..) | Self::Pools { .. }
        )
    }

    /// Whether it goes over all pools.
    pub(crate) const fn is_on_all_pools(&self) -> bool {
        matches!(
            self,
            Self::Retire { .. } | Self::CleanUp { .. } | Self::Settle { .. } | Self::Pools { .. }
        )
    }

    /// What the rules answer.
    pub(crate) fn answered_by(&self, model: &mut Model) -> Reply {
        match self {
            Self::Save(save, now) => Reply::Saved(model.save(save, *now)),
            Self::Reserve(take, lapse, now) => Reply::Reserved(model.reserve(take, *lapse, *now)),
            Self::ReserveMany(takes, lapse, now) => {
                let reserve = |take| model.reserve(take, *lapse, *now);
                Reply::ReservedMany(takes.iter().map(reserve).collect())
            }
            Self::Claim(take, group, now) => Reply::Claimed(model.claim(take, group.as_ref(), *now)),
            Self::Spend(token, usage, now) => Reply::Spent(model.spend(token, usage, *now)),
            Self::Release(token, now) => Reply::Released(model.release(token, *now)),
            Self::Renew(token, ttl, now) => Reply::Renewed(model.renew(token, *ttl, *now)),
            Self::Withdraw(pool, what, now) => Reply::Withdrawn(model.withdraw(pool, what, *now)),
            Self::Delete(pool) => {
                model.delete_pool(pool);
                Reply::Deleted
            }
            Self::Retire { saved_before, now, .. } => Reply::Swept(model.retire_unspent(*saved_before, *now)),
            Self::CleanUp { now, .. } => Reply::Swept(model.cleanup_expired(*now)),
            Self::Settle { now, .. } => Reply::Swept(model.release_expired_reservations(*now)),
            Self::Get(pool, key_package_ref, now) => Reply::Got(model.get(pool, key_package_ref, *now)),
            Self::Statuses(pool, refs, now) => {
                Reply::Statuses(refs.iter().map(|named| model.status(pool, named, *now)).collect())
            }
            Self::List { pool, now, .. } => Reply::Listed(model.list_available(pool, *now)),
            Self::Count(pool, now) => Reply::Counted(model.count_by_status(pool, *now)),
            Self::Pools { .. } => Reply::Pools(model.list_pools().cloned().collect()),
        }
    }
}

/// How many there may be at once: 0 counts as 1 (`COST-1`).
fn most(limit: u32) -> u32 {
    limit.max(1)
}

/// What the rules said; a failure of the backend stays an error.
fn answer<T>(result: Result<T>) -> Result<Answer<T>> {
    match result {
        Err(Error::Rejected(rejection)) => Ok(Err(rejection)),
        other => other.map(Ok),
    }
}
