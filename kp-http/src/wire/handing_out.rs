use std::borrow::Cow;
use std::fmt;

use kp_core::key_package::{CredentialType, ExtensionType, ProposalType};
use kp_core::server::{Requirements, TooManyTypes};
use kp_core::{Ciphersuite, GroupId, KeyPackageRef, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use crate::wire::Base64;

/// Which KeyPackages will do. Default: any.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TakeRequest {
    /// The ciphersuites accepted; none given means any.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = Vec<u16>))]
    pub ciphersuites: Vec<Ciphersuite>,
    /// How many seconds of its lifetime a KeyPackage must have left at least.
    #[serde(default)]
    pub remaining: u32,
    /// What the owner must support: what the group's `required_capabilities` list (RFC 9420 §11.1).
    #[serde(default)]
    pub requires: Required,
    /// Takes no last-resort package.
    #[serde(default)]
    pub one_time_only: bool,
    /// The group that a claim is for, in hexadecimal, to be remembered with the use. A reservation names the group when it is
    /// spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub group: Option<GroupId>,
}

impl TakeRequest {
    /// Asks for any KeyPackage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the ciphersuites accepted; their order means nothing. Default: any.
    #[must_use]
    pub fn ciphersuites(self, ciphersuites: impl IntoIterator<Item = Ciphersuite>) -> Self {
        Self {
            ciphersuites: ciphersuites.into_iter().collect(),
            ..self
        }
    }

    /// Sets how many seconds of its lifetime a KeyPackage must have left at least. Default: 0.
    #[must_use]
    pub fn remaining(self, seconds: u32) -> Self {
        Self {
            remaining: seconds,
            ..self
        }
    }

    /// Sets what the owner must support. Default: nothing.
    #[must_use]
    pub fn requires(self, requires: Required) -> Self {
        Self { requires, ..self }
    }

    /// Takes no last-resort package. Default: takes one when no one-time package fits.
    #[must_use]
    pub fn one_time_only(self) -> Self {
        Self {
            one_time_only: true,
            ..self
        }
    }

    /// Sets the group that a claim is for. Default: not told.
    #[must_use]
    pub fn group(self, group: GroupId) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }
}

/// Types that the owner of a KeyPackage must support, by their numbers. Default: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Required {
    /// Types of extensions.
    pub extensions: Vec<u16>,
    /// Types of proposals.
    pub proposals: Vec<u16>,
    /// Types of credentials.
    pub credentials: Vec<u16>,
}

impl Required {
    /// Requires nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the types of extensions. Default: none.
    #[must_use]
    pub fn extensions(self, types: impl IntoIterator<Item = ExtensionType>) -> Self {
        let extensions = types.into_iter().map(|kind| kind.0).collect();
        Self { extensions, ..self }
    }

    /// Sets the types of proposals. Default: none.
    #[must_use]
    pub fn proposals(self, types: impl IntoIterator<Item = ProposalType>) -> Self {
        let proposals = types.into_iter().map(|kind| kind.0).collect();
        Self { proposals, ..self }
    }

    /// Sets the types of credentials. Default: none.
    #[must_use]
    pub fn credentials(self, types: impl IntoIterator<Item = CredentialType>) -> Self {
        let credentials = types.into_iter().map(|kind| kind.0).collect();
        Self { credentials, ..self }
    }
}

impl TryFrom<&Required> for Requirements {
    type Error = TooManyTypes;

    fn try_from(required: &Required) -> Result<Self, TooManyTypes> {
        Self::new()
            .extensions(required.extensions.iter().copied().map(ExtensionType))?
            .proposals(required.proposals.iter().copied().map(ProposalType))?
            .credentials(required.credentials.iter().copied().map(CredentialType))
    }
}

/// The answer to one item of a batch: it was done, or the rules refuse it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use = "an item may be refused"]
pub enum Answer<T> {
    /// The item was done.
    Ok(T),
    /// The rules refuse the item, for the reason of this code.
    Refused(Code),
}

impl<T> Answer<T> {
    /// Returns what was done, or the code of the refusal.
    ///
    /// # Errors
    ///
    /// The code of the refusal.
    pub fn into_result(self) -> Result<T, Code> {
        match self {
            Self::Ok(done) => Ok(done),
            Self::Refused(code) => Err(code),
        }
    }
}

/// The stable code of a refusal: that of a [`Rejection`], or one that this release does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// Returns the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the rejection of this code; `None` if this release knows none.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        Rejection::ALL
            .iter()
            .copied()
            .find(|rejection| rejection.code() == self.0)
    }
}

