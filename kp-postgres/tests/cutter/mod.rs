//! An address before a server, at which a connection is cut at one message of the protocol.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kp_test_support::postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// Counts messages, and cuts the connection instead of handing one of them on.
pub(crate) struct Cutter {
    port: u16,
    counts: Arc<[Count; 2]>,
    loses_a_commit: Arc<AtomicBool>,
}

/// What the server is asked in the place of a commit, and answers as a pooler does that has lost its server: the connection to the
/// client stays open.
const LOST: &[u8] = b"DO $$ BEGIN RAISE EXCEPTION 'server lost' USING ERRCODE = '08006'; END $$\0";

/// The messages of one way.
#[derive(Debug)]
struct Count {
    seen: AtomicU64,
    /// The number of the message that is cut off. 0: none.
    cut: AtomicU64,
}

impl Count {
    /// Returns whether the connection is cut at this message.
    fn see(&self) -> bool {
        self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.cut.load(Ordering::SeqCst)
    }
}

impl Cutter {
    pub(crate) async fn before(server: &Postgres) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        let count = || Count {
            seen: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        };
        let counts = Arc::new([count(), count()]);
        let loses_a_commit = Arc::new(AtomicBool::new(false));
        let (shared, target, loses) = (Arc::clone(&counts), server.port(), Arc::clone(&loses_a_commit));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(Arc::clone(&shared), Arc::clone(&loses), target, client));
            }
        });
        Self {
            port,
            counts,
            loses_a_commit,
        }
    }

    /// The next commit does not come to the server, and is answered as by a pooler.
    pub(crate) fn lose_a_commit(&self) {
        self.loses_a_commit.store(true, Ordering::SeqCst);
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Counts anew, and cuts a connection at a message. Returns how many there were before. 0: none is cut.
    pub(crate) fn cut(&self, way: Way, message: u64) -> u64 {
        let count = &self.counts[way as usize];
        count.cut.store(message, Ordering::SeqCst);
        count.seen.swap(0, Ordering::SeqCst)
    }
}

async fn carry(counts: Arc<[Count; 2]>, loses: Arc<AtomicBool>, target: u16, client: TcpStream) {
    // A server that is gone closes the connection, as it would itself.
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    // Else a message waits for the acknowledgement of the one before.
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("it is open");
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        _ = one_way(&counts[Way::ToServer as usize], Some(&loses), 0, from_client, to_server) => {}
        _ = one_way(&counts[Way::ToClient as usize], None, 1, from_server, to_client) => {}
    }
}

/// Hands messages on until the connection ends or is cut. The first message of a client has no `kind`, which is a byte.
async fn one_way(
    count: &Count,
    loses_a_commit: Option<&AtomicBool>,
    mut kind: usize,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> std::io::Result<()> {
    loop {
        let mut head = vec![0; kind + 4];
        from.read_exact(&mut head).await?;
        let length = head[kind..]
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        let mut message = vec![0; length - 4];
        from.read_exact(&mut message).await?;
        if count.see() {
            return Ok(());
        }
        let is_commit = head[0] == b'Q' && message == b"COMMIT\0";
        if is_commit && loses_a_commit.is_some_and(|loses| loses.swap(false, Ordering::SeqCst)) {
            let length = u32::try_from(LOST.len() + 4).expect("it is short");
            head[1..].copy_from_slice(&length.to_be_bytes());
            message = LOST.to_vec();
        }
        to.write_all(&head).await?;
        to.write_all(&message).await?;
        kind = 1;
    }
}
