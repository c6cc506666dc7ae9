use std::collections::BTreeMap;

use kp_core::protocol::{CiphersuiteStatus, Health, PoolStatus};
use kp_core::{Ciphersuite, Counts, KeyPackageInfo, PoolCounts, Slot, Timestamp};

use crate::config::Config;

/// Tells how a pool is doing, from its counts and from what it could hand out at `now`.
pub(crate) fn pool_status(
    counts: PoolCounts,
    available: &[KeyPackageInfo],
    config: &Config,
    now: Timestamp,
) -> PoolStatus {
    let soon = now.plus(config.expiring_soon);
    let mut expiring = BTreeMap::<Ciphersuite, u32>::new();
    for info in available.iter().filter(|info| info.lifetime.is_expired(soon)) {
        *expiring.entry(info.ciphersuite).or_default() += 1;
    }
    let status = |(ciphersuite, counts): (Ciphersuite, Counts)| {
        let held = counts.available + counts.reserved + counts.not_yet_valid;
        let upload = config.cap_per_ciphersuite.saturating_sub(held);
        let expiring_soon = expiring.get(&ciphersuite).copied().unwrap_or_default();
        let status = CiphersuiteStatus::new(health(&counts, config), counts, upload, expiring_soon);
        (ciphersuite, status)
    };
    PoolStatus::new(counts.ciphersuites.into_iter().map(status).collect())
}

fn health(counts: &Counts, config: &Config) -> Health {
    let mark = u64::from(config.cap_per_ciphersuite) * u64::from(config.low_below);
    if counts.last_resort == Slot::Used {
        Health::LastResortUsed
    } else if counts.available == 0 {
        Health::Exhausted
    } else if u64::from(counts.available) * 100 <= mark {
        Health::Low
    } else {
        Health::Good
    }
}
