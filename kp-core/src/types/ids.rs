use std::fmt;
use std::sync::Arc;

use crate::types::id_bytes::IdBytes;

/// Says that bytes cannot be an id: empty, or longer than the kind of id allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {max} bytes long, not {found}")]
#[non_exhaustive]
pub struct InvalidId {
    /// The kind of id that was asked for.
    pub what: &'static str,
    /// How many bytes were given.
    pub found: usize,
    /// How many bytes the kind of id has at most.
    pub max: usize,
}

/// Declares an opaque id: some bytes, within bounds, compared bytewise.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident($bytes:ty), $what:literal, 1..=$max:literal, $debug:item) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($bytes);

        impl $name {
            /// The most bytes of an id.
            pub const MAX_LEN: usize = $max;

            /// Returns the bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidId;

            fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
                if bytes.is_empty() || bytes.len() > $max {
                    return Err(InvalidId { what: $what, found: bytes.len(), max: $max });
                }
                Ok(Self(bytes.into()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;

            fn try_from(text: &str) -> Result<Self, InvalidId> {
                text.as_bytes().try_into()
            }
        }

        impl TryFrom<Vec<u8>> for $name {
            type Error = InvalidId;

            fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidId> {
                bytes.as_slice().try_into()
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        $debug

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                crate::hex::serialize(&self.0, serializer)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = crate::hex::deserialize(deserializer)?;
                Self::try_from(bytes).map_err(serde::de::Error::custom)
            }
        }
    };
}

opaque_id! {
    /// Names the pool of one MLS client (RFC 9420: a device is a client, so a user has several).
    ///
    /// A pool id is 1 to 255 opaque bytes, compared bytewise. Never give a pool id to another registration, also not
    /// after [`delete_pool`](crate::server::KeyPackageStore::delete_pool) ([DEL-1](crate::contract::DEL_1)).
    ///
    /// ```
    /// use kp_core::PoolId;
    ///
    /// let phone = PoolId::try_from("bob/phone")?;
    /// assert_eq!(phone.as_bytes(), b"bob/phone");
    /// assert!(PoolId::try_from("").is_err());
    /// # Ok::<(), kp_core::InvalidId>(())
    /// ```
    PoolId(IdBytes), "a pool id", 1..=255,
    impl fmt::Debug for PoolId {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "PoolId({})", self.0.escape_ascii())
        }
    }
}

opaque_id! {
    /// Names a KeyPackage within its pool: the hash reference of RFC 9420 §5.2, 1 to 64 bytes.
    ///
    /// The [`Admission`](crate::server::Admission) computes the ref. The same ref in another pool is another KeyPackage
    /// ([SAVE-5](crate::contract::SAVE_5)). Who hands out pairs of KeyPackages under one name, two ciphersuites together, hashes both
    /// refs: 32 and 48 bytes do not fit side by side.
    KeyPackageRef(IdBytes), "a KeyPackage ref", 1..=64,
    impl fmt::Debug for KeyPackageRef {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "KeyPackageRef({})", crate::hex::encode(&self.0))
        }
    }
}

opaque_id! {
    /// Names the MLS group that a KeyPackage was used for: the group id or a hash of the group id.
    ///
    /// A group id is 1 to 255 opaque bytes, only ever compared ([PRIV-1](crate::contract::PRIV_1)).
    GroupId(Arc<[u8]>), "a group id", 1..=255,
    impl fmt::Debug for GroupId {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("GroupId(..)")
        }
    }
}

opaque_id! {
    /// Names who reserves or spends: 1 to 64 opaque bytes, only ever compared.
    ///
    /// Pass a keyed hash, and no identity is kept ([PRIV-1](crate::contract::PRIV_1)).
    Party(Arc<[u8]>), "a party", 1..=64,
    impl fmt::Debug for Party {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Party(..)")
        }
    }
}

/// Identifies one request: 16 bytes that the caller chooses, so that a retry is the same request
/// ([RES-5](crate::contract::RES_5)).
///
/// An id is unique within its pool, so one id can serve all pools of one request. Whoever knows the id of a reservation
/// can spend the package, so `Debug` hides the id ([ERR-4](crate::contract::ERR_4)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId([u8; 16]);

impl ReservationId {
    /// Makes an id of these bytes, which the caller drew at random or derived from the caller's own request.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReservationId(..)")
    }
}
