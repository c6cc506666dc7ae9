//! Draws random calls on a few pools, with few packages, ids, parties and moments, so that calls meet.

use std::collections::BTreeMap;

use kp_core::key_package::ExtensionType;
use kp_core::rules::{Answer, Model};
use kp_core::server::{
    Admitted, InitKeyFingerprint, LastResort, Lease, OnLapse, Receipt, Requirements, Reservation, ReservationToken,
    Save, SaveMode, SaveOutcome, Spend, Support, TakeOptions, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    Ciphersuite, CredentialHash, GroupId, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Party,
    PoolId, ReservationId, Role, Timestamp, Ttl,
};
use proptest::option;
use proptest::prelude::*;

/// Bounds the moments of all calls.
pub(crate) const HORIZON: i64 = 60;
pub(crate) const POOLS: u8 = 2;
pub(crate) const PACKAGES: u8 = 9;

/// Describes one call, arguments included.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Save(Save),
    Reserve(TakeRequest, OnLapse),
    Claim(TakeRequest, Option<GroupId>),
    Spend(ReservationToken, Spend),
    Release(ReservationToken),
    Renew(ReservationToken, Ttl),
    Remove(PoolId, Withdrawal),
    Delete(PoolId),
    Retire(Timestamp),
    Settle,
    Sweep,
}

/// Holds the answer of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Save(Vec<SaveOutcome>),
    Reserve(Answer<Reservation>),
    Claim(Answer<KeyPackage>),
    Spend(Answer<Receipt>),
    Release(Answer<()>),
    Renew(Answer<Lease>),
    Remove(BTreeMap<KeyPackageRef, WithdrawOutcome>),
    Nothing,
}

impl Operation {
    pub(crate) fn apply(&self, model: &mut Model, now: Timestamp) -> Said {
        match self {
            Self::Save(save) => Said::Save(model.save(save, now)),
            Self::Reserve(take, lapse) => Said::Reserve(model.reserve(take, *lapse, now)),
            Self::Claim(take, group) => Said::Claim(model.claim(take, group.as_ref(), now)),
            Self::Spend(token, usage) => Said::Spend(model.spend(token, usage, now)),
            Self::Release(token) => Said::Release(model.release(token, now)),
            Self::Renew(token, ttl) => Said::Renew(model.renew(token, *ttl, now)),
            Self::Remove(pool, what) => Said::Remove(model.withdraw(pool, what, now).into_iter().collect()),
            Self::Delete(pool) => {
                model.delete_pool(pool);
                Said::Nothing
            }
            // How many leases a settlement ends depends on what was settled before.
            Self::Retire(saved_before) => {
                model.retire_unspent(*saved_before, now);
                Said::Nothing
            }
            Self::Settle => {
                model.release_expired_reservations(now);
                Said::Nothing
            }
            Self::Sweep => {
                model.cleanup_expired(now);
                Said::Nothing
            }
        }
    }

    /// Returns whether the call itself says which records it looks at.
    pub(crate) fn names_its_records(&self) -> bool {
        matches!(
            self,
            Self::Spend(..) | Self::Release(_) | Self::Renew(..) | Self::Remove(..) | Self::Retire(_)
        )
    }

    /// Returns the pool that the call settles and changes; `None` for a call on all pools, or on none.
    pub(crate) fn settles(&self) -> Option<&PoolId> {
        match self {
            Self::Save(save) => Some(&save.pool).filter(|_| !save.packages().is_empty()),
            Self::Reserve(take, _) | Self::Claim(take, _) => Some(&take.pool),
            Self::Spend(token, _) | Self::Release(token) | Self::Renew(token, _) => Some(&token.pool),
            Self::Remove(pool, what) => Some(pool).filter(|_| *what != Withdrawal::Refs(Vec::new())),
            Self::Delete(_) | Self::Retire(_) | Self::Settle | Self::Sweep => None,
        }
    }
}

impl Said {
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Save(outcomes) => {
                !outcomes.contains(&SaveOutcome::Saved) && outcomes.iter().all(|one| !one.is_held())
            }
            Self::Reserve(answer) => answer.is_err(),
            Self::Claim(answer) => answer.is_err(),
            Self::Spend(answer) => answer.is_err(),
            Self::Release(answer) => answer.is_err(),
            Self::Renew(answer) => answer.is_err(),
            Self::Remove(_) | Self::Nothing => false,
        }
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(seconds).expect("a small number is a timestamp")
}

pub(crate) fn pool(n: u8) -> PoolId {
    PoolId::try_from([b'p', n].as_slice()).expect("two bytes are a pool id")
}

pub(crate) fn key_package_ref(n: u8) -> KeyPackageRef {
    KeyPackageRef::try_from([b'r', n].as_slice()).expect("two bytes are a ref")
}

fn party(n: u8) -> Party {
    Party::try_from([b'a', n].as_slice()).expect("two bytes are a party")
}

fn group(n: u8) -> GroupId {
    GroupId::try_from([b'g', n].as_slice()).expect("two bytes are a group")
}

/// Makes the n-th package: some last resort, some soon expired, some not yet valid; of two ciphersuites.
fn package(n: u8, forged: bool) -> KeyPackage {
    let (not_before, not_after) = [(0, 1_000), (0, 40), (20, 50)][usize::from(n % 3)];
    KeyPackage::new(
        KeyPackageInfo::new(
            key_package_ref(n),
            Ciphersuite(u16::from(n % 2)),
            Lifetime::new(at(not_before), at(not_after)).expect("it begins before it ends"),
            CredentialHash([0; 32]),
        )
        .role(Role::of(n >= 6)),
        KeyPackageBytes::try_from([n, u8::from(forged)].as_slice()).expect("two bytes are a package"),
    )
}

