//! KeyPackages of each library and ciphersuite: uploaded, claimed, added, joined, and a message read. Servers and adders on each
//! library; the tables say what came of it.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod on_mls_rs;
mod on_openmls;
mod on_ts_mls;

use std::time::Duration;

use keypackage_pool::PoolId;
use keypackage_pool::memory::MemoryStore;
use keypackage_pool::mls_rs::MlsRsAdmission;
use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::server::{Admission, AdmissionPolicy, KeyPackageDirectory, Take, Upload, Uploader};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;
use mls_rs_crypto_openssl::OpensslCryptoProvider;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use on_mls_rs::{Grease, OnMlsRs};
use on_openmls::OnOpenMls;
use on_ts_mls::OnTsMls;
use openmls_libcrux_crypto::Provider as Libcrux;
use openmls_rust_crypto::{OpenMlsRustCrypto, RustCrypto};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELLO: &[u8] = b"hello";

/// Every ciphersuite that one of the libraries has: those of RFC 9420, then those of drafts and of their own.
const SUITES: [std::ops::RangeInclusive<u16>; 7] = [
    0x0001..=0x0007,
    0x0042..=0x0042,
    0x004D..=0x0058,
    0x0906..=0x0907,
    0xF042..=0xF042,
    0xFDE9..=0xFDEB,
    0xFE4C..=0xFE4C,
];

struct Invitation {
    welcome: Vec<u8>,
    message: Vec<u8>,
}

trait Person {
    fn key_package(&self) -> Result<Vec<u8>>;

    /// A new group with the owner of a bare KeyPackage, and a message to it.
    fn invite(&self, bare: &[u8]) -> Result<Invitation>;

    fn join_and_read(&self, invitation: &Invitation) -> Result<Vec<u8>>;
}

#[derive(Clone, Copy)]
enum Library {
    OpenMls,
    OpenMlsOnLibcrux,
    MlsRs(Grease),
    MlsRsOnOpenSsl(Grease),
    MlsRsOnAwsLc(Grease),
    TsMls,
    TsMlsUncompressed,
}

use Grease::{Greased, Plain};
use Library::{MlsRs, MlsRsOnAwsLc, MlsRsOnOpenSsl, OpenMls, OpenMlsOnLibcrux, TsMls, TsMlsUncompressed};

/// The libraries on which there is an admission.
const SERVERS: [Library; 5] = [
    OpenMls,
    OpenMlsOnLibcrux,
    MlsRs(Plain),
    MlsRsOnOpenSsl(Plain),
    MlsRsOnAwsLc(Plain),
];

impl Library {
    fn person(self, name: &str, suite: u16) -> Result<Box<dyn Person>> {
        Ok(match self {
            OpenMls => Box::new(OnOpenMls::<OpenMlsRustCrypto>::new(name, suite)?),
            OpenMlsOnLibcrux => Box::new(OnOpenMls::<Libcrux>::new(name, suite)?),
            MlsRs(grease) => Box::new(OnMlsRs::new(RustCryptoProvider::new(), name, suite, grease)?),
            MlsRsOnOpenSsl(grease) => Box::new(OnMlsRs::new(OpensslCryptoProvider::new(), name, suite, grease)?),
            MlsRsOnAwsLc(grease) => Box::new(OnMlsRs::new(AwsLcCryptoProvider::new(), name, suite, grease)?),
            TsMls => Box::new(OnTsMls::new(name, suite, None)?),
            TsMlsUncompressed => Box::new(OnTsMls::new(name, suite, Some("uncompressed"))?),
        })
    }

