use std::fmt;
use std::sync::Arc;

use super::type_set::{Registry, TypeName, is_default, is_grease, show};
use crate::key_package::{CredentialType, ExtensionType, ProposalType};

/// Holds what a store keeps of a leaf's capabilities: the types of extensions, proposals and credentials that the owner
/// supports ([RES-3](crate::contract::RES_3)).
///
/// GREASE is left out, and so is what every client supports: the default types of RFC 9420 §7.2.
/// [`Requirements`](crate::server::Requirements) are compared with the support. A clone is cheap.
///
/// ```
/// use kp_core::key_package::{CredentialType, ExtensionType};
/// use kp_core::server::{Requirements, Support};
///
/// let support = Support::new([ExtensionType(0xF001), ExtensionType::LAST_RESORT], [], [CredentialType::BASIC]);
/// let needed = Requirements::new().extensions([ExtensionType(0xF001), ExtensionType::APPLICATION_ID])?;
/// assert!(needed.are_met_by(support.as_ref()));
/// assert!(!needed.credentials([CredentialType::X509])?.are_met_by(support.as_ref()));
/// # Ok::<(), kp_core::server::TooManyTypes>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Support(Arc<Vec<TypeName>>);

impl Support {
    /// The most types of one kind, without GREASE and defaults. A leaf that lists more has no support.
    pub const MAX_TYPES: usize = 256;

    /// Keeps these types, in whatever order, repeated or not. `None`: there are more than [`MAX_TYPES`](Self::MAX_TYPES) of
    /// a kind.
    #[must_use]
    pub fn new(
        extensions: impl IntoIterator<Item = ExtensionType>,
        proposals: impl IntoIterator<Item = ProposalType>,
        credentials: impl IntoIterator<Item = CredentialType>,
    ) -> Option<Self> {
        let extensions = extensions.into_iter().map(|kind| Registry::Extensions.name(kind.0));
        let proposals = proposals.into_iter().map(|kind| Registry::Proposals.name(kind.0));
        let credentials = credentials.into_iter().map(|kind| Registry::Credentials.name(kind.0));
        let names = extensions.chain(proposals).chain(credentials);
        Self::of(names.filter(|name| !is_default(*name) && !is_grease(*name)).collect())
    }

    fn of(mut names: Vec<TypeName>) -> Option<Self> {
        names.sort_unstable();
        names.dedup();
        let is_too_long = |registry: Registry| registry.numbers(&names).count() > Self::MAX_TYPES;
        let is_too_long = Registry::ALL.into_iter().any(is_too_long);
        (!is_too_long).then(|| Self(Arc::new(names)))
    }

    /// Returns what either of two packages supports; `None` beyond [`MAX_TYPES`](Self::MAX_TYPES). A store so remembers what
    /// none of several packages supports.
    #[must_use]
    pub fn union(&self, other: &Self) -> Option<Self> {
        if self == other {
            return Some(self.clone());
        }
        Self::of([self.0.as_slice(), other.0.as_slice()].concat())
    }

    /// Returns the types of extensions, sorted.
    pub fn extensions(&self) -> impl Iterator<Item = ExtensionType> {
        Registry::Extensions.numbers(&self.0).map(ExtensionType)
    }

    /// Returns the types of proposals, sorted.
    pub fn proposals(&self) -> impl Iterator<Item = ProposalType> {
        Registry::Proposals.numbers(&self.0).map(ProposalType)
    }

    /// Returns the types of credentials, sorted.
    pub fn credentials(&self) -> impl Iterator<Item = CredentialType> {
        Registry::Credentials.numbers(&self.0).map(CredentialType)
    }

    /// Returns the form in which a store keeps the support: three bytes for each type, sorted.
    ///
    /// The first byte names the kind (1 extension, 2 proposal, 3 credential), the other two are the number, big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// Reads the form of [`as_bytes`](Self::as_bytes); `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (names, rest) = bytes.as_chunks::<3>();
        let known = |name: &TypeName| matches!(name[0], 1..=3) && !is_default(*name) && !is_grease(*name);
        let sorted = names.is_sorted_by(|one, next| one < next);
        let whole = rest.is_empty() && sorted && names.iter().all(known);
        whole.then(|| Self::of(names.to_vec())).flatten()
    }

    pub(super) fn has(&self, name: TypeName) -> bool {
        self.0.binary_search(&name).is_ok()
    }
}

impl fmt::Debug for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show("Support", &self.0, f)
    }
}
