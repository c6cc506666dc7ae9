//! A process dies at every step of a pool's life, before and after the step takes effect, and another one takes over:
//! POOL-3, POOL-4, POOL-6 and POOL-7, on real keys and real Welcomes. The other one starts afterwards, or has been alive
//! all the time.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod beside;
mod story;

use std::cell::Cell;

use kp_client::PoolError;
use kp_test_support::messenger::faults::{Fuse, Moment};

use beside::Beside;
use story::Story;

#[tokio::test]
async fn a_process_that_dies_at_any_step_is_made_up_for_by_the_next() {
    let fuse = Fuse::new(None);
    let mut whole = Story::new();
    let _ = whole.live(&fuse).await;
    assert!(fuse.alive().is_ok());
    whole.check_recovery().await;
    let steps = fuse.steps();
    println!("{steps} steps, {} deaths", 2 * steps);
    assert!(steps > 100);

    for at in 1..=steps {
        for moment in [Moment::Before, Moment::After] {
            println!("dies {moment:?} step {at}");
            let fuse = Fuse::new(Some((at, moment)));
            let mut story = Story::new();
            // A lease that is not given back fails no call.
            let _ = story.live(&fuse).await;
            assert!(fuse.alive().is_err());
            story.check_recovery().await;
        }
    }
}

/// The same, while a second process runs rounds and joins between any two steps of the first. For it, a death after a step is
/// a death before the next.
#[tokio::test]
async fn a_process_that_dies_at_any_step_costs_a_living_one_nothing() {
    for at in 1.. {
        println!("dies after step {at}");
        let (fuse, ended) = (Fuse::new(Some((at, Moment::After))), Cell::new(false));
        let mut story = Story::new();
        let mut beside = Beside::new(&story);
        let first = async {
            let _ = story.live(&fuse).await;
            ended.set(true);
        };
        tokio::join!(first, beside.live(&ended));
        beside.outlives(&story).await;
        story.check_recovery().await;
        if fuse.alive().is_ok() {
            println!("the story has {} steps", fuse.steps());
            assert!(at > 100);
            return;
        }
    }
}

/// POOL-5, POOL-11: an app that joins on its own dies as it says so. Either the key is left for its Welcome, or the row says that
/// it was used.
#[tokio::test]
async fn a_package_whose_key_went_is_said_to_be_used() {
    for at in 1.. {
        for moment in [Moment::Before, Moment::After] {
            let (fuse, story) = (Fuse::new(Some((at, moment))), Story::new());
            let invitation = story.invited().await;
            let _ = story.fused(&fuse).mark_as_spent(&invitation.refs).await;
            let bob = &story.bob;
            let is_left = bob.has_key(&invitation.refs[0]);
            // A row without a key is dropped by now, if it does not say why.
            story.world.clock.advance(2 * 3_600);
            let next = story.reopened();
            next.refresh().await.unwrap();
            let again = next.join(&invitation.refs, || bob.attempt(&invitation.welcome)).await;
            match again {
                Ok(joined) => assert!(is_left && joined.is_ok()),
                Err(PoolError::AlreadyUsed { .. }) => assert!(!is_left),
                Err(other) => panic!("dies {moment:?} step {at}: {other:?}"),
            }
            if fuse.alive().is_ok() {
                println!("{} steps", fuse.steps());
                assert!(at > 3 && !is_left);
                return;
            }
        }
    }
}
