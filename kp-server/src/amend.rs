use kp_core::server::{Admission, Admitted, Cursor, Page, Save, SaveMode, SaveOutcome, Uploader};
use kp_core::{BackendError, Effect, KeyPackage, PoolId, Result, Timestamp};

use crate::directory::{Inner, KeyPackageDirectory};
use crate::observe::observe;

/// How many KeyPackages are read and judged together.
const TOGETHER: usize = 100;

impl KeyPackageDirectory {
    /// Adds to stored KeyPackages what an earlier release did not keep: what the owner supports, and the fingerprint of the
    /// init key. For operators, once all nodes are of this release.
    ///
    /// Goes through at most `limit` pools from `after` on, and at most [`max_items`](crate::DirectoryBuilder::max_items) of
    /// them. Reads what could be handed out now, judges the bytes with the admission, and saves the KeyPackages again with
    /// [`SaveMode::Amend`]. Returns how many KeyPackages that were, and where to go on. Call again until there is no next
    /// cursor.
    ///
    /// - Nothing new is stored: a pool that is deleted meanwhile stays deleted.
    /// - A KeyPackage that is reserved or not yet valid is passed over. Go through all pools again when those leases have ended.
    /// - A KeyPackage that the admission refuses by now stays as it is, and meets no requirement.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](kp_core::Rejection::InvalidCursor), or a failure of the store or of the admission: a panic
    /// of the admission is a failure too. The same call again does the rest.
    pub async fn amend(&self, after: Option<&Cursor>, limit: u32) -> Result<(u64, Option<Cursor>)> {
        let limit = self.0.config.page(limit);
        observe("amend", async {
            let Page { items, next, .. } = self.0.store.list_pools(after, limit).await?;
            let mut amended = 0;
            for pool in &items {
                amended += self.amend_pool(pool).await?;
            }
            Ok((amended, next))
        })
        .await
    }

    async fn amend_pool(&self, pool: &PoolId) -> Result<u64> {
        let (store, now) = (&self.0.store, self.now());
        let ready = store.list_ready(pool, now).await?;
        let mut amended = 0;
        for ready in ready.chunks(TOGETHER) {
            let mut stored = Vec::with_capacity(ready.len());
            for package in ready {
                let found = store.get_key_package(pool, &package.info.key_package_ref, now).await?;
                stored.extend(found.and_then(|found| Some(KeyPackage::new(found.info, found.bytes?))));
            }
            let items = self.judge_again(stored, now).await?;
            if items.is_empty() {
                continue;
            }
            let save = Save::new(pool.clone(), items).map_err(failed)?.mode(SaveMode::Amend);
            let outcomes = store.save_key_packages(&save, now).await?;
            let held = outcomes
                .iter()
                .filter(|outcome| **outcome == SaveOutcome::AlreadyStored);
            amended += held.count() as u64;
        }
        Ok(amended)
    }

    /// Judges stored bytes off the async threads (`ADM-3`), and returns what is admitted. The facts stay those that are stored:
    /// the admission would end a clamped lifetime elsewhere by now.
    async fn judge_again(&self, stored: Vec<KeyPackage>, now: Timestamp) -> Result<Vec<Admitted>> {
        let directory = self.clone();
        let judge = move || {
            let Inner { admission, .. } = &*directory.0;
            let admit = |package: KeyPackage| {
                let mut admitted = admission
                    .admit(package.bytes.as_ref(), &Uploader::unchecked(), now)
                    .ok()?;
                admitted.package = package;
                Some(admitted)
            };
            stored.into_iter().filter_map(admit).collect()
        };
        let judged = tokio::task::spawn_blocking(judge).await;
        // The message of a panic may hold what was judged.
        Ok(judged.map_err(|_| failed("the admission of the stored KeyPackages did not end"))?)
    }
}

/// Reports a failure of the walk itself, at a place where a part may be done.
fn failed(source: impl Into<kp_core::BoxError>) -> BackendError {
    BackendError::new("directory", "amend", Effect::Unknown, source)
}
