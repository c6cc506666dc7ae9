use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::examine::Examined;
use crate::guide::Guide;
use crate::report::Report;
use crate::{Finding, Method, Verdict};

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
        writeln!(f, "{}; {:.1} s", self.report.sums(), self.took.as_secs_f64())?;
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
    /// Where to begin, of those that were run: with what the adapter itself did wrong.
    fn failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (was_run, not_run): (Vec<_>, Vec<_>) = self.examined.iter().partition(|one| one.calls.is_some());
        let (broken, whole): (Vec<&Examined>, Vec<_>) = was_run.into_iter().partition(|one| one.fault.is_some());
        let alone = |finding: &Finding| {
            let (Self { options, adapter, .. }, name) = (self, &finding.name);
            format!("kp-conformance --trace {options}--check '{name}' --adapter {adapter}")
        };
        if let Some((first, fault)) = broken.iter().find_map(|one| Some((one, one.fault.as_ref()?))) {
            let all = broken.len();
            writeln!(
                f,
                "\nThe adapter failed: {all} of the checks say nothing of the rules. Begin with {}\n",
                first.finding
            )?;
            writeln!(f, "    {fault}\n\nIt alone: {}", alone(&first.finding))?;
        }
        if let Some(guide) = Guide::of(whole.iter().map(|one| &one.finding), &alone) {
            write!(f, "\n{guide}")?;
        }
        if !not_run.is_empty() {
            writeln!(f, "\n{} were not run: adapters kept failing.", not_run.len())?;
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
                writeln!(f, "    {}", check.finding)?;
            }
        }
        Ok(())
    }
}
