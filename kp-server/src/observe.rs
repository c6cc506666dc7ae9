//! A span and metrics for every operation, in one place (`DIR-3`).

use std::time::Instant;

use kp_core::protocol::{PoolStatus, SyncReport};
use kp_core::server::{Answers, Cursor, Lease, Page, Receipt, Reservation, StoredKeyPackage, WithdrawOutcome};
use kp_core::{BackendError, Effect, Error, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolId, Result, Timestamp};
use tracing::field::Empty;
use tracing::{Instrument as _, info_span, warn};

/// Runs one operation within its span, and counts what it answered.
pub(crate) async fn observe<A: Answered>(operation: &'static str, call: impl Future<Output = A>) -> A {
    let span = info_span!("keypackage_directory", operation, answers = Empty, outcome = Empty);
    let started = instant();
    let answer = call.instrument(span.clone()).await;
    instruments::took(operation, started.elapsed());

    let mut answers = 0_u64;
    let mut outcome = "none";
    let mut failure = None;
    answer.each(&mut |told| {
        instruments::answered(operation, told.outcome, told.source);
        outcome = match answers {
            0 => told.outcome,
            _ if outcome == told.outcome => outcome,
            _ => "mixed",
        };
        answers += 1;
        // An admission may fail, too.
        if let Some(failure) = told.failure.and_then(|failure| failure.downcast_ref::<BackendError>()) {
            instruments::store_failed(failure);
        }
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
    instruments::swept(what, removed);
}

/// Notes until when a sweeper has swept.
pub(crate) fn note_swept_until(what: &'static str, until: Timestamp) {
    instruments::swept_until(what, until);
}

/// Counts a leap of a sweeper's clock.
pub(crate) fn count_leap() {
    instruments::leapt();
}

/// Counts a notice that was received.
pub(crate) fn count_notice(kind: &'static str) {
    instruments::noticed(kind);
}

/// Counts a pool that the queue of notices had no place for.
pub(crate) fn count_dropped_notice() {
    instruments::notice_dropped();
}

/// The metrics, where they are wanted.
#[cfg(feature = "metrics")]
mod instruments {
    use std::time::Duration;

    use kp_core::{BackendError, Effect, Timestamp};
    use metrics::{counter, gauge, histogram};

    pub(super) fn took(operation: &'static str, time: Duration) {
        histogram!("keypackage_directory_seconds", "operation" => operation).record(time);
    }

    pub(super) fn answered(operation: &'static str, outcome: &'static str, source: &'static str) {
        counter!(
            "keypackage_directory_answers_total",
            "operation" => operation, "outcome" => outcome, "source" => source
        )
        .increment(1);
    }

    pub(super) fn store_failed(failure: &BackendError) {
        let effect = match failure.effect() {
            Effect::NotApplied => "not_applied",
            Effect::Unknown => "unknown",
        };
        let (backend, operation) = (failure.backend(), failure.operation());
        counter!(
            "keypackage_store_failures_total",
            "backend" => backend, "operation" => operation, "effect" => effect
        )
        .increment(1);
    }

    pub(super) fn swept_until(what: &'static str, until: Timestamp) {
        gauge!("keypackage_directory_swept_timestamp_seconds", "what" => what).set(until.get() as f64);
    }

    pub(super) fn swept(what: &'static str, removed: u64) {
        counter!("keypackage_directory_swept_total", "what" => what).increment(removed);
    }

    pub(super) fn noticed(kind: &'static str) {
        counter!("keypackage_directory_notices_total", "kind" => kind).increment(1);
    }

    pub(super) fn notice_dropped() {
        counter!("keypackage_directory_notices_dropped_total").increment(1);
    }

    pub(super) fn leapt() {
        counter!("keypackage_directory_clock_leaps_total").increment(1);
    }
}

#[cfg(not(feature = "metrics"))]
mod instruments {
    use std::time::Duration;

    use kp_core::{BackendError, Timestamp};

    pub(super) fn took(_: &'static str, _: Duration) {}

    pub(super) fn store_failed(_: &BackendError) {}

    pub(super) fn swept_until(_: &'static str, _: Timestamp) {}

    pub(super) fn answered(_: &'static str, _: &'static str, _: &'static str) {}

    pub(super) fn swept(_: &'static str, _: u64) {}

    pub(super) fn noticed(_: &'static str) {}

    pub(super) fn notice_dropped() {}

    pub(super) fn leapt() {}
}

/// What is told of one answer: names only, nothing of what is in it.
pub(crate) struct Told<'a> {
    pub(crate) outcome: &'static str,
    pub(crate) source: &'static str,
    pub(crate) failure: Option<&'a (dyn std::error::Error + 'static)>,
}

impl Told<'_> {
    pub(crate) const fn plain(outcome: &'static str) -> Self {
        Self {
            outcome,
            source: "none",
            failure: None,
        }
    }
}

/// The answers of one operation, one for each item of a batch.
pub(crate) trait Answered {
    fn each<'a>(&'a self, tell: &mut dyn FnMut(Told<'a>));
}

impl<T: Source> Answered for Result<T> {
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

impl<T: Source> Answered for Answers<T> {
    fn each<'a>(&'a self, tell: &mut dyn FnMut(Told<'a>)) {
        self.iter().for_each(|answer| answer.each(tell));
    }
}

pub(crate) fn refused_or_failed(error: &Error) -> Told<'_> {
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
        if self.info.role.is_last_resort() {
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
impl Source for (u64, Option<Cursor>) {}
impl Source for Lease {}
impl Source for Receipt {}
impl Source for Option<StoredKeyPackage> {}
impl Source for PoolStatus {}
impl Source for SyncReport {}
impl Source for Page<PoolId> {}
impl Source for Page<KeyPackageInfo> {}
impl Source for Vec<(KeyPackageRef, WithdrawOutcome)> {}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use futures::FutureExt as _;
    use kp_core::BackendError;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// DIR-3: a failure is logged wherever it stands in a batch.
    #[test]
    fn a_failure_beside_what_went_well_is_logged() {
        let failed = || Err(BackendError::new("sqlite", "spend", Effect::Unknown, "the disk is full").into());
        for answers in [vec![failed(), Ok(())], vec![Ok(()), failed()]] {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
            let answers: Answers<()> = answers.into();
            let observed = || observe("spend", async { answers }).now_or_never();
            let observed = tracing::subscriber::with_default(subscriber, observed);
            assert!(observed.is_some_and(|answers| answers.len() == 2));
            let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert!(text.contains("the disk is full"), "{text}");
        }
    }
}
