use super::rule::{Rule, rules};

rules! {
    /// Reserving: which package [`reserve_key_packages`](crate::server::KeyPackageStore::reserve_key_packages) hands
    /// out, and for how long.
    RES;

    /// A one-time package never has two live reservations.
    RES_1 = "RES-1", "one live reservation for one package";

    /// Of the packages that fit, the package saved first is handed out first. The order is a sequence of the pool, not
    /// timestamps or refs. A released or lapsed package keeps its place.
    RES_2 = "RES-2", "the oldest saved first";

    /// A package *fits* a request when all of this holds:
    ///
    /// - The package is valid at `now`.
    /// - The request accepts the package's ciphersuite. A request that names no ciphersuite accepts any. The order of
    ///   the ciphersuites means nothing.
    /// - `not_after - now` is at least the request's `remaining`.
    /// - The package meets the request's [`Requirements`](crate::server::Requirements): types of extensions, proposals and
    ///   credentials, at most 64 distinct ones of each. Each is among the package's *support*, or is a default of RFC 9420 §7.2
    ///   (extensions 1 to 5, proposals 1 to 7). Order and repeats mean nothing. Where nothing is required, every package does.
    ///
    /// The [`Support`](crate::server::Support) of a package is what its leaf's capabilities list, without GREASE and defaults, if
    /// at most 256 types of each kind; else the package has no support. A package without support meets only defaults. Support
    /// is kept as long as the bytes, and shown by no read.
    ///
    /// Only packages that fit are handed out. If a request names a ref that cannot be handed out, the answer is the
    /// first that applies:
    ///
    /// 1. `NotFound`
    /// 2. `Expired`
    /// 3. `AlreadySpent`
    /// 4. `AlreadyReserved`
    /// 5. `Unsuitable`
    RES_3 = "RES-3", "only what is valid and as asked";

    /// `expires_at` is `min(now + ttl, not_after)`.
    RES_4 = "RES-4", "a lease ends at not_after at the latest";

    /// A reservation id is bound to the package that the id was answered with:
    ///
    /// - as long as the package is reserved: until the lease is released or lapses;
    /// - once the package is used: until the package is past its `not_after`, judged at each call's `now`.
    ///
    /// A new binding of an id ends the old binding for good.
    ///
    /// If the id is bound, the answer is the first that applies:
    ///
    /// 1. The request names another ref, or ciphersuites that leave the package's out: `ReservationConflict`. A true
    ///    retry always fits.
    /// 2. The package is used: `AlreadySpent`. [CLAIM-1](super::CLAIM_1) makes an exception for the same claim.
    /// 3. The request has requirements that the package does not meet ([RES-3](super::RES_3)), or the lease has another
    ///    reserver: `ReservationConflict`.
    /// 4. Otherwise the same reservation again: nothing changes, and nothing else of the request is looked at.
    ///
    /// If the id is not bound, the request is a new request.
    ///
    /// Parties and groups are compared as they are. None equals only none.
    RES_5 = "RES-5", "an id is bound to the package it was answered with";

    /// If no one-time package fits, the oldest saved last-resort package that fits is handed out, without a lease.
    ///
    /// - Handing out a last-resort package records nothing but `used`. The package is shared: nothing is locked, bound,
    ///   spent or released. The same id later is a new request.
    /// - If a request names a ref, the request gets no last-resort package: a last-resort package that is named is
    ///   `Unsuitable`.
    /// - With [`LastResort::Never`](crate::server::LastResort::Never), no last-resort package is handed out.
    /// - With [`LastResort::Only`](crate::server::LastResort::Only), no one-time package is handed out: a named package
    ///   that could be handed out otherwise is `Unsuitable`.
    ///
    /// If no last-resort package is handed out either:
    ///
    /// - `PoolExhausted` when no one-time package of any ciphersuite is available,
    /// - otherwise `NothingFits`.
    ///
    /// A pool that was never seen is an empty pool. Neither `PoolExhausted` nor `NothingFits` is ever confused with a
    /// failure.
    RES_6 = "RES-6", "last resort, exhausted, or nothing fits";

    /// If a reserver is at its `limit`: `TooManyReservations`.
    ///
    /// - Counted are the one-time packages of this pool that the reserver took by reservation or claim, that are live
    ///   or used, and whose `expires_at` has not come.
    /// - A released package no longer counts.
    /// - A limit without a reserver is ignored.
    ///
    /// Without such a limit, anybody drains a pool by holding, spending or claiming its packages.
    RES_7 = "RES-7", "a limit for one reserver";

    /// While a free package fits, contention yields neither `PoolExhausted` nor a last-resort package. The loser of a
    /// race takes the next package.
    ///
    /// Waiting ends in a transient failure at the store's time-out, never sooner.
    RES_8 = "RES-8", "contention is never exhaustion";

    /// When a lease lapses, [`OnLapse`](crate::server::OnLapse) decides:
    ///
    /// - `Return`: the package goes back to its place.
    /// - `Retire`: the package is spent. This is for callers who hold that disclosing is spending.
    RES_9 = "RES-9", "at a lapse: return or retire";

    /// A request is judged in this order:
    ///
    /// 1. the binding of the id: [RES-5](super::RES_5)
    /// 2. the reserver's limit: [RES-7](super::RES_7)
    /// 3. the package that is named ([RES-3](super::RES_3)), or the oldest that fits ([RES-2](super::RES_2))
    /// 4. last resort, then exhausted or nothing fits: [RES-6](super::RES_6)
    RES_10 = "RES-10", "the order of judgement";
}

rules! {
    /// Claiming: how [`claim_key_packages`](crate::server::KeyPackageStore::claim_key_packages) hands a package out for
    /// good.
    CLAIM;

    /// A claim reserves and spends in one step. The claim's party is both reserver and spender. The claim's `now` is
    /// the time spent. In all else the rules of reserving hold.
    ///
    /// - The same claim again (id, party, group, and nothing asked for that [RES-5](super::RES_5) calls a conflict)
    ///   before its `expires_at` returns the same package, bytes included, and changes nothing. The time until `expires_at` ([RES-4](super::RES_4)) is the *replay window*.
    /// - The same claim after its window, while the id is bound: `AlreadySpent`.
    /// - The same id with another party or group, while the id is bound to the used package: `AlreadySpent`.
    /// - If the id is live from a reservation, the claim spends that reservation. `expires_at` then comes from the
    ///   claim's own `now` and ttl.
    CLAIM_1 = "CLAIM-1", "reserve and spend in one step, replayable";
}
