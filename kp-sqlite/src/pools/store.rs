use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::rules::{self, Answer, Limits, PoolRecords};
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    BackendError, Effect, Error, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result,
    Status, Timestamp, Ttl,
};

use crate::file::calls::Reply;
use crate::file::error::{Failure, backend_error};
use crate::file::threads::Threads;
use crate::pools::cache::{Cache, PoolSession};
use crate::pools::cursor;
use crate::pools::records::{Records, step};
use crate::pools::sweep::{self, PACKAGES_PER_TRANSACTION, POOLS_PER_TRANSACTION, Position};
use crate::pools::within::{self, Undone, Within};

/// Stores KeyPackage pools in an SQLite file.
///
/// A clone is cheap and shares the connections. Any number of stores, in any number of processes, may open the same file.
/// The store runs threads of its own: it needs no async runtime, and works with any.
///
/// When the last clone is dropped, the store finishes the calls that are under way and closes.
/// [`close`](Self::close) waits for the end.
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    path: PathBuf,
    threads: Threads<Cache>,
    limits: Limits,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    pub(crate) fn new(path: PathBuf, threads: Threads<Cache>, limits: Limits) -> Self {
        Self(Arc::new(Shared { path, threads, limits }))
    }

    /// Closes the store after the calls that are under way: moves the write-ahead log into the file, and ends the
    /// threads. Later calls to clones of the store fail.
    ///
    /// # Errors
    ///
    /// SQLite could not move the log or close the file. Nothing is lost: the next store that opens the file reads the
    /// log.
    pub async fn close(self) -> Result<(), BackendError> {
        self.0.threads.stop().await
    }

    /// Runs a closure in a transaction of the store, with the calls on the pools, and with the connection for rows of the
    /// server's own tables in the same file: all of it is there, or nothing ([TX-2](kp_core::contract::TX_2)).
    ///
    /// ```
    /// # use kp_core::server::*;
    /// # use kp_core::*;
    /// # use kp_sqlite::SqliteStore;
    /// # async fn example(store: SqliteStore, take: TakeRequest, now: Timestamp) -> std::result::Result<(), BoxError> {
    /// let claimed = store.within(move |within| {
    ///     let claimed = within.claim_key_packages(&[take], None, now)?.only();
    ///     if let Ok(package) = &claimed {
    ///         let insert = "INSERT INTO welcomes (ref, pool) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    ///         let row = (package.info.key_package_ref.as_bytes(), b"bob/phone");
    ///         within.connection().execute(insert, row)?;
    ///     }
    ///     Ok::<_, BoxError>(claimed)
    /// });
    /// let claimed = claimed.await?;
    /// // Now the KeyPackage may be handed out, or the refusal be told.
    /// let package = claimed?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The closure runs once at most, on the writer's thread, and shares its commit with the calls that wait. What it returns
    /// arrives after the commit. Inside, tell nobody an answer, and act on none: it may still be undone.
    ///
    /// - `Ok` commits: to tell a refusal, return it as a value.
    /// - `Err`, a panic, or a failed call undoes the closure, and nothing else.
    ///
    /// All other calls of the store wait for the closure, so it only works on rows: no network, no lock, and no call on a store,
    /// which is refused ([TX-4](kp_core::contract::TX_4)). It waits for no lock of a pool, so the pools may be named in any order, and in several
    /// calls.
    ///
    /// # TX-1
    ///
    /// The transaction is as it must be ([TX-1](kp_core::contract::TX_1)), because it is the store's: it is the only writer, on the store's file, and
    /// as durable as [`survives`](crate::SqliteBuilder::survives) says. The closure cannot change that:
    /// [`Within::connection`] refuses the statements that would.
    ///
    /// # Errors
    ///
    /// The error of the closure, or [`Error::Backend`]:
    ///
    /// - not applied: the store could not begin, a call failed, or the closure panicked
    /// - not applied, transient: also if the transaction was rolled back, by a full disk, a statement such as
    ///   `INSERT OR ROLLBACK`, or a deferred foreign key that the commit finds broken; then other closures of the same commit fail
    ///   alike
    /// - unknown: the commit failed; the same claim, with the same id, finds out
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is first polled, the closure does not run. Later, the closure runs all the same, and
    /// is committed as a whole or not at all.
    pub async fn within<T, E>(
        &self,
        closure: impl FnOnce(&mut Within<'_, '_>) -> std::result::Result<T, E> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        const OPERATION: &str = "within";
        let (mut closure, limits) = (Some(closure), self.0.limits);
        let ran = self.write(OPERATION, move |session| match closure.take() {
            Some(closure) => within::run(session, limits, closure),
            // Its transaction was rolled back.
            None => Err(Failure::RolledBack),
        });
        match ran.wait().await.map_err(Error::Backend)? {
            Ok(answer) => Ok(answer),
            Err(Undone::Closure(error)) => Err(error),
            Err(Undone::Failure(failure)) => {
                Err(Error::from(backend_error(OPERATION, Effect::NotApplied, failure)).into())
            }
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(crate) fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl FnMut(&mut PoolSession<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Reply<T> {
        self.0.threads.writer.submit(operation, run)
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl FnMut(&mut PoolSession<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.0.threads.readers.submit(operation, run).wait().await
    }
}

/// Submits each item of a batch, and waits for the answers, in order (ERR-3, COST-1).
async fn answers<I, T>(items: &[I], bounded: Answer<()>, submit: impl Fn(&I) -> Reply<Answer<T>>) -> Answers<T> {
    let replies = Answers::each(items, bounded, |item| Ok(submit(item)));
    let mut answers = Vec::with_capacity(replies.len());
    for reply in replies {
        answers.push(match reply {
            Ok(reply) => match reply.wait().await {
                Ok(answer) => answer.map_err(Error::Rejected),
                Err(failure) => Err(failure.into()),
            },
            Err(refused) => Err(refused),
        });
    }
    answers.into()
}

/// Each item of a batch is a call of its own. Calls that wait together share a commit, so a batch costs one commit, and an
/// item that fails does not fail the others.
#[async_trait]
impl KeyPackageStore for SqliteStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let (save, limits) = (save.clone(), self.0.limits);
        let saved = self.write("save_key_packages", move |session| {
            step(session, &save.pool, |pool| rules::save(pool, &save, limits, now))
        });
        Ok(saved.wait().await?)
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let reserve = |take: &TakeRequest| {
            let take = take.clone();
            self.write("reserve_key_packages", move |session| {
                step(session, &take.pool, |pool| rules::reserve(pool, &take, lapse, now))
            })
        };
        answers(takes, rules::bounded_takes(takes), reserve).await
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let claim = |take: &TakeRequest| {
            let (take, group) = (take.clone(), group.cloned());
            self.write("claim_key_packages", move |session| {
                step(session, &take.pool, |pool| {
                    rules::claim(pool, &take, group.as_ref(), now)
                })
            })
        };
        answers(takes, rules::bounded_takes(takes), claim).await
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], spend: &Spend, now: Timestamp) -> Answers<Receipt> {
        let spend = |token: &ReservationToken| {
            let (token, spend) = (token.clone(), spend.clone());
            self.write("spend_key_packages", move |session| {
                step(session, &token.pool, |pool| rules::spend(pool, &token, &spend, now))
            })
        };
        answers(tokens, rules::bounded(tokens), spend).await
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let release = |token: &ReservationToken| {
            let token = token.clone();
            self.write("release_key_packages", move |session| {
                step(session, &token.pool, |pool| rules::release(pool, &token, now))
            })
        };
        answers(tokens, rules::bounded(tokens), release).await
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let renew = |token: &ReservationToken| {
            let token = token.clone();
            self.write("renew_key_packages", move |session| {
                step(session, &token.pool, |pool| rules::renew(pool, &token, ttl, now))
            })
        };
        answers(tokens, rules::bounded(tokens), renew).await
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let (pool, key_package_ref) = (pool.clone(), key_package_ref.clone());
        let get = self.read("get_key_package", move |session| {
            let mut records = Records::of(session, &pool)?;
            let Some(record) = records.by_ref(&key_package_ref)? else {
                return Ok(None);
            };
            let bytes = record.state.keeps_bytes().then(|| records.bytes(&record)).transpose()?;
            Ok(Some(record.into_stored(bytes, now)))
        });
        Ok(get.await?)
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        rules::bounded(refs)?;
        let (pool, refs) = (pool.clone(), refs.to_vec());
        let get = self.read("get_statuses", move |session| {
            let mut records = Records::of(session, &pool)?;
            let status = |key_package_ref| {
                let found = records.by_ref(key_package_ref)?;
                Ok(found.map(|record| record.settled(now).status(now)))
            };
            refs.iter().map(status).collect()
        });
        Ok(get.await?)
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let (pool, after, limit) = (pool.clone(), cursor::sequence(after)?, limit.max(1));
        let list = self.read("list_available", move |session| {
            let (records, next) = Records::of(session, &pool)?.available(after, limit, now)?;
            let next = next.map(|sequence| Cursor::after_sequence(sequence.unsigned_abs()));
            let items = records.into_iter().map(|record| record.info).collect();
            Ok(Page::new(items, next))
        });
        Ok(list.await?)
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        let pool = pool.clone();
        let list = self.read("list_ready", move |session| {
            let mut records = Records::of(session, &pool)?;
            let (mut ready, _) = records.available(0, u32::MAX, now)?;
            ready.extend(records.slots()?);
            Ok(rules::ready(ready, now))
        });
        Ok(list.await?)
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        let (pool, limits) = (pool.clone(), self.0.limits);
        let count = self.read("count_by_status", move |session| {
            Ok(rules::count(Records::of(session, &pool)?.all()?, limits, now))
        });
        Ok(count.await?)
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let after = cursor::pool(after)?;
        let list = self.read("list_pools", move |session| {
            let (items, next) = sweep::page_of_pools(session, &after, limit)?;
            Ok(Page::new(items, next))
        });
        Ok(list.await?)
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        rules::bounded_withdrawal(what)?;
        // TIME-2: an empty batch changes nothing.
        if *what == Withdrawal::Refs(Vec::new()) {
            return Ok(Vec::new());
        }
        let (pool, what) = (pool.clone(), what.clone());
        let withdrawn = self.write("withdraw_key_packages", move |session| {
            step(session, &pool, |records| rules::withdraw(records, &what, now))
        });
        Ok(withdrawn.wait().await?)
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        let pool = pool.clone();
        let deleted = self.write("delete_pool", move |session| {
            step(session, &pool, |records| records.clear())
        });
        Ok(deleted.wait().await?)
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let mut after = after.cloned();
        let mut left = limit.max(1);
        let (mut total, mut walked) = (0, false);
        loop {
            let (from, part) = (cursor::pool(after.as_ref())?, left.min(POOLS_PER_TRANSACTION));
            let step = self.write("retire_unspent", move |session| {
                sweep::retire_unspent(session, saved_before, now, &from, part)
            });
            let (retired, visited, next) = match step.wait().await {
                Ok(step) => step,
                // ERR-1: the transactions before were committed, and the caller goes on where they ended.
                Err(_) if walked => return Ok((total, after)),
                Err(failure) => return Err(failure.into()),
            };
            walked = true;
            total += retired;
            left = left.saturating_sub(visited);
            if next.is_none() || left == 0 {
                return Ok((total, next));
            }
            after = next;
        }
    }

    /// Runs transactions of bounded size until `limit` is reached or nothing is left.
    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let mut left = limit.max(1);
        let mut done = 0;
        let mut position = Position::START;
        while left > 0 {
            let part = left.min(PACKAGES_PER_TRANSACTION);
            let cleanup = self.write("cleanup_expired", move |session| {
                sweep::cleanup(session, now, position, part)
            });
            let cleaned = match cleanup.wait().await {
                Ok(Some(cleaned)) => cleaned,
                Err(failure) if done == 0 => return Err(failure.into()),
                // ERR-1: the transactions before were committed. The next call tells why this one ended early.
                Ok(None) | Err(_) => break,
            };
            done += u64::from(cleaned.deleted);
            left -= cleaned.deleted;
            position = cleaned.position;
        }
        Ok(done)
    }

    /// Runs transactions of bounded size until `limit` is reached or nothing is left.
    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let mut left = limit.max(1);
        let mut done = 0;
        let mut position = Position::START;
        while left > 0 {
            let part = left.min(POOLS_PER_TRANSACTION);
            let release = self.write("release_expired_reservations", move |session| {
                sweep::settle_lapsed(session, now, position, part)
            });
            let settled = match release.wait().await {
                Ok(Some(settled)) => settled,
                Err(failure) if done == 0 => return Err(failure.into()),
                // ERR-1: the transactions before were committed. The next call tells why this one ended early.
                Ok(None) | Err(_) => break,
            };
            done += settled.leases;
            left -= settled.pools;
            position = settled.position;
        }
        Ok(done)
    }
}
