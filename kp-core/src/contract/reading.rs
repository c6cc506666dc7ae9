use super::rule::{Rule, rules};

rules! {
    /// Reading: what reads and listings show.
    READ;

    /// Reads change nothing, ever.
    READ_1 = "READ-1", "reads change nothing";

    /// `list_available` shows the one-time packages that reserve could hand out now, in the order in which reserve
    /// hands packages out, without bytes, in pages. A package that is available throughout the listing is shown exactly
    /// once.
    READ_2 = "READ-2", "list_available is what reserve could hand out";

    /// `count_by_status` counts by ciphersuite, in one snapshot. Each record counts as the first that applies, so the
    /// counts add up:
    ///
    /// 1. expired
    /// 2. spent
    /// 3. last resort (used or not)
    /// 4. reserved
    /// 5. not yet valid
    /// 6. available
    ///
    /// Beside them stand:
    ///
    /// - of the reserved, how many are recalled;
    /// - of the spent, how many were last-resort packages;
    /// - `room`: how many one-time packages the pool's memory still takes ([SAVE-6](super::SAVE_6)), exact at the read.
    ///
    /// A pool that holds nothing has no entries, and all its room.
    READ_3 = "READ-3", "counts add up";

    /// `get_statuses` says what became of some refs, and `get_key_package` shows one record. So a client learns which
    /// of its packages were used. A ref that was never seen, or was swept, has no record.
    ///
    /// `get_key_package` shows the bytes of:
    ///
    /// - a free or reserved package,
    /// - a last-resort package in its slot,
    /// - an expired package that was never spent or replaced.
    READ_4 = "READ-4", "what became of a ref";

    /// `list_pools` lists every pool that holds anything, in pages, in no order. A pool that is there throughout the
    /// listing is shown exactly once. With it, an operator finds pools whose client is gone.
    READ_5 = "READ-5", "operators can list the pools";
}
