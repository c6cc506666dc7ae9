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
        let request = Request {
            operation,
            key: &key,
            body: Body::Command(sent),
            heartbeat: None,
        };
        let reply = self.link.call(&request).await?;
        replies::pools(reply).map_err(|source| failed(operation, Effect::NotApplied, source))
    }
}
