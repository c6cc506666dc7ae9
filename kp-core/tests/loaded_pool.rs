//! A loaded pool asks before it decides, and a step that fails leaves nothing behind.

use kp_core::key_package::ExtensionType;
use kp_core::rules::{
    Change, Extent, Interrupted, Kept, Limits, LoadedPool, LookUp, PoolRecords, Record, State, reserve, save,
};
use kp_core::server::{Admitted, InitKeyFingerprint, OnLapse, Save, Support, TakeOptions, TakeRequest};
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, PoolId,
    ReservationId, Timestamp, Ttl,
};

const NOW: Timestamp = match Timestamp::new(1_000) {
    Some(now) => now,
    None => Timestamp::MIN,
};

fn named(n: u64) -> KeyPackageRef {
    KeyPackageRef::try_from(n.to_be_bytes().as_slice()).expect("eight bytes are a ref")
}

fn info(n: u64) -> KeyPackageInfo {
    let lifetime = Lifetime::new(Timestamp::MIN, NOW.plus(1_000)).expect("it begins before it ends");
    KeyPackageInfo::new(named(n), Ciphersuite(1), lifetime, CredentialHash([0; 32]))
}

fn bytes() -> KeyPackageBytes {
    KeyPackageBytes::try_from([1].as_slice()).expect("one byte is a package")
}

fn kept() -> Kept {
    let mut kept = Kept::default();
    kept.bytes = Some(bytes());
    kept
}

/// Returns the free record of this sequence.
fn record(n: u64) -> Record {
    Record {
        info: info(n),
        sequence: n,
        saved_at: Timestamp::MIN,
        state: State::Free,
    }
}

fn pool_id() -> PoolId {
    PoolId::try_from("bob/phone").expect("a short name is an id")
}

fn take() -> TakeRequest {
    let minute = Ttl::seconds(60).expect("a minute is a ttl");
    TakeRequest::new(pool_id(), ReservationId::from_bytes([7; 16]), minute)
}

/// Returns a pool of which the first `to` places of the queue are known, and no other.
fn pool(free: impl IntoIterator<Item = u64>, to: u64) -> LoadedPool {
    let mut pool = LoadedPool::new(9);
    let queue = LookUp::Queue { after: None, now: NOW };
    let free = free.into_iter().map(|n| (record(n), kept()));
    pool.found(&queue, free, Extent::UpTo(to));
    pool
}

#[test]
fn a_record_behind_the_known_places_waits_for_those_before_it() {
    let mut pool = pool([], 3);
    pool.found(&LookUp::Ref(named(8)), [(record(8), kept())], Extent::All);
    let next = LookUp::Queue {
        after: Some(3),
        now: NOW,
    };
    let oldest = |pool: &mut LoadedPool| pool.oldest_that_fits(&TakeOptions::new(), NOW);
    assert_eq!(oldest(&mut pool), Err(Interrupted::Missing(next.clone())));
    pool.found(&next, [(record(5), kept())], Extent::UpTo(5));
    assert_eq!(oldest(&mut pool), Ok(Some((record(5), bytes()))));
}

#[test]
fn places_that_are_known_later_say_nothing_of_an_earlier_moment() {
    let mut pool = pool([2], 3);
    let earlier = NOW.minus(1);
    let missing = LookUp::Queue {
        after: None,
        now: earlier,
    };
    assert_eq!(
        pool.oldest_that_fits(&TakeOptions::new(), earlier),
        Err(Interrupted::Missing(missing)),
        "what had not expired a second before"
    );
}

#[test]
fn expired_records_are_walked_through_to_the_end() {
    let end = NOW.plus(1_000);
    let mut pool = LoadedPool::new(9);
    let first = LookUp::Expired { after: None, now: end };
    assert_eq!(pool.expired(end, 2), Err(Interrupted::Missing(first.clone())));
    pool.found(&first, [(record(1), Kept::default())], Extent::UpTo(4));
    let next = LookUp::Expired {
        after: Some(4),
        now: end,
    };
    assert_eq!(pool.expired(end, 2), Err(Interrupted::Missing(next.clone())));
    pool.found(&next, [(record(6), Kept::default())], Extent::All);
    assert_eq!(pool.expired(end, 2), Ok(vec![record(1), record(6)]));
    assert_eq!(pool.expired(end, 1), Ok(vec![record(1)]));
}

#[test]
fn a_damaged_record_fails_who_asks_for_it_and_nobody_else() {
    let mut pool = pool([2, 3], 3);
    pool.unreadable(LookUp::Ref(named(1)));
    pool.unreadable(LookUp::Bytes(4));
    assert_eq!(
        pool.by_ref(&named(1)),
        Err(Interrupted::Unreadable(LookUp::Ref(named(1))))
    );
    assert_eq!(pool.bytes(&record(4)), Err(Interrupted::Unreadable(LookUp::Bytes(4))));
    assert_eq!(pool.by_ref(&named(2)), Ok(Some(record(2))));
}

