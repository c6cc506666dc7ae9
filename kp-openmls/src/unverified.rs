//! A KeyPackage as it lies in its bytes, before anything is verified.

/// The wire format of an `MLSMessage` that holds a KeyPackage (RFC 9420 §6): `mls10`, `mls_key_package`; then `mls10`
/// again, the version of the KeyPackage itself. A bare one of ciphersuite 5 begins with the same four bytes, but no init
/// key has the length 0 that would have to follow.
const WRAPPED: [u8; 6] = [0, 1, 0, 5, 0, 1];

/// `LastResort` among the extension types of MLS (RFC 9420 §17.3).
const LAST_RESORT: u16 = 0x000A;

/// `key_package` among the sources of a leaf node (RFC 9420 §7.2): the only one that has a lifetime.
const SOURCE_KEY_PACKAGE: u8 = 1;

/// The bare KeyPackage of an upload, which may be wrapped in an `MLSMessage` (`ADM-1`).
pub(crate) fn bare(uploaded: &[u8]) -> &[u8] {
    if uploaded.starts_with(&WRAPPED) {
        &uploaded[4..]
    } else {
        uploaded
    }
}

/// A KeyPackage read by the grammar of RFC 9420 §7.2 and §10: slices of its bytes, nothing allocated, nothing verified.
///
/// OpenMLS shows neither the lifetime nor the signed bytes of a KeyPackage that it has not validated by the system's
/// clock. Reading them here lets `now` decide, and lets cheap checks go before signatures (`ADM-3`).
pub(crate) struct Unverified<'a> {
    pub(crate) ciphersuite: u16,
    pub(crate) init_key: &'a [u8],
    pub(crate) signature_key: &'a [u8],
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) last_resort: bool,
    /// `LeafNodeTBS`, and the signature over it.
    pub(crate) leaf: (&'a [u8], &'a [u8]),
    /// `KeyPackageTBS`, and the signature over it.
    pub(crate) key_package: (&'a [u8], &'a [u8]),
}

impl<'a> Unverified<'a> {
    /// `None` for bytes that are not exactly one KeyPackage.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let _version = rest.u16()?;
        let ciphersuite = rest.u16()?;
        let init_key = rest.vector()?;

        let leaf = rest;
        let _encryption_key = rest.vector()?;
        let signature_key = rest.vector()?;
        let _credential_type = rest.u16()?;
        let _credential = rest.vector()?;
        // Versions, ciphersuites, extensions, proposals and credentials that the client is capable of.
        for _capability in 0..5 {
            rest.vector()?;
        }
        if rest.u8()? != SOURCE_KEY_PACKAGE {
            return None;
        }
        let not_before = rest.u64()?;
        let not_after = rest.u64()?;
        let _leaf_extensions = rest.vector()?;
        let leaf_tbs = leaf.up_to(rest);
        let leaf_signature = rest.vector()?;

        let mut extensions = Reader(rest.vector()?);
        let tbs = Reader(bytes).up_to(rest);
        let signature = rest.vector()?;
        if !rest.0.is_empty() {
            return None;
        }

        let mut last_resort = false;
        while !extensions.0.is_empty() {
            last_resort |= extensions.u16()? == LAST_RESORT;
            extensions.vector()?;
        }
        Some(Self {
            ciphersuite,
            init_key,
            signature_key,
            not_before,
            not_after,
            last_resort,
            leaf: (leaf_tbs, leaf_signature),
            key_package: (tbs, signature),
        })
    }
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// `opaque<V>`: a length of 1, 2 or 4 bytes, whose first two bits say which, then so many bytes (RFC 9420 §2.1.2).
    /// A length encoded in more bytes than it needs is found out when OpenMLS writes the KeyPackage back.
    fn vector(&mut self) -> Option<&'a [u8]> {
        let first = self.u8()?;
        let more = match first >> 6 {
            0 => 0,
            1 => 1,
            2 => 3,
            _ => return None,
        };
        let high = usize::from(first & 0x3F);
        let len = self
            .take(more)?
            .iter()
            .fold(high, |len, byte| len << 8 | usize::from(*byte));
        self.take(len)
    }

    /// What was read between here and a later place of the same bytes.
    fn up_to(self, later: Self) -> &'a [u8] {
        &self.0[..self.0.len() - later.0.len()]
    }
}
