//! A package as one value of a row: what its owner uploaded. Peers store a KeyPackage's own bytes; ours of the benchmarks, and the
//! suite's, have their facts beside them.

use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Role, Timestamp,
};

use crate::measure::Fallible;

pub(super) fn write(package: &KeyPackage) -> Vec<u8> {
    let info = &package.info;
    let named = info.key_package_ref.as_bytes();
    let times = [info.lifetime.not_before(), info.lifetime.not_after()].map(|time| time.get().to_be_bytes());
    [
        [u8::from(info.role == Role::LastResort), named.len() as u8].as_slice(),
        &info.ciphersuite.0.to_be_bytes(),
        times.as_flattened(),
        &info.credential.0,
        named,
        package.bytes.as_ref(),
    ]
    .concat()
}

pub(super) fn read(record: &[u8]) -> Fallible<KeyPackage> {
    let short = "a record that is too short";
    let (&[role, length], rest) = record.split_first_chunk().ok_or(short)?;
    let (suite, rest) = rest.split_first_chunk().ok_or(short)?;
    let (from, rest) = rest.split_first_chunk().ok_or(short)?;
    let (to, rest) = rest.split_first_chunk().ok_or(short)?;
    let (credential, rest) = rest.split_first_chunk().ok_or(short)?;
    let (named, bytes) = rest.split_at_checked(length.into()).ok_or(short)?;
    let time = |bytes: &[u8; 8]| Timestamp::try_from(i64::from_be_bytes(*bytes));
    let mut info = KeyPackageInfo::new(
        KeyPackageRef::try_from(named)?,
        Ciphersuite(u16::from_be_bytes(*suite)),
        Lifetime::new(time(from)?, time(to)?)?,
        CredentialHash(*credential),
    );
    if role == 1 {
        info.role = Role::LastResort;
    }
    Ok(KeyPackage::new(info, KeyPackageBytes::try_from(bytes)?))
}
