//! Runs calls in one transaction: two round trips, unless the rules ask for more.
//!
//! 1. `BEGIN`, the pools that are to be made, the lock, and the look-ups that the calls need as a rule.
//! 2. The rules run over what was loaded.
//! 3. What they changed, and `COMMIT`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use kp_core::rules::{Interrupted, LoadedPool, LookUp};
use kp_core::{PoolId, Timestamp};
use tokio::time::timeout;

use crate::link::calls::{Call, Kind};
use crate::link::commit::{Failed, Transaction, abandon, end};
use crate::link::connection::{Connection, Exchange, Statement};
use crate::link::error::{Damage, Failure};
use crate::link::param::Param;
use crate::link::row::Row;
use crate::pools::load::{Asked, requests};
use crate::pools::pool_row::PoolRow;
use crate::pools::write::{Needs, Writes};
use crate::sql::Sql;

/// How many records of a queue are loaded beside one for each call, if a call may pass over some.
const SPARE: usize = 4;

/// A call whose look-ups do not end would hold its locks for ever.
const MAX_ROUNDS: usize = 10_000;

/// Runs calls in a transaction of their own, and commits. `left`: how long the calls still wait. `limit`: how long the
/// answer to the commit is waited for.
pub(crate) async fn commit(
    connection: &Connection,
    calls: &mut [Call],
    left: Duration,
    limit: Duration,
) -> Result<(), Failed> {
    let begin = Some(connection.begin(left, limit));
    let mut transaction = Transaction { connection, begin };
    let decided = timeout(left, decide(&mut transaction, calls)).await;
    let statements = match decided.unwrap_or(Err(Failure::TimedOut(left))) {
        Ok(statements) => statements,
        Err(failure) => {
            abandon(connection, &failure, limit).await;
            return Err(Failed::NotApplied(failure));
        }
    };
    end(connection, statements, limit).await.map(drop)
}

/// The pools of a transaction, in the order of their ids.
struct Pools {
    ids: Vec<PoolId>,
    /// The calls on each, by their places.
    calls: Vec<Vec<usize>>,
    /// The rows under the lock. `None`: the pool holds nothing.
    rows: Vec<Option<PoolRow>>,
    loaded: Vec<Option<LoadedPool>>,
    /// Those whose queue was gone through from far behind.
    behind: BTreeSet<usize>,
}

/// Locks the pools of the calls, loads, runs the calls, and returns what is to be written.
pub(crate) async fn decide(session: &mut dyn Exchange, calls: &mut [Call]) -> Result<Vec<Statement>, Failure> {
    let mut pools = Pools::of(calls);
    let created: Vec<_> = pools.ids_where(calls, |call| call.kind.makes_its_pool());
    let requests = requests(pools.look_ups(calls));
    let mut statements = Vec::new();
    if !created.is_empty() {
        statements.push(Sql::PoolCreate.with(vec![Param::all_bytes(&created)]));
    }
    let before_the_lock = statements.len();
    statements.push(Sql::Lock.with(vec![Param::all_bytes(&pools.ids)]));
    statements.extend(requests.iter().map(|request| request.statement(&pools.ids)));
    let mut answers = session.exchange(statements).await?.into_iter().skip(before_the_lock);
    pools.lock(&answers.next().unwrap_or_default(), &created)?;
    for (request, rows) in requests.into_iter().zip(answers) {
        pools.behind.extend(request.learn(&rows, &mut pools.loaded)?);
    }
    for (loaded, row) in pools.loaded.iter_mut().zip(&pools.rows) {
        if row.is_none() {
            *loaded = Some(LoadedPool::empty());
        }
    }
    pools.run(session, calls).await?;
    Ok(pools.writes(calls).statements())
}

impl Pools {
    fn of(calls: &[Call]) -> Self {
        let mut pools: BTreeMap<&PoolId, Vec<usize>> = BTreeMap::new();
        for (place, call) in calls.iter().enumerate() {
            pools.entry(&call.pool).or_default().push(place);
        }
        let (ids, calls): (Vec<_>, Vec<_>) = pools.into_iter().map(|(id, calls)| (id.clone(), calls)).unzip();
        Self {
            rows: ids.iter().map(|_| None).collect(),
            loaded: ids.iter().map(|_| None).collect(),
            behind: BTreeSet::new(),
            ids,
            calls,
        }
    }

