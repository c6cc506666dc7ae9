//! The keys of a client, in mls-rs's own storage: POOL-3, POOL-4 and POOL-6, with real Welcomes.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod client;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use client::{Adder, Anybody, Person, SUITES, now};
use kp_core::client::KeyVault as _;
use kp_core::key_package::{ExtensionType, UnverifiedKeyPackage};
use kp_core::server::{Admission as _, Uploader};
use kp_core::{Ciphersuite, KeyPackage, KeyPackageRef, Role, Timestamp};
use kp_mls_rs::{MlsRsAdmission, MlsRsVault, VaultError};
use mls_rs::error::IntoAnyError;
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::{Client, Extension, ExtensionList, KeyPackageStorage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

fn vault(person: &Person) -> MlsRsVault<InMemoryKeyPackageStorage> {
    over(person, person.storage.clone())
}

fn over<S: KeyPackageStorage + Clone>(person: &Person, storage: S) -> MlsRsVault<S> {
    let person = person.clone();
    MlsRsVault::new(storage, move |_, scratch| Some(person.over(scratch)))
}

fn suite(person: &Person) -> Ciphersuite {
    Ciphersuite(person.suite.raw_value())
}

fn kept(vault: &MlsRsVault<InMemoryKeyPackageStorage>, suite: Ciphersuite, role: Role) -> KeyPackage {
    let (info, fresh) = vault.generate(suite, role, now()).unwrap();
    vault.keep(fresh).unwrap();
    let package = vault.package(&info.key_package_ref).unwrap().unwrap();
    assert_eq!(package.info, info);
    package
}

/// POOL-3, POOL-4, POOL-6: all that a pool relies on, on every ciphersuite.
#[test]
fn it_keeps_what_it_promises() {
    for number in SUITES {
        let bob = Person::new("bob", number);
        let (vault, suite) = (vault(&bob), suite(&bob));
        let stored = || bob.storage.key_packages().len();
        let alice = Adder::new(number, 1);

        // POOL-3: nothing is stored before it is kept.
        let (info, fresh) = vault.generate(suite, Role::OneTime, now()).unwrap();
        assert_eq!(stored(), 0);
        assert!(vault.package(&info.key_package_ref).unwrap().is_none());
        vault.keep(fresh).unwrap();
        assert_eq!(stored(), 1);

        // The facts are those that a server reads from the bytes.
        let package = vault.package(&info.key_package_ref).unwrap().unwrap();
        let uploaded = MlsRsAdmission::new().admit(package.bytes.as_ref(), &Uploader::identity("bob"), now());
        assert_eq!(uploaded.unwrap().package, package);
        assert_eq!(info.credential, vault.credential(suite).unwrap());

        // POOL-6: a Welcome that does not decrypt costs no key.
        let name = &info.key_package_ref;
        let (_, welcome) = alice.invite(package.bytes.as_ref()).unwrap();
        let mut forged = welcome.clone();
        *forged.last_mut().unwrap() ^= 1;
        for _ in 0..2 {
            assert!(vault.protect(name).unwrap());
            assert!(vault.protect(name).unwrap());
            assert_eq!(stored(), 2);
            assert!(bob.join(&forged).is_err());
            assert_eq!(vault.package(name).unwrap().as_ref(), Some(&package));
        }
        // The process died after the key was deleted, and before anything else was known: the copy brings the key back.
        assert!(bob.join(&welcome).is_ok());
        assert!(vault.package(name).unwrap().is_none(), "mls-rs deletes the key");
        assert!(vault.protect(name).unwrap());
        assert_eq!(stored(), 2);
        assert!(bob.join(&welcome).is_ok());
        assert_eq!(stored(), 1, "the copy");
        assert!(vault.protect(name).unwrap());
        assert_eq!(vault.package(name).unwrap().as_ref(), Some(&package));

        // POOL-4: deleting really deletes.
        vault.forget(name).unwrap();
        assert_eq!(stored(), 0);
        assert!(!vault.protect(name).unwrap());
        assert_eq!(stored(), 0, "nothing comes back");

        // A last resort is joined with twice, and deleted like any other.
        let last_resort = kept(&vault, suite, Role::LastResort);
        let other = kept(&vault, suite, Role::OneTime);
        for _ in 0..2 {
            let (_, welcome) = alice.invite(last_resort.bytes.as_ref()).unwrap();
            assert!(vault.protect(&last_resort.info.key_package_ref).unwrap());
            assert!(bob.join(&welcome).is_ok());
            assert!(vault.protect(&last_resort.info.key_package_ref).unwrap());
            assert_eq!(stored(), 3, "both keys, and a copy");
        }
        vault.forget(&last_resort.info.key_package_ref).unwrap();
        vault.forget(&last_resort.info.key_package_ref).unwrap();
        vault
            .forget(&KeyPackageRef::try_from("no such package").unwrap())
            .unwrap();
        assert_eq!(stored(), 1);
        assert_eq!(vault.package(&other.info.key_package_ref).unwrap(), Some(other));
    }
}

/// Time is an argument: nothing of a package depends on the system's clock.
#[test]
fn a_lifetime_begins_about_now() {
    let bob = Person::new("bob", 1);
    let long_ago = Timestamp::try_from(1_700_000_000).unwrap();
    let (info, _) = vault(&bob).generate(suite(&bob), Role::OneTime, long_ago).unwrap();
    assert_eq!(info.lifetime.not_before(), long_ago.minus(3_600));
    assert_eq!(info.lifetime.not_after(), long_ago.plus(365 * 86_400 - 3_600));
    assert!(vault(&bob).generate(suite(&bob), Role::OneTime, Timestamp::MIN).is_ok());
    let answer = vault(&bob).generate(suite(&bob), Role::OneTime, Timestamp::MAX);
    assert!(matches!(answer, Err(VaultError::Lifetime)));
}

#[test]
fn an_app_adds_extensions() {
    let bob = Person::new("bob", 1);
    let own = ExtensionType(0xF042);
    let extensions = |data: &[u8]| ExtensionList::from(vec![Extension::new(own.0.into(), data.to_vec())]);
    let client = bob.clone();
    let vault = MlsRsVault::new(bob.storage.clone(), move |_, scratch| {
        let builder = client.over(scratch).to_builder(None);
        Some(builder.extension_type(own.0.into()).build())
    });
    let vault = vault
        .key_package_extensions(extensions(b"package"))
        .leaf_extensions(extensions(b"leaf"));
    for role in [Role::OneTime, Role::LastResort] {
        let package = kept(&vault, suite(&bob), role);
        let read = UnverifiedKeyPackage::read(package.bytes.as_ref()).unwrap();
        assert_eq!(read.extensions().get(own).unwrap().data, b"package");
        assert_eq!(read.leaf_node().extensions().get(own).unwrap().data, b"leaf");
        assert_eq!(package.info.role, role);
        let admitted = MlsRsAdmission::new().admit(package.bytes.as_ref(), &Uploader::unchecked(), now());
        assert!(admitted.is_ok(), "{admitted:?}");
    }
}

fn bare_client(
    person: &Person,
    storage: InMemoryKeyPackageStorage,
) -> Client<impl mls_rs::client_builder::MlsConfig + use<>> {
    Client::builder()
        .crypto_provider(RustCryptoProvider::new())
        .identity_provider(Anybody(1))
        .key_package_repo(storage)
        .signing_identity(person.whose.clone(), person.secret.clone(), person.suite)
        .build()
}

#[test]
fn what_cannot_be_made_is_a_typed_error() {
    let bob = Person::new("bob", 1);
    let of_bob = suite(&bob);
    let other = Ciphersuite(3);
    let answer = vault(&bob).generate(other, Role::OneTime, now());
    assert!(matches!(answer, Err(VaultError::OtherCiphersuite(suite)) if suite == of_bob));

    let client = bob.clone();
    let none = MlsRsVault::new(bob.storage.clone(), move |asked, scratch| {
        (asked == other).then(|| client.over(scratch))
    });
    assert!(matches!(none.generate(of_bob, Role::OneTime, now()), Err(VaultError::NoClient(suite)) if suite == of_bob));
    assert!(matches!(none.credential(of_bob), Err(VaultError::NoClient(_))));

    // mls-rs makes a last resort that is valid nowhere; the vault does not.
    let client = bob.clone();
    let unlisted = MlsRsVault::new(bob.storage.clone(), move |_, scratch| {
        Some(bare_client(&client, scratch))
    });
    assert!(unlisted.generate(of_bob, Role::OneTime, now()).is_ok());
    let answer = unlisted.generate(of_bob, Role::LastResort, now());
    assert!(matches!(answer, Err(VaultError::LastResortNotListed)));
    assert!(bob.storage.key_packages().is_empty());

    let client = bob.clone();
    let elsewhere = MlsRsVault::new(bob.storage.clone(), move |_, _| {
        Some(client.over(InMemoryKeyPackageStorage::new()))
    });
    let answer = elsewhere.generate(of_bob, Role::OneTime, now());
    assert!(matches!(answer, Err(VaultError::OtherStorage)));
}

/// A storage that refuses to write what is there, as one over a table with a primary key does, and that fails on demand.
#[derive(Clone, Default)]
struct Strict {
    rows: Arc<Mutex<HashMap<Vec<u8>, KeyPackageData>>>,
    fails: Arc<Mutex<bool>>,
}

#[derive(Debug)]
struct Refused;

impl IntoAnyError for Refused {}

impl Strict {
    fn checked(&self) -> Result<(), Refused> {
        if *self.fails.lock().unwrap() {
            Err(Refused)
        } else {
            Ok(())
        }
    }
}

impl KeyPackageStorage for Strict {
    type Error = Refused;

    fn delete(&mut self, id: &[u8]) -> Result<(), Refused> {
        self.checked()?;
        self.rows.lock().unwrap().remove(id);
        Ok(())
    }

    fn insert(&mut self, id: Vec<u8>, data: KeyPackageData) -> Result<(), Refused> {
        self.checked()?;
        let before = self.rows.lock().unwrap().insert(id, data);
        before.map_or(Ok(()), |_| Err(Refused))
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, Refused> {
        self.checked()?;
        Ok(self.rows.lock().unwrap().get(id).cloned())
    }
}

#[test]
fn every_call_may_be_repeated_on_a_strict_storage() {
    let bob = Person::new("bob", 1);
    let storage = Strict::default();
    let vault = over(&bob, storage.clone());
    let (info, fresh) = vault.generate(suite(&bob), Role::OneTime, now()).unwrap();
    vault.keep(fresh).unwrap();
    let name = &info.key_package_ref;
    for _ in 0..2 {
        assert!(vault.protect(name).unwrap());
        assert!(vault.protect(name).unwrap());
        storage.rows.lock().unwrap().remove(name.as_bytes());
        assert!(vault.protect(name).unwrap());
        assert!(vault.package(name).unwrap().is_some());
    }
    *storage.fails.lock().unwrap() = true;
    assert!(matches!(vault.package(name), Err(VaultError::Storage(_))));
    assert!(matches!(vault.protect(name), Err(VaultError::Storage(_))));
    assert!(matches!(vault.forget(name), Err(VaultError::Storage(_))));
    *storage.fails.lock().unwrap() = false;
    vault.forget(name).unwrap();
    vault.forget(name).unwrap();
    assert!(storage.rows.lock().unwrap().is_empty());
}

/// ERR-4: mls-rs's storage prints what it holds; the vault does not.
#[test]
fn no_debug_shows_a_key() {
    let bob = Person::new("bob", 1);
    let vault = vault(&bob);
    let (_, fresh) = vault.generate(suite(&bob), Role::OneTime, now()).unwrap();
    assert_eq!(format!("{fresh:?}"), "FreshPackage { .. }");
    vault.keep(fresh).unwrap();
    assert_eq!(format!("{vault:?}"), "MlsRsVault { .. }");
    assert!(!format!("{:?}", MlsRsAdmission::new()).contains("crypto"));
}
