use kp_core::client::{KeyVault, MetadataRejection};
use kp_core::protocol::TransportError;
use kp_core::{Ciphersuite, Error, Timestamp};

/// A call of a [`KeyPackagePool`](crate::KeyPackagePool) failed. `E` is the error of its vault.
///
/// Whatever the failure, call [`refresh`](crate::KeyPackagePool::refresh) again later: it finds what was left half done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError<E> {
    /// None of the KeyPackages named is this pool's: the Welcome is not for this client, or its KeyPackage is past its
    /// `not_after`.
    #[error("no such KeyPackage in this pool")]
    UnknownPackage,
    /// A Welcome was processed with the one-time KeyPackage before: the Welcome came twice, or another one names the same
    /// KeyPackage. Said until the KeyPackage's `not_after`, for the last 1,000 that were used.
    #[error("the KeyPackage was used before")]
    AlreadyUsed {
        /// When it was recorded as used, in whole seconds. `None` for a row from another table that did not say when.
        at: Option<Timestamp>,
    },
    /// The KeyPackage is past its `not_after`. Its key was not touched. Ask the other side to add this client anew.
    #[error("the KeyPackage has expired")]
    ExpiredPackage,
    /// The pool knows the KeyPackage, but its key is gone: the storage was reset, or a join died just after it had succeeded.
    /// The next refresh finds out.
    #[error("the key of the KeyPackage is gone")]
    KeyGone,
    /// The pool has no plan for this ciphersuite.
    #[error("the pool has no plan for the ciphersuite {0}")]
    NotPlanned(Ciphersuite),
    /// Another process of this client was at the storage for longer than the [`timeout`](crate::PoolBuilder::timeout), or took
    /// over while this call stood still. Nothing is lost: call again.
    #[error("another process of this client is at the storage")]
    Busy,
    /// Another process of this client began to join with the KeyPackage a moment ago: with the same Welcome, most likely. Call
    /// again then, and the answer is [`AlreadyUsed`](Self::AlreadyUsed), unless that join failed or died.
    #[error("another process joins with the KeyPackage")]
    JoinUnderWay {
        /// When to call again.
        until: Timestamp,
    },
    /// The server did not answer for each KeyPackage. The pool concluded nothing from the answer.
    #[error("the server answered for {found} packages out of {asked}")]
    AnswersMissing {
        /// How many packages it was asked about.
        asked: usize,
        /// How many it answered for.
        found: usize,
    },
    /// The server was not reached, or did not answer. What was uploaded may have arrived; the same KeyPackages go out again.
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
