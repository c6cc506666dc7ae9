use std::collections::BTreeMap;

use kp_core::protocol::{CiphersuiteStatus, Health, PoolStatus};
use kp_core::server::ReadyKeyPackage;
use kp_core::{Ciphersuite, Counts, PoolCounts, Role, Slot, Timestamp};

use crate::config::Config;

/// Tells how a pool is doing, from its counts and from what it could hand out at `now`.
pub(crate) fn pool_status(
    counts: PoolCounts,
    ready: &[ReadyKeyPackage],
    config: &Config,
    now: Timestamp,
) -> PoolStatus {
    let soon = now.plus(config.expiring_soon);
    let mut expiring = BTreeMap::<Ciphersuite, u32>::new();
    let one_time = ready
        .iter()
        .map(|ready| &ready.info)
        .filter(|info| info.role == Role::OneTime);
    for info in one_time.filter(|info| info.lifetime.is_expired(soon)) {
        *expiring.entry(info.ciphersuite).or_default() += 1;
    }
    let room = counts.room;
    let status = |(ciphersuite, counts): (Ciphersuite, Counts)| {
        // As SAVE-6 counts: a recalled package never returns.
        let held = counts.available + counts.not_yet_valid + counts.reserved.saturating_sub(counts.recalled);
        let upload = config.cap_per_ciphersuite.saturating_sub(held).min(room);
        let expiring_soon = expiring.get(&ciphersuite).copied().unwrap_or_default();
        let status = CiphersuiteStatus::new(health(&counts, config), counts, upload, expiring_soon);
        (ciphersuite, status)
    };
    PoolStatus::new(counts.ciphersuites.into_iter().map(status).collect(), room)
}

/// Grades one ciphersuite (`DIR-1`, `DIR-5`).
pub(crate) fn health(counts: &Counts, config: &Config) -> Health {
    match counts.last_resort {
        Slot::Used => Health::LastResortUsed,
        Slot::Unused if counts.remembered_one_time() == 0 => Health::LastResortOnly,
        _ if counts.available == 0 => Health::Exhausted,
        _ if counts.available < config.low_mark() => Health::Low,
        _ => Health::Good,
    }
}
