use std::collections::HashMap;

use kp_core::{Admission, Admitted, BackendError, Effect, KeyPackage, Refusal, Save, SaveMode, Timestamp, Uploader};

use crate::directory::Inner;
use crate::{KeyPackageDirectory, Upload, UploadError, UploadOutcome};

impl KeyPackageDirectory {
    /// Judges an upload off the async threads (`ADM-3`), then saves what was admitted.
    pub(crate) async fn admit_and_save(&self, upload: Upload) -> Result<Vec<UploadOutcome>, UploadError> {
        let Upload {
            pool,
            by,
            packages,
            mode,
            all_or_nothing,
        } = upload;
        let most = self.0.config.max_upload;
        let found = packages.len();
        let too_many = || UploadError::TooManyPackages { found, most };
        if found > most {
            return Err(too_many());
        }
        let now = self.now();
        let directory = self.clone();
        let judge = move || {
            let Inner { admission, config, .. } = &*directory.0;
            admit_all(&*admission.0, &packages, &by, config.restore_point, now)
        };
        let judged = tokio::task::spawn_blocking(judge)
            .await
            .map_err(UploadError::Admission)?;

        let complete = all_or_nothing || mode == SaveMode::Replace;
        if complete && judged.iter().any(Result::is_err) {
            let untried =
                |judgement: Result<_, _>| judgement.map_or_else(UploadOutcome::Refused, |_| UploadOutcome::NotTried);
            return Ok(judged.into_iter().map(untried).collect());
        }
        let mut admitted = Vec::with_capacity(judged.len());
        let mut verdicts: Vec<Result<(), UploadOutcome>> = Vec::with_capacity(judged.len());
        for judgement in judged {
            verdicts.push(
                judgement
                    .map(|package| admitted.push(package))
                    .map_err(UploadOutcome::Refused),
            );
        }
        let save = Save::new(pool, admitted).map_err(|_| too_many())?;
        let save = save.mode(mode).cap_per_ciphersuite(self.0.config.cap_per_ciphersuite);
        let mut outcomes = if save.packages().is_empty() {
            Vec::new().into_iter()
        } else {
            self.0.store.save_key_packages(&save, now).await?.into_iter()
        };
        verdicts
            .into_iter()
            .map(|verdict| match verdict {
                Err(refused) => Ok(refused),
                Ok(()) => outcomes.next().map(UploadOutcome::Store).ok_or_else(no_outcome),
            })
            .collect()
    }
}

/// Judges a batch: first each package by itself, then what only the directory can see (`ADM-2`). Synchronous, and slow.
fn admit_all(
    admission: &dyn Admission,
    uploaded: &[Vec<u8>],
    by: &Uploader,
    restore_point: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Result<KeyPackage, Refusal>> {
    let mut init_keys = HashMap::new();
    uploaded
        .iter()
        .map(|bytes| {
            let Admitted { package, init_key, .. } = admission.admit(bytes, by, now)?;
            let info = &package.info;
            if restore_point.is_some_and(|at| info.lifetime.not_before() < at) {
                return Err(Refusal::BeforeRestorePoint);
            }
            // The same package twice is no second use of its key; the store takes it once (SAVE-2).
            let first = init_keys
                .entry(init_key)
                .or_insert_with(|| info.key_package_ref.clone());
            if *first != info.key_package_ref {
                return Err(Refusal::InitKeyReused);
            }
            Ok(package)
        })
        .collect()
}

/// A store that answers a save with too few outcomes is broken.
fn no_outcome() -> UploadError {
    let missing = "the store gave no outcome for a package";
    UploadError::Store(BackendError::new("directory", "upload", Effect::Unknown, missing).into())
}
