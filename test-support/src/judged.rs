//! What an admission says of a KeyPackage, and what its MLS library says of the same bytes.

use kp_core::protocol::Refusal;

use crate::demands::{Change, DEMANDS};

pub type Verdict = Result<(), Refusal>;

/// What became of one KeyPackage.
pub struct Judged {
    pub verdict: Verdict,
    /// Whether the library added its client.
    pub added: Result<(), String>,
    /// Whether the group's next commit went well.
    pub committed: Result<(), String>,
}

impl Judged {
    /// Prints what was found. What is admitted can be added.
    pub fn checked(self, suite: u16, library: &str) -> Self {
        let Self {
            verdict,
            added,
            committed,
        } = &self;
        println!("{suite:#06x}: {verdict:?}; {library}: {added:?}, {committed:?}");
        assert!(
            verdict.is_err() || committed.is_ok(),
            "admitted, and cannot be added: {committed:?}"
        );
        self
    }

    /// Holds the page to what the library did.
    fn is_as_told(&self, demand: &str, library: &str) {
        let told = told(demand, &format!("{library} adds"));
        let Self { added, committed, .. } = self;
        assert_eq!(
            told.starts_with("works"),
            added.is_ok(),
            "{demand}: \"{told}\", and {added:?}"
        );
        let breaks = told.contains("every later commit fails");
        assert_eq!(
            added.is_ok() && committed.is_err(),
            breaks,
            "{demand}: \"{told}\", and {committed:?}"
        );
    }
}

/// Each demand has its refusal, and its library does what the page says.
pub fn each_demand_has_its_refusal(library: &str, judge: impl Fn(u16, Change) -> Judged) {
    for demand in DEMANDS {
        for suite in demand.suites {
            println!("{}", demand.name);
            let judged = judge(*suite, demand.change);
            judged.is_as_told(demand.name, library);
            let refused = Err(demand.refusal);
            assert_eq!(judged.verdict, refused, "{}, ciphersuite {suite}", demand.name);
        }
    }
}

/// What a column of the table in `docs/admission.md` says of a demand.
fn told(name: &str, column: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/admission.md")).unwrap();
    let head = page.lines().find(|line| line.starts_with("| demand |")).unwrap();
    let column = head.split('|').position(|it| it.trim() == column).unwrap();
    let row = page.lines().find(|line| line.contains(&format!("`{name}`"))).unwrap();
    row.split('|').nth(column).unwrap().trim().to_owned()
}
