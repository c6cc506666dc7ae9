use kp_core::key_package::UnverifiedKeyPackage;
use kp_core::{CredentialHash, InvalidKeyPackageBytes, KeyPackage, KeyPackageInfo, KeyPackageRef, Lifetime};

use crate::credential::sha256;

/// The bare package, and the facts about it: the same for the server and for the client.
pub(crate) fn key_package(
    read: &UnverifiedKeyPackage<'_>,
    key_package_ref: KeyPackageRef,
    lifetime: Lifetime,
) -> Result<KeyPackage, InvalidKeyPackageBytes> {
    let credential = CredentialHash(sha256(read.leaf_node().signing_identity()));
    let info = KeyPackageInfo::new(key_package_ref, read.ciphersuite(), lifetime, credential);
    Ok(KeyPackage::new(info.role(read.role()), read.bytes().try_into()?))
}
