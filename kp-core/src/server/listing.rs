use std::fmt;
use std::str::FromStr;

use crate::{PoolId, hex};

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this page is the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Joins the items of a page and the place where the next page begins.
    #[must_use]
    pub const fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self { items, next }
    }
}

/// A place in a listing. A cursor belongs to the call that gave it, on every node and backend.
///
/// `Display` and `FromStr` are the form of a cursor on the wire.
///
/// ```
/// use kp_core::server::Cursor;
///
/// let cursor = Cursor::after_sequence(7);
/// assert_eq!(cursor.to_string().parse::<Cursor>()?, cursor);
/// # Ok::<(), kp_core::server::InvalidCursor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Sequence(u64),
    Pool(PoolId),
}

impl Cursor {
    /// Returns the place behind the KeyPackage of this sequence: what `list_available` gives.
    #[must_use]
    pub const fn after_sequence(sequence: u64) -> Self {
        Self(Place::Sequence(sequence))
    }

    /// Returns the place behind this pool: what the listings of pools give.
    #[must_use]
    pub const fn after_pool(pool: PoolId) -> Self {
        Self(Place::Pool(pool))
    }

    /// Returns the sequence of a cursor of `list_available`; `None` for a cursor of another listing, which a store answers
    /// with [`Rejection::InvalidCursor`](crate::Rejection::InvalidCursor).
    #[must_use]
    pub const fn sequence(&self) -> Option<u64> {
        match self.0 {
            Place::Sequence(sequence) => Some(sequence),
            Place::Pool(_) => None,
        }
    }

    /// Returns the pool of a cursor of a listing of pools; `None` for a cursor of another listing, which a store answers
    /// with [`Rejection::InvalidCursor`](crate::Rejection::InvalidCursor).
    #[must_use]
    pub const fn pool(&self) -> Option<&PoolId> {
        match &self.0 {
            Place::Pool(pool) => Some(pool),
            Place::Sequence(_) => None,
        }
    }
}

/// The text is no [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of a listing")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sequence(sequence) => write!(f, "s{sequence}"),
            Place::Pool(pool) => write!(f, "p{}", hex::encode(pool.as_bytes())),
        }
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let place = if let Some(sequence) = text.strip_prefix('s') {
            sequence.parse().ok().map(Place::Sequence)
        } else if let Some(pool) = text.strip_prefix('p') {
            hex::decode(pool)
                .and_then(|pool| PoolId::try_from(pool).ok())
                .map(Place::Pool)
        } else {
            None
        };
        // One spelling a place: "s+7" and "s007" are none.
        place
            .map(Self)
            .filter(|cursor| cursor.to_string() == text)
            .ok_or(InvalidCursor)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: std::borrow::Cow<'de, str> = serde::Deserialize::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
