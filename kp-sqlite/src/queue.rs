//! Who is next (RES-2).

use kp_core::rules::{Record, State};
use kp_core::{KeyPackageBytes, Timestamp};

use crate::error::Failure;
use crate::outlook::Outlook;
use crate::pool_row::PoolRow;
use crate::rows::{self, many, pass_over_damage};
use crate::statements::{Sql, Statements};

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

    use kp_core::*;

    use crate::a_package::a_package;
    use crate::{SqliteStore, Survives};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::try_from(1_000 + seconds).unwrap()
    }

    fn pool() -> PoolId {
        PoolId::try_from("bob").unwrap()
    }

    async fn open(dir: &tempfile::TempDir) -> SqliteStore {
        let store = SqliteStore::builder(dir.path().join("pools.db")).survives(Survives::ProcessCrash);
        store.open().await.unwrap()
    }

    async fn save(store: &SqliteStore, numbers: std::ops::Range<u32>, not_after: Timestamp) {
        let lifetime = Lifetime::new(at(-1), not_after).unwrap();
        let package = |number: u32| a_package(&number.to_be_bytes(), lifetime, &[7; 32]);
        let save = Save::new(pool(), numbers.map(package).collect()).unwrap();
        store.save_key_packages(&save, at(0)).await.unwrap();
    }

    /// Which package the id was given.
    async fn reserve(store: &SqliteStore, id: u8, now: Timestamp) -> u32 {
        let take = TakeRequest::new(pool(), ReservationId::from_bytes([id; 16]), Ttl::seconds(60).unwrap());
        let reserved = store.reserve_key_package(&take, OnLapse::Return, now).await.unwrap();
        let named = reserved.package.info.key_package_ref;
        u32::from_be_bytes(named.as_bytes().try_into().unwrap())
    }

    async fn end(store: &SqliteStore, id: u8, number: u32, spend: bool, now: Timestamp) {
        let named = KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap();
        let token = ReservationToken::new(pool(), named, ReservationId::from_bytes([id; 16]));
        if spend {
            store.spend_key_package(&token, &Spend::default(), now).await.unwrap();
        } else {
            store.release_key_package(&token, now).await.unwrap();
        }
    }

    /// RES-2: the next in the queue is found behind any number that were spent, whoever looks.
    #[tokio::test]
    async fn the_queue_goes_on_behind_what_was_spent() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        save(&store, 0..100, at(1_000)).await;
        for number in 0..70 {
            assert_eq!(reserve(&store, number, at(0)).await, u32::from(number));
            // The fifth is leased on.
            if number != 5 {
                end(&store, number, number.into(), true, at(0)).await;
            }
        }
        store.close().await.unwrap();
        let (store, other) = (open(&dir).await, open(&dir).await);
        assert_eq!(reserve(&store, 100, at(1)).await, 70);
        assert_eq!(reserve(&store, 101, at(1)).await, 71);
        assert_eq!(reserve(&other, 102, at(1)).await, 72);
        end(&other, 100, 70, false, at(1)).await;
        assert_eq!(reserve(&store, 103, at(1)).await, 70);
        assert_eq!(reserve(&store, 104, at(60)).await, 5, "lapsed, and back in its place");
        assert_eq!(reserve(&other, 105, at(60)).await, 73);
    }

    /// TIME-3: what was passed over because it had expired, has not for a caller whose clock is behind.
    #[tokio::test]
    async fn the_queue_begins_earlier_for_a_clock_that_is_behind() {
        let dir = tempfile::tempdir().unwrap();
        for expired in [3_u8, 40, 90] {
            let store = open(&dir).await;
            let live = u32::from(expired);
            save(&store, 0..live, at(50)).await;
            save(&store, live..live + 4, at(1_000)).await;
            assert_eq!(reserve(&store, 100, at(50)).await, live);
            assert_eq!(reserve(&store, 101, at(49)).await, 0);
            assert_eq!(reserve(&store, 102, at(50)).await, live + 1);
            end(&store, 100, live, false, at(50)).await;
            assert_eq!(reserve(&store, 103, at(49)).await, 0, "its lease ended when it expired");
            assert_eq!(reserve(&store, 104, at(51)).await, live);
            store.delete_pool(&pool()).await.unwrap();
            store.close().await.unwrap();
        }
    }
}
