use std::fmt::Debug;

use async_trait::async_trait;

use crate::server::{
    Answers, Cursor, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken, Save, SaveOutcome,
    Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use crate::{GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result, Status, Timestamp, Ttl};

/// Keeps the KeyPackage pools of a delivery service, and hands out each one-time package exactly once.
///
/// # Contract
///
/// The rules stand in [`contract`](crate::contract), each with its id and its whole text. The methods say what a caller
/// needs to know, and link the rules. In every call:
///
/// - A call is one atomic step on its pool ([LIN-1](crate::contract::LIN_1)). A call looks at the packages of its pool
///   at most, and scans no table ([COST-1](crate::contract::COST_1)).
/// - An answer leaves only when everything that the answer was decided on is durable ([ERR-5](crate::contract::ERR_5)).
/// - Reserver, spender and group are optional, and only ever compared ([PRIV-1](crate::contract::PRIV_1)).
///
/// # Time
///
/// Every call that depends on time carries `now`; no store reads a clock.
///
/// - Times have bounds, and an end is the first second that no longer counts ([TIME-1](crate::contract::TIME_1)).
/// - A changing call first ends what has lapsed, and a read answers as if it had ([TIME-2](crate::contract::TIME_2)).
/// - `now` may step back, and may differ between nodes ([TIME-3](crate::contract::TIME_3)).
///
/// # Errors
///
/// - A refusal and a failure are distinct, and each item of a batch has its own answer
///   ([ERR-3](crate::contract::ERR_3)).
/// - A failure says whether the call was applied. The same request again finds out ([ERR-1](crate::contract::ERR_1)).
/// - No secret appears in the text of an error, in `Debug` or in a log ([ERR-4](crate::contract::ERR_4)).
///
/// # Cancellation
///
/// Every future may be dropped at any point. The outcome of the call is then unknown, and the store stays usable
/// ([ERR-2](crate::contract::ERR_2)).
///
/// # Implementing
///
/// `docs/writing-a-backend.md` leads from an empty crate to a green run of the conformance suite. A backend in Rust
/// implements [`PoolRecords`](crate::rules::PoolRecords) and calls [`rules`](crate::rules) inside its atomic step.
///
/// No method has a default body, since a default could weaken a rule. A wrapper forwards every method.
#[async_trait]
pub trait KeyPackageStore: Send + Sync + Debug {
    /// Stores packages of one pool, and returns one outcome for each, in order.
    ///
    /// - All accepted packages become visible at once ([SAVE-1](crate::contract::SAVE_1)).
    ///   [SAVE-7](crate::contract::SAVE_7) has the order in which outcomes apply.
    /// - The same package again is stored once ([SAVE-2](crate::contract::SAVE_2)). A spent package never comes back
    ///   ([SAVE-3](crate::contract::SAVE_3)). Another package under the same ref is a conflict
    ///   ([SAVE-5](crate::contract::SAVE_5)), and so is the same package in the other role
    ///   ([LAST-3](crate::contract::LAST_3)).
    /// - An expired package is refused. A one-time package that is not yet valid waits
    ///   ([SAVE-4](crate::contract::SAVE_4)), a last-resort package that is not yet valid is refused
    ///   ([LAST-2](crate::contract::LAST_2)).
    /// - An init key is in one package of a pool ([SAVE-9](crate::contract::SAVE_9)).
    /// - Caps limit what a pool holds and remembers ([SAVE-6](crate::contract::SAVE_6)).
    /// - [`SaveMode::Replace`](crate::server::SaveMode::Replace) withdraws the other packages in the same step
    ///   ([SAVE-8](crate::contract::SAVE_8)). [`SaveMode::Amend`](crate::server::SaveMode::Amend) stores nothing new
    ///   ([SAVE-5](crate::contract::SAVE_5)). A last-resort package replaces the old package of its slot
    ///   ([LAST-1](crate::contract::LAST_1)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend. A package that the rules refuse has an outcome.
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>>;

    /// Leases one package for each request, to be spent or released. Returns one answer for each, in order.
    ///
    /// - The oldest package that fits is leased to nobody else until `expires_at` ([RES-1](crate::contract::RES_1),
    ///   [RES-2](crate::contract::RES_2), [RES-3](crate::contract::RES_3), [RES-4](crate::contract::RES_4)).
    /// - The same id again is answered with the same reservation ([RES-5](crate::contract::RES_5)).
    /// - If no one-time package fits, the answer is a last-resort package without a lease, `PoolExhausted` or
    ///   `NothingFits` ([RES-6](crate::contract::RES_6), [LAST-2](crate::contract::LAST_2)). The last-resort package is
    ///   marked used ([LAST-4](crate::contract::LAST_4)).
    /// - A reserver may have a limit ([RES-7](crate::contract::RES_7)). Contention is never answered as exhaustion
    ///   ([RES-8](crate::contract::RES_8)).
    /// - When the lease lapses, the package returns or is retired ([RES-9](crate::contract::RES_9)).
    ///   [RES-10](crate::contract::RES_10) has the order of judgement.
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of each item, or a failure of the backend.
    async fn reserve_key_packages(&self, takes: &[TakeRequest], lapse: OnLapse, now: Timestamp)
    -> Answers<Reservation>;

    /// Hands one package out for good for each request, in one step. Returns one answer for each, in order.
    ///
    /// Most delivery services call this. The package is chosen as in
    /// [`reserve_key_packages`](Self::reserve_key_packages), and spent at once. The same claim again returns the same
    /// package, as long as its replay window lasts ([CLAIM-1](crate::contract::CLAIM_1)).
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of each item, or a failure of the backend.
    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage>;

    /// Spends reservations, and returns one receipt for each token, in order.
    ///
    /// - Deliver the Commit and its Welcome only after the receipt ([SPEND-1](crate::contract::SPEND_1)).
    /// - Only the live reservation's own id spends the package ([SPEND-2](crate::contract::SPEND_2)). The same spend
    ///   again returns the same receipt ([SPEND-3](crate::contract::SPEND_3)).
    /// - The record remembers `usage`, and drops the bytes ([SPEND-4](crate::contract::SPEND_4)).
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of each token, or a failure of the backend.
    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt>;

    /// Gives reservations back, and returns one answer for each token, in order.
    ///
    /// - The package of a live reservation goes back to its place ([REL-1](crate::contract::REL_1)). A release that
    ///   comes too late changes nothing ([REL-2](crate::contract::REL_2)).
    /// - If a release meets a spend, exactly one wins ([REL-3](crate::contract::REL_3)).
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of each token, or a failure of the backend.
    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()>;

    /// Makes reservations longer, and returns the lease for each token, in order.
    ///
    /// - A lease ends `ttl` after `now`, or when it ended before, whichever is later
    ///   ([REN-1](crate::contract::REN_1)). The lease of a recalled package keeps its end.
    /// - A renewal that comes too late changes nothing ([REN-2](crate::contract::REN_2)).
    /// - The token is enough: no limit is looked at, and a lease may be renewed as often as wanted.
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of each token, or a failure of the backend.
    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease>;

    /// Returns one record, with its bytes while the package is unspent. Returns `None` for a ref that was never seen,
    /// or was swept.
    ///
    /// Reads change nothing ([READ-1](crate::contract::READ_1)). [READ-4](crate::contract::READ_4) says when the bytes
    /// are shown.
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

    /// Returns what became of each ref, in order ([READ-4](crate::contract::READ_4)). The status is `None` for a ref
    /// that was never seen, or was swept.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>>;

    /// Lists the one-time packages that reserve could hand out now, in reserve's order, without bytes
    /// ([READ-2](crate::contract::READ_2)).
    ///
    /// A page has at most `limit` packages; 0 counts as 1.
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

    /// Lists all that could be handed out now, in one snapshot, without bytes: the packages of
    /// [`list_available`](Self::list_available), in that order, then the last resorts in their slots
    /// ([LAST-2](crate::contract::LAST_2)), the oldest saved first.
    ///
    /// For the owner, who so finds what it does not know of ([DIR-6](crate::contract::DIR_6)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>>;

    /// Counts the records of a pool by ciphersuite and status, in one snapshot, and says how many one-time packages the
    /// pool's memory still takes ([READ-3](crate::contract::READ_3)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts>;

    /// Lists every pool that holds anything, in no order, for operators ([READ-5](crate::contract::READ_5)).
    ///
    /// A page has at most `limit` pools; 0 counts as 1.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](crate::Rejection::InvalidCursor), or a failure of the backend.
    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>>;

    /// Withdraws packages for their owner, last-resort packages included. Returns an outcome for each ref.
    ///
    /// A withdrawn package is remembered, and handed out to nobody. A live reservation is recalled: its id may still
    /// spend the package ([DEL-3](crate::contract::DEL_3)).
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

    /// Removes a pool whose device is gone, the memory of spent refs included. Never give the pool's id to another
    /// registration ([DEL-1](crate::contract::DEL_1)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn delete_pool(&self, pool: &PoolId) -> Result<()>;

    /// Retires, after a restore from backup, what may have been spent in truth ([DEL-2](crate::contract::DEL_2)).
    /// Returns how many packages were retired, recalled or marked, and where to go on.
    ///
    /// A call walks at most `limit` pools from `after` on; 0 counts as 1. Call again until there is no next cursor.
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

    /// Removes packages past their `not_after`, at most `limit` of them, and returns how many. A `limit` of 0 counts as
    /// 1.
    ///
    /// Pass a `now` that no node's clock is still behind, since what is swept is forgotten
    /// ([SWEEP-1](crate::contract::SWEEP_1)). Live traffic goes on meanwhile ([SWEEP-3](crate::contract::SWEEP_3)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64>;

    /// Settles pools in which a lease or a window has ended, at most `limit` of them. Returns how many leases and
    /// windows ended. A `limit` of 0 counts as 1.
    ///
    /// The call changes no answer, and returns 0 only when nothing is left to settle
    /// ([SWEEP-2](crate::contract::SWEEP_2)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64>;
}
