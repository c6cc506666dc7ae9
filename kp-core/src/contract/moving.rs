use super::rule::{Rule, rules};

rules! {
    /// Moving: how a pool goes from one store to another. Stores offer it that are [`MovePools`](crate::moving::MovePools).
    MOVE;

    /// An export holds all that a store remembers of a pool, in one snapshot: every record in the order of the pool's sequence,
    /// its state with bindings, leases, windows and marks, its bytes, support and fingerprint. Imported, every call of the pool
    /// is answered as without the move; only a cursor of a listing is not: begin the listing anew.
    ///
    /// What no call depends on stays behind: the numbers of the sequence, of which only the order matters, and of spent records
    /// the place and the time of the save.
    MOVE_1 = "MOVE-1", "a pool moves whole";

    /// An import is one atomic step. A pool that holds any record, even one past its `not_after`, is refused
    /// (`PoolNotEmpty`), and nothing changes. An import settles nothing, and asks for no limit of [`SAVE-6`](super::SAVE_6):
    /// all that one store holds, another takes over. An export that holds nothing changes nothing.
    MOVE_2 = "MOVE-2", "an import fills an empty pool in one step";

    /// An export has one form as bytes, with a version and a checksum. Bytes that are cut off, changed, or of a newer version
    /// are refused, each with its reason, and nothing of them is stored. Pools that answer alike have the same bytes, whatever
    /// the backend.
    MOVE_3 = "MOVE-3", "an export that is damaged or newer is refused";
}
