use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::client::{
    Fence, KeyPackageMetadata, LeaseHolder, LeaseName, MetadataChanges, MetadataRejection, MetadataResult,
    PoolMetadataStore, PoolRecord, StorageLease,
};
use kp_core::{BackendError, Effect, Error, KeyPackageRef, OpenError, PoolId, Timestamp, Ttl};
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
use crate::metadata::state::{RECORD, decode_lease, decode_record, encode_lease, encode_record, lease_field};

/// Stores the metadata of one client's KeyPackages on a Redis or Valkey server or cluster. The client is itself a
/// service, such as a bot that runs in several places. Clones are cheap, and share the connections.
///
/// The rows are one hash; the record and the leases are another, in the same slot. A change reads its rows, decides by
/// [`MetadataChanges::decide`], and sets them by one script. If a row has changed meanwhile, the script sets nothing, and
/// the change begins anew, until the time-out. The front page of this crate tells which changes survive.
///
/// ```no_run
/// use kp_core::client::{KeyPackageMetadata, PoolMetadataStoreExt};
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

impl RedisBuilder {
    /// Opens the metadata of this client, which is named by the id of its pool. A server's pools may share the prefix.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_metadata(self, client: PoolId) -> Result<RedisMetadata, OpenError> {
        let (link, keys, server) = self.connect(None).await?;
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
        keys: &[Vec<u8>],
        arguments: &[Vec<u8>],
        deadline: Instant,
    ) -> Result<i64, BackendError> {
        let request = Request {
            operation: script.operation,
            key: &keys[0],
            body: Body::Script {
                script,
                keys,
                arguments,
            },
            heartbeat: Some(self.keys.heartbeat(&self.client)),
        };
        match self.link.call_until(&request, deadline).await? {
            Value::Int(reply) => Ok(reply),
            _ => Err(malformed(script, Malformed("no number"))),
        }
    }

    /// Reads a hash. `command` is given its key, then these fields.
    async fn read<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &str,
        key: &[u8],
        fields: &[&[u8]],
        deadline: Instant,
    ) -> Result<T, BackendError> {
        let mut sent = redis::cmd(command);
        sent.arg(key).arg(fields);
        let request = Request {
            operation,
            key,
            body: Body::Command(sent),
            heartbeat: None,
        };
        let reply = self.link.call_until(&request, deadline).await?;
        T::from_redis_value(reply).map_err(|source| failed(operation, Effect::NotApplied, source))
    }

    /// Reads a lease, and sets it to what `decide` makes of it (`None`: nothing), until no other call came between.
    async fn set_lease<T>(
        &self,
        script: &'static Script,
        name: LeaseName,
        decide: impl Fn(Option<&StorageLease>) -> (Option<StorageLease>, T) + Send + Sync,
    ) -> Result<T, BackendError> {
        let deadline = self.link.deadline();
        let [_, state] = self.keys.metadata(&self.client);
        let field = lease_field(name);
        loop {
            let found: Option<Vec<u8>> = self.read(script.operation, "HGET", &state, &[&field], deadline).await?;
            let stored = found.as_deref().map(decode_lease).transpose();
            let stored = stored.map_err(|source| failed(script.operation, Effect::NotApplied, source))?;
            let (lease, answer) = decide(stored.as_ref());
            // A lease that stays is set to what it is, for the reason that `apply` has.
            let from = found.unwrap_or_default();
            let to = lease.map_or_else(|| from.clone(), |lease| encode_lease(&lease));
            let keys = std::slice::from_ref(&state);
            match self.run(script, keys, &[field.clone(), from, to], deadline).await? {
                0 => {}
                _ => return Ok(answer),
            }
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
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
        if changes.is_empty() {
            return Ok(0);
        }
        let (script, deadline) = (&scripts::APPLY, self.link.deadline());
        let keys = self.keys.metadata(&self.client);
        let named: Vec<_> = changes.named().into_iter().collect();
        let fields: Vec<_> = named.iter().map(|named| named.as_bytes()).collect();
        loop {
            let found: Vec<Option<Vec<u8>>> = match fields.is_empty() {
                true => Vec::new(),
                false => {
                    self.read(script.operation, "HMGET", &keys[0], &fields, deadline)
                        .await?
                }
            };
            let mut rows = BTreeMap::new();
            for (named, value) in named.iter().zip(&found) {
                if let Some(value) = value {
                    rows.insert((*named).clone(), decoded(script.operation, (*named).clone(), value)?);
                }
            }
            let answer = changes.decide(&mut rows);
            let mut arguments = match changes.fence {
                Some(fence) => vec![lease_field(fence.lease), fence.number.to_be_bytes().to_vec()],
                None => vec![Vec::new(); 2],
            };
            let record = changes.record.as_ref().filter(|_| answer.is_ok());
            arguments.push(record.map(encode_record).unwrap_or_default());
            arguments.push(named.len().to_string().into_bytes());
            // Refused changes, and changes to what is there already, set the rows to what they are. So under WAIT the
            // answer comes only when the replicas have the rows that it rests on (ERR-5).
            for (named, value) in named.iter().zip(found) {
                let from = value.unwrap_or_default();
                let to = match rows.get(*named).filter(|_| answer.is_ok()) {
                    Some(row) => encoded(script.operation, row)?,
                    None => from.clone(),
                };
                arguments.extend([named.as_bytes().to_vec(), from, to]);
            }
            if answer.is_ok() {
                arguments.extend(changes.delete.iter().map(|named| named.as_bytes().to_vec()));
            }
            match self.run(script, &keys, &arguments, deadline).await? {
                // Another call has set a row meanwhile. That call succeeded, so one of the calls always gets on.
                -1 => {}
                -2 => return Err(MetadataRejection::Fenced.into()),
                deleted => {
                    answer?;
                    return Ok(u64::try_from(deleted).map_err(|_| malformed(script, Malformed("no count")))?);
                }
            }
        }
    }

    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence> {
        let grant = |stored: Option<&StorageLease>| {
            let granted = StorageLease::grant(stored, holder, ttl, now);
            (granted.ok(), granted.map(|lease| Fence::new(name, lease.fence)))
        };
        let answer = self.set_lease(&scripts::LEASE, name, grant).await?;
        answer.map_err(Error::Rejected)
    }

    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
        let release = |stored: Option<&StorageLease>| (stored.and_then(|lease| lease.release(holder)), ());
        Ok(self.set_lease(&scripts::RELEASE_LEASE, name, release).await?)
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        let [rows, _] = self.keys.metadata(&self.client);
        let fields = [key_package_ref.as_bytes()];
        let found: Option<Vec<u8>> = self.read("get", "HGET", &rows, &fields, self.link.deadline()).await?;
        let found = found.map(|value| decoded("get", key_package_ref.clone(), &value));
        Ok(found.transpose()?)
    }

    /// Fails on a damaged row instead of passing it over: a client that does not see a row would take its key for lost.
    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        let [rows, _] = self.keys.metadata(&self.client);
        let found: BTreeMap<Vec<u8>, Vec<u8>> = self.read("list", "HGETALL", &rows, &[], self.link.deadline()).await?;
        let mut rows = Vec::with_capacity(found.len());
        for (named, value) in found {
            let named = KeyPackageRef::try_from(named).map_err(|source| failed("list", Effect::NotApplied, source))?;
            rows.push(decoded("list", named, &value)?);
        }
        // The sort is stable, and the rows come in the order of their refs.
        rows.sort_by_key(|row| row.created_at);
        Ok(rows)
    }

    async fn record(&self) -> MetadataResult<PoolRecord> {
        let [_, state] = self.keys.metadata(&self.client);
        let found: Option<Vec<u8>> = self
            .read("record", "HGET", &state, &[RECORD], self.link.deadline())
            .await?;
        let record = found.map_or_else(|| Ok(PoolRecord::default()), |value| decode_record(&value));
        Ok(record.map_err(|source| failed("record", Effect::NotApplied, source))?)
    }
}
