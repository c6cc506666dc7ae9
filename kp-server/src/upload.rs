use std::fmt;

use kp_core::server::{SaveMode, Uploader};
use kp_core::{Error, PoolId};

/// KeyPackages that a client uploads to its pool.
#[derive(Clone)]
#[must_use]
pub struct Upload {
    pub(crate) pool: PoolId,
    pub(crate) by: Uploader,
    pub(crate) packages: Vec<Vec<u8>>,
    pub(crate) mode: SaveMode,
    pub(crate) all_admitted: bool,
}

impl Upload {
    /// These packages, as they came from the client, to be added to what the pool holds. `by` is who uploads, as the
    /// server authenticated it.
    pub fn new(pool: PoolId, by: Uploader, packages: Vec<Vec<u8>>) -> Self {
        Self {
            pool,
            by,
            packages,
            mode: SaveMode::Append,
            all_admitted: false,
        }
    }

    /// Replaces what the pool holds of the ciphersuites uploaded, in one step.
    ///
    /// If the admission refuses one KeyPackage, nothing is withdrawn and nothing is stored. What the *store* answers differs by
    /// package: of an upload beyond the cap a part is stored, and the former ones are withdrawn all the same
    /// ([SAVE-8](kp_core::contract::SAVE_8)). An empty upload does nothing: it is no way to clear a pool.
    pub fn replace(self) -> Self {
        Self {
            mode: SaveMode::Replace,
            ..self
        }
    }

    /// Stores nothing unless the admission takes all. What the *store* answers still differs by package: of an upload beyond the
    /// cap, a part is stored.
    pub fn all_admitted(self) -> Self {
        Self {
            all_admitted: true,
            ..self
        }
    }
}

/// Counts the KeyPackages, and hides their bytes and the uploader (`ERR-4`).
impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("pool", &self.pool)
            .field("by", &self.by)
            .field("packages", &self.packages.len())
            .field("mode", &self.mode)
            .field("all_admitted", &self.all_admitted)
            .finish()
    }
}

/// An upload got no outcomes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// More packages than the server takes at once. Nothing was stored; upload fewer.
    #[error("an upload takes at most {most} packages, not {found}")]
    TooManyKeyPackages {
        /// How many were uploaded.
        found: usize,
        /// How many the server takes.
        most: usize,
    },
    /// The admission panicked. Nothing was stored. The panic's message may hold what was uploaded, and is not repeated.
    #[error("the admission of the KeyPackages panicked")]
    AdmissionPanicked,
    /// The runtime shuts down. Nothing was stored.
    #[error("the runtime shuts down before the KeyPackages are judged")]
    ShuttingDown,
    /// The store failed. The same upload again finds out what became of this one, and stores nothing twice.
    #[error(transparent)]
    Store(#[from] Error),
}
