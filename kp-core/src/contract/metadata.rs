use super::rule::{Rule, rules};

rules! {
    /// A client's metadata: what a [`PoolMetadataStore`](crate::client::PoolMetadataStore) keeps and answers.
    META;

    /// `create_pool_metadata` stores a row for each package: ref, ciphersuite, lifetime, `created_at`, role, credential
    /// hash, and where the package stands. A row is read back as it was given. A second creation of a row is refused.
    ///
    /// A row of an older table has no `not_before`. It is not made up.
    ///
    /// A row's `offered_at` is when the first upload that names the package began. The client writes it before that
    /// upload. It is set once: a later offer and a step leave it as it is.
    META_1 = "META-1", "a row is stored as given, once, and marked before its first upload";

    /// `update_pool_status` follows the transition table of [`Lifecycle`](crate::client::Lifecycle). An illegal step is
    /// refused and changes nothing.
    ///
    /// A step to `Joining` marks the row with the holder of the join and with its end, and a row has a mark only while
    /// it is `Joining`. Another step to `Joining` marks it anew: longer, or with another holder. No store judges whether
    /// a holder may: that is the client's.
    ///
    /// Calls take batches: creations, then offers, steps and deletions, each in order. A batch is one atomic step: all
    /// of it happens or nothing, also beside other calls.
    META_2 = "META-2", "steps follow the table, a batch is one step";

    /// - A read sees all that was answered before, and changes nothing.
    /// - Deleting a row that is not there is not an error.
    META_3 = "META-3", "reads see what was answered, deletion is idempotent";

    /// No field can hold key material. A package takes about 100 to 150 bytes.
    META_4 = "META-4", "no key material, and 100 to 150 bytes a package";

    /// A lease lets the processes that share a storage take turns. `lease` asks for it under a name, with a holder, a
    /// ttl and `now`.
    ///
    /// - It is granted when the lease is free, when it has ended (`now` has reached its end), and when it is the
    ///   holder's own: it then ends at `now` and the new ttl.
    /// - It is also granted when its end lies more than its own ttl ahead of `now`: the clock was set back, and the
    ///   lease would hold for longer than was asked. Else another holder is refused, and told until when.
    /// - The first holder of a name has the fence 1. A grant to another holder than the last one raises the fence by 1;
    ///   no other call changes it. A name has its own leases and fences.
    /// - `release_lease` ends the holder's own lease at once. Its fence stays the current one until another holder is
    ///   granted the lease.
    /// - A write may carry a fence. Unless it is the current one of its lease, the write is refused before anything else
    ///   is looked at, and changes nothing. The fence is compared in the same step with the write. The end of a lease
    ///   refuses no write: only a grant to another holder does.
    META_5 = "META-5", "one holder has a lease, and older fences are refused";

    /// A pool has one small record of numbers: the server's latest time and health, how long to wait, and a budget for
    /// each ciphersuite. It is empty at first, replaced as a whole, and read back as it was written.
    ///
    /// A write of the record and the changes of rows in the same call are one atomic step.
    META_6 = "META-6", "one record a pool, written with its rows";
}
