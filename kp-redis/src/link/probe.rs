use std::error::Error as _;

use futures::future::join_all;
use kp_core::{BackendError, OpenError};
use redis::{FromRedisValue, RedisError, Value};

use crate::keys::Keys;
use crate::link::calls::Link;
use crate::link::error::is_denied;
use crate::link::library::Library;
use crate::link::request::{Body, Request};
use crate::link::script::Script;

static PROBE: Script = Script::reading("open", include_str!("../../lua/link/probe.lua"));

/// The most buckets of a cluster that are probed. The users of a cluster's nodes are set on each, so each is probed; few
/// clusters have a node without any of so many buckets.
const BUCKETS: u16 = 256;

/// Runs every command that the store needs, on keys of its prefix, and refuses a server that denies one: a script that
/// meets it later has changed something by then.
pub(crate) async fn check(link: &Link, keys: &Keys) -> Result<(), OpenError> {
    // EVAL first. The server knows the script from then on, and EVALSHA needs no second EVAL.
    probe(link, keys.probe(0), true).await?;
    let buckets = if link.is_cluster() {
        BUCKETS.min(keys.buckets())
    } else {
        1
    };
    let probes = (0..buckets).map(|bucket| probe(link, keys.probe(bucket), false));
    join_all(probes).await.into_iter().collect()
}

async fn probe(link: &Link, key: Vec<u8>, whole: bool) -> Result<(), OpenError> {
    let keys = [key];
    let body = if whole {
        let mut eval = redis::cmd("EVAL");
        eval.arg(PROBE.source()).arg(keys.len()).arg(&keys);
        Body::Command(eval)
    } else {
        Body::Script {
            script: &PROBE,
            keys: &keys,
            arguments: &[],
        }
    };
    let request = Request {
        operation: PROBE.operation,
        key: &keys[0],
        body,
        heartbeat: None,
    };
    let reply = link.call(&request).await.map_err(refused)?;
    match Option::<(String, String)>::from_redis_value(nothing_or(reply)) {
        Ok(None) => Ok(()),
        Ok(Some((command, why))) => Err(OpenError::UnsafeConfiguration(format!(
            "the server denies {command}, which the store needs: {why}"
        ))),
        Err(error) => Err(OpenError::Unreachable(error.into())),
    }
}

/// Returns whether every master runs the functions of this library: it has them, or takes them. A server may be too full for them,
/// or deny its user `FUNCTION` or `FCALL`.
pub(crate) async fn takes(link: &Link, library: &Library) -> bool {
    let is_loaded = async || link.ask_masters(&library.is_loaded()).await.is_ok();
    is_loaded().await || (link.ask_masters(&library.load()).await.is_ok() && is_loaded().await)
}

fn nothing_or(reply: Value) -> Value {
    match reply {
        Value::Array(empty) if empty.is_empty() => Value::Nil,
        other => other,
    }
}

/// Tells a server that denies a command of opening itself from one that cannot be reached.
pub(crate) fn refused(error: BackendError) -> OpenError {
    let source = error.source().and_then(|source| source.downcast_ref::<RedisError>());
    match source {
        Some(denied) if is_denied(denied) => {
            OpenError::UnsafeConfiguration(format!("the server denies a command that the store needs: {denied}"))
        }
        _ => OpenError::Unreachable(error.into()),
    }
}
