use std::fmt;

use crate::hex;

/// Identifies who holds leases: 16 random bytes, chosen once by each process. Two holders of the same bytes are one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseHolder([u8; 16]);

impl LeaseHolder {
    /// Takes 16 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Written as lowercase hexadecimal.
#[cfg(feature = "serde")]
impl serde::Serialize for LeaseHolder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::serialize(&self.0, serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for LeaseHolder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = hex::deserialize(deserializer)?;
        let found = bytes.len();
        let holder = bytes.try_into().map(Self);
        holder.map_err(|_| serde::de::Error::invalid_length(found, &"16 bytes"))
    }
}

/// Shows the first four bytes: enough to tell processes apart in a log.
impl fmt::Debug for LeaseHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseHolder({})", hex::encode(&self.0[..4]))
    }
}
