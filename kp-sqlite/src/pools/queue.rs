//! Who is next (RES-2).

use kp_core::rules::{Record, State};
use kp_core::{KeyPackageBytes, Timestamp};

use crate::file::calls::Statements;
use crate::file::error::Failure;
use crate::pools::pool_row::PoolRow;
use crate::pools::rows::{self, many, pass_over_damage};
use crate::sql::Sql;

/// How much of the queue is looked at at a time: the LIMIT of `queue.sql`.
pub(crate) const CHUNK: u32 = 32;

/// What the writer has found out about a pool besides its row: bounds, which spare it searches. They may be too early,
/// never too late. By default, nothing is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hint {
    /// No lease or window ends before this moment (TIME-2); `None` when nobody has looked.
    pub(crate) next_lapse: Option<i64>,
    /// Below this sequence, nothing is free ...
    head: i64,
    /// ... but what is past its `not_after` from this moment on (TIME-3).
    since: i64,
}

impl Hint {
    /// With which sequence the queue begins.
    pub(crate) fn head(&self, now: Timestamp) -> i64 {
        if self.since <= now.get() { self.head } else { 0 }
    }

    /// From its [`head`](Self::head) on, the queue was looked through as far as the first record that is not past its
    /// `not_after`, if there is one; whether there were some that are.
    pub(crate) fn scanned(&mut self, to: Option<i64>, expired: bool, now: Timestamp) {
        if self.since > now.get() {
            return;
        }
        self.head = to.unwrap_or(i64::MAX);
        if expired {
            self.since = now.get();
        }
    }

    /// A record of this sequence is free.
    pub(crate) fn freed(&mut self, sequence: i64) {
        self.head = self.head.min(sequence);
    }

    /// The record of this sequence is free no longer.
    pub(crate) fn taken(&mut self, sequence: i64) {
        if self.head == sequence {
            self.head = sequence + 1;
        }
    }

    /// A lease or window ends at this moment.
    pub(crate) fn leased(&mut self, lapses_at: i64) {
        self.next_lapse = self.next_lapse.map(|next_lapse| next_lapse.min(lapses_at));
    }
}

/// The oldest free record that will do, with its bytes.
///
/// The writer knows where the queue begins, as a rule, and it is the first that it looks at. Otherwise it goes on stretch
/// by stretch, from below which nothing is unspent; and where a stretch is mostly past its `not_after`, what is not is
/// found by another index, since an unswept pool may have any number of those (COST-1).
pub(crate) fn first_free(
    statements: &mut Statements<'_>,
    pool: &mut Option<PoolRow>,
    hint: &mut Hint,
    now: Timestamp,
    will_do: impl Fn(&Record) -> bool,
) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
    let Some(pool) = pool else { return Ok(None) };
    let mut from = hint.head(now).max(pool.unspent_from);
    let mut scan = Scan::from(from);
    let found = loop {
        let mut rows = statements.get(Sql::Queue)?.query((pool.key, from))?;
        let (mut seen, mut expired, mut found) = (0, 0, None);
        while let Some(row) = rows.next()? {
            seen += 1;
            let key: i64 = row.get(0)?;
            from = key + 1;
            let record = pass_over_damage(rows::record(row, pool.credential))?;
            scan.by(key, record.as_ref());
            let Some(record) = record else { continue };
            if record.is_expired(now) {
                expired += 1;
                scan.expired |= record.state == State::Free;
            } else if record.state == State::Free {
                scan.head = scan.head.or(Some(key));
                if will_do(&record)
                    && let Some(bytes) = pass_over_damage(rows::bytes(row))?
                {
                    found = Some((record, bytes));
                    break;
                }
            }
        }
        drop(rows);
        if found.is_some() || seen < CHUNK {
            break found;
        }
        if 2 * expired >= CHUNK {
            scan.expired = true;
            break first_unexpired(statements, pool, &mut scan, now, will_do)?;
        }
    };
    hint.scanned(scan.head, scan.expired, now);
    if scan.start == pool.unspent_from
        && scan.spent >= CHUNK
        && let Some(unspent) = scan.unspent
    {
        pool.unspent_from = unspent;
    }
    Ok(found)
}

/// The same, of what is not past its `not_after`.
fn first_unexpired(
    statements: &mut Statements<'_>,
    pool: &PoolRow,
    scan: &mut Scan,
    now: Timestamp,
    will_do: impl Fn(&Record) -> bool,
) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
    let mut rest = many(statements, pool, Sql::FreeUnexpired, (pool.key, now.get()))?;
    rest.sort_unstable_by_key(|record| record.sequence);
    if scan.head.is_none() {
        scan.head = rest.first().map(rows::key).transpose()?;
    }
    for record in rest.into_iter().filter(will_do) {
        if let Some(bytes) = pass_over_damage(rows::bytes_of(statements, rows::key(&record)?))? {
            return Ok(Some((record, bytes)));
        }
    }
    Ok(None)
}

/// What a search has passed over.
struct Scan {
    start: i64,
    /// The first that is free and not past its `not_after`.
    head: Option<i64>,
    /// Whether anything before it was free and past it.
    expired: bool,
    /// The first that is unspent, and how many were spent before it.
    unspent: Option<i64>,
    spent: u32,
}

impl Scan {
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
