use std::fmt;

use crate::key_package::{CredentialType, ExtensionType, ProposalType};

/// Names one type of extension, proposal or credential: the registry, then the number, big-endian.
pub(super) type TypeName = [u8; 3];

/// Names a registry of types in a [`TypeName`]. Stores keep these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Registry {
    Extensions = 1,
    Proposals = 2,
    Credentials = 3,
}

impl Registry {
    pub(super) const ALL: [Self; 3] = [Self::Extensions, Self::Proposals, Self::Credentials];

    pub(super) const fn name(self, number: u16) -> TypeName {
        let [high, low] = number.to_be_bytes();
        [self as u8, high, low]
    }

    /// Returns the numbers of this registry.
    pub(super) fn numbers(self, names: &[TypeName]) -> impl Iterator<Item = u16> {
        let of_registry = names.iter().filter(move |name| name[0] == self as u8);
        of_registry.map(|[_, high, low]| u16::from_be_bytes([*high, *low]))
    }
}

/// Returns whether every client supports the type, whatever its leaf lists (RFC 9420 §7.2).
pub(super) const fn is_default(name: TypeName) -> bool {
    let number = u16::from_be_bytes([name[1], name[2]]);
    match name[0] {
        1 => ExtensionType(number).is_default(),
        2 => ProposalType(number).is_default(),
        _ => false,
    }
}

/// Returns whether the number is reserved for GREASE, in whatever registry (RFC 9420 §13.5).
pub(super) const fn is_grease(name: TypeName) -> bool {
    CredentialType(u16::from_be_bytes([name[1], name[2]])).is_grease()
}

/// Shows the numbers by registry.
pub(super) fn show(title: &str, names: &[TypeName], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let of = |registry: Registry| registry.numbers(names).collect::<Vec<_>>();
    f.debug_struct(title)
        .field("extensions", &of(Registry::Extensions))
        .field("proposals", &of(Registry::Proposals))
        .field("credentials", &of(Registry::Credentials))
        .finish()
}
