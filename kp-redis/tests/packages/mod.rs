//! Packages, pools and requests for the tests.
#![allow(dead_code)] // Each test takes what it needs of it.

use kp_core::key_package::CredentialType;
use kp_core::server::*;
use kp_core::*;

/// What tests pass as now: no test looks at a clock.
#[must_use]
pub(crate) fn now() -> Timestamp {
    at(1_700_000_000)
}

#[must_use]
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::new(seconds).unwrap()
}

#[must_use]
pub(crate) fn pool(name: impl AsRef<[u8]>) -> PoolId {
    PoolId::try_from(name.as_ref()).unwrap()
}

#[must_use]
pub(crate) fn key_package_ref(number: u32) -> KeyPackageRef {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    KeyPackageRef::try_from(bytes.as_slice()).unwrap()
}

/// As OpenMLS makes them: 295 bytes, a ref of 32; valid for a day.
#[must_use]
pub(crate) fn package(number: u32) -> KeyPackage {
    let mut bytes = vec![1; 295];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    KeyPackage::new(
        KeyPackageInfo::new(
            key_package_ref(number),
            Ciphersuite(1),
            Lifetime::new(now(), now().plus(86_400)).unwrap(),
            CredentialHash([9; 32]),
        ),
        KeyPackageBytes::try_from(bytes).unwrap(),
    )
}

#[must_use]
pub(crate) fn last_resort(number: u32) -> KeyPackage {
    let mut package = package(number);
    package.info.role = Role::LastResort;
    package
}

/// With what OpenMLS's admission reads: an init key of its own, and a credential type among the capabilities.
#[must_use]
pub(crate) fn item(number: u32) -> Admitted {
    let mut hash = [3; 32];
    hash[..4].copy_from_slice(&number.wrapping_mul(0x9E37_79B9).to_be_bytes());
    Admitted::new(package(number))
        .fingerprint(InitKeyFingerprint::of_sha256(hash))
        .support(Support::new([], [], [CredentialType::BASIC]))
}

#[must_use]
pub(crate) fn save(pool: &PoolId, numbers: std::ops::Range<u32>) -> Save {
    Save::new(pool.clone(), numbers.map(item)).unwrap()
}

#[must_use]
pub(crate) fn id(number: u64) -> ReservationId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ReservationId::from_bytes(bytes)
}

/// For a minute, and never the last resort.
#[must_use]
pub(crate) fn take(pool: &PoolId, number: u64) -> TakeRequest {
    let options = TakeOptions::new().last_resort(LastResort::Never);
    TakeRequest::new(pool.clone(), id(number), Ttl::seconds(60).unwrap()).options(options)
}
