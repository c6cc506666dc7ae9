use super::code_point::{CodePoints, CredentialType, ExtensionType, ProtocolVersion};
use super::extensions::{Extension, Extensions};
use super::reader::{Reader, UnreadableKeyPackage};
use super::unverified::UnverifiedKeyPackage;
use crate::protocol::{KeyFault, LeafFault, Refusal};

impl UnverifiedKeyPackage<'_> {
    /// Checks all that RFC 9420 demands of a KeyPackage by itself and that needs no cryptography (§10.1 with §5.3, §7.2, §7.3,
    /// §10 and §13.4):
    ///
    /// - The version is `mls10`.
    /// - The leaf's capabilities list the version, the ciphersuite and the credential's type.
    /// - The capabilities list every extension that stands in the leaf or in the KeyPackage, but for the default ones. GREASE
    ///   in the leaf is no exception (§13.5). GREASE in the KeyPackage outside of the leaf is: it is there to be ignored, and
    ///   mls-rs does not list it.
    /// - No extension stands in a list twice, or where extensions of its type must not stand. An extension of RFC 9420, and
    ///   the last-resort mark, have a content of their type.
    /// - The credential's type is not reserved. The first certificate of an X.509 credential has the leaf's signature key.
    /// - The init key and the encryption key differ.
    ///
    /// Unknown numbers and repeated ones in the capabilities are passed over, and so are default types that are listed there:
    /// a client must not list default types (§7.2), but no step of the validation refuses them.
    ///
    /// Left to the caller: the lifetime, both signatures, whether each public key is a key of its scheme, and whatever depends
    /// on a group or on the owner of the credential. The time is linear in the bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnsupportedVersion`], [`Refusal::InvalidLeaf`] or [`Refusal::InvalidKey`].
    pub fn check(&self) -> Result<(), Refusal> {
        if self.version() != ProtocolVersion::MLS10 {
            return Err(Refusal::UnsupportedVersion);
        }
        self.check_leaf().map_err(Refusal::InvalidLeaf)?;
        if self.init_key() == self.leaf_node().encryption_key() {
            return Err(Refusal::InvalidKey(KeyFault::SameKeys));
        }
        Ok(())
    }

    fn check_leaf(&self) -> Result<(), LeafFault> {
        let leaf = self.leaf_node();
        let (credential, capabilities) = (leaf.credential(), leaf.capabilities());
        let credential_type = credential.credential_type();
        if !capabilities.versions().contains(self.version()) {
            return Err(LeafFault::VersionNotListed(self.version()));
        }
        if !capabilities.ciphersuites().contains(self.ciphersuite()) {
            return Err(LeafFault::CiphersuiteNotListed(self.ciphersuite()));
        }
        if credential_type == CredentialType(0) || credential_type.is_grease() {
            return Err(LeafFault::ReservedCredential(credential_type));
        }
        if !capabilities.credentials().contains(credential_type) {
            return Err(LeafFault::CredentialNotListed(credential_type));
        }
        if credential_type == CredentialType::X509 {
            let certified = credential.end_entity_key().ok_or(LeafFault::UnreadableCertificate)?;
            if certified != leaf.signature_key() {
                return Err(LeafFault::CertificateOfAnotherKey);
            }
        }
        let listed = capabilities.extensions();
        LEAF.check(leaf.extensions(), listed)?;
        KEY_PACKAGE.check(self.extensions(), listed)
    }
}

/// Refuses what cannot be read; the leaf of an Update or of a Commit can, and is a [`Refusal::InvalidLeaf`].
impl From<UnreadableKeyPackage> for Refusal {
    fn from(error: UnreadableKeyPackage) -> Self {
        match error {
            UnreadableKeyPackage::OtherSource(source) => Self::InvalidLeaf(LeafFault::Source(source)),
            _ => Self::Malformed,
        }
    }
}

/// A list of extensions, and what may stand there.
struct Place {
    is_for: fn(ExtensionType) -> bool,
    misplaced: fn(ExtensionType) -> LeafFault,
    must_be_listed: fn(ExtensionType) -> bool,
}

const LEAF: Place = Place {
    is_for: is_for_leaf,
    misplaced: LeafFault::NotForLeaf,
    must_be_listed: |extension_type| !extension_type.is_default(),
};

const KEY_PACKAGE: Place = Place {
    is_for: |extension_type| !extension_type.is_default(),
    misplaced: LeafFault::NotForKeyPackage,
    must_be_listed: |extension_type| !extension_type.is_grease(),
};

impl Place {
    fn check(&self, extensions: Extensions<'_>, listed: CodePoints<'_, ExtensionType>) -> Result<(), LeafFault> {
        if extensions.iter().next().is_none() {
            return Ok(());
        }
        let mut supported = Types::default();
        for extension_type in listed.iter() {
            supported.insert(extension_type);
        }
        let mut seen = Types::default();
        for extension in extensions.iter() {
            let extension_type = extension.extension_type;
            if !(self.is_for)(extension_type) {
                return Err((self.misplaced)(extension_type));
            }
            if !seen.insert(extension_type) {
                return Err(LeafFault::ExtensionTwice(extension_type));
            }
            if !has_its_content(extension) {
                return Err(LeafFault::ExtensionContent(extension_type));
            }
            if (self.must_be_listed)(extension_type) && !supported.contains(extension_type) {
                return Err(LeafFault::ExtensionNotListed(extension_type));
            }
        }
        Ok(())
    }
}

/// RFC 9420 §17.3 says where each type stands.
fn is_for_leaf(extension_type: ExtensionType) -> bool {
    let is_for_others = extension_type.is_default() && extension_type != ExtensionType::APPLICATION_ID;
    !is_for_others && extension_type != ExtensionType::LAST_RESORT
}

/// Of the types that may stand in a leaf or in a KeyPackage, these have a form that is known.
fn has_its_content(extension: Extension<'_>) -> bool {
    match extension.extension_type {
        ExtensionType::APPLICATION_ID => {
            let mut rest = Reader(extension.data);
            rest.vector().is_ok() && rest.0.is_empty()
        }
        ExtensionType::LAST_RESORT => extension.data.is_empty(),
        _ => true,
    }
}

/// A set of types, a bit each: lists of thousands of types take a time linear in the bytes.
struct Types([u64; 1_024]);

impl Default for Types {
    fn default() -> Self {
        Self([0; 1_024])
    }
}

impl Types {
    /// `false`, if the type was there.
    fn insert(&mut self, extension_type: ExtensionType) -> bool {
        let bit = 1 << (extension_type.0 % 64);
        let word = &mut self.0[usize::from(extension_type.0 / 64)];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn contains(&self, extension_type: ExtensionType) -> bool {
        self.0[usize::from(extension_type.0 / 64)] & 1 << (extension_type.0 % 64) != 0
    }
}
