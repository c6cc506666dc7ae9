use super::rule::{Rule, rules};

rules! {
    /// Calls in a transaction of the server's own, beside the server's rows. SQL backends offer them, each in its own way.
    TX;

    /// Before a call does anything, it is refused unless the transaction is as the store needs it:
    ///
    /// - PostgreSQL: its isolation level is read committed, or read uncommitted, which is the same there (under an older
    ///   snapshot a spent package would look free), it is read-write, and its `synchronous_commit` is at least the store's.
    /// - SQLite: it is a write transaction, the store's file is its `main` database, and its `synchronous` is at least the
    ///   store's. `kp-sqlite` runs a closure in a transaction of the store, where all of this is given: it refuses the
    ///   statements by which the closure could change the transaction or the store's rows.
    TX_1 = "TX-1", "a transaction that is not as it must be is refused";

    /// The step of [`LIN-1`](super::LIN_1) is the server's commit, and all calls of one transaction are one step. If the
    /// transaction is rolled back, its calls never were, settling included.
    ///
    /// No answer, refusal or replay is told or acted on before the commit has succeeded. Who wants to tell a refusal
    /// commits.
    TX_2 = "TX-2", "the step is the server's commit";

    /// If a call fails or is dropped, nothing of it can be committed. A closure that fails, panics, or passes over a failed
    /// call is undone as a whole.
    TX_3 = "TX-3", "a half-done call cannot be committed";

    /// All pools of a transaction are named in one call, so that stores and transactions lock them in one order; where the
    /// store has one writer, nobody waits for a pool, and any order will do. No call
    /// goes to the store itself while the transaction is open: it would wait for the transaction, and the transaction for
    /// it.
    TX_4 = "TX-4", "all pools of a transaction in one call";
}
