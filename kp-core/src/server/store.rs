use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;

use crate::server::{
    Answers, Cursor, OnLapse, Page, Receipt, Reservation, ReservationToken, Save, SaveOutcome, Spend, StoredKeyPackage,
    TakeRequest, WithdrawOutcome, Withdrawal,
};
use crate::{
    Ciphersuite, Counts, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolId, Result, Status, Timestamp,
};

/// The KeyPackage pools of a delivery service: each one-time package handed out exactly once.
///
/// # Contract
///
/// A one-time package goes `Available -> Reserved -> Spent`, `Reserved -> Available` (released, lapsed),
/// `Available -> Spent` (claimed, retired, withdrawn), and from any state away (swept past `not_after`). A last-resort
/// package sits in one slot per (pool, ciphersuite), is handed out when no one-time package is left, and is never used
/// up. *Free* means available or not yet valid. What each call answers in each state is the table of
/// `docs/state-machine.md`; the rules here say why. Their ids stand beside every line of code that serves them.
///
/// - `LIN-1` Every call is one atomic step on its pool, between call and return; after an unknown outcome, at any later
///   moment or never. Calls on many pools, and sweeps, are series of such steps. Reads see all that was answered before.
/// - `COST-1` A call costs O(log n) in all stored packages plus, at most, the packages of its pool. Nothing scans a
///   table or all pools, but sweeps and listings, which go in bounded steps.
/// - `LAST-3` A one-time package never becomes last resort, nor the reverse: the role is a fact, and the same ref in the
///   other role is a conflict (`SAVE-5`).
/// - `ERR-5` No answer, refusals included, leaves before everything it was decided on is as durable as the backend
///   promises. When a shared commit fails, every call in it fails.
/// - `PRIV-1` Reserver, spender and group are optional and opaque: a store only ever compares them.
///
/// # Time
///
/// - `TIME-1` A [`Timestamp`] is 0 to 2^53 - 1, a [`Ttl`](crate::Ttl) 1 to 2^31 - 1 seconds, and a
///   [`Lifetime`](crate::Lifetime) begins before it ends; others cannot be made. A package is valid while
///   `not_before <= now < not_after`, a reservation live and a claim replayable while `now < expires_at`, and a package
///   is swept when `not_after <= now`.
/// - `TIME-2` A call that changes a pool first *settles* it at its `now`, also when the call is then refused: leases,
///   claim windows, and the memory of who reserved a used package end for good when their `expires_at` has come. Each
///   item of a call on many pools settles the pool it names, at its turn; `cleanup_expired` settles nothing. A read
///   answers as if it had settled, and writes nothing. Expiry is not settled: it is judged at each call's `now`. An
///   empty batch is no call, and settles nothing.
/// - `TIME-3` `now` may step back, and differ between nodes: what has ended stays ended, and at most one id holds a
///   package, whatever `now` is passed.
///
/// # Errors
///
/// - `ERR-1` A failure says whether the call was [not applied](crate::Effect::NotApplied), only when that is certain,
///   or whether its outcome is [unknown](crate::Effect::Unknown). The same request again finds out and, while its id is
///   bound, never takes a second one-time package.
/// - `ERR-3` A refusal ([`Rejection`](crate::Rejection), with a stable `code()`) is distinct from a failure
///   ([`BackendError`](crate::BackendError)). In a batch each item has its own answer; an outage answers each item.
/// - `ERR-4` No package bytes, reservation ids or tokens in `Debug`, `Display` or logs.
///
/// # Cancellation
///
/// - `ERR-2` Every future may be dropped at any point. The outcome of its call is then unknown, and the store stays
///   consistent and usable.
///
/// # Implementing
///
/// A backend in Rust keeps records, implements [`PoolRecords`](crate::rules::PoolRecords) over them, and calls
/// [`rules`](crate::rules) inside its atomic step. One that decides elsewhere (in SQL, in Lua) restates the rules and
/// cites their ids. Either way `kp-conformance` has a check for each: `docs/writing-a-backend.md` leads there.
///
/// Wrappers must forward every method; none has a default body that could weaken a rule.
#[async_trait]
pub trait KeyPackageStore: Send + Sync + Debug {
    /// Stores packages of one client; one outcome for each, in order.
    ///
    /// - `SAVE-1` All accepted items become visible at once, or none does.
    /// - `SAVE-2` The same package again (later, concurrently, twice in one batch) is stored once: `AlreadyStored`. An
    ///   empty batch changes nothing; more than 1,000 items cannot be made into a [`Save`].
    /// - `SAVE-3` A ref that is spent, or recalled while reserved, is refused until its `not_after`, a last resort that
    ///   was replaced or withdrawn too: `AlreadySpent`. It is never handed out again.
    /// - `SAVE-4` `now >= not_after`: `Expired`. A one-time package may be not yet valid: it is stored, and not handed
    ///   out before its time.
    /// - `SAVE-5` The same ref with other bytes or facts: `RefConflict`, and what is stored stays. The same ref in
    ///   another pool is another package.
    /// - `SAVE-6` A new one-time item is `PoolFull` when its (pool, ciphersuite) holds `cap_per_ciphersuite` packages that are
    ///   free or reserved, recalled ones not counted. Any new item is, when the pool remembers `max_records` of any kind
    ///   ([`Limits`](crate::rules::Limits), 10,000 by default), or would have more than 16 last-resort slots. A lower cap
    ///   removes nothing.
    /// - `SAVE-7` Items are judged in order, each seeing the ones before; the first that applies of `Expired`,
    ///   `AlreadySpent`, `RefConflict`, `AlreadyStored`, `NotYetValid` (last resort), `PoolFull`, `Saved`. A record past
    ///   its own `not_after` counts as absent, also for `SAVE-6`; the same ref starts anew. A refused item leaves no
    ///   trace.
    /// - `SAVE-8` With [`SaveMode::Replace`](crate::server::SaveMode::Replace), the other unspent one-time packages (their ref is
    ///   not in the batch) of the ciphersuites of the one-time items accepted are withdrawn in the same step as in
    ///   `DEL-3`, reserved ones recalled, and the cap counts as if they were gone (`max_records` does not). Accepted
    ///   means `Saved` or `AlreadyStored`. When nothing is accepted, nothing is withdrawn.
    /// - `LAST-1` One last-resort slot per (pool, ciphersuite). Saving another replaces it in one step (a reader sees the
    ///   old or the new, never none); the old one, also one past `not_after`, is remembered as spent and its bytes go, so
    ///   that a late retry cannot bring it back.
    /// - `LAST-2` A last-resort package that is not yet valid is refused (`NotYetValid`), and the slot stays.
    ///
    /// # Errors
    ///
    /// Only failures of the backend; what the rules refuse is an outcome.
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>>;

