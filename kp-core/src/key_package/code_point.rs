use std::fmt;
use std::marker::PhantomData;

use crate::Ciphersuite;

/// Declares a number of an IANA registry of MLS.
macro_rules! code_points {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u16);

        impl From<u16> for $name {
            fn from(number: u16) -> Self {
                Self(number)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#06x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#06x}", self.0)
            }
        }
    )*};
}

code_points! {
    /// Names a version of MLS by its number (RFC 9420 §6).
    ProtocolVersion;
    /// Names a type of extension by its number in the IANA registry (RFC 9420 §17.3).
    ExtensionType;
    /// Names a type of proposal by its number in the IANA registry (RFC 9420 §17.4).
    ProposalType;
    /// Names a type of credential by its number in the IANA registry (RFC 9420 §17.5).
    CredentialType;
}

/// Returns whether a number is reserved for GREASE: `0x0a0a`, `0x1a1a` and so on up to `0xeaea` (RFC 9420 §13.5).
const fn is_grease(number: u16) -> bool {
    number & 0x0F0F == 0x0A0A && number >> 8 == number & 0xFF && number != 0xFAFA
}

impl ProtocolVersion {
    /// `mls10`: the version of RFC 9420.
    pub const MLS10: Self = Self(1);
}

impl ExtensionType {
    /// `application_id`, which stands in leaves.
    pub const APPLICATION_ID: Self = Self(0x0001);
    /// `ratchet_tree`, which stands in a GroupInfo.
    pub const RATCHET_TREE: Self = Self(0x0002);
    /// `required_capabilities`, which stands in a GroupContext.
    pub const REQUIRED_CAPABILITIES: Self = Self(0x0003);
    /// `external_pub`, which stands in a GroupInfo.
    pub const EXTERNAL_PUB: Self = Self(0x0004);
    /// `external_senders`, which stands in a GroupContext.
    pub const EXTERNAL_SENDERS: Self = Self(0x0005);
    /// `last_resort_key_package`, which marks a KeyPackage that may be used more than once.
    pub const LAST_RESORT: Self = Self(0x000A);

    /// Returns whether every client supports the type, unlisted (RFC 9420 §7.2).
    #[must_use]
    pub const fn is_default(self) -> bool {
        matches!(self.0, 1..=5)
    }

    /// Returns whether the number is reserved for GREASE (RFC 9420 §13.5).
    #[must_use]
    pub const fn is_grease(self) -> bool {
        is_grease(self.0)
    }
}

impl ProposalType {
    /// Returns whether every client supports the type, unlisted (RFC 9420 §7.2).
    #[must_use]
    pub const fn is_default(self) -> bool {
        matches!(self.0, 1..=7)
    }

    /// Returns whether the number is reserved for GREASE (RFC 9420 §13.5).
    #[must_use]
    pub const fn is_grease(self) -> bool {
        is_grease(self.0)
    }
}

impl CredentialType {
    /// `basic`: an identity and nothing else.
    pub const BASIC: Self = Self(1);
    /// `x509`: a chain of certificates.
    pub const X509: Self = Self(2);

    /// Returns whether the number is reserved for GREASE (RFC 9420 §13.5).
    #[must_use]
    pub const fn is_grease(self) -> bool {
        is_grease(self.0)
    }
}

impl From<u16> for Ciphersuite {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

/// Lists numbers of a registry, in the order of the bytes. A list may hold a number twice, GREASE, and numbers that nobody
/// knows.
#[derive(Clone, Copy)]
pub struct CodePoints<'a, T> {
    pairs: &'a [[u8; 2]],
    kind: PhantomData<T>,
}

impl<'a, T: From<u16> + PartialEq + 'a> CodePoints<'a, T> {
    /// `None`, if the bytes end inside of a number.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks();
        let kind = PhantomData;
        rest.is_empty().then_some(Self { pairs, kind })
    }

    /// Returns the numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        let pairs = self.pairs;
        pairs.iter().map(|pair| T::from(u16::from_be_bytes(*pair)))
    }

    /// Returns whether the list holds the number. Reads the whole list: for many numbers, collect a set.
    #[must_use]
    pub fn contains(&self, number: T) -> bool {
        self.iter().any(|listed| listed == number)
    }
}

impl<'a, T: From<u16> + PartialEq + fmt::Debug + 'a> fmt::Debug for CodePoints<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
