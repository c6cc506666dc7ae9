use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::examine::Examined;
use crate::report::Report;
use crate::{Method, Verdict};

/// How many of the failures after the first are told.
const TOLD: usize = 12;
/// How much is shown of what each of them says, in characters.
const LINE: usize = 160;

/// The end of a run, for a person: the totals, where to begin, what failed beside, and the rules.
pub(super) struct Summary<'a> {
    pub(super) report: &'a Report,
    pub(super) examined: &'a [Examined],
    pub(super) took: Duration,
    /// How the adapter was named on the command line.
    pub(super) adapter: String,
    /// The options that a run of one check needs too.
    pub(super) options: String,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = self.report.totals();
        let (passed, failed) = (totals.passed, totals.failed);
        write!(f, "{}: {passed} passed, {failed} failed", self.report.backend)?;
        if totals.ignored > 0 {
            write!(f, ", {} ignored", totals.ignored)?;
        }
        if totals.not_offered > 0 {
            write!(f, ", {} not offered", totals.not_offered)?;
        }
        writeln!(f, "; {:.1} s", self.took.as_secs_f64())?;
        self.failures(f)?;
        self.not_offered(f)?;
        for finding in &self.report.findings {
            if let Verdict::Ignored(reason) = &finding.verdict {
                writeln!(f, "ignored: {}: {reason}", finding.name)?;
            }
        }
        if self.report.findings.iter().any(|finding| !finding.rules.is_empty()) {
            writeln!(f)?;
            let mut table = String::new();
            self.report.write_table(&mut table)?;
            f.write_str(&table)?;
        }
        Ok(())
    }
}

impl Summary<'_> {
    /// How many thousandths of the checks of its main rule have failed; fewer where the rule has few checks.
    fn share_of_failed(&self, one: &Examined) -> usize {
        let rule = one.finding.rules.first();
        let checks = self.examined.iter().filter(|other| other.finding.rules.first() == rule);
        let (mut failed, mut all) = (0, 0);
        for other in checks {
            failed += usize::from(matches!(other.finding.verdict, Verdict::Failed(_)));
            all += 1;
        }
        1_000 * failed / (all + 1)
    }

    /// Of the rule that fails most, the failure that took the fewest calls comes first: others follow from it, and it is
    /// the easiest to follow.
    fn failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self
            .examined
            .iter()
            .filter_map(|one| match (&one.finding.verdict, one.calls) {
                (Verdict::Failed(why), Some(calls)) => Some((calls, one, why)),
                _ => None,
            });
        let mut failed: Vec<_> = failed.collect();
        failed.sort_by_cached_key(|(calls, one, _)| (Reverse(self.share_of_failed(one)), *calls));
        let Some((calls, first, why)) = failed.first() else {
            return Ok(());
        };
        writeln!(
            f,
            "\nBegin with this one, of the rule that fails most. It took {calls} calls:\n\n{}",
            named(first)
        )?;
        for line in why.lines() {
            writeln!(f, "    {line}")?;
        }
        let Self { options, adapter, .. } = self;
        let name = &first.finding.name;
        writeln!(f, "\nIt alone, with every line that was exchanged:")?;
        writeln!(
            f,
            "    kp-conformance --trace {options}--check '{name}' --adapter {adapter}"
        )?;
        let not_run = self.examined.iter().filter(|one| one.calls.is_none()).count();
        if not_run > 0 {
            writeln!(f, "\n{not_run} were not run: adapters kept failing.")?;
        }
        if failed.len() > 1 {
            writeln!(f, "\nFailed too, some of them perhaps for the same reason:\n")?;
        }
        for (_, one, why) in failed.iter().skip(1).take(TOLD) {
            let line = why.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            writeln!(f, "{}: {}", named(one), shortened(line))?;
        }
        if failed.len() > 1 + TOLD {
            writeln!(
                f,
                "and {} more; --junit and --json write all of them",
                failed.len() - 1 - TOLD
            )?;
        }
        Ok(())
    }

    /// By method: most are cells of the table.
    fn not_offered(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_method = BTreeMap::<Method, Vec<&Examined>>::new();
        for one in self.examined {
            if let Verdict::NotOffered(method) = one.finding.verdict {
                by_method.entry(method).or_default().push(one);
            }
        }
        if by_method.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nNot offered, so nothing is shown of it:\n")?;
        for (method, those) in by_method {
            let (checks, cells): (Vec<_>, Vec<_>) = those.into_iter().partition(|one| !one.finding.rules.is_empty());
            writeln!(
                f,
                "{method}: {} checks, {} cells of the decision table",
                checks.len(),
                cells.len()
            )?;
            for check in checks {
                writeln!(f, "    {}", named(check))?;
            }
        }
        Ok(())
    }
}

/// The beginning of a line.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

fn named(one: &Examined) -> String {
    match &one.finding.rules[..] {
        [] => format!("DECISIONS {}", one.finding.name),
        rules => format!("{} {}", rules.join(","), one.finding.name),
    }
}
