use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kp_core::BoxError;
#[cfg(feature = "cluster")]
use redis::cluster::ClusterClient;
#[cfg(feature = "sentinel")]
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, ProtocolVersion, PushKind, RedisResult};

use crate::link::connection::Connection;
use crate::link::error::MissingFeature;

/// The address of a server, and the time that a connection to it may take.
pub(crate) struct Address {
    server: Server,
    timeout: Duration,
}

#[allow(clippy::large_enum_variant, reason = "a store has one address")]
enum Server {
    Node(Client),
    #[cfg(feature = "sentinel")]
    Sentinel(tokio::sync::Mutex<SentinelClient>),
    #[cfg(feature = "cluster")]
    Cluster(ClusterClient),
}

impl Address {
    /// Reads a URL: the front page of this crate lists the forms.
    pub(crate) fn parse(url: &str, timeout: Duration) -> Result<Self, BoxError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("not a URL"))?;
        let (scheme, kind) = scheme.split_once('-').unwrap_or((scheme, ""));
        if rest.is_empty() {
            return Err(invalid("no host named").into());
        }
        if is_tls(scheme) {
            prepare_tls()?;
        }
        let server = match kind {
            "" => Server::node(url)?,
            #[cfg(feature = "cluster")]
            "cluster" => Server::cluster(scheme, rest, timeout)?,
            #[cfg(not(feature = "cluster"))]
            "cluster" => return Err(MissingFeature { feature: "cluster" }.into()),
            #[cfg(feature = "sentinel")]
            "sentinel" => Server::sentinel(scheme, rest)?,
            #[cfg(not(feature = "sentinel"))]
            "sentinel" => return Err(MissingFeature { feature: "sentinel" }.into()),
            _ => return Err(invalid("an unknown scheme").into()),
        };
        Ok(Self { server, timeout })
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> RedisResult<Connection> {
        let lost = Arc::new(AtomicBool::new(false));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(None)
            .set_push_sender({
                let lost = Arc::clone(&lost);
                move |push: redis::PushInfo| {
                    if push.kind == PushKind::Disconnection {
                        lost.store(true, Ordering::Release);
                    }
                    Ok::<(), Infallible>(())
                }
            });
        match &self.server {
            Server::Node(client) => {
                let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                Ok(Connection::node(connection, lost))
            }
            #[cfg(feature = "sentinel")]
            Server::Sentinel(client) => {
                let connection = client.lock().await.get_async_connection_with_config(&config).await?;
                Ok(Connection::node(connection, lost))
            }
            #[cfg(feature = "cluster")]
            Server::Cluster(client) => Ok(Connection::cluster(client.get_async_connection().await?)),
        }
    }
}

impl Server {
    fn node(url: &str) -> RedisResult<Self> {
        let info = url.into_connection_info()?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Client::open(info.set_redis_settings(settings)).map(Self::Node)
    }

    #[cfg(feature = "cluster")]
    fn cluster(scheme: &str, rest: &str, timeout: Duration) -> RedisResult<Self> {
        let (login, hosts) = login_and_hosts(rest.trim_end_matches('/'));
        let nodes: Vec<_> = hosts.map(|host| format!("{scheme}://{login}{host}/")).collect();
        // The client must send nothing twice: a call whose reply is lost is Unknown (ERR-1).
        ClusterClient::builder(nodes)
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(timeout)
            .response_timeout(timeout)
            .retries(0)
            .build()
            .map(Self::Cluster)
    }

    #[cfg(feature = "sentinel")]
    fn sentinel(scheme: &str, rest: &str) -> RedisResult<Self> {
        let (place, service) = rest.split_once('/').ok_or_else(|| invalid("no service named"))?;
        let (login, hosts) = login_and_hosts(place);
        let sentinels: Vec<_> = hosts
            .map(|host| match host.rsplit_once(':') {
                Some(_) => format!("{scheme}://{host}/"),
                None => format!("{scheme}://{host}:26379/"),
            })
            .collect();
        let server = format!("{scheme}://{login}localhost/").into_connection_info()?;
        let settings = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let mut node = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
        if is_tls(scheme) {
            node = node.set_tls_mode(redis::TlsMode::Secure);
        }
        // Without TLS the client takes a String alone.
        let service = String::from(service);
        SentinelClient::build(sentinels, service, Some(node), SentinelServerType::Master)
            .map(|client| Self::Sentinel(tokio::sync::Mutex::new(client)))
    }
}

fn invalid(what: &'static str) -> redis::RedisError {
    (ErrorKind::InvalidClientConfig, what).into()
}

/// Splits `user:password@host,host` into the login, with its `@`, and the hosts.
#[cfg(any(feature = "cluster", feature = "sentinel"))]
fn login_and_hosts(place: &str) -> (&str, impl Iterator<Item = &str>) {
    let (login, hosts) = place.split_at(place.rfind('@').map_or(0, |at| at + 1));
    (login, hosts.split(','))
}

fn is_tls(scheme: &str) -> bool {
    matches!(scheme, "rediss" | "valkeys")
}

/// Installs ring as the cryptography provider of rustls, unless the program has chosen one.
#[cfg(feature = "tls")]
fn prepare_tls() -> Result<(), MissingFeature> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may install a provider first; then that provider stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn prepare_tls() -> Result<(), MissingFeature> {
    Err(MissingFeature { feature: "tls" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_needs_a_missing_feature_names_it() {
        let addresses = [
            ("rediss://127.0.0.1/", "tls", cfg!(feature = "tls")),
            ("redis-cluster://127.0.0.1/", "cluster", cfg!(feature = "cluster")),
            (
                "redis-sentinel://127.0.0.1/main",
                "sentinel",
                cfg!(feature = "sentinel"),
            ),
        ];
        for (url, feature, built) in addresses {
            let error = Address::parse(url, Duration::from_secs(1)).err();
            assert_eq!(error.is_none(), built, "{url}: {error:?}");
            if let Some(error) = error {
                let missing = error.downcast_ref::<MissingFeature>();
                assert_eq!(missing.map(|missing| missing.feature), Some(feature));
                assert!(error.to_string().contains(feature), "{error}");
            }
        }
    }
}
