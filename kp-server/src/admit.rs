use std::collections::HashMap;
use std::sync::Arc;
use std::thread::available_parallelism;

use kp_core::protocol::{Refusal, UploadOutcome};
use kp_core::server::{Admitted, Save, SaveMode, Uploader};
use kp_core::{BackendError, Effect, Error, Timestamp};
use tokio::task::spawn_blocking;

use crate::directory::KeyPackageDirectory;
use crate::observe::{Answered, Told, observe, refused_or_failed};
use crate::upload::{Upload, UploadError};

/// The fewest KeyPackages that are worth a thread of their own: about a millisecond of signatures.
const PART: usize = 8;

impl KeyPackageDirectory {
    /// Takes KeyPackages into a pool; an outcome for each, in order.
    ///
    /// The admission runs off the async threads, and a large upload on all cores.
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
        let judged = judge_together(self.judge(packages, by, now).await?, self.0.config.restore_point);

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
    /// Judges each package by itself, on as many threads as the machine has cores.
    async fn judge(&self, packages: Vec<Vec<u8>>, by: Uploader, now: Timestamp) -> Result<Vec<Judged>, UploadError> {
        let threads = available_parallelism().map_or(1, usize::from);
        let size = packages.len().div_ceil(threads).max(PART);
        let shared = Arc::new((packages, by));
        let parts = (0..shared.0.len()).step_by(size).map(|first| {
            let (admission, shared) = (Arc::clone(&self.0.admission), Arc::clone(&shared));
            spawn_blocking(move || {
                let (packages, by) = &*shared;
                let part = packages.iter().skip(first).take(size);
                part.map(|bytes| admission.admit(bytes, by, now)).collect::<Vec<_>>()
            })
        });
        // All parts begin before the first is waited for.
        let parts: Vec<_> = parts.collect();
        let mut judged = Vec::with_capacity(shared.0.len());
        for part in parts {
            judged.extend(part.await.map_err(|error| {
                if error.is_panic() {
                    UploadError::AdmissionPanicked
                } else {
                    UploadError::ShuttingDown
                }
            })?);
        }
        Ok(judged)
    }

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

/// What the admission says of a package.
type Judged = Result<Admitted, Refusal>;

/// Judges what only the directory can see of a batch (`ADM-2`).
fn judge_together(judged: Vec<Judged>, restore_point: Option<Timestamp>) -> Vec<Judged> {
    let mut init_keys = HashMap::new();
    let together = |judged: Judged| {
        let admitted = judged?;
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
    };
    judged.into_iter().map(together).collect()
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
