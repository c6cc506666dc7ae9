use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::adapter::{AdapterError, Adapters, Session};
use crate::report::side_by_side;
use crate::suite::{missing, run_cell};
use crate::{Check, Factory, Finding, Verdict, checks, decisions};

/// After so many adapters were ended for what they did wrong, the rest is not run: each may cost a time-out.
const MOST_FAULTS: usize = 10;

/// A check, or a cell of the decision table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    Check(&'static Check),
    Cell(decisions::Cell),
}

impl Item {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        checks().map(Self::Check).chain(decisions::cells().map(Self::Cell))
    }

    /// As a person names it.
    pub(super) fn name(self) -> String {
        match self {
            Self::Check(check) => check.to_string(),
            Self::Cell(cell) => format!("DECISIONS {}", cell.name()),
        }
    }
}

/// What became of a check.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) finding: Finding,
    /// How many calls it made, each item of a batch counted; none when it was not run, because adapters kept failing.
    pub(super) calls: Option<u64>,
    /// What an adapter did wrong, so that nothing is known of the rules.
    pub(super) fault: Option<AdapterError>,
    pub(super) took: Duration,
}

/// Runs the checks, so many at once.
pub(super) fn examine_all(adapters: &Arc<Adapters>, items: &[Item], jobs: usize) -> Vec<Examined> {
    let style = ProgressStyle::with_template("{pos} of {len} checks {wide_bar} {elapsed}\n{msg}");
    let progress =
        ProgressBar::new(items.len() as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let under_way = Mutex::new(BTreeSet::new());
    // The first that was begun and has not ended: the one that takes long.
    let named = |change: &dyn Fn(&mut BTreeSet<usize>)| {
        let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut under_way);
        if let Some(first) = under_way.first() {
            progress.set_message(items[*first].name());
        }
    };
    let examined = side_by_side(jobs, items.len(), |n| {
        named(&|under_way| {
            under_way.insert(n);
        });
        let examined = examine(adapters, items[n]);
        named(&|under_way| {
            under_way.remove(&n);
        });
        progress.inc(1);
        if let (Verdict::Failed(_), Some(_)) = (&examined.finding.verdict, examined.calls) {
            progress.suspend(|| eprintln!("failed: {}", items[n].name()));
        }
        examined
    });
    progress.finish_and_clear();
    examined
}

/// A person waits for it, so it is measured.
#[allow(clippy::disallowed_methods)]
fn examine(adapters: &Arc<Adapters>, item: Item) -> Examined {
    let session = Arc::new(Session::new(adapters));
    let factory: Arc<dyn Factory> = Arc::clone(&session) as _;
    let begin = Instant::now();
    let runs = adapters.faults() < MOST_FAULTS;
    let verdict = match item {
        _ if !runs => Verdict::Failed(format!("it was not run, after {MOST_FAULTS} adapters had failed")),
        Item::Check(check) => match missing(check, &*factory) {
            Some(reason) => Verdict::Ignored(reason),
            None => Verdict::of(check.run(&factory)),
        },
        Item::Cell(cell) => Verdict::of(run_cell(cell, &factory)),
    };
    let verdict = session.not_offered().map_or(verdict, Verdict::NotOffered);
    let mut finding = match item {
        Item::Check(check) => Finding::of_check(check, verdict),
        Item::Cell(cell) => Finding::of_cell(cell.name(), verdict),
    };
    if finding.verdict == Verdict::Passed {
        // A check that was made without reservations has shown nothing of them.
        finding.rules.retain(|rule| adapters.profile().has_rule(rule));
    }
    Examined {
        finding,
        calls: runs.then(|| session.calls()),
        fault: session.fault(),
        took: begin.elapsed(),
    }
}
