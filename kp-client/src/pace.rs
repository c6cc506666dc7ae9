//! At which pace a pool makes packages (`POOL-10`): decisions only.

use kp_core::Timestamp;
use kp_core::client::{Budget, KeyPackageMetadata, Wait};

const DAY: u64 = 86_400;

/// How many one-time packages a budget regrows in a day.
const REGROWN_A_DAY: u64 = 100;

const FIRST_WAIT: u32 = 60;
const LONGEST_WAIT: u32 = DAY as u32;

/// Syncs in a row that find new packages without a key: from so many on, another installation uses the pool.
pub(crate) const STRANGERS: u32 = 2;

/// Returns a budget as it has grown by now. A new one, and the most that there is, is twice the cap.
pub(crate) fn grown(budget: Option<Budget>, cap: u32, now: Timestamp) -> Budget {
    let most = cap.saturating_mul(2);
    let Some(Budget { left, at, .. }) = budget else {
        return Budget::new(most, now);
    };
    // After a clock was set back, the budget grows from now on.
    let elapsed = now.get().saturating_sub(at.get()).max(0).unsigned_abs();
    let regrown = elapsed.saturating_mul(REGROWN_A_DAY) / DAY;
    let left = u64::from(left).saturating_add(regrown);
    if now < at || left >= most.into() {
        return Budget::new(u32::try_from(left).unwrap_or(most).min(most), now);
    }
    // What has begun to regrow goes on.
    let grown_at = at.plus(regrown.saturating_mul(DAY) / REGROWN_A_DAY);
    Budget::new(u32::try_from(left).unwrap_or(most), grown_at)
}

/// Returns when a spent budget allows another package.
pub(crate) fn regrown_at(budget: Budget) -> Timestamp {
    budget.at.plus(DAY / REGROWN_A_DAY)
}

/// Returns whether a wait holds: it has not ended, what was refused would be made the same way now, and the clock was not set
/// back.
pub(crate) fn holds(wait: &Wait, basis: u32, now: Timestamp) -> bool {
    let set_back = now.plus(wait.seconds.into()) < wait.until;
    now < wait.until && wait.basis == basis && !set_back
}

/// Returns the wait after another refusal: twice as long as the one before.
pub(crate) fn next_wait(before: Option<&Wait>, basis: u32, now: Timestamp) -> Wait {
    let before = before.filter(|before| before.basis == basis);
    let seconds = before.map_or(FIRST_WAIT, |before| before.seconds.saturating_mul(2).min(LONGEST_WAIT));
    Wait::new(now.plus(seconds.into()), seconds).basis(basis)
}

/// Returns when a last resort that was used may have a successor: a day after it was made, or a tenth of its lifetime if
/// that is shorter.
pub(crate) fn rotation_at(row: &KeyPackageMetadata) -> Timestamp {
    let lifetime = row.not_after.get().saturating_sub(row.created_at.get()).max(0);
    row.created_at.plus((lifetime.unsigned_abs() / 10).min(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::MIN.plus(1_000_000 + seconds)
    }

    #[test]
    fn a_budget_regrows_a_hundred_a_day_up_to_twice_the_cap() {
        assert_eq!(grown(None, 64, at(0)), Budget::new(128, at(0)));
        let spent = Some(Budget::new(0, at(0)));
        assert_eq!(
            grown(spent, 64, at(863)),
            Budget::new(0, at(0)),
            "nothing is lost meanwhile"
        );
        assert_eq!(grown(spent, 64, at(1_000)), Budget::new(1, at(864)));
        assert_eq!(regrown_at(Budget::new(0, at(0))), at(864));
        assert_eq!(grown(spent, 64, at(DAY)), Budget::new(100, at(DAY)));
        assert_eq!(grown(spent, 64, at(30 * DAY)), Budget::new(128, at(30 * DAY)));
        assert_eq!(
            grown(Some(Budget::new(128, at(0))), 4, at(0)),
            Budget::new(8, at(0)),
            "a lower cap"
        );
        let ahead = Some(Budget::new(1, at(400 * DAY)));
        assert_eq!(grown(ahead, 64, at(0)), Budget::new(1, at(0)), "the clock was set back");
    }

    #[test]
    fn a_wait_doubles_up_to_a_day_and_ends_with_its_cause() {
        let (mut wait, mut seconds) = (next_wait(None, 7, at(0)), vec![]);
        for _ in 0..12 {
            seconds.push(wait.seconds);
            wait = next_wait(Some(&wait), 7, wait.until);
        }
        assert_eq!(seconds[..3], [60, 120, 240]);
        assert_eq!(seconds[10..], [61_440, 86_400]);
        assert_eq!(next_wait(Some(&wait), 8, at(0)).seconds, 60, "another plan");
        let wait = next_wait(None, 7, at(0));
        assert!(holds(&wait, 7, at(59)) && holds(&wait, 7, at(0)));
        assert!(!holds(&wait, 7, at(60)) && !holds(&wait, 8, at(0)));
        assert!(!holds(&wait, 7, Timestamp::MIN), "the clock was set back");
    }
}
