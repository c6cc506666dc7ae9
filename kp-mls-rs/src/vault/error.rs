use kp_core::Ciphersuite;
use mls_rs::error::{AnyError, MlsError};

/// Why an [`MlsRsVault`](crate::MlsRsVault) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The app has no client for this ciphersuite: log in, or leave the ciphersuite out of the pool's plan.
    #[error("no client for the ciphersuite {0}")]
    NoClient(Ciphersuite),
    /// The app's client made a KeyPackage of another ciphersuite than it was asked for.
    #[error("the client made a KeyPackage of the ciphersuite {0}")]
    OtherCiphersuite(Ciphersuite),
    /// The app's client stored the key elsewhere than in the storage that the vault gave it.
    #[error("the client did not use the storage that it was given")]
    OtherStorage,
    /// The app's client does not list the last-resort extension (type 10) among its extension types, without which a
    /// last-resort package is valid nowhere.
    #[error("a last-resort KeyPackage must list the last-resort extension among its capabilities")]
    LastResortNotListed,
    /// The lifetime is none that a pool can keep.
    #[error("the lifetime of a KeyPackage must begin before it ends, within the bounds of a timestamp")]
    Lifetime,
    /// A package is too large to be stored or uploaded.
    #[error("the KeyPackage is too large")]
    TooLarge,
    /// What lies in the storage cannot be read as a KeyPackage.
    #[error("the storage of mls-rs holds no KeyPackage under this ref")]
    Unreadable(#[from] kp_core::key_package::UnreadableKeyPackage),
    /// mls-rs could not make a package.
    #[error("cannot generate a KeyPackage")]
    Generate(#[from] MlsError),
    /// The credential could not be encoded.
    #[error("cannot encode the credential")]
    Encoding(#[from] mls_rs::mls_rs_codec::Error),
    /// The app's storage failed.
    #[error("the storage of mls-rs failed")]
    Storage(#[source] AnyError),
}
