//! A span and metrics for every operation, in one place (`DIR-3`).

use std::time::Instant;

use kp_core::{Effect, Error, KeyPackage, KeyPackageRef, Page, PoolId, Receipt, Reservation, Result, WithdrawOutcome};
use metrics::{counter, histogram};
use tracing::field::Empty;
use tracing::{Instrument as _, info_span, warn};

use crate::{PoolStatus, Swept, SyncReport, UploadError, UploadOutcome};

const ANSWERS: &str = "keypackage_directory_answers_total";
const SECONDS: &str = "keypackage_directory_seconds";
const SWEPT: &str = "keypackage_directory_swept_total";

/// Runs one operation within its span, and counts what it answered.
pub(crate) async fn observe<A: Answers>(operation: &'static str, call: impl Future<Output = A>) -> A {
    let span = info_span!("keypackage_directory", operation, answers = Empty, outcome = Empty);
    let started = instant();
    let answer = call.instrument(span.clone()).await;
    histogram!(SECONDS, "operation" => operation).record(started.elapsed());

    let mut answers = 0_u64;
    let mut outcome = "none";
    let mut failure = None;
    answer.each(&mut |told| {
        counter!(ANSWERS, "operation" => operation, "outcome" => told.outcome, "source" => told.source).increment(1);
        outcome = match answers {
            0 => told.outcome,
            _ if outcome == told.outcome => outcome,
            _ => "mixed",
        };
        answers += 1;
        failure = failure.or(told.failure);
    });
    span.record("answers", answers);
    span.record("outcome", outcome);
    if let Some(failure) = failure {
        span.in_scope(|| warn!(error = failure, "{operation} failed"));
    }
    answer
}

#[expect(clippy::disallowed_methods, reason = "latency is measured, never decided on")]
fn instant() -> Instant {
    Instant::now()
}

/// Counts what one step of a sweep removed.
pub(crate) fn count_swept(what: &'static str, removed: u64) {
    counter!(SWEPT, "what" => what).increment(removed);
}

/// What is told of one answer: names only, nothing of what is in it.
pub(crate) struct Told<'a> {
    outcome: &'static str,
    source: &'static str,
    failure: Option<&'a (dyn std::error::Error + 'static)>,
}

impl Told<'_> {
    const fn plain(outcome: &'static str) -> Self {
        Self {
            outcome,
            source: "none",
            failure: None,
        }
    }
}

/// The answers of one operation, one for each item of a batch.
pub(crate) trait Answers {
    fn each<'a>(&'a self, tell: &mut dyn FnMut(Told<'a>));
}

impl<T: Source> Answers for Result<T> {
    fn each<'a>(&'a self, tell: &mut dyn FnMut(Told<'a>)) {
        tell(match self {
            Ok(answer) => Told {
                source: answer.source(),
                ..Told::plain("ok")
            },
            Err(error) => refused_or_failed(error),
        });
    }
}

impl<T: Source> Answers for Vec<Result<T>> {
    fn each<'a>(&'a self, tell: &mut dyn FnMut(Told<'a>)) {
        self.iter().for_each(|answer| answer.each(tell));
    }
}

impl Answers for Result<Vec<UploadOutcome>, UploadError> {
    fn each<'a>(&'a self, tell: &mut dyn FnMut(Told<'a>)) {
        match self {
            Ok(verdicts) => verdicts.iter().for_each(|verdict| tell(Told::plain(verdict.code()))),
            Err(UploadError::TooManyPackages { .. }) => tell(Told::plain("too_many_packages")),
            Err(UploadError::Store(error)) => tell(refused_or_failed(error)),
            Err(UploadError::Admission(error)) => tell(Told {
                failure: Some(error),
                ..Told::plain("admission_failed")
            }),
        }
    }
}

fn refused_or_failed(error: &Error) -> Told<'_> {
    match error {
        Error::Rejected(rejection) => Told::plain(rejection.code()),
        Error::Backend(failure) => Told {
            failure: Some(failure),
            ..Told::plain(match failure.effect() {
                Effect::NotApplied => "not_applied",
                Effect::Unknown => "outcome_unknown",
            })
        },
        _ => Told::plain("error"),
    }
}

/// Where what was handed out came from; most answers hand out nothing.
pub(crate) trait Source {
    fn source(&self) -> &'static str {
        "none"
    }
}

impl Source for KeyPackage {
    fn source(&self) -> &'static str {
        if self.info.last_resort {
            "last_resort"
        } else {
            "one_time"
        }
    }
}

impl Source for Reservation {
    fn source(&self) -> &'static str {
        self.package.source()
    }
}

impl Source for () {}
impl Source for u64 {}
impl Source for Receipt {}
impl Source for PoolStatus {}
impl Source for SyncReport {}
impl Source for Swept {}
impl Source for Page<PoolId> {}
impl Source for Vec<(KeyPackageRef, WithdrawOutcome)> {}
