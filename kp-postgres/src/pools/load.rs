//! Asks for look-ups, and gives the answers to the pools in memory.

use kp_core::Role;
use kp_core::rules::{Extent, LoadedPool, LookUp};

use crate::link::connection::Statement;
use crate::link::error::Failure;
use crate::link::param::Param;
use crate::link::row::Row;
use crate::pools::rows::{self, skip_damaged, stored};
use crate::sql::Sql;

/// How many records a walk that goes on reads at once.
const PAGE: usize = 256;

/// How many expired records one look-up reads.
const EXPIRED: usize = 1_000;

/// A take that passed over so many places finds the head of the queue far behind.
const FAR: u64 = 64;

/// One look-up of a pool.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The place of the pool in the transaction.
    pub(crate) pool: usize,
    pub(crate) look_up: LookUp,
    /// Whether a record that is found by its ref comes with its bytes.
    pub(crate) whole: bool,
    /// How many records of the queue are wanted, with their bytes.
    pub(crate) wanted: usize,
}

/// The look-ups that one statement makes.
#[derive(Debug)]
pub(crate) struct Request {
    sql: Sql,
    asked: Vec<Asked>,
}

/// Sorts look-ups by the statement that makes them.
pub(crate) fn requests(asked: Vec<Asked>) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for asked in asked {
        let sql = match asked.look_up {
            LookUp::Ref(_) => Sql::ByRef,
            LookUp::Id(_) => Sql::ById,
            LookUp::Lapsed(_) => Sql::Lapsed,
            LookUp::Queue { .. } => Sql::Queue,
            LookUp::Expired { .. } => Sql::Expired,
            LookUp::Slots => Sql::Slots,
            LookUp::Unspent(_) => Sql::Unspent,
            LookUp::Bytes(_) => Sql::Bytes,
            LookUp::InitKey(..) => Sql::ByInitKey,
            LookUp::Held(..) => Sql::CountHeld,
            LookUp::Remembered(_) | LookUp::RememberedOf(..) => Sql::CountRemembered,
            LookUp::TakenBy(_) => Sql::CountTakenBy,
            _ => continue,
        };
        match requests.iter_mut().find(|request| request.sql == sql) {
            Some(request) => request.asked.push(asked),
            None => requests.push(Request {
                sql,
                asked: vec![asked],
            }),
        }
    }
    requests
}

impl Request {
    /// Returns the statement. `pools` are the ids of the transaction's pools.
    pub(crate) fn statement(&self, pools: &[impl AsRef<[u8]>]) -> Statement {
        let mut params = vec![Param::all_bytes(self.asked.iter().map(|asked| &pools[asked.pool]))];
        params.extend(self.params());
        self.sql.with(params)
    }

    fn params(&self) -> Vec<Param> {
        let ints = |int: fn(&Asked) -> i64| Param::all_ints(self.asked.iter().map(int));
        let bools = |bool: fn(&Asked) -> Option<bool>| Param::ManyBools(self.asked.iter().map(bool).collect());
        let bytes = |bytes: fn(&Asked) -> &[u8]| Param::all_bytes(self.asked.iter().map(bytes));
        match self.sql {
            Sql::ByRef => vec![bytes(name), bools(|asked| Some(asked.whole))],
            Sql::ById | Sql::CountTakenBy => vec![bytes(name)],
            Sql::ByInitKey => vec![bytes(name), ints(moment)],
            Sql::Lapsed | Sql::Unspent => vec![ints(moment)],
            Sql::Queue => {
                let first = |asked: &Asked| Some(asked.after().is_none());
                vec![
                    ints(after),
                    ints(moment),
                    ints(|asked| count(asked.page())),
                    bools(first),
                ]
            }
            Sql::Expired => vec![ints(after), ints(moment), ints(|asked| count(asked.page()))],
            Sql::Bytes => vec![ints(|asked| match asked.look_up {
                LookUp::Bytes(sequence) => stored(sequence),
                _ => 0,
            })],
            Sql::CountHeld => vec![
                ints(|asked| match asked.look_up {
                    LookUp::Held(suite, _) => suite.0.into(),
                    _ => 0,
                }),
                ints(moment),
            ],
            Sql::CountRemembered => vec![
                ints(moment),
                bools(|asked| match asked.look_up {
                    LookUp::RememberedOf(role, _) => Some(role == Role::LastResort),
                    _ => None,
                }),
            ],
            _ => Vec::new(),
        }
    }

