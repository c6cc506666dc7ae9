//! The form of an export as bytes: a head, the records, and a checksum over both.
//!
//! | part | bytes |
//! |---|---|
//! | `kp-pool`, then the version of the form | 7, 1 |
//! | the number of records | 4 |
//! | each record: its values, in the order of [`FACTS`], [`COLUMNS`] and [`KEPT`] | |
//! | the checksum | 8 |
//!
//! A value is one byte that tells its kind, and then: nothing (0, none), a number of 8 bytes (1), or a length of 4 bytes and
//! so many bytes (2). Numbers are big-endian.

use crate::rules::{Column, Kept, LeaseColumns, ReadColumns, Record, RecordColumns};
use crate::server::{InitKeyFingerprint, Support};
use crate::{Ciphersuite, CredentialHash, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Timestamp};

use super::{Contradiction, PoolExport};

const NAME: &[u8; 7] = b"kp-pool";
const VERSION: u8 = 1;
const CHECKSUM: usize = 8;

/// How many values tell the facts: ref, ciphersuite, `not_before`, `not_after`, `saved_at`, credential.
const FACTS: usize = 6;

/// The columns of the state, in the order of the form. Another one makes another version.
const COLUMNS: [Column; 13] = [
    Column::State,
    Column::Id,
    Column::FormerId,
    Column::SpentAt,
    Column::Spender,
    Column::Group,
    Column::LeaseState,
    Column::LeaseId,
    Column::LeaseEndsAt,
    Column::LeaseReserver,
    Column::LeaseSpentAt,
    Column::LeaseSpender,
    Column::LeaseGroup,
];

/// How many values are kept beside a record: bytes, support, fingerprint.
const KEPT: usize = 3;

/// Says why bytes are no export that this release can read. Nothing of them may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPoolExport {
    /// The bytes are something else.
    #[error("not the export of a pool")]
    NotAnExport,
    /// A newer release made the export. Upgrade.
    #[error("the export has form {found}, and this release knows {VERSION} at most")]
    NewerForm {
        /// The version of the form.
        found: u8,
    },
    /// The export is cut off, or bytes of it were changed. Export the pool again.
    #[error("the export is damaged")]
    Damaged,
    /// The records contradict each other.
    #[error("the export is not of a pool: {0}")]
    Contradiction(#[from] Contradiction),
}

#[derive(Clone, Copy)]
enum Value<'a> {
    None,
    Number(i64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(bytes: Option<&'a (impl AsRef<[u8]> + ?Sized)>) -> Self {
        bytes.map_or(Self::None, |bytes| Self::Bytes(bytes.as_ref()))
    }

    fn number(number: Option<i64>) -> Self {
        number.map_or(Self::None, Self::Number)
    }

    fn write(self, form: &mut Vec<u8>) {
        match self {
            Self::None => form.push(0),
            Self::Number(number) => {
                form.push(1);
                form.extend(number.to_be_bytes());
            }
            Self::Bytes(bytes) => {
                form.push(2);
                // No value is longer than a KeyPackage.
                form.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
                form.extend(bytes);
            }
        }
    }

    /// Takes a value off the front.
    fn read(form: &mut &'a [u8]) -> Option<Self> {
        let [kind] = take::<1>(form)?;
        Some(match kind {
            0 => Self::None,
            1 => Self::Number(i64::from_be_bytes(*take(form)?)),
            2 => {
                let length = usize::try_from(u32::from_be_bytes(*take(form)?)).ok()?;
                let (bytes, rest) = form.split_at_checked(length)?;
                *form = rest;
                Self::Bytes(bytes)
            }
            _ => return None,
        })
    }
}

/// Takes so many bytes off the front.
fn take<'a, const N: usize>(form: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, rest) = form.split_first_chunk()?;
    *form = rest;
    Some(taken)
}

/// FNV-1a: every step can be undone, so that no change of a single byte goes unseen. It guards against accidents alone.
fn checksum(form: &[u8]) -> [u8; CHECKSUM] {
    let hash = form.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.to_be_bytes()
}

impl PoolExport {
    /// Writes the export in its versioned form. Equal exports have the same bytes ([MOVE-3](crate::contract::MOVE_3)).
    ///
    /// The bytes hold KeyPackages, and ids of reservations that are secret while they live: keep them as the store itself.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut form = NAME.to_vec();
        form.push(VERSION);
        // A pool's sequence would have to be longer than any store keeps.
        let count = u32::try_from(self.records().len()).unwrap_or(u32::MAX);
        form.extend(count.to_be_bytes());
        for (record, kept) in self.records() {
            write(record, kept, &mut form);
        }
        let checksum = checksum(&form);
        form.extend(checksum);
        form
    }

    /// Reads an export ([MOVE-3](crate::contract::MOVE_3)).
    ///
    /// # Errors
    ///
    /// An [`InvalidPoolExport`] that names the reason.
    pub fn from_bytes(form: &[u8]) -> Result<Self, InvalidPoolExport> {
        let rest = form.strip_prefix(NAME).ok_or(InvalidPoolExport::NotAnExport)?;
        let version = *rest.first().ok_or(InvalidPoolExport::Damaged)?;
        if version > VERSION {
            return Err(InvalidPoolExport::NewerForm { found: version });
        }
        let (summed, sum) = form.split_last_chunk::<CHECKSUM>().ok_or(InvalidPoolExport::Damaged)?;
        if version != VERSION || checksum(summed) != *sum {
            return Err(InvalidPoolExport::Damaged);
        }
        let mut rest = summed.get(NAME.len() + 1..).ok_or(InvalidPoolExport::Damaged)?;
        let records = read_all(&mut rest).filter(|_| rest.is_empty());
        Ok(Self::new(records.ok_or(InvalidPoolExport::Damaged)?)?)
    }
}

