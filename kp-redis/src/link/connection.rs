use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
#[cfg(feature = "cluster")]
use redis::cluster_async::ClusterConnection;
#[cfg(feature = "cluster")]
use redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::Instant;

/// A connection to one server, or to the nodes of a cluster. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Connection {
    to: To,
    /// How often the link had left its server when it began to connect: see
    /// [`Connections`](crate::link::connections::Connections).
    pub(crate) epoch: u64,
    made: Instant,
    lost: Arc<AtomicBool>,
    silence: Arc<Silence>,
}

#[derive(Clone)]
enum To {
    Node(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
}

/// Since when something was sent, and no reply of any kind has come.
///
/// The caller of a call may be gone by the time that its reply should have come, so the time-out of a call is not enough
/// to notice a connection that swallows what is sent.
#[derive(Default)]
struct Silence(Mutex<Option<Instant>>);

impl Silence {
    fn set(&self, since: impl FnOnce(Option<Instant>) -> Option<Instant>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = since(*held);
    }

    fn is_longer_than(&self, time: Duration) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() > time)
    }
}

impl Connection {
    /// Wraps a connection to one server. `lost` is set once the connection is lost.
    pub(crate) fn node(connection: MultiplexedConnection, epoch: u64, lost: Arc<AtomicBool>) -> Self {
        Self::new(To::Node(connection), epoch, lost)
    }

    /// Wraps the connections to a cluster, which reconnect by themselves once one is lost.
    #[cfg(feature = "cluster")]
    pub(crate) fn cluster(connection: ClusterConnection, epoch: u64) -> Self {
        Self::new(To::Cluster(connection), epoch, Arc::default())
    }

    fn new(to: To, epoch: u64, lost: Arc<AtomicBool>) -> Self {
        Self {
            to,
            epoch,
            made: Instant::now(),
            lost,
            silence: Arc::default(),
        }
    }

    /// Returns whether this is a cluster: it follows its masters by itself.
    pub(crate) fn is_cluster(&self) -> bool {
        !matches!(self.to, To::Node(_))
    }

    /// Returns whether the connection is lost, or was silent for so long that it must be.
    pub(crate) fn is_dead(&self, patience: Duration) -> bool {
        self.lost.load(Ordering::Acquire) || self.silence.is_longer_than(patience)
    }

    /// Returns whether the connection was made longer ago than this. A cluster never ages: its nodes tell where a slot is.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        !self.is_cluster() && self.made.elapsed() > age
    }

    /// Sends commands in one pipeline, and returns the reply to each. In a cluster they go to the node `ask`, or else
    /// to the master of the key.
    #[cfg_attr(
        not(feature = "cluster"),
        allow(unused_variables, reason = "one server holds every key")
    )]
    pub(crate) async fn send(
        &mut self,
        commands: &Pipeline,
        key: &[u8],
        ask: Option<(String, u16)>,
    ) -> RedisResult<Vec<Value>> {
        self.silence.set(|since| since.or_else(|| Some(Instant::now())));
        let replies = match &mut self.to {
            To::Node(connection) => connection.send_packed_commands(commands, 0, commands.len()).await,
            #[cfg(feature = "cluster")]
            To::Cluster(connection) => {
                let node = match ask {
                    None => SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master)),
                    Some((host, port)) => SingleNodeRoutingInfo::ByAddress { host, port },
                };
                connection
                    .route_pipeline(commands.clone(), 0, commands.len(), node)
                    .await
            }
        };
        self.silence.set(|_| None);
        replies
    }

    /// Sends a command to every master, and returns the reply of each.
    pub(crate) async fn send_to_masters(&mut self, command: &Cmd) -> RedisResult<Vec<Value>> {
        match &mut self.to {
            To::Node(connection) => Ok(vec![connection.send_packed_command(command).await?.extract_error()?]),
            #[cfg(feature = "cluster")]
            To::Cluster(connection) => {
                let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let replies = connection
                    .route_command(command.clone(), masters)
                    .await?
                    .extract_error()?;
                let replies = match replies {
                    Value::Map(replies) => replies.into_iter().map(|(_, reply)| reply).collect(),
                    Value::Array(replies) => replies,
                    reply => vec![reply],
                };
                replies.into_iter().map(Value::extract_error).collect()
            }
        }
    }
}
