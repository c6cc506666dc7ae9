use kp_core::{Ciphersuite, PoolId};

/// Tells a server that a pool stands worse than before, so that its owner can be told to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// The pool.
    pub pool: PoolId,
    /// The ciphersuite; `None` for what all ciphersuites share ([`NoticeKind::MemoryFull`]).
    pub ciphersuite: Option<Ciphersuite>,
    /// How the pool stands.
    pub kind: NoticeKind,
}

/// Says what a [`Notice`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NoticeKind {
    /// Fewer one-time packages are available than the low-water mark.
    Low,
    /// No one-time package is available.
    Exhausted,
    /// The last-resort package was handed out.
    LastResortUsed,
    /// The pool remembers as many one-time packages as it can, and takes no more until some expire.
    MemoryFull,
}

impl NoticeKind {
    /// Names the kind, for protocols and metrics. A name never changes once released.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Exhausted => "exhausted",
            Self::LastResortUsed => "last_resort_used",
            Self::MemoryFull => "memory_full",
        }
    }
}
