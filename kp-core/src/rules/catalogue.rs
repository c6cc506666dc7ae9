/// A rule, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its id, as the docs, the checks and the SQL cite it.
    pub id: &'static str,
    /// What it is about, in a few words; the whole of it stands in the docs of the trait that has to obey.
    pub about: &'static str,
}

const fn rule(id: &'static str, about: &'static str) -> Rule {
    Rule { id, about }
}

/// Every rule of a store, in the order of its contract.
///
/// A rule that is missing from the docs of [`KeyPackageStore`](crate::server::KeyPackageStore), or that no check of the
/// conformance suite names, fails a test.
pub const CATALOGUE: &[Rule] = &[
    rule("TIME-1", "bounds of timestamps, ttls and lifetimes"),
    rule("TIME-2", "a changing call settles its pool first"),
    rule("TIME-3", "time may step back, and differ between nodes"),
    rule("LIN-1", "every call is one atomic step on its pool"),
    rule("COST-1", "nothing scans all packages or all pools"),
    rule("SAVE-1", "all accepted items become visible at once"),
    rule("SAVE-2", "the same package again is stored once"),
    rule("SAVE-3", "a spent ref is remembered, and never handed out again"),
    rule("SAVE-4", "expired packages are refused, future ones wait"),
    rule("SAVE-5", "same ref, other package: a conflict"),
    rule("SAVE-6", "caps of a ciphersuite, of records and of slots"),
    rule("SAVE-7", "the order of judgement"),
    rule("SAVE-8", "replace withdraws the others in the same step"),
    rule("RES-1", "one live reservation for one package"),
    rule("RES-2", "the oldest saved first"),
    rule("RES-3", "only what is valid and as asked"),
    rule("RES-4", "a lease ends at not_after at the latest"),
    rule("RES-5", "an id is bound to the package it was answered with"),
    rule("RES-6", "last resort, exhausted, or nothing fits"),
    rule("RES-7", "a limit for one reserver"),
    rule("RES-8", "contention is never exhaustion"),
    rule("RES-9", "at a lapse: return or retire"),
    rule("RES-10", "the order of judgement"),
    rule("CLAIM-1", "reserve and spend in one step, replayable"),
    rule("SPEND-1", "exactly once, before the Welcome goes out"),
    rule("SPEND-2", "fenced by the reservation id"),
    rule("SPEND-3", "the same spend gets the same receipt"),
    rule("SPEND-4", "what the record of a spent package keeps"),
    rule("REL-1", "release puts a package back in its place"),
    rule("REL-2", "a release that comes too late changes nothing"),
    rule("REL-3", "release against spend: one wins"),
    rule("LAST-1", "one slot a ciphersuite, replaced in one step"),
    rule("LAST-2", "never available, never used up, never expired"),
    rule("LAST-3", "the role of a package is a fact"),
    rule("LAST-4", "its owner sees that it was used"),
    rule("READ-1", "reads change nothing"),
    rule("READ-2", "list_available is what reserve could hand out"),
    rule("READ-3", "counts add up"),
    rule("READ-4", "what became of a ref"),
    rule("READ-5", "operators can list the pools"),
    rule("SWEEP-1", "what is past not_after is forgotten"),
    rule("SWEEP-2", "leases that ended are settled"),
    rule("SWEEP-3", "sweeps run beside live traffic"),
    rule("DEL-1", "a pool goes at once, memory included"),
    rule("DEL-2", "retire what a restored backup may have lost track of"),
    rule("DEL-3", "an owner withdraws; live leases are recalled"),
    rule("ERR-1", "a failure says whether it was applied"),
    rule("ERR-2", "a dropped future leaves the store usable"),
    rule("ERR-3", "a refusal is not a failure"),
    rule("ERR-4", "no secrets in Debug, Display or logs"),
    rule("ERR-5", "no answer before it is durable"),
    rule("PRIV-1", "reserver, spender and group are optional and opaque"),
];

/// Every rule of a client's [`PoolMetadataStore`](crate::client::PoolMetadataStore): held to its docs and its conformance suite
/// like those above.
pub const CLIENT_CATALOGUE: &[Rule] = &[
    rule("META-1", "a row is stored as given, once"),
    rule("META-2", "steps follow the table, a batch is one step"),
    rule("META-3", "reads see what was answered, deletion is idempotent"),
    rule("META-4", "no key material, and 100 to 150 bytes a package"),
];
