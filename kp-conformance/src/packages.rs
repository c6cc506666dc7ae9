//! What the checks are made of: packages, ids and times, each from a small number.

use std::collections::HashMap;

use kp_core::key_package::{CredentialType, ExtensionType, ProposalType};
use kp_core::server::{Admitted, InitKeyFingerprint, Requirements, Spend, Support};
use kp_core::{
    Cause, Ciphersuite, CredentialHash, GroupId, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime,
    Party, ReservationId, Role, Status, Timestamp, Ttl,
};

/// The ciphersuite of a package, unless said otherwise: `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`.
pub(crate) const SUITE: Ciphersuite = Ciphersuite(0x0001);
/// Another ciphersuite: `MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519`.
pub(crate) const OTHER_SUITE: Ciphersuite = Ciphersuite(0x0003);

/// The moment from which the checks count, in Unix seconds.
const START: i64 = 1_700_000_000;
/// A day, in seconds.
pub(crate) const DAY: i64 = 86_400;
/// When a package ends, unless said otherwise.
pub(crate) const END: i64 = 30 * DAY;

/// So many seconds after (or before) the start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(START + seconds).expect("the checks keep within bounds")
}

pub(crate) fn ttl(seconds: u32) -> Ttl {
    Ttl::try_from(seconds).expect("the checks keep within bounds")
}

/// The n-th ref: 32 bytes whose order has nothing to do with `n`.
pub(crate) fn key_package_ref(n: u64) -> KeyPackageRef {
    KeyPackageRef::try_from(noise(n, 32)).expect("32 bytes are a ref")
}

/// The same text for people: a package of the suite's goes by its number, before the first bytes of its ref.
pub(crate) fn numbered(text: &str) -> String {
    const OPENING: &str = "KeyPackageRef(";
    let number_of = |n: u64| (format!("{:?}", key_package_ref(n)), n);
    let numbers: HashMap<_, _> = (0..2_000).map(number_of).collect();
    let mut parts = text.split(OPENING);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(')').map_or(part.len(), |end| end + 1);
        let (named, rest) = part.split_at(end);
        match numbers.get(&format!("{OPENING}{named}")) {
            Some(number) => told += &format!("package {number} ({named:.8}..)"),
            None => told = told + OPENING + named,
        }
        told += rest;
    }
    told
}

/// The n-th reservation id.
pub(crate) fn id(n: u64) -> ReservationId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&noise(n ^ 0x1D1D_1D1D, 16));
    ReservationId::from_bytes(bytes)
}

pub(crate) fn party(name: &str) -> Party {
    Party::try_from(name).expect("a short name is a party")
}

pub(crate) fn group(name: &str) -> GroupId {
    GroupId::try_from(name).expect("a short name is a group")
}

/// A use that names nobody.
pub(crate) fn no_usage() -> Spend {
    Spend::default()
}

/// A use for this group, by this party.
pub(crate) fn usage(group_name: &str, party_name: &str) -> Spend {
    Spend::new().group(group(group_name)).by(party(party_name))
}

/// The status of a package that was spent then.
pub(crate) fn spent(seconds: i64, cause: Cause) -> Option<Status> {
    Some(Status::Spent { at: at(seconds), cause })
}

/// The status of a package that is reserved until then.
pub(crate) fn reserved(seconds: i64) -> Option<Status> {
    Some(Status::Reserved { until: at(seconds) })
}

/// The n-th one-time package: about 300 bytes, valid since a day and for 30 more.
pub(crate) fn one_time(n: u64) -> KeyPackage {
    KeyPackage::new(
        KeyPackageInfo::new(key_package_ref(n), SUITE, lifetime(-DAY, END), CredentialHash([7; 32])),
        KeyPackageBytes::try_from(noise(n ^ 0xB1B1_B1B1, 300)).expect("300 bytes are a package"),
    )
}

/// The n-th package, as a last resort.
pub(crate) fn last_resort(n: u64) -> KeyPackage {
    let mut package = one_time(n);
    package.info.role = Role::LastResort;
    package
}

/// One-time packages, in order.
pub(crate) fn one_times(numbers: impl IntoIterator<Item = u64>) -> Vec<KeyPackage> {
    numbers.into_iter().map(one_time).collect()
}

pub(crate) fn lifetime(not_before: i64, not_after: i64) -> Lifetime {
    Lifetime::new(at(not_before), at(not_after)).expect("the checks give lifetimes that begin before they end")
}

/// The same package, but for one thing.
pub(crate) trait Altered {
    /// Of this ciphersuite.
    fn of(self, suite: Ciphersuite) -> Self;
    /// Valid in this time.
    fn valid(self, not_before: i64, not_after: i64) -> Self;
    /// With the bytes of the n-th package.
    fn with_bytes_of(self, n: u64) -> Self;
}

impl Altered for KeyPackage {
    fn of(mut self, suite: Ciphersuite) -> Self {
        self.info.ciphersuite = suite;
        self
    }

    fn valid(mut self, not_before: i64, not_after: i64) -> Self {
        self.info.lifetime = lifetime(not_before, not_after);
        self
    }

    fn with_bytes_of(self, n: u64) -> Self {
        Self::new(self.info, one_time(n).bytes)
    }
}

/// The fingerprint of the n-th init key.
pub(crate) fn init_key(n: u64) -> InitKeyFingerprint {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&noise(n ^ 0x4B4B_4B4B, 8));
    InitKeyFingerprint::from_bytes(bytes)
}

/// Types of extensions, proposals and credentials, by their numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Types(
    pub(crate) &'static [u16],
    pub(crate) &'static [u16],
    pub(crate) &'static [u16],
);

impl Types {
    /// What a package with these capabilities supports.
    pub(crate) fn support(self) -> Support {
        let Self(extensions, proposals, credentials) = self;
        let support = Support::new(
            extensions.iter().copied().map(ExtensionType),
            proposals.iter().copied().map(ProposalType),
            credentials.iter().copied().map(CredentialType),
        );
        support.expect("the checks list few types")
    }

    /// What a request asks for that requires them.
    pub(crate) fn requirements(self) -> Requirements {
        let Self(extensions, proposals, credentials) = self;
        let required = Requirements::new().extensions(extensions.iter().copied().map(ExtensionType));
        let required = required.and_then(|it| it.proposals(proposals.iter().copied().map(ProposalType)));
        let required = required.and_then(|it| it.credentials(credentials.iter().copied().map(CredentialType)));
        required.expect("the checks require few types")
    }
}

/// A package, with what a store keeps beside it.
pub(crate) trait Beside: Into<Admitted> {
    /// With the n-th init key.
    fn with_key(self, n: u64) -> Admitted {
        self.into().fingerprint(init_key(n))
    }

    /// With these types among its capabilities.
    fn supporting(self, types: Types) -> Admitted {
        self.into().support(types.support())
    }
}

impl<T: Into<Admitted>> Beside for T {}

/// Bytes without a pattern, the same for the same seed (SplitMix64).
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xD134_2543_DE82_EF95);
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    });
    words.flat_map(u64::to_be_bytes).take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_goes_by_its_number() {
        let other = KeyPackageRef::try_from(vec![1, 2]).expect("two bytes are a ref");
        let told = format!("seen {:?} and {other:?}, not KeyPackageRef(", key_package_ref(3));
        let hex = format!("{:?}", key_package_ref(3)).replace("KeyPackageRef(", "");
        assert_eq!(
            numbered(&told),
            format!("seen package 3 ({hex:.8}..) and KeyPackageRef(0102), not KeyPackageRef(")
        );
    }
}
