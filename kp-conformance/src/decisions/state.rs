use std::fmt;

use kp_core::Cause;

use super::Seen;

listed! {
    /// A row of the table: the states that most calls do not tell apart.
    enum Row;
    /// Available.
    A: "A";
    /// Not yet valid.
    N: "N";
    /// Reserved, live, by this id.
    R: "R";
    /// Reserved, live, by another id.
    OtherR: "R'";
    /// Live by this id, and recalled: withdrawn or retired meanwhile.
    C: "C";
    /// Live by another id, and recalled.
    OtherC: "C'";
    /// Lapsed, to return; not settled yet.
    Lr: "Lr";
    /// Lapsed, not to return; not settled yet.
    Lx: "Lx";
    /// Used by this id.
    U: "U";
    /// Used by another id.
    OtherU: "U'";
    /// Retired or withdrawn.
    X: "X";
    /// Past `not_after`, and not swept yet, whatever it was.
    E: "E";
    /// Absent.
    Absent: "0";
    /// Last resort, in its slot.
    S: "S";
    /// Last resort, replaced or withdrawn.
    O: "O";
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

listed! {
    /// Where a package can stand, as far as any later answer depends on it, seen by one reservation id.
    enum State -> Row;
    /// Can be handed out.
    Available: A, "available";
    /// Free, before its time.
    NotYetValid: N, "not yet valid";
    /// Leased to this id.
    Reserved: R, "reserved";
    /// Leased to another id.
    OtherReserved: OtherR, "reserved";
    /// Leased to this id, and withdrawn meanwhile.
    WithdrawnWhileReserved: C, "withdrawn";
    /// Leased to this id, and retired meanwhile.
    RetiredWhileReserved: C, "retired";
    /// Leased to another id, and withdrawn meanwhile.
    OtherWithdrawnWhileReserved: OtherC, "withdrawn";
    /// Leased to another id, and retired meanwhile.
    OtherRetiredWhileReserved: OtherC, "retired";
    /// The lease has ended, and the package is to return.
    LapsedReturn: Lr, "to return";
    /// The lease has ended, and the package is to be retired, as its reserver asked.
    LapsedRetire: Lx, "to be retired";
    /// The lease has ended of a package that was withdrawn meanwhile.
    LapsedWithdrawn: Lx, "withdrawn";
    /// The lease has ended of a package that was retired meanwhile.
    LapsedRetired: Lx, "retired";
    /// Spent by the reservation of this id.
    Spent: U, "spent";
    /// Claimed by this id, in its window.
    Claimed: U, "claimed";
    /// Claimed by this id; the window has ended, and is not settled yet.
    ClaimedLapsed: U, "window ended";
    /// Claimed by this id; the window is settled.
    ClaimedEnded: U, "window settled";
    /// Spent by the reservation of another id.
    OtherSpent: OtherU, "spent";
    /// Claimed by another id, in its window.
    OtherClaimed: OtherU, "claimed";
    /// Claimed by another id; the window has ended, and is not settled yet.
    OtherClaimedLapsed: OtherU, "window ended";
    /// Claimed by another id; the window is settled.
    OtherClaimedEnded: OtherU, "window settled";
    /// Taken back by its owner.
    Withdrawn: X, "withdrawn";
    /// Spent by a lapse or a restored backup.
    Retired: X, "retired";
    /// Past its time, and free until then.
    ExpiredFree: E, "free";
    /// Past its time, and reserved until then; not settled yet.
    ExpiredReserved: E, "reserved";
    /// Past its time, and spent by this id before.
    ExpiredSpent: E, "spent by this id";
    /// Past its time, and spent by another id before.
    ExpiredOtherSpent: E, "spent by another";
    /// Past its time, and withdrawn before.
    ExpiredWithdrawn: E, "withdrawn";
    /// Past its time, in the last-resort slot.
    ExpiredLastResort: E, "last resort";
    /// Past its time, and replaced in the last-resort slot before.
    ExpiredReplaced: E, "replaced";
    /// Not there: what would come is a one-time package.
    Absent: Absent, "one-time";
    /// Not there: what would come is a one-time package before its time.
    AbsentNotYetValid: Absent, "one-time, not yet valid";
    /// Not there: what would come is a last resort.
    AbsentLastResort: Absent, "last resort";
    /// In the last-resort slot, never handed out.
    LastResort: S, "unused";
    /// In the last-resort slot, handed out before.
    LastResortUsed: S, "used";
    /// Another took the last-resort slot.
    Replaced: O, "replaced";
    /// A last resort, taken back by its owner.
    LastResortWithdrawn: O, "withdrawn";
}

impl State {
    /// What it becomes when its pool is settled (`TIME-2`).
    #[must_use]
    pub const fn settled(self) -> Self {
        match self {
            Self::LapsedReturn => Self::Available,
            Self::LapsedRetire | Self::LapsedRetired => Self::Retired,
            Self::LapsedWithdrawn => Self::Withdrawn,
            Self::ClaimedLapsed => Self::ClaimedEnded,
            Self::OtherClaimedLapsed => Self::OtherClaimedEnded,
            Self::ExpiredReserved => Self::ExpiredFree,
            settled => settled,
        }
    }

    /// What the same record is to a call with an earlier `now`, before any lease, window or lifetime had ended: nothing
    /// but a settlement ends these (`TIME-3`).
    #[must_use]
    pub const fn earlier(self) -> Self {
        match self {
            Self::LapsedReturn | Self::LapsedRetire | Self::ExpiredReserved => Self::Reserved,
            Self::LapsedWithdrawn => Self::WithdrawnWhileReserved,
            Self::LapsedRetired => Self::RetiredWhileReserved,
            Self::ClaimedLapsed => Self::Claimed,
            Self::OtherClaimedLapsed => Self::OtherClaimed,
            Self::ExpiredFree => Self::Available,
            Self::ExpiredSpent => Self::Spent,
            Self::ExpiredOtherSpent => Self::OtherSpent,
            Self::ExpiredWithdrawn => Self::Withdrawn,
            Self::ExpiredLastResort => Self::LastResort,
            Self::ExpiredReplaced => Self::Replaced,
            same => same,
        }
    }

    /// The same, seen by the other id.
    #[must_use]
    pub fn mirrored(self) -> Self {
        let pairs = [
            (Self::Reserved, Self::OtherReserved),
            (Self::WithdrawnWhileReserved, Self::OtherWithdrawnWhileReserved),
            (Self::RetiredWhileReserved, Self::OtherRetiredWhileReserved),
            (Self::Spent, Self::OtherSpent),
            (Self::Claimed, Self::OtherClaimed),
            (Self::ClaimedLapsed, Self::OtherClaimedLapsed),
            (Self::ClaimedEnded, Self::OtherClaimedEnded),
            (Self::ExpiredSpent, Self::ExpiredOtherSpent),
        ];
        let both_ways = pairs.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]);
        let mut mirrored = both_ways.filter(|(state, _)| *state == self);
        mirrored.next().map_or(self, |(_, other)| other)
    }

    /// What is left when its record is gone.
    #[must_use]
    pub const fn gone(self) -> Self {
        match self {
            Self::NotYetValid | Self::AbsentNotYetValid => Self::AbsentNotYetValid,
            _ if self.is_last_resort() => Self::AbsentLastResort,
            _ => Self::Absent,
        }
    }

    /// Whether the package is a last resort.
    #[must_use]
    pub const fn is_last_resort(self) -> bool {
        matches!(
            self,
            Self::AbsentLastResort | Self::ExpiredLastResort | Self::ExpiredReplaced
        ) || matches!(self.group(), Row::S | Row::O)
    }

    /// What the reads show (`READ-3`, `READ-4`).
    #[must_use]
    pub const fn seen(self) -> Seen {
        match self {
            Self::ExpiredFree | Self::ExpiredReserved | Self::ExpiredLastResort => Seen::Expired { bytes: true },
            Self::LapsedWithdrawn | Self::Withdrawn | Self::LastResortWithdrawn => Seen::Spent(Cause::Withdrawn),
            Self::LapsedRetire | Self::LapsedRetired | Self::Retired => Seen::Spent(Cause::Retired),
            Self::Replaced => Seen::Spent(Cause::Replaced),
            Self::LastResort => Seen::LastResort { used: false },
            Self::LastResortUsed => Seen::LastResort { used: true },
            _ => match self.group() {
                Row::N => Seen::NotYetValid,
                Row::R | Row::OtherR | Row::C | Row::OtherC => Seen::Reserved,
                Row::U | Row::OtherU => Seen::Spent(Cause::Used),
                Row::E => Seen::Expired { bytes: false },
                Row::Absent => Seen::Nothing,
                _ => Seen::Available,
            },
        }
    }
}
