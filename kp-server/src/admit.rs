use std::collections::HashMap;

use kp_core::protocol::{Refusal, UploadOutcome};
use kp_core::server::{Admission, Admitted, Save, SaveMode, Uploader};
use kp_core::{BackendError, Effect, Error, Timestamp};

use crate::directory::{Inner, KeyPackageDirectory};
use crate::observe::{Answered, Told, observe, refused_or_failed};
use crate::upload::{Upload, UploadError};

impl KeyPackageDirectory {
    /// Takes KeyPackages into a pool; an outcome for each, in order.
    ///
    /// The admission runs off the async threads.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`UploadError`]; what is wrong with a KeyPackage is its outcome.
    pub async fn upload(&self, upload: Upload) -> Result<Vec<UploadOutcome>, UploadError> {
        observe("upload", self.admit_and_save(upload)).await
    }

    /// Judges an upload off the async threads (`ADM-3`), then saves what was admitted.
    async fn admit_and_save(&self, upload: Upload) -> Result<Vec<UploadOutcome>, UploadError> {
        let Upload {
            pool,
            by,
            packages,
            mode,
            all_admitted,
        } = upload;
        let most = self.0.config.max_upload;
        let found = packages.len();
        let too_many = || UploadError::TooManyKeyPackages { found, most };
        if found > most {
            return Err(too_many());
        }
        let now = self.now();
        let directory = self.clone();
        let judge = move || {
            let Inner { admission, config, .. } = &*directory.0;
            admit_all(&**admission, &packages, &by, config.restore_point, now)
        };
        let judged = tokio::task::spawn_blocking(judge).await.map_err(|error| {
            if error.is_panic() {
                UploadError::AdmissionPanicked
            } else {
                UploadError::ShuttingDown
            }
        })?;

        let complete = all_admitted || mode == SaveMode::Replace;
        if complete && judged.iter().any(Result::is_err) {
            let untried =
                |judgement: Result<_, _>| judgement.map_or_else(UploadOutcome::Refused, |_| UploadOutcome::NotTried);
            return Ok(judged.into_iter().map(untried).collect());
        }
        let mut admitted = Vec::with_capacity(judged.len());
        let mut judgements: Vec<Result<(), UploadOutcome>> = Vec::with_capacity(judged.len());
        for judgement in judged {
            judgements.push(
                judgement
                    .map(|package| admitted.push(package))
                    .map_err(UploadOutcome::Refused),
            );
        }
        let save = Save::new(pool.clone(), admitted).map_err(|_| too_many())?;
        let save = save.mode(mode).cap_per_ciphersuite(self.0.config.cap_per_ciphersuite);
        let mut outcomes = if save.packages().is_empty() {
            Vec::new().into_iter()
        } else {
            let saved = self.0.store.save_key_packages(&save, now).await?;
            self.recognised(&save, saved.into_iter().map(UploadOutcome::from).collect(), now)
                .await?
                .into_iter()
        };
        let outcomes = judgements
            .into_iter()
            .map(|judgement| match judgement {
                Err(refused) => Ok(refused),
                Ok(()) => outcomes.next().ok_or_else(no_outcome),
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.note_uploaded(&pool, &outcomes, now);
        Ok(outcomes)
    }
}

impl KeyPackageDirectory {
    /// The same bytes under the same ref are the same KeyPackage, uploaded again, whatever lifetime they were stored with: the
    /// end of a clamped one moves on with `now`, and a store calls that a conflict (`SAVE-5`).
    async fn recognised(
        &self,
        save: &Save,
        mut outcomes: Vec<UploadOutcome>,
        now: Timestamp,
    ) -> Result<Vec<UploadOutcome>, Error> {
        for (outcome, Admitted { package, .. }) in outcomes.iter_mut().zip(save.packages()) {
            if *outcome == UploadOutcome::RefConflict {
                let name = &package.info.key_package_ref;
                let stored = self.0.store.get_key_package(&save.pool, name, now).await?;
                if stored.is_some_and(|stored| stored.bytes.as_ref() == Some(&package.bytes)) {
                    *outcome = UploadOutcome::AlreadyStored;
                }
            }
        }
        Ok(outcomes)
    }
}

/// Judges a batch: first each package by itself, then what only the directory can see (`ADM-2`). Synchronous, and slow.
fn admit_all(
    admission: &dyn Admission,
    uploaded: &[Vec<u8>],
    by: &Uploader,
    restore_point: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Result<Admitted, Refusal>> {
    let mut init_keys = HashMap::new();
    uploaded
        .iter()
        .map(|bytes| {
            let admitted = admission.admit(bytes, by, now)?;
            let info = &admitted.package.info;
            if restore_point.is_some_and(|at| info.lifetime.not_before() < at) {
                return Err(Refusal::BeforeRestorePoint);
            }
            // The same package twice is no second use of its key; the store takes it once (SAVE-2).
            if let Some(fingerprint) = admitted.fingerprint {
                let first = init_keys
                    .entry(fingerprint)
                    .or_insert_with(|| info.key_package_ref.clone());
                if *first != info.key_package_ref {
                    return Err(Refusal::InitKeyReused);
                }
            }
            Ok(admitted)
        })
        .collect()
}

/// A store that answers a save with too few outcomes is broken.
fn no_outcome() -> UploadError {
    let missing = "the store gave no outcome for a package";
    UploadError::Store(BackendError::new("directory", "upload", Effect::Unknown, missing).into())
}

impl Answered for Result<Vec<UploadOutcome>, UploadError> {
    fn each<'a>(&'a self, tell: &mut dyn FnMut(Told<'a>)) {
        match self {
            Ok(outcomes) => outcomes.iter().for_each(|outcome| tell(Told::plain(outcome.code()))),
            Err(UploadError::TooManyKeyPackages { .. }) => tell(Told::plain("too_many_packages")),
            Err(UploadError::Store(error)) => tell(refused_or_failed(error)),
            Err(error @ (UploadError::AdmissionPanicked | UploadError::ShuttingDown)) => tell(Told {
                failure: Some(error),
                ..Told::plain("admission_failed")
            }),
        }
    }
}
