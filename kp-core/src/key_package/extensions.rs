use std::fmt;

use super::code_point::ExtensionType;
use super::reader::{Reader, UnreadableKeyPackage};

/// Holds one extension of a leaf or of a KeyPackage.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extension<'a> {
    /// The type.
    pub extension_type: ExtensionType,
    /// The content, whose form the type decides.
    pub data: &'a [u8],
}

/// Hides the content.
impl fmt::Debug for Extension<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extension({}, {} bytes)", self.extension_type, self.data.len())
    }
}

/// Lists extensions, in the order of the bytes. A list may hold a type twice, which RFC 9420 §13.4 forbids:
/// [`UnverifiedKeyPackage::check`](super::UnverifiedKeyPackage::check) finds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Extensions<'a>(&'a [u8]);

impl<'a> Extensions<'a> {
    /// Reads the list to its end, so that no iteration fails.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, UnreadableKeyPackage> {
        let mut rest = Reader(bytes);
        while !rest.0.is_empty() {
            next(&mut rest).map_err(|error| match error {
                UnreadableKeyPackage::Truncated => UnreadableKeyPackage::InvalidList,
                error => error,
            })?;
        }
        Ok(Self(bytes))
    }

    /// Returns the extensions.
    pub fn iter(self) -> impl Iterator<Item = Extension<'a>> {
        let mut rest = Reader(self.0);
        std::iter::from_fn(move || next(&mut rest).ok())
    }

    /// Returns the first extension of a type.
    #[must_use]
    pub fn get(self, extension_type: ExtensionType) -> Option<Extension<'a>> {
        self.iter().find(|extension| extension.extension_type == extension_type)
    }
}

fn next<'a>(rest: &mut Reader<'a>) -> Result<Extension<'a>, UnreadableKeyPackage> {
    let extension_type = ExtensionType(rest.u16()?);
    let data = rest.vector()?;
    Ok(Extension { extension_type, data })
}

/// Hides the contents.
impl fmt::Debug for Extensions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
