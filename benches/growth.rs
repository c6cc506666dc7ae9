//! What a reserve-and-spend costs as a store grows (`COST-1`): with 1,000,000 packages stored against 10,000, and behind
//! 100,000 expired packages of the same pool that nobody swept.
//!
//! `cargo bench --bench growth`; it takes minutes to fill the stores. A word behind `--` chooses: `-- SQLite`. It asserts
//! nothing: times are for people to judge. The stores are measured in turn, so that what else the machine does hits all
//! of them. Every pool has served before: of a small store each does so at once, of a large one it would take all rounds.

use std::sync::Arc;

use kp_core::server::{KeyPackageStore, TakeRequest};
use kp_core::{Lifetime, Timestamp};
use measure::Fallible;
use measure::backend::{Backend, Subject, is_chosen};
use measure::call::Call;
use measure::in_flight::in_flight;
use measure::inputs::{self, Kind, NOW};
use measure::stock::{Stock, fill};

mod measure;

const EXPIRED: u32 = 100_000;
/// A pool remembers 10,000 that have not expired.
const REMEMBERED: u32 = 10_000;
const ROUNDS: u32 = 9;
const CYCLES: u32 = 1_000;
/// The pool with the expired packages.
const BEHIND: u32 = 1_000_000;

/// One store under measurement.
struct Grown {
    what: &'static str,
    subject: Subject,
    /// None: all is taken from the one pool that has expired packages.
    stock: Option<Stock>,
    taken: u32,
    microseconds: Vec<f64>,
}

#[tokio::main]
async fn main() -> Fallible<()> {
    println!("reserve and spend, in microseconds a cycle; the median of {ROUNDS}");
    for backend in [
        Backend::Memory,
        Backend::Sqlite,
        Backend::RedisEverysec,
        Backend::Postgres,
    ] {
        if !is_chosen(backend) {
            continue;
        }
        let mut stores = [
            Grown::stocked("10,000 packages", backend, 100).await?,
            Grown::stocked("1,000,000 packages", backend, 10_000).await?,
            Grown::behind("10,000 packages, behind 100,000 expired", backend).await?,
        ];
        for callers in [1, 64] {
            compare(callers, &mut stores).await?;
        }
    }
    Ok(())
}

async fn compare(callers: usize, stores: &mut [Grown]) -> Fallible<()> {
    for _ in 0..ROUNDS {
        for store in &mut *stores {
            let calls = store.draw().await?.into_iter().map(Call::Cycle).collect();
            let run = in_flight(&store.subject.store, callers, calls).await?;
            store.microseconds.push(1e6 / run.per_second());
        }
    }
    let mut base = None;
    for store in stores {
        let mut figures = std::mem::take(&mut store.microseconds);
        figures.sort_by(f64::total_cmp);
        let median = figures[figures.len() / 2];
        let base = *base.get_or_insert(median);
        let what = format!("{}, {callers} in flight, {}", store.subject.backend, store.what);
        println!("{what:<72}{median:>10.2}{:>8.2} x", median / base);
    }
    Ok(())
}

impl Grown {
    async fn stocked(what: &'static str, backend: Backend, pools: u32) -> Fallible<Self> {
        let subject = backend.open().await?;
        let mut stock = Stock::fill(&subject.store, 0..pools, Kind::usual()?).await?;
        let calls = stock.draw(pools).await?.into_iter().map(Call::Cycle).collect();
        in_flight(&subject.store, 64, calls).await?;
        Ok(Self::new(what, subject, Some(stock)))
    }

    async fn behind(what: &'static str, backend: Backend) -> Fallible<Self> {
        let subject = backend.open().await?;
        fill(&subject.store, 0..99, 0..inputs::PER_POOL, Kind::usual()?, NOW).await?;
        expire(&subject.store).await?;
        Ok(Self::new(what, subject, None))
    }

    fn new(what: &'static str, subject: Subject, stock: Option<Stock>) -> Self {
        Self {
            what,
            subject,
            stock,
            taken: 0,
            microseconds: Vec::new(),
        }
    }

    async fn draw(&mut self) -> Fallible<Vec<TakeRequest>> {
        if let Some(stock) = &mut self.stock {
            return stock.draw(CYCLES).await;
        }
        if self.taken + CYCLES > REMEMBERED {
            self.subject.store.delete_pool(&inputs::pool_id(BEHIND)?).await?;
            expire(&self.subject.store).await?;
            self.taken = 0;
        }
        // What the round needs and no more: the pool is otherwise of the usual size.
        let numbers = self.taken..self.taken + CYCLES;
        self.taken = numbers.end;
        let pool = BEHIND..BEHIND + 1;
        fill(&self.subject.store, pool, numbers.clone(), Kind::usual()?, NOW).await?;
        numbers.map(|number| inputs::take(BEHIND, number.into())).collect()
    }
}

/// Lets packages expire in one pool: batch after batch, each when the one before has expired, since a pool remembers only
/// so many at a time.
async fn expire(store: &Arc<dyn KeyPackageStore>) -> Fallible<()> {
    for first in (0..EXPIRED).step_by(1_000) {
        let from = Timestamp::try_from(i64::from(first))?;
        let kind = Kind {
            lifetime: Lifetime::new(from, from.plus(1_000))?,
            ..Kind::usual()?
        };
        let numbers = u32::MAX - first - 1_000..u32::MAX - first;
        fill(store, BEHIND..BEHIND + 1, numbers, kind, from).await?;
    }
    Ok(())
}
