use kp_core::Ciphersuite;
use serde::{Deserialize, Serialize};

/// Tells an owner that its pool stands worse than before, so that it can upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PoolNotice {
    /// How the pool stands: `low`, `exhausted`, `last_resort_used` or `memory_full`, or a code of a later release.
    pub kind: String,
    /// The ciphersuite; none for what all ciphersuites share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<u16>))]
    pub ciphersuite: Option<Ciphersuite>,
}

impl PoolNotice {
    /// Tells this of a ciphersuite, or of all.
    #[must_use]
    pub const fn new(kind: String, ciphersuite: Option<Ciphersuite>) -> Self {
        Self { kind, ciphersuite }
    }
}
