//! An address that moves: hands bytes on to a server, to another one later, or to nobody.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use kp_test_support::servers::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Connections stay open whatever is done to it, and lead to where they led when they were made.
pub(crate) struct Forwarder {
    port: u16,
    state: Arc<State>,
}

struct State {
    target: AtomicU16,
    /// How many connections were made.
    accepted: AtomicU32,
    /// The connections before this one swallow what is sent.
    deaf_before: AtomicU32,
}

impl Forwarder {
    pub(crate) async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            target: AtomicU16::new(server.port()),
            accepted: AtomicU32::new(0),
            deaf_before: AtomicU32::new(0),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(Arc::clone(&shared), number, client));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn accepted(&self) -> u32 {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// From now on new connections lead to this server.
    pub(crate) fn point_at(&self, server: &Server) {
        self.state.target.store(server.port(), Ordering::SeqCst);
    }

    /// From now on the connections that there are swallow what is sent.
    pub(crate) fn swallow(&self) {
        self.state.deaf_before.store(self.accepted(), Ordering::SeqCst);
    }

    /// From now on new connections too are accepted, and swallow what is sent.
    pub(crate) fn swallow_all(&self) {
        self.state.deaf_before.store(u32::MAX, Ordering::SeqCst);
    }
}

async fn carry(state: Arc<State>, number: u32, client: TcpStream) {
    let target = state.target.load(Ordering::SeqCst);
    // A server that is gone closes the connection, as it would itself.
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let requests = one_way(Arc::clone(&state), number, from_client, to_server);
    let replies = one_way(Arc::clone(&state), number, from_server, to_client);
    tokio::select! {
        () = requests => {}
        () = replies => {}
    }
}

async fn one_way(state: Arc<State>, number: u32, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut bytes = vec![0; 65_536];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        let deaf = number < state.deaf_before.load(Ordering::SeqCst);
        if deaf && count == 0 {
            // Half open: the other side never learns of the end.
            std::future::pending::<()>().await;
        }
        if count == 0 || (!deaf && to.write_all(&bytes[..count]).await.is_err()) {
            return;
        }
    }
}