fn write(record: &Record, kept: &Kept, form: &mut Vec<u8>) {
    let info = &record.info;
    let facts: [_; FACTS] = [
        Value::Bytes(info.key_package_ref.as_bytes()),
        Value::Number(info.ciphersuite.0.into()),
        Value::Number(info.lifetime.not_before().get()),
        Value::Number(info.lifetime.not_after().get()),
        Value::Number(record.saved_at.get()),
        Value::Bytes(&info.credential.0),
    ];
    let row = RecordColumns::of(info, &record.state);
    let lease = LeaseColumns::of(&record.state);
    let lease = lease.as_ref();
    let columns = COLUMNS.map(|column| match column {
        Column::State => Value::Number(row.state),
        Column::Id => Value::bytes(row.id),
        Column::FormerId => Value::bytes(row.former_id),
        Column::SpentAt => Value::number(row.spent_at),
        Column::Spender => Value::bytes(row.spender),
        Column::Group => Value::bytes(row.group),
        Column::LeaseState => Value::number(lease.map(|lease| lease.state)),
        Column::LeaseId => Value::bytes(lease.map(|lease| lease.id)),
        Column::LeaseEndsAt => Value::number(lease.map(|lease| lease.ends_at)),
        Column::LeaseReserver => Value::bytes(lease.and_then(|lease| lease.reserver)),
        Column::LeaseSpentAt => Value::number(lease.and_then(|lease| lease.spent_at)),
        Column::LeaseSpender => Value::bytes(lease.and_then(|lease| lease.spender)),
        Column::LeaseGroup => Value::bytes(lease.and_then(|lease| lease.group)),
    });
    let kept: [_; KEPT] = [
        Value::bytes(kept.bytes.as_ref()),
        Value::bytes(kept.support.as_ref().map(Support::as_bytes)),
        Value::bytes(kept.fingerprint.as_ref().map(InitKeyFingerprint::as_bytes)),
    ];
    for value in facts.into_iter().chain(columns).chain(kept) {
        value.write(form);
    }
}

fn read_all(form: &mut &[u8]) -> Option<Vec<(Record, Kept)>> {
    let count = u32::from_be_bytes(*take(form)?);
    (0..count.into()).map(|sequence| read(form, sequence)).collect()
}

fn read(form: &mut &[u8], sequence: u64) -> Option<(Record, Kept)> {
    let mut values = [Value::None; FACTS + COLUMNS.len() + KEPT];
    for value in &mut values {
        *value = Value::read(form)?;
    }
    let row = Row(&values);
    let time = |at| Timestamp::new(row.number_at(at)??);
    let info = KeyPackageInfo::new(
        KeyPackageRef::try_from(row.bytes_at(0)??).ok()?,
        Ciphersuite(u16::try_from(row.number_at(1)??).ok()?),
        Lifetime::new(time(2)?, time(3)?).ok()?,
        CredentialHash(row.bytes_at(5)??.try_into().ok()?),
    );
    let record = Record {
        info: info.role(row.role().ok()?),
        sequence,
        saved_at: time(4)?,
        state: row.state().ok()?,
    };
    let beside = FACTS + COLUMNS.len();
    let kept = Kept {
        bytes: made(row.bytes_at(beside)?, |bytes| KeyPackageBytes::try_from(bytes).ok())?,
        support: made(row.bytes_at(beside + 1)?, Support::from_bytes)?,
        fingerprint: made(row.bytes_at(beside + 2)?, |bytes| {
            bytes.try_into().ok().map(InitKeyFingerprint::from_bytes)
        })?,
    };
    Some((record, kept))
}

/// Converts bytes that may not be there. `None`: they cannot be converted.
fn made<T>(bytes: Option<&[u8]>, make: impl FnOnce(&[u8]) -> Option<T>) -> Option<Option<T>> {
    match bytes {
        None => Some(None),
        Some(bytes) => make(bytes).map(Some),
    }
}

/// The values of one record.
struct Row<'a>(&'a [Value<'a>]);

impl<'a> Row<'a> {
    /// Returns a number that may not be there. `None`: the value is none.
    fn number_at(&self, place: usize) -> Option<Option<i64>> {
        match *self.0.get(place)? {
            Value::None => Some(None),
            Value::Number(number) => Some(Some(number)),
            Value::Bytes(_) => None,
        }
    }

    /// Returns bytes that may not be there. `None`: the value is none.
    fn bytes_at(&self, place: usize) -> Option<Option<&'a [u8]>> {
        match *self.0.get(place)? {
            Value::None => Some(None),
            Value::Bytes(bytes) => Some(Some(bytes)),
            Value::Number(_) => None,
        }
    }
}

fn place(column: Column) -> usize {
    let place = COLUMNS.iter().position(|other| *other == column);
    place.map_or(usize::MAX, |place| FACTS + place)
}

/// A record that no export holds.
struct Misread;

impl ReadColumns for Row<'_> {
    type Error = Misread;

    fn number(&self, column: Column) -> Result<Option<i64>, Misread> {
        self.number_at(place(column)).ok_or(Misread)
    }

    fn bytes(&self, column: Column) -> Result<Option<&[u8]>, Misread> {
        self.bytes_at(place(column)).ok_or(Misread)
    }

    fn damaged(&self, _column: Column) -> Misread {
        Misread
    }
}
