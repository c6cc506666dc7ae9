use kp_core::client::Lifecycle::Available;
use kp_core::client::MetadataRejection::{Fenced, Held};
use kp_core::client::{Fence, LeaseName, MetadataChanges, PoolRecord};

use super::ledger::Context;
use super::rows::{record, refs, row, rows};
use crate::at_once::at_once;
use crate::check::checks;
use crate::must_be::{must_be, must_number};
use crate::packages::{at, key_package_ref};

const ROUND: LeaseName = LeaseName::ROUND;
const LEDGER: LeaseName = LeaseName::LEDGER;

checks! {
    /// META-5: who asks when, and for how long; and what is answered. 0 seconds stand for a release.
    #[rules("META-5")]
    async fn a_lease_is_granted_when_free_ended_or_ones_own(context: &Context) {
        let ledger = context.ledger().await;
        let held = |until| Err(Held { until: at(until) });
        let calls = [
            (ROUND, 1, 60, 100, Ok(1)),
            (ROUND, 2, 60, 100, held(160)),
            (LEDGER, 2, 60, 100, Ok(1)),
            (ROUND, 2, 999, 159, held(160)),
            // Renewed, and sooner at its end.
            (ROUND, 1, 10, 130, Ok(1)),
            (ROUND, 2, 60, 139, held(140)),
            (ROUND, 2, 60, 140, Ok(2)),
            (ROUND, 1, 60, 140, held(200)),
            // Ended, and nobody else had it.
            (ROUND, 2, 60, 500, Ok(2)),
            // Another's is not released, nor is one of another name.
            (ROUND, 1, 0, 500, Ok(2)),
            (LEDGER, 2, 0, 500, Ok(2)),
            (ROUND, 1, 60, 501, held(560)),
            (ROUND, 2, 0, 501, Ok(2)),
            (ROUND, 2, 0, 501, Ok(2)),
            (ROUND, 2, 60, 501, Ok(2)),
            (ROUND, 2, 0, 501, Ok(2)),
            (ROUND, 1, 60, 501, Ok(3)),
            // Its end lies one ttl ahead, or more: then the clock was set back.
            (ROUND, 1, 60, 1_000, Ok(3)),
            (ROUND, 2, 1, 1_000, held(1_060)),
            (ROUND, 2, 999, 999, Ok(4)),
            (ROUND, 1, 1, 999, held(1_998)),
            // The holder's own clock may be set back, too.
            (ROUND, 2, 60, 0, Ok(4)),
            (ROUND, 1, 60, 59, held(60)),
            (ROUND, 1, 60, 60, Ok(5)),
            (LEDGER, 1, 60, 120, Ok(2)),
        ];
        for (at_call, (name, holder, seconds, now, answer)) in calls.into_iter().enumerate() {
            match seconds {
                0 => ledger.release(name, holder).await,
                _ => must_be!(ledger.lease(name, holder, seconds, at(now)).await, answer, "call {at_call}"),
            }
        }
    }

    /// META-5: a write under a fence that is not the current one of its lease changes nothing, of whatever kind it is, and
    /// before anything else is looked at. The current one is let in, also when its lease has ended.
    #[rules("META-5", "META-6")]
    async fn an_older_fence_changes_nothing(context: &Context) {
        let ledger = context.ledger().await.with(&rows([1, 2])).await;
        must_be!(ledger.lease(LEDGER, 1, 60, at(0)).await, Ok(1));
        must_be!(ledger.lease(LEDGER, 2, 60, at(60)).await, Ok(2));
        must_be!(ledger.lease(ROUND, 2, 60, at(0)).await, Ok(1));
        let unknown = LeaseName::new("unknown").expect("a short word is a name");
        let before = ledger.all().await;
        let new = MetadataChanges::new;
        let writes = [
            new(),
            new().create([row(3)]),
            new().offer(refs([1]), at(9)),
            new().step([(key_package_ref(1), Available)], at(9)),
            new().delete(refs([2])),
            new().record(record()),
            // Refused, too.
            new().create([row(1)]),
            new().step([(key_package_ref(9), Available)], at(9)),
        ];
        for (lease, number) in [(LEDGER, 1), (LEDGER, 3), (LEDGER, 0), (ROUND, 2), (unknown, 1)] {
            for write in &writes {
                let write = write.clone().fence(Fence::new(lease, number));
                must_be!(ledger.apply(&write).await, Err(Fenced), "{write:?}");
                must_be!(ledger.all().await, before, "{write:?}");
            }
        }
        ledger.release(LEDGER, 2).await;
        for (write, deleted) in writes.iter().zip([0, 0, 0, 0, 1, 0]) {
            let write = write.clone().fence(Fence::new(LEDGER, 2));
            must_be!(ledger.apply(&write).await, Ok(deleted), "{write:?}");
        }
        must_be!(ledger.get(2).await, None);
        must_be!(ledger.record().await, record());
        must_be!(ledger.lease(LEDGER, 1, 60, at(0)).await, Ok(3));
        must_be!(ledger.apply(&new().fence(Fence::new(LEDGER, 2))).await, Err(Fenced));
    }

    /// META-5: of many that ask for a free lease at once, one is granted it.
    #[rules("META-5")]
    async fn one_of_many_is_granted_the_lease(context: &Context) {
        let ledgers = context.ledgers(4).await;
        for (fence, now) in (1..=10).zip((0..).step_by(60)) {
            let answers = at_once(&ledgers, 12, |ledger, task| async move {
                // Others than in the round before.
                let holder = (task + 100 * (fence % 2)) as u8;
                (holder, ledger.lease(ROUND, holder, 60, at(now)).await)
            });
            let (granted, refused): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(|(_, answer)| answer.is_ok());
            must_be!(granted.len(), 1, "one has it");
            must_be!(granted[0].1, Ok(fence));
            must_number(&refused, refused.len(), "are told until when another holds it", |(_, answer)| {
                *answer == Err(Held { until: at(now + 60) })
            });
            must_be!(ledgers[1].lease(ROUND, granted[0].0, 60, at(now)).await, Ok(fence), "it is its own");
        }
    }

    /// META-5: a fence is compared in the same step with the write. What the last holder writes after its grant stays,
    /// whatever the one before still writes.
    #[rules("META-5", "META-2")]
    async fn nobody_writes_after_the_next_grant(context: &Context) {
        let ledgers = context.ledgers(4).await;
        let mut fence = ledgers[0].lease(LEDGER, 0, 60, at(0)).await.expect("it is free");
        for round in 1..=10 {
            let write = |n: u64, number| {
                let mut record = PoolRecord::default();
                record.strangers = n as u32;
                MetadataChanges::new().record(record).fence(Fence::new(LEDGER, number))
            };
            let answers = at_once(&ledgers, 12, |ledger, task| async move {
                if task != 6 {
                    let answer = ledger.apply(&write(task, fence)).await;
                    assert!(matches!(answer, Ok(0) | Err(Fenced)), "an older fence changes nothing, and is answered {answer:?}");
                    return None;
                }
                let number = ledger.lease(LEDGER, round, 60, at(60 * i64::from(round))).await.expect("it has ended");
                must_be!(ledger.apply(&write(task, number)).await, Ok(0));
                Some(number)
            });
            fence = answers.await.into_iter().flatten().next().expect("one was granted it");
            must_be!(ledgers[1].record().await.strangers, 6);
        }
        must_be!(fence, 11);
    }
}
