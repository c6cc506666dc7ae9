use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use kp_core::client::{Fence, KeyVault, LeaseName, MetadataRejection};
use kp_core::protocol::SyncReport;
use kp_core::rules::MAX_ITEMS;
use kp_core::{Ciphersuite, Error, KeyPackageRef, Timestamp, Ttl};
use tracing::warn;

use crate::clock;
use crate::error::{PoolError, Result};
use crate::heard::Heard;
use crate::making::Demand;
use crate::pool::{KeyPackagePool, Round};
use crate::report::RefreshReport;
use crate::turn::Turn;

/// How many packages go up in one upload. A directory takes 200 unless it is told otherwise; from a server that refuses
/// so many, less is asked.
const BATCH: usize = 100;

/// For how long the round of a process that died keeps the others from theirs.
const ROUND: Ttl = Ttl::seconds(120).expect("120 s are a ttl");

impl<V: KeyVault> KeyPackagePool<V> {
    /// Does whatever is due:
    ///
    /// - recovers joins that died, and deletes what is expired, refused or past its grace period;
    /// - learns from the server what was used;
    /// - makes KeyPackages where there are fewer than the low-water mark, or the server says that they are low, and rotates
    ///   the last resort, as far as clocks, budget and waits allow: the report says what keeps it back;
    /// - uploads what the server lacks, and then withdraws what the server should not have: KeyPackages without a key, of an
    ///   old credential, or of a ciphersuite no longer planned.
    ///
    /// Call it also when the credential changed. Calls at once share their work: a call that waited for a round which began
    /// after the call was made gets that round's report. If another process of the client runs a round, the call does nothing,
    /// and says so in [`other_round`](RefreshReport::other_round).
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
        let report = self.round(Demand::Refill, false).await?;
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
        self.round(Demand::More(suite, count), false).await
    }

    /// Withdraws what has no key here although another installation may have the keys, and then does all that
    /// [`refresh`](Self::refresh) does. Call it when the person says that this device is the only one: see
    /// [`RefreshReport::other_installation`].
    ///
    /// # Errors
    ///
    /// As in [`refresh`](Self::refresh).
    pub async fn take_over(&self) -> Result<RefreshReport, V> {
        let _last = self.0.rounds.lock().await;
        self.0.started.fetch_add(1, Ordering::SeqCst);
        self.round(Demand::Refill, true).await
    }

    /// Runs one round of everything (`POOL-7`), unless another process runs one. The caller holds the lock on rounds.
    async fn round(&self, demand: Demand, confirmed: bool) -> Result<RefreshReport, V> {
        let fence = match self.hold_round().await {
            Ok(fence) => fence,
            Err(Error::Rejected(MetadataRejection::Held { until })) => {
                return Ok(RefreshReport {
                    other_round: Some(until),
                    next_at: Some(until),
                    ..RefreshReport::default()
                });
            }
            Err(error) => return Err(error.into()),
        };
        let report = self.held_round(fence, demand, confirmed).await;
        if let Err(error) = self
            .0
            .ledger
            .metadata
            .release_lease(LeaseName::ROUND, self.0.holder)
            .await
        {
            warn!(
                error = &error as &dyn std::error::Error,
                "the other processes run no round until a lease ends"
            );
        }
        report
    }

    async fn hold_round(&self) -> std::result::Result<Fence, Error<MetadataRejection>> {
        let (holder, now) = (self.0.holder, self.0.clock.now());
        self.0.ledger.metadata.lease(LeaseName::ROUND, holder, ROUND, now).await
    }

    /// Begins a turn of a round, if no other process began a round meanwhile.
    async fn round_turn(&self, round: Fence) -> Result<Turn<'_, V>, V> {
        match self.hold_round().await {
            Ok(fence) if fence == round => self.turn().await,
            Ok(_) | Err(Error::Rejected(MetadataRejection::Held { .. })) => Err(PoolError::Busy),
            Err(error) => Err(error.into()),
        }
    }

    /// The ledger is never held while the server is awaited, so that a Welcome need not wait for a slow upload.
    ///
    /// Wherever a round breaks off, the next round repairs: each part looks at what is there, not at what the last part did.
    async fn held_round(&self, round: Fence, demand: Demand, confirmed: bool) -> Result<RefreshReport, V> {
        let mut report = RefreshReport::default();
        let turn = self.round_turn(round).await?;
        let mine = turn.put_in_order(&mut report).await;
        let mine = turn.end(mine).await?;
        let (answer, off) = match self.ask(&mine).await {
            Ok(answer) => answer,
            Err(error) => {
                // What is over by the client's own clock goes in the end, also when there is no server for long.
                self.cleanup_expired().await?;
                return Err(error);
            }
        };
        let turn = self.round_turn(round).await?;
        let strays = turn.learn(&mine, &answer, off, confirmed, &mut report).await;
        let strays = turn.end(strays).await?;
        self.withdraw(&strays, &mut report).await?;

        let heard = Heard::new(answer, off);
        report.clock_off = off;
        report.server_full = heard.room() == 0;
        let mut demand = demand;
        let goes_on = match off {
            None => true,
            Some(_) => {
                let taken = self.publish(round, demand, &heard, true, &mut report).await?;
                if let Demand::More(_, count) = &mut demand {
                    *count = count.saturating_sub(taken);
                }
                taken > 0
            }
        };
        if goes_on {
            let turn = self.round_turn(round).await?;
            let expired = turn.pass_time(&mut report).await;
            turn.end(expired).await?;
            self.publish(round, demand, &heard, false, &mut report).await?;
        }
        if self.withdraw_unwanted(round, &mut report).await? && goes_on {
            // They had counted towards the cap.
            self.publish(round, Demand::Refill, &heard, false, &mut report).await?;
        }
        let turn = self.round_turn(round).await?;
        let next_at = turn.next_at(&mut report).await;
        report.next_at = turn.end(next_at).await?;
        Ok(report)
    }

    /// Asks the server in runs, since no call names more than [`MAX_ITEMS`] refs. What every run says is unknown to the client
    /// is unknown to the client. Returns also by how much the client's clock is off.
    async fn ask(&self, mine: &[KeyPackageRef]) -> Result<(SyncReport, Option<i64>), V> {
        let mut runs = mine.chunks(MAX_ITEMS);
        let (mut all, mut off) = self.ask_run(runs.next().unwrap_or_default()).await?;
        for run in runs {
            let (answer, off_now) = self.ask_run(run).await?;
            let unknown = answer.unknown_to_you.iter().map(|held| &held.key_package_ref);
            let unknown: BTreeSet<_> = unknown.collect();
            all.unknown_to_you
                .retain(|held| unknown.contains(&held.key_package_ref));
            all.yours.extend(answer.yours);
            all.status = answer.status;
            (all.server_time, all.restore_point, off) = (answer.server_time, answer.restore_point, off_now);
        }
        Ok((all, off))
    }

    async fn ask_run(&self, run: &[KeyPackageRef]) -> Result<(SyncReport, Option<i64>), V> {
        let asked = self.0.clock.now();
        let answer = self.0.transport.sync(run).await?;
        let answered_at = self.0.clock.now();
        answered(run.len(), answer.yours.len())?;
        let skew = self.0.policy.skew;
        let told = answer.server_time;
        let off = told.and_then(|server| clock::off(asked, answered_at, server, skew));
        Ok((answer, off))
    }

    /// Makes what is missing, uploads what the server does not have, and returns how many of the new ones it took.
    async fn publish(
        &self,
        round: Fence,
        demand: Demand,
        heard: &Heard,
        probe: bool,
        report: &mut RefreshReport,
    ) -> Result<u32, V> {
        let turn = self.round_turn(round).await?;
        let offer = turn.prepare(demand, heard, probe, report).await;
        let offer = turn.end(offer).await?;
        let (mut left, mut most, mut taken) = (&offer.packages[..], BATCH, 0);
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
            let of_made = uploaded.iter().filter(|(named, _)| offer.made.contains(named));
            taken += u32::try_from(of_made.filter(|(_, outcome)| outcome.is_held()).count()).unwrap_or(u32::MAX);
            let turn = self.round_turn(round).await?;
            let settled = turn.settle(&uploaded, &offer, report).await;
            turn.end(settled).await?;
        }
        Ok(taken)
    }

    /// Withdraws what is on the server and should not be, and returns whether there was any.
    async fn withdraw_unwanted(&self, round: Fence, report: &mut RefreshReport) -> Result<bool, V> {
        let turn = self.round_turn(round).await?;
        let unwanted = turn.to_withdraw().await;
        let unwanted = turn.end(unwanted).await?;
        if unwanted.is_empty() {
            return Ok(false);
        }
        self.withdraw(&unwanted, report).await?;
        let turn = self.round_turn(round).await?;
        let superseded = turn.supersede(&unwanted, report).await;
        turn.end(superseded).await?;
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

impl<V: KeyVault> Turn<'_, V> {
    async fn to_withdraw(&self) -> Result<Vec<KeyPackageRef>, V> {
        let (rows, record) = (self.rows().await?, self.record().await?);
        Ok(self.survey(&rows, &record)?.to_withdraw())
    }

    /// Returns when the next round is due.
    async fn next_at(&self, report: &mut RefreshReport) -> Result<Option<Timestamp>, V> {
        let (rows, record) = (self.rows().await?, self.record().await?);
        let survey = self.survey(&rows, &record)?;
        let making = self.making_due(&survey, &record, report);
        Ok(survey.next_at().into_iter().chain(making).min())
    }
}

fn answered<E>(asked: usize, found: usize) -> std::result::Result<(), PoolError<E>> {
    if asked == found {
        Ok(())
    } else {
        Err(PoolError::AnswersMissing { asked, found })
    }
}
