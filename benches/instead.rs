//! What is wrong with what a server would use instead: the conformance suite on each of `measure::instead`. A check counts if
//! nothing was asked in it that the peer has no notion of; the others are left out.
//!
//! `KP_CONFORMANCE=quick cargo bench --bench instead`; a word behind `--` chooses peers, by the beginning of their names, and one
//! with an underscore chooses checks: `-- UPDATE same_id_at_once`. It fails when a check passes that is said to fail.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Method, Space, Verdict, checks, decisions, report_of};
use kp_core::OpenError;
use kp_core::server::KeyPackageStore;
use kp_test_support::postgres::Postgres;
use measure::Fallible;
use measure::instead::{Instead, Lacking};

mod measure;

/// One peer, for one check.
struct Peer {
    instead: Instead,
    url: Option<String>,
    lacking: Lacking,
}

#[async_trait]
impl Factory for Peer {
    fn name(&self) -> &str {
        self.instead.name()
    }

    /// Several handles are several connections, as several processes of a server have them.
    fn facets(&self) -> Facets {
        Facets::NONE.handles()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        let (dir, url) = (space.dir(), self.url.as_deref());
        let opened = self.instead.open(dir, url, space.name(), &self.lacking).await;
        opened.map_err(OpenError::Unreachable)
    }

    async fn destroy(&self, space: &Space) {
        if let Some(url) = &self.url {
            let client = measure::floor::postgres::connect(url).await.expect("the server runs");
            let schema = format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", space.name());
            client.batch_execute(&schema).await.expect("the schema can go");
        }
    }

    fn offers(&self, method: Method) -> bool {
        match method {
            Method::Save => true,
            Method::Claim => !self.instead.has_leases(),
            Method::Reserve | Method::Spend => self.instead.has_leases(),
            _ => false,
        }
    }
}

fn main() -> Fallible<()> {
    let words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let (of_checks, of_peers): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('_'));
    let is_chosen = |name: &str| of_peers.is_empty() || of_peers.iter().any(|word| name.starts_with(word));
    for instead in Instead::ALL.into_iter().filter(|instead| is_chosen(instead.name())) {
        if !instead.ours().is_here() {
            eprintln!("{instead}: there is no server on this machine");
            continue;
        }
        let server = (instead.ours() == measure::backend::Backend::Postgres)
            .then(|| Postgres::start_in(Path::new("/dev/shm"), &[]));
        examine(instead, server.as_ref().map(Postgres::url), &of_checks)?;
    }
    Ok(())
}

/// Runs the suite, one check after the other, and prints what came of it.
fn examine(instead: Instead, url: Option<String>, words: &[String]) -> Fallible<()> {
    let names = checks().map(ToString::to_string);
    let names = names.chain(decisions::cells().map(|cell| format!("DECISIONS {}", cell.name())));
    let names = names.filter(|name| words.is_empty() || words.iter().any(|word| name.contains(word)));
    let names: Vec<_> = names.collect();
    let (mut passed, mut failed, mut left_out) = (0, Vec::new(), BTreeMap::<_, u32>::new());
    for name in &names {
        let lacking = Lacking::default();
        let peer = Peer {
            instead,
            url: url.clone(),
            lacking: Arc::clone(&lacking),
        };
        let report = report_of(peer, |chosen| chosen == name);
        let finding = report.findings.first().ok_or("no such check")?;
        match (lacking.get(), &finding.verdict) {
            (Some(what), _) => *left_out.entry(*what).or_default() += 1,
            (None, Verdict::Passed) => passed += 1,
            (None, Verdict::Failed(why)) => failed.push((name, why.lines().next().unwrap_or_default().to_owned())),
            (None, _) => *left_out.entry("what the check needs").or_default() += 1,
        }
    }
    println!("{instead}: passes {passed} of {} checks", passed + failed.len());
    for (name, why) in &failed {
        println!("  fails {name}: {why}");
    }
    for (what, count) in &left_out {
        println!("  {count} left out: it has no notion of {what}");
    }
    let passes = |check: &str| names.iter().any(|name| name == check) && !failed.iter().any(|(name, _)| *name == check);
    match instead.flaws().iter().find(|flaw| passes(flaw.check)) {
        Some(flaw) => Err(format!("{instead}: {} does not fail", flaw.check).into()),
        None => Ok(()),
    }
}