    fn ids_where(&self, calls: &[Call], which: impl Fn(&Call) -> bool) -> Vec<PoolId> {
        let any = |places: &Vec<usize>| places.iter().any(|place| which(&calls[*place]));
        let pools = self.ids.iter().zip(&self.calls);
        pools
            .filter(|(_, places)| any(places))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Lists the look-ups that the calls need as a rule, each once.
    fn look_ups(&self, calls: &[Call]) -> Vec<Asked> {
        let mut asked: Vec<Asked> = Vec::new();
        let mut places: HashMap<(usize, LookUp), usize> = HashMap::new();
        for (pool, on_pool) in self.calls.iter().enumerate() {
            let calls = || on_pool.iter().map(|place| &calls[*place]);
            let of_kind = |kind| calls().filter(|call| call.kind == kind).count();
            let choices = of_kind(Kind::Choice);
            let wanted = of_kind(Kind::Take) + choices + if choices > 0 { SPARE } else { 0 };
            for call in calls() {
                for look_up in &call.look_ups {
                    // The row of the pool answers as a rule.
                    if matches!(look_up, LookUp::Remembered(_)) {
                        continue;
                    }
                    let whole = call.kind != Kind::Other;
                    let place = *places.entry((pool, look_up.clone())).or_insert_with(|| {
                        asked.push(Asked {
                            pool,
                            look_up: look_up.clone(),
                            whole,
                            wanted,
                        });
                        asked.len() - 1
                    });
                    asked[place].whole |= whole;
                }
            }
        }
        asked
    }

    /// Takes the rows that were locked.
    fn lock(&mut self, rows: &[Row], created: &[PoolId]) -> Result<(), Failure> {
        for row in rows {
            let (id, row) = PoolRow::read(row)?;
            if let Ok(pool) = self.ids.binary_search_by(|known| known.as_bytes().cmp(&id)) {
                let loaded = match row.records {
                    0 => LoadedPool::empty(),
                    _ => LoadedPool::new(u64::try_from(row.last_sequence).unwrap_or_default()),
                };
                self.loaded[pool] = Some(loaded);
                self.rows[pool] = Some(row);
            }
        }
        let is_missing = |(id, row): (&PoolId, &Option<PoolRow>)| row.is_none() && created.contains(id);
        if self.ids.iter().zip(&self.rows).any(is_missing) {
            return Err(Failure::PoolDeleted);
        }
        Ok(())
    }

    /// Runs the calls of each pool in their order, and makes the look-ups that they ask for.
    async fn run(&mut self, session: &mut dyn Exchange, calls: &mut [Call]) -> Result<(), Failure> {
        let mut next = vec![0; self.ids.len()];
        for _ in 0..MAX_ROUNDS {
            let mut missing = Vec::new();
            for (pool, next) in next.iter_mut().enumerate() {
                missing.extend(self.run_pool(pool, next, calls));
            }
            if missing.is_empty() {
                return Ok(());
            }
            let requests = requests(missing);
            let statements = requests.iter().map(|request| request.statement(&self.ids));
            let answers = session.exchange(statements.collect()).await?;
            for (request, rows) in requests.into_iter().zip(answers) {
                self.behind.extend(request.learn(&rows, &mut self.loaded)?);
            }
        }
        let column = "order of the records";
        Err(Damage { key: -1, column }.into())
    }

    /// Runs the calls of a pool from the next one on, until one is interrupted.
    fn run_pool(&mut self, pool: usize, next: &mut usize, calls: &mut [Call]) -> Option<Asked> {
        let loaded = self.loaded[pool].as_mut()?;
        while let Some(place) = self.calls[pool].get(*next) {
            let step = &mut calls[*place].step;
            match step.run(loaded) {
                Ok(()) => *next += 1,
                Err(Interrupted::Missing(look_up)) => {
                    if let (LookUp::Remembered(now), Some(row)) = (&look_up, &self.rows[pool])
                        && row.has_no_expired(*now)
                    {
                        loaded.counted(look_up, u32::try_from(row.records).unwrap_or(u32::MAX));
                        continue;
                    }
                    return Some(Asked {
                        pool,
                        look_up,
                        whole: true,
                        wanted: self.calls[pool].len() + SPARE,
                    });
                }
                // The others go on: one bad row must not wedge a pool.
                Err(unreadable) => {
                    step.spoil(Failure::Unreadable(unreadable));
                    *next += 1;
                }
            }
        }
        None
    }

    fn writes(&self, calls: &[Call]) -> Writes<'_> {
        let mut writes = Writes::default();
        for (pool, on_pool) in self.calls.iter().enumerate() {
            let (Some(row), Some(loaded)) = (&self.rows[pool], &self.loaded[pool]) else {
                continue;
            };
            let on_pool = || on_pool.iter().map(|place| &calls[*place]);
            let needs = Needs {
                bounds: on_pool().any(|call| call.kind == Kind::Sweep),
                head: self.behind.contains(&pool),
            };
            writes.add(row, loaded, needs, on_pool().filter_map(moment).max());
        }
        writes
    }
}

/// Returns the `now` of a call.
fn moment(call: &Call) -> Option<Timestamp> {
    call.look_ups.iter().find_map(|look_up| match look_up {
        LookUp::Lapsed(now) => Some(*now),
        _ => None,
    })
}
