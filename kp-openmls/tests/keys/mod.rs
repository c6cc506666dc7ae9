//! What a vault promises, on any provider: with real Welcomes.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kp_core::client::KeyVault as _;
use kp_core::server::{Admission as _, Uploader};
use kp_core::{Ciphersuite, KeyPackage, KeyPackageRef, Role, Timestamp};
use kp_openmls::{Identity, OpenMlsAdmission, OpenMlsVault, ProviderAccess};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, CredentialWithKey, KeyPackageIn, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig,
    MlsMessageBodyIn, MlsMessageIn, ProtocolVersion, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::types::{self, SignatureScheme};

pub(crate) const SUITE: Ciphersuite = Ciphersuite(0x0001);

/// The present: OpenMLS judges a lifetime by the system's clock when it joins.
#[expect(clippy::disallowed_methods, reason = "OpenMLS reads the same clock")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::MIN.plus(since_epoch.as_secs())
}

fn signed_by(name: &str) -> (SignatureKeyPair, CredentialWithKey) {
    let signer = SignatureKeyPair::new(SignatureScheme::ED25519).unwrap();
    let credential = CredentialWithKey {
        credential: BasicCredential::new(name.into()).into(),
        signature_key: signer.to_public_vec().into(),
    };
    (signer, credential)
}

pub(crate) fn bob() -> Identity {
    let (signer, credential) = signed_by("bob");
    Identity::new(Arc::new(signer), credential)
}

pub(crate) fn vault<A: ProviderAccess>(access: A) -> OpenMlsVault<A> {
    let bob = bob();
    OpenMlsVault::new(access, move |_| Some(bob.clone()))
}

/// A package whose key is in the storage.
pub(crate) fn kept<A: ProviderAccess>(vault: &OpenMlsVault<A>, role: Role) -> KeyPackage {
    let (info, fresh) = vault.generate(SUITE, role, now()).unwrap();
    vault.keep(fresh).unwrap();
    let package = vault.package(&info.key_package_ref).unwrap().unwrap();
    assert_eq!(package.info, info);
    package
}

/// A Welcome to a group to which Alice has added the owner of the package.
pub(crate) fn welcome_to(package: &KeyPackage) -> Vec<u8> {
    let (provider, (signer, credential)) = (OpenMlsRustCrypto::default(), signed_by("alice"));
    let config = MlsGroupCreateConfig::builder()
        .ciphersuite(types::Ciphersuite::try_from(SUITE.0).unwrap())
        .use_ratchet_tree_extension(true)
        .build();
    let mut group = MlsGroup::new(&provider, &signer, &config, credential).unwrap();
    let key_package = KeyPackageIn::tls_deserialize_exact(package.bytes.as_ref()).unwrap();
    let key_package = key_package.validate(provider.crypto(), ProtocolVersion::Mls10).unwrap();
    let (_commit, welcome, _) = group.add_members(&provider, &signer, &[key_package]).unwrap();
    welcome.tls_serialize_detached().unwrap()
}

/// OpenMLS's own join.
pub(crate) fn join<A: ProviderAccess>(access: &A, welcome: &[u8]) -> bool {
    let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(welcome).unwrap().extract() else {
        panic!("not a Welcome");
    };
    access.with(|provider| {
        let staged = StagedWelcome::new_from_welcome(provider, &MlsGroupJoinConfig::default(), welcome, None);
        staged.is_ok_and(|staged| staged.into_group(provider).is_ok())
    })
}

/// POOL-3, POOL-4, POOL-6: all that a pool relies on. `stored` counts the KeyPackage bundles in the storage.
pub(crate) fn keeps_what_it_promises<A: ProviderAccess + Clone>(access: A, stored: impl Fn() -> usize) {
    let vault = vault(access.clone());
    let stranger = KeyPackageRef::try_from("no such package").unwrap();

    // POOL-3: nothing is stored before it is kept.
    let (info, fresh) = vault.generate(SUITE, Role::OneTime, now()).unwrap();
    assert_eq!(stored(), 0);
    assert!(vault.package(&info.key_package_ref).unwrap().is_none());
    vault.keep(fresh).unwrap();
    assert_eq!(stored(), 1);

    // The facts are those that a server reads from the bytes.
    let package = vault.package(&info.key_package_ref).unwrap().unwrap();
    let uploaded = OpenMlsAdmission::new().admit(package.bytes.as_ref(), &Uploader::identity("bob"), now());
    assert_eq!(uploaded.unwrap().package, package);
    assert_eq!(package.info, info);
    assert_eq!(info.credential, vault.credential(SUITE).unwrap());

    // POOL-6: OpenMLS deletes the key, and then finds that the Welcome does not decrypt.
    let bob = &info.key_package_ref;
    let welcome = welcome_to(&package);
    let mut forged = welcome.clone();
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..2 {
        assert!(vault.protect(bob).unwrap());
        assert!(vault.protect(bob).unwrap());
        assert_eq!(stored(), 2);
        assert!(!join(&access, &forged));
        assert_eq!(stored(), 1);
        assert!(vault.package(bob).unwrap().is_none());
        assert!(vault.protect(bob).unwrap(), "the copy brings the key back");
        assert_eq!(stored(), 2);
        assert_eq!(vault.package(bob).unwrap().as_ref(), Some(&package));
    }
    assert!(join(&access, &welcome));
    assert_eq!(stored(), 1, "the copy");

    // POOL-4: deleting really deletes.
    vault.forget(bob).unwrap();
    assert_eq!(stored(), 0);
    assert!(!vault.protect(bob).unwrap());
    assert!(vault.package(bob).unwrap().is_none());
    assert_eq!(stored(), 0, "nothing comes back");

    // A last resort is joined with twice, and deleted like any other.
    let last_resort = kept(&vault, Role::LastResort);
    let other = kept(&vault, Role::OneTime);
    assert!(last_resort.info.role.is_last_resort());
    for _ in 0..2 {
        let welcome = welcome_to(&last_resort);
        assert!(vault.protect(&last_resort.info.key_package_ref).unwrap());
        assert!(join(&access, &welcome));
        assert!(vault.protect(&last_resort.info.key_package_ref).unwrap());
        assert_eq!(stored(), 3, "both keys, and a copy");
    }
    vault.forget(&last_resort.info.key_package_ref).unwrap();
    vault.forget(&last_resort.info.key_package_ref).unwrap();
    vault.forget(&stranger).unwrap();
    assert_eq!(stored(), 1);
    assert_eq!(vault.package(&other.info.key_package_ref).unwrap(), Some(other));
}
