use super::reader::Reader;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`, before the version of a certificate.
const VERSION: u8 = 0xA0;

/// Returns the public key of the first of `Certificate certificates<V>` (RFC 9420 §5.3), without the list's own length.
pub(super) fn end_entity_key(certificates: &[u8]) -> Option<&[u8]> {
    let mut rest = Reader(certificates);
    let end_entity = rest.vector().ok()?;
    while !rest.0.is_empty() {
        rest.vector().ok()?;
    }
    subject_public_key(end_entity)
}

/// Walks through a DER certificate (RFC 5280 §4.1) to the bits of its `subjectPublicKey`.
fn subject_public_key(certificate: &[u8]) -> Option<&[u8]> {
    let mut outer = Der(certificate);
    let mut certificate = Der(outer.value(SEQUENCE)?);
    let mut fields = Der(certificate.value(SEQUENCE)?);
    if fields.0.first() == Some(&VERSION) {
        fields.value(VERSION)?;
    }
    fields.value(INTEGER)?; // serialNumber
    // signature, issuer, validity, subject
    for _ in 0..4 {
        fields.value(SEQUENCE)?;
    }
    let mut key_info = Der(fields.value(SEQUENCE)?);
    key_info.value(SEQUENCE)?; // algorithm
    let (unused_bits, key) = key_info.value(BIT_STRING)?.split_first()?;
    (outer.0.is_empty() && *unused_bits == 0).then_some(key)
}

/// Holds what is left of a run of DER elements.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Reads the next element, which must have this tag, and returns its content.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_first_chunk::<2>()?;
        let [found, first] = *head;
        if found != tag {
            return None;
        }
        let (len, rest) = match first {
            0..=0x7F => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
                let len = bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
                (len, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(value)
    }
}
