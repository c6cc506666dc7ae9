use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use kp_conformance::{Check, decisions};
use kp_core::rules::CATALOGUE;

use crate::wrong_stores;

const BEGIN: &str = "<!-- begin: written by the test `wrong_stores` with UPDATE_DOCS=1 -->\n";
const END: &str = "<!-- end -->\n";

/// Whether `docs/conformance.md` has the table and the counts of today; with `UPDATE_DOCS=1`, makes it so.
pub(crate) fn compare() -> Result<(), String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (before, rest) = text
        .split_once(BEGIN)
        .ok_or("docs/conformance.md has no place for the table")?;
    let (_, after) = rest
        .split_once(END)
        .ok_or("the table in docs/conformance.md has no end")?;
    let today = format!("{before}{BEGIN}{}{END}{after}", table());
    if today == text {
        return Ok(());
    }
    if env::var_os("UPDATE_DOCS").is_none() {
        return Err("docs/conformance.md is not of today: run this test with UPDATE_DOCS=1".to_owned());
    }
    fs::write(&path, today).map_err(|error| format!("{}: {error}", path.display()))
}

/// The counts, rule -> checks -> wrong stores, and what is wrong with each.
fn table() -> String {
    let mut text = String::new();
    let races = wrong_stores().filter(|wrong| wrong.races()).count();
    let _ = writeln!(
        text,
        "\n{} rules, {} checks, {} cells of the decision table, {} wrong stores, of which {races} are wrong only in a \
         race.\n\n| rule | checks | wrong stores |\n|---|---|---|",
        CATALOGUE.len(),
        kp_conformance::checks().count(),
        decisions::cells().count(),
        wrong_stores().count(),
    );
    for rule in CATALOGUE {
        let checks = kp_conformance::checks().filter(|check| check.rules().contains(&rule.id));
        let stores = wrong_stores().filter(|wrong| wrong.rule == rule.id);
        let _ = writeln!(
            text,
            "| `{}` {} | {} | {} |",
            rule.id,
            rule.about,
            listed(checks.map(Check::name)),
            listed(stores.map(|wrong| wrong.name)),
        );
    }
    text.push_str("\n| wrong store | what is wrong | breaks | caught by |\n|---|---|---|---|\n");
    for wrong in wrong_stores() {
        let says = wrong.says.trim();
        let _ = writeln!(text, "| {} | {says} | `{}` | {} |", wrong.name, wrong.rule, wrong.check);
    }
    text.push('\n');
    text
}

fn listed(names: impl Iterator<Item = &'static str>) -> String {
    let names: BTreeSet<_> = names.collect();
    names.into_iter().collect::<Vec<_>>().join("<br>")
}
