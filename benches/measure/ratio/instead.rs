use std::sync::Arc;
use std::time::Duration;

use kp_core::server::KeyPackageStore;
use tokio::runtime::Runtime;

use super::{POOLS, Ratio};
use crate::measure::Fallible;
use crate::measure::backend::on_disk;
use crate::measure::inputs::Kind;
use crate::measure::instead::{Instead, Lacking};
use crate::measure::stock::{self, Stock};

/// How long each of both is measured in a round.
const EACH: Duration = Duration::from_millis(150);

/// The store of ours on the same engine, and what a server would use instead: the same calls, of one caller and of 64.
pub(crate) fn against(runtime: &Runtime, instead: Instead, rounds: usize) -> Fallible<Vec<Ratio>> {
    let (work, backend) = (instead.work(), instead.ours());
    let subject = runtime.block_on(backend.open())?;
    let dir = on_disk()?;
    let url = subject.postgres().ok().map(|server| server.url());
    let lacking = Lacking::default();
    let peer = runtime.block_on(instead.open(dir.path(), url.as_deref(), "instead", &lacking))?;
    let fill = |store: &Arc<dyn KeyPackageStore>| runtime.block_on(Stock::fill(store, 0..POOLS, Kind::usual()?));
    let (mut ours, mut theirs) = (fill(&subject.store)?, fill(&peer)?);
    if instead == Instead::DeleteReturning {
        // Where one of its connections stands still, the others find pools empty that are not (RES-8), and hand out their last
        // resorts, which stay when a pool is filled anew.
        runtime.block_on(stock::save_last_resorts(&peer, 0..POOLS, Kind::usual()?))?;
    }
    let lines = [1, 64].map(|callers| {
        let who = if callers == 1 {
            "one caller".to_owned()
        } else {
            format!("{callers} callers")
        };
        let ratio = Ratio::new(format!("{backend}: {work}, {who}; {instead}"), None);
        (callers, ratio)
    });
    let mut ratios = Vec::new();
    for (callers, mut ratio) in lines {
        for _ in 0..rounds {
            let our_run = runtime.block_on(work.keep_on(&mut ours, callers, EACH))?;
            let their_run = runtime.block_on(work.keep_on(&mut theirs, callers, EACH))?;
            ratio.round(our_run.per_second(), their_run.per_second());
            ratio.add(our_run)?;
        }
        ratios.push(ratio);
    }
    Ok(ratios)
}
