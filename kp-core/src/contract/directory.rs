use super::rule::{Rule, rules};

rules! {
    /// The directory (`KeyPackageDirectory` of `kp-server`): the policy of a delivery service over any store and any
    /// admission.
    DIR;

    /// The directory is what a delivery service calls:
    ///
    /// - `upload`: append or replace, all or nothing on request, up to a largest batch
    /// - `claim` and `reserve`, for one pool or for many
    /// - `spend`, `release` and `renew`
    /// - `status`: for each ciphersuite the health, the counts, how many packages to upload, how many expire soon
    /// - `sync`: what became of the packages that a client names, and which others are available
    /// - `withdraw` and `delete_pool`
    /// - `get` and `list_available`: one package, or all that could be handed out
    /// - `list_pools`, `retire_unspent`, `amend` and `sweep`, for operators
    /// - a sweeper, which stops cleanly
    ///
    /// Health is the first that applies:
    ///
    /// 1. last resort used
    /// 2. last resort only: an unused last resort, and no record of a one-time package before its `not_after`
    /// 3. exhausted: no one-time package is available
    /// 4. low: fewer packages are available than the low-water mark
    /// 5. good
    DIR_1 = "DIR-1", "what a delivery service calls";

    /// Every setting is checked when the directory is built.
    ///
    /// | setting | default | bounds |
    /// |---|---|---|
    /// | lease | 60 s | a [`Ttl`](crate::Ttl) |
    /// | claim window | 10 min | a [`Ttl`](crate::Ttl) |
    /// | cap per ciphersuite | 100 | at least 1 |
    /// | low-water mark | 8 packages, or the cap where that is lower | at most the cap |
    /// | largest upload | 200 packages | 1 to 1,000 |
    /// | items of any other list in a call | 1,000 | 1 to 1,000 |
    /// | limit per requester | none | at least 1 |
    /// | at a lapse | `Return` | |
    /// | expiring soon | 7 days | |
    /// | restore point | none | not ahead of the clock |
    /// | skew between nodes | 1 h | at most 1 day |
    DIR_2 = "DIR-2", "defaults, all configurable, checked when built";

    /// Every operation runs in a `tracing` span and is counted by `metrics`: outcome, source (one-time or last resort),
    /// latency. No pool, party, package, reservation id or token is in a span or metric.
    DIR_3 = "DIR-3", "a span and metrics for every operation";

    /// A sweep removes what had expired at the directory's clock less the skew allowed between nodes. So no node's
    /// clock is still behind the `now` of the sweep. Leases and windows are settled at the directory's clock.
    ///
    /// A sweeper, the task that sweeps now and then, checks its clock before it removes anything:
    ///
    /// - The first time is one skew after the start.
    /// - Between two turns, and since the start, wall clock and monotonic clock must have moved alike within the skew (a
    ///   minute at least).
    ///   Otherwise the sweeper says so (log, metric), and removes nothing until they have moved alike for 24 h. Then it
    ///   goes on. A monotonic clock may stand still while a machine sleeps, which looks the same.
    /// - Leases and windows are settled meanwhile.
    ///
    /// A sweep by hand is the operator's word: no clock is checked. A sweeper that is stopped ends, whatever the store
    /// does.
    DIR_4 = "DIR-4", "a sweep stays behind every node's clock";

    /// What a status says fits what a save takes and what a client does:
    ///
    /// - A ciphersuite may upload the lesser of its cap's rest, as [SAVE-6](super::SAVE_6) counts (a recalled package
    ///   does not), and the pool's `room`, which all ciphersuites share ([READ-3](super::READ_3)).
    /// - A full memory is a flag beside the health: the pool's `room` is 0.
    /// - The low-water mark is a number of packages, counted alike on both sides. Fewer are low.
    /// - A client that is told low refills a planned ciphersuite up to its own target, whatever its own mark.
    /// - A ciphersuite with a last resort alone is neither good nor low: the client's plan decides. In a pool of several
    ///   ciphersuites it is worse than good, and better than low.
    DIR_5 = "DIR-5", "a status says what a save would take";

    /// `sync` tells a client all that it needs to be right again:
    ///
    /// - what became of each package that the client names
    /// - what the server would hand out and the client did not name: available packages, and last resorts in their
    ///   slots, each with its role and the time when it was first saved
    /// - the server's time, and the restore point where the operator set one: the client makes nothing whose lifetime
    ///   would begin before that
    /// - the status of the pool
    DIR_6 = "DIR-6", "a sync names what the client did not";

    /// A server may subscribe to notices: low, exhausted, last resort used, memory full.
    ///
    /// - A notice follows a call of this node after which the pool stands so, and did not when this node last looked.
    /// - There is at most one an hour for a pool, ciphersuite and kind, and none for a pool that holds nothing.
    /// - What was told is remembered for 10,000 pools. A pool that is forgotten may be told again.
    /// - The queue is bounded. What overflows is dropped and counted.
    /// - The pool is looked at after the call is answered: no answer waits for that.
    DIR_7 = "DIR-7", "a server is told when a pool runs low";

    /// Every list in a call has an upper bound: 1,000 items by default. A longer list is refused as `TooManyItems` before
    /// anything is done, and a page of a listing has no more items.
    ///
    /// Who knows a ref can learn that its package was used: by a reservation that names it, and by a spend, a release or
    /// a renewal under an id of their own. Servers that mind answer alike whatever is refused.
    DIR_8 = "DIR-8", "every list in a call is bounded";
}
