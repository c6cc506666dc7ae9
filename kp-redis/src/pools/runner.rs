use std::sync::Arc;

use kp_core::{BackendError, Effect, PoolId, Timestamp};
use redis::{Cmd, Value};
use tokio::time::Instant;

use crate::keys::{Index, Keys};
use crate::link::calls::Link;
use crate::link::error::failed;
use crate::link::request::{Body, Request};
use crate::link::script::Script;
use crate::pools::replies;
use crate::pools::requests::{self, Arguments};

/// Runs scripts on pools, and reads the indexes that lead to pools. Clones share the link.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    link: Arc<Link>,
    pub(crate) keys: Arc<Keys>,
}

impl Runner {
    pub(crate) fn new(link: Link, keys: Keys) -> Self {
        Self {
            link: Arc::new(link),
            keys: Arc::new(keys),
        }
    }

    /// Runs a script on a pool, in one round trip.
    pub(crate) async fn run(
        &self,
        script: &'static Script,
        pool: &PoolId,
        now: Timestamp,
        arguments: Arguments,
    ) -> Result<Value, BackendError> {
        self.run_until(self.deadline(), script, pool, now, arguments).await
    }

    /// Returns when a call that begins now times out.
    pub(crate) fn deadline(&self) -> Instant {
        self.link.deadline()
    }

    /// Runs one of several scripts that make up one call and share its deadline.
    pub(crate) async fn run_until(
        &self,
        deadline: Instant,
        script: &'static Script,
        pool: &PoolId,
        now: Timestamp,
        arguments: Arguments,
    ) -> Result<Value, BackendError> {
        let keys = self.keys.of_pool(pool, script.all_keys);
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
            heartbeat: script.changes.then(|| self.keys.heartbeat(pool)),
        };
        self.link.call_until(&request, deadline).await
    }

    /// Reads pools from an index of a bucket. `command` is given the index's key, then these arguments.
    pub(crate) async fn read_index(
        &self,
        operation: &'static str,
        index: Index,
        bucket: u16,
        command: &str,
        arguments: &[Vec<u8>],
    ) -> Result<Vec<PoolId>, BackendError> {
        let key = self.keys.index(bucket, index);
        let mut sent = Cmd::new();
        sent.arg(command).arg(&key).arg(arguments);
        let reply = self.ask(operation, &key, sent).await?;
        replies::pools(reply).map_err(|source| failed(operation, Effect::NotApplied, source))
    }

    /// Removes a pool from an index of a bucket.
    pub(crate) async fn unlist(
        &self,
        operation: &'static str,
        index: Index,
        bucket: u16,
        pool: &PoolId,
    ) -> Result<(), BackendError> {
        let key = self.keys.index(bucket, index);
        let mut remove = redis::cmd("ZREM");
        remove.arg(&key).arg(pool.as_bytes());
        self.ask(operation, &key, remove).await.map(drop)
    }

    /// Visits all keys there are, also those of others: in steps, so that the server goes on.
    pub(crate) async fn each_key(
        &self,
        operation: &'static str,
        step: u32,
        mut visit: impl FnMut(Vec<u8>),
    ) -> Result<(), BackendError> {
        let unread = |source| failed(operation, Effect::NotApplied, source);
        if !self.link.is_cluster() {
            let mut cursor = "0".to_owned();
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(&cursor).arg("COUNT").arg(step);
                let reply = self.ask(operation, &self.keys.schema(), scan).await?;
                let (next, keys) = replies::scanned(reply).map_err(unread)?;
                keys.into_iter().for_each(&mut visit);
                if next == "0" {
                    return Ok(());
                }
                cursor = next;
            }
        }
        // A node of a cluster tells the keys of a slot, and the keys of a bucket are in one.
        for bucket in 0..self.keys.buckets() {
            let key = self.keys.index(bucket, Index::Pools);
            let mut slot = redis::cmd("CLUSTER");
            slot.arg("KEYSLOT").arg(&key);
            let slot = self.ask(operation, &key, slot).await?;
            let slot = replies::integer(&slot).map_err(unread)?;
            let mut keys = redis::cmd("CLUSTER");
            keys.arg("GETKEYSINSLOT").arg(slot).arg(i32::MAX);
            let reply = self.ask(operation, &key, keys).await?;
            replies::keys(reply).map_err(unread)?.into_iter().for_each(&mut visit);
        }
        Ok(())
    }

    /// Sends a command that changes nothing, or that may be sent twice, to the master of a key.
    async fn ask(&self, operation: &'static str, key: &[u8], command: Cmd) -> Result<Value, BackendError> {
        let request = Request {
            operation,
            key,
            body: Body::Command(command),
            heartbeat: None,
        };
        self.link.call(&request).await
    }
}
