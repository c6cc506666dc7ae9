use kp_core::client::{KeyVault, MetadataRejection};
use kp_core::protocol::TransportError;
use kp_core::{Ciphersuite, Error};

/// Why a call of a [`KeyPackagePool`](crate::KeyPackagePool) failed; `E` is what its vault fails with.
///
/// Whatever the failure, call [`refresh`](crate::KeyPackagePool::refresh) again later: it finds what was left half done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError<E> {
    /// None of the packages named is this pool's: the Welcome is not for this client, or its package is long spent.
    #[error("no such KeyPackage in this pool")]
    UnknownPackage,
    /// The package is past its `not_after`. Its key was not touched; ask the other side to add this client anew.
    #[error("the KeyPackage has expired")]
    ExpiredPackage,
    /// The pool knows the package, but its key is gone: the Welcome was processed before, or the storage was reset.
    #[error("the key of the KeyPackage is gone")]
    KeyGone,
    /// The pool has no plan for this ciphersuite.
    #[error("the pool has no plan for the ciphersuite {0}")]
    NotPlanned(Ciphersuite),
    /// The server did not answer for each package. Nothing was concluded from it.
    #[error("the server answered for {found} packages out of {asked}")]
    AnswersMissing {
        /// How many packages it was asked about.
        asked: usize,
        /// How many it answered for.
        found: usize,
    },
    /// The server was not reached, or did not answer. What was uploaded may have arrived; the same packages go out again.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The metadata store refused, or failed.
    #[error("the metadata of the pool cannot be used")]
    Metadata(#[from] Error<MetadataRejection>),
    /// The vault failed.
    #[error("the keys of the pool cannot be used")]
    Vault(#[source] E),
}

/// The answer of a pool whose vault is `V`.
pub(crate) type Result<T, V> = std::result::Result<T, PoolError<<V as KeyVault>::Error>>;
