/// Says why bytes cannot be read as a KeyPackage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableKeyPackage {
    /// The bytes end inside of a field.
    #[error("the bytes end inside of a field")]
    Truncated,
    /// Bytes follow the KeyPackage.
    #[error("bytes follow the KeyPackage")]
    TrailingBytes,
    /// A length is encoded in more bytes than it needs, or begins with two bits set (RFC 9420 §2.1.2).
    #[error("a length is not encoded as RFC 9420 §2.1.2 demands")]
    InvalidLength,
    /// A list ends inside of an item.
    #[error("a list ends inside of an item")]
    InvalidList,
    /// The leaf's source is none that exists: 1 to 3.
    #[error("no leaf_node_source has the number {0}")]
    InvalidSource(u8),
    /// The leaf is of an Update (2) or of a Commit (3), and so of no KeyPackage (RFC 9420 §10).
    #[error("the leaf_node_source is {0}, and not key_package")]
    OtherSource(u8),
}

use UnreadableKeyPackage::{InvalidLength, Truncated};

/// Holds what is left to read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], UnreadableKeyPackage> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnreadableKeyPackage> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, UnreadableKeyPackage> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, UnreadableKeyPackage> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, UnreadableKeyPackage> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads `opaque<V>`: a length of 1, 2 or 4 bytes, whose first two bits say which, then so many bytes (RFC 9420
    /// §2.1.2).
    pub(super) fn vector(&mut self) -> Result<&'a [u8], UnreadableKeyPackage> {
        let first = self.u8()?;
        let (more, least) = match first >> 6 {
            0 => (0, 0),
            1 => (1, 1 << 6),
            2 => (3, 1 << 14),
            _ => return Err(InvalidLength),
        };
        let high = usize::from(first & 0x3F);
        let low = self.take(more)?;
        let len = low.iter().fold(high, |len, byte| len << 8 | usize::from(*byte));
        if len < least {
            return Err(InvalidLength);
        }
        self.take(len)
    }

    /// Returns what was read between here and a later place of the same bytes.
    pub(super) fn up_to(self, later: Self) -> &'a [u8] {
        let read = self.0.len().saturating_sub(later.0.len());
        self.0.get(..read).unwrap_or_default()
    }
}

/// Appends `opaque<V>`, with the shortest length (RFC 9420 §2.1.2).
pub(super) fn write_vector(parts: &[&[u8]], written: &mut Vec<u8>) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    match len {
        0..0x40 => written.push(len as u8),
        0x40..0x4000 => written.extend((len as u16 | 0x4000).to_be_bytes()),
        _ => written.extend((len as u32 | 0x8000_0000).to_be_bytes()),
    }
    for part in parts {
        written.extend_from_slice(part);
    }
}