    /// Takes lifetimes of every width: ts-mls's end never.
    fn directory(self) -> KeyPackageDirectory {
        fn over(admission: impl Admission) -> KeyPackageDirectory {
            KeyPackageDirectory::new(MemoryStore::new(), admission)
        }
        let clamped = |policy: AdmissionPolicy| policy.clamp_lifetime(Duration::from_secs(365 * 86_400));
        match self {
            OpenMls => over(OpenMlsAdmission::<RustCrypto>::new().policy(clamped)),
            OpenMlsOnLibcrux => {
                let crypto = openmls_libcrux_crypto::CryptoProvider::new().unwrap();
                over(OpenMlsAdmission::with_crypto(crypto).policy(clamped))
            }
            MlsRs(_) => over(MlsRsAdmission::new().policy(clamped)),
            // There is no admission on ts-mls: this one has its ciphersuites of RFC 9420.
            MlsRsOnOpenSsl(_) | TsMls | TsMlsUncompressed => {
                over(MlsRsAdmission::with_crypto(OpensslCryptoProvider::new()).policy(clamped))
            }
            MlsRsOnAwsLc(_) => over(MlsRsAdmission::with_crypto(AwsLcCryptoProvider::new()).policy(clamped)),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            OpenMls => "OpenMLS, Rust crypto",
            OpenMlsOnLibcrux => "OpenMLS, libcrux",
            MlsRs(Plain) => "mls-rs, Rust crypto",
            MlsRs(Greased) => "mls-rs, Rust crypto, GREASE",
            MlsRsOnOpenSsl(Plain) => "mls-rs, OpenSSL",
            MlsRsOnOpenSsl(Greased) => "mls-rs, OpenSSL, GREASE",
            MlsRsOnAwsLc(Plain) => "mls-rs, AWS-LC",
            MlsRsOnAwsLc(Greased) => "mls-rs, AWS-LC, GREASE",
            TsMls => "ts-mls",
            TsMlsUncompressed => "ts-mls, uncompressed keys",
        }
    }
}

/// Uploads, claims, adds, joins, reads.
async fn story(client: Library, server: Library, suite: u16) -> Result<String> {
    let Ok(bob) = client.person("bob", suite) else {
        return Ok("-".into());
    };
    let Ok(uploaded) = bob.key_package() else {
        return Ok("-".into());
    };
    let (directory, pool) = (server.directory(), PoolId::try_from("bob/phone")?);
    let upload = Upload::new(pool.clone(), Uploader::identity("bob"), vec![uploaded]);
    let outcome = directory.upload(upload).await?[0];
    if !outcome.is_held() {
        return Ok(outcome.code().into());
    }
    let package = directory.claim(&pool, &Take::new()).await?;
    let invitation = server.person("alice", suite)?.invite(package.bytes.as_ref())?;
    let read = bob.join_and_read(&invitation)?;
    assert_eq!(read, HELLO);
    Ok("read".into())
}

/// Each ciphersuite of the clients on each of the servers, printed, and compared with the page.
async fn compare(clients: &[Library], servers: &[Library]) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/interop.md")).unwrap();
    let mut missing = Vec::new();
    for client in clients {
        for suite in SUITES.into_iter().flatten() {
            let mut cells = Vec::new();
            for server in servers {
                let told = story(*client, *server, suite).await;
                cells.push(told.unwrap_or_else(|error| format!("failed: {error}")));
            }
            if cells.iter().any(|cell| cell != "-") {
                let row = format!("| {} | {suite:#06x} | {} |", client.name(), cells.join(" | "));
                println!("{row}");
                if !page.contains(&row) {
                    missing.push(row);
                }
            }
        }
    }
    assert!(missing.is_empty(), "docs/interop.md says otherwise: {missing:#?}");
}

#[tokio::test]
async fn each_library_and_ciphersuite() {
    let greased = [MlsRs(Greased), MlsRsOnOpenSsl(Greased), MlsRsOnAwsLc(Greased)];
    compare(&[&SERVERS[..], &greased].concat(), &SERVERS).await;
}

#[tokio::test]
#[ignore = "needs Node.js and npm: scripts/interop runs it"]
async fn each_ciphersuite_of_ts_mls() {
    let clients = [TsMls, TsMlsUncompressed];
    compare(&clients, &[&SERVERS[..], &[TsMls]].concat()).await;
}
