//! Finds the next KeyPackage of a pool (RES-2).

use kp_core::rules::{Record, State};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Timestamp};

use crate::file::calls::Statements;
use crate::file::error::Failure;
use crate::pools::pool_row::PoolRow;
use crate::pools::rows::{self, many, next_key, skip_damaged};
use crate::sql::Sql;

/// The number of records that one statement reads of the queue: the LIMIT of `queue.sql`.
pub(crate) const CHUNK: u32 = 32;

/// Lower bounds that spare the writer searches of a pool: a bound may be too low, never too high. The default bounds say
/// nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hint {
    /// No lease or window lapses before this moment (TIME-2). `None`: not searched for yet.
    pub(crate) next_lapse: Option<i64>,
    /// No record below this sequence is free, except for expired ones.
    head: i64,
    /// The moment from which `head` holds: at an earlier `now`, an expired record may be available (TIME-3).
    since: i64,
    /// What is free, and the moment from which that holds. `None`: not known, or of too many ciphersuites.
    free: Option<(Free, i64)>,
}

/// What the free records of a pool may be: for each ciphersuite a lifetime that is as wide as theirs together. A request that
/// none of it fits need not read the pool: a thousand of them in a call would read it a thousand times (COST-1).
#[derive(Debug, Clone, Copy, Default)]
struct Free {
    widest: [Option<(Ciphersuite, Lifetime)>; 4],
}

impl Free {
    /// Adds a record. `false`: there is no place for its ciphersuite.
    fn add(&mut self, info: &KeyPackageInfo) -> bool {
        for place in &mut self.widest {
            match place {
                Some((suite, lifetime)) if *suite == info.ciphersuite => {
                    let not_before = lifetime.not_before().min(info.lifetime.not_before());
                    let not_after = lifetime.not_after().max(info.lifetime.not_after());
                    *lifetime = Lifetime::new(not_before, not_after).unwrap_or(*lifetime);
                    return true;
                }
                Some(_) => {}
                none => {
                    *none = Some((info.ciphersuite, info.lifetime));
                    return true;
                }
            }
        }
        false
    }

    /// Returns whether a record may be accepted.
    fn may_hold(&self, fits: impl Fn(&Record) -> bool) -> bool {
        let Ok(any) = KeyPackageRef::try_from([0].as_slice()) else {
            return true;
        };
        self.widest.iter().flatten().any(|(suite, lifetime)| {
            fits(&Record {
                info: KeyPackageInfo::new(any.clone(), *suite, *lifetime, CredentialHash([0; 32])),
                sequence: 0,
                saved_at: lifetime.not_before(),
                state: State::Free,
            })
        })
    }
}

impl Hint {
    /// Returns the sequence at which a scan of the queue may begin.
    pub(crate) fn head(&self, now: Timestamp) -> i64 {
        if self.since <= now.get() { self.head } else { 0 }
    }

    /// Records a scan from `head` to `to`, the first unexpired record (`None`: the end). `expired`: the scan skipped expired
    /// records, so the head holds only from `now` on.
    pub(crate) fn scanned(&mut self, to: Option<i64>, expired: bool, now: Timestamp) {
        if self.since > now.get() {
            return;
        }
        self.head = to.unwrap_or(i64::MAX);
        if expired {
            self.since = now.get();
        }
    }

    /// Returns whether a free record may be accepted.
    fn may_hold(&self, now: Timestamp, fits: impl Fn(&Record) -> bool) -> bool {
        match &self.free {
            Some((free, since)) if *since <= now.get() => free.may_hold(fits),
            _ => true,
        }
    }

    /// Records that the record of this sequence became free.
    pub(crate) fn freed(&mut self, sequence: i64) {
        self.free = None;
        self.head = self.head.min(sequence);
    }

    /// Records that the record of this sequence is no longer free.
    pub(crate) fn taken(&mut self, sequence: i64) {
        if self.head == sequence {
            self.head = sequence.saturating_add(1);
        }
    }

    /// Records a new lease or window.
    pub(crate) fn leased(&mut self, lapses_at: i64) {
        self.next_lapse = self.next_lapse.map(|next_lapse| next_lapse.min(lapses_at));
    }
}

