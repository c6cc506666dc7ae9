use std::collections::BTreeMap;

use kp_core::protocol::{CiphersuiteStatus, Health, PoolStatus, UploadOutcome};
use kp_core::server::WithdrawOutcome;
use kp_core::{Ciphersuite, KeyPackageRef};
use serde::{Deserialize, Serialize};

use crate::wire::Base64;

/// KeyPackages for the caller's own pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UploadRequest {
    /// The KeyPackages, bare or wrapped in an MLSMessage, in base64.
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    pub key_packages: Vec<Base64>,
    /// Replaces what the pool holds of the ciphersuites uploaded, in one step.
    #[serde(default)]
    pub replace: bool,
    /// Stores nothing unless the admission takes all.
    #[serde(default)]
    pub all_admitted: bool,
}

impl UploadRequest {
    /// Uploads these KeyPackages, appended to what the pool holds.
    pub fn new(key_packages: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self {
            key_packages: key_packages.into_iter().map(|bytes| Base64(bytes.into())).collect(),
            replace: false,
            all_admitted: false,
        }
    }

    /// Replaces what the pool holds of the ciphersuites uploaded. Default: appends.
    #[must_use]
    pub fn replace(self) -> Self {
        Self { replace: true, ..self }
    }

    /// Stores nothing unless the admission takes all. Default: stores the others.
    #[must_use]
    pub fn all_admitted(self) -> Self {
        Self {
            all_admitted: true,
            ..self
        }
    }
}

/// What became of each KeyPackage of an upload, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct UploadAnswer {
    /// The code of each outcome; a detail for the client's author may follow a code, after a colon and a space.
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>, example = json!(["saved", "already_stored"])))]
    pub outcomes: Vec<UploadOutcome>,
}

impl UploadAnswer {
    /// Tells these outcomes.
    #[must_use]
    pub const fn new(outcomes: Vec<UploadOutcome>) -> Self {
        Self { outcomes }
    }
}

/// How the caller's own pool is doing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatusAnswer {
    /// The health of the ciphersuite that is worst off.
    pub health: Health,
    /// Whether the pool remembers as many one-time packages as it can, and takes no more until some expire.
    pub memory_full: bool,
    /// The status of each ciphersuite of which the pool has a record.
    pub ciphersuites: BTreeMap<Ciphersuite, CiphersuiteStatus>,
    /// How many one-time packages the pool's memory still takes.
    pub room: u32,
}

impl From<PoolStatus> for StatusAnswer {
    fn from(status: PoolStatus) -> Self {
        Self {
            health: status.health(),
            memory_full: status.is_memory_full(),
            ciphersuites: status.ciphersuites,
            room: status.room,
        }
    }
}

impl From<StatusAnswer> for PoolStatus {
    fn from(answer: StatusAnswer) -> Self {
        Self::new(answer.ciphersuites, answer.room)
    }
}

/// The KeyPackages that the caller knows of its own pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SyncRequest {
    /// The refs, in hexadecimal.
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    pub refs: Vec<KeyPackageRef>,
}

impl SyncRequest {
    /// Names these KeyPackages.
    pub fn new(refs: impl Into<Vec<KeyPackageRef>>) -> Self {
        Self { refs: refs.into() }
    }
}

/// The KeyPackages that the caller withdraws from its own pool: either some, or all. What is left out by mistake never
/// empties a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WithdrawRequest {
    /// The refs, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub refs: Option<Vec<KeyPackageRef>>,
    /// Withdraws all that is unspent.
    #[serde(default)]
    pub all: bool,
}

impl WithdrawRequest {
    /// Withdraws these KeyPackages.
    pub fn refs(refs: impl Into<Vec<KeyPackageRef>>) -> Self {
        Self {
            refs: Some(refs.into()),
            all: false,
        }
    }

    /// Withdraws all that is unspent.
    #[must_use]
    pub const fn all() -> Self {
        Self { refs: None, all: true }
    }
}

/// What became of each KeyPackage of a withdrawal, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WithdrawAnswer {
    /// One for each KeyPackage.
    pub withdrawn: Vec<WithdrawnKeyPackage>,
}

impl FromIterator<(KeyPackageRef, WithdrawOutcome)> for WithdrawAnswer {
    fn from_iter<I: IntoIterator<Item = (KeyPackageRef, WithdrawOutcome)>>(outcomes: I) -> Self {
        let outcomes = outcomes.into_iter();
        let withdrawn = outcomes.map(|(key_package_ref, outcome)| WithdrawnKeyPackage {
            key_package_ref,
            outcome,
        });
        Self {
            withdrawn: withdrawn.collect(),
        }
    }
}

/// What became of one KeyPackage of a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WithdrawnKeyPackage {
    /// The KeyPackage.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub key_package_ref: KeyPackageRef,
    /// `withdrawn`, `already_spent` or `not_found`.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub outcome: WithdrawOutcome,
}
