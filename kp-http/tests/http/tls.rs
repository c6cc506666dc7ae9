use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use kp_http::client::{ClientError, KeyPackageClient};
use kp_http::server::{KeyPackageRoutes, Secret};
use kp_memory::MemoryStore;
use kp_server::KeyPackageDirectory;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::world::{Accounts, BOB, Words};

struct Tls(TcpListener, TlsAcceptor);

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (connection, from) = self.0.accept().await.unwrap();
            if let Ok(connection) = self.1.accept(connection).await {
                return (connection, from);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn certified() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

#[tokio::test]
async fn a_client_trusts_whom_it_is_told_to_trust() {
    let CertifiedKey { cert, signing_key } = certified();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let private_key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
    let config = config
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], private_key)
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let directory = KeyPackageDirectory::new(MemoryStore::new(), Words);
    let routes = KeyPackageRoutes::new(directory, Accounts, Secret::random().unwrap());
    let app: Router = routes.router();
    tokio::spawn(async move { axum::serve(Tls(listener, TlsAcceptor::from(Arc::new(config))), app).await });

    let builder = || {
        KeyPackageClient::builder(format!("https://localhost:{port}"))
            .bearer(BOB)
            .retries(0)
    };
    let trusting = builder().root_certificates(cert.pem()).build().unwrap();
    trusting.status().await.unwrap();
    let of_another = builder().root_certificates(certified().cert.pem()).build().unwrap();
    assert!(matches!(of_another.status().await, Err(ClientError::NoAnswer(_))));
    // In the clear there is no answer either.
    let plain = KeyPackageClient::builder(format!("http://localhost:{port}"))
        .bearer(BOB)
        .retries(0)
        .build()
        .unwrap();
    assert!(plain.status().await.is_err());
}
