use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::examine::Examined;
use crate::Verdict;

/// Writes the report as JUnit XML. What does not apply, and what is not offered, is skipped.
pub(super) fn write(path: &Path, backend: &str, examined: &[Examined], took: Duration) -> io::Result<()> {
    let mut suite = TestSuite::new(backend);
    suite.set_time(took);
    for Examined { finding, took, .. } in examined {
        let status = match &finding.verdict {
            Verdict::Passed => TestCaseStatus::success(),
            Verdict::Failed(why) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status
                    .set_message(why.lines().next().unwrap_or_default())
                    .set_description(why);
                status
            }
            Verdict::Ignored(_) | Verdict::NotOffered(_) => {
                let (verdict, reason) = finding.verdict.told();
                let mut status = TestCaseStatus::skipped();
                status.set_message(format!("{verdict}: {}", reason.unwrap_or_default()));
                status
            }
        };
        let mut case = TestCase::new(&finding.name, status);
        let rules = finding.rules.join(",");
        case.set_classname(if rules.is_empty() { "DECISIONS" } else { &rules });
        case.set_time(*took);
        suite.add_test_case(case);
    }
    let mut report = Report::new("kp-conformance");
    report.set_time(took).add_test_suite(suite);
    report.serialize(File::create(path)?).map_err(io::Error::other)
}
