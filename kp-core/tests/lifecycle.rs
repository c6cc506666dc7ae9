//! A client's metadata: lifecycles, changes (META-2), names of leases (META-5) and the record (META-6).

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::collections::BTreeMap;

use kp_core::client::Lifecycle::{Available, Created, Expired, Failed, Joining, Reserved, Spent, Superseded};
use kp_core::client::{
    Alone, Budget, Fence, JoinMark, KeyPackageMetadata, LeaseHolder, LeaseName, Lifecycle, MetadataChanges,
    MetadataRejection, PoolRecord, Wait,
};
use kp_core::protocol::Health;
use kp_core::{Ciphersuite, CredentialHash, KeyPackageInfo, KeyPackageRef, Lifetime, Role, Timestamp};

const NOW: Timestamp = Timestamp::MIN;

#[test]
fn a_lifecycle_is_read_back_from_its_parts() {
    let superseded = Superseded { delete_at: NOW };
    let [unmarked, marked] = [None, Some(mark(1))].map(|mark| Joining { mark });
    let all = [
        Created, Available, Reserved, unmarked, marked, superseded, Spent, Expired, Failed,
    ];
    for lifecycle in all {
        let (name, delete_at, marked) = (lifecycle.name(), lifecycle.delete_at(), lifecycle.mark());
        assert_eq!(Lifecycle::from_parts(name, delete_at, marked), Some(lifecycle));
        let other = if delete_at.is_some() { None } else { Some(NOW) };
        assert_eq!(Lifecycle::from_parts(name, other, marked), None, "{name}");
        let other = if name == "joining" {
            Joining { mark: Some(mark(2)) }
        } else {
            lifecycle
        };
        let read = Lifecycle::from_parts(name, delete_at, Some(mark(2)));
        assert_eq!(read, (name == "joining").then_some(other), "{name}");
    }
    for name in ["", "Created", "lost", "spent "] {
        assert_eq!(Lifecycle::from_parts(name, None, None), None, "{name}");
    }
}

fn mark(holder: u8) -> JoinMark {
    JoinMark {
        holder: LeaseHolder::from_bytes([holder; 16]),
        until: NOW,
    }
}

fn named(name: &str) -> KeyPackageRef {
    KeyPackageRef::try_from(name).unwrap()
}

fn row(name: &str) -> KeyPackageMetadata {
    let lifetime = Lifetime::new(Timestamp::MIN, Timestamp::MAX).unwrap();
    let info = KeyPackageInfo::new(named(name), Ciphersuite(1), lifetime, CredentialHash([0; 32]));
    KeyPackageMetadata::created(&info, NOW)
}

#[test]
fn changes_stop_at_the_first_that_fails() {
    let mut rows = BTreeMap::from(["a", "b"].map(|name| (named(name), row(name))));
    let steps = [(named("a"), Available), (named("c"), Spent), (named("b"), Failed)];
    let changes = MetadataChanges::new().create([row("c")]).offer([named("c")], NOW);
    assert_eq!(changes.step(steps, NOW).decide(&mut rows), Ok(()));
    let lifecycles = ["a", "b", "c"].map(|name| rows[&named(name)].lifecycle);
    assert_eq!(lifecycles, [Available, Failed, Spent]);
    assert_eq!(rows[&named("c")].offered_at, Some(NOW));

    let new = MetadataChanges::new;
    let illegal = MetadataRejection::IllegalStep {
        from: Spent,
        to: Available,
    };
    let refused = [
        (new().create([row("d"), row("d")]), MetadataRejection::Exists),
        (
            new().create([row("a")]).offer([named("e")], NOW),
            MetadataRejection::Exists,
        ),
        (new().offer([named("a"), named("e")], NOW), MetadataRejection::NotFound),
        (
            new().step([(named("e"), Available), (named("c"), Available)], NOW),
            MetadataRejection::NotFound,
        ),
        (
            new().step([(named("c"), Available), (named("e"), Available)], NOW),
            illegal,
        ),
    ];
    for (changes, rejection) in refused {
        assert_eq!(changes.decide(&mut rows.clone()), Err(rejection), "{changes:?}");
    }
}

