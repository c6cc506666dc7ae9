use super::rule::{Rule, rules};

rules! {
    /// Deleting and withdrawing: pools whose device is gone, restored backups, and packages that their owner takes
    /// back.
    DEL;

    /// `delete_pool` removes everything of a pool at once, the memory of spent refs included. The call is for a device
    /// that is gone. A pool id is never given to another registration.
    DEL_1 = "DEL-1", "a pool goes at once, memory included";

    /// After a restore from backup, a package that is unspent, and was first saved before (<) `saved_before`, may be
    /// spent in truth. `retire_unspent` treats such a package by its state:
    ///
    /// - A free package becomes spent (retired).
    /// - A reserved package is recalled.
    /// - A last-resort package stays in its slot, and is marked used.
    ///
    /// Every pool that the call walks is settled. The call returns how many packages were retired, newly recalled or
    /// newly marked.
    DEL_2 = "DEL-2", "retire what a restored backup may have lost track of";

    /// `withdraw_key_packages` answers each ref:
    ///
    /// - `Withdrawn`: the package was unspent, or had been withdrawn before.
    /// - `AlreadySpent`: the package had been used, retired or replaced.
    /// - `NotFound`: the pool has no record of the ref, or the record is past its `not_after`.
    ///
    /// With [`Withdrawal::All`](crate::server::Withdrawal::All), the answers are those of the unspent packages: first
    /// one-time packages, recalled ones too, in the pool's order, then last-resort packages by ciphersuite.
    ///
    /// - Every withdrawn package is remembered.
    /// - A package with a live reservation is *recalled*: the reservation's id may still spend it. If the reservation
    ///   is released or lapses, the package becomes spent.
    /// - A withdrawal outranks a retirement.
    DEL_3 = "DEL-3", "an owner withdraws; live leases are recalled";
}
