use crate::client::Lifecycle;
use crate::{Error, Timestamp};

/// Says why a [`PoolMetadataStore`](crate::client::PoolMetadataStore) refuses a call. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataRejection {
    /// The KeyPackage has a row already ([META-1](crate::contract::META_1)).
    #[error("the KeyPackage has a row already")]
    Exists,
    /// The KeyPackage has no row.
    #[error("no row of this KeyPackage")]
    NotFound,
    /// The transition table does not have the step ([META-2](crate::contract::META_2)).
    #[error("a KeyPackage cannot go from {} to {}", from.name(), to.name())]
    IllegalStep {
        /// Where the KeyPackage stands.
        from: Lifecycle,
        /// Where the KeyPackage was to go.
        to: Lifecycle,
    },
    /// Another holder has the lease ([META-5](crate::contract::META_5)).
    #[error("another holder has the lease until {}", until.get())]
    Held {
        /// When the lease ends, unless its holder renews or releases it.
        until: Timestamp,
    },
    /// The fence of a write is not the current one: another holder was granted the lease since. Read anew, under a new
    /// lease ([META-5](crate::contract::META_5)).
    #[error("another holder was granted the lease since")]
    Fenced,
}

impl MetadataRejection {
    /// Names the rejection, for protocols and logs. A name never changes once released.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::NotFound => "not_found",
            Self::IllegalStep { .. } => "illegal_step",
            Self::Held { .. } => "held",
            Self::Fenced => "fenced",
        }
    }
}

impl From<MetadataRejection> for Error<MetadataRejection> {
    fn from(rejection: MetadataRejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// Returns the answer of a [`PoolMetadataStore`](crate::client::PoolMetadataStore), or why there is none.
pub type MetadataResult<T> = Result<T, Error<MetadataRejection>>;

impl Lifecycle {
    /// Takes the step to `to`, if the transition table has the step.
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
