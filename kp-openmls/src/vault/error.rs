use kp_core::Ciphersuite;
use openmls::prelude::{KeyPackageNewError, LibraryError};
use openmls_traits::types::CryptoError;

/// Why an [`OpenMlsVault`](crate::OpenMlsVault) failed; `S` is what the app's storage fails with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError<S> {
    /// OpenMLS does not know this ciphersuite. Leave it out of the pool's plan.
    #[error("OpenMLS does not know the ciphersuite {0}")]
    UnknownCiphersuite(Ciphersuite),
    /// The app has no identity for this ciphersuite: log in, or leave the ciphersuite out of the pool's plan.
    #[error("no identity for the ciphersuite {0}")]
    NoIdentity(Ciphersuite),
    /// The hook took `LastResort` out of the capabilities, without which a last-resort package is valid nowhere.
    #[error("a last-resort KeyPackage must list LastResort among its capabilities")]
    LastResortNotListed,
    /// The lifetime asked for is none that a pool can keep.
    #[error("the lifetime of a KeyPackage must begin before it ends, within the bounds of a timestamp")]
    Lifetime,
    /// A package is too large to be stored or uploaded.
    #[error("the KeyPackage is too large")]
    TooLarge,
    /// OpenMLS could not make a package.
    #[error("cannot generate a KeyPackage")]
    Generate(#[from] KeyPackageNewError),
    /// The crypto provider failed.
    #[error("the crypto provider failed")]
    Crypto(#[from] CryptoError),
    /// OpenMLS failed where it should not.
    #[error("OpenMLS failed")]
    Library(#[from] LibraryError),
    /// A package or its ref could not be encoded.
    #[error("cannot encode a KeyPackage")]
    Encoding(#[from] openmls::prelude::tls_codec::Error),
    /// The app's storage failed.
    #[error("the storage of OpenMLS failed")]
    Storage(#[source] S),
}
