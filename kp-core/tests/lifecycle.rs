//! The lifecycle of a client's own packages: names and batches (META-2).

use std::collections::BTreeMap;

use kp_core::client::Lifecycle::{Available, Created, Expired, Failed, Joining, Reserved, Spent, Superseded};
use kp_core::client::{KeyPackageMetadata, Lifecycle, MetadataRejection};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageInfo, KeyPackageRef, Lifetime, Timestamp};

const NOW: Timestamp = Timestamp::MIN;

#[test]
fn a_lifecycle_is_read_back_from_its_parts() {
    let superseded = Superseded { delete_at: NOW };
    let all = [
        Created, Available, Reserved, Joining, superseded, Spent, Expired, Failed,
    ];
    for lifecycle in all {
        let (name, delete_at) = (lifecycle.name(), lifecycle.delete_at());
        assert_eq!(Lifecycle::from_parts(name, delete_at), Some(lifecycle));
        let other = if delete_at.is_some() { None } else { Some(NOW) };
        assert_eq!(Lifecycle::from_parts(name, other), None, "{name}");
    }
    for name in ["", "Created", "lost", "spent "] {
        assert_eq!(Lifecycle::from_parts(name, None), None, "{name}");
    }
}

#[test]
fn a_batch_of_steps_stops_at_the_first_that_fails() {
    let named = |name: &str| KeyPackageRef::try_from(name).unwrap();
    let info = |name| {
        KeyPackageInfo::new(
            named(name),
            Ciphersuite(1),
            Lifetime::new(Timestamp::MIN, Timestamp::MAX).unwrap(),
            CredentialHash([0; 32]),
        )
    };
    let rows = ["a", "b"].map(|name| (named(name), KeyPackageMetadata::created(&info(name), NOW)));
    let mut rows = BTreeMap::from(rows);
    let steps = [(named("a"), Available), (named("a"), Spent), (named("b"), Failed)];
    assert_eq!(KeyPackageMetadata::step_all(&mut rows, &steps, NOW), Ok(()));
    assert_eq!(
        (rows[&named("a")].lifecycle, rows[&named("b")].lifecycle),
        (Spent, Failed)
    );
    let unknown = [(named("c"), Available), (named("a"), Available)];
    assert_eq!(
        KeyPackageMetadata::step_all(&mut rows, &unknown, NOW),
        Err(MetadataRejection::NotFound)
    );
    let illegal = [(named("a"), Available), (named("c"), Available)];
    let refused = MetadataRejection::IllegalStep {
        from: Spent,
        to: Available,
    };
    assert_eq!(KeyPackageMetadata::step_all(&mut rows, &illegal, NOW), Err(refused));
}
