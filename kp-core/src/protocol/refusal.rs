use super::fault::{KeyFault, LeafFault};
use super::requirement::Requirement;

/// Says why an uploaded KeyPackage is not taken ([ADM-2](crate::contract::ADM_2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a KeyPackage, or bytes follow it.
    #[error("not a KeyPackage")]
    Malformed,
    /// The KeyPackage is of another version of MLS.
    #[error("unsupported version of MLS")]
    UnsupportedVersion,
    /// A signature does not verify.
    #[error("a signature of the KeyPackage does not verify")]
    BadSignature,
    /// The leaf, or an extension of the KeyPackage, is not as RFC 9420 demands. A client that adds the owner would refuse the
    /// KeyPackage.
    #[error("invalid leaf: {0}")]
    InvalidLeaf(LeafFault),
    /// A public key is not a key of the ciphersuite, or is there twice. Nobody could use the KeyPackage.
    #[error("invalid key: {0}")]
    InvalidKey(KeyFault),
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
    /// The KeyPackage lacks what this server requires, beyond RFC 9420.
    #[error("{0}")]
    RequirementNotMet(Requirement),
    /// Another KeyPackage of the batch or of the pool has the same init key, or had it. Make a new KeyPackage, with another init
    /// key.
    #[error("another KeyPackage has the same init key")]
    InitKeyReused,
    /// The KeyPackage was made before the restore point that the operator set.
    #[error("the KeyPackage was made before the restore point")]
    BeforeRestorePoint,
    /// The admission has a reason of its own, in these words.
    #[error("{0}")]
    Other(&'static str),
}

impl Refusal {
    /// Lists all refusals: one of each code.
    pub const ALL: &'static [Self] = &[
        Self::Malformed,
        Self::UnsupportedVersion,
        Self::BadSignature,
        Self::InvalidLeaf(LeafFault::Unspecified),
        Self::InvalidKey(KeyFault::Unspecified),
        Self::UnsupportedCiphersuite,
        Self::Expired,
        Self::NotYetValid,
        Self::LifetimeTooWide,
        Self::TooLarge,
        Self::CredentialMismatch,
        Self::RequirementNotMet(Requirement::Unspecified),
        Self::InitKeyReused,
        Self::BeforeRestorePoint,
        Self::Other("refused by the server"),
    ];

    /// Returns the refusal of this [`code`](Self::code); `None` for a code that this release does not know.
    ///
    /// A [`detail`](Self::detail) may follow the code, after a colon and a space. A detail that this release does not know is
    /// passed over.
    ///
    /// ```
    /// use kp_core::key_package::ExtensionType;
    /// use kp_core::protocol::{LeafFault, Refusal};
    ///
    /// let refusal = Refusal::InvalidLeaf(LeafFault::ExtensionNotListed(ExtensionType(0xF999)));
    /// assert_eq!(Refusal::from_code("invalid_leaf: extension 0xf999 is not in the capabilities"), Some(refusal));
    /// assert_eq!(Refusal::from_code("too_large: 40,000 bytes"), Some(Refusal::TooLarge));
    /// ```
    #[must_use]
    pub fn from_code(text: &str) -> Option<Self> {
        let (code, detail) = text.split_once(": ").unwrap_or((text, ""));
        let refusal = Self::ALL.iter().copied().find(|refusal| refusal.code() == code)?;
        Some(match refusal {
            Self::InvalidLeaf(_) => Self::InvalidLeaf(LeafFault::from_text(detail)),
            Self::InvalidKey(_) => Self::InvalidKey(KeyFault::from_text(detail)),
            Self::RequirementNotMet(_) => Self::RequirementNotMet(Requirement::from_text(detail)),
            plain => plain,
        })
    }

    /// Says more than the [`code`](Self::code), where there is more to say: text for the eyes of the client's author. The
    /// text holds numbers of types and lengths, and nothing else of the KeyPackage.
    #[must_use]
    pub fn detail(self) -> Option<String> {
        match self {
            Self::InvalidLeaf(LeafFault::Unspecified)
            | Self::InvalidKey(KeyFault::Unspecified)
            | Self::RequirementNotMet(Requirement::Unspecified) => None,
            Self::InvalidLeaf(fault) => Some(fault.to_string()),
            Self::InvalidKey(fault) => Some(fault.to_string()),
            Self::RequirementNotMet(requirement) => Some(requirement.to_string()),
            _ => None,
        }
    }

    /// Names the refusal, for protocols and metrics. A name never changes once released, and has no colon.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnsupportedVersion => "unsupported_version",
            Self::BadSignature => "bad_signature",
            Self::InvalidLeaf(_) => "invalid_leaf",
            Self::InvalidKey(_) => "invalid_key",
            Self::UnsupportedCiphersuite => "unsupported_ciphersuite",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::LifetimeTooWide => "lifetime_too_wide",
            Self::TooLarge => "too_large",
            Self::CredentialMismatch => "credential_mismatch",
            Self::RequirementNotMet(_) => "requirement_not_met",
            Self::InitKeyReused => "init_key_reused",
            Self::BeforeRestorePoint => "before_restore_point",
            Self::Other(_) => "other",
        }
    }
}
