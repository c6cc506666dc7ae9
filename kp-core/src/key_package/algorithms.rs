use super::unverified::UnverifiedKeyPackage;
use crate::Ciphersuite;
use crate::protocol::{KeyFault, PublicKeyField, Refusal};

/// Names the two algorithms of a ciphersuite whose public keys stand in a KeyPackage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeyAlgorithms {
    /// The KEM of `init_key` and `encryption_key`, by its number in the IANA registry of HPKE.
    pub kem: u16,
    /// The scheme of `signature_key`, by its number in the IANA registry of TLS.
    pub signature: u16,
}

impl KeyAlgorithms {
    /// DHKEM(X25519, HKDF-SHA256).
    pub const X25519: u16 = 0x0020;

    /// Joins a KEM and a signature scheme.
    #[must_use]
    pub const fn new(kem: u16, signature: u16) -> Self {
        Self { kem, signature }
    }

    /// Returns the algorithms of a ciphersuite of RFC 9420 §17.1; `None` for every other one.
    #[must_use]
    pub const fn of(ciphersuite: Ciphersuite) -> Option<Self> {
        Some(match ciphersuite.0 {
            1 | 3 => Self::new(Self::X25519, 0x0807),
            2 => Self::new(0x0010, 0x0403),
            4 | 6 => Self::new(0x0021, 0x0808),
            5 => Self::new(0x0012, 0x0603),
            7 => Self::new(0x0011, 0x0503),
            _ => return None,
        })
    }

    /// Returns the length of a public key of the KEM (`Npk`); `None` for a KEM that is not known here.
    const fn kem_key_length(self) -> Option<usize> {
        Some(match self.kem {
            0x0010 => 65,
            0x0011 => 97,
            0x0012 => 133,
            Self::X25519 => 32,
            0x0021 => 56,
            0x0041 => 1_184,
            0x0042 => 1_568,
            0x004D | 0x647A => 1_216,
            _ => return None,
        })
    }

    /// Returns the length of a public key of the scheme: a NIST point is uncompressed (RFC 9420 §5.1.1). `None` for a scheme
    /// that is not known here.
    const fn signature_key_length(self) -> Option<usize> {
        Some(match self.signature {
            0x0403 => 65,
            0x0503 => 97,
            0x0603 => 133,
            0x0807 => 32,
            0x0808 => 57,
            0x0904 => 1_312,
            0x0905 => 1_952,
            0x0906 => 2_592,
            _ => return None,
        })
    }
}

impl UnverifiedKeyPackage<'_> {
    /// Compares the length of each public key with the length that keys of its algorithm have (RFC 9420 §5.1.1).
    ///
    /// The check finds points that a crypto provider reads in more than one form: MLS does not have the compressed form of
    /// a NIST point, and nobody could open what is sealed to such a key. A key of an algorithm that is not known here passes.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidKey`], with the first key of another length.
    pub fn check_key_lengths(&self, algorithms: KeyAlgorithms) -> Result<(), Refusal> {
        let leaf = self.leaf_node();
        let hpke = algorithms.kem_key_length();
        for (key, bytes, expected) in [
            (PublicKeyField::InitKey, self.init_key(), hpke),
            (PublicKeyField::EncryptionKey, leaf.encryption_key(), hpke),
            (
                PublicKeyField::SignatureKey,
                leaf.signature_key(),
                algorithms.signature_key_length(),
            ),
        ] {
            let found = bytes.len();
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                return Err(Refusal::InvalidKey(KeyFault::Length { key, found, expected }));
            }
        }
        Ok(())
    }
}
