use async_trait::async_trait;
use futures::future::join_all;
use kp_core::rules::{self, Limits};
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, OpenError, PoolCounts, PoolId, Result, Status, Timestamp, Ttl,
};

use crate::link::builder::RedisBuilder;
use crate::link::error::{in_part, malformed};
use crate::link::script::Script;
use crate::link::server::Server;
use crate::pools::batch::{self, Batch, CHUNK};
use crate::pools::listing;
use crate::pools::replies::{self, Fields, Read};
use crate::pools::requests;
use crate::pools::runner::Runner;
use crate::pools::scripts;
use crate::pools::sweep::Sweep;

/// Stores the pools of a fleet on a Redis or Valkey server or cluster. Clones are cheap, and share the connections.
#[derive(Debug, Clone)]
pub struct RedisStore {
    runner: Runner,
    limits: Limits,
    server: Server,
}

impl RedisBuilder {
    /// Opens the store.
    ///
    /// # Errors
    ///
    /// Any [`OpenError`]: the server cannot be reached, is too old, may evict keys, or holds another layout under this
    /// prefix; or the address needs a [feature](crate::MissingFeature) that the build has not.
    pub async fn open(self) -> Result<RedisStore, OpenError> {
        let limits = self.limits;
        let (link, keys, server) = self.connect(Some(&scripts::LIBRARY)).await?;
        let runner = Runner::new(link, keys);
        Ok(RedisStore { runner, limits, server })
    }
}

impl RedisStore {
    /// Opens the store at this URL, with the defaults of [`RedisBuilder`]. The front page of this crate lists the URLs.
    ///
    /// # Errors
    ///
    /// Any [`OpenError`]: see [`RedisBuilder::open`].
    pub async fn open(url: impl Into<String>) -> Result<Self, OpenError> {
        Self::builder(url).open().await
    }

    /// Returns a builder for a store at this URL.
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder::new(url.into())
    }

    /// Returns what the server is set to do, as it was when the store was opened.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Looks up these refs: one answer each.
    async fn get<T>(
        &self,
        script: &'static Script,
        pool: &PoolId,
        what: &str,
        refs: &[&KeyPackageRef],
        now: Timestamp,
        decode: impl Fn(Fields) -> Read<T>,
    ) -> Result<Vec<Option<T>>> {
        let mut arguments = vec![requests::text(what)];
        arguments.extend(refs.iter().map(|named| named.as_bytes().to_vec()));
        let reply = self.runner.run(script, pool, now, arguments).await?;
        batch::answer_found(script, reply, decode)
    }
}

#[async_trait]
impl KeyPackageStore for RedisStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        if save.packages().is_empty() {
            return Ok(Vec::new()); // TIME-2: no call
        }
        let script = &scripts::SAVE;
        let arguments = requests::save(save, self.limits);
        let reply = self.runner.run(script, &save.pool, now, arguments).await?;
        batch::answer_all(script, reply, replies::save_outcome)
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let batch = Batch {
            script: &scripts::RESERVE,
            now,
            head: vec![requests::lapse(lapse)],
        };
        batch.run(&self.runner, takes, replies::reserved).await
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let batch = Batch {
            script: &scripts::CLAIM,
            now,
            head: vec![requests::optional(group)],
        };
        let decode = |_: &TakeRequest, mut fields: Fields| replies::package(&mut fields);
        batch.run(&self.runner, takes, decode).await
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], spend: &Spend, now: Timestamp) -> Answers<Receipt> {
        let batch = Batch {
            script: &scripts::SPEND,
            now,
            head: vec![
                requests::optional(spend.group.as_ref()),
                requests::optional(spend.by.as_ref()),
            ],
        };
        batch.run(&self.runner, tokens, replies::receipt).await
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let batch = Batch {
            script: &scripts::RELEASE,
            now,
            head: Vec::new(),
        };
        batch.run(&self.runner, tokens, |_, _| Ok(())).await
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let batch = Batch {
            script: &scripts::RENEW,
            now,
            head: vec![requests::number(ttl.get())],
        };
        batch.run(&self.runner, tokens, replies::lease).await
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let found = self
            .get(
                &scripts::GET_KEY_PACKAGE,
                pool,
                "whole",
                &[key_package_ref],
                now,
                replies::stored,
            )
            .await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        rules::bounded(refs)?;
        if refs.is_empty() {
            return Ok(Vec::new());
        }
        let refs: Vec<_> = refs.iter().collect();
        self.get(&scripts::GET_STATUSES, pool, "status", &refs, now, |mut fields| {
            replies::status(&mut fields)
        })
        .await
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let script = &scripts::AVAILABLE;
        let after = after.map_or(Ok(0), Cursor::sequence)?;
        let arguments = vec![requests::number(after), requests::number(limit.max(1))];
        let reply = self.runner.run(script, pool, now, arguments).await?;
        Ok(replies::available(reply).map_err(|source| malformed(script, source))?)
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        let script = &scripts::READY;
        let reply = self.runner.run(script, pool, now, Vec::new()).await?;
        Ok(replies::ready(reply).map_err(|source| malformed(script, source))?)
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        let script = &scripts::COUNT;
        let reply = self.runner.run(script, pool, now, Vec::new()).await?;
        let counts = replies::counts(reply).map_err(|source| malformed(script, source))?;
        Ok(PoolCounts::new(counts, self.limits.max_records))
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        listing::pools_after(&self.runner, "list_pools", after, limit).await
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        rules::bounded_withdrawal(what)?;
        let script = &scripts::WITHDRAW;
        let arguments = match what {
            Withdrawal::All => vec![requests::text("all")],
            Withdrawal::Refs(refs) if refs.is_empty() => return Ok(Vec::new()), // TIME-2: no call
            Withdrawal::Refs(refs) => std::iter::once(requests::text("refs"))
                .chain(refs.iter().map(|named| named.as_bytes().to_vec()))
                .collect(),
        };
        let reply = self.runner.run(script, pool, now, arguments).await?;
        batch::answer_all(script, reply, replies::withdrawn)
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.runner
            .run(&scripts::DELETE, pool, Timestamp::MIN, Vec::new())
            .await?;
        Ok(())
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let script = &scripts::RETIRE;
        let page = listing::pools_after(&self.runner, script.operation, after, limit).await?;
        let (mut total, mut walked, mut failure) = (0, false, None);
        for some in page.items.chunks(CHUNK) {
            let retired = join_all(some.iter().map(async |pool| {
                let reply = self
                    .runner
                    .run(script, pool, now, vec![requests::time(saved_before)])
                    .await?;
                replies::count::<u64>(&reply).map_err(|source| malformed(script, source))
            }));
            for count in retired.await {
                match count {
                    Ok(count) => (total, walked) = (total + count, true),
                    Err(error) => failure = Some(error),
                }
            }
            // Each pool is a step of its own, and those of this call may be done.
            if let Some(error) = failure {
                return Err(if walked {
                    in_part(script.operation, error)
                } else {
                    error
                }
                .into());
            }
        }
        Ok((total, page.next))
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        Sweep::Cleanup.run(&self.runner, now, limit).await
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        Sweep::Settle.run(&self.runner, now, limit).await
    }
}