/// Returns the oldest free record that `fits` accepts, with its bytes.
///
/// Usually the hint names the first free record, and the scan reads one record. Otherwise the scan reads the queue in
/// chunks, from `unspent_from` on. If most of a chunk has expired, another index finds the unexpired records: a pool may
/// hold any number of expired ones (COST-1).
pub(crate) fn first_free(
    statements: &mut Statements<'_>,
    pool: &mut Option<PoolRow>,
    hint: &mut Hint,
    now: Timestamp,
    fits: impl Fn(&Record) -> bool,
) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
    let Some(pool) = pool else { return Ok(None) };
    if !hint.may_hold(now, &fits) {
        return Ok(None);
    }
    let mut from = hint.head(now).max(pool.unspent_from);
    let mut scan = Scan::from(from);
    let found = loop {
        let mut rows = statements.get(Sql::Queue)?.query((pool.key, from))?;
        let (mut seen, mut expired, mut found) = (0, 0, None);
        while let Some(row) = rows.next()? {
            seen += 1;
            let key = next_key(row, from.saturating_sub(1))?;
            from = key + 1;
            let record = skip_damaged(rows::record(row, pool.credential))?;
            scan.count(key, record.as_ref());
            let Some(record) = record else { continue };
            if record.is_expired(now) {
                expired += 1;
                scan.expired |= record.state == State::Free;
            } else if record.state == State::Free {
                scan.head = scan.head.or(Some(key));
                scan.add_free(&record);
                if fits(&record)
                    && let Some(bytes) = skip_damaged(rows::bytes(row))?
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
            break first_unexpired(statements, pool, &mut scan, now, &fits)?;
        }
    };
    hint.scanned(scan.head, scan.expired, now);
    if found.is_none() {
        hint.free = scan.free.map(|free| (free, now.get()));
    }
    if scan.start == pool.unspent_from
        && scan.spent >= CHUNK
        && let Some(unspent) = scan.unspent
    {
        pool.unspent_from = unspent;
    }
    Ok(found)
}

/// Returns the oldest unexpired free record that `fits` accepts, with its bytes.
fn first_unexpired(
    statements: &mut Statements<'_>,
    pool: &PoolRow,
    scan: &mut Scan,
    now: Timestamp,
    fits: impl Fn(&Record) -> bool,
) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
    let mut rest = many(statements, pool, Sql::FreeUnexpired, (pool.key, now.get()))?;
    rest.sort_unstable_by_key(|record| record.sequence);
    if scan.head.is_none() {
        scan.head = rest.first().map(rows::key).transpose()?;
    }
    for record in &rest {
        scan.add_free(record);
    }
    for record in rest.into_iter().filter(fits) {
        if let Some(bytes) = skip_damaged(rows::bytes_of(statements, rows::key(&record)?))? {
            return Ok(Some((record, bytes)));
        }
    }
    Ok(None)
}

/// The result of a scan so far.
struct Scan {
    start: i64,
    /// The first free and unexpired record.
    head: Option<i64>,
    /// Whether the scan skipped a free and expired record.
    expired: bool,
    /// What was free. `None`: of too many ciphersuites.
    free: Option<Free>,
    /// The first unspent record, and the number of spent records before it.
    unspent: Option<i64>,
    spent: u32,
}

impl Scan {
    fn from(start: i64) -> Self {
        Self {
            start,
            head: None,
            expired: false,
            free: Some(Free::default()),
            unspent: None,
            spent: 0,
        }
    }

    /// Notes a free record.
    fn add_free(&mut self, record: &Record) {
        if let Some(free) = &mut self.free
            && !free.add(&record.info)
        {
            self.free = None;
        }
    }

    /// Counts a record. A damaged record counts as unspent.
    fn count(&mut self, key: i64, record: Option<&Record>) {
        if self.unspent.is_none() {
            match record {
                Some(record) if !is_queued(&record.state) => self.spent += 1,
                _ => self.unspent = Some(key),
            }
        }
    }
}

/// Returns whether the row of a KeyPackage in this state is in the queue: its column says "free", leased or not.
fn is_queued(state: &State) -> bool {
    state.keeps_bytes() && !matches!(state, State::Slot { .. })
}
