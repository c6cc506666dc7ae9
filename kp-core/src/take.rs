use crate::{Ciphersuite, KeyPackage, KeyPackageRef, Party, PoolId, ReservationId, ReservationToken, Timestamp, Ttl};

/// A request for one package of one pool: what
/// [`reserve_key_packages`](crate::KeyPackageStore::reserve_key_packages) and
/// [`claim_key_packages`](crate::KeyPackageStore::claim_key_packages) take.
///
/// ```
/// use kp_core::{Ciphersuite, PoolId, ReservationId, TakeRequest, Ttl};
///
/// let minute = Ttl::seconds(60).ok_or("a ttl is at least one second")?;
/// let take = TakeRequest::new(PoolId::try_from("bob/phone")?, ReservationId::from_bytes([7; 16]), minute)
///     .suites([Ciphersuite(0x0001)])
///     .remaining(3_600);
/// assert_eq!(take.suites.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TakeRequest {
    /// Whose package.
    pub pool: PoolId,
    /// The retry key: the same id is answered with the same package (`RES-5`, `CLAIM-1`).
    pub id: ReservationId,
    /// How long the lease, or the claim's replay window, lasts; never past the package's `not_after` (`RES-4`).
    pub ttl: Ttl,
    /// The ciphersuites accepted; an order means nothing, and none given means any (`RES-3`).
    pub suites: Vec<Ciphersuite>,
    /// How many seconds of its lifetime the package must have left at least (`RES-3`).
    pub remaining: u32,
    /// The one package wanted, and no other.
    pub only: Option<KeyPackageRef>,
    /// Whether a last-resort package will do (`RES-6`).
    pub last_resort: LastResort,
    /// Who asks.
    pub by: Option<Party>,
    /// How many live or used packages of this pool `by` may have (`RES-7`); ignored without `by`.
    pub limit: Option<u32>,
}

impl TakeRequest {
    /// The oldest package that is valid, of any ciphersuite, for nobody in particular; last resort when none is left.
    #[must_use]
    pub fn new(pool: PoolId, id: ReservationId, ttl: Ttl) -> Self {
        Self {
            pool,
            id,
            ttl,
            suites: Vec::new(),
            remaining: 0,
            only: None,
            last_resort: LastResort::default(),
            by: None,
            limit: None,
        }
    }

    /// Sets the ciphersuites accepted.
    #[must_use]
    pub fn suites(self, suites: impl IntoIterator<Item = Ciphersuite>) -> Self {
        Self {
            suites: suites.into_iter().collect(),
            ..self
        }
    }

    /// Sets how many seconds of its lifetime the package must have left at least.
    #[must_use]
    pub fn remaining(self, seconds: u32) -> Self {
        Self {
            remaining: seconds,
            ..self
        }
    }

    /// Asks for this package and no other.
    #[must_use]
    pub fn only(self, key_package_ref: KeyPackageRef) -> Self {
        Self {
            only: Some(key_package_ref),
            ..self
        }
    }

    /// Sets whether a last-resort package will do.
    #[must_use]
    pub fn last_resort(self, last_resort: LastResort) -> Self {
        Self { last_resort, ..self }
    }

    /// Sets who asks.
    #[must_use]
    pub fn by(self, party: Party) -> Self {
        Self {
            by: Some(party),
            ..self
        }
    }

    /// Sets how many live or used packages of this pool the asking party may have.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }
}

/// Whether a last-resort package will do (`RES-6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LastResort {
    /// No.
    Never,
    /// When no one-time package fits.
    #[default]
    Fallback,
    /// Nothing else will.
    Only,
}

/// What becomes of a package whose lease runs out (`RES-9`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnLapse {
    /// Back to its place in the queue.
    #[default]
    Return,
    /// Spent: for those who hold that a package once disclosed is a package used.
    Retire,
}

/// A package handed out on loan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The package, bytes included.
    pub package: KeyPackage,
    /// The lease; `None` for a last-resort package, which is shared: there is nothing to spend and nothing to release.
    pub lease: Option<Lease>,
}

/// The right to spend one one-time package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What to spend or release it with: a bearer secret.
    pub token: ReservationToken,
    /// The first second at which it no longer holds: `min(now + ttl, not_after)` (`RES-4`).
    pub expires_at: Timestamp,
}
