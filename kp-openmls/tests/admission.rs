//! What is admitted and what is refused: ADM-1 and ADM-2, on KeyPackages that a real client made.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod client;

use std::time::Duration;

use client::{Client, LONG_AGO, builder, bytes, wrapped};
use kp_core::key_package::ExtensionType;
use kp_core::protocol::{LeafFault, Refusal};
use kp_core::server::{Admission, Admitted, Uploader};
use kp_core::{Ciphersuite, Timestamp};
use kp_openmls::{OpenMlsAdmission, credential_hash};
use openmls::prelude::{Capabilities, Credential, CredentialType, KeyPackage, Lifetime};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::HashType;

const SUITE: Ciphersuite = Ciphersuite(0x0001);
const DAY: u64 = 86_400;

fn bob() -> Client {
    Client::new("bob", SUITE)
}

fn admit(uploaded: &[u8]) -> Result<Admitted, Refusal> {
    OpenMlsAdmission::new().admit(uploaded, &Uploader::identity("bob"), LONG_AGO)
}

/// A package with this lifetime, relative to `LONG_AGO`.
fn admit_valid(from: i64, to: i64) -> Result<Admitted, Refusal> {
    let moment = |offset| LONG_AGO.get().saturating_add(offset).unsigned_abs();
    admit(&bytes(&bob().package_valid(moment(from), moment(to))))
}

/// ADM-1: the facts are those of the package, in every ciphersuite of RFC 9420 that the provider has. Post-quantum ones are in
/// the test `interop`.
#[test]
fn every_fact_is_read_from_the_bytes_in_every_ciphersuite() {
    let mut suites = RustCrypto::default().supported_ciphersuites();
    suites.retain(|suite| u16::from(*suite) <= 7);
    assert_eq!(suites.len(), 3, "suites without a test: {suites:?}");
    for suite in suites {
        let bob = Client::new("bob", Ciphersuite(suite.into()));
        let package = bob.package();
        let uploaded = bytes(&package);
        let admitted = admit(&uploaded).unwrap();

        let info = &admitted.package.info;
        let crypto = bob.provider.crypto();
        assert_eq!(
            info.key_package_ref.as_bytes(),
            package.hash_ref(crypto).unwrap().as_slice()
        );
        assert_eq!(info.ciphersuite, Ciphersuite(suite.into()));
        let lifetime = package.life_time();
        assert_eq!(info.lifetime.not_before().get().unsigned_abs(), lifetime.not_before());
        assert_eq!(info.lifetime.not_after().get().unsigned_abs(), lifetime.not_after());
        assert!(!info.role.is_last_resort());
        assert_eq!(info.credential, credential_hash(crypto, &bob.credential).unwrap());
        assert_eq!(admitted.package.bytes.as_ref(), uploaded);
        let hash = crypto
            .hash(HashType::Sha2_256, package.hpke_init_key().as_slice())
            .unwrap();
        assert_eq!(admitted.fingerprint.unwrap().as_bytes(), &hash[..8]);
        let support = admitted.support.unwrap();
        assert!(
            support.credentials().eq([kp_core::key_package::CredentialType::BASIC]),
            "{support:?}"
        );
    }
}

/// ADM-1: a package wrapped in an MLSMessage is the same package.
#[test]
fn a_wrapped_package_is_admitted_as_the_bare_one() {
    let package = bob().package();
    let bare = admit(&bytes(&package)).unwrap();
    assert_eq!(admit(&wrapped(&package)).unwrap(), bare);
    assert_eq!(bare.package.bytes.to_mls_message(), wrapped(&package));
}

/// ADM-1: the last-resort mark is read from the package.
#[test]
fn a_last_resort_package_is_told_apart() {
    let lifetime = Lifetime::init(LONG_AGO.get().unsigned_abs(), LONG_AGO.get().unsigned_abs() + DAY);
    let package = bob().build(builder().mark_as_last_resort().key_package_lifetime(lifetime));
    assert!(admit(&bytes(&package)).unwrap().package.info.role.is_last_resort());
}

/// ADM-2: a leaf that does not list an extension of its package is not made as RFC 9420 §10.1 demands, whatever clocks
/// say.
#[test]
fn an_extension_that_the_leaf_does_not_list_is_refused() {
    let unlisted = KeyPackage::builder().mark_as_last_resort();
    let package = bob().build(unlisted.key_package_lifetime(Lifetime::new(DAY)));
    let now = Timestamp::try_from(i64::try_from(package.life_time().not_before()).unwrap()).unwrap();
    let answer = OpenMlsAdmission::new().admit(&bytes(&package), &Uploader::unchecked(), now);
    let unlisted = LeafFault::ExtensionNotListed(ExtensionType::LAST_RESORT);
    assert_eq!(answer, Err(Refusal::InvalidLeaf(unlisted)));
}

