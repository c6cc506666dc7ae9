//! What a check takes for granted: the rules without which it cannot tell whether its own hold.

use std::collections::BTreeSet;

/// What the checks of each rule take for granted.
const OF_RULES: &[(&str, &[&str])] = &[
    ("SAVE-1", &[]),
    ("SAVE-2", &["SAVE-1"]),
    ("SAVE-3", &["SAVE-2", "CLAIM-1", "DEL-3"]),
    ("SAVE-4", &["SAVE-1"]),
    ("SAVE-5", &["SAVE-2"]),
    ("SAVE-6", &["SAVE-2"]),
    ("SAVE-7", &["SAVE-3", "SAVE-4", "SAVE-5", "SAVE-6", "SAVE-9"]),
    ("SAVE-8", &["SAVE-6", "DEL-3"]),
    ("SAVE-9", &["SAVE-2"]),
    ("READ-1", &["READ-2", "READ-3", "READ-4"]),
    ("READ-2", &["RES-2"]),
    ("READ-3", &["RES-2", "RES-9", "SPEND-1", "DEL-3", "LAST-1"]),
    ("READ-4", &["RES-2", "RES-9", "SPEND-1", "DEL-3", "LAST-1"]),
    ("READ-5", &["SAVE-1"]),
    ("RES-1", &["SAVE-1"]),
    ("RES-2", &["RES-1"]),
    ("RES-3", &["RES-2"]),
    ("RES-4", &["RES-1"]),
    ("RES-5", &["RES-1"]),
    ("RES-6", &["RES-3", "LAST-1"]),
    ("RES-7", &["RES-5"]),
    ("RES-8", &["RES-2"]),
    ("RES-9", &["RES-4"]),
    ("RES-10", &["RES-5", "RES-6", "RES-7"]),
    ("CLAIM-1", &["RES-5"]),
    ("SPEND-1", &["RES-5"]),
    ("SPEND-2", &["SPEND-1", "REL-1"]),
    ("SPEND-3", &["SPEND-1"]),
    ("SPEND-4", &["SPEND-1", "RES-7"]),
    ("REL-1", &["RES-2"]),
    ("REL-2", &["REL-1", "RES-5"]),
    ("REL-3", &["REL-1", "SPEND-1"]),
    ("REN-1", &["RES-4", "RES-5"]),
    ("REN-2", &["REN-1", "REL-1"]),
    ("LAST-1", &["SAVE-2"]),
    ("LAST-2", &["LAST-1", "READ-2"]),
    ("LAST-3", &["SAVE-5"]),
    ("LAST-4", &["LAST-1"]),
    ("DEL-1", &["SAVE-1"]),
    ("DEL-2", &["DEL-3", "READ-5"]),
    ("DEL-3", &["RES-1"]),
    ("TIME-1", &["SAVE-4", "RES-4"]),
    ("TIME-2", &["RES-9"]),
    ("TIME-3", &["TIME-2"]),
    ("SWEEP-1", &["SAVE-4"]),
    ("SWEEP-2", &["RES-9"]),
    ("SWEEP-3", &["SWEEP-1", "SWEEP-2", "LIN-1"]),
    (
        "LIN-1",
        &[
            "RES-2", "CLAIM-1", "SPEND-1", "REL-1", "SAVE-6", "READ-3", "READ-4", "DEL-1",
        ],
    ),
    ("COST-1", &["READ-2", "READ-5", "SWEEP-1", "SWEEP-2"]),
    ("MOVE-1", &["RES-3", "RES-7", "CLAIM-1", "SPEND-3", "SAVE-9", "LAST-4"]),
    ("MOVE-2", &["MOVE-1"]),
    ("MOVE-3", &["MOVE-1"]),
    ("PRIV-1", &["RES-7", "CLAIM-1", "SPEND-3"]),
    ("ERR-1", &["CLAIM-1", "SPEND-3"]),
    ("ERR-2", &["ERR-1"]),
    ("ERR-3", &["RES-5", "CLAIM-1", "SPEND-1", "REL-1"]),
    ("ERR-4", &["RES-1"]),
    ("ERR-5", &["CLAIM-1", "SPEND-3"]),
];

/// What a check takes for granted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reliance {
    /// What its rules do.
    OfItsRules,
    /// All rules: it makes every kind of call.
    Everything,
}

impl Reliance {
    /// The rules that a check about these takes for granted, its own among them.
    pub(crate) fn of(self, rules: &[&'static str]) -> BTreeSet<&'static str> {
        match self {
            Self::OfItsRules => closure(rules),
            Self::Everything => OF_RULES.iter().map(|(rule, _)| *rule).collect(),
        }
    }
}

/// These rules, with all that they take for granted.
fn closure(rules: &[&'static str]) -> BTreeSet<&'static str> {
    let (mut known, mut next) = (BTreeSet::new(), rules.to_vec());
    while let Some(rule) = next.pop() {
        if known.insert(rule) {
            let of_rule = OF_RULES.iter().find(|(name, _)| *name == rule);
            next.extend(of_rule.into_iter().flat_map(|(_, relies_on)| relies_on.iter().copied()));
        }
    }
    known
}

/// How much a check takes for granted: those that make every kind of call the most, and others as much as their main rule.
pub(crate) fn rank(rules: &[&'static str], relies_on: &BTreeSet<&'static str>) -> (bool, usize) {
    let of_main = closure(rules.get(..1).unwrap_or_default());
    (relies_on.len() == OF_RULES.len(), of_main.len())
}

#[cfg(test)]
mod tests {
    use kp_core::rules::CATALOGUE;

    use super::*;

    #[test]
    fn every_rule_stands_once_and_none_relies_on_itself() {
        let names: Vec<_> = OF_RULES.iter().map(|(rule, _)| *rule).collect();
        let distinct: BTreeSet<_> = names.iter().copied().collect();
        let catalogue: BTreeSet<_> = CATALOGUE.iter().map(|rule| rule.id).collect();
        assert_eq!((names.len(), distinct), (catalogue.len(), catalogue));
        for (rule, relies_on) in OF_RULES {
            let known = closure(relies_on);
            assert!(!known.contains(rule), "{rule} relies on itself");
            assert!(
                known.is_subset(&CATALOGUE.iter().map(|rule| rule.id).collect()),
                "{rule} relies on what is no rule"
            );
        }
    }
}
