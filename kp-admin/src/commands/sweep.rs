use kp_core::Timestamp;
use serde::Serialize;

use super::now;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::report::{Report, count, print};
use crate::stores::Store;

/// How many records or pools one call deals with.
const STEP: u32 = 1_000;

#[derive(Serialize)]
struct Swept {
    forgotten: u64,
    settled: u64,
}

impl Report for Swept {
    fn text(&self) -> String {
        let Self { forgotten, settled } = self;
        let (forgotten, settled) = (count(*forgotten, "expired KeyPackage"), count(*settled, "lapse"));
        format!("{forgotten} forgotten, {settled} settled")
    }
}

/// Forgets what expired before the skew, and settles what has lapsed.
pub(crate) async fn clean_up(store: &Store, skew: u64, json: bool) -> Result<(), Failure> {
    let (now, mut swept) = (
        now(),
        Swept {
            forgotten: 0,
            settled: 0,
        },
    );
    loop {
        let settled = store.release_expired_reservations(now, STEP).await?;
        swept.settled += settled;
        if settled == 0 {
            break;
        }
    }
    loop {
        let forgotten = store.cleanup_expired(now.minus(skew), STEP).await?;
        swept.forgotten += forgotten;
        if forgotten == 0 {
            return print(&swept, json);
        }
    }
}

#[derive(Serialize)]
struct Retired {
    retired: u64,
}

impl Report for Retired {
    fn text(&self) -> String {
        format!("{} retired, recalled or marked used", count(self.retired, "KeyPackage"))
    }
}

pub(crate) async fn retire(store: &Store, before: Timestamp, yes: bool, json: bool) -> Result<(), Failure> {
    confirm(
        yes,
        "All unspent KeyPackages that were saved before are never handed out again.",
    )?;
    let (mut total, mut after) = (0, None);
    loop {
        let (retired, next) = store.retire_unspent(before, now(), after.as_ref(), STEP).await?;
        total += retired;
        match next {
            Some(next) => after = Some(next),
            None => return print(&Retired { retired: total }, json),
        }
    }
}
