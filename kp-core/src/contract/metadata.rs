use super::rule::{Rule, rules};

rules! {
    /// A client's metadata: what a [`PoolMetadataStore`](crate::client::PoolMetadataStore) keeps and answers.
    META;

    /// `create_pool_metadata` stores a row for each package: ref, ciphersuite, `not_after`, `created_at`, role,
    /// credential hash, and where the package stands. A row is read back as it was given. A second creation of a row is
    /// refused.
    META_1 = "META-1", "a row is stored as given, once";

    /// `update_pool_status` follows the transition table of [`Lifecycle`](crate::client::Lifecycle). An illegal step is
    /// refused and changes nothing.
    ///
    /// Calls take batches. A batch is one atomic step: all of it happens or nothing, also beside other calls.
    META_2 = "META-2", "steps follow the table, a batch is one step";

    /// - A read sees all that was answered before, and changes nothing.
    /// - Deleting a row that is not there is not an error.
    META_3 = "META-3", "reads see what was answered, deletion is idempotent";

    /// No field can hold key material. A package takes about 100 to 150 bytes.
    META_4 = "META-4", "no key material, and 100 to 150 bytes a package";
}
