//! What a cycle costs PostgreSQL while somebody else holds a transaction open, and after a long run: old versions of rows pile
//! up. The owners save as many KeyPackages as are used; `-- replaced` deletes the pools and fills them anew instead, every 8,000
//! cycles. Autovacuum is as shipped.
//!
//! `cargo bench --bench turnover`: 100,000 cycles before, during and after an open transaction, then 500,000. A number behind
//! `--` divides both: `-- 10`. It asserts nothing.

use std::time::Duration;

use kp_core::server::TakeRequest;
use measure::Fallible;
use measure::backend::{Backend, Subject, postgres_cpu};
use measure::call::Call;
use measure::floor::postgres::connect;
use measure::footprint::size_of_tables;
use measure::in_flight::in_flight;
use measure::inputs::{self, Kind, NOW, PER_POOL};
use measure::ratio::median;
use measure::stock::{Stock, fill};

mod measure;

const CALLERS: usize = 64;
/// 10,000 packages.
const POOLS: u32 = 100;
/// The cycles between two looks.
const BLOCK: u32 = 4_000;

#[tokio::main]
async fn main() -> Fallible<()> {
    let divisor = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1);
    let subject = Backend::Postgres.open().await?;
    let is_replaced = std::env::args().any(|argument| argument == "replaced");
    let mut stock = Turnover::start(&subject, is_replaced).await?;
    cycles("first calls", &subject, &mut stock, BLOCK).await?;
    cycles("before", &subject, &mut stock, 100_000 / divisor).await?;
    let holder = connect(&subject.postgres()?.url()).await?;
    // A snapshot that is kept, and an id that is not yet settled: as a forgotten transaction, or a long report.
    let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class; SELECT txid_current()";
    holder.batch_execute(hold).await?;
    cycles("while a transaction is open", &subject, &mut stock, 100_000 / divisor).await?;
    holder.batch_execute("COMMIT").await?;
    cycles("after it", &subject, &mut stock, 100_000 / divisor).await?;
    cycles("a long run", &subject, &mut stock, 500_000 / divisor).await?;
    Ok(())
}

/// Where the KeyPackages of the next block come from.
struct Turnover {
    stock: Stock,
    /// The blocks so far, if what is used is saved anew.
    saved: Option<u32>,
}

impl Turnover {
    async fn start(subject: &Subject, is_replaced: bool) -> Fallible<Self> {
        Ok(Self {
            stock: Stock::fill(&subject.store, 0..POOLS, Kind::usual()?).await?,
            saved: (!is_replaced).then_some(0),
        })
    }

    async fn next(&mut self) -> Fallible<Vec<TakeRequest>> {
        let Some(blocks) = &mut self.saved else {
            return self.stock.draw(BLOCK).await;
        };
        let each = BLOCK / POOLS;
        let first = PER_POOL + *blocks * each;
        fill(&self.stock.store, 0..POOLS, first..first + each, Kind::usual()?, NOW).await?;
        let serials = *blocks * BLOCK..(*blocks + 1) * BLOCK;
        *blocks += 1;
        serials
            .map(|serial| inputs::take(serial % POOLS * 41 % POOLS, serial.into()))
            .collect()
    }
}

/// Makes so many cycles, and prints what they cost.
async fn cycles(when: &str, subject: &Subject, stock: &mut Turnover, count: u32) -> Fallible<()> {
    let server = subject.postgres()?;
    let before = size_of_tables(subject).await?;
    let (mut cpu, mut rates, mut p99) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..(count / BLOCK).max(1) {
        let takes = stock.next().await?;
        let used = postgres_cpu(server)?;
        let run = in_flight(&subject.store, CALLERS, takes.into_iter().map(Call::Cycle).collect()).await?;
        cpu.push(microseconds(postgres_cpu(server)? - used));
        rates.push(run.per_second());
        p99.push(run.percentiles()[1]);
    }
    let last = cpu.len().saturating_sub(5);
    println!(
        "{when}, {count} cycles: {:.0} µs of the server's CPU a cycle ({:.0} the first, {:.0} the last five of {BLOCK}), \
         {:.0} cycles/s, p99 {:.0} µs, tables {:.1} -> {:.1} MB",
        median(cpu.iter().copied()),
        cpu.first().copied().unwrap_or(f64::NAN),
        median(cpu.split_off(last)),
        median(rates),
        median(p99),
        before as f64 / 1e6,
        size_of_tables(subject).await? as f64 / 1e6,
    );
    Ok(())
}

fn microseconds(cpu: Duration) -> f64 {
    cpu.as_secs_f64() * 1e6 / f64::from(BLOCK)
}
