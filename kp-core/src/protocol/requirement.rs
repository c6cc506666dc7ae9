use crate::key_package::{CredentialType, ExtensionType, ProposalType, UnverifiedKeyPackage};

/// Names what a server requires of every KeyPackage, beyond RFC 9420.
///
/// The text is for the eyes of the client's author, and may change; the [`code`](super::Refusal::code) of the refusal does
/// not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Requirement {
    /// The leaf's capabilities list the type of extension. Default types are supported unlisted.
    #[error("extension {0} is required in the capabilities")]
    ExtensionSupport(ExtensionType),
    /// The leaf's capabilities list the type of proposal. Default types are supported unlisted.
    #[error("proposal {0} is required in the capabilities")]
    ProposalSupport(ProposalType),
    /// The leaf's capabilities list the type of credential.
    #[error("credential type {0} is required in the capabilities")]
    CredentialSupport(CredentialType),
    /// An extension of the type stands in the leaf.
    #[error("extension {0} is required in the leaf")]
    LeafExtension(ExtensionType),
    /// An extension of the type stands in the KeyPackage, outside of its leaf.
    #[error("extension {0} is required in the KeyPackage")]
    KeyPackageExtension(ExtensionType),
    /// The server did not say, or said what this release does not know.
    #[error("the server did not say what it requires")]
    Unspecified,
}

impl Requirement {
    /// Returns whether the KeyPackage meets the requirement. Nothing does not meet [`Unspecified`](Self::Unspecified).
    #[must_use]
    pub fn is_met_by(self, package: &UnverifiedKeyPackage<'_>) -> bool {
        let leaf = package.leaf_node();
        let capabilities = leaf.capabilities();
        match self {
            Self::ExtensionSupport(required) => required.is_default() || capabilities.extensions().contains(required),
            Self::ProposalSupport(required) => required.is_default() || capabilities.proposals().contains(required),
            Self::CredentialSupport(required) => capabilities.credentials().contains(required),
            Self::LeafExtension(required) => leaf.extensions().get(required).is_some(),
            Self::KeyPackageExtension(required) => package.extensions().get(required).is_some(),
            Self::Unspecified => true,
        }
    }

    /// Finds the requirement of a text; [`Unspecified`](Self::Unspecified), if none has the text.
    pub(super) fn from_text(text: &str) -> Self {
        let number = super::fault::numbers(text).next();
        let number = number.and_then(|number| u16::try_from(number).ok()).unwrap_or_default();
        let requirements = [
            Self::ExtensionSupport(ExtensionType(number)),
            Self::ProposalSupport(ProposalType(number)),
            Self::CredentialSupport(CredentialType(number)),
            Self::LeafExtension(ExtensionType(number)),
            Self::KeyPackageExtension(ExtensionType(number)),
        ];
        let found = requirements
            .into_iter()
            .find(|requirement| requirement.to_string() == text);
        found.unwrap_or(Self::Unspecified)
    }
}
