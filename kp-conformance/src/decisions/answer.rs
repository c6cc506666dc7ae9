use std::fmt;

use kp_core::server::{SaveOutcome, WithdrawOutcome};
use kp_core::{Cause, Rejection};

/// What a call answers about the package P.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// P, on a lease made now.
    Lease,
    /// P, on the lease made before.
    SameLease,
    /// P for good: claimed now, or the same claim again.
    KeyPackage,
    /// P, which is a last resort.
    LastResort,
    /// The id is not bound to P, so that this is a new request, and it gets another package.
    NewRequest,
    /// Spent now.
    Receipt,
    /// Spent before, by the same spend.
    SameReceipt,
    /// The lease, longer than before.
    LongerLease,
    /// Given back.
    Released,
    /// What became of the package that was saved.
    Saved(SaveOutcome),
    /// What became of P; `None` where it is not among those withdrawn.
    WithdrawOutcome(Option<WithdrawOutcome>),
    /// How many of P were retired, ended or swept: 0 or 1.
    Count(u64),
    /// Nothing to say.
    Done,
    /// What a read shows of P.
    Seen(Seen),
    /// A refusal.
    Rejected(Rejection),
}

/// What the reads show of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// No record.
    Nothing,
    /// Available, with bytes.
    Available,
    /// Not yet valid, with bytes.
    NotYetValid,
    /// Reserved, with bytes.
    Reserved,
    /// Spent, without bytes.
    Spent(Cause),
    /// Expired.
    Expired {
        /// Whether the bytes are there.
        bytes: bool,
    },
    /// In the last-resort slot, with bytes.
    LastResort {
        /// Whether it is marked as used.
        used: bool,
    },
}

impl Answer {
    /// Whether nothing may have changed but what a settlement ended.
    #[must_use]
    pub const fn changes_nothing(self) -> bool {
        match self {
            Self::Rejected(_) | Self::Seen(_) => true,
            Self::Saved(outcome) => !matches!(outcome, SaveOutcome::Saved),
            Self::SameLease | Self::SameReceipt => true,
            _ => false,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease => f.write_str("ok"),
            Self::SameLease => f.write_str("the same lease"),
            Self::KeyPackage => f.write_str("package"),
            Self::LastResort => f.write_str("P, no lease"),
            Self::NewRequest => f.write_str("NR"),
            Self::Receipt => f.write_str("receipt"),
            Self::SameReceipt => f.write_str("the same receipt"),
            Self::LongerLease => f.write_str("ok, a later end"),
            Self::Released | Self::Done => f.write_str("ok"),
            Self::Saved(outcome) => write!(f, "`{outcome:?}`"),
            Self::WithdrawOutcome(Some(outcome)) => write!(f, "`{outcome:?}`"),
            Self::WithdrawOutcome(None) => f.write_str("not listed"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Seen(seen) => seen.fmt(f),
            Self::Rejected(Rejection::AlreadySpent) => f.write_str("AS"),
            Self::Rejected(Rejection::NoLiveReservation) => f.write_str("NLR"),
            Self::Rejected(rejection) => write!(f, "`{rejection:?}`"),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Available => f.write_str("available, bytes"),
            Self::NotYetValid => f.write_str("not yet valid, bytes"),
            Self::Reserved => f.write_str("reserved, bytes"),
            Self::Spent(cause) => write!(f, "spent ({})", format!("{cause:?}").to_lowercase()),
            Self::Expired { bytes: true } => f.write_str("expired, bytes"),
            Self::Expired { bytes: false } => f.write_str("expired"),
            Self::LastResort { used: false } => f.write_str("last resort, bytes"),
            Self::LastResort { used: true } => f.write_str("last resort, used, bytes"),
        }
    }
}
