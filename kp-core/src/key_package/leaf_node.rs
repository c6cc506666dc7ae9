use std::fmt;

use super::certificate::end_entity_key;
use super::code_point::{CodePoints, CredentialType, ExtensionType, ProposalType, ProtocolVersion};
use super::extensions::Extensions;
use super::reader::{Reader, UnreadableKeyPackage};
use super::signed::Signed;
use crate::Ciphersuite;
use crate::server::Support;

/// Shows the leaf of a KeyPackage (RFC 9420 §7.2), before anything is verified.
///
/// `Debug` hides keys, credential and signature ([ERR-4](crate::contract::ERR_4)).
#[derive(Clone, Copy)]
pub struct UnverifiedLeafNode<'a> {
    encryption_key: &'a [u8],
    signature_key: &'a [u8],
    credential: UnverifiedCredential<'a>,
    signing_identity: &'a [u8],
    capabilities: UnverifiedCapabilities<'a>,
    not_before: u64,
    not_after: u64,
    extensions: Extensions<'a>,
    signed: Signed<'a>,
}

impl<'a> UnverifiedLeafNode<'a> {
    pub(super) fn read(rest: &mut Reader<'a>) -> Result<Self, UnreadableKeyPackage> {
        let start = *rest;
        let encryption_key = rest.vector()?;
        let before_key = *rest;
        let signature_key = rest.vector()?;
        let credential = UnverifiedCredential {
            credential_type: CredentialType(rest.u16()?),
            content: rest.vector()?,
        };
        let signing_identity = before_key.up_to(*rest);
        let capabilities = UnverifiedCapabilities::read(rest)?;
        match rest.u8()? {
            1 => {}
            source @ (2 | 3) => return Err(UnreadableKeyPackage::OtherSource(source)),
            source => return Err(UnreadableKeyPackage::InvalidSource(source)),
        }
        let not_before = rest.u64()?;
        let not_after = rest.u64()?;
        let extensions = Extensions::read(rest.vector()?)?;
        let content = start.up_to(*rest);
        let signed = Signed {
            label: "LeafNodeTBS",
            content,
            signature: rest.vector()?,
        };
        Ok(Self {
            encryption_key,
            signature_key,
            credential,
            signing_identity,
            capabilities,
            not_before,
            not_after,
            extensions,
            signed,
        })
    }

    /// Returns the HPKE public key of the leaf: of any bytes, of any length.
    #[must_use]
    pub const fn encryption_key(&self) -> &'a [u8] {
        self.encryption_key
    }

    /// Returns the public key of both signatures: of any bytes, of any length.
    #[must_use]
    pub const fn signature_key(&self) -> &'a [u8] {
        self.signature_key
    }

    /// Returns the credential.
    #[must_use]
    pub const fn credential(&self) -> UnverifiedCredential<'a> {
        self.credential
    }

    /// Returns the bytes of `signature_key` and `credential`, as they lie in the leaf: what a
    /// [`CredentialHash`](crate::CredentialHash) is the SHA-256 of.
    #[must_use]
    pub const fn signing_identity(&self) -> &'a [u8] {
        self.signing_identity
    }

    /// Returns what the client says that it supports.
    #[must_use]
    pub const fn capabilities(&self) -> &UnverifiedCapabilities<'a> {
        &self.capabilities
    }

    /// Returns the start of the lifetime, in seconds since 1970: any number.
    #[must_use]
    pub const fn not_before(&self) -> u64 {
        self.not_before
    }

    /// Returns the end of the lifetime, in seconds since 1970: any number, and perhaps before the start.
    #[must_use]
    pub const fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Returns the extensions of the leaf.
    #[must_use]
    pub const fn extensions(&self) -> Extensions<'a> {
        self.extensions
    }

    /// Returns the `LeafNodeTBS`, and the signature over it.
    #[must_use]
    pub const fn signed(&self) -> Signed<'a> {
        self.signed
    }
}

