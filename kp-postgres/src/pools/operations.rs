//! The calls that change a pool: what each needs as a rule, and its step of the rules.

use kp_core::moving::{self, ImportRejection, PoolExport};
use kp_core::rules::{self, Answer, Limits, LookUp};
use kp_core::server::{
    Lease, OnLapse, Receipt, Reservation, ReservationToken, Save, SaveOutcome, Spend, TakeRequest, WithdrawOutcome,
    Withdrawal,
};
use kp_core::{GroupId, KeyPackage, KeyPackageRef, PoolId, Timestamp, Ttl};

use crate::link::calls::{Kind, Operation};

pub(crate) fn save(save: &Save, limits: Limits, now: Timestamp) -> Operation<Vec<SaveOutcome>> {
    let save = save.clone();
    let bytes = save.packages().iter().map(|item| item.package.bytes.as_ref().len());
    Operation {
        name: "save_key_packages",
        pool: save.pool.clone(),
        kind: Kind::Save { bytes: bytes.sum() },
        look_ups: LookUp::of_save(&save, now),
        step: Box::new(move |pool| rules::save(pool, &save, limits, now)),
    }
}

fn kind_of(take: &TakeRequest) -> Kind {
    let options = &take.options;
    let is_any = options.ciphersuites.is_empty() && options.remaining == 0 && options.requirements.is_empty();
    if is_any { Kind::Take } else { Kind::Choice }
}

pub(crate) fn reserve(take: &TakeRequest, lapse: OnLapse, now: Timestamp) -> Operation<Answer<Reservation>> {
    let take = take.clone();
    Operation {
        name: "reserve_key_packages",
        pool: take.pool.clone(),
        kind: kind_of(&take),
        look_ups: LookUp::of_take(&take, now),
        step: Box::new(move |pool| rules::reserve(pool, &take, lapse, now)),
    }
}

pub(crate) fn claim(take: &TakeRequest, group: Option<&GroupId>, now: Timestamp) -> Operation<Answer<KeyPackage>> {
    let (take, group) = (take.clone(), group.cloned());
    Operation {
        name: "claim_key_packages",
        pool: take.pool.clone(),
        kind: kind_of(&take),
        look_ups: LookUp::of_take(&take, now),
        step: Box::new(move |pool| rules::claim(pool, &take, group.as_ref(), now)),
    }
}

pub(crate) fn spend(token: &ReservationToken, spend: &Spend, now: Timestamp) -> Operation<Answer<Receipt>> {
    let (token, spend) = (token.clone(), spend.clone());
    Operation {
        name: "spend_key_packages",
        pool: token.pool.clone(),
        kind: Kind::Other,
        look_ups: LookUp::of_token(&token, now),
        step: Box::new(move |pool| rules::spend(pool, &token, &spend, now)),
    }
}

pub(crate) fn release(token: &ReservationToken, now: Timestamp) -> Operation<Answer<()>> {
    let token = token.clone();
    Operation {
        name: "release_key_packages",
        pool: token.pool.clone(),
        kind: Kind::Other,
        look_ups: LookUp::of_token(&token, now),
        step: Box::new(move |pool| rules::release(pool, &token, now)),
    }
}

pub(crate) fn renew(token: &ReservationToken, ttl: Ttl, now: Timestamp) -> Operation<Answer<Lease>> {
    let token = token.clone();
    Operation {
        name: "renew_key_packages",
        pool: token.pool.clone(),
        kind: Kind::Other,
        look_ups: LookUp::of_token(&token, now),
        step: Box::new(move |pool| rules::renew(pool, &token, ttl, now)),
    }
}

pub(crate) fn withdraw(
    pool: &PoolId,
    what: &Withdrawal,
    now: Timestamp,
) -> Operation<Vec<(KeyPackageRef, WithdrawOutcome)>> {
    let what = what.clone();
    Operation {
        name: "withdraw_key_packages",
        pool: pool.clone(),
        kind: Kind::Other,
        look_ups: LookUp::of_withdrawal(&what, now),
        step: Box::new(move |pool| rules::withdraw(pool, &what, now)),
    }
}

pub(crate) fn import(pool: &PoolId, export: &PoolExport) -> Operation<Answer<(), ImportRejection>> {
    let export = export.clone();
    let bytes = export
        .records()
        .iter()
        .filter_map(|(_, kept)| Some(kept.bytes.as_ref()?.as_ref().len()));
    Operation {
        name: "import_pool",
        pool: pool.clone(),
        kind: Kind::Save { bytes: bytes.sum() },
        look_ups: Vec::new(),
        step: Box::new(move |pool| moving::import(pool, &export)),
    }
}

pub(crate) fn delete(pool: &PoolId) -> Operation<()> {
    Operation {
        name: "delete_pool",
        pool: pool.clone(),
        kind: Kind::Other,
        look_ups: Vec::new(),
        step: Box::new(|pool| {
            pool.clear();
            Ok(())
        }),
    }
}
