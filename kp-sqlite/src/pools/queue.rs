//! Who is next (RES-2).

use kp_core::rules::{Record, State};
use kp_core::{KeyPackageBytes, Timestamp};

use crate::file::error::Failure;
use crate::file::session::Statements;
use crate::pools::hint::Outlook;
use crate::pools::pool_row::PoolRow;
use crate::pools::rows::{self, many, pass_over_damage};
use crate::sql::Sql;

/// How much of the queue is looked at at a time: the LIMIT of `queue.sql`.
pub(crate) const STRETCH: u32 = 32;

/// The oldest free record that will do, with its bytes.
///
/// The writer knows where the queue begins, as a rule, and it is the first that it looks at. Otherwise it goes on stretch
/// by stretch, from below which nothing is unspent; and where a stretch is mostly past its `not_after`, what is not is
/// found by another index, since an unswept pool may have any number of those (COST-1).
pub(crate) fn first_free(
    statements: &mut Statements<'_>,
    pool: &mut Option<PoolRow>,
    outlook: &mut Outlook,
    now: Timestamp,
    will_do: impl Fn(&Record) -> bool,
) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
    let Some(pool) = pool else { return Ok(None) };
    let mut from = outlook.head(now).max(pool.unspent_from);
    let mut passed = Passed::from(from);
    let found = loop {
        let mut rows = statements.get(Sql::Queue)?.query((pool.key, from))?;
        let (mut seen, mut over, mut found) = (0, 0, None);
        while let Some(row) = rows.next()? {
            seen += 1;
            let key: i64 = row.get(0)?;
            from = key + 1;
            let record = pass_over_damage(rows::record(row, pool.credential))?;
            passed.by(key, record.as_ref());
            let Some(record) = record else { continue };
            if record.is_expired(now) {
                over += 1;
                passed.expired |= record.state == State::Free;
            } else if record.state == State::Free {
                passed.head = passed.head.or(Some(key));
                if will_do(&record)
                    && let Some(bytes) = pass_over_damage(rows::bytes(row))?
                {
                    found = Some((record, bytes));
                    break;
                }
            }
        }
        drop(rows);
        if found.is_some() || seen < STRETCH {
            break found;
        }
        if 2 * over >= STRETCH {
            passed.expired = true;
            break first_unexpired(statements, pool, &mut passed, now, will_do)?;
        }
    };
    outlook.passed_over(passed.head, passed.expired, now);
    if passed.start == pool.unspent_from
        && passed.spent >= STRETCH
        && let Some(unspent) = passed.unspent
    {
        pool.unspent_from = unspent;
    }
    Ok(found)
}

/// The same, of what is not past its `not_after`.
fn first_unexpired(
    statements: &mut Statements<'_>,
    pool: &PoolRow,
    passed: &mut Passed,
    now: Timestamp,
    will_do: impl Fn(&Record) -> bool,
) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
    let mut rest = many(statements, pool, Sql::FreeUnexpired, (pool.key, now.get()))?;
    rest.sort_unstable_by_key(|record| record.sequence);
    if passed.head.is_none() {
        passed.head = rest.first().map(rows::key).transpose()?;
    }
    for record in rest.into_iter().filter(will_do) {
        if let Some(bytes) = pass_over_damage(rows::bytes_of(statements, rows::key(&record)?))? {
            return Ok(Some((record, bytes)));
        }
    }
    Ok(None)
}

/// What a search has passed over.
struct Passed {
    start: i64,
    /// The first that is free and not past its `not_after`.
    head: Option<i64>,
    /// Whether anything before it was free and past it.
    expired: bool,
    /// The first that is unspent, and how many were spent before it.
    unspent: Option<i64>,
    spent: u32,
}

impl Passed {
    fn from(start: i64) -> Self {
        Self {
            start,
            head: None,
            expired: false,
            unspent: None,
            spent: 0,
        }
    }

    /// One that cannot be read may be anything.
    fn by(&mut self, key: i64, record: Option<&Record>) {
        if self.unspent.is_none() {
            match record {
                Some(record) if !is_queued(&record.state) => self.spent += 1,
                _ => self.unspent = Some(key),
            }
        }
    }
}

/// Whether the row of a package in this state says that it is free, whatever its lease says.
fn is_queued(state: &State) -> bool {
    state.keeps_bytes() && !matches!(state, State::Slot { .. })
}
