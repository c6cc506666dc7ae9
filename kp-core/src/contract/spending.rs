use super::rule::{Rule, rules};

rules! {
    /// Spending: what [`spend_key_packages`](crate::server::KeyPackageStore::spend_key_packages) answers and remembers.
    SPEND;

    /// A package is spent exactly once. The Commit and its Welcome are delivered only *after* the receipt:
    ///
    /// - by the delivery service, which spends when it gets the Commit, or
    /// - by the adder, who spends and then sends.
    SPEND_1 = "SPEND-1", "exactly once, before the Welcome goes out";

    /// Spending is fenced by the reservation id. The answer is the first that applies:
    ///
    /// 1. No record: `NotFound`.
    /// 2. The same spend as recorded ([SPEND-3](super::SPEND_3)): its receipt.
    /// 3. The package is past its `not_after`: `Expired`.
    /// 4. The package was used by another id, for another group or by another spender: `AlreadySpent`.
    /// 5. The id is that of the live reservation: the package is spent.
    /// 6. Otherwise (lapsed, released, superseded, unknown, retired, withdrawn): `NoLiveReservation`.
    SPEND_2 = "SPEND-2", "fenced by the reservation id";

    /// The same spend again (id, group, spender) returns the same receipt. The spend of a claim counts as a spend too.
    ///
    /// This holds until the record is swept, or saved anew past its `not_after`.
    SPEND_3 = "SPEND-3", "the same spend gets the same receipt";

    /// The record of a used package keeps:
    ///
    /// - ref, id, cause and time,
    /// - group and spender, where given,
    /// - the reserver, until the reservation's `expires_at` ([RES-7](super::RES_7)).
    ///
    /// The bytes are dropped when the package is spent. The bytes of a claimed package are dropped when the replay
    /// window ends.
    SPEND_4 = "SPEND-4", "what the record of a spent package keeps";
}

rules! {
    /// Releasing: what [`release_key_packages`](crate::server::KeyPackageStore::release_key_packages) gives back.
    REL;

    /// If the token's reservation is live, the package goes back to its place.
    ///
    /// - The same holds under `Retire`: the holder vouches that the package was not used.
    /// - A recalled package becomes spent instead.
    REL_1 = "REL-1", "release puts a package back in its place";

    /// If the token's reservation is not live, nothing changes. The answer is the first that applies:
    ///
    /// 1. `NotFound`
    /// 2. `Expired`
    /// 3. `AlreadySpent` (the package is used)
    /// 4. `NoLiveReservation`
    REL_2 = "REL-2", "a release that comes too late changes nothing";

    /// If a release and a spend of one reservation meet, exactly one wins.
    REL_3 = "REL-3", "release against spend: one wins";
}

rules! {
    /// Renewing: how [`renew_key_packages`](crate::server::KeyPackageStore::renew_key_packages) makes a lease longer.
    REN;

    /// If the token's reservation is live, its `expires_at` becomes the later of what it was and
    /// `min(now + ttl, not_after)`. The answer is the lease, without bytes.
    ///
    /// - A recalled package's lease keeps its end.
    /// - The token suffices. The same token twice in a batch is answered twice.
    /// - The lease counts for [RES-7](super::RES_7) until its new end, and no limit is looked at.
    /// - A lease is renewed as often as wanted.
    REN_1 = "REN-1", "a live lease is made longer, never shorter";

    /// If the token's reservation is not live, the renewal changes nothing: no lease begins anew. The answer is the first
    /// that applies, as in [REL-2](super::REL_2): `NotFound`, `Expired`, `AlreadySpent` (the package is used),
    /// `NoLiveReservation`.
    REN_2 = "REN-2", "a renewal that comes too late changes nothing";
}