/// ADM-2: `now` decides, whether OpenMLS, by the system's clock, agrees (a package made now) or not (one of 2023).
#[test]
fn now_decides_on_the_lifetime() {
    let made_now = bob().build(builder());
    let not_before = Timestamp::try_from(i64::try_from(made_now.life_time().not_before()).unwrap()).unwrap();
    let width = made_now.life_time().not_after() - made_now.life_time().not_before();
    let judged = |now| OpenMlsAdmission::new().admit(&bytes(&made_now), &Uploader::identity("bob"), now);

    assert_eq!(width, 84 * DAY + 3_600, "what OpenMLS makes by default");
    assert!(judged(not_before).is_ok());
    assert!(judged(not_before.plus(width - 1)).is_ok());
    assert_eq!(judged(not_before.plus(width)), Err(Refusal::Expired));
    assert!(judged(not_before.minus(3_600)).is_ok());
    assert_eq!(judged(not_before.minus(3_601)), Err(Refusal::NotYetValid));

    assert!(admit_valid(-1, 1).is_ok());
    assert_eq!(admit_valid(-1, 0), Err(Refusal::Expired));
    assert!(admit_valid(3_600, 3_601).is_ok());
    assert_eq!(admit_valid(3_601, 3_602), Err(Refusal::NotYetValid));
}

/// ADM-2: how wide a lifetime may be is bounded, and what fits no timestamp is beyond every bound.
#[test]
fn a_lifetime_that_is_too_wide_is_refused() {
    let widest = 84 * 86_400;
    assert!(admit_valid(-3_600, widest).is_ok());
    assert_eq!(admit_valid(-3_601, widest), Err(Refusal::LifetimeTooWide));
    assert_eq!(admit_valid(0, 10 * 365 * 86_400), Err(Refusal::LifetimeTooWide));

    let bytes_valid = |from, to| bytes(&bob().package_valid(from, to));
    let now = LONG_AGO.get().unsigned_abs();
    assert_eq!(admit(&bytes_valid(now, u64::MAX)), Err(Refusal::LifetimeTooWide));
    assert_eq!(admit(&bytes_valid(0, u64::MAX)), Err(Refusal::LifetimeTooWide));
    assert_eq!(admit(&bytes_valid(u64::MAX - 1, u64::MAX)), Err(Refusal::NotYetValid));

    let unbounded = OpenMlsAdmission::new().policy(|it| it.max_lifetime(Duration::MAX).skew(Duration::MAX));
    let judged = |from, to| unbounded.admit(&bytes_valid(from, to), &Uploader::unchecked(), LONG_AGO);
    let last = Timestamp::MAX.get().unsigned_abs();
    for ends in [last, last + 1, (1 << 63) - 1, u64::MAX] {
        let admitted = judged(0, ends).unwrap().package.info.lifetime;
        assert_eq!(admitted.not_after(), Timestamp::MAX, "{ends}");
    }
    assert_eq!(judged(u64::MAX - 1, u64::MAX), Err(Refusal::NotYetValid));
}

/// ADM-2: a lifetime that ends before it begins is none.
#[test]
fn an_empty_lifetime_is_malformed() {
    assert_eq!(admit_valid(5, 5), Err(Refusal::Malformed));
    assert_eq!(admit_valid(6, 5), Err(Refusal::Malformed));
    assert_eq!(
        admit(&bytes(&bob().package_valid(u64::MAX, 0))),
        Err(Refusal::Malformed)
    );
}

/// ADM-2: what is bounded can be set: mls-rs makes lifetimes of 365 days.
#[test]
fn the_bounds_are_the_servers() {
    let now = LONG_AGO.get().unsigned_abs();
    let year = bytes(&bob().package_valid(now, now + 365 * DAY));
    let by = Uploader::identity("bob");
    let patient = OpenMlsAdmission::new().policy(|it| it.max_lifetime(Duration::from_secs(365 * DAY)));
    assert!(patient.admit(&year, &by, LONG_AGO).is_ok());

    let strict = OpenMlsAdmission::new().policy(|it| it.skew(Duration::ZERO));
    let ahead = bytes(&bob().package_valid(now + 1, now + DAY));
    assert_eq!(strict.admit(&ahead, &by, LONG_AGO), Err(Refusal::NotYetValid));

    let package = bob().package();
    let exact = OpenMlsAdmission::new().policy(|it| it.max_bytes(bytes(&package).len()));
    assert!(exact.admit(&wrapped(&package), &by, LONG_AGO).is_ok());
    let narrow = OpenMlsAdmission::new().policy(|it| it.max_bytes(bytes(&package).len() - 1));
    assert_eq!(narrow.admit(&bytes(&package), &by, LONG_AGO), Err(Refusal::TooLarge));
}

