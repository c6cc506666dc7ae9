use std::fmt;

use super::support::Support;
use super::type_set::{Registry, TypeName, is_default, show};
use crate::key_package::{CredentialType, ExtensionType, ProposalType};

/// Says that more types of one kind are required than [`Requirements`] hold ([RES-3](crate::contract::RES_3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at most {} types of a kind can be required, not {found}", Requirements::MAX_TYPES)]
#[non_exhaustive]
pub struct TooManyTypes {
    /// How many distinct types were given.
    pub found: usize,
}

/// Lists what the owner of a KeyPackage must support: types of extensions, proposals and credentials
/// ([RES-3](crate::contract::RES_3)). Default: nothing.
///
/// A group asks for what its `required_capabilities` list (RFC 9420 §11.1). Order and repeats mean nothing. What every client
/// supports (RFC 9420 §7.2) is met by every package, and is not kept.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Requirements(Vec<TypeName>);

impl Requirements {
    /// The most distinct types of one kind.
    pub const MAX_TYPES: usize = 64;

    /// Requires nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets the types of extensions. Default: none.
    ///
    /// # Errors
    ///
    /// [`TooManyTypes`] beyond [`MAX_TYPES`](Self::MAX_TYPES) distinct ones.
    pub fn extensions(self, types: impl IntoIterator<Item = ExtensionType>) -> Result<Self, TooManyTypes> {
        self.set(Registry::Extensions, types.into_iter().map(|kind| kind.0))
    }

    /// Sets the types of proposals. Default: none.
    ///
    /// # Errors
    ///
    /// [`TooManyTypes`] beyond [`MAX_TYPES`](Self::MAX_TYPES) distinct ones.
    pub fn proposals(self, types: impl IntoIterator<Item = ProposalType>) -> Result<Self, TooManyTypes> {
        self.set(Registry::Proposals, types.into_iter().map(|kind| kind.0))
    }

    /// Sets the types of credentials. Default: none.
    ///
    /// # Errors
    ///
    /// [`TooManyTypes`] beyond [`MAX_TYPES`](Self::MAX_TYPES) distinct ones.
    pub fn credentials(self, types: impl IntoIterator<Item = CredentialType>) -> Result<Self, TooManyTypes> {
        self.set(Registry::Credentials, types.into_iter().map(|kind| kind.0))
    }

    fn set(mut self, registry: Registry, numbers: impl Iterator<Item = u16>) -> Result<Self, TooManyTypes> {
        let mut names: Vec<_> = numbers.map(|number| registry.name(number)).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > Self::MAX_TYPES {
            return Err(TooManyTypes { found: names.len() });
        }
        self.0.retain(|name| name[0] != registry as u8);
        self.0.extend(names.into_iter().filter(|name| !is_default(*name)));
        self.0.sort_unstable();
        Ok(self)
    }

    /// Returns whether every package meets the requirements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a package of this support meets the requirements. A package without support meets only what every
    /// client supports.
    #[must_use]
    pub fn are_met_by(&self, support: Option<&Support>) -> bool {
        let has = |name: &TypeName| support.is_some_and(|support| support.has(*name));
        self.0.iter().all(has)
    }

    /// Returns the types in the form of [`Support::as_bytes`]: a package meets the requirements if each three bytes are among
    /// those of its support.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

impl fmt::Debug for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show("Requirements", &self.0, f)
    }
}
