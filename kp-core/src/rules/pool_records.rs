use super::{Kept, Record, State};
use crate::server::{Admitted, InitKeyFingerprint, Support, TakeOptions};
use crate::{Ciphersuite, KeyPackageBytes, KeyPackageRef, Party, ReservationId, Role, Timestamp};

/// Gives the rules the records of one pool, inside one atomic step. A backend implements the look-ups and changes.
///
/// - Every look-up sees what the step has written so far.
/// - A pool that was never seen is an empty pool. The first [`insert`](Self::insert) makes the pool.
/// - If a record that cannot be read (a damaged row) is asked for by ref or id, the look-up is an error. A look-up that
///   goes through several records passes over the damaged record, with a warning in the log: one bad row must not wedge
///   a pool.
pub trait PoolRecords {
    /// Says why a step failed.
    type Error;

    /// Returns the record of this ref.
    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, Self::Error>;

    /// Returns the record whose [`bound_id`](State::bound_id) is this id. There is one at most.
    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, Self::Error>;

    /// Returns the records whose [`lapses_at`](State::lapses_at) has come, in any order
    /// ([TIME-2](crate::contract::TIME_2)).
    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, Self::Error>;

    /// Returns whether a record that is not past its `not_after`, of whatever state, has this fingerprint. Several records may
    /// have it ([SAVE-9](crate::contract::SAVE_9)).
    fn has_init_key(&mut self, fingerprint: &InitKeyFingerprint, now: Timestamp) -> Result<bool, Self::Error>;

    /// Returns, of the free records that [`fits`](super::fits) accepts and whose support meets the
    /// [`requirements`](TakeOptions::requirements), the record with the lowest sequence and its bytes
    /// ([RES-2](crate::contract::RES_2), [RES-3](crate::contract::RES_3)).
    ///
    /// Where nothing is required, no support need be read.
    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, Self::Error>;

    /// Returns whether any record [`is_available`](Record::is_available), of whatever ciphersuite
    /// ([RES-6](crate::contract::RES_6)).
    fn has_available(&mut self, now: Timestamp) -> Result<bool, Self::Error>;

    /// Returns the last-resort packages in their slots by sequence, also packages past their `not_after`.
    fn slots(&mut self) -> Result<Vec<Record>, Self::Error>;

    /// Returns by sequence the [one-time packages that are free or reserved](State::is_unspent_one_time) and not past
    /// their `not_after`.
    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, Self::Error>;

    /// Counts the records of this ciphersuite that [are held](State::is_held) and not past their `not_after`
    /// ([SAVE-6](crate::contract::SAVE_6)).
    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, Self::Error>;

    /// Counts the records of any kind that are not past their `not_after` ([SAVE-6](crate::contract::SAVE_6)).
    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, Self::Error>;

    /// Counts the records of one role, in any state, that are not past their `not_after`
    /// ([SAVE-6](crate::contract::SAVE_6)).
    ///
    /// The rules ask only when the pool remembers at least `max_records` records of both roles, so the count may go
    /// through all records of the pool.
    fn count_remembered_of(&mut self, role: Role, now: Timestamp) -> Result<u32, Self::Error>;

    /// Counts the records that have this [`reserver`](State::reserver) ([RES-7](crate::contract::RES_7)).
    fn count_taken_by(&mut self, party: &Party) -> Result<u32, Self::Error>;

    /// Returns the bytes of a record that [keeps bytes](State::keeps_bytes).
    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, Self::Error>;

    /// Returns the support of a record that [keeps bytes](State::keeps_bytes), if the record has one
    /// ([RES-3](crate::contract::RES_3)). The rules ask only where something is required.
    fn support(&mut self, record: &Record) -> Result<Option<Support>, Self::Error>;

    /// Returns a sequence higher than any that the pool gave out since the pool was last empty
    /// ([RES-2](crate::contract::RES_2)).
    fn next_sequence(&mut self) -> Result<u64, Self::Error>;

    /// Stores a new record, with what is kept beside it. Ref and sequence are new to the pool. The record is free, or a last
    /// resort in its slot; if it comes without bytes, an [`update`](Self::update) to a state that keeps none follows.
    fn insert(&mut self, record: &Record, kept: &Kept) -> Result<(), Self::Error>;

    /// Adds the item's fingerprint to a record that has none, and the item's support to one that has none
    /// ([SAVE-5](crate::contract::SAVE_5)).
    fn amend(&mut self, record: &Record, item: &Admitted) -> Result<(), Self::Error>;

    /// Brings a record, given as it was before, to another state. If the new state does not [keep
    /// bytes](State::keeps_bytes), bytes and support go. The fingerprint stays as long as the record.
    fn update(&mut self, record: &Record, state: State) -> Result<(), Self::Error>;

    /// Removes a record, with all that was kept beside it.
    fn forget(&mut self, record: &Record) -> Result<(), Self::Error>;
}
