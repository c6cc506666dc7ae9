use super::{Record, State};
use crate::server::TakeOptions;
use crate::{Ciphersuite, KeyPackageBytes, KeyPackageRef, Party, ReservationId, Timestamp};

/// The records of one pool, inside one atomic step: what the rules ask of a backend.
///
/// Every look-up sees what the step has written so far. A pool that was never seen is an empty one, and comes to be with
/// its first [`insert`](Self::insert).
///
/// Records that cannot be read (a damaged row) are an error where they are asked for by ref or id, and are passed over,
/// with a warning in the log, where several are looked through: one bad row must not wedge a pool.
pub trait PoolRecords {
    /// Why a step failed.
    type Error;

    /// The record of this ref.
    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, Self::Error>;

    /// The record whose [`bound_id`](State::bound_id) this is; there is one at most.
    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, Self::Error>;

    /// The records whose [`lapses_at`](State::lapses_at) has come, in any order (`TIME-2`).
    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, Self::Error>;

    /// Of the free records that [`fits`](super::fits), the one with the lowest sequence, with its bytes (`RES-2`,
    /// `RES-3`).
    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, Self::Error>;

    /// Whether any record [`is_available`](Record::is_available), of whatever ciphersuite (`RES-6`).
    fn has_available(&mut self, now: Timestamp) -> Result<bool, Self::Error>;

    /// The last-resort packages in their slots, also those past their `not_after`, by sequence.
    fn slots(&mut self) -> Result<Vec<Record>, Self::Error>;

    /// The [one-time packages that are free or reserved](State::is_unspent_one_time) and not past their `not_after`, by
    /// sequence.
    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, Self::Error>;

    /// How many records of this ciphersuite [are held](State::is_held) and not past their `not_after` (`SAVE-6`).
    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, Self::Error>;

    /// How many records, of any kind, are not past their `not_after` (`SAVE-6`).
    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, Self::Error>;

    /// How many records have this [`reserver`](State::reserver) (`RES-7`).
    fn count_taken_by(&mut self, party: &Party) -> Result<u32, Self::Error>;

    /// The bytes of a record that [keeps them](State::keeps_bytes).
    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, Self::Error>;

    /// A sequence higher than any that the pool gave out since it was last empty (`RES-2`).
    fn next_sequence(&mut self) -> Result<u64, Self::Error>;

    /// Stores a new record, whose ref and sequence are new to the pool, and its bytes.
    fn insert(&mut self, record: &Record, bytes: &KeyPackageBytes) -> Result<(), Self::Error>;

    /// Brings a record, given as it was before, to another state. Bytes that are [kept no longer](State::keeps_bytes)
    /// go.
    fn update(&mut self, record: &Record, state: State) -> Result<(), Self::Error>;

    /// Forgets a record, and its bytes.
    fn forget(&mut self, record: &Record) -> Result<(), Self::Error>;
}
