use std::collections::BTreeSet;
use std::fmt;

use crate::{Check, Method};

/// What became of one check or cell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The rules that it is about; none for a cell.
    pub rules: Vec<&'static str>,
    /// Its name.
    pub name: String,
    /// The rules that it takes for granted, its own among them; none for a cell.
    pub relies_on: BTreeSet<&'static str>,
    /// How it ended.
    pub verdict: Verdict,
}

/// As the test output names it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return write!(f, "DECISIONS {}", self.name);
        }
        write!(f, "{} {}", self.rules.join(","), self.name)
    }
}

impl Finding {
    pub(crate) fn of_check<C>(check: &Check<C>, verdict: Verdict) -> Self {
        Self {
            rules: check.rules().to_vec(),
            name: check.name().to_owned(),
            relies_on: check.relies_on(),
            verdict,
        }
    }

    pub(crate) fn of_cell(name: String, verdict: Verdict) -> Self {
        Self {
            rules: Vec::new(),
            name,
            relies_on: BTreeSet::new(),
            verdict,
        }
    }
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
    /// The method that the backend does not offer, and the check calls. Nothing is shown: neither that what it says holds,
    /// nor that it does not.
    NotOffered(Method),
}

impl Verdict {
    /// Of what a check has returned.
    pub(crate) fn of(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Passed)
    }

    /// Its name, and the reason.
    pub(crate) fn told(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Passed => ("passed", None),
            Self::Failed(reason) => ("failed", Some(reason)),
            Self::Ignored(reason) => ("ignored", Some(reason)),
            Self::NotOffered(method) => ("not offered", Some(method.name())),
        }
    }
}
