//! The policy is checked when a directory is built: DIR-2.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use kp_core::protocol::{Refusal, UploadOutcome};
use kp_core::server::Uploader;
use kp_core::{Clock, ManualClock, Timestamp};
use kp_memory::MemoryStore;
use kp_server::{ConfigError, DirectoryBuilder, KeyPackageDirectory, Upload};
use world::{PlainAdmission, bob, made, start};

fn built(policy: impl FnOnce(DirectoryBuilder) -> DirectoryBuilder) -> Result<KeyPackageDirectory, ConfigError> {
    let builder = KeyPackageDirectory::builder(Arc::new(MemoryStore::new()), PlainAdmission);
    policy(builder.clock(ManualClock::at(start()))).build()
}

/// DIR-2: a setting that makes no sense is refused, by name.
#[test]
fn nonsense_is_refused() {
    let seconds = Duration::from_secs;
    let beyond = seconds(1 << 31);
    type Policy = Box<dyn FnOnce(DirectoryBuilder) -> DirectoryBuilder>;
    let nonsense: Vec<(Policy, &str)> = vec![
        (Box::new(|b| b.lease_ttl(Duration::ZERO)), "lease_ttl"),
        (Box::new(|b| b.lease_ttl(Duration::from_millis(999))), "lease_ttl"),
        (Box::new(move |b| b.lease_ttl(beyond)), "lease_ttl"),
        (Box::new(|b| b.claim_window(Duration::ZERO)), "claim_window"),
        (Box::new(|b| b.claim_window(Duration::MAX)), "claim_window"),
        (Box::new(|b| b.cap_per_ciphersuite(0)), "cap_per_ciphersuite"),
        (Box::new(|b| b.low_below(101)), "low_below"),
        (Box::new(|b| b.low_below(8).cap_per_ciphersuite(7)), "low_below"),
        (Box::new(|b| b.max_upload(0)), "max_upload"),
        (Box::new(|b| b.max_upload(1_001)), "max_upload"),
        (Box::new(|b| b.max_items(0)), "max_items"),
        (Box::new(|b| b.max_items(1_001)), "max_items"),
        (Box::new(|b| b.limit_per_requester(0)), "limit_per_requester"),
        (Box::new(move |b| b.skew(seconds(86_401))), "skew"),
        (Box::new(|b| b.restore_point(start().plus(1))), "restore_point"),
        (Box::new(|b| b.restore_point(Timestamp::MAX)), "restore_point"),
    ];
    for (policy, setting) in nonsense {
        let error = built(policy).unwrap_err();
        assert!(error.to_string().starts_with(setting), "{setting}: {error}");
    }
}

/// DIR-2: what lies at the bounds is taken.
#[test]
fn bounds_are_taken() {
    let most = built(|builder| {
        builder
            .lease_ttl(Duration::from_secs((1 << 31) - 1))
            .claim_window(Duration::from_secs((1 << 31) - 1))
            .cap_per_ciphersuite(u32::MAX)
            .low_below(u32::MAX)
            .max_upload(1_000)
            .max_items(1_000)
            .limit_per_requester(u32::MAX)
            .expiring_soon(Duration::MAX)
            .restore_point(start())
            .skew(Duration::from_secs(86_400))
    });
    most.unwrap();
    let least = built(|builder| {
        builder
            .lease_ttl(Duration::from_secs(1))
            .claim_window(Duration::from_secs(1))
            .cap_per_ciphersuite(1)
            .low_below(0)
            .max_upload(1)
            .max_items(1)
            .limit_per_requester(1)
            .expiring_soon(Duration::ZERO)
            .skew(Duration::ZERO)
    });
    least.unwrap();
}

/// A directory can be held by many, and sent about.
#[test]
fn a_directory_is_shared() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    shared(&built(|builder| builder).unwrap());
}

/// Unless it is told otherwise, a directory goes by the present: what expired in 2023 has expired.
#[tokio::test]
async fn the_default_clock_stands_in_the_present() {
    let directory = KeyPackageDirectory::new(MemoryStore::new(), PlainAdmission);
    let upload = Upload::new(bob(), Uploader::unchecked(), made(1));
    let outcomes = directory.upload(upload).await.unwrap();
    assert_eq!(outcomes, [UploadOutcome::Refused(Refusal::Expired)]);
}

/// A manual clock stands where it was put.
#[test]
fn clocks() {
    let clock = ManualClock::at(start());
    let same = clock.clone();
    clock.advance(5);
    assert_eq!(same.now(), start().plus(5));
    same.set(Timestamp::MAX);
    clock.advance(1);
    assert_eq!(clock.now(), Timestamp::MAX);
    clock.set(Timestamp::MIN);
    assert_eq!(same.now(), Timestamp::MIN);
}

/// A setting that is set twice has the later value, whatever the earlier one was.
#[test]
fn the_last_value_of_a_setting_counts() {
    let second = Duration::from_secs(1);
    assert!(built(|policy| policy.lease_ttl(Duration::ZERO).lease_ttl(second)).is_ok());
    assert!(built(|policy| policy.claim_window(second).claim_window(Duration::ZERO)).is_err());
}
