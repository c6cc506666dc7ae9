use super::rule::{Rule, rules};

rules! {
    /// Saving: what [`save_key_packages`](crate::server::KeyPackageStore::save_key_packages) stores, and what it
    /// refuses.
    SAVE;

    /// All accepted items of a batch become visible at once, or none does.
    SAVE_1 = "SAVE-1", "all accepted items become visible at once";

    /// A package that is saved again is stored once, and answered `AlreadyStored`. *Again* means later, at the same
    /// time, or twice in one batch.
    ///
    /// - An empty batch changes nothing.
    /// - A batch of more than 1,000 items cannot be made into a [`Save`](crate::server::Save).
    SAVE_2 = "SAVE-2", "the same package again is stored once";

    /// If a ref is spent, or recalled while reserved, the item is refused until the `not_after` of the record:
    /// `AlreadySpent`. A last-resort package that was replaced or withdrawn is spent too. A spent ref is never handed
    /// out again.
    SAVE_3 = "SAVE-3", "a spent ref is remembered, and never handed out again";

    /// - If `now >= not_after`: `Expired`.
    /// - If a one-time package is not yet valid, the package is stored, and not handed out before its `not_before`.
    SAVE_4 = "SAVE-4", "expired packages are refused, future ones wait";

    /// If a ref is stored with other bytes or other facts, the item is answered `RefConflict`, and what is stored
    /// stays. Facts are ciphersuite, lifetime, role and credential hash.
    ///
    /// Support ([RES-3](super::RES_3)) and fingerprint ([SAVE-9](super::SAVE_9)) are no facts, and are not compared. Where the
    /// record has none, the same package saved again adds them, and is `AlreadyStored`. What the record has stays.
    ///
    /// With [`SaveMode::Amend`](crate::server::SaveMode::Amend), a save does that and no more: a new item is `PoolFull`. So an
    /// operator adds to the records of an earlier release, and a pool that is deleted meanwhile stays deleted.
    ///
    /// The same ref in another pool is another package.
    SAVE_5 = "SAVE-5", "same ref, other package: a conflict";

    /// A new item is answered `PoolFull` in each of these cases:
    ///
    /// - The item is a one-time package, and its (pool, ciphersuite) holds `cap_per_ciphersuite` packages that are free
    ///   or reserved. Recalled packages do not count.
    /// - The item is a one-time package, and the pool remembers `max_records` one-time packages, in any state
    ///   ([`Limits`](crate::rules::Limits); default: 10,000).
    /// - The item is a last-resort package, and with it the pool would have more than 16 last-resort slots.
    /// - The item is a last-resort package, and the pool remembers `max_records` last-resort packages, in any state.
    ///
    /// So a memory full of one-time packages never keeps an owner from replacing the last resort. A backend may keep one
    /// count of all records: below `max_records` neither role is full, from there on it counts by role.
    ///
    /// A cap lower than what the pool holds removes nothing.
    SAVE_6 = "SAVE-6", "caps of a ciphersuite, of each role and of slots";

    /// Items are judged in order. Each item sees what the items before it have done. The outcome is the first that
    /// applies:
    ///
    /// 1. `Expired`
    /// 2. `AlreadySpent`
    /// 3. `RefConflict`
    /// 4. `AlreadyStored`
    /// 5. `InitKeyReused`
    /// 6. `NotYetValid` (last-resort packages only)
    /// 7. `PoolFull`
    /// 8. `Saved`
    ///
    /// If a record is past its own `not_after`, the record counts as absent, also for [SAVE-6](super::SAVE_6): the same
    /// ref starts anew. A refused item leaves no trace.
    SAVE_7 = "SAVE-7", "the order of judgement";

    /// With [`SaveMode::Replace`](crate::server::SaveMode::Replace), a save also withdraws the *other* packages, in the
    /// same step and as in [DEL-3](super::DEL_3). Reserved ones are recalled.
    ///
    /// - The other packages are the unspent one-time packages of the ciphersuites of the accepted one-time items,
    ///   without the packages whose ref is in the batch.
    /// - Accepted means `Saved` or `AlreadyStored`. `InitKeyReused` is not accepted, also where the other record with the init
    ///   key is of a package that this very save would withdraw.
    /// - The cap counts as if the other packages were gone. `max_records` counts the other packages still.
    /// - If nothing is accepted, nothing is withdrawn.
    SAVE_8 = "SAVE-8", "replace withdraws the others in the same step";

    /// A package has a *fingerprint* of its init key: the first 8 bytes of the key's SHA-256
    /// ([`InitKeyFingerprint`](crate::server::InitKeyFingerprint)). If another ref comes with the fingerprint of a record, the
    /// item is answered `InitKeyReused`: signed anew, a spent init key would come back under another ref (RFC 9420 §10).
    ///
    /// - The record is of this pool, and not past its own `not_after` at the save's `now`. State, role and ciphersuite do not
    ///   matter.
    /// - Only records count. A refused item leaves no fingerprint.
    /// - A package has no fingerprint where the admission makes none. None equals nothing.
    /// - The fingerprint is kept as long as its record, in every state, and shown by no read.
    /// - Two records may have one fingerprint: where `now` steps back ([TIME-3](super::TIME_3)), and where a record gains a
    ///   fingerprint that another has ([SAVE-5](super::SAVE_5)). So a look-up by fingerprint finds several.
    ///
    /// The outcome is final for the client, who makes a new package, with another init key.
    SAVE_9 = "SAVE-9", "an init key is in one package of a pool";
}
