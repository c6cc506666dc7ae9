use std::fmt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use kp_core::rules::CATALOGUE;
use serde_json::{Value, json};

use crate::finding::{Finding, Verdict};
use crate::guide::Guide;
use crate::suite::{available_cores, missing, run_cell};
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
    /// How many call what the backend does not offer.
    pub not_offered: usize,
}

impl<'a> FromIterator<&'a Finding> for Totals {
    fn from_iter<I: IntoIterator<Item = &'a Finding>>(findings: I) -> Self {
        let mut totals = Self::default();
        for finding in findings {
            match finding.verdict {
                Verdict::Passed => totals.passed += 1,
                Verdict::Failed(_) => totals.failed += 1,
                Verdict::Ignored(_) => totals.ignored += 1,
                Verdict::NotOffered(_) => totals.not_offered += 1,
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
    report_of(factory, |_| true)
}

/// The same of the checks and cells that are chosen, by the names that the test output has:
/// `RES-2 the_oldest_saved_is_handed_out_first`.
pub fn report_of(factory: impl Factory, chosen: impl Fn(&str) -> bool) -> Report {
    let factory: Arc<dyn Factory> = Arc::new(factory);
    if let Some(order) = worker::Order::from_env() {
        let done = worker::obey(order, factory);
        std::process::exit(i32::from(done != ExitCode::SUCCESS));
    }
    let checks: Vec<_> = checks().filter(|check| chosen(&check.to_string())).collect();
    let cells = decisions::cells().filter(|cell| chosen(&format!("DECISIONS {}", cell.name())));
    let cells: Vec<_> = cells.collect();
    let examined = side_by_side(available_cores(), checks.len() + cells.len(), |n| match checks.get(n) {
        Some(check) => examine(check, &factory),
        None => {
            let cell = cells[n - checks.len()];
            Finding::of_cell(cell.name(), Verdict::of(run_cell(cell, &factory)))
        }
    });
    Report {
        backend: factory.name().to_owned(),
        findings: examined,
    }
}

/// Does `count` jobs, so many at once, and gives back what each made, in order.
pub(crate) fn side_by_side<T: Send>(at_once: usize, count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return;
            }
            let made = job(n);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((n, made));
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, made)| made).collect()
}

fn examine(check: &'static Check, factory: &Arc<dyn Factory>) -> Finding {
    let verdict = match missing(check, &**factory) {
        Some(reason) => Verdict::Ignored(reason),
        None => Verdict::of(check.run(factory)),
    };
    Finding::of_check(check, verdict)
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

    /// Where to begin: with a check of the rule most of whose checks have failed, and which takes least for granted.
    #[must_use]
    pub fn begin_with(&self) -> Option<&Finding> {
        Guide::of(&self.findings, &|_| String::new()).map(|guide| guide.first())
    }

    /// The report as JSON: `backend`, `totals`, `begin_with`, `rules` and `findings`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let counted = |totals: Totals| {
            let Totals {
                passed,
                failed,
                ignored,
                not_offered,
            } = totals;
            json!({"passed": passed, "failed": failed, "ignored": ignored, "not_offered": not_offered})
        };
        let rules: serde_json::Map<String, Value> = self
            .by_rule()
            .map(|(rule, totals)| (rule.to_owned(), counted(totals)))
            .collect();
        let findings = self.findings.iter().map(|finding| {
            let (verdict, reason) = finding.verdict.told();
            json!({
                "rules": finding.rules,
                "name": finding.name,
                "relies_on": finding.relies_on,
                "verdict": verdict,
                "reason": reason,
            })
        });
        let findings: Vec<_> = findings.collect();
        let totals = counted(self.totals());
        let begin_with = self.begin_with().map(ToString::to_string);
        json!({
            "backend": self.backend,
            "totals": totals,
            "begin_with": begin_with,
            "rules": rules,
            "findings": findings,
        })
        .to_string()
    }
}

impl Report {
    /// The totals, as a line.
    pub(crate) fn sums(&self) -> String {
        let Totals {
            passed,
            failed,
            ignored,
            not_offered,
        } = self.totals();
        let mut sums = format!("{}: {passed} passed, {failed} failed", self.backend);
        for (count, what) in [(ignored, "ignored"), (not_offered, "not offered")] {
            if count > 0 {
                sums += &format!(", {count} {what}");
            }
        }
        sums
    }

    /// The table of the rules, and the totals below.
    pub(crate) fn write_table(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let width = self.backend.chars().count().max(9) + 1;
        writeln!(
            f,
            "{:<width$}{:>8}{:>8}{:>8}{:>13}",
            "rule", "passed", "failed", "ignored", "not offered"
        )?;
        let mut row = |name: &str, totals: Totals| {
            let Totals {
                passed,
                failed,
                ignored,
                not_offered,
            } = totals;
            writeln!(f, "{name:<width$}{passed:>8}{failed:>8}{ignored:>8}{not_offered:>13}")
        };
        for (rule, totals) in self.by_rule() {
            // Where the checks are chosen by name, most rules have none.
            if totals != Totals::default() {
                row(rule, totals)?;
            }
        }
        row(&self.backend, self.totals())
    }
}

/// Where to begin, what failed, what was ignored and what is not offered, with the reasons, then a table of the rules and the
/// totals.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alone = |finding: &Finding| format!("the check `{}`", finding.name);
        if let Some(guide) = Guide::of(&self.findings, &alone) {
            writeln!(f, "{}\n{guide}", self.sums())?;
        }
        for finding in &self.findings {
            if let (verdict, Some(reason)) = finding.verdict.told() {
                writeln!(f, "{verdict} {}: {reason}", finding.name)?;
            }
        }
        self.write_table(f)
    }
}
