use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures::TryFutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "tls")]
use tokio_postgres::config::SslMode;
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Config, NoTls};
#[cfg(feature = "tls")]
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::link::connection::{Connection, Texts};
use crate::link::error::Failure;
use crate::link::observe;
use crate::link::server::Server;
use crate::link::session::Session;

/// Makes the connections of a store: to a server that takes changes, and is configured as one must be.
pub(crate) struct Connector {
    config: Config,
    /// `None`: the configuration has it disabled.
    #[cfg(feature = "tls")]
    tls: Option<MakeRustlsConnect>,
    timeout: Duration,
    may_lose: bool,
    /// What the first connection found.
    synchronous_commit: OnceLock<String>,
}

impl fmt::Debug for Connector {
    /// Omits the configuration, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// `roots`: the certificates that are trusted. `None`: what the system trusts.
    pub(crate) fn new(
        mut config: Config,
        timeout: Duration,
        may_lose: bool,
        #[cfg(feature = "tls")] roots: Option<&[u8]>,
    ) -> Result<Self, Failure> {
        config.connect_timeout(timeout);
        config.tcp_user_timeout(timeout);
        if config.get_application_name().is_none() {
            config.application_name("keypackage-pool");
        }
        #[cfg(feature = "tls")]
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(crate::link::tls::connector(roots)?),
        };
        Ok(Self {
            config,
            #[cfg(feature = "tls")]
            tls,
            timeout,
            may_lose,
            synchronous_commit: OnceLock::new(),
        })
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Connects, checks the server, and takes these statements.
    pub(crate) async fn connect(&self, texts: &Texts) -> Result<Connection, Failure> {
        let (mut connection, _) = self.connect_bare().await?;
        connection.prepare(texts).await?;
        Ok(connection)
    }

    /// Connects and checks the server, before there are tables.
    pub(crate) async fn connect_bare(&self) -> Result<(Connection, Server), Failure> {
        let mut connection = self.open().await?;
        let server = Server::inspect(connection.client(), self.may_lose).await?;
        let found = || server.synchronous_commit.clone();
        let session = Session {
            is_pooled: server.is_pooled,
            synchronous_commit: self.synchronous_commit.get_or_init(found).clone(),
        };
        connection.use_session(session).await?;
        observe::connected();
        Ok((connection, server))
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let connecting = async {
            #[cfg(feature = "tls")]
            if let Some(tls) = &self.tls {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                return Ok(drive(client, connection));
            }
            let (client, connection) = self.config.connect(NoTls).await?;
            Ok(drive(client, connection))
        };
        let late = |_| Failure::TimedOut(self.timeout);
        tokio::time::timeout(self.timeout, connecting).map_err(late).await?
    }
}

/// Drives a connection in a task of its own, and counts the warnings. A warning is counted before the answer that follows
/// it is given out.
fn drive<S, T>(client: tokio_postgres::Client, mut connection: tokio_postgres::Connection<S, T>) -> Connection
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let warnings = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&warnings);
    let driver = tokio::spawn(poll_fn(move |context| {
        loop {
            match connection.poll_message(context) {
                Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                    if notice.parsed_severity() == Some(Severity::Warning) {
                        counted.fetch_add(1, Ordering::AcqRel);
                    }
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }));
    Connection::new(client, warnings, driver)
}
