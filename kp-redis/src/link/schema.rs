use kp_core::OpenError;
use redis::{Cmd, FromRedisValue};

use crate::keys::Keys;
use crate::link::calls::Link;
use crate::link::probe;
use crate::link::request::{Body, Request};

/// The version of the layout that docs/decisions/redis-layout.md describes.
const SCHEMA: u32 = 3;

/// Writes the version of the layout and the number of buckets if the prefix has none yet. Refuses any other.
pub(crate) async fn check(link: &Link, keys: &Keys, create: bool) -> Result<(), OpenError> {
    let key = keys.schema();
    let mine = format!("kp-redis {SCHEMA} {}", keys.buckets());
    let ask = async |command: Cmd| {
        let request = Request {
            operation: "open",
            key: &key,
            body: Body::Command(command),
            heartbeat: None,
        };
        let reply = link.call(&request).await.map_err(probe::refused)?;
        Option::<String>::from_redis_value(reply).map_err(|_| not_ours())
    };
    let mut look = redis::cmd("GET");
    look.arg(&key);
    let mut write = redis::cmd("SET");
    write.arg(&key).arg(&mine).arg("NX").arg("GET");
    // A store that is there opens on a server that takes no changes for now, too: reads go on.
    let found = match ask(look).await? {
        Some(found) => Some(found),
        None if !create => return Err(OpenError::Missing),
        None => ask(write).await?,
    };
    let Some(found) = found.filter(|found| *found != mine) else {
        return Ok(());
    };
    let mut parts = found
        .strip_prefix("kp-redis ")
        .unwrap_or_default()
        .split(' ')
        .map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(schema)), _) if schema > SCHEMA => Err(OpenError::NewerSchema {
            found: schema,
            known: SCHEMA,
        }),
        (Some(Ok(schema @ 1..SCHEMA)), Some(Ok(_))) => Err(OpenError::UnsafeConfiguration(format!(
            "the pools under this prefix have layout {schema}, not {SCHEMA}: docs/moving.md tells how they are moved"
        ))),
        (Some(Ok(SCHEMA)), Some(Ok(buckets))) => Err(OpenError::UnsafeConfiguration(format!(
            "the pools under this prefix lie in {buckets} buckets, not {}",
            keys.buckets()
        ))),
        _ => Err(not_ours()),
    }
}

fn not_ours() -> OpenError {
    OpenError::NotADatabase("another program's keys lie under this prefix".to_owned())
}
