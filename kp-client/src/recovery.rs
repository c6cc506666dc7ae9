use std::cmp::Reverse;

use kp_core::KeyPackageRef;
use kp_core::client::{JoinMark, KeyPackageMetadata, KeyVault, Lifecycle, MetadataChanges, PoolRecord};

use crate::error::Result;
use crate::ledger::is_young;
use crate::mark;
use crate::policy::{Fate, fate, is_used, was_never_offered};
use crate::report::RefreshReport;
use crate::rows::Rows;
use crate::turn::Turn;

/// How many rows of spent packages are kept, the newest (`POOL-11`).
const SPENT_ROWS: usize = 1_000;

fn refs<'a>(rows: impl IntoIterator<Item = &'a KeyPackageMetadata>) -> Vec<KeyPackageRef> {
    let rows = rows.into_iter();
    rows.map(|row| row.key_package_ref.clone()).collect()
}

impl<V: KeyVault> Turn<'_, V> {
    /// Puts right what needs neither the server nor its time, and returns the refs of the rows that can still change.
    pub(crate) async fn put_in_order(&self, report: &mut RefreshReport) -> Result<Vec<KeyPackageRef>, V> {
        let mut rows = self.all_rows().await?;
        report.deleted += self.drop_the_final(&mut rows).await?;
        self.recover(&mut rows, report).await?;
        Ok(rows.refs())
    }

    /// Deletes what was refused, key first (`POOL-4`), and the rows of used packages but the newest. Of `all` rows, those are
    /// left that can still change.
    async fn drop_the_final(&self, all: &mut Rows) -> Result<u32, V> {
        let (mut spent, rows): (Vec<_>, Vec<_>) = all.iter().partition(|row| row.lifecycle == Lifecycle::Spent);
        spent.sort_by_key(|row| Reverse(row.spent_at));
        self.forget_the_used(&spent).await?;
        let (old, spent) = (refs(spent.iter().skip(SPENT_ROWS).copied()), refs(spent));
        let refused = refs(rows.into_iter().filter(|row| row.lifecycle.is_final()));
        let deleted = self.throw_away(all, &[old, refused].concat()).await?;
        all.remove(&spent);
        Ok(deleted)
    }

    /// A backup may bring back keys whose rows say that they were used (`POOL-11`), and a process that died may have written a
    /// copy late. They go, at the first look of a process.
    async fn forget_the_used(&self, spent: &[&KeyPackageMetadata]) -> Result<(), V> {
        if self.has_looked() {
            return Ok(());
        }
        for row in spent.iter().filter(|row| is_used(row)) {
            if self.protect(&row.key_package_ref)? {
                self.forget(&row.key_package_ref)?;
            }
        }
        self.look();
        Ok(())
    }

    /// Puts right what a process left that died, and drops the rows that have no key. What another process began a moment ago is
    /// left alone.
    async fn recover(&self, rows: &mut Rows, report: &mut RefreshReport) -> Result<(), V> {
        let (mut steps, mut lost) = (Vec::new(), Vec::new());
        for row in rows.iter() {
            let (key_package_ref, has_key) = (&row.key_package_ref, self.package(&row.key_package_ref)?.is_some());
            if let Lifecycle::Joining { mark } = row.lifecycle {
                if mark.is_some_and(|mark| mark::is_under_way(mark, self.now)) {
                    continue;
                }
                let to = self.recover_join(row, mark)?;
                report.recovered += u32::from(!has_key && to != Some(Lifecycle::Spent));
                steps.extend(to.map(|to| (key_package_ref.clone(), to)));
            } else if !has_key && !is_young(row, self.now) && !self.protect(key_package_ref)? {
                lost.push(key_package_ref.clone());
            }
        }
        self.step(rows, steps).await?;
        report.lost += self.delete(rows, &lost).await?;
        Ok(())
    }

    /// A join that died has its key again (`POOL-6`), and is marked for a day, in case it only stands still. Where neither key nor
    /// copy is there, the join had succeeded. Returns what becomes of the row.
    fn recover_join(&self, row: &KeyPackageMetadata, mark: Option<JoinMark>) -> Result<Option<Lifecycle>, V> {
        let key_package_ref = &row.key_package_ref;
        let may_end = mark.is_some_and(|mark| mark::holds(mark, self.now));
        Ok(match (self.secure(key_package_ref)?, may_end) {
            (false, _) if !row.role.is_last_resort() => Some(Lifecycle::Spent),
            (_, false) => Some(Lifecycle::Reserved),
            (_, true) => None,
        })
    }

    /// Deletes what is over, as [`cleanup_expired`](crate::KeyPackagePool::cleanup_expired) does.
    pub(crate) async fn clean_up(&self) -> Result<u32, V> {
        let (mut rows, record) = (self.all_rows().await?, self.record().await?);
        let over = self.expire(&mut rows, &record).await?;
        Ok(over + self.drop_the_final(&mut rows).await?)
    }

    /// Does what time brings about in a round whose clock is right.
    pub(crate) async fn pass_time(&self, report: &mut RefreshReport) -> Result<(), V> {
        let (mut rows, record) = (self.all_rows().await?, self.record().await?);
        self.give_up(&mut rows, &record, report).await?;
        report.deleted += self.expire(&mut rows, &record).await?;
        Ok(())
    }

    /// Deletes what both clocks have passed, and one grace period later what the client's own clock alone has passed, unless
    /// that clock is off (`POOL-8`).
    async fn expire(&self, rows: &mut Rows, record: &PoolRecord) -> Result<u32, V> {
        let (clocks, policy) = (self.clocks(record), self.policy());
        let (mut over, mut waiting) = (Vec::new(), Vec::new());
        for row in rows.iter() {
            match fate(row, clocks) {
                Fate::Stays => {}
                Fate::Goes => over.push(row.key_package_ref.clone()),
                Fate::Waits => waiting.push(row),
            }
        }
        let counts = !waiting.is_empty() && (record.clock_off.is_none() || record.clock_trusted);
        let alone = counts.then(|| policy.goes_on(record.alone, self.now));
        if let Some(alone) = alone {
            let gone = waiting.into_iter().filter(|row| policy.gone_at(row, alone) <= self.now);
            over.extend(refs(gone));
        }
        if alone != record.alone {
            let mut record = record.clone();
            record.alone = alone;
            self.apply(MetadataChanges::new().record(record)).await?;
        }
        self.throw_away(rows, &over).await
    }

    /// Gives up what is not up and becomes valid further ahead than clocks may differ: a clock was wrong (`POOL-8`).
    async fn give_up(&self, rows: &mut Rows, record: &PoolRecord, report: &mut RefreshReport) -> Result<(), V> {
        let (clocks, policy) = (self.clocks(record), self.policy());
        let (mut unseen, mut steps) = (Vec::new(), Vec::new());
        let too_early =
            |row: &&KeyPackageMetadata| row.lifecycle == Lifecycle::Created && clocks.is_ahead(row, policy.skew);
        for row in rows.iter().filter(too_early) {
            if was_never_offered(row) {
                unseen.push(row.key_package_ref.clone());
            } else {
                steps.push((row.key_package_ref.clone(), policy.superseded(row, clocks)));
            }
        }
        report.superseded += u32::try_from(steps.len()).unwrap_or(u32::MAX);
        self.step(rows, steps).await?;
        report.deleted += self.throw_away(rows, &unseen).await?;
        Ok(())
    }
}
