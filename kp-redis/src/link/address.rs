use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, ProtocolVersion, PushKind, RedisResult, TlsMode,
};
use tokio::sync::Mutex;

use crate::link::connection::Connection;

/// Where the server is, and how one gets to it.
pub(crate) enum Address {
    Node(Client),
    Sentinel(Mutex<SentinelClient>),
    Cluster(ClusterClient),
}

impl Address {
    /// Reads a URL, as the front page of this crate gives them.
    pub(crate) fn parse(url: &str, timeout: Duration) -> RedisResult<Self> {
        let invalid = |what| redis::RedisError::from((ErrorKind::InvalidClientConfig, what));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("not a URL"))?;
        let (plain, kind) = scheme.split_once('-').unwrap_or((scheme, ""));
        if plain == "rediss" {
            install_tls();
        }
        match kind {
            "" => {
                let info = url.into_connection_info()?;
                let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
                Client::open(info.set_redis_settings(settings)).map(Self::Node)
            }
            "cluster" => {
                let (login, hosts) = login_and_hosts(rest.trim_end_matches('/'));
                let nodes: Vec<_> = hosts.map(|host| format!("{plain}://{login}{host}/")).collect();
                // Nothing is sent twice behind our back: a reply that was lost must be Unknown (ERR-1).
                ClusterClient::builder(nodes)
                    .use_protocol(ProtocolVersion::RESP3)
                    .connection_timeout(timeout)
                    .response_timeout(timeout)
                    .retries(0)
                    .build()
                    .map(Self::Cluster)
            }
            "sentinel" => {
                let (place, service) = rest.split_once('/').ok_or_else(|| invalid("no service named"))?;
                let (login, hosts) = login_and_hosts(place);
                let sentinels: Vec<_> = hosts
                    .map(|host| match host.rsplit_once(':') {
                        Some(_) => format!("{plain}://{host}/"),
                        None => format!("{plain}://{host}:26379/"),
                    })
                    .collect();
                let server = format!("{plain}://{login}localhost/").into_connection_info()?;
                let settings = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
                let mut node = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
                if plain == "rediss" {
                    node = node.set_tls_mode(TlsMode::Secure);
                }
                SentinelClient::build(sentinels, service, Some(node), SentinelServerType::Master)
                    .map(|client| Self::Sentinel(Mutex::new(client)))
            }
            _ => Err(invalid("an unknown scheme")),
        }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self, timeout: Duration) -> RedisResult<Connection> {
        let lost = Arc::new(AtomicBool::new(false));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None)
            .set_push_sender({
                let lost = Arc::clone(&lost);
                move |push: redis::PushInfo| {
                    if push.kind == PushKind::Disconnection {
                        lost.store(true, Ordering::Release);
                    }
                    Ok::<(), std::convert::Infallible>(())
                }
            });
        match self {
            Self::Node(client) => {
                let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                Ok(Connection::node(connection, lost))
            }
            Self::Sentinel(client) => {
                let connection = client.lock().await.get_async_connection_with_config(&config).await?;
                Ok(Connection::node(connection, lost))
            }
            Self::Cluster(client) => Ok(Connection::cluster(client.get_async_connection().await?)),
        }
    }
}

/// `user:password@` and the hosts.
fn login_and_hosts(place: &str) -> (&str, impl Iterator<Item = &str>) {
    let (login, hosts) = place.split_at(place.rfind('@').map_or(0, |at| at + 1));
    (login, hosts.split(','))
}

/// rustls needs a cryptography provider for the process; where the program has chosen none, ring.
fn install_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may be first, and then its choice stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
