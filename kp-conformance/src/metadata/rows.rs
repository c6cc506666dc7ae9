//! What the checks of metadata are made of: rows and lifecycles, each from a small number.

use kp_core::client::{Alone, Budget, JoinMark, KeyPackageMetadata, LeaseHolder, Lifecycle, PoolRecord, Wait};
use kp_core::protocol::Health;
use kp_core::{KeyPackageRef, Role, Timestamp};

use crate::packages::{OTHER_SUITE, SUITE, at, key_package_ref, one_time};

/// Every lifecycle, in the order of the table.
pub(super) fn lifecycles() -> [Lifecycle; 8] {
    use Lifecycle::{Available, Created, Expired, Failed, Reserved, Spent};
    [
        Created,
        Available,
        Reserved,
        joining(0),
        superseded(0),
        Spent,
        Expired,
        Failed,
    ]
}

/// Superseded, its key kept for an hour and so many seconds.
pub(super) fn superseded(seconds: i64) -> Lifecycle {
    Lifecycle::Superseded {
        delete_at: at(3_600 + seconds),
    }
}

/// Joined with, by the holder of this number, until so many seconds.
pub(super) fn joining_by(holder: u8, seconds: i64) -> Lifecycle {
    let mark = JoinMark {
        holder: LeaseHolder::from_bytes([holder; 16]),
        until: at(seconds),
    };
    Lifecycle::Joining { mark: Some(mark) }
}

/// Joined with, by the first holder, for a minute and so many seconds.
pub(super) fn joining(seconds: i64) -> Lifecycle {
    joining_by(1, 60 + seconds)
}

/// The row of the n-th package, just generated.
pub(super) fn row(n: u64) -> KeyPackageMetadata {
    KeyPackageMetadata::created(&one_time(n).info, at(0))
}

/// The row of the n-th package, where it stands after a life that left a time of every kind.
pub(super) fn row_in(n: u64, lifecycle: Lifecycle) -> KeyPackageMetadata {
    KeyPackageMetadata {
        lifecycle,
        offered_at: Some(at(4)),
        uploaded_at: Some(at(1)),
        reserved_at: Some(at(2)),
        spent_at: Some(at(3)),
        ..row(n)
    }
}

/// The rows of the first packages, one in each of [`lifecycles`].
pub(super) fn in_every_state() -> Vec<KeyPackageMetadata> {
    let numbered = (1..).zip(lifecycles());
    numbered.map(|(n, lifecycle)| row_in(n, lifecycle)).collect()
}

/// Rows just generated, in order.
pub(super) fn rows(numbers: impl IntoIterator<Item = u64>) -> Vec<KeyPackageMetadata> {
    numbers.into_iter().map(row).collect()
}

pub(super) fn refs(numbers: impl IntoIterator<Item = u64>) -> Vec<KeyPackageRef> {
    numbers.into_iter().map(key_package_ref).collect()
}

/// A record in which nothing is missing, of two ciphersuites, and with numbers of a later release.
pub(super) fn record() -> PoolRecord {
    let later = [(0xFFFE_0000, i64::MIN), (u32::MAX, i64::MAX)];
    let mut record = PoolRecord::from_numbers(later).expect("what is not known is kept");
    record.server_time = Some(Timestamp::MAX);
    record.health = Some(Health::LastResortUsed);
    record.clock_off = Some(i64::MIN);
    record.clock_trusted = true;
    record.alone = Some(Alone::new(Timestamp::MIN, Timestamp::MAX));
    record.strangers = u32::MAX;
    let wait = Wait::new(Timestamp::MIN, u32::MAX).basis(u32::MAX);
    record.waits = [Role::OneTime, Role::LastResort]
        .map(|role| ((SUITE, role), wait))
        .into();
    record.budgets = [SUITE, OTHER_SUITE].map(|suite| (suite, Budget::new(64, at(0)))).into();
    record
}
