//! Finds the next KeyPackage of a pool (RES-2).

use kp_core::rules::{Record, State};
use kp_core::server::{Requirements, Support};
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
#[derive(Debug, Clone, Default)]
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

/// What the free records of a pool may be. A request that none of it fits need not read the pool: a thousand of them in a
/// call would read it a thousand times (COST-1).
#[derive(Debug, Clone, Default)]
struct Free {
    widest: [Option<Widest>; 4],
    /// Whether the scan did not look at support, or found more than a [`Support`] holds.
    ignores_support: bool,
}

/// What the free records of one ciphersuite may be: a lifetime that is as wide as theirs together, and what any of them
/// supports.
#[derive(Debug, Clone)]
struct Widest {
    suite: Ciphersuite,
    lifetime: Lifetime,
    support: Option<Support>,
}

impl Widest {
    /// Adds a record. `false`: the support is more than one can hold.
    fn add(&mut self, info: &KeyPackageInfo, support: Option<Support>) -> bool {
        let not_before = self.lifetime.not_before().min(info.lifetime.not_before());
        let not_after = self.lifetime.not_after().max(info.lifetime.not_after());
        self.lifetime = Lifetime::new(not_before, not_after).unwrap_or(self.lifetime);
        let Some(support) = support else { return true };
        let union = match &self.support {
            Some(known) => known.union(&support),
            None => Some(support),
        };
        let fits = union.is_some();
        self.support = union.or(self.support.take());
        fits
    }
}

impl Free {
    /// Adds a record. `false`: there is no place for its ciphersuite.
    fn add(&mut self, info: &KeyPackageInfo, support: Option<Support>) -> bool {
        for place in &mut self.widest {
            match place {
                Some(widest) if widest.suite == info.ciphersuite => {
                    self.ignores_support |= !widest.add(info, support);
                    return true;
                }
                Some(_) => {}
                none => {
                    let (suite, lifetime) = (info.ciphersuite, info.lifetime);
                    *none = Some(Widest {
                        suite,
                        lifetime,
                        support,
                    });
                    return true;
                }
            }
        }
        false
    }

    /// Returns whether a record may be accepted.
    fn may_hold(&self, requirements: &Requirements, fits: impl Fn(&Record) -> bool) -> bool {
        let Ok(any) = KeyPackageRef::try_from([0].as_slice()) else {
            return true;
        };
        self.widest.iter().flatten().any(
            |Widest {
                 suite,
                 lifetime,
                 support,
             }| {
                let meets = self.ignores_support || requirements.are_met_by(support.as_ref());
                meets
                    && fits(&Record {
                        info: KeyPackageInfo::new(any.clone(), *suite, *lifetime, CredentialHash([0; 32])),
                        sequence: 0,
                        saved_at: lifetime.not_before(),
                        state: State::Free,
                    })
            },
        )
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
    fn may_hold(&self, now: Timestamp, requirements: &Requirements, fits: impl Fn(&Record) -> bool) -> bool {
        match &self.free {
            Some((free, since)) if *since <= now.get() => free.may_hold(requirements, fits),
            _ => true,
        }
    }

    /// Records that the record of this sequence became free.
    pub(crate) fn freed(&mut self, sequence: i64) {
        self.free = None;
        self.head = self.head.min(sequence);
    }

    /// Records that a record supports more than it did.
    pub(crate) fn amended(&mut self) {
        self.free = None;
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

/// Returns the oldest free record that `fits` accepts and that meets the requirements, with its bytes. Where nothing is
/// required, no support is read (RES-3).
///
/// Usually the hint names the first free record, and the scan reads one record. Otherwise the scan reads the queue in
/// chunks, from `unspent_from` on. If most of a chunk has expired, another index finds the unexpired records: a pool may
/// hold any number of expired ones (COST-1).
pub(crate) fn first_free(
    statements: &mut Statements<'_>,
    pool: &mut Option<PoolRow>,
    hint: &mut Hint,
    now: Timestamp,
    requirements: &Requirements,
    fits: impl Fn(&Record) -> bool,
) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
    let Some(pool) = pool else { return Ok(None) };
    if !hint.may_hold(now, requirements, &fits) {
        return Ok(None);
    }
    let reads_support = !requirements.is_empty();
    let sql = if reads_support { Sql::QueueSupport } else { Sql::Queue };
    let mut from = hint.head(now).max(pool.unspent_from);
    let mut scan = Scan::from(from, reads_support);
    let found = loop {
        let mut rows = statements.get(sql)?.query((pool.key, from))?;
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
                let support = reads_support.then(|| skip_damaged(rows::support(row))).transpose()?;
                let support = support.flatten().flatten();
                let meets = requirements.are_met_by(support.as_ref());
                scan.add_free(&record, support);
                if meets
                    && fits(&record)
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
            break first_unexpired(statements, pool, &mut scan, now, requirements, &fits)?;
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

/// Returns the oldest unexpired free record that `fits` accepts and that meets the requirements, with its bytes.
fn first_unexpired(
    statements: &mut Statements<'_>,
    pool: &PoolRow,
    scan: &mut Scan,
    now: Timestamp,
    requirements: &Requirements,
    fits: impl Fn(&Record) -> bool,
) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
    let mut rest = many(statements, pool, Sql::FreeUnexpired, (pool.key, now.get()))?;
    rest.sort_unstable_by_key(|record| record.sequence);
    if scan.head.is_none() {
        scan.head = rest.first().map(rows::key).transpose()?;
    }
    let mut fitting = Vec::new();
    for record in rest {
        let key = rows::key(&record)?;
        let support = match requirements.is_empty() {
            true => None,
            false => skip_damaged(rows::support_of(statements, key))?.flatten(),
        };
        let chosen = requirements.are_met_by(support.as_ref()) && fits(&record);
        scan.add_free(&record, support);
        fitting.extend(Some(record).filter(|_| chosen));
    }
    for record in fitting {
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
    fn from(start: i64, reads_support: bool) -> Self {
        Self {
            start,
            head: None,
            expired: false,
            free: Some(Free {
                ignores_support: !reads_support,
                ..Free::default()
            }),
            unspent: None,
            spent: 0,
        }
    }

    /// Notes a free record.
    fn add_free(&mut self, record: &Record, support: Option<Support>) {
        if let Some(free) = &mut self.free
            && !free.add(&record.info, support)
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
