//! The list of metrics in docs/operating.md, held against the code that records them, and the rules and the dashboard against the
//! list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use promql_parser::label::Matcher;
use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

/// The names of metrics, each with its type and its labels.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The list, as the page has it.
fn listed() -> Metrics {
    let page = text("docs/operating.md");
    let rows = page.lines().filter(|line| line.starts_with("| `keypackage_"));
    let metrics: Metrics = rows
        .map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(str::trim);
            let mut next = || cells.next().expect("name, type, labels and meaning");
            let (name, kind, labels) = (next().trim_matches('`'), next(), next());
            assert!(!next().is_empty(), "{name} means nothing");
            (name.to_owned(), (kind.to_owned(), quoted(labels)))
        })
        .collect();
    assert!(metrics.len() > 10, "{metrics:?}");
    metrics
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(std::fs::read_to_string(path).expect("text"));
        }
    }
}

/// The metrics that the crates record: `counter!("NAME", "LABEL" => ...)` and its like.
fn recorded() -> Metrics {
    let mut found = Vec::new();
    for crate_of_ours in [
        "kp-server",
        "kp-memory",
        "kp-sqlite",
        "kp-postgres",
        "kp-redis",
        "kp-http",
    ] {
        sources(&repository().join(crate_of_ours).join("src"), &mut found);
    }
    let mut metrics = Metrics::new();
    for source in found {
        for kind in ["counter", "gauge", "histogram"] {
            for call in source.split(&format!("{kind}!(")).skip(1) {
                let (call, _) = call.split_once(")").expect("its end");
                let mut words = call.split('"').skip(1).step_by(2);
                let name = words.next().expect("its name").to_owned();
                let labels = call.rsplit("=>").skip(1).filter_map(|part| part.rsplit('"').nth(1));
                let labels: BTreeSet<_> = labels.map(str::to_owned).collect();
                let known = metrics.insert(name.clone(), (kind.to_owned(), labels.clone()));
                assert!(
                    known.is_none_or(|known| known == (kind.to_owned(), labels)),
                    "{name} twice"
                );
            }
        }
    }
    metrics
}

#[test]
fn the_list_is_what_the_crates_record() {
    assert_eq!(listed(), recorded());
}

/// Which metrics an expression reads, and the labels that it uses of any of them.
#[derive(Default)]
struct Used {
    selectors: Vec<(String, BTreeSet<String>)>,
    grouped_by: BTreeSet<String>,
}

impl Used {
    fn select(&mut self, selector: &VectorSelector) {
        let matchers = selector.matchers.matchers.iter();
        let labels = matchers.map(|Matcher { name, .. }| name.clone()).collect();
        let name = selector.name.clone().expect("a metric has a name here");
        self.selectors.push((name, labels));
    }
}

impl ExprVisitor for Used {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.select(selector),
            Expr::MatrixSelector(selector) => self.select(&selector.vs),
            Expr::Aggregate(aggregate) => {
                let labels = aggregate.modifier.iter().flat_map(|by| by.labels().labels.clone());
                self.grouped_by.extend(labels);
            }
            _ => {}
        }
        Ok(true)
    }
}

/// Holds an expression against the list.
fn check(metrics: &Metrics, expr: &str) {
    // What Grafana puts in.
    let filled = expr.replace("$__rate_interval", "5m").replace("$instance", ".*");
    let parsed = parser::parse(&filled).unwrap_or_else(|error| panic!("{expr}: {error}"));
    let mut used = Used::default();
    let Ok(_) = walk_expr(&mut used, &parsed);
    assert!(!used.selectors.is_empty(), "{expr} reads nothing");
    for (name, labels) in &used.selectors {
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part));
        let (kind, known) = match whole.and_then(|whole| metrics.get(whole)) {
            Some(found) => found,
            None => metrics
                .get(name)
                .unwrap_or_else(|| panic!("{expr}: there is no {name}")),
        };
        assert_eq!(
            kind == "histogram",
            whole.is_some_and(|whole| metrics.contains_key(whole)),
            "{expr}: {name}"
        );
        // What Prometheus itself adds.
        let added = ["instance", "job"].map(str::to_owned);
        let le = name.ends_with("_bucket").then(|| "le".to_owned());
        let known: BTreeSet<_> = known.iter().cloned().chain(added).chain(le).collect();
        let wanted: BTreeSet<_> = labels.union(&used.grouped_by).cloned().collect();
        assert!(wanted.is_subset(&known), "{expr}: {name} has {known:?}");
    }
}

#[test]
fn every_alert_reads_what_is_recorded_and_is_explained() {
    let metrics = listed();
    let rules: Value = serde_saphyr::from_str(&text("docs/operating/alerts.yml")).expect("YAML");
    let rules: Vec<_> = rules["groups"].as_array().expect("groups").iter().collect();
    let rules: Vec<_> = rules
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"))
        .collect();
    let mut alerts = BTreeSet::new();
    for rule in rules {
        check(&metrics, rule["expr"].as_str().expect("an expression"));
        let severity = rule["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("page" | "ticket")), "{rule}");
        assert!(rule["annotations"]["summary"].is_string(), "{rule}");
        alerts.insert(rule["alert"].as_str().expect("a name").to_owned());
    }
    let page = text("docs/operating.md");
    let explained: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_owned)
        .collect();
    assert_eq!(alerts, explained);
}

#[test]
fn every_panel_reads_what_is_recorded_and_all_of_it_is_shown() {
    let metrics = listed();
    let dashboard: Value = serde_json::from_str(&text("docs/operating/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut shown = String::new();
    for panel in panels {
        for target in panel["targets"].as_array().expect("targets") {
            let expr = target["expr"].as_str().expect("an expression");
            check(&metrics, expr);
            shown.push_str(expr);
        }
    }
    let hidden: Vec<_> = metrics.keys().filter(|name| !shown.contains(*name)).collect();
    assert_eq!(hidden, [""; 0]);
}

/// A check that passes everything would be none.
#[test]
fn what_is_not_recorded_is_found() {
    let metrics = listed();
    for wrong in [
        "rate(keypackage_directory_second_count[5m])",
        "keypackage_store_calls{pool=\"bob\"}",
        "sum by (pool) (keypackage_store_calls)",
        "keypackage_directory_seconds",
        "keypackage_store_calls_bucket",
    ] {
        let found = std::panic::catch_unwind(|| check(&metrics, wrong));
        assert!(found.is_err(), "{wrong}");
    }
}
