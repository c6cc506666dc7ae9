use std::iter::repeat_n;

use kp_core::{Ciphersuite, KeyPackageRef, KeyVault, Timestamp};

use super::KeyPackagePool;
use super::ledger::Result;
use crate::{CiphersuitePlan, PoolError, RefreshReport};

/// How many packages go up in one upload; a directory takes 200 unless it is told otherwise.
const BATCH: usize = 100;

/// How many one-time packages a round makes.
#[derive(Clone, Copy)]
pub(super) enum Demand {
    /// What is missing up to the target, where there are fewer than the low-water mark.
    Refill,
    /// So many of one ciphersuite.
    More(Ciphersuite, u32),
}

impl<V: KeyVault> KeyPackagePool<V> {
    /// One round of everything (`POOL-7`). The caller has the lock on rounds; the ledger is never locked while the server
    /// is awaited, so that a Welcome need not wait for a slow upload.
    ///
    /// Wherever it breaks off, the next round repairs: each part looks at what is, not at what the last one did.
    pub(super) async fn round(&self, demand: Demand) -> Result<RefreshReport, V> {
        let now = self.0.clock.now();
        let mut report = RefreshReport::default();
        let mine = self.put_in_order(now, &mut report).await?;
        self.sync(&mine, now, &mut report).await?;
        self.publish(demand, now, &mut report).await?;
        if self.withdraw_unwanted(now, &mut report).await? {
            // They had counted towards the cap.
            self.publish(Demand::Refill, now, &mut report).await?;
        }
        let ledger = self.0.ledger.lock().await;
        report.next_at = ledger.survey(&self.0.policy, now).await?.next_at();
        Ok(report)
    }

    /// What needs no server: what died is recovered, and what is over deleted.
    async fn put_in_order(&self, now: Timestamp, report: &mut RefreshReport) -> Result<Vec<KeyPackageRef>, V> {
        let ledger = self.0.ledger.lock().await;
        ledger.recover(now, report).await?;
        report.deleted += ledger.clean_up(now).await?;
        let rows = ledger.metadata.list().await?;
        Ok(rows.into_iter().map(|row| row.key_package_ref).collect())
    }

    async fn sync(&self, mine: &[KeyPackageRef], now: Timestamp, report: &mut RefreshReport) -> Result<(), V> {
        let answer = self.0.transport.sync(mine).await?;
        answered(mine.len(), answer.yours.len())?;
        let ledger = self.0.ledger.lock().await;
        let strays = ledger.learn(&self.0.policy, mine, &answer, now, report).await?;
        drop(ledger);
        self.withdraw(&strays, report).await
    }

    /// Makes what is missing, and uploads what the server does not have.
    async fn publish(&self, demand: Demand, now: Timestamp, report: &mut RefreshReport) -> Result<(), V> {
        let policy = &self.0.policy;
        let packages = {
            let ledger = self.0.ledger.lock().await;
            let survey = ledger.survey(policy, now).await?;
            let mut wanted = Vec::new();
            for plan in policy.plans.values() {
                let one_time = match demand {
                    Demand::Refill if survey.is_low(plan) => survey.shortage(plan),
                    Demand::More(suite, count) if suite == plan.suite => count.min(survey.room(plan)),
                    Demand::Refill | Demand::More(..) => 0,
                };
                wanted.extend(repeat_n((plan.suite, false), one_time as usize));
                wanted.extend(survey.lacks_last_resort(plan).then_some((plan.suite, true)));
            }
            report.generated += ledger.generate(&wanted, now).await?;
            ledger.to_upload(&ledger.survey(policy, now).await?)?
        };
        for batch in packages.chunks(BATCH) {
            let bytes: Vec<_> = batch.iter().map(|package| package.bytes.clone()).collect();
            let verdicts = self.0.transport.upload(&bytes).await?;
            answered(batch.len(), verdicts.len())?;
            let refs = batch.iter().map(|package| package.info.key_package_ref.clone());
            let uploaded: Vec<_> = refs.zip(verdicts).collect();
            let ledger = self.0.ledger.lock().await;
            ledger.settle(policy, &uploaded, now, report).await?;
        }
        Ok(())
    }

    /// Takes back what is on the server and should not be, and says whether there was any.
    async fn withdraw_unwanted(&self, now: Timestamp, report: &mut RefreshReport) -> Result<bool, V> {
        let policy = &self.0.policy;
        let unwanted = self.0.ledger.lock().await.survey(policy, now).await?.to_withdraw();
        self.withdraw(&unwanted, report).await?;
        let ledger = self.0.ledger.lock().await;
        ledger.supersede(policy, &unwanted, now, report).await?;
        Ok(!unwanted.is_empty())
    }

    async fn withdraw(&self, refs: &[KeyPackageRef], report: &mut RefreshReport) -> Result<(), V> {
        if !refs.is_empty() {
            self.0.transport.withdraw(refs).await?;
            report.withdrawn += u32::try_from(refs.len()).unwrap_or(u32::MAX);
        }
        Ok(())
    }

    pub(super) fn plan(&self, suite: Ciphersuite) -> Result<&CiphersuitePlan, V> {
        self.0.policy.plans.get(&suite).ok_or(PoolError::NotPlanned(suite))
    }
}

fn answered<E>(asked: usize, found: usize) -> std::result::Result<(), PoolError<E>> {
    if asked == found {
        Ok(())
    } else {
        Err(PoolError::AnswersMissing { asked, found })
    }
}
