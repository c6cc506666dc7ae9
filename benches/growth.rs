//! What a reserve-and-spend costs as a store grows (`COST-1`): with 1,000,000 packages stored against 10,000, and behind
//! 100,000 expired packages of the same pool that nobody swept. Besides, how fast a store was filled, and how large it is.
//!
//! `cargo bench --bench growth`; `STORED=10000000 cargo bench --bench growth -- SQLite PostgreSQL` with ten million, which take
//! minutes to fill. It asserts nothing: times are for people to judge. The stores are measured in turn, so that what else the
//! machine does hits all of them.
//!
//! The first cycle of a pool costs more than those that follow, and is shown apart. Afterwards every pool has served.

use std::sync::Arc;
use std::time::Instant;

use kp_core::server::{KeyPackageStore, TakeRequest};
use kp_core::{Lifetime, Timestamp};
use measure::Fallible;
use measure::backend::{Backend, Subject, is_chosen};
use measure::call::Call;
use measure::footprint::size;
use measure::in_flight::in_flight;
use measure::inputs::{self, Kind, NOW, PER_POOL};
use measure::ratio::median;
use measure::stock::{Stock, fill};

mod measure;

const SMALL: u32 = 10_000;
const EXPIRED: u32 = 100_000;
/// A pool remembers 10,000 that have not expired.
const REMEMBERED: u32 = 10_000;
const ROUNDS: u32 = 9;
const CYCLES: u32 = 1_000;
/// The pool with the expired packages.
const BEHIND: u32 = 1 << 29;

/// One store under measurement.
struct Grown {
    what: String,
    subject: Subject,
    /// None: all is taken from the one pool that has expired packages.
    stock: Option<Stock>,
    taken: u32,
    /// Of a cycle, of each round.
    microseconds: Vec<f64>,
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let stored = std::env::var("STORED").map_or(Ok(1_000_000), |stored| stored.parse::<u32>())?;
    println!(
        "reserve and spend, in microseconds a cycle: the median of the rounds (least, most), against the first line's"
    );
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
            Grown::stocked(backend, SMALL).await?,
            Grown::stocked(backend, stored).await?,
            Grown::behind(backend).await?,
        ];
        let [small, large, _] = &mut stores;
        small.first_calls().await?;
        let first = large.first_calls().await?;
        compare(1, &mut stores).await?;
        let served = compare(64, &mut stores).await?;
        let [_, large, _] = &mut stores;
        if let Some(right_after) = first.first() {
            println!(
                "{backend}: the first round right after {} were saved: {right_after:.2}",
                large.what
            );
        }
        large.microseconds = first;
        large.tell(64, ", first calls of pools", Some(served));
    }
    Ok(())
}

/// Measures the stores in turn. Returns the median of the first.
async fn compare(callers: usize, stores: &mut [Grown]) -> Fallible<f64> {
    for _ in 0..ROUNDS {
        for store in &mut *stores {
            let takes = store.draw().await?;
            store.round(callers, takes).await?;
        }
    }
    let mut base = None;
    for store in stores {
        let median = store.tell(callers, "", base);
        base.get_or_insert(median);
    }
    base.ok_or_else(|| "no store".into())
}

impl Grown {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    async fn stocked(backend: Backend, stored: u32) -> Fallible<Self> {
        let subject = backend.open().await?;
        let before = size(&subject).await?;
        let start = Instant::now();
        let stock = Stock::fill(&subject.store, 0..stored / PER_POOL, Kind::usual()?).await?;
        let seconds = start.elapsed().as_secs_f64();
        let bytes = size(&subject).await?.saturating_sub(before);
        println!(
            "{backend}: {stored} packages saved within {seconds:.1} s, {:.0} a second; {:.1} MB, {:.0} bytes a package",
            f64::from(stored) / seconds,
            bytes as f64 / 1e6,
            bytes as f64 / f64::from(stored),
        );
        Ok(Self::new(format!("{stored} packages"), subject, Some(stock)))
    }

    async fn behind(backend: Backend) -> Fallible<Self> {
        let subject = backend.open().await?;
        fill(
            &subject.store,
            0..SMALL / PER_POOL - 1,
            0..PER_POOL,
            Kind::usual()?,
            NOW,
        )
        .await?;
        expire(&subject.store).await?;
        let what = format!("{SMALL} packages, behind {EXPIRED} expired");
        Ok(Self::new(what, subject, None))
    }

    fn new(what: String, subject: Subject, stock: Option<Stock>) -> Self {
        Self {
            what,
            subject,
            stock,
            taken: 0,
            microseconds: Vec::new(),
        }
    }

    /// Lets every pool serve its first cycle, with 64 callers. Returns what these cost, round by round.
    async fn first_calls(&mut self) -> Fallible<Vec<f64>> {
        let pools = self.stock.as_ref().map_or(0, Stock::pools);
        for first in (0..pools).step_by(CYCLES as usize) {
            let stock = self.stock.as_mut().ok_or("no pools that never served")?;
            let takes = stock.draw(CYCLES.min(pools - first)).await?;
            self.round(64, takes).await?;
        }
        Ok(std::mem::take(&mut self.microseconds))
    }

    async fn round(&mut self, callers: usize, takes: Vec<TakeRequest>) -> Fallible<()> {
        let calls = takes.into_iter().map(Call::Cycle).collect();
        let run = in_flight(&self.subject.store, callers, calls).await?;
        self.microseconds.push(1e6 / run.per_second());
        Ok(())
    }

    /// Prints the rounds so far and forgets them. Returns their median.
    fn tell(&mut self, callers: usize, which: &str, base: Option<f64>) -> f64 {
        let figures = std::mem::take(&mut self.microseconds);
        let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figures.iter().copied().fold(0.0, f64::max);
        let median = median(figures);
        let what = format!("{}, {callers} in flight, {}{which}", self.subject.backend, self.what);
        let ratio = median / base.unwrap_or(median);
        println!("{what:<80}{median:>10.2} ({least:.2}, {most:.2}){ratio:>8.2} x");
        median
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
