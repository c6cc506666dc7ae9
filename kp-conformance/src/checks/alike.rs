use kp_core::server::SaveOutcome::{InitKeyReused, Saved};
use kp_core::server::{Admitted, InitKeyFingerprint};
use kp_core::{Cause, KeyPackage, KeyPackageRef, ReservationId, Status};

use crate::Context;
use crate::asking::Asking as _;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{at, one_time, one_times};
use crate::pool::works;

/// The same bytes, and these with one bit of each byte flipped.
fn alike<const LEN: usize>() -> Vec<[u8; LEN]> {
    let same = [0x5A; LEN];
    let flipped = (0..LEN).map(|place| {
        let mut other = same;
        other[place] ^= 1;
        other
    });
    [same].into_iter().chain(flipped).collect()
}

/// A package for each ref that is like the others.
fn packages() -> Vec<KeyPackage> {
    let named = |(n, bytes): (u64, [u8; 32])| {
        let mut package = one_time(n);
        package.info.key_package_ref = KeyPackageRef::try_from(bytes.as_slice()).expect("32 bytes are a ref");
        package
    };
    (0..).zip(alike()).map(named).collect()
}

checks! {
    /// Refs that differ in one bit, wherever it is, are refs of different packages: an index of a part of them decides nothing.
    #[rules("SAVE-5", "READ-4", "RES-5")]
    async fn refs_that_are_nearly_alike_are_of_different_packages(context: &Context) {
        let pool = context.pool().await;
        let packages = packages();
        pool.stock(packages.clone(), at(0)).await;
        let refs: Vec<_> = packages.iter().map(|package| package.info.key_package_ref.clone()).collect();
        for (n, package) in (0..).zip(&packages) {
            let named = pool.take(n).only(package.info.key_package_ref.clone());
            must_be!(pool.claimed(&named, at(0)).await, *package, "a claim gets the package that it names");
            let statuses = works(pool.store.get_statuses(&pool.id, &refs, at(0)).await);
            let spent = Some(Status::Spent { at: at(0), cause: Cause::Used });
            let taken = statuses.iter().filter(|status| **status == spent).count();
            must_be!(taken as u64, n + 1, "so many were claimed, each by its name");
        }
    }

    /// Init keys that differ in one bit of their fingerprints are different init keys.
    #[rules("SAVE-9")]
    async fn init_keys_that_are_nearly_alike_are_different(context: &Context) {
        let pool = context.pool().await;
        let prints = alike().into_iter().map(InitKeyFingerprint::from_bytes);
        let items: Vec<_> = (1..).zip(prints).map(|(n, print)| Admitted::new(one_time(n)).fingerprint(print)).collect();
        for (n, item) in (101..).zip(&items) {
            must_be!(pool.admit_one(item.clone(), at(0)).await, Saved, "no other package has this init key");
            let mut again = Admitted::new(one_time(n));
            again.fingerprint = item.fingerprint;
            must_be!(pool.admit_one(again, at(0)).await, InitKeyReused, "a record has this init key");
        }
    }

    /// Ids that differ in one bit are ids of different requests: each gets a package of its own, and the same one again.
    #[rules("RES-5", "CLAIM-1")]
    async fn ids_that_are_nearly_alike_are_of_different_requests(context: &Context) {
        let ids: Vec<_> = alike().into_iter().map(ReservationId::from_bytes).collect();
        let pool = context.stocked(one_times(0..ids.len() as u64)).await;
        let mut takes = Vec::new();
        for id in ids {
            let mut take = pool.take(0);
            take.id = id;
            takes.push((pool.claimed(&take, at(0)).await, take));
        }
        for (place, (package, take)) in takes.iter().enumerate() {
            let before = takes[..place].iter().map(|(before, _)| before);
            assert!(!before.into_iter().any(|before| before == package), "two requests got one package");
            must_be!(pool.claimed(take, at(1)).await, *package, "the same request gets the same package");
        }
    }
}
