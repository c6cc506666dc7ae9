use std::fmt;
use std::time::Duration;

use kp_core::Lifetime;

use super::Fallible;
use super::call::Call;
use super::in_flight::{Run, in_flight};
use super::inputs::{self, Kind, NOW};
use super::stock::{self, Stock};

/// What is compared: the calls of a delivery service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// 32 packages into a new pool.
    Save,
    /// Reserve, then spend: the cycle that matters.
    Cycle,
    Claim,
    /// From 50 pools in one call, as for somebody's many devices, or a whole group.
    ClaimMany,
    Count,
    /// A reserve that finds no one-time package left.
    LastResort,
    /// 100 expired packages.
    Sweep,
}

impl Work {
    pub(crate) const ALL: [Self; 7] = [
        Self::Save,
        Self::Cycle,
        Self::Claim,
        Self::ClaimMany,
        Self::Count,
        Self::LastResort,
        Self::Sweep,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Save => "save 32",
            Self::Cycle => "reserve and spend",
            Self::Claim => "claim",
            Self::ClaimMany => "claim from 50 pools",
            Self::Count => "count",
            Self::LastResort => "last resort",
            Self::Sweep => "sweep 100",
        }
    }

    /// Whether many callers do it at once.
    pub(crate) fn is_shared(self) -> bool {
        self != Self::Sweep
    }

    /// How often it can be done before there has to be more to do it with.
    pub(crate) fn most(self, stock: &Stock) -> u32 {
        match self {
            Self::Cycle | Self::Claim => stock.most() / 2,
            Self::ClaimMany => stock.most() / 100,
            Self::Count | Self::LastResort => 4_000,
            Self::Save | Self::Sweep => 500,
        }
    }

    /// Does it for about so long, what it takes to prepare it left out.
    pub(crate) async fn keep_on(self, stock: &mut Stock, callers: usize, long: Duration) -> Fallible<Run> {
        let most = self.most(stock);
        // How fast it is, once it is warm.
        let few = u32::try_from(32.max(2 * callers))?.min(most);
        let calls = self.prepare(stock, few).await?;
        let first = in_flight(&stock.store, callers, calls).await?;
        let enough = (first.per_second() * long.as_secs_f64()) as u32;
        let lot = enough.clamp(few, most);
        let mut run: Option<Run> = None;
        loop {
            let calls = self.prepare(stock, lot).await?;
            let more = in_flight(&stock.store, callers, calls).await?;
            let so_far = match run {
                None => more,
                Some(run) => run.and(&more)?,
            };
            if so_far.elapsed >= long {
                return Ok(so_far);
            }
            run = Some(so_far);
        }
    }

    /// Calls that can be made now, once each.
    pub(crate) async fn prepare(self, stock: &mut Stock, count: u32) -> Fallible<Vec<Call>> {
        stock.tidy().await?;
        let calls = match self {
            Self::Save => {
                let (pools, kind) = (stock.spare(count), stock.kind);
                let saves = pools.map(|pool| Ok(Call::Save(inputs::save(pool, 0..32, kind)?)));
                saves.collect::<Fallible<_>>()?
            }
            Self::Cycle => stock.draw(count).await?.into_iter().map(Call::Cycle).collect(),
            Self::Claim => {
                let takes = stock.draw(count).await?.into_iter();
                takes.map(|take| Call::Claim(vec![take])).collect()
            }
            Self::ClaimMany => {
                let takes = stock.draw(50 * count).await?;
                takes.chunks(50).map(|takes| Call::Claim(takes.to_vec())).collect()
            }
            Self::Count => {
                let takes = stock.draw(count).await?.into_iter();
                takes.map(|take| Call::Count(take.pool)).collect()
            }
            Self::LastResort => {
                let pools = stock.spare(100);
                stock::save_last_resorts(&stock.store, pools.clone(), stock.kind).await?;
                let takes = pools.cycle().zip(0..count);
                let takes = takes.map(|(pool, serial)| Ok(Call::Reserve(inputs::take(pool, serial.into())?)));
                takes.collect::<Fallible<_>>()?
            }
            Self::Sweep => {
                let over = Kind {
                    lifetime: Lifetime::new(NOW.minus(20), NOW.minus(10))?,
                    ..stock.kind
                };
                let pools = stock.spare(count);
                stock::fill(&stock.store, pools, 0..100, over, NOW.minus(20)).await?;
                (0..count).map(|_| Call::Sweep(NOW.minus(10), 100)).collect()
            }
        };
        Ok(calls)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
