use std::fmt;

use super::reader::write_vector;

/// Holds a signed part of a KeyPackage, and its signature.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signed<'a> {
    /// The label of `VerifyWithLabel`: `LeafNodeTBS` or `KeyPackageTBS`.
    pub label: &'static str,
    /// The bytes of that struct.
    pub content: &'a [u8],
    /// The signature, by the leaf's signature key.
    pub signature: &'a [u8],
}

impl Signed<'_> {
    /// Writes the `SignContent` that the signature is over (RFC 9420 §5.1.2).
    #[must_use]
    pub fn sign_content(&self) -> Vec<u8> {
        labelled(&["MLS 1.0 ", self.label], self.content)
    }
}

/// Writes a label and a content, each as `opaque<V>`.
pub(super) fn labelled(label: &[&str], content: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(content.len() + 40);
    let label: Vec<&[u8]> = label.iter().map(|part| part.as_bytes()).collect();
    write_vector(&label, &mut written);
    write_vector(&[content], &mut written);
    written
}

/// Hides content and signature.
impl fmt::Debug for Signed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({}, {} bytes)", self.label, self.content.len())
    }
}