impl From<Rejection> for Code {
    fn from(rejection: Rejection) -> Self {
        Self(Cow::Borrowed(rejection.code()))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Code {}

/// One answer for each device of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DevicesAnswer {
    /// The devices, in the server's order.
    pub devices: Vec<DeviceAnswer>,
}

impl DevicesAnswer {
    /// Joins the answers for all devices.
    #[must_use]
    pub const fn new(devices: Vec<DeviceAnswer>) -> Self {
        Self { devices }
    }
}

/// The answer for one device of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeviceAnswer {
    /// The device, as the server names it.
    pub device: String,
    /// A KeyPackage of the device, or why there is none.
    pub answer: Answer<HandedOut>,
}

impl DeviceAnswer {
    /// Answers for this device.
    pub const fn new(device: String, answer: Answer<HandedOut>) -> Self {
        Self { device, answer }
    }
}

/// A KeyPackage that was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct HandedOut {
    /// The bare KeyPackage, in base64.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub key_package: Base64,
    /// The ref, in hexadecimal.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub key_package_ref: KeyPackageRef,
    /// The ciphersuite.
    #[cfg_attr(feature = "server", schema(value_type = u16))]
    pub ciphersuite: Ciphersuite,
    /// Whether the KeyPackage is a last resort, which others get too.
    pub last_resort: bool,
    /// The lease of a KeyPackage that was reserved. A claimed one and a last resort have none: there is nothing to spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseGranted>,
}

impl HandedOut {
    /// Joins a KeyPackage and the lease that it may have.
    #[must_use]
    pub fn new(package: kp_core::KeyPackage, lease: Option<LeaseGranted>) -> Self {
        Self {
            key_package: Base64(package.bytes.as_ref().to_vec()),
            key_package_ref: package.info.key_package_ref,
            ciphersuite: package.info.ciphersuite,
            last_resort: package.info.role.is_last_resort(),
            lease,
        }
    }
}

/// The right to spend one KeyPackage.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LeaseGranted {
    /// Spends, renews or releases the KeyPackage, for the devices of the user that reserved it. Never log it.
    pub token: String,
    /// The first second, in Unix time, at which the lease no longer holds.
    #[cfg_attr(feature = "server", schema(value_type = i64))]
    pub expires_at: Timestamp,
}

impl LeaseGranted {
    /// Joins a token and the end of its lease.
    #[must_use]
    pub const fn new(token: String, expires_at: Timestamp) -> Self {
        Self { token, expires_at }
    }
}

/// Hides the token.
impl fmt::Debug for LeaseGranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseGranted")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The leases that are to be renewed or released, by their tokens.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TokensRequest {
    /// The tokens.
    pub tokens: Vec<String>,
}

impl TokensRequest {
    /// Names these tokens.
    pub fn new(tokens: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            tokens: tokens.into_iter().map(Into::into).collect(),
        }
    }
}

/// Counts the tokens, and hides them.
impl fmt::Debug for TokensRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokensRequest({} tokens)", self.tokens.len())
    }
}

/// The leases whose KeyPackages are used now, by their tokens.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SpendRequest {
    /// The tokens.
    pub tokens: Vec<String>,
    /// The group that the KeyPackages are used for, in hexadecimal, to be remembered with the use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub group: Option<GroupId>,
}

impl SpendRequest {
    /// Spends the leases of these tokens.
    pub fn new(tokens: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            tokens: tokens.into_iter().map(Into::into).collect(),
            group: None,
        }
    }

    /// Sets the group that the KeyPackages are used for. Default: not told.
    #[must_use]
    pub fn group(self, group: GroupId) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }
}

/// Counts the tokens, and hides them.
impl fmt::Debug for SpendRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpendRequest({} tokens)", self.tokens.len())
    }
}

/// One answer for each token, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokensAnswer<T> {
    /// The answers.
    pub answers: Vec<Answer<T>>,
}

impl<T> TokensAnswer<T> {
    /// Joins the answers for all tokens.
    pub const fn new(answers: Vec<Answer<T>>) -> Self {
        Self { answers }
    }
}

/// A lease was made longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LeaseRenewed {
    /// The first second, in Unix time, at which the lease no longer holds.
    #[cfg_attr(feature = "server", schema(value_type = i64))]
    pub expires_at: Timestamp,
}

impl LeaseRenewed {
    /// Tells the new end of a lease.
    #[must_use]
    pub const fn new(expires_at: Timestamp) -> Self {
        Self { expires_at }
    }
}

/// A KeyPackage was given back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LeaseReleased {}
