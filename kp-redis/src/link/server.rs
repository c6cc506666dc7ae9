use kp_core::OpenError;
use redis::{FromRedisValue, Value};

use crate::link::calls::Link;

/// The oldest release that the scripts are tested with.
const OLDEST: (u32, u32) = (7, 0);

/// Describes the server, as it was when the store was opened: its settings decide which changes survive.
///
/// For a cluster, `replicas`, `append_only` and `append_fsync` are the weakest of all masters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// The product and its version: `redis 7.0.15`, `valkey 8.1.0`.
    pub version: String,
    /// The number of masters. More than one is a cluster.
    pub masters: u32,
    /// The number of connected replicas.
    pub replicas: u32,
    /// Whether the server keeps an append-only file.
    pub append_only: bool,
    /// When the append-only file reaches the disk: `always`, `everysec` or `no`. `None` if `CONFIG` is forbidden, as on
    /// most managed servers.
    pub append_fsync: Option<String>,
    /// The policy when the memory is full (`maxmemory-policy`), if the server tells it.
    pub eviction: Option<String>,
}

impl Server {
    /// Asks the server for its settings, and refuses settings that would lose KeyPackages.
    pub(crate) async fn inspect(link: &Link, may_evict: bool) -> Result<Self, OpenError> {
        let unreachable = |error: redis::RedisError| OpenError::Unreachable(error.into());
        let replies = link.ask_masters(&redis::cmd("INFO")).await.map_err(unreachable)?;
        let mut server: Option<Self> = None;
        let mut masters = 0;
        for reply in replies {
            masters += 1;
            let info = String::from_redis_value(reply).map_err(|error| unreachable(error.into()))?;
            let other = Self::read(&Info(&info), may_evict)?;
            server = Some(match server {
                None => other,
                Some(server) => server.least(other),
            });
        }
        let mut server = server.ok_or_else(|| OpenError::Unreachable("no master answers".into()))?;
        server.masters = masters;
        server.append_fsync = append_fsync(link).await;
        Ok(server)
    }

    fn read(info: &Info<'_>, may_evict: bool) -> Result<Self, OpenError> {
        let compatible = info.get("redis_version").unwrap_or_default();
        let version = match info.get("valkey_version") {
            Some(valkey) => format!("valkey {valkey}"),
            None => format!("redis {compatible}"),
        };
        let mut parts = compatible.split('.').map(|part| part.parse().unwrap_or(0));
        if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < OLDEST {
            let (major, minor) = OLDEST;
            return Err(OpenError::TooOld(format!("{version}, and {major}.{minor} is needed")));
        }
        if info.get("role") == Some("slave") {
            return Err(OpenError::UnsafeConfiguration(
                "the server is a replica: name its master".to_owned(),
            ));
        }
        let eviction = info.get("maxmemory_policy").map(str::to_owned);
        if let Some(policy) = &eviction
            && policy != "noeviction"
            && !may_evict
        {
            return Err(OpenError::UnsafeConfiguration(format!(
                "maxmemory-policy is {policy}: the server may forget which packages are spent; set it to noeviction"
            )));
        }
        Ok(Self {
            version,
            masters: 1,
            replicas: info
                .get("connected_slaves")
                .and_then(|count| count.parse().ok())
                .unwrap_or(0),
            append_only: info.get("aof_enabled") == Some("1"),
            append_fsync: None,
            eviction,
        })
    }

    fn least(self, other: Self) -> Self {
        Self {
            replicas: self.replicas.min(other.replicas),
            append_only: self.append_only && other.append_only,
            ..self
        }
    }
}

/// Returns the weakest `appendfsync` of all masters; `None` if `CONFIG` is forbidden.
async fn append_fsync(link: &Link) -> Option<String> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("appendfsync");
    let replies = link.ask_masters(&command).await.ok()?;
    let mut settings = Vec::new();
    for reply in replies {
        let pair: Vec<(String, String)> = Vec::from_redis_value(pairs(reply)).ok()?;
        settings.push(pair.into_iter().next()?.1);
    }
    ["no", "everysec", "always"]
        .into_iter()
        .find(|setting| settings.iter().any(|found| found == setting))
        .map(str::to_owned)
}

/// Turns a map (RESP3) into an array of pairs.
fn pairs(reply: Value) -> Value {
    match reply {
        Value::Map(pairs) => Value::Array(
            pairs
                .into_iter()
                .map(|(name, value)| Value::Array(vec![name, value]))
                .collect(),
        ),
        other => other,
    }
}

/// The reply to `INFO`.
struct Info<'a>(&'a str);

impl Info<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(info: &str, may_evict: bool) -> Result<Server, OpenError> {
        Server::read(&Info(info), may_evict)
    }

    #[test]
    fn a_server_that_may_evict_is_refused_unless_it_is_a_cache() {
        let info = "redis_version:7.4.0\r\nmaxmemory_policy:volatile-lru\r\n";
        assert!(matches!(read(info, false), Err(OpenError::UnsafeConfiguration(why)) if why.contains("volatile-lru")));
        assert_eq!(read(info, true).unwrap().eviction.as_deref(), Some("volatile-lru"));
    }

    #[test]
    fn an_old_server_is_refused_by_name() {
        let error = read("redis_version:6.2.14\r\n", false).unwrap_err();
        assert!(matches!(error, OpenError::TooOld(why) if why.contains("redis 6.2.14")));
    }

    #[test]
    fn a_replica_is_refused() {
        let error = read("redis_version:7.0.0\r\nrole:slave\r\n", false).unwrap_err();
        assert!(matches!(error, OpenError::UnsafeConfiguration(_)));
    }

    #[test]
    fn valkey_goes_by_its_own_name() {
        let info = "redis_version:7.2.4\r\nvalkey_version:8.1.1\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        let server = read(info, false).unwrap();
        assert_eq!((server.version.as_str(), server.append_only), ("valkey 8.1.1", true));
    }
}
