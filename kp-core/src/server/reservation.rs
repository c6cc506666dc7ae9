use crate::server::ReservationToken;
use crate::{KeyPackage, Timestamp};

/// Answers a reservation: a KeyPackage handed out on loan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reservation {
    /// The KeyPackage, bytes included.
    pub package: KeyPackage,
    /// The lease. `None` for a last-resort package, which is shared: there is nothing to spend and nothing to release.
    pub lease: Option<Lease>,
}

impl Reservation {
    /// Joins a KeyPackage and its lease; a last-resort package has none.
    pub const fn new(package: KeyPackage, lease: Option<Lease>) -> Self {
        Self { package, lease }
    }
}

/// Grants the right to spend one one-time package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The token that spends or releases the KeyPackage: a bearer secret.
    pub token: ReservationToken,
    /// The first second at which the lease no longer holds ([RES-4](crate::contract::RES_4)).
    pub expires_at: Timestamp,
}

impl Lease {
    /// Joins a token and the end of its lease.
    #[must_use]
    pub const fn new(token: ReservationToken, expires_at: Timestamp) -> Self {
        Self { token, expires_at }
    }
}

impl AsRef<ReservationToken> for Lease {
    fn as_ref(&self) -> &ReservationToken {
        &self.token
    }
}
