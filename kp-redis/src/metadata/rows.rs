//! Packs a row of a client's metadata into one value. Only this file reads and writes the value.
//!
//! A value is a tag, the ciphersuite, the credential, then times: `delete_at` of a superseded package, `created_at`,
//! `not_after`, and those of `uploaded_at`, `reserved_at`, `spent_at` and `offered_at` that are set. A time is base 128,
//! the lowest digit first, and `offered_at` is counted from `created_at`, twice and one more if it lies before: Redis keeps
//! a small hash as one compact list only while none of its values is longer than 64 bytes.

use kp_core::client::{KeyPackageMetadata, Lifecycle};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef, Role, Timestamp};

use crate::link::error::Unreadable;

/// The names of the lifecycles, each at the number that the tag has for it.
const STATES: [&str; 8] = [
    "created",
    "available",
    "reserved",
    "joining",
    "superseded",
    "spent",
    "expired",
    "failed",
];

/// The lifecycle is newer than this crate, which has no number for it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("this release of kp-redis cannot store the lifecycle {0}")]
pub(crate) struct UnknownLifecycle(&'static str);

// The tag: the state in the lowest three bits, then one bit each.
const STATE: u8 = 0b111;
const LAST_RESORT: u8 = 1 << 3;
const UPLOADED: u8 = 1 << 4;
const RESERVED: u8 = 1 << 5;
const SPENT: u8 = 1 << 6;
const OFFERED: u8 = 1 << 7;

/// Encodes a row, without its ref.
pub(crate) fn encode(row: &KeyPackageMetadata) -> Result<Vec<u8>, UnknownLifecycle> {
    let name = row.lifecycle.name();
    let state = (0..).zip(STATES).find(|(_, state)| *state == name);
    let (state, _) = state.ok_or(UnknownLifecycle(name))?;
    let flags = [
        (LAST_RESORT, row.role.is_last_resort()),
        (UPLOADED, row.uploaded_at.is_some()),
        (RESERVED, row.reserved_at.is_some()),
        (SPENT, row.spent_at.is_some()),
        (OFFERED, row.offered_at.is_some()),
    ];
    let tag = flags
        .into_iter()
        .filter(|(_, set)| *set)
        .fold(state, |tag, (flag, _)| tag | flag);
    let mut value = vec![tag];
    value.extend(row.ciphersuite.0.to_be_bytes());
    value.extend(row.credential.0);
    let times = [
        row.lifecycle.delete_at(),
        Some(row.created_at),
        Some(row.not_after),
        row.uploaded_at,
        row.reserved_at,
        row.spent_at,
    ];
    for time in times.into_iter().flatten() {
        write(&mut value, time.get().unsigned_abs());
    }
    if let Some(offered_at) = row.offered_at {
        let later = offered_at.get() - row.created_at.get();
        write(&mut value, later.unsigned_abs() << 1 | u64::from(later < 0));
    }
    Ok(value)
}

/// Decodes the row of this ref.
pub(crate) fn decode(key_package_ref: KeyPackageRef, value: &[u8]) -> Result<KeyPackageMetadata, Unreadable> {
    parse(key_package_ref, value)
        .filter(|row| encode(row).is_ok_and(|encoded| encoded == value))
        .ok_or(Unreadable)
}

fn parse(key_package_ref: KeyPackageRef, value: &[u8]) -> Option<KeyPackageMetadata> {
    let mut rest = Rest(value);
    let [tag] = rest.take()?;
    let state = *STATES.get(usize::from(tag & STATE))?;
    let ciphersuite = Ciphersuite(u16::from_be_bytes(rest.take()?));
    let credential = CredentialHash(rest.take()?);
    let mut row = KeyPackageMetadata {
        key_package_ref,
        ciphersuite,
        role: Role::of(tag & LAST_RESORT != 0),
        credential,
        lifecycle: Lifecycle::from_parts(state, rest.time_if(state == "superseded")?)?,
        created_at: rest.time()?,
        not_after: rest.time()?,
        uploaded_at: rest.time_if(tag & UPLOADED != 0)?,
        reserved_at: rest.time_if(tag & RESERVED != 0)?,
        spent_at: rest.time_if(tag & SPENT != 0)?,
        offered_at: None,
    };
    if tag & OFFERED != 0 {
        let later = rest.number()?;
        let seconds = later >> 1;
        let since = row.created_at.get();
        let offered_at = if later & 1 == 0 {
            since + seconds
        } else {
            since - seconds
        };
        row.offered_at = Some(Timestamp::new(offered_at)?);
    }
    Some(row)
}

fn write(value: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        value.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    value.push(number.to_le_bytes()[0]);
}

/// The bytes of a value that are not yet read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<i64> {
        let mut number = 0;
        // Eight digits hold 56 bits, and a time has 53.
        for digit in 0..8 {
            let [byte] = self.take()?;
            number |= i64::from(byte & 0x7F) << (7 * digit);
            if byte <= 0x7F {
                return Some(number);
            }
        }
        None
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.number().and_then(Timestamp::new)
    }

    /// Reads a time that the tag says is set; `Some(None)` if it is not.
    fn time_if(&mut self, there: bool) -> Option<Option<Timestamp>> {
        if there { self.time().map(Some) } else { Some(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> KeyPackageMetadata {
        let at = |seconds| Timestamp::new(seconds).unwrap();
        KeyPackageMetadata {
            key_package_ref: "ref".try_into().unwrap(),
            ciphersuite: Ciphersuite(1),
            role: Role::LastResort,
            credential: CredentialHash([9; 32]),
            created_at: at(1_700_000_000),
            not_after: at(1_707_776_000),
            lifecycle: Lifecycle::Superseded {
                delete_at: at(1_700_003_600),
            },
            uploaded_at: Some(at(1_700_000_001)),
            reserved_at: Some(at(1_700_000_002)),
            spent_at: None,
            // Eleven weeks later.
            offered_at: Some(at(1_706_652_800)),
        }
    }

    #[test]
    fn a_row_is_short_enough_for_a_compact_list() {
        let value = encode(&row()).unwrap();
        assert!(value.len() <= 64);
        assert_eq!(decode("ref".try_into().unwrap(), &value).unwrap(), row());
    }

    #[test]
    fn whatever_is_cut_off_or_added_is_damage() {
        let value = encode(&row()).unwrap();
        for length in 0..value.len() {
            assert!(decode("ref".try_into().unwrap(), &value[..length]).is_err());
        }
        assert!(decode("ref".try_into().unwrap(), &[value.as_slice(), b"\0"].concat()).is_err());
    }

    #[test]
    fn a_tag_or_a_time_that_there_is_not_is_damage() {
        let value = encode(&row()).unwrap();
        // Of a package that was not offered, and so not from where it was.
        let unknown = [&[value[0] & !OFFERED], &value[1..]].concat();
        assert!(decode("ref".try_into().unwrap(), &unknown).is_err());
        let (facts, _) = value.split_at(35);
        for time in [b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F".as_slice(), b"\x80\0"] {
            let times = [time; 6].concat();
            assert!(decode("ref".try_into().unwrap(), &[facts, &times].concat()).is_err());
        }
    }
}