#[test]
fn a_record_whose_bytes_are_damaged_is_passed_over() {
    let mut pool = LoadedPool::new(9);
    let queue = LookUp::Queue { after: None, now: NOW };
    pool.found(&queue, [(record(1), Kept::default()), (record(2), kept())], Extent::All);
    let oldest = |pool: &mut LoadedPool| pool.oldest_that_fits(&TakeOptions::new(), NOW);
    assert_eq!(oldest(&mut pool), Err(Interrupted::Missing(LookUp::Bytes(1))));
    pool.unreadable(LookUp::Bytes(1));
    assert_eq!(oldest(&mut pool), Ok(Some((record(2), bytes()))));
}

#[test]
fn a_step_that_fails_leaves_nothing_behind() {
    let mut pool = pool([2], 3);
    for look_up in [LookUp::Lapsed(NOW), LookUp::Id(take().id)] {
        pool.found(&look_up, [], Extent::All);
    }
    let more = Save::one(pool_id(), KeyPackage::new(info(7), bytes()));
    let failed = pool.step(|pool| {
        reserve(pool, &take(), OnLapse::Return, NOW)?.expect("a package is free");
        pool.clear();
        save(pool, &more, Limits::default(), NOW)?;
        Err::<(), _>(Interrupted::Missing(LookUp::Slots))
    });
    assert_eq!(failed, Err(Interrupted::Missing(LookUp::Slots)));
    assert_eq!(pool.changes().count(), 0);
    assert_eq!((pool.last_sequence(), pool.is_cleared()), (9, false));
    let Err(Interrupted::Missing(_)) = pool.by_ref(&named(7)) else {
        panic!("what was inserted is gone, and what is stored is not known");
    };
    let reserved = pool.step(|pool| reserve(pool, &take(), OnLapse::Return, NOW));
    assert_eq!(
        reserved.expect("all is loaded").expect("it is free again").package.info,
        info(2)
    );
    assert_eq!(pool.changes().count(), 1);
}

/// ERR-1: a record is as it was, too.
#[test]
fn a_step_that_fails_has_added_nothing_to_a_record() {
    let support = Support::new([ExtensionType(0xF001)], [], []).expect("it is one type");
    let item = Admitted::new(KeyPackage::new(info(2), bytes())).fingerprint(InitKeyFingerprint::from_bytes([7; 8]));
    let item = item.support(support);
    let mut pool = pool([2], 3);
    let failed = pool.step(|pool| {
        pool.amend(&record(2), &item)?;
        Err::<(), _>(Interrupted::Missing(LookUp::Slots))
    });
    assert_eq!(failed, Err(Interrupted::Missing(LookUp::Slots)));
    assert_eq!(pool.changes().count(), 0);
    assert_eq!(pool.support(&record(2)), Ok(None));
}

/// SAVE-5: what a record lacked is written, the one without the other too.
#[test]
fn what_was_added_to_a_record_is_written() {
    let package = || Admitted::new(KeyPackage::new(info(2), bytes()));
    let support = Support::new([ExtensionType(0xF001)], [], []).expect("it is one type");
    let fingerprint = InitKeyFingerprint::from_bytes([7; 8]);
    for (item, added) in [
        (package(), None),
        (package().fingerprint(fingerprint), Some((None, Some(&fingerprint)))),
        (package().support(support.clone()), Some((Some(&support), None))),
    ] {
        let mut pool = pool([2], 3);
        let amended = pool.step(|pool| pool.amend(&record(2), &item));
        assert_eq!(amended, Ok(()));
        let changes: Vec<_> = pool.changes().collect();
        match (changes.as_slice(), added) {
            ([], None) => {}
            (
                [
                    Change::Amend {
                        support, fingerprint, ..
                    },
                ],
                Some(added),
            ) => assert_eq!((*support, *fingerprint), added),
            other => panic!("{other:?}"),
        }
    }
}

/// TIME-3: what was not past its `not_after` at one moment was not at any earlier; of a later moment, nothing is known. And the
/// reverse for what was.
#[test]
fn a_look_up_answers_for_its_own_moment() {
    let [before, after] = [NOW.minus(1), NOW.plus(1)];
    let queue = |now| LookUp::Queue { after: None, now };
    let expired = |now| LookUp::Expired { after: None, now };
    let mut pool = LoadedPool::new(9);
    pool.found(&queue(NOW), [], Extent::All);
    pool.found(&expired(NOW), [], Extent::All);
    let known = [before, NOW, after].map(|now| (pool.knows(&queue(now)), pool.knows(&expired(now))));
    assert_eq!(known, [(false, true), (true, true), (true, false)]);
    assert_eq!(pool.expired(NOW, 5), Ok(Vec::new()));
    assert_eq!(pool.expired(after, 5), Err(Interrupted::Missing(expired(after))));
}