/// ADM-2: a ciphersuite that the server does not want, or that the provider does not know, is refused.
#[test]
fn an_unsupported_ciphersuite_is_refused() {
    let by = Uploader::identity("bob");
    let uploaded = bytes(&bob().package());
    let other = OpenMlsAdmission::new().policy(|it| it.ciphersuites([Ciphersuite(0x0002)]));
    assert_eq!(
        other.admit(&uploaded, &by, LONG_AGO),
        Err(Refusal::UnsupportedCiphersuite)
    );

    // Suite 5 is one that the Rust provider does not know, also when the server asks for it. And a bare package of suite
    // 5 begins like an MLSMessage, but is none.
    for number in [0x0005_u16, 0xF00D] {
        let mut of_suite = uploaded.clone();
        of_suite[2..4].copy_from_slice(&number.to_be_bytes());
        let asked = OpenMlsAdmission::new().policy(|it| it.ciphersuites([Ciphersuite(number)]));
        assert_eq!(
            asked.admit(&of_suite, &by, LONG_AGO),
            Err(Refusal::UnsupportedCiphersuite)
        );
    }
}

/// ADM-2: the credential must be the authenticated uploader's.
#[test]
fn a_package_of_somebody_else_is_refused() {
    let bob = bob();
    let uploaded = bytes(&bob.package());
    let admission = OpenMlsAdmission::new();
    let judged = |by: &Uploader| admission.admit(&uploaded, by, LONG_AGO).map(|_| ());

    assert_eq!(judged(&Uploader::identity("bob")), Ok(()));
    assert_eq!(judged(&Uploader::signature_key(bob.signer.to_public_vec())), Ok(()));
    assert_eq!(judged(&Uploader::unchecked()), Ok(()));
    for wrong in [
        Uploader::identity("alice"),
        Uploader::identity("bo"),
        Uploader::identity(""),
        Uploader::signature_key("bob"),
        Uploader::signature_key(Client::new("bob", SUITE).signer.to_public_vec()),
    ] {
        assert_eq!(judged(&wrong), Err(Refusal::CredentialMismatch), "{wrong:?}");
    }
}

/// ADM-2: an identity is that of a basic credential; the same bytes in a credential of another type name nobody.
#[test]
fn another_type_of_credential_has_no_identity() {
    let mut bob = bob();
    let own = CredentialType::Other(0xF123);
    bob.credential.credential = Credential::new(own, b"bob".to_vec());
    let lifetime = Lifetime::init(LONG_AGO.get().unsigned_abs(), LONG_AGO.get().unsigned_abs() + DAY);
    let capabilities = Capabilities::builder().credentials(vec![own]).build();
    let builder = KeyPackage::builder().leaf_node_capabilities(capabilities);
    let uploaded = bytes(&bob.build(builder.key_package_lifetime(lifetime)));
    assert_eq!(admit(&uploaded), Err(Refusal::CredentialMismatch));
    let by_key = Uploader::signature_key(bob.signer.to_public_vec());
    assert!(OpenMlsAdmission::new().admit(&uploaded, &by_key, LONG_AGO).is_ok());
}

/// A client that rotates its signature key keeps its identity, and its old packages can still be told from the new.
#[test]
fn the_credential_hash_tells_keys_and_identities_apart() {
    let hash = |client: &Client| credential_hash(client.provider.crypto(), &client.credential).unwrap();
    let bob = bob();
    let rotated = Client::new("bob", SUITE);
    let mut renamed = Client::new("bobby", SUITE);
    renamed.credential.signature_key = bob.credential.signature_key.clone();
    assert_ne!(hash(&bob), hash(&rotated));
    assert_ne!(hash(&bob), hash(&renamed));
    assert_eq!(
        admit(&bytes(&bob.package())).unwrap().package.info.credential,
        hash(&bob)
    );
}
