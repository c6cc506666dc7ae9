use std::fmt;

use super::code_point::{ExtensionType, ProtocolVersion};
use super::extensions::Extensions;
use super::leaf_node::UnverifiedLeafNode;
use super::reader::{Reader, UnreadableKeyPackage};
use super::signed::{Signed, labelled};
use crate::{Ciphersuite, Role};

/// The wire format of an `MLSMessage` that holds a KeyPackage (RFC 9420 §6): `mls10`, `mls_key_package`; then the first byte
/// of the version of the KeyPackage itself. A bare KeyPackage of ciphersuite 5 begins with the same four bytes, but no
/// init key has the length 0 that would have to follow.
const WRAPPED: [u8; 5] = [0, 1, 0, 5, 0];

/// Shows a KeyPackage as it lies in its bytes (RFC 9420 §10), before anything is verified.
///
/// - A view borrows the bytes. Reading allocates nothing, never panics, and takes a time linear in the bytes.
/// - The bytes are exactly one KeyPackage, bare or wrapped in an `MLSMessage`. Trailing bytes are refused, and so are lengths
///   in more bytes than they need: one KeyPackage has one encoding, and so one ref.
/// - `Debug` hides keys, credential, contents and signatures ([ERR-4](crate::contract::ERR_4)).
#[derive(Clone, Copy)]
pub struct UnverifiedKeyPackage<'a> {
    bytes: &'a [u8],
    version: ProtocolVersion,
    ciphersuite: Ciphersuite,
    init_key: &'a [u8],
    leaf_node: UnverifiedLeafNode<'a>,
    extensions: Extensions<'a>,
    signed: Signed<'a>,
}

impl<'a> UnverifiedKeyPackage<'a> {
    /// Finds the bare KeyPackage of an upload, which may be wrapped in an `MLSMessage` ([ADM-1](crate::contract::ADM_1)).
    /// Reads only the first bytes.
    #[must_use]
    pub fn bare(uploaded: &'a [u8]) -> &'a [u8] {
        if uploaded.starts_with(&WRAPPED) {
            &uploaded[4..]
        } else {
            uploaded
        }
    }

    /// Reads an uploaded KeyPackage, bare or wrapped.
    ///
    /// The bytes have no bound here. An admission compares their number with its own bound first.
    ///
    /// # Errors
    ///
    /// [`UnreadableKeyPackage`], if the bytes are not exactly one KeyPackage with a leaf for a KeyPackage.
    pub fn read(uploaded: &'a [u8]) -> Result<Self, UnreadableKeyPackage> {
        let bytes = Self::bare(uploaded);
        let mut rest = Reader(bytes);
        let version = ProtocolVersion(rest.u16()?);
        let ciphersuite = Ciphersuite(rest.u16()?);
        let init_key = rest.vector()?;
        let leaf_node = UnverifiedLeafNode::read(&mut rest)?;
        let extensions = Extensions::read(rest.vector()?)?;
        let content = Reader(bytes).up_to(rest);
        let signed = Signed {
            label: "KeyPackageTBS",
            content,
            signature: rest.vector()?,
        };
        if !rest.0.is_empty() {
            return Err(UnreadableKeyPackage::TrailingBytes);
        }
        Ok(Self {
            bytes,
            version,
            ciphersuite,
            init_key,
            leaf_node,
            extensions,
            signed,
        })
    }

    /// Returns the bytes of the bare KeyPackage: what is hashed, stored and handed out.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the version of MLS.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Returns the ciphersuite.
    #[must_use]
    pub const fn ciphersuite(&self) -> Ciphersuite {
        self.ciphersuite
    }

    /// Returns the HPKE public key of the KeyPackage: of any bytes, of any length.
    #[must_use]
    pub const fn init_key(&self) -> &'a [u8] {
        self.init_key
    }

    /// Returns the leaf.
    #[must_use]
    pub const fn leaf_node(&self) -> &UnverifiedLeafNode<'a> {
        &self.leaf_node
    }

    /// Returns the extensions of the KeyPackage; the leaf has its own.
    #[must_use]
    pub const fn extensions(&self) -> Extensions<'a> {
        self.extensions
    }

    /// Returns whether the KeyPackage is marked as a last resort, by an extension of its own.
    #[must_use]
    pub fn is_last_resort(&self) -> bool {
        self.extensions.get(ExtensionType::LAST_RESORT).is_some()
    }

    /// Returns the role, by the last-resort mark.
    #[must_use]
    pub fn role(&self) -> Role {
        Role::of(self.is_last_resort())
    }

    /// Returns the `KeyPackageTBS`, and the signature over it.
    #[must_use]
    pub const fn signed(&self) -> Signed<'a> {
        self.signed
    }

    /// Writes what is hashed into the KeyPackage's ref, by the hash of the ciphersuite (`RefHash`, RFC 9420 §5.2).
    #[must_use]
    pub fn ref_hash_input(&self) -> Vec<u8> {
        labelled(&["MLS 1.0 KeyPackage Reference"], self.bytes)
    }
}

impl fmt::Debug for UnverifiedKeyPackage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedKeyPackage")
            .field("version", &self.version)
            .field("ciphersuite", &self.ciphersuite)
            .field("leaf_node", &self.leaf_node)
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}
