//! Packs a row of a client's metadata into one value. Only this file reads and writes the value.
//!
//! A value is a tag, the ciphersuite, the credential, then times: `delete_at` of a superseded package, `created_at`,
//! `not_after`, and those of `uploaded_at`, `reserved_at`, `spent_at` and `offered_at` that are set. Then come `not_before`
//! and the mark of a join, after a tag of their own; if neither is set, so is not that tag. A row of the release before
//! ends without one.
//!
//! A time is base 128, the lowest digit first. `offered_at` and `not_before` are counted from `created_at`, twice and one
//! more if they lie before: Redis keeps a small hash as one compact list only while none of its values is longer than 64
//! bytes. A row with a mark is longer.

use kp_core::client::{JoinMark, KeyPackageMetadata, LeaseHolder, Lifecycle};
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

// The second tag.
const BEGINS: u8 = 1 << 0;
const MARKED: u8 = 1 << 1;

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
        write_since(&mut value, row.created_at, offered_at);
    }
    let mark = row.lifecycle.mark();
    let begins = row.not_before.map_or(0, |_| BEGINS);
    let marked = mark.map_or(0, |_| MARKED);
    if begins | marked != 0 {
        value.push(begins | marked);
    }
    if let Some(not_before) = row.not_before {
        write_since(&mut value, row.created_at, not_before);
    }
    if let Some(mark) = mark {
        value.extend(mark.holder.as_bytes());
        write(&mut value, mark.until.get().unsigned_abs());
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
    let delete_at = rest.time_if(state == "superseded")?;
    let (created_at, not_after) = (rest.time()?, rest.time()?);
    let uploaded_at = rest.time_if(tag & UPLOADED != 0)?;
    let reserved_at = rest.time_if(tag & RESERVED != 0)?;
    let spent_at = rest.time_if(tag & SPENT != 0)?;
    let offered_at = rest.time_since_if(tag & OFFERED != 0, created_at)?;
    let second = if rest.0.is_empty() { 0 } else { rest.take::<1>()?[0] };
    let not_before = rest.time_since_if(second & BEGINS != 0, created_at)?;
    let mark = match second & MARKED != 0 {
        true => Some(JoinMark {
            holder: LeaseHolder::from_bytes(rest.take()?),
            until: rest.time()?,
        }),
        false => None,
    };
    Some(KeyPackageMetadata {
        key_package_ref,
        ciphersuite,
        role: Role::of(tag & LAST_RESORT != 0),
        credential,
        created_at,
        not_before,
        not_after,
        lifecycle: Lifecycle::from_parts(state, delete_at, mark)?,
        offered_at,
        uploaded_at,
        reserved_at,
        spent_at,
    })
}

/// Writes a time as how long after `since` it is.
fn write_since(value: &mut Vec<u8>, since: Timestamp, time: Timestamp) {
    let later = time.get() - since.get();
    write(value, later.unsigned_abs() << 1 | u64::from(later < 0));
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

    /// Reads a time that is counted from `since`, likewise.
    fn time_since_if(&mut self, there: bool, since: Timestamp) -> Option<Option<Timestamp>> {
        if !there {
            return Some(None);
        }
        let later = self.number()?;
        let seconds = if later & 1 == 0 { later >> 1 } else { -(later >> 1) };
        Timestamp::new(since.get() + seconds).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(1_700_000_000 + seconds).unwrap()
    }

    /// A row as long as a usual one gets.
    fn row() -> KeyPackageMetadata {
        KeyPackageMetadata {
            key_package_ref: "ref".try_into().unwrap(),
            ciphersuite: Ciphersuite(1),
            role: Role::LastResort,
            credential: CredentialHash([9; 32]),
            created_at: at(0),
            not_before: Some(at(-3_600)),
            not_after: at(84 * 86_400),
            lifecycle: Lifecycle::Superseded {
                delete_at: at(28 * 86_400),
            },
            uploaded_at: Some(at(1)),
            reserved_at: Some(at(2)),
            spent_at: None,
            offered_at: Some(at(1)),
        }
    }

    /// A row that is joined with, offered long after it was made.
    fn marked() -> KeyPackageMetadata {
        let mark = JoinMark {
            holder: LeaseHolder::from_bytes([7; 16]),
            until: at(60),
        };
        KeyPackageMetadata {
            lifecycle: Lifecycle::Joining { mark: Some(mark) },
            offered_at: Some(at(80 * 86_400)),
            ..row()
        }
    }

    fn decoded(value: &[u8]) -> Result<KeyPackageMetadata, Unreadable> {
        decode("ref".try_into().unwrap(), value)
    }

    #[test]
    fn a_row_is_short_enough_for_a_compact_list() {
        let value = encode(&row()).unwrap();
        assert!(value.len() <= 64, "{}", value.len());
        assert_eq!(decoded(&value).unwrap(), row());
    }

    /// What has neither a `not_before` nor a mark ends as a row of the release before did.
    #[test]
    fn a_row_of_the_release_before_is_read() {
        let older = KeyPackageMetadata {
            lifecycle: Lifecycle::Joining { mark: None },
            not_before: None,
            ..row()
        };
        let mut value = vec![0xBB, 0, 1];
        value.extend([9; 32]);
        let times = [at(0), at(84 * 86_400), at(1), at(2)];
        for time in times {
            write(&mut value, time.get().unsigned_abs());
        }
        value.push(2);
        assert_eq!(decoded(&value).unwrap(), older);
        assert_eq!(encode(&older).unwrap(), value);
    }

    #[test]
    fn whatever_is_cut_off_or_added_is_damage() {
        for row in [row(), marked()] {
            let value = encode(&row).unwrap();
            assert_eq!(decoded(&value).unwrap(), row);
            let older = KeyPackageMetadata {
                not_before: None,
                ..row.clone()
            };
            let older = match row.lifecycle.mark() {
                Some(_) => KeyPackageMetadata {
                    lifecycle: Lifecycle::Joining { mark: None },
                    ..older
                },
                None => older,
            };
            let whole = encode(&older).unwrap().len();
            // Where the release before ended, a cut cannot be told.
            for length in (0..value.len()).filter(|length| *length != whole) {
                assert!(decoded(&value[..length]).is_err());
            }
            assert!(decoded(&[value.as_slice(), b"\0"].concat()).is_err());
        }
    }

    #[test]
    fn a_tag_or_a_time_that_there_is_not_is_damage() {
        let value = encode(&row()).unwrap();
        // Of a package that was not offered, and so not from where it was.
        let unknown = [&[value[0] & !OFFERED], &value[1..]].concat();
        assert!(decoded(&unknown).is_err());
        // A mark of a package that is not joined with.
        let mut strange = value.clone();
        strange[61] |= MARKED;
        strange.extend([7; 17]);
        assert!(decoded(&strange).is_err());
        // A second tag of a later release.
        let mut later = value.clone();
        later[61] |= 1 << 2;
        assert!(decoded(&later).is_err());
        let (facts, _) = value.split_at(35);
        for time in [b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F".as_slice(), b"\x80\0"] {
            let times = [time; 6].concat();
            assert!(decoded(&[facts, &times].concat()).is_err());
        }
    }
}