    /// Gives the answers to the pools. `None`: the pool was not locked, and what was found of it does not count. Returns the
    /// pools whose queue is gone through from far behind.
    pub(crate) fn learn(self, rows: &[Row], pools: &mut [Option<LoadedPool>]) -> Result<Vec<usize>, Failure> {
        let mut behind = Vec::new();
        let mut found: Vec<Vec<&Row>> = self.asked.iter().map(|_| Vec::new()).collect();
        for row in rows {
            if let Some(found) = found.get_mut(rows::number(row)?) {
                found.push(row);
            }
        }
        for (asked, rows) in self.asked.into_iter().zip(found) {
            if let Some(Some(pool)) = pools.get_mut(asked.pool) {
                if asked.is_far(&rows)? {
                    behind.push(asked.pool);
                }
                learn(pool, self.sql, asked, &rows)?;
            }
        }
        Ok(behind)
    }
}

fn learn(pool: &mut LoadedPool, sql: Sql, asked: Asked, rows: &[&Row]) -> Result<(), Failure> {
    if matches!(sql, Sql::CountHeld | Sql::CountRemembered | Sql::CountTakenBy) {
        let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(1))?;
        pool.counted(asked.look_up, u32::try_from(count).unwrap_or(u32::MAX));
        return Ok(());
    }
    let has_bytes = matches!(sql, Sql::ByRef | Sql::Queue | Sql::Bytes);
    let is_named = matches!(sql, Sql::ByRef | Sql::ById | Sql::Bytes);
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let read = rows::record(row).and_then(|record| Ok((record, rows::kept(row)?)));
        let read = match read {
            Err(Failure::Damaged(damage)) if is_named => {
                tracing::warn!(key = damage.key, column = damage.column, "a damaged row was asked for");
                pool.unreadable(asked.look_up.clone());
                continue;
            }
            read => skip_damaged(read)?,
        };
        let Some((record, mut kept)) = read else { continue };
        if has_bytes {
            kept.bytes = skip_damaged(rows::bytes(row))?.flatten();
        }
        if sql == Sql::Bytes && kept.bytes.is_none() {
            pool.unreadable(asked.look_up.clone());
        }
        found.push((record, kept));
    }
    if sql == Sql::Bytes && rows.is_empty() {
        pool.unreadable(asked.look_up.clone());
    }
    let is_page = matches!(sql, Sql::Queue | Sql::Expired) && rows.len() >= asked.page();
    let extent = match rows.last() {
        Some(last) if is_page => Extent::UpTo(rows::sequence(last)?),
        _ => Extent::All,
    };
    pool.found(&asked.look_up, found, extent);
    Ok(())
}

impl Asked {
    fn after(&self) -> Option<u64> {
        match self.look_up {
            LookUp::Queue { after, .. } | LookUp::Expired { after, .. } => after,
            _ => None,
        }
    }

    /// Returns whether the look-up went from the head of the queue to a record that is far from it, or to the end.
    fn is_far(&self, rows: &[&Row]) -> Result<bool, Failure> {
        match (&self.look_up, rows.first()) {
            (LookUp::Queue { after: None, .. }, Some(first)) => Ok(rows::passed(first)? >= FAR),
            (LookUp::Queue { .. }, found) => Ok(found.is_none()),
            _ => Ok(false),
        }
    }

    /// Returns how many records a walk reads.
    fn page(&self) -> usize {
        match self.look_up {
            LookUp::Queue { after: None, .. } => self.wanted,
            LookUp::Queue { .. } => PAGE,
            _ => EXPIRED,
        }
    }
}

fn name(asked: &Asked) -> &[u8] {
    match &asked.look_up {
        LookUp::Ref(named) => named.as_bytes(),
        LookUp::Id(id) => id.as_bytes(),
        LookUp::InitKey(fingerprint, _) => fingerprint.as_bytes(),
        LookUp::TakenBy(party) => party.as_bytes(),
        _ => &[],
    }
}

fn moment(asked: &Asked) -> i64 {
    match asked.look_up {
        LookUp::Lapsed(now)
        | LookUp::Queue { now, .. }
        | LookUp::Expired { now, .. }
        | LookUp::Unspent(now)
        | LookUp::Held(_, now)
        | LookUp::Remembered(now)
        | LookUp::RememberedOf(_, now)
        | LookUp::InitKey(_, now) => now.get(),
        _ => 0,
    }
}

fn after(asked: &Asked) -> i64 {
    asked.after().map_or(0, stored)
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
