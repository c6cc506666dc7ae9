use std::fmt;

use crate::protocol::Refusal;

/// Tells a client what became of one uploaded KeyPackage.
///
/// On the wire an outcome is its [`code`](Self::code). After the code of a refusal that has a
/// [`detail`](Refusal::detail), a colon, a space and the detail follow: `invalid_leaf: extension 0xf999 is not in the
/// capabilities`. A client reads a code of a later release as [`Unknown`](Self::Unknown).
///
/// ```
/// use kp_core::protocol::{Refusal, UploadOutcome};
///
/// assert_eq!(UploadOutcome::from_code("saved"), UploadOutcome::Saved);
/// assert_eq!(UploadOutcome::Refused(Refusal::TooLarge).code(), "too_large");
/// assert_eq!(UploadOutcome::from_code("of another age"), UploadOutcome::Unknown);
/// assert!([UploadOutcome::Saved, UploadOutcome::AlreadyStored].iter().all(UploadOutcome::is_held));
/// assert_eq!(UploadOutcome::Saved.to_string(), "saved");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UploadOutcome {
    /// Stored now.
    Saved,
    /// Stored before, unspent: nothing to do.
    AlreadyStored,
    /// Spent, withdrawn or retired, and never handed out again. Make a new KeyPackage.
    AlreadySpent,
    /// The pool holds as many KeyPackages as it may. Upload again when some are used.
    PoolFull,
    /// Another KeyPackage is stored under this ref, and stays.
    RefConflict,
    /// The delivery service does not take the KeyPackage.
    Refused(Refusal),
    /// Admitted, but not stored, because another KeyPackage of the batch was refused. Upload again without that one.
    NotTried,
    /// An outcome that this release does not know.
    Unknown,
}

impl UploadOutcome {
    /// Lists the outcomes without a [`Refusal`].
    const PLAIN: [Self; 7] = [
        Self::Saved,
        Self::AlreadyStored,
        Self::AlreadySpent,
        Self::PoolFull,
        Self::RefConflict,
        Self::NotTried,
        Self::Unknown,
    ];

    /// Returns whether the pool holds the KeyPackage, unspent: the client may count the KeyPackage as uploaded.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Saved | Self::AlreadyStored)
    }

    /// Names the outcome, for protocols and metrics. A name never changes once released, and has no colon.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::AlreadyStored => "already_stored",
            Self::AlreadySpent => "already_spent",
            Self::PoolFull => "pool_full",
            Self::RefConflict => "ref_conflict",
            Self::Refused(refusal) => refusal.code(),
            Self::NotTried => "not_tried",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the outcome of this [`code`](Self::code), which a detail may follow; [`Unknown`](Self::Unknown) for any other
    /// text.
    #[must_use]
    pub fn from_code(text: &str) -> Self {
        let code = text.split_once(": ").map_or(text, |(code, _)| code);
        let plain = Self::PLAIN.into_iter().find(|outcome| outcome.code() == code);
        plain
            .or_else(|| Refusal::from_code(text).map(Self::Refused))
            .unwrap_or(Self::Unknown)
    }
}

/// Writes the outcome as it travels: the code, and the detail that a refusal has.
impl fmt::Display for UploadOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => match refusal.detail() {
                Some(detail) => write!(f, "{}: {detail}", refusal.code()),
                None => f.write_str(refusal.code()),
            },
            plain => f.write_str(plain.code()),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for UploadOutcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for UploadOutcome {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code: std::borrow::Cow<'de, str> = serde::Deserialize::deserialize(deserializer)?;
        Ok(Self::from_code(&code))
    }
}
