use std::fmt;

use crate::{KeyPackageRef, PoolId, ReservationId, hex};

/// Says that a text is no [`ReservationToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reservation token: three hexadecimal parts with dots between, (pool, ref, id)")]
pub struct InvalidToken;

/// Spends or releases a reservation: (pool, ref, id).
///
/// A token is a bearer secret: whoever has the token can spend the package. `Debug` hides the id
/// ([ERR-4](crate::contract::ERR_4)). [`expose`](Self::expose) and [`parse`](Self::parse) are the form on the wire.
///
/// ```
/// use kp_core::server::ReservationToken;
/// use kp_core::{KeyPackageRef, PoolId, ReservationId};
///
/// let id = ReservationId::from_bytes([7; 16]);
/// let token = ReservationToken::new(PoolId::try_from("bob")?, KeyPackageRef::try_from("ref")?, id);
/// assert_eq!(ReservationToken::parse(&token.expose())?, token);
/// assert!(!format!("{token:?}").contains("07"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ReservationToken {
    /// The pool.
    pub pool: PoolId,
    /// The KeyPackage.
    pub key_package_ref: KeyPackageRef,
    id: ReservationId,
}

impl ReservationToken {
    /// Makes the token of the reservation `id` of this KeyPackage.
    #[must_use]
    pub const fn new(pool: PoolId, key_package_ref: KeyPackageRef, id: ReservationId) -> Self {
        Self {
            pool,
            key_package_ref,
            id,
        }
    }

    /// Returns the reservation's id: the secret part.
    #[must_use]
    pub const fn id(&self) -> ReservationId {
        self.id
    }

    /// Returns the form on the wire. Never log the text.
    #[must_use]
    pub fn expose(&self) -> String {
        let parts = [
            self.pool.as_bytes(),
            self.key_package_ref.as_bytes(),
            self.id.as_bytes(),
        ];
        parts.map(hex::encode).join(".")
    }

    /// Reads a token from its form on the wire.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let mut parts = text.split('.').map(hex::decode);
        let (Some(Some(pool)), Some(Some(key_package_ref)), Some(Some(id)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidToken);
        };
        Ok(Self {
            pool: pool.try_into().map_err(|_| InvalidToken)?,
            key_package_ref: key_package_ref.try_into().map_err(|_| InvalidToken)?,
            id: ReservationId::from_bytes(id.try_into().map_err(|_| InvalidToken)?),
        })
    }
}

impl AsRef<Self> for ReservationToken {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Debug for ReservationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReservationToken")
            .field("pool", &self.pool)
            .field("key_package_ref", &self.key_package_ref)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ReservationToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ReservationToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: std::borrow::Cow<'de, str> = serde::Deserialize::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
