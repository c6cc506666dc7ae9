use crate::Timestamp;
use crate::client::JoinMark;

/// Says where one of a client's own packages stands. A [`PoolMetadataStore`](crate::client::PoolMetadataStore) keeps
/// the lifecycle in the package's row.
///
/// A one-time package usually goes this way; [`may_become`](Self::may_become) has the whole table
/// ([META-2](crate::contract::META_2)):
///
/// ```text
/// Created --> Available --> Reserved --> Joining --> Spent
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Lifecycle {
    /// Generated, and not known to be on the server. If the answer to the upload was lost, the package may be there.
    Created,
    /// On the server, as far as the client knows.
    Available,
    /// Handed out, as the server said. A Welcome may be under way, so the key is kept.
    Reserved,
    /// A join is under way, or died. A second copy of the key is kept ([POOL-6](crate::contract::POOL_6)).
    Joining {
        /// Whose join it is, and for how long ([POOL-7](crate::contract::POOL_7)). `None`: a row of an older table.
        mark: Option<JoinMark>,
    },
    /// No longer to be handed out: a last resort that was replaced, a package of an old credential, or one that was on
    /// the server, or may have been, and is refused now. The key is kept for a grace period
    /// ([POOL-5](crate::contract::POOL_5), [POOL-9](crate::contract::POOL_9)).
    Superseded {
        /// When the key may go.
        delete_at: Timestamp,
    },
    /// Used: a Welcome was processed with the package. The row stays for a while without a key
    /// ([POOL-11](crate::contract::POOL_11)).
    Spent,
    /// Past the package's `not_after`.
    Expired,
    /// Refused, and certainly never on the server ([POOL-9](crate::contract::POOL_9)): nobody can have the package.
    Failed,
}

impl Lifecycle {
    /// Names the lifecycle, without its data. A name never changes once released.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Available => "available",
            Self::Reserved => "reserved",
            Self::Joining { .. } => "joining",
            Self::Superseded { .. } => "superseded",
            Self::Spent => "spent",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    /// Returns when the key of a superseded package may go.
    #[must_use]
    pub const fn delete_at(self) -> Option<Timestamp> {
        match self {
            Self::Superseded { delete_at } => Some(delete_at),
            _ => None,
        }
    }

    /// Returns the mark of a join.
    #[must_use]
    pub const fn mark(self) -> Option<JoinMark> {
        match self {
            Self::Joining { mark } => mark,
            _ => None,
        }
    }

    /// Returns the lifecycle of this [`name`](Self::name), [`delete_at`](Self::delete_at) and [`mark`](Self::mark), so
    /// that a store reads back what the store wrote. `None` for an unknown name, for a `delete_at` that is missing or
    /// out of place, and for a mark out of place.
    #[must_use]
    pub fn from_parts(name: &str, delete_at: Option<Timestamp>, mark: Option<JoinMark>) -> Option<Self> {
        let lifecycle = match name {
            "created" => Self::Created,
            "available" => Self::Available,
            "reserved" => Self::Reserved,
            "joining" => Self::Joining { mark },
            "superseded" => Self::Superseded { delete_at: delete_at? },
            "spent" => Self::Spent,
            "expired" => Self::Expired,
            "failed" => Self::Failed,
            _ => return None,
        };
        (lifecycle.delete_at() == delete_at && lifecycle.mark() == mark).then_some(lifecycle)
    }

    /// Returns whether the transition table has the step to `to` ([META-2](crate::contract::META_2)).
    ///
    /// - `Created` and `Available` go both ways: a server that lost a package gets the same package again
    ///   ([POOL-3](crate::contract::POOL_3)).
    /// - `Created` may be used without ever having been `Available`: the answer to its upload was lost.
    /// - `Reserved` returns to `Available` when the server took the package back. `Joining` returns to the state before
    ///   when the join failed ([POOL-6](crate::contract::POOL_6)).
    /// - A join may be marked anew: its holder needs longer, or another holder takes over.
    /// - A superseded package may still be joined with, and its grace period may be set anew.
    /// - `Spent`, `Expired` and `Failed` are final. The row of the latter two is deleted next.
    /// - The same state again is no change.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        use Lifecycle::{Available, Created, Expired, Failed, Joining, Reserved, Spent, Superseded};
        if self == to {
            return true;
        }
        match self {
            Created => true,
            Available => to != Failed,
            Reserved | Joining { .. } => matches!(
                to,
                Available | Reserved | Joining { .. } | Superseded { .. } | Spent | Expired
            ),
            Superseded { .. } => matches!(to, Joining { .. } | Superseded { .. } | Spent | Expired),
            Spent | Expired | Failed => false,
        }
    }

    /// Returns whether the lifecycle is final: the key is of no more use.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Spent | Self::Expired | Self::Failed)
    }
}
