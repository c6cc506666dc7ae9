use super::rule::{Rule, rules};

rules! {
    /// Time: its bounds, what ends when, and clocks that disagree.
    TIME;

    /// - A [`Timestamp`](crate::Timestamp) is 0 to 2^53 - 1 Unix seconds, which a Lua number holds exactly.
    /// - A [`Ttl`](crate::Ttl) is 1 to 2^31 - 1 seconds.
    /// - A [`Lifetime`](crate::Lifetime) has `not_before < not_after`.
    ///
    /// Other values cannot be made: the constructors return a typed error.
    ///
    /// - A package is valid while `not_before <= now < not_after`.
    /// - A reservation is live, and a claim replayable, while `now < expires_at`.
    /// - A sweep removes a package when `not_after <= now`.
    TIME_1 = "TIME-1", "bounds of timestamps, ttls and lifetimes";

    /// A call that changes a pool first *settles* the pool at the call's `now`, also when the call is then refused.
    /// Settling ends, for good, whatever has reached its `expires_at`:
    ///
    /// - leases,
    /// - claim windows,
    /// - the memory of who reserved a used package.
    ///
    /// The cases:
    ///
    /// - A call on many pools: each item settles the pool that the item names, at the item's turn.
    /// - `cleanup_expired` settles nothing.
    /// - A read answers as if the pool had been settled, and writes nothing.
    /// - Expiry is not settled: each call compares `not_after` with its own `now`.
    /// - An empty batch is no call, and settles nothing. A request that cannot be made is no call either.
    TIME_2 = "TIME-2", "a changing call settles its pool first";

    /// `now` may step back from one call to the next, and may differ between nodes.
    ///
    /// - What has ended stays ended.
    /// - Whatever `now` is passed, at most one id holds a package.
    TIME_3 = "TIME-3", "time may step back, and differ between nodes";
}
