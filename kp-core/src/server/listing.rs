use std::fmt;
use std::str::FromStr;

use crate::{PoolId, Rejection, hex};

/// Holds one page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items of the page.
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

/// Marks a place in a listing. A cursor belongs to the call that gave the cursor, on every node and backend.
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

    /// Returns the sequence of a cursor of `list_available`.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`]: the cursor is of a listing of pools.
    pub const fn sequence(&self) -> Result<u64, Rejection> {
        match self.0 {
            Place::Sequence(sequence) => Ok(sequence),
            Place::Pool(_) => Err(Rejection::InvalidCursor),
        }
    }

    /// Returns the pool of a cursor of a listing of pools.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`]: the cursor is of `list_available`.
    pub const fn pool(&self) -> Result<&PoolId, Rejection> {
        match &self.0 {
            Place::Pool(pool) => Ok(pool),
            Place::Sequence(_) => Err(Rejection::InvalidCursor),
        }
    }
}

/// Says that a text is no [`Cursor`].
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
        // A place has one spelling: "s+7" and "s007" are no cursors.
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
