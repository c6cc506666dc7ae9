use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::client::{KeyPackageMetadata, Lifecycle, MetadataRejection, MetadataResult, PoolMetadataStore};
use kp_core::{BackendError, Effect, Error, KeyPackageRef, OpenError, PoolId, Timestamp};
use redis::{FromRedisValue, Value};
use tokio::time::Instant;

use crate::keys::Keys;
use crate::link::builder::RedisBuilder;
use crate::link::calls::Link;
use crate::link::error::{Malformed, failed, malformed};
use crate::link::request::{Body, Request};
use crate::link::script::Script;
use crate::link::server::Server;
use crate::metadata::rows::{decode, encode};
use crate::metadata::scripts;

/// Stores the metadata of one client's KeyPackages on a Redis or Valkey server or cluster. The client is itself a
/// service, such as a bot that runs in several places. Clones are cheap, and share the connections.
///
/// The rows are one hash. An update reads its rows, steps them by [`KeyPackageMetadata::step_all`], and sets them by a
/// script. If a row has changed meanwhile, the script sets nothing, and the update begins anew, until the time-out. The
/// front page of this crate tells which changes survive.
///
/// ```no_run
/// use kp_core::client::{KeyPackageMetadata, PoolMetadataStore};
/// use kp_core::{KeyPackageInfo, PoolId, Timestamp};
/// use kp_redis::RedisMetadata;
///
/// # async fn create(info: KeyPackageInfo, now: Timestamp) -> Result<(), Box<dyn std::error::Error>> {
/// let bot = PoolId::try_from("bot/1")?;
/// let metadata = RedisMetadata::open("redis://10.0.0.1/", bot).await?;
/// metadata.create_pool_metadata(&[KeyPackageMetadata::created(&info, now)]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RedisMetadata {
    link: Arc<Link>,
    keys: Arc<Keys>,
    client: PoolId,
    server: Server,
}

/// A change of one row, encoded. Empty stands for no row.
struct Change {
    key_package_ref: KeyPackageRef,
    /// The row as it was read.
    from: Vec<u8>,
    to: Vec<u8>,
}

impl RedisBuilder {
    /// Opens the metadata of this client, which is named by the id of its pool. A server's pools may share the prefix.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_metadata(self, client: PoolId) -> Result<RedisMetadata, OpenError> {
        let (link, keys, server) = self.connect().await?;
        Ok(RedisMetadata {
            link: Arc::new(link),
            keys: Arc::new(keys),
            client,
            server,
        })
    }
}

impl RedisMetadata {
    /// Opens the metadata of this client at this URL, with the defaults of [`RedisBuilder`]. The client is named by the
    /// id of its pool. The front page of this crate lists the URLs.
    ///
    /// # Errors
    ///
    /// Any [`OpenError`]: see [`RedisBuilder::open_metadata`].
    pub async fn open(url: impl Into<String>, client: PoolId) -> Result<Self, OpenError> {
        RedisBuilder::new(url.into()).open_metadata(client).await
    }

    /// Returns what the server is set to do, as it was when the metadata was opened.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    async fn run(
        &self,
        script: &'static Script,
        arguments: &[Vec<u8>],
        deadline: Instant,
    ) -> Result<Value, BackendError> {
        let keys = [self.keys.metadata(&self.client)];
        let request = Request {
            operation: script.operation,
            key: &keys[0],
            body: Body::Script {
                script,
                keys: &keys,
                arguments,
            },
            heartbeat: Some(self.keys.heartbeat(&self.client)),
        };
        self.link.call_until(&request, deadline).await
    }

    /// Reads the hash. `command` is given its key, then these arguments.
    async fn read<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &str,
        arguments: &[&KeyPackageRef],
        deadline: Instant,
    ) -> Result<T, BackendError> {
        let key = self.keys.metadata(&self.client);
        let mut sent = redis::cmd(command);
        sent.arg(&key);
        for argument in arguments {
            sent.arg(argument.as_bytes());
        }
        let request = Request {
            operation,
            key: &key,
            body: Body::Command(sent),
            heartbeat: None,
        };
        let reply = self.link.call_until(&request, deadline).await?;
        T::from_redis_value(reply).map_err(|source| failed(operation, Effect::NotApplied, source))
    }

    /// Sets these rows, all or none. Returns whether all still were as they had been read.
    async fn set(
        &self,
        script: &'static Script,
        changes: Vec<Change>,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let arguments: Vec<_> = changes
            .into_iter()
            .flat_map(|change| [change.key_package_ref.as_bytes().to_vec(), change.from, change.to])
            .collect();
        let reply = self.run(script, &arguments, deadline).await?;
        match reply {
            Value::Int(1) => Ok(true),
            Value::Int(0) => Ok(false),
            _ => Err(malformed(script, Malformed("neither set nor left"))),
        }
    }
}

