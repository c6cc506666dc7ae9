//! The suite as a library: what the report says of the reference store.

use std::sync::Arc;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, ReferenceStore, Space, Verdict, checks, decisions, report};
use kp_core::OpenError;
use kp_core::rules::CATALOGUE;
use kp_core::server::KeyPackageStore;

struct Reference;

#[async_trait]
impl Factory for Reference {
    fn name(&self) -> &str {
        "reference"
    }

    fn facets(&self) -> Facets {
        Facets::default()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(Arc::new(ReferenceStore::of_space(space)))
    }

    async fn destroy(&self, space: &Space) {
        ReferenceStore::forget_space(space);
    }
}

#[test]
fn the_report_accounts_for_every_check_and_cell() {
    let report = report(Reference);
    let ignored = checks().filter(|check| check.needs() != Facets::NONE).count();
    let all = checks().count() + decisions::cells().count();
    let totals = report.totals();
    let expected = (all - ignored, 0, ignored);
    assert_eq!((totals.passed, totals.failed, totals.ignored), expected, "{report}");
    assert!(ignored > 0);
    for (check, finding) in checks().zip(&report.findings) {
        assert_eq!(
            (check.name(), check.rules()),
            (finding.name.as_str(), &finding.rules[..])
        );
        assert_eq!(
            matches!(finding.verdict, Verdict::Ignored(_)),
            check.needs() != Facets::NONE
        );
    }
    let covered: Vec<_> = report.by_rule().map(|(rule, _)| rule).collect();
    assert_eq!(covered, CATALOGUE.iter().map(|rule| rule.id).collect::<Vec<_>>());
    assert!(report.by_rule().all(|(_, totals)| totals.passed + totals.ignored > 0));

    let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("it is JSON");
    assert_eq!(json["totals"]["passed"], totals.passed);
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(all));
    assert_eq!(
        json["rules"].as_object().map(serde_json::Map::len),
        Some(CATALOGUE.len())
    );
    assert!(report.to_string().contains("reference has no facet `processes`"));
}
