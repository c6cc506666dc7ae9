use crate::Timestamp;
use crate::client::MetadataRejection;

/// Where one of a client's own packages stands: what [`PoolMetadataStore`](crate::client::PoolMetadataStore) keeps of it.
///
/// ```text
/// Created --> Available --> Reserved --> Joining --> Spent
/// ```
///
/// is how a one-time package usually goes; [`may_become`](Self::may_become) is the whole table (`META-2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Lifecycle {
    /// Generated, and not known to be on the server: it may be, when the answer to the upload was lost.
    Created,
    /// On the server, as far as is known.
    Available,
    /// Handed out by the server, which said so: a Welcome may be under way, so the key is kept.
    Reserved,
    /// A join is under way, or died: a second copy of the key is kept (`POOL-6`).
    Joining,
    /// No longer to be handed out (a last resort that was replaced, a package of an old credential); its key is kept for
    /// a grace period (`POOL-5`).
    Superseded {
        /// When the key may go.
        delete_at: Timestamp,
    },
    /// A Welcome was processed with it.
    Spent,
    /// Past its `not_after`.
    Expired,
    /// The server will not take it.
    Failed,
}

impl Lifecycle {
    /// A stable name of it, without its data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Available => "available",
            Self::Reserved => "reserved",
            Self::Joining => "joining",
            Self::Superseded { .. } => "superseded",
            Self::Spent => "spent",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    /// When the key of a superseded package may go.
    #[must_use]
    pub const fn delete_at(self) -> Option<Timestamp> {
        match self {
            Self::Superseded { delete_at } => Some(delete_at),
            _ => None,
        }
    }

    /// The one of this [`name`](Self::name) and [`delete_at`](Self::delete_at): how a store reads back what it wrote.
    /// `None` for a name that there is not, and for a `delete_at` that is missing or out of place.
    #[must_use]
    pub fn from_parts(name: &str, delete_at: Option<Timestamp>) -> Option<Self> {
        let lifecycle = match name {
            "created" => Self::Created,
            "available" => Self::Available,
            "reserved" => Self::Reserved,
            "joining" => Self::Joining,
            "superseded" => Self::Superseded { delete_at: delete_at? },
            "spent" => Self::Spent,
            "expired" => Self::Expired,
            "failed" => Self::Failed,
            _ => return None,
        };
        (lifecycle.delete_at() == delete_at).then_some(lifecycle)
    }

    /// The transition table (`META-2`).
    ///
    /// - `Created` and `Available` go both ways: a server that lost a package gets the same one again (`POOL-3`).
    /// - `Created` may be used without ever having been `Available`: the answer to its upload was lost.
    /// - `Reserved` returns to `Available` when the server took it back, and `Joining` to where it came from when the join
    ///   failed (`POOL-6`).
    /// - A superseded package may still be joined with; its grace period may be set anew.
    /// - `Spent`, `Expired` and `Failed` are final: what follows is deletion.
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
            Reserved | Joining => matches!(to, Available | Reserved | Joining | Superseded { .. } | Spent | Expired),
            Superseded { .. } => matches!(to, Joining | Superseded { .. } | Spent | Expired),
            Spent | Expired | Failed => false,
        }
    }

    /// Whether it is final: the key is of no more use.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Spent | Self::Expired | Self::Failed)
    }

    /// The step to `to`, if the table has it.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::IllegalStep`].
    pub fn step(self, to: Self) -> Result<Self, MetadataRejection> {
        if self.may_become(to) {
            Ok(to)
        } else {
            Err(MetadataRejection::IllegalStep { from: self, to })
        }
    }
}
