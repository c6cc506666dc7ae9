use std::collections::HashMap;

use kp_core::OpenError;
use redis::{FromRedisValue, Value};

use crate::link::calls::Link;
use crate::link::error::is_denied;

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
    /// Whether the server keeps an append-only file, as far as it tells.
    pub append_only: bool,
    /// When the append-only file reaches the disk: `always`, `everysec` or `no`. `None` if `CONFIG` is forbidden, as on
    /// most managed servers.
    pub append_fsync: Option<String>,
    /// The policy when the memory is full (`maxmemory-policy`), if the server tells it.
    pub eviction: Option<String>,
    /// What the server does not tell its user, and so was not checked: any of `maxmemory-policy`, `appendonly`,
    /// `appendfsync` and `connected_slaves`. Without the first, the server may evict keys; see that it does not.
    pub unchecked: Vec<&'static str>,
    /// Whether the store's scripts run as functions of the server (`FCALL`): a call then takes less of the server's time.
    /// `false` where the server denies its user `FUNCTION LOAD` or `FCALL`, or had no room for them: the scripts are sent by
    /// their hash then. And for a [`RedisMetadata`](crate::RedisMetadata), which gains nothing by it.
    pub functions: bool,
}

impl Server {
    /// Asks the server for its settings, and refuses settings that would lose KeyPackages.
    ///
    /// `INFO` tells the most. A user who may not ask that is told the version and the role by `HELLO`, which is never
    /// denied, and the settings by `CONFIG`, if that is allowed.
    pub(crate) async fn inspect(link: &Link, may_evict: bool) -> Result<Self, OpenError> {
        let mut told = Vec::new();
        match link.ask_masters(&redis::cmd("INFO")).await {
            Ok(replies) => {
                for reply in replies {
                    told.push(Told::by_info(&Info(&text(reply)?)));
                }
            }
            Err(error) if is_denied(&error) => {
                for reply in link.ask_masters(&redis::cmd("HELLO")).await.map_err(unreachable)? {
                    told.push(Told::by_hello(reply)?);
                }
            }
            Err(error) => return Err(unreachable(error)),
        }
        if told.iter().any(|master| master.eviction.is_none()) {
            for (master, policy) in told.iter_mut().zip(settings(link, "maxmemory-policy").await) {
                master.eviction = Some(policy);
            }
        }
        if told.iter().any(|master| master.append_only.is_none()) {
            for (master, found) in told.iter_mut().zip(settings(link, "appendonly").await) {
                master.append_only = Some(found == "yes");
            }
        }
        let fsync = settings(link, "appendfsync").await;
        let append_fsync = ["no", "everysec", "always"]
            .into_iter()
            .find(|weakest| fsync.iter().any(|found| found == weakest))
            .map(str::to_owned);
        Self::of_masters(told, append_fsync, may_evict)
    }

    fn of_masters(told: Vec<Told>, append_fsync: Option<String>, may_evict: bool) -> Result<Self, OpenError> {
        for master in &told {
            master.check(may_evict)?;
        }
        let first = told.first();
        let (version, eviction) = match first {
            Some(first) => (first.version(), first.eviction.clone()),
            None => return Err(OpenError::Unreachable("no master answers".into())),
        };
        let replicas: Option<Vec<_>> = told.iter().map(|master| master.replicas).collect();
        let append_only: Option<Vec<_>> = told.iter().map(|master| master.append_only).collect();
        let told_policy = told.iter().all(|master| master.eviction.is_some());
        let unchecked = [
            ("maxmemory-policy", told_policy),
            ("appendonly", append_only.is_some()),
            ("appendfsync", append_fsync.is_some()),
            ("connected_slaves", replicas.is_some()),
        ];
        Ok(Self {
            version,
            masters: u32::try_from(told.len()).unwrap_or(u32::MAX),
            replicas: replicas.into_iter().flatten().min().unwrap_or(0),
            append_only: append_only.is_some_and(|found| found.into_iter().all(|keeps| keeps)),
            append_fsync,
            eviction,
            unchecked: unchecked
                .into_iter()
                .filter(|(_, told)| !told)
                .map(|(name, _)| name)
                .collect(),
            functions: false,
        })
    }
}

/// What one master tells.
#[derive(Debug, Default)]
struct Told {
    product: &'static str,
    release: String,
    /// The release of Redis that it is compatible with.
    compatible: String,
    is_replica: bool,
    replicas: Option<u32>,
    append_only: Option<bool>,
    eviction: Option<String>,
}

impl Told {
    fn by_info(info: &Info<'_>) -> Self {
        let compatible = info.get("redis_version").unwrap_or_default().to_owned();
        let (product, release) = match info.get("valkey_version") {
            Some(release) => ("valkey", release.to_owned()),
            None => ("redis", compatible.clone()),
        };
        Self {
            product,
            release,
            compatible,
            is_replica: info.get("role") == Some("slave"),
            replicas: info.get("connected_slaves").and_then(|count| count.parse().ok()),
            append_only: info.get("aof_enabled").map(|enabled| enabled == "1"),
            eviction: info.get("maxmemory_policy").map(str::to_owned),
        }
    }

    fn by_hello(reply: Value) -> Result<Self, OpenError> {
        let fields: HashMap<String, Value> =
            HashMap::from_redis_value(reply).map_err(|error| unreachable(error.into()))?;
        let field = |name: &str| fields.get(name).cloned().map(text).transpose();
        let release = field("version")?.unwrap_or_default();
        let product = match field("server")?.as_deref() {
            Some("valkey") => "valkey",
            _ => "redis",
        };
        Ok(Self {
            product,
            compatible: release.clone(),
            release,
            is_replica: field("role")?.is_some_and(|role| role != "master"),
            ..Self::default()
        })
    }

    fn version(&self) -> String {
        format!("{} {}", self.product, self.release)
    }

    fn check(&self, may_evict: bool) -> Result<(), OpenError> {
        let mut parts = self.compatible.split('.').map(|part| part.parse().unwrap_or(0));
        if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < OLDEST {
            let (major, minor) = OLDEST;
            return Err(OpenError::TooOld(format!(
                "{}, and {major}.{minor} is needed",
                self.version()
            )));
        }
        if self.is_replica {
            return Err(OpenError::UnsafeConfiguration(
                "the server is a replica: name its master".to_owned(),
            ));
        }
        match self.eviction.as_deref() {
            Some(policy) if policy != "noeviction" && !may_evict => Err(OpenError::UnsafeConfiguration(format!(
                "maxmemory-policy is {policy}: the server may forget which packages are spent; set it to noeviction"
            ))),
            _ => Ok(()),
        }
    }
}

/// Returns a setting of each master; nothing if `CONFIG` is forbidden.
async fn settings(link: &Link, name: &str) -> Vec<String> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(name);
    let replies = link.ask_masters(&command).await.unwrap_or_default();
    let setting = |reply| {
        let pair: Vec<(String, String)> = Vec::from_redis_value(pairs(reply)).ok()?;
        Some(pair.into_iter().next()?.1)
    };
    replies
        .into_iter()
        .map(setting)
        .collect::<Option<_>>()
        .unwrap_or_default()
}

fn unreachable(error: redis::RedisError) -> OpenError {
    OpenError::Unreachable(error.into())
}

fn text(value: Value) -> Result<String, OpenError> {
    String::from_redis_value(value).map_err(|error| unreachable(error.into()))
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
        Server::of_masters(vec![Told::by_info(&Info(info))], None, may_evict)
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
        assert_eq!(server.unchecked, ["appendfsync", "connected_slaves"]);
    }
}
