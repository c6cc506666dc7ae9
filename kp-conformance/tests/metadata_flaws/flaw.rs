/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    /// The row that is there is replaced, without a word.
    CreatesAgain,
    /// A batch that is refused leaves the rows before the one that was.
    CreatesHalf,
    /// The rows of a batch are compared with those stored, and not with each other.
    OverlooksTwins,
    /// Whatever the state given, the row begins its life.
    CreatesAnew,
    /// A later offer takes the place of the first.
    OffersAnew,
    /// An offer of a package without a row is passed over.
    OffersUnknown,
    /// A step to `Created` begins a new life: as if the package had never been offered.
    StepsForgetOffers,
    /// A join is not marked.
    LosesMarks,
    /// The first mark of a join is the one that stays.
    KeepsMarks,
    /// Whoever takes a join over is taken for the holder before.
    KeepsHolders,
    /// A join without a mark is marked, as ended.
    MakesUpMarks,
    /// When a package begins to be valid is not written.
    LosesBegins,
    /// A package of which nobody said when it begins to be valid is valid since it was made.
    MakesUpBegins,
    /// A batch that is refused leaves the steps before the one that was.
    StepsHalf,
    /// Each step of a batch is judged by what was stored before it.
    StepsAside,
    /// Any step will do.
    HasNoTable,
    /// An unknown package is passed over.
    PassesOver,
    /// The times are not written.
    KeepsNoTimes,
    /// Reads, lets others in, and writes what it read back.
    LetsOthersIn,
    /// Each kind of change is a step of its own.
    ChangesApart,
    /// The record is written, whatever becomes of the rows.
    RecordsApart,
    /// What a record lacks stays as it was.
    MergesRecords,
    /// What this release does not know of a record is lost.
    KeepsKnownNumbers,
    /// Whoever asks is granted the lease.
    GrantsAll,
    /// A lease has no end but its release.
    NeverEnds,
    /// A lease holds through the second that it ends at.
    EndsLate,
    /// A clock that was set back is not noticed.
    TrustsClocks,
    /// A lease is not renewed.
    RefusesRenewals,
    /// A renewal leaves the lease's end where it was.
    KeepsEnds,
    /// Each grant raises the fence.
    RaisesAlways,
    /// No grant raises the fence.
    RaisesNever,
    /// Whoever asks releases the lease.
    ReleasesAll,
    /// A release forgets the fence.
    ReleasesForgetfully,
    /// All names are one lease.
    HasOneLease,
    /// No fence is looked at.
    LetsAllWrite,
    /// A fence of the future is let in.
    LetsNewerWrite,
    /// The fence is looked at last.
    FencesLast,
    /// A fence is let in only while its lease has not been released.
    FencesReleased,
    /// The fence is looked at for steps alone.
    FencesSteps,
    /// Looks at the fence, lets others in, and writes.
    FencesBefore,
    /// Looks at a lease, lets others in, and grants it.
    GrantsTwice,
    /// By ref alone.
    ListsByRef,
    /// What is not there is counted as deleted.
    CountsRefs,
    /// What is not there cannot be deleted.
    MissesRows,
    /// Every handle has rows of its own.
    KeepsToItself,
    /// The last handle takes the rows with it.
    Forgets,
    /// The last handle takes the leases with it.
    ForgetsLeases,
}