fn decoded(
    operation: &'static str,
    key_package_ref: KeyPackageRef,
    value: &[u8],
) -> Result<KeyPackageMetadata, BackendError> {
    decode(key_package_ref, value).map_err(|source| failed(operation, Effect::NotApplied, source))
}

fn encoded(operation: &'static str, row: &KeyPackageMetadata) -> Result<Vec<u8>, BackendError> {
    encode(row).map_err(|source| failed(operation, Effect::NotApplied, source))
}

#[async_trait]
impl PoolMetadataStore for RedisMetadata {
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()> {
        let mut refs = BTreeSet::new();
        if !rows.iter().all(|row| refs.insert(&row.key_package_ref)) {
            return Err(MetadataRejection::Exists.into());
        }
        if rows.is_empty() {
            return Ok(());
        }
        let script = &scripts::CREATE;
        let changes = rows.iter().map(|row| {
            Ok(Change {
                key_package_ref: row.key_package_ref.clone(),
                from: Vec::new(),
                to: encoded(script.operation, row)?,
            })
        });
        let changes = changes.collect::<Result<_, BackendError>>()?;
        if self.set(script, changes, self.link.deadline()).await? {
            Ok(())
        } else {
            Err(MetadataRejection::Exists.into())
        }
    }

    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()> {
        if steps.is_empty() {
            return Ok(());
        }
        let script = &scripts::UPDATE;
        let deadline = self.link.deadline();
        let refs: BTreeSet<_> = steps.iter().map(|(named, _)| named).collect();
        let refs: Vec<_> = refs.into_iter().collect();
        loop {
            let found: Vec<Option<Vec<u8>>> = self.read(script.operation, "HMGET", &refs, deadline).await?;
            let mut rows = BTreeMap::new();
            for (named, value) in refs.iter().zip(&found) {
                if let Some(value) = value {
                    rows.insert((*named).clone(), decoded(script.operation, (*named).clone(), value)?);
                }
            }
            let answer = KeyPackageMetadata::step_all(&mut rows, steps, now);
            // A refused update, or an update that changes nothing, sets its rows to what they are. So under WAIT the
            // answer comes only when the replicas have the rows that it rests on (ERR-5).
            let changes = refs.iter().zip(found).map(|(named, value)| {
                let from = value.unwrap_or_default();
                let to = match rows.get(*named).filter(|_| answer.is_ok()) {
                    Some(stepped) => encoded(script.operation, stepped)?,
                    None => from.clone(),
                };
                Ok(Change {
                    key_package_ref: (*named).clone(),
                    from,
                    to,
                })
            });
            let changes = changes.collect::<Result<_, BackendError>>()?;
            if self.set(script, changes, deadline).await? {
                return answer.map_err(Error::Rejected);
            }
            // Another call has set a row meanwhile. That call succeeded, so one of the calls always gets on.
        }
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        let found: Option<Vec<u8>> = self
            .read("get", "HGET", &[key_package_ref], self.link.deadline())
            .await?;
        let found = found.map(|value| decoded("get", key_package_ref.clone(), &value));
        Ok(found.transpose()?)
    }

    /// Fails on a damaged row instead of passing it over: a client that does not see a row would take its key for lost.
    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        let found: BTreeMap<Vec<u8>, Vec<u8>> = self.read("list", "HGETALL", &[], self.link.deadline()).await?;
        let mut rows = Vec::with_capacity(found.len());
        for (named, value) in found {
            let named = KeyPackageRef::try_from(named).map_err(|source| failed("list", Effect::NotApplied, source))?;
            rows.push(decoded("list", named, &value)?);
        }
        // The sort is stable, and the rows come in the order of their refs.
        rows.sort_by_key(|row| row.created_at);
        Ok(rows)
    }

    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64> {
        if refs.is_empty() {
            return Ok(0);
        }
        let script = &scripts::DELETE;
        let refs: Vec<_> = refs.iter().map(|named| named.as_bytes().to_vec()).collect();
        let reply = self.run(script, &refs, self.link.deadline()).await?;
        let deleted = match reply {
            Value::Int(deleted) => u64::try_from(deleted).ok(),
            _ => None,
        };
        Ok(deleted.ok_or_else(|| malformed(script, Malformed("no count")))?)
    }
}
