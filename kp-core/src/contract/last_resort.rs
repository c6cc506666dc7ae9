use super::rule::{Rule, rules};

rules! {
    /// Last-resort packages: one slot for each (pool, ciphersuite), shared and never used up.
    LAST;

    /// A pool has one last-resort slot for each ciphersuite. Saving another last-resort package replaces the old
    /// package in one step: a reader sees the old package or the new one, never none.
    ///
    /// The old package is remembered as spent, also when it is past its `not_after`, and its bytes go. So a late retry
    /// cannot bring the old package back.
    LAST_1 = "LAST-1", "one slot a ciphersuite, replaced in one step";

    /// - A last-resort package is never counted as available, never used up, and never handed out expired.
    /// - If a last-resort package is not yet valid, a save refuses it (`NotYetValid`), and the slot stays as it is.
    LAST_2 = "LAST-2", "never available, never used up, never expired";

    /// A one-time package never becomes a last-resort package, nor the reverse. The role is a fact: the same ref in the
    /// other role is a conflict ([SAVE-5](super::SAVE_5)).
    LAST_3 = "LAST-3", "the role of a package is a fact";

    /// `used` is set when the last-resort package is handed out, and is shown to the owner. `used` is kept when the
    /// same package is saved again. A new package starts unused.
    LAST_4 = "LAST-4", "its owner sees that it was used";
}
