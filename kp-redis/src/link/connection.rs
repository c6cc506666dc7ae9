use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
#[cfg(feature = "cluster")]
use redis::cluster_async::ClusterConnection;
#[cfg(feature = "cluster")]
use redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, Pipeline, RedisResult, Value};

/// A connection to one server, or to the nodes of a cluster. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Connection {
    to: To,
    lost: Arc<AtomicBool>,
}

#[derive(Clone)]
enum To {
    Node(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
}

impl Connection {
    /// Wraps a connection to one server. `lost` is set once the connection is lost.
    pub(crate) fn node(connection: MultiplexedConnection, lost: Arc<AtomicBool>) -> Self {
        Self {
            to: To::Node(connection),
            lost,
        }
    }

    /// Wraps the connections to a cluster, which reconnect by themselves.
    #[cfg(feature = "cluster")]
    pub(crate) fn cluster(connection: ClusterConnection) -> Self {
        Self {
            to: To::Cluster(connection),
            lost: Arc::default(),
        }
    }

    /// Returns whether the connection is lost, or was given up.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Takes the connection out of use, for all clones.
    pub(crate) fn give_up(&self) {
        if matches!(self.to, To::Node(_)) {
            self.lost.store(true, Ordering::Release);
        }
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
        match &mut self.to {
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
        }
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
                Ok(match replies {
                    Value::Map(replies) => replies.into_iter().map(|(_, reply)| reply).collect(),
                    Value::Array(replies) => replies,
                    reply => vec![reply],
                })
            }
        }
    }
}
