use std::fmt;

use crate::Ciphersuite;
use crate::key_package::{CredentialType, ExtensionType, ProtocolVersion};

/// Says what is wrong with a leaf, or with the extensions of a KeyPackage, for the eyes of the client's author.
///
/// The text may change; the [`code`](super::Refusal::code) of the refusal does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LeafFault {
    /// The leaf is one of an Update (2) or of a Commit (3).
    #[error("the leaf_node_source is {0}, and not key_package")]
    Source(u8),
    /// The capabilities do not list the KeyPackage's own version.
    #[error("version {0} is not in the capabilities")]
    VersionNotListed(ProtocolVersion),
    /// The capabilities do not list the KeyPackage's own ciphersuite.
    #[error("ciphersuite {0} is not in the capabilities")]
    CiphersuiteNotListed(Ciphersuite),
    /// The capabilities do not list the type of the credential.
    #[error("credential type {0} is not in the capabilities")]
    CredentialNotListed(CredentialType),
    /// The type of the credential is 0, or one for GREASE.
    #[error("credential type {0} is reserved")]
    ReservedCredential(CredentialType),
    /// An X.509 credential has no certificate, or one that cannot be read.
    #[error("the credential's certificates cannot be read")]
    UnreadableCertificate,
    /// The end-entity certificate has another key than the leaf.
    #[error("the end-entity certificate has another key than signature_key")]
    CertificateOfAnotherKey,
    /// The capabilities do not list an extension that stands in the leaf or in the KeyPackage.
    #[error("extension {} is not in the capabilities", named(*.0))]
    ExtensionNotListed(ExtensionType),
    /// An extension stands in one list twice.
    #[error("extension {} is there twice", named(*.0))]
    ExtensionTwice(ExtensionType),
    /// An extension that must not stand in a leaf stands there.
    #[error("extension {} must not be in a leaf", named(*.0))]
    NotForLeaf(ExtensionType),
    /// An extension that must not stand in a KeyPackage, outside of the leaf, stands there.
    #[error("extension {} must not be in a KeyPackage outside of its leaf", named(*.0))]
    NotForKeyPackage(ExtensionType),
    /// The content of an extension is not of the extension's type.
    #[error("extension {} has a content that is not of its type", named(*.0))]
    ExtensionContent(ExtensionType),
    /// The server did not say, or said what this release does not know.
    #[error("the server did not say why")]
    Unspecified,
}

/// A number, with a name where newcomers need one.
fn named(extension_type: ExtensionType) -> impl fmt::Display {
    let is_last_resort = extension_type == ExtensionType::LAST_RESORT;
    let name = if is_last_resort { " (last resort)" } else { "" };
    format!("{extension_type}{name}")
}

impl LeafFault {
    /// Finds the fault of a text; [`Unspecified`](Self::Unspecified), if none has the text.
    pub(super) fn from_text(text: &str) -> Self {
        let number = numbers(text).next().and_then(|number| u16::try_from(number).ok());
        let number = number.unwrap_or_default();
        let extension = ExtensionType(number);
        let faults = [
            Self::Source(number.to_le_bytes()[0]),
            Self::VersionNotListed(ProtocolVersion(number)),
            Self::CiphersuiteNotListed(Ciphersuite(number)),
            Self::CredentialNotListed(CredentialType(number)),
            Self::ReservedCredential(CredentialType(number)),
            Self::UnreadableCertificate,
            Self::CertificateOfAnotherKey,
            Self::ExtensionNotListed(extension),
            Self::ExtensionTwice(extension),
            Self::NotForLeaf(extension),
            Self::NotForKeyPackage(extension),
            Self::ExtensionContent(extension),
        ];
        let found = faults.into_iter().find(|fault| fault.to_string() == text);
        found.unwrap_or(Self::Unspecified)
    }
}

/// Names a public key of a KeyPackage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicKeyField {
    /// The HPKE key of the KeyPackage.
    InitKey,
    /// The HPKE key of the leaf.
    EncryptionKey,
    /// The signature key of the leaf.
    SignatureKey,
}

impl fmt::Display for PublicKeyField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InitKey => "init_key",
            Self::EncryptionKey => "encryption_key",
            Self::SignatureKey => "signature_key",
        })
    }
}

/// Says what is wrong with a public key, for the eyes of the client's author.
///
/// The text may change; the [`code`](super::Refusal::code) of the refusal does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// A key has another length than the ciphersuite's keys.
    #[error("{key} has {found} bytes, and not {expected}")]
    Length {
        /// Which key.
        key: PublicKeyField,
        /// How many bytes the key has.
        found: usize,
        /// How many bytes a key of the ciphersuite has.
        expected: usize,
    },
    /// Nothing can be encrypted to the key: not a point of the curve, or of low order.
    #[error("{0} is no key of the ciphersuite")]
    Unusable(PublicKeyField),
    /// The init key and the encryption key are the same.
    #[error("init_key and encryption_key are the same")]
    SameKeys,
    /// The server did not say, or said what this release does not know.
    #[error("the server did not say why")]
    Unspecified,
}

impl KeyFault {
    /// Finds the fault of a text; [`Unspecified`](Self::Unspecified), if none has the text.
    pub(super) fn from_text(text: &str) -> Self {
        let mut numbers = numbers(text);
        let (found, expected) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let keys = [
            PublicKeyField::InitKey,
            PublicKeyField::EncryptionKey,
            PublicKeyField::SignatureKey,
        ];
        let of_one_key = keys.into_iter().flat_map(|key| {
            let length = Self::Length { key, found, expected };
            [length, Self::Unusable(key)]
        });
        let mut faults = of_one_key.chain([Self::SameKeys]);
        faults
            .find(|fault| fault.to_string() == text)
            .unwrap_or(Self::Unspecified)
    }
}

/// The numbers of a text: hexadecimal after `0x`, else decimal.
pub(super) fn numbers(text: &str) -> impl Iterator<Item = usize> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| match word.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    })
}
