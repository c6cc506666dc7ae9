use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use kp_core::rules::Limits;
use kp_core::{
    BackendError, Ciphersuite, Counts, Cursor, Effect, Error, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef,
    KeyPackageStore, OnLapse, OpenError, Page, PoolId, Receipt, Rejection, Reservation, ReservationToken, Result, Save,
    SaveOutcome, Spend, Status, StoredKeyPackage, TakeRequest, Timestamp, WithdrawOutcome, Withdrawal,
};
use redis::Value;

use crate::keys::Keys;
use crate::link::builder::RedisBuilder;
use crate::link::calls::{Body, Link, Request};
use crate::link::error::{Malformed, Unreadable, failed};
use crate::link::script::{self as scripts, Script};
use crate::link::server::Server;
use crate::pools::replies::{self, Fields, Item, Read};
use crate::pools::requests::{self, Arguments};
use crate::pools::sweep::{Housekeeping, PoolCursor};

/// The most items of a call that one script run takes: others wait while it runs.
const CHUNK: usize = 256;

/// The pools of a fleet, on a Redis or Valkey server or cluster. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct RedisStore {
    pub(crate) link: Arc<Link>,
    pub(crate) keys: Arc<Keys>,
    limits: Limits,
    server: Server,
}

/// What all items of a call share.
struct Batch {
    script: &'static Script,
    now: Timestamp,
    head: Arguments,
}

impl RedisStore {
    /// Opens the store at this URL, as the front page of this crate gives them, with the defaults of [`RedisBuilder`].
    ///
    /// # Errors
    ///
    /// Any [`OpenError`]: see [`RedisBuilder::open`].
    pub async fn open(url: impl Into<String>) -> Result<Self, OpenError> {
        Self::builder(url).open().await
    }

    /// A store at this URL, to be configured.
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder::new(url.into())
    }

    /// What the server does, as it was when the store was opened.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn new(link: Link, keys: Keys, limits: Limits, server: Server) -> Self {
        Self {
            link: Arc::new(link),
            keys: Arc::new(keys),
            limits,
            server,
        }
    }

    /// Runs a script on a pool: one round trip.
    pub(crate) async fn run(
        &self,
        script: &'static Script,
        pool: &PoolId,
        now: Timestamp,
        arguments: Arguments,
    ) -> Result<Value, BackendError> {
        let keys = self.keys.of_pool(pool);
        let mut all = vec![pool.as_bytes().to_vec(), requests::time(now)];
        all.extend(arguments);
        let request = Request {
            operation: script.operation,
            key: &keys[0],
            body: Body::Script {
                script,
                keys: &keys,
                arguments: &all,
            },
            beat: script.changes.then(|| self.keys.beat(pool)),
        };
        self.link.call(&request).await
    }

    /// Runs a script on each pool that items name, with the items of that pool in their order; all pools at once, so
    /// that it is one round trip a node.
    async fn run_batch<I: Sync, T: Send>(
        &self,
        batch: Batch,
        items: &[I],
        pool_of: impl Fn(&I) -> &PoolId + Sync,
        encode: impl Fn(&I) -> Arguments + Sync,
        decode: impl Fn(&I, Fields) -> Read<T> + Sync,
    ) -> Vec<Result<T>> {
        let mut pools: HashMap<&PoolId, Vec<usize>> = HashMap::new();
        for (place, item) in items.iter().enumerate() {
            pools.entry(pool_of(item)).or_default().push(place);
        }
        let answers = join_all(pools.into_iter().map(async |(pool, places)| {
            let mut answers = Vec::with_capacity(places.len());
            for chunk in places.chunks(CHUNK) {
                let mut arguments = batch.head.clone();
                arguments.extend(chunk.iter().flat_map(|place| encode(&items[*place])));
                let reply = self.run(batch.script, pool, batch.now, arguments).await;
                let decode = |place: usize, fields| decode(&items[place], fields);
                answers.extend(answer_each(batch.script, chunk, reply, decode));
            }
            answers
        }))
        .await;
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// What became of these refs, one reply each.
    async fn get<T>(
        &self,
        pool: &PoolId,
        what: &str,
        refs: &[&KeyPackageRef],
        now: Timestamp,
        decode: impl Fn(Fields) -> Read<T>,
    ) -> Result<Vec<Option<T>>> {
        let script = &scripts::GET;
        let mut arguments = vec![requests::text(what)];
        arguments.extend(refs.iter().map(|named| named.as_bytes().to_vec()));
        let reply = self.run(script, pool, now, arguments).await?;
        let fields = Fields::of(reply).map_err(|source| malformed(script, source))?;
        fields
            .rest()
            .map(|value| match value {
                Value::Nil => Ok(None),
                value => match answer(script, replies::item(value), &decode) {
                    Ok(found) => Ok(Some(found)),
                    Err(error) => Err(error),
                },
            })
            .collect()
    }
}

/// The answers to the items of one script run, with their places in the call.
fn answer_each<T>(
    script: &'static Script,
    places: &[usize],
    reply: Result<Value, BackendError>,
    decode: impl Fn(usize, Fields) -> Read<T>,
) -> Vec<(usize, Result<T>)> {
    let mut fields = match reply {
        Ok(reply) => Fields::of(reply).map_err(|source| malformed(script, source)),
        Err(error) => Err(error),
    };
    places
        .iter()
        .map(|place| {
            let answer = match &mut fields {
                Ok(fields) => answer(script, fields.next().and_then(replies::item), |fields| {
                    decode(*place, fields)
                }),
                Err(error) => Err(error.clone().into()),
            };
            (*place, answer)
        })
        .collect()
}