fn pools() -> impl Strategy<Value = PoolId> {
    // Mostly the first, so that much happens there.
    prop_oneof![4 => Just(pool(0)), 1 => Just(pool(1))]
}

fn refs() -> impl Strategy<Value = KeyPackageRef> {
    (0..PACKAGES).prop_map(key_package_ref)
}

fn ids() -> impl Strategy<Value = ReservationId> {
    (0_u8..4).prop_map(|n| ReservationId::from_bytes([n; 16]))
}

fn parties() -> impl Strategy<Value = Option<Party>> {
    option::of((0_u8..2).prop_map(party))
}

fn groups() -> impl Strategy<Value = Option<GroupId>> {
    option::of((0_u8..2).prop_map(group))
}

fn tokens() -> impl Strategy<Value = ReservationToken> {
    (pools(), refs(), ids()).prop_map(|(pool, named, id)| ReservationToken::new(pool, named, id))
}

/// Makes an item of the package; two packages share an init key. A bare item has nothing but the package.
fn item(n: u8, forged: bool, bare: bool) -> Admitted {
    let item = Admitted::from(package(n, forged));
    if bare {
        return item;
    }
    let support = Support::new([ExtensionType(0xF001 + u16::from(n) % 3)], [], []);
    let key = InitKeyFingerprint::from_bytes([n.min(PACKAGES - 2); 8]);
    item.fingerprint(key).support(support)
}

fn saves() -> impl Strategy<Value = Save> {
    let package = (0..PACKAGES, prop::bool::weighted(0.1), prop::bool::weighted(0.2));
    let packages = prop::collection::vec(package, 0..6);
    let modes = prop_oneof![
        7 => Just(SaveMode::Append),
        2 => Just(SaveMode::Replace),
        1 => Just(SaveMode::Amend)
    ];
    (pools(), packages, modes, 0_u32..5).prop_map(|(pool, packages, mode, cap)| {
        let packages = packages.into_iter().map(|(n, forged, bare)| item(n, forged, bare));
        let save = Save::new(pool, packages).expect("a handful of packages are a save");
        save.mode(mode).cap_per_ciphersuite(cap)
    })
}

fn takes() -> impl Strategy<Value = TakeRequest> {
    let last_resort = prop_oneof![
        2 => Just(LastResort::Never),
        2 => Just(LastResort::Fallback),
        1 => Just(LastResort::Only)
    ];
    let suites = prop::collection::vec((0_u16..2).prop_map(Ciphersuite), 0..2);
    let named = option::weighted(0.2, refs());
    let required = prop::collection::vec((0xF001_u16..0xF004).prop_map(ExtensionType), 0..2);
    (
        (pools(), ids(), 1_u32..30),
        (suites, 0_u32..20, named, last_resort, required),
        (parties(), option::of(0_u32..4)),
    )
        .prop_map(
            |((pool, id, ttl), (suites, remaining, named, last_resort, required), (by, limit))| {
                let required = Requirements::new().extensions(required);
                let ttl = Ttl::try_from(ttl).expect("a small number is a ttl");
                let mut options = TakeOptions::new()
                    .ciphersuites(suites)
                    .remaining(remaining)
                    .last_resort(last_resort)
                    .requirements(required.expect("few types are required"));
                (options.only, options.by) = (named, by);
                let mut take = TakeRequest::new(pool, id, ttl).options(options);
                take.limit = limit;
                take
            },
        )
}

fn removals() -> impl Strategy<Value = Withdrawal> {
    prop_oneof![
        3 => prop::collection::vec(refs(), 0..3).prop_map(Withdrawal::Refs),
        1 => Just(Withdrawal::All)
    ]
}

pub(crate) fn moments() -> impl Strategy<Value = Timestamp> {
    (0..HORIZON).prop_map(at)
}

pub(crate) fn operations() -> impl Strategy<Value = Operation> {
    let lapses = prop_oneof![3 => Just(OnLapse::Return), 1 => Just(OnLapse::Retire)];
    let usages = (groups(), parties()).prop_map(|(group, by)| {
        let mut spend = Spend::new();
        (spend.group, spend.by) = (group, by);
        spend
    });
    prop_oneof![
        6 => saves().prop_map(Operation::Save),
        10 => (takes(), lapses).prop_map(|(take, lapse)| Operation::Reserve(take, lapse)),
        6 => (takes(), groups()).prop_map(|(take, group)| Operation::Claim(take, group)),
        8 => (tokens(), usages).prop_map(|(token, usage)| Operation::Spend(token, usage)),
        6 => tokens().prop_map(Operation::Release),
        4 => (tokens(), 1_u32..30).prop_map(|(token, ttl)| {
            Operation::Renew(token, Ttl::try_from(ttl).expect("a small number is a ttl"))
        }),
        3 => (pools(), removals()).prop_map(|(pool, what)| Operation::Remove(pool, what)),
        1 => pools().prop_map(Operation::Delete),
        1 => moments().prop_map(Operation::Retire),
        2 => Just(Operation::Settle),
        2 => Just(Operation::Sweep),
    ]
}
