//! One of the processes: it runs rounds, and joins with whatever comes, until it is killed or told to stop.

use std::fs::OpenOptions;
use std::io::Write as _;

use kp_client::PoolError;
use kp_core::Error;
use kp_test_support::messenger::{SUITE, named};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::mail::{self, Mail};
use crate::state::{CAP, Client, State};

/// Notes a line in a file of all the processes.
fn note(state: &State, file: &str, line: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(state.dir.join(file))
        .unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

pub(crate) async fn work(state: State) {
    let process = std::process::id();
    let mut random = StdRng::seed_from_u64(process.into());
    let client = state.client(0).await;
    while !state.dir.join("stop").exists() {
        let mail = if random.random() {
            mail::take(&state.dir, process)
        } else {
            None
        };
        match mail {
            Some(mail) => join(&state, &client, mail, random.random_range(0..4) == 0).await,
            None => round(&state, &client, random.random_range(0..4) == 0).await,
        }
    }
}

/// Whether the same call may succeed soon: another process has the storage, for longer than a call waits for it on a machine
/// that is busy.
fn may_pass<E>(error: &PoolError<E>) -> bool {
    match error {
        PoolError::Busy | PoolError::JoinUnderWay { .. } => true,
        PoolError::Metadata(Error::Backend(error)) => error.is_transient(),
        _ => false,
    }
}

/// `more`: as many packages as the cap allows, and not only what is missing.
async fn round(state: &State, client: &Client, more: bool) {
    let report = if more {
        client.pool.generate_and_update_pool(SUITE, CAP).await
    } else {
        client.pool.refresh().await
    };
    match report {
        Ok(report) if report.other_round.is_some() => tokio::task::yield_now().await,
        Ok(_) => note(state, "rounds", "round"),
        Err(error) if may_pass(&error) => note(state, "busy", "round"),
        Err(error) => note(state, "failures", &format!("round: {error:?}")),
    }
}

async fn join(state: &State, client: &Client, mail: Mail, forged_first: bool) {
    let refs = named(&mail.welcome);
    if forged_first {
        match client.pool.join(&refs, || client.attempt(&mail.forged)).await {
            Ok(Ok(())) => return mail.lost("a forged Welcome was joined with"),
            Ok(Err(_)) => {}
            Err(_) if client.is_in(&mail.group) => return mail.joined(),
            Err(error) if may_pass(&error) => return mail.later(),
            Err(error) => return mail.lost(&format!("before a forged one: {error:?}")),
        }
    }
    match client.pool.join(&refs, || client.attempt(&mail.welcome)).await {
        Ok(Ok(())) => mail.joined(),
        // The process that joined with it died before it could say so.
        _ if client.is_in(&mail.group) => mail.joined(),
        // As it seems, the process that began with it may still be alive.
        Err(PoolError::JoinUnderWay { .. }) => mail.later(),
        Err(error) if may_pass(&error) => {
            note(state, "busy", "join");
            mail.later();
        }
        Ok(Err(error)) => mail.lost(&format!("attempt: {error}")),
        Err(error) => mail.lost(&format!("{error:?}")),
    }
}
