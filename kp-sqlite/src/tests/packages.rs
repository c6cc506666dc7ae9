//! A package of the unit tests.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use kp_core::*;

/// Returns a one-time package of ciphersuite 1.
pub(crate) fn test_package(named: &[u8], lifetime: Lifetime, bytes: &[u8]) -> KeyPackage {
    KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(named).unwrap(),
            Ciphersuite(1),
            lifetime,
            CredentialHash([1; 32]),
        ),
        KeyPackageBytes::try_from(bytes).unwrap(),
    )
}
