//! The keys of a client, in OpenMLS's storage in memory: POOL-3, POOL-4 and POOL-6.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod keys;

use std::sync::Arc;
use std::time::Duration;

use keys::{SUITE, bob, keeps_what_it_promises, now, vault};
use kp_core::client::KeyVault as _;
use kp_core::protocol::Refusal;
use kp_core::server::{Admission as _, Uploader};
use kp_core::{Ciphersuite, Role, Timestamp};
use kp_openmls::{LockedProvider, OpenMlsAdmission, OpenMlsVault, VaultError};
use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{
    Capabilities, Extension, ExtensionType, Extensions, KeyPackageIn, ProtocolVersion, UnknownExtension,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;

fn stored(provider: &OpenMlsRustCrypto) -> usize {
    let values = provider.storage().values.read().unwrap();
    values.keys().filter(|key| key.starts_with(b"KeyPackage")).count()
}

/// POOL-3, POOL-4, POOL-6, where the provider is shared.
#[test]
fn it_keeps_what_it_promises_in_memory() {
    let provider = Arc::new(OpenMlsRustCrypto::default());
    keeps_what_it_promises(Arc::clone(&provider), || stored(&provider));
}

/// POOL-3, POOL-4, POOL-6, where the provider is behind a lock.
#[test]
fn it_keeps_what_it_promises_behind_a_lock() {
    let provider = LockedProvider::new(OpenMlsRustCrypto::default());
    keeps_what_it_promises(provider.clone(), || stored(&provider.lock()));
}

/// Time is an argument: nothing of a package depends on the system's clock.
#[test]
fn a_lifetime_begins_about_now() {
    let long_ago = Timestamp::try_from(1_700_000_000).unwrap();
    let vault = vault(Arc::new(OpenMlsRustCrypto::default())).lifetime(Duration::from_secs(86_400));
    let (info, _) = vault.generate(SUITE, Role::OneTime, long_ago).unwrap();
    assert_eq!(info.lifetime.not_before(), long_ago.minus(3_600));
    assert_eq!(info.lifetime.not_after(), long_ago.plus(86_400));
    // Dated back before 1970, or forward beyond all timestamps: cut off, and none that is empty.
    assert!(vault.generate(SUITE, Role::OneTime, Timestamp::MIN).is_ok());
    assert!(vault.generate(SUITE, Role::OneTime, Timestamp::MAX).is_ok());
}

/// What OpenMLS makes by default is as wide as a server takes by default, and not wider.
#[test]
fn a_default_lifetime_is_as_wide_as_a_server_takes() {
    let admit = |lifetime| {
        let vault = vault(Arc::new(OpenMlsRustCrypto::default())).lifetime(lifetime);
        let (info, fresh) = vault.generate(SUITE, Role::OneTime, now()).unwrap();
        vault.keep(fresh).unwrap();
        let package = vault.package(&info.key_package_ref).unwrap().unwrap();
        OpenMlsAdmission::new().admit(package.bytes.as_ref(), &Uploader::unchecked(), now())
    };
    let widest = Duration::from_secs(84 * 86_400);
    assert!(admit(widest).is_ok());
    assert_eq!(admit(widest + Duration::from_secs(1)), Err(Refusal::LifetimeTooWide));
}

/// The hook adds to a package; lifetime and role stay the pool's.
#[test]
fn an_app_adds_extensions() {
    let kind = 0xF042;
    let vault = vault(Arc::new(OpenMlsRustCrypto::default())).customise(move |builder| {
        let listed = vec![ExtensionType::LastResort, ExtensionType::Unknown(kind)];
        let extension = Extension::Unknown(kind, UnknownExtension(b"of the app".to_vec()));
        builder
            .leaf_node_capabilities(Capabilities::builder().extensions(listed).build())
            .key_package_extensions(Extensions::single(extension).unwrap())
    });
    for role in [Role::OneTime, Role::LastResort] {
        let package = keys::kept(&vault, role);
        let made = KeyPackageIn::tls_deserialize_exact(package.bytes.as_ref()).unwrap();
        let crypto = OpenMlsRustCrypto::default();
        let made = made.validate(crypto.crypto(), ProtocolVersion::Mls10).unwrap();
        assert!(made.extensions().contains(ExtensionType::Unknown(kind)));
        assert_eq!(made.last_resort(), role.is_last_resort());
        assert_eq!(package.info.role, role);
    }
}

/// A last-resort package that lists no LastResort is valid nowhere, and is not made.
#[test]
fn a_hook_that_takes_last_resort_away_is_told() {
    let vault = vault(Arc::new(OpenMlsRustCrypto::default()))
        .customise(|builder| builder.leaf_node_capabilities(Capabilities::default()));
    assert!(vault.generate(SUITE, Role::OneTime, now()).is_ok());
    let answer = vault.generate(SUITE, Role::LastResort, now());
    assert!(matches!(answer, Err(VaultError::LastResortNotListed)));
}

#[test]
fn what_cannot_be_made_is_a_typed_error() {
    let provider = Arc::new(OpenMlsRustCrypto::default());
    let none = OpenMlsVault::new(Arc::clone(&provider), |_| None);
    assert!(matches!(
        none.generate(SUITE, Role::OneTime, now()),
        Err(VaultError::NoIdentity(SUITE))
    ));
    assert!(matches!(none.credential(SUITE), Err(VaultError::NoIdentity(SUITE))));
    let vault = vault(Arc::clone(&provider));
    let unknown = Ciphersuite(0xBEEF);
    let answer = vault.generate(unknown, Role::OneTime, now());
    assert!(matches!(answer, Err(VaultError::UnknownCiphersuite(suite)) if suite == unknown));
    // Ed25519 does not sign for P-256.
    assert!(matches!(
        vault.generate(Ciphersuite(2), Role::OneTime, now()),
        Err(VaultError::Generate(_))
    ));
    assert_eq!(stored(&provider), 0);
}

/// ERR-4: no key in what is printed.
#[test]
fn nothing_secret_is_printed() {
    let vault = vault(Arc::new(OpenMlsRustCrypto::default()));
    let (info, fresh) = vault.generate(SUITE, Role::OneTime, now()).unwrap();
    let printed = format!("{:?} {:?}", fresh, bob());
    assert!(!printed.contains("private") && !printed.contains("bundle"), "{printed}");
    vault.keep(fresh).unwrap();
    let locked = LockedProvider::new(OpenMlsRustCrypto::default());
    let printed = format!("{locked:?}");
    assert_eq!(printed, "LockedProvider { .. }");
    assert!(vault.package(&info.key_package_ref).unwrap().is_some());
}

/// ERR-4: the storage of OpenMLS's Rust provider prints what it holds; the vault does not.
#[test]
fn no_debug_shows_a_key() {
    let provider = Arc::new(OpenMlsRustCrypto::default());
    let vault = vault(Arc::clone(&provider));
    let (_, fresh) = vault.generate(SUITE, Role::OneTime, now()).unwrap();
    let shown = format!("{fresh:?}");
    assert!(
        shown.starts_with("FreshPackage { name: ") && !shown.contains("private"),
        "{shown}"
    );
    vault.keep(fresh).unwrap();
    assert_eq!(stored(&provider), 1);
    assert_eq!(format!("{vault:?}"), "OpenMlsVault { .. }");
    assert_eq!(format!("{:?}", keys::bob()), "Identity { .. }");
    assert_eq!(
        format!("{:?}", LockedProvider::new(OpenMlsRustCrypto::default())),
        "LockedProvider { .. }"
    );
    assert!(!format!("{:?}", OpenMlsAdmission::new()).contains("crypto"));
}