fn answer<T>(script: &Script, item: Read<Item>, decode: impl FnOnce(Fields) -> Read<T>) -> Result<T> {
    match item {
        Ok(Item::Ok(fields)) => decode(fields).map_err(|source| malformed(script, source).into()),
        Ok(Item::Rejected(rejection)) => Err(Error::Rejected(rejection)),
        Ok(Item::Unreadable) => Err(unreadable(script).into()),
        Err(source) => Err(malformed(script, source).into()),
    }
}

/// The answers to a call that is answered as a whole.
fn answer_all<T>(script: &Script, reply: Value, decode: impl Fn(Fields) -> Read<T>) -> Result<Vec<T>> {
    let fields = Fields::of(reply).map_err(|source| malformed(script, source))?;
    fields
        .rest()
        .map(|value| answer(script, replies::item(value), &decode))
        .collect()
}

fn unreadable(script: &Script) -> BackendError {
    failed(script.operation, Effect::NotApplied, Unreadable)
}

pub(crate) fn malformed(script: &Script, source: Malformed) -> BackendError {
    let outcome = if script.changes {
        Effect::Unknown
    } else {
        Effect::NotApplied
    };
    failed(script.operation, outcome, source)
}

#[async_trait]
impl KeyPackageStore for RedisStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        if save.packages().is_empty() {
            return Ok(Vec::new()); // TIME-2: no call
        }
        let script = &scripts::SAVE;
        let arguments = requests::save(save, self.limits);
        let reply = self.run(script, &save.pool, now, arguments).await?;
        answer_all(script, reply, replies::save_outcome)
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Vec<Result<Reservation>> {
        let batch = Batch {
            script: &scripts::RESERVE,
            now,
            head: vec![requests::lapse(lapse)],
        };
        self.run_batch(batch, takes, |take| &take.pool, requests::take, replies::reserved)
            .await
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Vec<Result<KeyPackage>> {
        let batch = Batch {
            script: &scripts::CLAIM,
            now,
            head: vec![requests::optional(group)],
        };
        let decode = |_: &TakeRequest, mut fields: Fields| replies::package(&mut fields);
        self.run_batch(batch, takes, |take| &take.pool, requests::take, decode)
            .await
    }

    async fn spend_key_packages(
        &self,
        tokens: &[ReservationToken],
        usage: &Spend,
        now: Timestamp,
    ) -> Vec<Result<Receipt>> {
        let batch = Batch {
            script: &scripts::SPEND,
            now,
            head: vec![
                requests::optional(usage.group.as_ref()),
                requests::optional(usage.by.as_ref()),
            ],
        };
        self.run_batch(batch, tokens, |token| &token.pool, requests::token, replies::receipt)
            .await
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Vec<Result<()>> {
        let batch = Batch {
            script: &scripts::RELEASE,
            now,
            head: Vec::new(),
        };
        self.run_batch(batch, tokens, |token| &token.pool, requests::token, |_, _| Ok(()))
            .await
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let found = self
            .get(pool, "whole", &[key_package_ref], now, replies::stored)
            .await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        if refs.is_empty() {
            return Ok(Vec::new());
        }
        let refs: Vec<_> = refs.iter().collect();
        self.get(pool, "status", &refs, now, |mut fields| replies::status(&mut fields))
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
        let after = match after {
            None => 0,
            Some(Cursor(bytes)) => {
                let sequence = bytes.as_slice().try_into().map(i64::from_be_bytes).unwrap_or(0);
                if !(1..=Timestamp::MAX.get()).contains(&sequence) {
                    return Err(Rejection::InvalidCursor.into());
                }
                sequence
            }
        };
        let arguments = vec![requests::number(after), requests::number(limit.max(1))];
        let reply = self.run(script, pool, now, arguments).await?;
        let (items, last) = replies::available(reply).map_err(|source| malformed(script, source))?;
        let next = last.map(|sequence| Cursor(sequence.to_be_bytes().to_vec()));
        Ok(Page { items, next })
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<BTreeMap<Ciphersuite, Counts>> {
        let script = &scripts::COUNT;
        let reply = self.run(script, pool, now, Vec::new()).await?;
        Ok(replies::counts(reply).map_err(|source| malformed(script, source))?)
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let after = PoolCursor::read(after, self.keys.buckets())?;
        let (items, next) = self.pools_after("list_pools", after, limit).await?;
        Ok(Page { items, next })
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        let script = &scripts::REMOVE;
        let arguments = match what {
            Withdrawal::All => vec![requests::text("all")],
            Withdrawal::Refs(refs) if refs.is_empty() => return Ok(Vec::new()), // TIME-2: no call
            Withdrawal::Refs(refs) => std::iter::once(requests::text("refs"))
                .chain(refs.iter().map(|named| named.as_bytes().to_vec()))
                .collect(),
        };
        let reply = self.run(script, pool, now, arguments).await?;
        answer_all(script, reply, replies::removed)
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.run(&scripts::DELETE, pool, Timestamp::MIN, Vec::new()).await?;
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
        let after = PoolCursor::read(after, self.keys.buckets())?;
        let (pools, next) = self.pools_after(script.operation, after, limit).await?;
        let mut total = 0;
        for some in pools.chunks(CHUNK) {
            let retired = join_all(some.iter().map(async |pool| {
                let reply = self.run(script, pool, now, vec![requests::time(saved_before)]).await?;
                replies::count::<u64>(&reply).map_err(|source| malformed(script, source))
            }));
            for count in retired.await {
                total += count?;
            }
        }
        Ok((total, next))
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.sweep(Housekeeping::Cleanup, now, limit).await
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.sweep(Housekeeping::Settle, now, limit).await
    }
}