    /// Leases packages, to be spent or released; one answer for each item, in order.
    ///
    /// - `RES-1` Never two live reservations for one one-time package.
    /// - `RES-2` The oldest saved first, by a sequence of the pool, not by timestamps or refs. A released or lapsed
    ///   package keeps its place.
    /// - `RES-3` Only packages that are valid now, of an accepted ciphersuite (none given: any; an order means nothing),
    ///   with `not_after - now` at least `remaining`. A named ref answers, in this order: `NotFound`, `Expired`,
    ///   `AlreadySpent`, `AlreadyReserved`, `Unsuitable`.
    /// - `RES-4` `expires_at = min(now + ttl, not_after)`.
    /// - `RES-5` An id is bound to the package that it was answered with until released or lapsed; once used, until that
    ///   package is past `not_after` (judged at each call's `now`); a new binding ends the old one for good. Bound, in
    ///   this order: another ref named: `ReservationConflict`; used: `AlreadySpent`; another reserver:
    ///   `ReservationConflict`; else the same reservation again, nothing changes, and nothing else of the request is
    ///   looked at. Not bound: a new request. Parties and groups are compared as they are; none equals only none.
    /// - `RES-6` Nothing left: the last-resort package that fits, with no lease and no record but `used` (it is shared:
    ///   nothing is locked, bound, spent or released; the same id later is a new request). Of several slots that fit, the
    ///   oldest saved. Never for a named ref, which [`LastResort::Only`](crate::server::LastResort::Only) makes `Unsuitable`.
    ///   Else `PoolExhausted` when no one-time package of any ciphersuite is available, else `NothingFits`. A pool never
    ///   seen is an empty one. Neither is ever confused with a failure.
    /// - `RES-7` A reserver at its `limit`: `TooManyReservations`. Counted are the one-time packages of this pool that it
    ///   took by reservation or claim and that are live or used, whose `expires_at` has not come; a released one no
    ///   longer counts. A limit without a reserver is ignored. (Otherwise anybody drains a pool by holding, spending or
    ///   claiming it.)
    /// - `RES-8` While a free package fits, contention yields neither `PoolExhausted` nor last resort; the loser takes
    ///   the next one. Waiting ends in a transient failure at the store's time-out, never sooner.
    /// - `RES-9` At a lapse: `Return` to its place, or `Retire`: spent, for those who hold that disclosing is spending.
    /// - `RES-10` Order: `RES-5`, `RES-7`, the named ref or the oldest that fits, last resort, exhausted.
    /// - `LAST-2` A last resort is never counted as available, never used up, never served expired.
    /// - `LAST-4` Its `used` is set when it is handed out, shown to its owner, kept when the same package is saved again;
    ///   a new package starts unused.
    ///
    /// # Errors
    ///
    /// For each item its [`Rejection`](crate::Rejection), or a failure of the backend.
    async fn reserve_key_packages(&self, takes: &[TakeRequest], lapse: OnLapse, now: Timestamp)
    -> Answers<Reservation>;

    /// Hands packages out for good, in one step: what most delivery services call. One answer for each item, in order.
    ///
    /// - `CLAIM-1` Reserve and spend in one step; its party is reserver and spender, its `now` the time spent. The same
    ///   claim again (id, party, group) before its `expires_at` (`RES-4`: the replay window) returns the same package,
    ///   bytes included, and changes nothing; later, while the id is bound, or with another party or group:
    ///   `AlreadySpent`. An id that is live from a reservation is spent by it; `expires_at` is then of the claim's own
    ///   `now` and ttl. All else is as in [`reserve_key_packages`](Self::reserve_key_packages).
    ///
    /// # Errors
    ///
    /// For each item its [`Rejection`](crate::Rejection), or a failure of the backend.
    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage>;

