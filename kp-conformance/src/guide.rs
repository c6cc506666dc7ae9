use std::cmp::Reverse;
use std::fmt;

use crate::finding::{Finding, Verdict};
use crate::reliance::rank;

/// How many lines of what the first failure says are told here.
const LINES: usize = 10;
/// How many failures are told of each kind.
const TOLD: usize = 8;
/// How much is told of what each of them says, in characters.
const LENGTH: usize = 160;

/// Where to begin, when checks failed: with one of the rule most of whose checks have failed, and which takes least for granted.
/// What takes that rule for granted may fail for its sake.
pub(crate) struct Guide<'a> {
    first: Failed<'a>,
    /// What may follow from the first.
    follows: Vec<Failed<'a>>,
    /// What does not, and what may follow from those.
    others: Vec<Root<'a>>,
    cells: Vec<Failed<'a>>,
    /// How one check is run alone.
    alone: &'a dyn Fn(&Finding) -> String,
}

/// A failure that no other explains, and those that it may explain.
struct Root<'a> {
    failed: Failed<'a>,
    follows: Vec<Failed<'a>>,
}

#[derive(Clone, Copy)]
struct Failed<'a> {
    finding: &'a Finding,
    why: &'a str,
}

impl<'a> Guide<'a> {
    /// Of these findings; `None` when none of them has failed.
    pub(crate) fn of(
        findings: impl IntoIterator<Item = &'a Finding>,
        alone: &'a dyn Fn(&Finding) -> String,
    ) -> Option<Self> {
        let findings: Vec<_> = findings.into_iter().collect();
        let failed = findings.iter().filter_map(|finding| match &finding.verdict {
            Verdict::Failed(why) => Some(Failed { finding, why }),
            _ => None,
        });
        let (mut checks, mut cells): (Vec<_>, Vec<_>) = failed.partition(|failed| !failed.finding.rules.is_empty());
        checks.sort_by_cached_key(|Failed { finding, .. }| {
            let (takes_all, of_main) = rank(&finding.rules, &finding.relies_on);
            (takes_all, Reverse(share(&findings, finding)), of_main)
        });
        if checks.is_empty() && cells.is_empty() {
            return None;
        }
        let first = if checks.is_empty() { &mut cells } else { &mut checks }.remove(0);
        let (follows, rest): (Vec<_>, Vec<_>) = checks.into_iter().partition(|failed| failed.takes_for_granted(&first));
        let mut others = Vec::<Root<'a>>::new();
        for failed in rest {
            match others.iter_mut().find(|root| failed.takes_for_granted(&root.failed)) {
                Some(root) => root.follows.push(failed),
                None => others.push(Root {
                    failed,
                    follows: Vec::new(),
                }),
            }
        }
        Some(Self {
            first,
            follows,
            others,
            cells,
            alone,
        })
    }

    /// The failure to begin with.
    pub(crate) fn first(&self) -> &'a Finding {
        self.first.finding
    }
}

impl Failed<'_> {
    fn takes_for_granted(&self, other: &Failed<'_>) -> bool {
        let rule = other.finding.rules.first();
        rule.is_some_and(|rule| self.finding.relies_on.contains(rule))
    }
}

impl fmt::Display for Guide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failed { finding, why } = self.first;
        writeln!(f, "Begin with {finding}\n")?;
        let lines: Vec<_> = why.lines().filter(|line| !line.is_empty()).collect();
        for line in lines.iter().take(LINES) {
            writeln!(f, "    {line}")?;
        }
        if lines.len() > LINES {
            writeln!(f, "    and {} lines more", lines.len() - LINES)?;
        }
        writeln!(f, "\nIt alone: {}", (self.alone)(finding))?;
        if !self.follows.is_empty() {
            let rule = finding.rules.first().copied().unwrap_or_default();
            writeln!(f, "\nFollows from it, perhaps, since it takes {rule} for granted:")?;
            tell(f, self.follows.iter())?;
        }
        if !self.others.is_empty() {
            writeln!(f, "\nHas another reason, perhaps:")?;
            tell(f, self.others.iter().map(|root| &root.failed))?;
            let more: usize = self.others.iter().map(|root| root.follows.len()).sum();
            if more > 0 {
                writeln!(f, "    and {more} that may follow from those")?;
            }
        }
        if let Some(cell) = self.cells.first() {
            let (count, name) = (self.cells.len(), &cell.finding.name);
            writeln!(f, "\nAnd {count} cells of the decision table, the first: {name}")?;
        }
        Ok(())
    }
}

/// How many thousandths of the checks about the main rule of this one have failed; fewer where the rule has few checks.
fn share(findings: &[&Finding], one: &Finding) -> usize {
    let about = |finding: &&&Finding| one.rules.first().is_some_and(|rule| finding.rules.contains(rule));
    let (mut failed, mut all) = (0, 0);
    for finding in findings.iter().filter(about) {
        failed += usize::from(matches!(finding.verdict, Verdict::Failed(_)));
        all += 1;
    }
    1_000 * failed / (all + 2)
}

/// A line for each, up to so many.
fn tell<'a>(f: &mut fmt::Formatter<'_>, failed: impl ExactSizeIterator<Item = &'a Failed<'a>>) -> fmt::Result {
    let more = failed.len().saturating_sub(TOLD);
    for Failed { finding, why } in failed.take(TOLD) {
        let line = why.lines().find(|line| !line.trim().is_empty());
        writeln!(f, "    {finding}: {}", shortened(line.unwrap_or_default()))?;
    }
    if more > 0 {
        writeln!(f, "    and {more} more")?;
    }
    Ok(())
}

/// The beginning of a line.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}
