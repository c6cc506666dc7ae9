use crate::server::Requirements;
use crate::{Ciphersuite, KeyPackageRef, Party, PoolId, ReservationId, Ttl};

/// Asks for one KeyPackage of one pool: the request of
/// [`reserve_key_packages`](crate::server::KeyPackageStore::reserve_key_packages) and
/// [`claim_key_packages`](crate::server::KeyPackageStore::claim_key_packages).
///
/// ```
/// use kp_core::server::{TakeOptions, TakeRequest};
/// use kp_core::{Ciphersuite, PoolId, ReservationId, Ttl};
///
/// let minute = Ttl::seconds(60).ok_or("a ttl is at least one second")?;
/// let options = TakeOptions::new().ciphersuites([Ciphersuite(0x0001)]).remaining(3_600);
/// let take = TakeRequest::new(PoolId::try_from("bob/phone")?, ReservationId::from_bytes([7; 16]), minute).options(options);
/// assert_eq!(take.options.ciphersuites.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TakeRequest {
    /// The pool that the KeyPackage is taken from.
    pub pool: PoolId,
    /// The retry key: the same id is answered with the same KeyPackage ([RES-5](crate::contract::RES_5),
    /// [CLAIM-1](crate::contract::CLAIM_1)).
    pub id: ReservationId,
    /// How long the lease, or the claim's replay window, lasts. Neither outlasts the KeyPackage's `not_after`
    /// ([RES-4](crate::contract::RES_4)).
    pub ttl: Ttl,
    /// Which KeyPackage will do, and who asks.
    pub options: TakeOptions,
    /// How many live or used KeyPackages of this pool [`TakeOptions::by`] may have ([RES-7](crate::contract::RES_7)).
    /// Ignored without `by`.
    pub limit: Option<u32>,
}

impl TakeRequest {
    /// Asks for the oldest valid KeyPackage, with the default [`TakeOptions`] and without a limit.
    #[must_use]
    pub fn new(pool: PoolId, id: ReservationId, ttl: Ttl) -> Self {
        Self {
            pool,
            id,
            ttl,
            options: TakeOptions::default(),
            limit: None,
        }
    }

    /// Sets which KeyPackage will do, and who asks.
    #[must_use]
    pub fn options(self, options: TakeOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets how many live or used KeyPackages of this pool the asking party may have. Default: no limit.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }
}

/// Says which KeyPackage will do, and who asks. Default: any ciphersuite, any lifetime left, nothing required of the owner,
/// nobody in particular, and the last resort when no one-time package fits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct TakeOptions {
    /// The ciphersuites accepted. The order means nothing; none given means any ([RES-3](crate::contract::RES_3)).
    pub ciphersuites: Vec<Ciphersuite>,
    /// How many seconds of its lifetime the KeyPackage must have left at least ([RES-3](crate::contract::RES_3)).
    pub remaining: u32,
    /// What the owner must support ([RES-3](crate::contract::RES_3)).
    pub requirements: Requirements,
    /// The one KeyPackage wanted, and no other.
    pub only: Option<KeyPackageRef>,
    /// Whether a last-resort package will do ([RES-6](crate::contract::RES_6)).
    pub last_resort: LastResort,
    /// The party that asks ([RES-5](crate::contract::RES_5), [RES-7](crate::contract::RES_7)).
    pub by: Option<Party>,
}

impl TakeOptions {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the ciphersuites accepted; their order means nothing. Default: any.
    #[must_use]
    pub fn ciphersuites(self, ciphersuites: impl IntoIterator<Item = Ciphersuite>) -> Self {
        Self {
            ciphersuites: ciphersuites.into_iter().collect(),
            ..self
        }
    }

    /// Sets how many seconds of its lifetime the KeyPackage must have left at least. Default: 0.
    #[must_use]
    pub fn remaining(self, seconds: u32) -> Self {
        Self {
            remaining: seconds,
            ..self
        }
    }

    /// Sets what the owner must support. Default: nothing.
    #[must_use]
    pub fn requirements(self, requirements: Requirements) -> Self {
        Self { requirements, ..self }
    }

    /// Asks for this KeyPackage and no other.
    #[must_use]
    pub fn only(self, key_package_ref: KeyPackageRef) -> Self {
        Self {
            only: Some(key_package_ref),
            ..self
        }
    }

    /// Sets whether a last-resort package will do. Default: [`LastResort::Fallback`].
    #[must_use]
    pub fn last_resort(self, last_resort: LastResort) -> Self {
        Self { last_resort, ..self }
    }

    /// Sets who asks: a limit for each requester counts by this party. Default: nobody in particular.
    #[must_use]
    pub fn by(self, party: Party) -> Self {
        Self {
            by: Some(party),
            ..self
        }
    }
}

/// Says whether a last-resort package will do ([RES-6](crate::contract::RES_6)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LastResort {
    /// Hands out one-time packages only.
    Never,
    /// Hands out a last-resort package when no one-time package fits.
    #[default]
    Fallback,
    /// Hands out a last-resort package only.
    Only,
}

/// Says what becomes of a package whose lease lapses ([RES-9](crate::contract::RES_9)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnLapse {
    /// Returns the package to its place in the queue.
    #[default]
    Return,
    /// Retires the package: for callers who hold that a package once disclosed is a package used.
    Retire,
}
