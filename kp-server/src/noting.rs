use kp_core::protocol::UploadOutcome;
use kp_core::server::Answers;
use kp_core::{Ciphersuite, Error, PoolId, Rejection, Role, Timestamp};

use crate::directory::{Inner, KeyPackageDirectory};
use crate::notices::{Look, Subscriber};
use crate::outlook::Event;

/// Notes what calls did to pools, for who is told of it (`DIR-7`). Without a subscriber there is nothing to note.
impl KeyPackageDirectory {
    /// Notes what pools were asked to hand out, and what came of it.
    pub(crate) fn note_taken<T>(
        &self,
        pools: &[PoolId],
        answers: &Answers<T>,
        now: Timestamp,
        facts: impl Fn(&T) -> (Role, Ciphersuite),
    ) {
        let Some(subscriber) = &self.0.subscriber else { return };
        for (pool, answer) in pools.iter().zip(answers) {
            match answer {
                Ok(taken) => match facts(taken) {
                    (Role::OneTime, _) => self.note(subscriber, pool, Event::Taken, now),
                    (Role::LastResort, suite) => self.note(subscriber, pool, Event::LastResort(suite), now),
                },
                Err(Error::Rejected(Rejection::PoolExhausted)) => self.note(subscriber, pool, Event::Exhausted, now),
                Err(_) => {}
            }
        }
    }

    /// Notes what a pool was asked to take in, and what came of it.
    pub(crate) fn note_uploaded(&self, pool: &PoolId, outcomes: &[UploadOutcome], now: Timestamp) {
        let Some(subscriber) = &self.0.subscriber else { return };
        let saved = outcomes.iter().filter(|outcome| **outcome == UploadOutcome::Saved);
        let saved = u32::try_from(saved.count()).unwrap_or(u32::MAX);
        if saved > 0 || outcomes.contains(&UploadOutcome::PoolFull) {
            self.note(subscriber, pool, Event::Uploaded(saved), now);
        }
    }

    fn note(&self, subscriber: &Subscriber, pool: &PoolId, event: Event, now: Timestamp) {
        let Inner {
            store, clock, config, ..
        } = &*self.0;
        subscriber.note(pool, event, now, || Look {
            pool: pool.clone(),
            store: store.clone(),
            clock: clock.clone(),
            low_mark: config.low_mark(),
        });
    }
}