impl fmt::Debug for UnverifiedLeafNode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedLeafNode")
            .field("credential", &self.credential)
            .field("capabilities", &self.capabilities)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}

/// Shows a credential (RFC 9420 §5.3), before anything is verified.
///
/// `Debug` hides the content ([ERR-4](crate::contract::ERR_4)).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedCredential<'a> {
    credential_type: CredentialType,
    content: &'a [u8],
}

impl<'a> UnverifiedCredential<'a> {
    /// Returns the type.
    #[must_use]
    pub const fn credential_type(&self) -> CredentialType {
        self.credential_type
    }

    /// Returns the content without its length: an identity, a list of certificates, or what another type puts there.
    #[must_use]
    pub const fn content(&self) -> &'a [u8] {
        self.content
    }

    /// Returns the identity of a basic credential; `None` for every other type.
    #[must_use]
    pub fn identity(&self) -> Option<&'a [u8]> {
        (self.credential_type == CredentialType::BASIC).then_some(self.content)
    }

    /// Returns the public key that the end-entity certificate of an X.509 credential certifies, in the form of a
    /// `signature_key`.
    ///
    /// The certificate is read as far as its key. No signature, name or date of a certificate is looked at.
    ///
    /// `None` for every other type, for a list of certificates that is empty or cannot be read, and for a first certificate
    /// that cannot be read.
    #[must_use]
    pub fn end_entity_key(&self) -> Option<&'a [u8]> {
        (self.credential_type == CredentialType::X509)
            .then(|| end_entity_key(self.content))
            .flatten()
    }
}

impl fmt::Debug for UnverifiedCredential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnverifiedCredential({}, ..)", self.credential_type)
    }
}

/// Lists what a client says that it supports (RFC 9420 §7.2). Default extensions and proposals are not listed, or need not
/// be.
#[derive(Debug, Clone, Copy)]
pub struct UnverifiedCapabilities<'a> {
    versions: CodePoints<'a, ProtocolVersion>,
    ciphersuites: CodePoints<'a, Ciphersuite>,
    extensions: CodePoints<'a, ExtensionType>,
    proposals: CodePoints<'a, ProposalType>,
    credentials: CodePoints<'a, CredentialType>,
}

impl<'a> UnverifiedCapabilities<'a> {
    fn read(rest: &mut Reader<'a>) -> Result<Self, UnreadableKeyPackage> {
        let broken = UnreadableKeyPackage::InvalidList;
        Ok(Self {
            versions: CodePoints::read(rest.vector()?).ok_or(broken)?,
            ciphersuites: CodePoints::read(rest.vector()?).ok_or(broken)?,
            extensions: CodePoints::read(rest.vector()?).ok_or(broken)?,
            proposals: CodePoints::read(rest.vector()?).ok_or(broken)?,
            credentials: CodePoints::read(rest.vector()?).ok_or(broken)?,
        })
    }

    /// Returns the versions of MLS.
    #[must_use]
    pub const fn versions(&self) -> CodePoints<'a, ProtocolVersion> {
        self.versions
    }

    /// Returns the ciphersuites.
    #[must_use]
    pub const fn ciphersuites(&self) -> CodePoints<'a, Ciphersuite> {
        self.ciphersuites
    }

    /// Returns the types of extensions.
    #[must_use]
    pub const fn extensions(&self) -> CodePoints<'a, ExtensionType> {
        self.extensions
    }

    /// Returns the types of proposals.
    #[must_use]
    pub const fn proposals(&self) -> CodePoints<'a, ProposalType> {
        self.proposals
    }

    /// Returns the types of credentials.
    #[must_use]
    pub const fn credentials(&self) -> CodePoints<'a, CredentialType> {
        self.credentials
    }

    /// Returns what a store keeps of the lists; `None` if they hold too many types ([RES-3](crate::contract::RES_3)).
    #[must_use]
    pub fn support(&self) -> Option<Support> {
        Support::new(self.extensions.iter(), self.proposals.iter(), self.credentials.iter())
    }
}