#[test]
fn changes_name_the_rows_that_they_look_at() {
    let changes = MetadataChanges::new();
    assert!(changes.is_empty() && changes.named().is_empty());
    let changes = changes
        .create([row("c")])
        .offer([named("b")], NOW)
        .step([(named("a"), Spent), (named("b"), Spent)], NOW)
        .delete([named("d")]);
    assert_eq!(
        changes.named().into_iter().collect::<Vec<_>>(),
        [&named("a"), &named("b"), &named("c")]
    );
    assert!(!MetadataChanges::new().fence(Fence::new(LeaseName::ROUND, 1)).is_empty());
}

#[test]
fn a_name_of_a_lease_is_a_short_word() {
    for name in ["round", "a", "abcdefghijklmnop"] {
        assert_eq!(LeaseName::new(name).map(LeaseName::as_str), Some(name));
    }
    for name in ["", "Round", "a b", "r\0", "\u{e9}", "abcdefghijklmnopq"] {
        assert_eq!(LeaseName::new(name), None, "{name:?}");
    }
    assert_eq!(LeaseName::new("ledger"), Some(LeaseName::LEDGER));
}

#[test]
fn a_record_is_read_back_from_its_numbers() {
    let mut record = PoolRecord::default();
    assert_eq!(record.numbers().count(), 0);
    record.server_time = Some(Timestamp::MAX);
    record.clock_off = Some(-1);
    record.clock_trusted = true;
    record.alone = Some(Alone::new(NOW, Timestamp::MAX));
    record.strangers = 2;
    record.waits = [Role::OneTime, Role::LastResort]
        .map(|role| ((Ciphersuite(1), role), Wait::new(NOW, u32::MAX).basis(7)))
        .into();
    record.budgets = [0, 1, u16::MAX]
        .map(|suite| (Ciphersuite(suite), Budget::new(7, NOW)))
        .into();
    for health in [
        Health::Unknown,
        Health::Good,
        Health::Low,
        Health::Exhausted,
        Health::LastResortUsed,
    ] {
        record.health = Some(health);
        assert_eq!(PoolRecord::from_numbers(record.numbers()), Some(record.clone()));
    }
    for strangers in [0, 1, u32::MAX] {
        record.strangers = strangers;
        assert_eq!(PoolRecord::from_numbers(record.numbers()), Some(record.clone()));
    }
    // What a later release adds is kept: numbers of its own, of a ciphersuite, too.
    let mut numbers: Vec<_> = record.numbers().collect();
    numbers.extend([(99 << 16, -1), (99 << 16 | 1, i64::MAX), (u32::MAX, i64::MIN)]);
    numbers.reverse();
    let later = PoolRecord::from_numbers(numbers.clone()).unwrap();
    numbers.reverse();
    assert_eq!(later.numbers().collect::<Vec<_>>(), numbers);
    // A health of a later release is some health.
    let unknown = PoolRecord::from_numbers([(2 << 16, 77)]).unwrap();
    assert_eq!(unknown.health, Some(Health::Unknown));
    // Halves, and what no field can hold, are damage.
    for damaged in [
        (1 << 16, -1),
        (1 << 16, i64::MAX),
        (3 << 16, 1),
        (4 << 16, 1),
        (5 << 16 | 1, 1),
        (6 << 16 | 1, 1),
        (8 << 16, -1),
        (9 << 16 | 1, 1),
        (12 << 16 | 1, 1),
        (14 << 16, 1),
        (15 << 16, 1),
    ] {
        assert_eq!(PoolRecord::from_numbers([damaged]), None, "{damaged:?}");
    }
    let too_long = [(3 << 16, 1), (4 << 16, 1 << 32), (9 << 16, 0)];
    assert_eq!(PoolRecord::from_numbers(too_long), None);
}
