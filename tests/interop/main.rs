//! KeyPackages of each library and ciphersuite: uploaded, claimed, added, joined, and a message read. Servers and adders on each
//! library; the table says what came of it.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod on_mls_rs;
mod on_openmls;

use std::time::Duration;

use keypackage_pool::PoolId;
use keypackage_pool::memory::MemoryStore;
use keypackage_pool::mls_rs::MlsRsAdmission;
use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::server::{Admission, AdmissionPolicy, KeyPackageDirectory, Take, Upload, Uploader};
use on_mls_rs::OnMlsRs;
use on_openmls::OnOpenMls;
use openmls_libcrux_crypto::Provider as Libcrux;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_rust_crypto::RustCrypto;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELLO: &[u8] = b"hello";

/// Every ciphersuite that one of the providers supports: those of RFC 9420, then the drafts'.
const SUITES: [u16; 16] = [
    0x0001, 0x0002, 0x0003, 0x0007, 0x0042, 0x004D, 0x004E, 0x004F, 0x0050, 0x0051, 0x0052, 0x0906, 0x0907, 0xF042,
    0x0004, 0x0005,
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
    MlsRs,
    MlsRsWithGrease,
}

use Library::{MlsRs, MlsRsWithGrease, OpenMls, OpenMlsOnLibcrux};

impl Library {
    fn person(self, name: &str, suite: u16) -> Result<Box<dyn Person>> {
        Ok(match self {
            OpenMls => Box::new(OnOpenMls::<OpenMlsRustCrypto>::new(name, suite)?),
            OpenMlsOnLibcrux => Box::new(OnOpenMls::<Libcrux>::new(name, suite)?),
            MlsRs => Box::new(OnMlsRs::new(name, suite, false)?),
            MlsRsWithGrease => Box::new(OnMlsRs::new(name, suite, true)?),
        })
    }

    fn directory(self) -> KeyPackageDirectory {
        fn over(admission: impl Admission) -> KeyPackageDirectory {
            KeyPackageDirectory::new(MemoryStore::new(), admission)
        }
        let year = |policy: AdmissionPolicy| policy.max_lifetime(Duration::from_secs(365 * 86_400));
        match self {
            OpenMls => over(OpenMlsAdmission::<RustCrypto>::new().policy(year)),
            OpenMlsOnLibcrux => {
                let crypto = openmls_libcrux_crypto::CryptoProvider::new().unwrap();
                over(OpenMlsAdmission::with_crypto(crypto).policy(year))
            }
            MlsRs | MlsRsWithGrease => over(MlsRsAdmission::new()),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            OpenMls => "OpenMLS, Rust crypto",
            OpenMlsOnLibcrux => "OpenMLS, libcrux",
            MlsRs => "mls-rs, Rust crypto",
            MlsRsWithGrease => "mls-rs with GREASE",
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

#[tokio::test]
async fn each_library_and_ciphersuite() {
    let servers = [OpenMls, OpenMlsOnLibcrux, MlsRs];
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/interop.md")).unwrap();
    let mut missing = Vec::new();
    for client in [OpenMls, OpenMlsOnLibcrux, MlsRs, MlsRsWithGrease] {
        for suite in SUITES {
            let mut cells = Vec::new();
            for server in servers {
                let told = story(client, server, suite).await;
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
