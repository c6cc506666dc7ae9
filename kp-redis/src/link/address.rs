use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kp_core::BoxError;
#[cfg(feature = "cluster")]
use redis::cluster::ClusterClient;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
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
    /// A client for each Sentinel.
    Sentinel(Vec<tokio::sync::Mutex<SentinelClient>>),
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
            "" => Server::node(url, timeout)?,
            #[cfg(feature = "cluster")]
            "cluster" => Server::cluster(scheme, rest, timeout)?,
            #[cfg(not(feature = "cluster"))]
            "cluster" => return Err(MissingFeature { feature: "cluster" }.into()),
            #[cfg(feature = "sentinel")]
            "sentinel" => Server::sentinel(scheme, rest, timeout)?,
            #[cfg(not(feature = "sentinel"))]
            "sentinel" => return Err(MissingFeature { feature: "sentinel" }.into()),
            _ => return Err(invalid("an unknown scheme").into()),
        };
        Ok(Self { server, timeout })
    }

    pub(crate) fn is_cluster(&self) -> bool {
        match &self.server {
            #[cfg(feature = "cluster")]
            Server::Cluster(_) => true,
            _ => false,
        }
    }

    /// Opens a connection, and looks the address up anew.
    pub(crate) async fn connect(&self, epoch: u64) -> RedisResult<Connection> {
        match &self.server {
            Server::Node(client) => {
                let (config, lost) = self.config();
                let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                Ok(Connection::node(connection, epoch, lost))
            }
            #[cfg(feature = "sentinel")]
            Server::Sentinel(clients) => {
                // All are asked at once: one that hangs, or knows of no master, keeps nobody from the others.
                let attempts = clients.iter().map(|client| {
                    Box::pin(async move {
                        let (config, lost) = self.config();
                        let ask = async { client.lock().await.get_async_connection_with_config(&config).await };
                        let connection = tokio::time::timeout(self.timeout / 2, ask)
                            .await
                            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
                        RedisResult::Ok(Connection::node(connection, epoch, lost))
                    })
                });
                let (connection, _others) = futures::future::select_ok(attempts).await?;
                Ok(connection)
            }
            #[cfg(feature = "cluster")]
            Server::Cluster(client) => Ok(Connection::cluster(client.get_async_connection().await?, epoch)),
        }
    }
}

impl Address {
    /// Returns the settings of a new connection, and what tells when the connection is lost.
    fn config(&self) -> (AsyncConnectionConfig, Arc<AtomicBool>) {
        let lost = Arc::new(AtomicBool::new(false));
        let config = AsyncConnectionConfig::new()
            // Half of it, so that a call can try twice.
            .set_connection_timeout(Some(self.timeout / 2))
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
        (config, lost)
    }
}

impl Server {
    fn node(url: &str, timeout: Duration) -> RedisResult<Self> {
        let info = url.into_connection_info()?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info
            .set_redis_settings(settings)
            .set_tcp_settings(tcp_settings(timeout));
        Client::open(info).map(Self::Node)
    }

    #[cfg(feature = "cluster")]
    fn cluster(scheme: &str, rest: &str, timeout: Duration) -> RedisResult<Self> {
        let (login, hosts) = login_and_hosts(rest.trim_end_matches('/'));
        let nodes: Vec<_> = hosts.map(|host| format!("{scheme}://{login}{host}/")).collect();
        // The client must send nothing twice: a call whose reply is lost is Unknown (ERR-1).
        ClusterClient::builder(nodes)
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(patience_with_node(timeout))
            .response_timeout(timeout)
            .tcp_settings(tcp_settings(timeout))
            .retries(0)
            .build()
            .map(Self::Cluster)
    }

    #[cfg(feature = "sentinel")]
    fn sentinel(scheme: &str, rest: &str, timeout: Duration) -> RedisResult<Self> {
        let (place, service) = rest.split_once('/').ok_or_else(|| invalid("no service named"))?;
        let (login, hosts) = login_and_hosts(place);
        let sentinels = hosts.map(|host| {
            let url = match host.rsplit_once(':') {
                Some(_) => format!("{scheme}://{host}/"),
                None => format!("{scheme}://{host}:26379/"),
            };
            Ok(url.into_connection_info()?.set_tcp_settings(tcp_settings(timeout)))
        });
        let sentinels = sentinels.collect::<RedisResult<Vec<_>>>()?;
        let server = format!("{scheme}://{login}localhost/").into_connection_info()?;
        let settings = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let mut node = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(settings)
            .set_tcp_settings(tcp_settings(timeout));
        if is_tls(scheme) {
            node = node.set_tls_mode(redis::TlsMode::Secure);
        }
        // Without TLS the client takes a String alone.
        let service = String::from(service);
        let clients = sentinels.into_iter().map(|sentinel| {
            let (service, node) = (service.clone(), Some(node.clone()));
            SentinelClient::build(vec![sentinel], service, node, SentinelServerType::Master)
                .map(tokio::sync::Mutex::new)
        });
        clients.collect::<RedisResult<_>>().map(Self::Sentinel)
    }
}

/// A connection whose packets nobody acknowledges is closed by the system, also one that is idle.
fn tcp_settings(timeout: Duration) -> TcpSettings {
    let whole = timeout.max(Duration::from_secs(1)); // The system counts in seconds.
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(TcpKeepalive::new().with_time(whole));
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(timeout);
    settings
}

/// How long the client of a cluster waits for a connection to one node: a new client connects to all of them, twice, and
/// calls to the other nodes wait meanwhile.
#[cfg(feature = "cluster")]
fn patience_with_node(timeout: Duration) -> Duration {
    (timeout / 8).max(Duration::from_millis(250)).min(timeout)
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
    fn the_system_gives_up_a_peer_that_acknowledges_nothing() {
        let timeout = Duration::from_secs(5);
        let Ok(Server::Node(client)) = Server::node("redis://127.0.0.1/", timeout) else {
            panic!("a plain address")
        };
        let settings = client.get_connection_info().tcp_settings();
        assert!(settings.nodelay() && settings.keepalive().is_some());
        #[cfg(target_os = "linux")]
        assert_eq!(settings.user_timeout(), Some(timeout));
    }

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
