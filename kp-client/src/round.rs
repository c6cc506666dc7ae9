use std::collections::BTreeSet;
use std::iter::repeat_n;
use std::sync::atomic::Ordering;

use kp_core::client::KeyVault;
use kp_core::protocol::{CiphersuiteStatus, Health, SyncReport};
use kp_core::rules::MAX_ITEMS;
use kp_core::{Ciphersuite, KeyPackageRef, Role, Timestamp};

use crate::error::{PoolError, Result};
use crate::pool::{KeyPackagePool, Round};
use crate::report::RefreshReport;

/// How many packages go up in one upload. A directory takes 200 unless it is told otherwise; from a server that refuses
/// so many, less is asked.
const BATCH: usize = 100;

/// How many one-time packages a round makes.
#[derive(Clone, Copy)]
enum Demand {
    /// What is missing up to the target, where there are fewer than the low-water mark of the client or of the server.
    Refill,
    /// So many of one ciphersuite.
    More(Ciphersuite, u32),
}

impl<V: KeyVault> KeyPackagePool<V> {
    /// Does whatever is due:
    ///
    /// - recovers joins that died, and deletes what is expired, refused or past its grace period;
    /// - learns from the server what was used;
    /// - makes KeyPackages where there are fewer than the low-water mark, or the server says that they are low, and rotates
    ///   the last resort;
    /// - uploads what the server lacks, and then withdraws what the server should not have: KeyPackages without a key, of an
    ///   old credential, or of a ciphersuite no longer planned.
    ///
    /// Call it also when the credential changed. Calls at once share their work: a call that waited for a round which began
    /// after the call was made gets that round's report.
    ///
    /// # Errors
    ///
    /// [`PoolError`]. What was done until then stays done, and the next refresh does the rest.
    pub async fn refresh(&self) -> Result<RefreshReport, V> {
        let begun = self.0.started.load(Ordering::SeqCst);
        let mut last = self.0.rounds.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.number > begun) {
            return Ok(last.report.clone());
        }
        let number = self.0.started.fetch_add(1, Ordering::SeqCst) + 1;
        let report = self.round(Demand::Refill).await?;
        *last = Some(Round {
            number,
            report: report.clone(),
        });
        Ok(report)
    }

    /// Makes up to `count` one-time packages of a ciphersuite, as far as the cap allows, and uploads them. All else is as in
    /// [`refresh`](Self::refresh).
    ///
    /// # Errors
    ///
    /// [`PoolError::NotPlanned`], and as in [`refresh`](Self::refresh).
    pub async fn generate_and_update_pool(&self, suite: Ciphersuite, count: u32) -> Result<RefreshReport, V> {
        self.plan(suite)?;
        let _last = self.0.rounds.lock().await;
        self.0.started.fetch_add(1, Ordering::SeqCst);
        self.round(Demand::More(suite, count)).await
    }

    /// Runs one round of everything (`POOL-7`). The caller holds the lock on rounds. The ledger is never held while the server
    /// is awaited, so that a Welcome need not wait for a slow upload.
    ///
    /// Wherever a round breaks off, the next round repairs: each part looks at what is there, not at what the last part did.
    async fn round(&self, demand: Demand) -> Result<RefreshReport, V> {
        let now = self.0.clock.now();
        let mut report = RefreshReport::default();
        let mine = self.put_in_order(now, &mut report).await?;
        let told_low = self.sync(&mine, now, &mut report).await?;
        self.publish(demand, &told_low, now, &mut report).await?;
        if self.withdraw_unwanted(now, &mut report).await? {
            // They had counted towards the cap.
            self.publish(Demand::Refill, &told_low, now, &mut report).await?;
        }
        let ledger = self.0.ledger.lock().await;
        let rows = ledger.rows().await?;
        report.next_at = ledger.survey(&self.0.policy, &rows, now)?.next_at();
        Ok(report)
    }

    /// Does what needs no server: recovers joins that died, and deletes what is over.
    async fn put_in_order(&self, now: Timestamp, report: &mut RefreshReport) -> Result<Vec<KeyPackageRef>, V> {
        let ledger = self.0.ledger.lock().await;
        let mut rows = ledger.all_rows().await?;
        ledger.recover(&mut rows, now, report).await?;
        report.deleted += ledger.clean_up(&mut rows, now).await?;
        Ok(rows.refs())
    }

    /// Learns from the server what became of the client's packages, and returns the ciphersuites that it says are low.
    async fn sync(
        &self,
        mine: &[KeyPackageRef],
        now: Timestamp,
        report: &mut RefreshReport,
    ) -> Result<BTreeSet<Ciphersuite>, V> {
        let answer = self.ask(mine).await?;
        let ledger = self.0.ledger.lock().await;
        let strays = ledger.learn(&self.0.policy, mine, &answer, now, report).await?;
        drop(ledger);
        self.withdraw(&strays, report).await?;
        let is_low = |status: &CiphersuiteStatus| matches!(status.health, Health::Low | Health::Exhausted);
        let told = answer.status.ciphersuites.into_iter();
        Ok(told
            .filter(|(_, status)| is_low(status))
            .map(|(suite, _)| suite)
            .collect())
    }

    /// Asks the server in runs, since no call names more than [`MAX_ITEMS`] refs. What every run says is unknown to the client
    /// is unknown to the client.
    async fn ask(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, V> {
        let mut runs = mine.chunks(MAX_ITEMS);
        let mut all = self.ask_run(runs.next().unwrap_or_default()).await?;
        for run in runs {
            let answer = self.ask_run(run).await?;
            let unknown = answer.unknown_to_you.iter().map(|held| &held.key_package_ref);
            let unknown: BTreeSet<_> = unknown.collect();
            all.unknown_to_you
                .retain(|held| unknown.contains(&held.key_package_ref));
            all.yours.extend(answer.yours);
            all.status = answer.status;
        }
        Ok(all)
    }

    async fn ask_run(&self, run: &[KeyPackageRef]) -> Result<SyncReport, V> {
        let answer = self.0.transport.sync(run).await?;
        answered(run.len(), answer.yours.len())?;
        Ok(answer)
    }

    /// Makes what is missing, and uploads what the server does not have.
    async fn publish(
        &self,
        demand: Demand,
        told_low: &BTreeSet<Ciphersuite>,
        now: Timestamp,
        report: &mut RefreshReport,
    ) -> Result<(), V> {
        let policy = &self.0.policy;
        let (packages, new) = {
            let ledger = self.0.ledger.lock().await;
            let mut rows = ledger.rows().await?;
            let survey = ledger.survey(policy, &rows, now)?;
            let mut wanted = Vec::new();
            for plan in policy.plans.values() {
                // DIR-5: the server's mark may be the higher one. What it does not have yet may be all that it misses.
                let told_low = told_low.contains(&plan.ciphersuite) && !survey.has_to_upload(plan.ciphersuite);
                let is_low = survey.is_low(plan) || told_low;
                let one_time = match demand {
                    Demand::Refill if is_low => survey.shortage(plan),
                    Demand::More(suite, count) if suite == plan.ciphersuite => count.min(survey.room(plan)),
                    Demand::Refill | Demand::More(..) => 0,
                };
                wanted.extend(repeat_n((plan.ciphersuite, Role::OneTime), one_time as usize));
                wanted.extend(
                    survey
                        .lacks_last_resort(plan)
                        .then_some((plan.ciphersuite, Role::LastResort)),
                );
            }
            report.generated += ledger.generate(&mut rows, &wanted, now).await?;
            let packages = ledger.to_upload(&ledger.survey(policy, &rows, now)?)?;
            let new = ledger.offer(&rows, &packages, now).await?;
            (packages, new)
        };
        let (mut left, mut most) = (&packages[..], BATCH);
        while !left.is_empty() {
            let (batch, rest) = left.split_at(most.min(left.len()));
            let bytes: Vec<_> = batch.iter().map(|package| package.bytes.clone()).collect();
            let outcomes = match self.0.transport.upload(&bytes).await {
                Err(error) if error.is_refusal() && batch.len() > 1 => {
                    most = batch.len() / 2;
                    continue;
                }
                outcomes => outcomes?,
            };
            left = rest;
            answered(batch.len(), outcomes.len())?;
            let refs = batch.iter().map(|package| package.info.key_package_ref.clone());
            let uploaded: Vec<_> = refs.zip(outcomes).collect();
            let ledger = self.0.ledger.lock().await;
            ledger.settle(policy, &uploaded, &new, now, report).await?;
        }
        Ok(())
    }

    /// Withdraws what is on the server and should not be, and returns whether there was any.
    async fn withdraw_unwanted(&self, now: Timestamp, report: &mut RefreshReport) -> Result<bool, V> {
        let policy = &self.0.policy;
        let unwanted = {
            let ledger = self.0.ledger.lock().await;
            let rows = ledger.rows().await?;
            ledger.survey(policy, &rows, now)?.to_withdraw()
        };
        if unwanted.is_empty() {
            return Ok(false);
        }
        self.withdraw(&unwanted, report).await?;
        let ledger = self.0.ledger.lock().await;
        ledger.supersede(policy, &unwanted, now, report).await?;
        Ok(true)
    }

    async fn withdraw(&self, refs: &[KeyPackageRef], report: &mut RefreshReport) -> Result<(), V> {
        for run in refs.chunks(MAX_ITEMS) {
            self.0.transport.withdraw(run).await?;
            report.withdrawn += u32::try_from(run.len()).unwrap_or(u32::MAX);
        }
        Ok(())
    }
}

fn answered<E>(asked: usize, found: usize) -> std::result::Result<(), PoolError<E>> {
    if asked == found {
        Ok(())
    } else {
        Err(PoolError::AnswersMissing { asked, found })
    }
}
