use std::fmt;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use kp_core::rules::CATALOGUE;
use serde_json::{Value, json};

use crate::suite::{missing, run_cell};
use crate::{Check, Factory, checks, decisions, worker};

/// What became of every check and of every cell of the decision table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The backend's name.
    pub backend: String,
    /// The checks, by rule, and then the cells.
    pub findings: Vec<Finding>,
}

/// What became of one check or cell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The rules that it is about; none for a cell.
    pub rules: &'static [&'static str],
    /// Its name.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// What it says holds.
    Passed,
    /// What does not hold.
    Failed(String),
    /// Why it does not apply: what the backend does not claim to do.
    Ignored(String),
}

impl Verdict {
    /// Its name, and the reason.
    fn told(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Passed => ("passed", None),
            Self::Failed(reason) => ("failed", Some(reason)),
            Self::Ignored(reason) => ("ignored", Some(reason)),
        }
    }
}

/// How many passed, failed and were ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many do not apply.
    pub ignored: usize,
}

impl<'a> FromIterator<&'a Finding> for Totals {
    fn from_iter<I: IntoIterator<Item = &'a Finding>>(findings: I) -> Self {
        let mut totals = Self::default();
        for finding in findings {
            match finding.verdict {
                Verdict::Passed => totals.passed += 1,
                Verdict::Failed(_) => totals.failed += 1,
                Verdict::Ignored(_) => totals.ignored += 1,
            }
        }
        totals
    }
}

/// Runs the whole suite on the backend of this factory, and says what became of it: [`main`](crate::main) as a library.
///
/// It makes runtimes of its own, so it is not to be called from within one. For a backend with several processes the
/// suite starts the program again: there this call does the other process's part, and ends the process.
pub fn report(factory: impl Factory) -> Report {
    let factory: Arc<dyn Factory> = Arc::new(factory);
    if let Some(order) = worker::Order::from_env() {
        let done = worker::obey(order, factory);
        std::process::exit(i32::from(done != ExitCode::SUCCESS));
    }
    let checks: Vec<_> = checks().collect();
    let cells: Vec<_> = decisions::cells().collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let finding = match (checks.get(n), n.checked_sub(checks.len()).and_then(|n| cells.get(n))) {
                (Some(check), _) => examine(check, &factory),
                (None, Some(cell)) => Finding {
                    rules: &[],
                    name: cell.name(),
                    verdict: verdict(run_cell(*cell, &factory)),
                },
                (None, None) => return,
            };
            found.lock().unwrap_or_else(PoisonError::into_inner).push((n, finding));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(n, _)| *n);
    Report {
        backend: factory.name().to_owned(),
        findings: found.into_iter().map(|(_, finding)| finding).collect(),
    }
}

fn examine(check: &'static Check, factory: &Arc<dyn Factory>) -> Finding {
    let verdict = match missing(check, &**factory) {
        Some(reason) => Verdict::Ignored(reason),
        None => verdict(check.run(factory)),
    };
    Finding {
        rules: check.rules(),
        name: check.name().to_owned(),
        verdict,
    }
}

fn verdict(result: Result<(), String>) -> Verdict {
    result.map_or_else(Verdict::Failed, |()| Verdict::Passed)
}

impl Report {
    /// How many passed, failed and were ignored, in all.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.findings.iter().collect()
    }

    /// The same for each rule of the catalogue: a check counts for every rule that it is about.
    pub fn by_rule(&self) -> impl Iterator<Item = (&'static str, Totals)> {
        CATALOGUE.iter().map(|rule| {
            let about = self.findings.iter().filter(|finding| finding.rules.contains(&rule.id));
            (rule.id, about.collect())
        })
    }

    /// The report as JSON: `backend`, `totals`, `rules` and `findings`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let counted =
            |totals: Totals| json!({"passed": totals.passed, "failed": totals.failed, "ignored": totals.ignored});
        let rules: serde_json::Map<String, Value> = self
            .by_rule()
            .map(|(rule, totals)| (rule.to_owned(), counted(totals)))
            .collect();
        let findings = self.findings.iter().map(|finding| {
            let (verdict, reason) = finding.verdict.told();
            json!({"rules": finding.rules, "name": finding.name, "verdict": verdict, "reason": reason})
        });
        let findings: Vec<_> = findings.collect();
        let totals = counted(self.totals());
        json!({"backend": self.backend, "totals": totals, "rules": rules, "findings": findings}).to_string()
    }
}

/// A table of the rules, then what failed and what was ignored, with the reasons, then the totals.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10}{:>8}{:>8}{:>8}", "rule", "passed", "failed", "ignored")?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, totals: Totals| {
            let Totals {
                passed,
                failed,
                ignored,
            } = totals;
            writeln!(f, "{name:<10}{passed:>8}{failed:>8}{ignored:>8}")
        };
        for (rule, totals) in self.by_rule() {
            row(f, rule, totals)?;
        }
        for finding in &self.findings {
            if let (verdict, Some(reason)) = finding.verdict.told() {
                writeln!(f, "{verdict} {}: {reason}", finding.name)?;
            }
        }
        row(f, &self.backend, self.totals())
    }
}
