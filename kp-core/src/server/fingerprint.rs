use std::fmt;

/// Identifies the init key of a KeyPackage by the first 8 bytes of the key's SHA-256 ([SAVE-9](crate::contract::SAVE_9)).
///
/// The fingerprint is no secret, and the same on every node and in every release. Of a key with several parts, such as a
/// hybrid one, all parts are hashed. An [`Admission`](crate::server::Admission) hashes with the library that it has anyway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InitKeyFingerprint([u8; 8]);

impl InitKeyFingerprint {
    /// Takes the first 8 bytes of a SHA-256 over the init key.
    ///
    /// ```
    /// use kp_core::server::InitKeyFingerprint;
    ///
    /// let sha256_of_nothing = [
    ///     0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, //
    ///     0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    /// ];
    /// let fingerprint = InitKeyFingerprint::of_sha256(sha256_of_nothing);
    /// assert_eq!(fingerprint.as_bytes(), &[0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14]);
    /// ```
    #[must_use]
    pub const fn of_sha256(hash: [u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Self([a, b, c, d, e, f, g, h])
    }

    /// Reads a fingerprint that a store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, which a store keeps.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for InitKeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InitKeyFingerprint({})", crate::hex::encode(&self.0))
    }
}
