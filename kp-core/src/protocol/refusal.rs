/// Says why an uploaded KeyPackage is not taken ([ADM-2](crate::contract::ADM_2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a KeyPackage, or bytes follow it.
    #[error("not a KeyPackage")]
    Malformed,
    /// A signature does not verify, or the leaf is not made as RFC 9420 §10.1 demands.
    #[error("the KeyPackage does not verify")]
    BadSignature,
    /// The server does not take this ciphersuite.
    #[error("unsupported ciphersuite")]
    UnsupportedCiphersuite,
    /// The KeyPackage's `not_after` has come.
    #[error("the KeyPackage has expired")]
    Expired,
    /// The KeyPackage's `not_before` lies further ahead than clocks may differ.
    #[error("the KeyPackage is not valid yet")]
    NotYetValid,
    /// The KeyPackage's lifetime is wider than the server allows.
    #[error("the lifetime of the KeyPackage is too wide")]
    LifetimeTooWide,
    /// The KeyPackage has more bytes than the server allows.
    #[error("the KeyPackage is too large")]
    TooLarge,
    /// The credential is not the uploader's.
    #[error("the credential of the KeyPackage is not the uploader's")]
    CredentialMismatch,
    /// Another KeyPackage of the batch has the same init key.
    #[error("another KeyPackage of the batch has the same init key")]
    InitKeyReused,
    /// The KeyPackage was made before the restore point that the operator set.
    #[error("the KeyPackage was made before the restore point")]
    BeforeRestorePoint,
    /// The admission has a reason of its own, in these words.
    #[error("{0}")]
    Other(&'static str),
}

impl Refusal {
    /// Lists all refusals, with one stand-in for the reasons that only one admission knows.
    pub const ALL: &'static [Self] = &[
        Self::Malformed,
        Self::BadSignature,
        Self::UnsupportedCiphersuite,
        Self::Expired,
        Self::NotYetValid,
        Self::LifetimeTooWide,
        Self::TooLarge,
        Self::CredentialMismatch,
        Self::InitKeyReused,
        Self::BeforeRestorePoint,
        Self::Other("refused by the server"),
    ];

    /// Returns the refusal of this [`code`](Self::code); `None` for a code that this release does not know.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| refusal.code() == code)
    }

    /// Names the refusal, for protocols and logs. A name never changes once released.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadSignature => "bad_signature",
            Self::UnsupportedCiphersuite => "unsupported_ciphersuite",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::LifetimeTooWide => "lifetime_too_wide",
            Self::TooLarge => "too_large",
            Self::CredentialMismatch => "credential_mismatch",
            Self::InitKeyReused => "init_key_reused",
            Self::BeforeRestorePoint => "before_restore_point",
            Self::Other(_) => "other",
        }
    }
}
