use super::rule::{Rule, rules};

rules! {
    /// The client's pool (`KeyPackagePool` of `kp-client`): the policy of a messenger over any
    /// [`KeyVault`](crate::client::KeyVault), any [`PoolMetadataStore`](crate::client::PoolMetadataStore) and any
    /// [`KeyPackageTransport`](crate::protocol::KeyPackageTransport).
    POOL;

    /// A client never has more one-time packages of a ciphersuite than the cap. `generate_and_update_pool` makes
    /// packages only as far as the cap allows.
    ///
    /// - The cap counts what the server still holds, or may hold, as the client learned it from the server. A client
    ///   that counted what was handed out would deadlock at its cap.
    /// - Defaults for each ciphersuite: target 32, low-water mark 8, cap 64.
    /// - A plan may have a last-resort package and no one-time packages.
    POOL_1 = "POOL-1", "never more packages than the cap";

    /// - `should_replenish` is true when a ciphersuite has fewer one-time packages than its low-water mark, or when a
    ///   last-resort package is due.
    /// - `get_replenishment_needed` is the number of one-time packages missing up to the target, as far as the cap
    ///   allows.
    ///
    /// A package in the last tenth of its lifetime, or of an old credential, does not count.
    POOL_2 = "POOL-2", "replenish below the low-water mark, up to the target";

    /// Packages are made in this order: generate in a scratch storage, write the metadata rows, store the keys, upload.
    ///
    /// - After a crash or a lost answer the *same* packages go out again: no package twice as another, no package lost.
    /// - No key is ever without a row.
    POOL_3 = "POOL-3", "rows, then keys, then the upload";

    /// `cleanup_expired` deletes the key first, then the row. If there is a failure between the two, the next run
    /// deletes the row.
    POOL_4 = "POOL-4", "away with the key, then the row";

    /// `mark_as_spent` is called when a Welcome was processed. The keys of one-time packages are deleted. A last-resort
    /// package is replaced in time ([POOL-10](super::POOL_10)).
    ///
    /// A last-resort package that was replaced, and a package that was withdrawn with its credential, keep their keys
    /// for a grace period. Default: 28 days.
    POOL_5 = "POOL-5", "spent keys go, replaced keys stay for a grace period";

    /// A Welcome that does not decrypt does not cost the key, and neither does a process that dies while it joins.
    ///
    /// An MLS library may delete the key before it decrypts the Welcome. So a durable second copy of the key is kept in
    /// the library's own storage, from the first join that begins until the key goes. If a join did not succeed, the key
    /// is written back from the copy.
    POOL_6 = "POOL-6", "a failed join does not cost the key";

    /// `refresh` does whatever is due, and says when it is due again: recover joins that died, clean up, sync with the
    /// server, replenish, upload, rotate the last resort, withdraw what the server should not have.
    ///
    /// - New packages are up before old packages are withdrawn.
    /// - Several processes may share one storage: an app and its notification extension. A round holds the lease `round`.
    ///   Another process's round is said at once, and nothing is waited for.
    /// - Each read-decide-write on rows and keys, of every call, holds the short lease `ledger`, never while the server is
    ///   awaited, and its writes carry the fence. Safety does not hang on a lease: whoever stood still until another process
    ///   had its turn writes no row any more, and deletes what keys it wrote of packages that were used or dropped.
    /// - A join marks its rows: `Joining`, whose it is, and until when. It holds no lease while it is attempted, and waits for no
    ///   round. For a minute it is left alone, and another process's join with the same one-time package is refused as
    ///   `JoinUnderWay`. After that, recovery writes a missing key back. The mark is kept until the join's own end, or for
    ///   one day: the process may only stand still.
    /// - A row without a key is dropped an hour after it was made: another process may be about to store the key.
    /// - `refresh` may be called from several places at once. A call that waited for a round which began after the call
    ///   was made has the report of that round.
    POOL_7 = "POOL-7", "refresh does all that is due";

    /// A clock is *off* when the server's time lies outside the client's own span from request to answer by more than the
    /// skew. Default: 1 h. The server's time comes with each sync ([`SyncReport`](crate::protocol::SyncReport)).
    ///
    /// - While it is off, nothing is made, rotated, deleted or withdrawn on account of time, and the report says by how much
    ///   it is off. Syncing, uploading, joins, and withdrawing what has no key or an old credential go on.
    /// - One package of a ciphersuite that lacks some is made as a probe, with the waits of [POOL-10](super::POOL_10).
    ///   While the server takes probes, the round goes on as usual: the server's clock is the wrong one.
    /// - A key goes once both clocks have passed the package's `not_after`. The server's clock is what it told last. If the
    ///   client's clock alone has passed it, and is not off, the pool notes since when, and the key goes one grace period later.
    ///   A pool that was not looked at for so long begins anew: its clock may have been set. Until the key goes, the row says what
    ///   the server said, and nothing is withdrawn. A join is refused as expired only when both have passed.
    /// - A grace period begins at the later of both clocks: one that began while the client's clock was behind is not over
    ///   once the clock is right.
    /// - What is refused as expired, or as not yet valid, does not count as held. A package that waits for its `not_before`
    ///   does, and no other of its role and ciphersuite is made meanwhile, but for a last resort in the place of one of an old
    ///   credential. One that becomes valid further ahead than the skew, and is not known to be up, is given up.
    /// - Nothing is made whose lifetime would begin before the server's restore point.
    POOL_8 = "POOL-8", "nothing happens by a clock that is off";

    /// A package is thrown away early only when it was *certainly never up*: it was not offered, or its only offer was
    /// answered by a refusal. An outcome that the client does not know counts as refused.
    ///
    /// - Any other package keeps its key until its `not_after`, but at most one grace period after the server said that
    ///   the package is withdrawn, replaced or refused, and at most a year after it was offered. A server that lost a
    ///   package, and now refuses it, may have handed it out: a Welcome may be under way.
    /// - What was handed out, as the server said, never goes up again.
    POOL_9 = "POOL-9", "only what was never up is thrown away early";

    /// A round makes what is missing up to the target, when there are fewer than the mark, or when the server says that they
    /// are low. Strangers do not set the pace:
    ///
    /// - A last resort that was used is replaced a day after it was made, or a tenth of its lifetime if that is shorter. One
    ///   that is missing, has no key, is stale or of an old credential is replaced at once.
    /// - One-time packages come from a budget for each ciphersuite: twice the cap at once, and 100 regrow in a day. If it is
    ///   spent, the report says until when.
    /// - After a refusal of packages just made, *making* waits: 1 minute, doubled up to a day, for each ciphersuite and role.
    ///   All else goes on. Another plan or credential ends the wait, and so does `generate_and_update_pool`.
    /// - Two syncs in a row that find *new* packages without a key, saved since the sync before, are another installation: one
    ///   backup on two devices. The report says so. Such packages are left on the server until the app confirms
    ///   that there is no other installation, and a last resort is then replaced once a day, also when it is missing.
    ///   Anything else without a key is withdrawn, of whichever role and ciphersuite.
    POOL_10 = "POOL-10", "strangers do not set the pace";

    /// A Welcome for a one-time package that is spent is refused as `AlreadyUsed`, with the time, and before
    /// `ExpiredPackage`: while its row is kept, which is until `not_after`, for the newest 1,000.
    ///
    /// Such a row has no key: the key goes first, and then the row says `Spent`. No round does anything with the row but
    /// delete it in time, and a sync names only rows that can still change. A process looks once for keys of such rows, which a
    /// backup of the MLS library's storage brought back, and deletes them.
    ///
    /// A Welcome may name several packages of one client: it is joined with those that are left, and all that it names are used.
    /// A last resort serves one Welcome after the other.
    POOL_11 = "POOL-11", "a package that was used is said to be";
}
