use crate::client::{LeaseHolder, MetadataRejection};
use crate::{Timestamp, Ttl};

/// Names a lease on a client's storage, such as [`LeaseName::ROUND`]. A pool has few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseName(&'static str);

impl LeaseName {
    /// The most letters of a name.
    pub const MAX_LEN: usize = 16;

    /// Held for a whole round of the pool ([POOL-7](crate::contract::POOL_7)).
    pub const ROUND: Self = Self("round");

    /// Held from reading rows and keys until the change that follows from them is written.
    pub const LEDGER: Self = Self("ledger");

    /// Makes a name of 1 to 16 lowercase ASCII letters; `None` for any other.
    #[must_use]
    pub const fn new(name: &'static str) -> Option<Self> {
        let bytes = name.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if !bytes[at].is_ascii_lowercase() {
                return None;
            }
            at += 1;
        }
        if at == 0 || at > Self::MAX_LEN {
            return None;
        }
        Some(Self(name))
    }

    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Proves a grant of a lease. A write that carries a fence is refused once another holder was granted the lease
/// ([META-5](crate::contract::META_5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Fence {
    /// The lease.
    pub lease: LeaseName,
    /// Counts the holders of the lease, from 1: each grant to another holder raises the number.
    pub number: u64,
}

impl Fence {
    /// Joins a lease and the number of its holder.
    #[must_use]
    pub const fn new(lease: LeaseName, number: u64) -> Self {
        Self { lease, number }
    }
}

/// Remembers a lease on a client's storage: what a store keeps under a [`LeaseName`]
/// ([META-5](crate::contract::META_5)). It is kept also when the lease has ended, so that no fence is given out twice.
///
/// The type is not `non_exhaustive`: a store has to notice a new field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StorageLease {
    /// Who holds the lease, or held it last.
    pub holder: LeaseHolder,
    /// The number of the holder's [`Fence`].
    pub fence: u64,
    /// When the lease was granted or renewed.
    pub since: Timestamp,
    /// When the lease ends. A lease that was released ends when it began.
    pub until: Timestamp,
}

impl StorageLease {
    /// Decides a request for a lease, and returns the lease to store. `stored` is what the store has under the name.
    ///
    /// The end of a lease lies one ttl after its `since`. So an end that lies more than the ttl ahead of `now` is a
    /// `now` before the `since`: the clock was set back, and the lease does not hold.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::Held`]: another holder has the lease.
    pub fn grant(
        stored: Option<&Self>,
        holder: LeaseHolder,
        ttl: Ttl,
        now: Timestamp,
    ) -> Result<Self, MetadataRejection> {
        let fence = match stored {
            None => 1,
            Some(own) if own.holder == holder => own.fence,
            Some(other) if other.since <= now && now < other.until => {
                return Err(MetadataRejection::Held { until: other.until });
            }
            Some(other) => other.fence.saturating_add(1),
        };
        Ok(Self {
            holder,
            fence,
            since: now,
            until: now.after(ttl),
        })
    }

    /// Returns the lease after its release by `holder`, as a store writes it; `None` when there is nothing to release.
    #[must_use]
    pub fn release(&self, holder: LeaseHolder) -> Option<Self> {
        (self.holder == holder && self.since < self.until).then_some(Self {
            until: self.since,
            ..*self
        })
    }

    /// Decides whether a write with this fence is let in. `stored` is what the store has under the fence's name.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::Fenced`] unless the number is the current one.
    pub fn admit(stored: Option<&Self>, fence: Fence) -> Result<(), MetadataRejection> {
        match stored {
            Some(lease) if lease.fence == fence.number => Ok(()),
            _ => Err(MetadataRejection::Fenced),
        }
    }
}