    /// Spends reservations; one answer for each token, in order.
    ///
    /// - `SPEND-1` Exactly once. The Commit and its Welcome are delivered only *after* the receipt: by the delivery
    ///   service, which spends when it gets the Commit, or by the adder, who spends and then sends.
    /// - `SPEND-2` Fenced; in this order: no record: `NotFound`; the same spend: its receipt; past `not_after`:
    ///   `Expired`; used by another id, group or spender: `AlreadySpent`; the live reservation's id: spent; else
    ///   `NoLiveReservation` (lapsed, released, superseded, unknown, retired, withdrawn).
    /// - `SPEND-3` The same spend again (id, group, spender; a claim's too) returns the same receipt, until the record is
    ///   swept, or saved anew past `not_after`.
    /// - `SPEND-4` The record keeps ref, id, cause, time, and group and spender where given, and the reserver until its
    ///   `expires_at` (`RES-7`). The bytes are dropped; a claim's when its window ends.
    ///
    /// # Errors
    ///
    /// For each token its [`Rejection`](crate::Rejection), or a failure of the backend.
    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt>;

    /// Gives reservations back; one answer for each token, in order.
    ///
    /// - `REL-1` Live: back to its place, also under `Retire` (the holder vouches that it was not used); a recalled one
    ///   becomes spent.
    /// - `REL-2` Else, in this order: `NotFound`, `Expired`, `AlreadySpent` (used), `NoLiveReservation`; nothing changes.
    /// - `REL-3` Release against spend: exactly one wins.
    ///
    /// # Errors
    ///
    /// For each token its [`Rejection`](crate::Rejection), or a failure of the backend.
    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()>;

    /// One record, with its bytes while it is unspent; `None` if never seen or swept.
    ///
    /// - `READ-1` Reads change nothing, ever.
    /// - `READ-4` This is how a client learns what became of a package. The bytes are those of a free or reserved
    ///   package, of a last resort in its slot, and of an expired one that was never spent or replaced.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>>;

    /// What became of these refs (`READ-4`), in order; `None` where never seen, or swept.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>>;

    /// The packages that could be handed out.
    ///
    /// - `READ-2` The one-time packages that reserve could hand out now, in its order, without bytes, in pages of `limit`
    ///   (0 counts as 1). One that is available throughout is shown exactly once.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](crate::Rejection::InvalidCursor), or a failure of the backend.
    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>>;

    /// How many packages stand where, by ciphersuite.
    ///
    /// - `READ-3` One snapshot. Each record falls in the first of expired, spent, last resort (used or not), reserved,
    ///   not yet valid, available; so they add up. A pool that holds nothing has no entries.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<BTreeMap<Ciphersuite, Counts>>;

    /// Every pool that holds anything, in no order, in pages of `limit` (0 counts as 1).
    ///
    /// - `READ-5` For operators: to find pools whose client is gone. One that is there throughout is shown exactly once.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](crate::Rejection::InvalidCursor), or a failure of the backend.
    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>>;

    /// The owner withdraws packages, last resort included; an answer for each ref.
    ///
    /// - `DEL-3` Answers `Withdrawn`, `AlreadySpent` or `NotFound`; with [`Withdrawal::All`]: the unspent ones, recalled ones
    ///   too, in the pool's order, then last resort by ciphersuite. All are remembered. A live reservation is *recalled*:
    ///   its id may still spend it; released or lapsed, it becomes spent. A withdrawal outranks a retirement.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>>;

    /// The device is gone.
    ///
    /// - `DEL-1` Everything goes at once, memory of spent refs included. A pool id is never given to another
    ///   registration.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn delete_pool(&self, pool: &PoolId) -> Result<()>;

    /// After a restore from backup: what it may have lost track of is not handed out again. Walks at most `limit` pools
    /// (0 counts as 1) from `after` on; call it until there is no next cursor.
    ///
    /// - `DEL-2` What was first saved before (<) `saved_before` and is unspent may be spent in truth. Free ones become
    ///   spent (retired), reserved ones are recalled; every pool it walks is settled. A last resort of that age stays,
    ///   and is marked used. Says how many were retired, newly recalled or newly marked.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](crate::Rejection::InvalidCursor), or a failure of the backend.
    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)>;

    /// Removes what is past `not_after`, at most `limit` packages (0 counts as 1), and says how many.
    ///
    /// - `SWEEP-1` 0 only when none is left. What is swept is forgotten: pass a `now` that no node's clock is still
    ///   behind.
    /// - `SWEEP-3` Sweeps run beside live traffic.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64>;

    /// Settles pools in which a lease or a window has ended, at most `limit` of them (0 counts as 1), and says how many
    /// leases and windows it ended.
    ///
    /// - `SWEEP-2` No answer to a call with the same or a later `now` changes. 0 only when none is left.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64>;
}
