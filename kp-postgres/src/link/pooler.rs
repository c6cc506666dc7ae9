//! Notices a pooler between the store and the server.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_postgres::Client;

use crate::link::error::Failure;

/// Returns whether this connection leads to a pooler. `process`: the server's process that has answered.
///
/// At the beginning of a connection, the client is told the process that a request to cancel is for. A pooler takes these
/// requests itself, so that is a number of its own, and the process of the server is another. The number is read where the
/// client shows it: in a request to cancel, which is sent to nobody.
pub(crate) async fn leads_to_pooler(client: &Client, process: i32) -> Result<bool, Failure> {
    // The agreement to use TLS, where the client asks for it; then the length, the code, the process and the secret.
    let (mut far, near) = duplex(64);
    far.write_all(b"S").await.map_err(|_| Failure::Closed)?;
    client.cancel_token().cancel_query_raw(near, plain::Plain).await?;
    let mut sent = Vec::new();
    far.read_to_end(&mut sent).await.map_err(|_| Failure::Closed)?;
    let named = sent.len().checked_sub(8).and_then(|at| sent.get(at..at + 4));
    Ok(named != Some(&process.to_be_bytes()[..]))
}

mod plain {
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

    use super::DuplexStream;

    /// Encrypts nothing: for a stream that leads nowhere.
    #[derive(Debug)]
    pub(super) struct Plain;

    #[derive(Debug)]
    pub(super) struct PlainStream(DuplexStream);

    impl TlsConnect<DuplexStream> for Plain {
        type Stream = PlainStream;
        type Error = Infallible;
        type Future = Ready<Result<PlainStream, Infallible>>;

        fn connect(self, stream: DuplexStream) -> Self::Future {
            ready(Ok(PlainStream(stream)))
        }
    }

    impl TlsStream for PlainStream {
        fn channel_binding(&self) -> ChannelBinding {
            ChannelBinding::none()
        }
    }

    impl AsyncRead for PlainStream {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for PlainStream {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_postgres::Config;
    use tokio_postgres::config::{SslMode, SslNegotiation};

    use super::{leads_to_pooler, plain};

    const PROCESS: i32 = 4_711;

    /// Connects to nobody in particular, who names a process.
    async fn connect(mode: SslMode, negotiation: SslNegotiation) -> tokio_postgres::Client {
        let (near, mut far) = duplex(1_024);
        let server = async {
            if mode != SslMode::Disable && negotiation == SslNegotiation::Postgres {
                far.read_exact(&mut [0; 8]).await.expect("it asks for TLS");
                far.write_all(b"S").await.expect("it listens");
            }
            let length = far.read_u32().await.expect("it begins") as usize;
            far.read_exact(&mut vec![0; length - 4])
                .await
                .expect("it says who it is");
            let mut welcome = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c".to_vec();
            welcome.extend(PROCESS.to_be_bytes());
            welcome.extend(b"\0\0\0\x07Z\0\0\0\x05I");
            far.write_all(&welcome).await.expect("it listens");
        };
        let mut config = Config::new();
        config.user("app").ssl_mode(mode).ssl_negotiation(negotiation);
        let (connected, ()) = tokio::join!(config.connect_raw(near, plain::Plain), server);
        connected.expect("it connects").0
    }

    #[tokio::test]
    async fn the_process_that_was_named_is_found_with_tls_and_without() {
        for (mode, negotiation) in [
            (SslMode::Disable, SslNegotiation::Postgres),
            (SslMode::Prefer, SslNegotiation::Postgres),
            (SslMode::Require, SslNegotiation::Postgres),
            (SslMode::Require, SslNegotiation::Direct),
        ] {
            let client = connect(mode, negotiation).await;
            assert!(
                !leads_to_pooler(&client, PROCESS).await.expect("it is found"),
                "{mode:?}"
            );
            assert!(
                leads_to_pooler(&client, PROCESS + 1).await.expect("it is found"),
                "{mode:?}"
            );
        }
    }
}
