//! `ERR-4`, `PRIV-1`: no package bytes, reservation ids, tokens, parties or groups where text is made for people.

use std::error::Error;
use std::fmt::Debug;

use kp_core::rules::{LeaseRecord, Model, Recall, Record, Spent, State, Window};
use kp_core::server::{Admitted, OnLapse, ReservationToken, Save, Spend, TakeRequest};
use kp_core::{
    Ciphersuite, CredentialHash, GroupId, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Party,
    PoolId, ReservationId, Timestamp, Ttl,
};

/// Each secret, a byte sixteen times over: printed in whatever way, it shows.
const BYTES: u8 = 0xA1;
const ID: u8 = 0xB2;
const PARTY: u8 = 0xC3;
const GROUP: u8 = 0xD4;

/// That none of the secrets shows: not as numbers, not in hexadecimal, not as characters.
fn hides(what: &(impl Debug + ?Sized)) {
    for text in [
        format!("{what:?}"),
        format!("{what:#?}"),
        format!("{what:x?}"),
        format!("{what:X?}"),
    ] {
        let text = text.to_lowercase();
        for secret in [BYTES, ID, PARTY, GROUP] {
            let shown = [
                format!("{secret:02x}{secret:02x}"),
                format!("{secret:02x}, "),
                format!("{secret:02x},\n"),
                format!("{secret}, "),
                format!("{secret},\n"),
                format!("\\x{secret:02x}"),
                char::from(secret).to_string(),
            ];
            for shown in shown {
                assert!(!text.contains(&shown), "{shown:?} shows in {text}");
            }
        }
    }
}

fn package() -> Result<KeyPackage, Box<dyn Error>> {
    Ok(KeyPackage {
        info: KeyPackageInfo {
            key_package_ref: KeyPackageRef::try_from("ref")?,
            ciphersuite: Ciphersuite(1),
            lifetime: Lifetime::new(Timestamp::MIN, Timestamp::MAX)?,
            last_resort: false,
            credential: CredentialHash([0; 32]),
        },
        bytes: KeyPackageBytes::try_from(vec![BYTES; 16])?,
    })
}

fn take() -> Result<TakeRequest, Box<dyn Error>> {
    let take = TakeRequest::new(
        PoolId::try_from("bob")?,
        ReservationId::from_bytes([ID; 16]),
        Ttl::try_from(60)?,
    );
    Ok(take.by(Party::try_from(vec![PARTY; 16])?))
}

#[test]
fn the_test_would_see_them() {
    for bytes in [BYTES, ID, PARTY, GROUP] {
        let shown = std::panic::catch_unwind(|| hides(&[bytes; 16]));
        assert!(shown.is_err());
    }
}

#[test]
fn requests_hide_them() -> Result<(), Box<dyn Error>> {
    let take = take()?;
    let pool = take.pool.clone();
    let token = ReservationToken::new(pool.clone(), KeyPackageRef::try_from("ref")?, take.id);
    let usage = Spend {
        group: Some(GroupId::try_from(vec![GROUP; 16])?),
        by: take.by.clone(),
    };
    hides(&take);
    hides(&take.id);
    hides(&take.by);
    hides(&token);
    hides(&usage);
    hides(&usage.group);
    hides(&package()?);
    hides(&package()?.bytes);
    hides(&Save::one(pool, package()?));
    hides(&Admitted::new(package()?, vec![0]));
    Ok(())
}

#[test]
fn answers_and_stores_hide_them() -> Result<(), Box<dyn Error>> {
    let take = take()?;
    let now = Timestamp::MIN;
    let mut model = Model::default();
    model.save(&Save::one(take.pool.clone(), package()?), now);
    let reserved = model.reserve(&take, OnLapse::Return, now)?;
    hides(&reserved);
    hides(&reserved.lease);
    hides(&model);
    hides(&model.get(&take.pool, &reserved.package.info.key_package_ref, now));
    let group = GroupId::try_from(vec![GROUP; 16])?;
    hides(&model.claim(&take, Some(&group), now)?);
    hides(&model);
    Ok(())
}

#[test]
fn records_hide_them() -> Result<(), Box<dyn Error>> {
    let TakeRequest { id, by, .. } = take()?;
    let group = Some(GroupId::try_from(vec![GROUP; 16])?);
    let now = Timestamp::MIN;
    let window = Window {
        expires_at: now,
        reserver: by.clone(),
        replayable: true,
    };
    let hold = LeaseRecord {
        id,
        by: by.clone(),
        expires_at: now,
        on_lapse: OnLapse::Return,
        recalled: Some(Recall::Withdrawn),
    };
    let usage = Spent {
        at: now,
        id,
        bound: true,
        group,
        by,
        window: Some(window),
    };
    for state in [State::Reserved(hold), State::Used(usage)] {
        hides(&Record {
            info: package()?.info,
            sequence: 0,
            saved_at: now,
            state,
        });
    }
    Ok(())
}

#[test]
fn what_is_wrong_with_a_token_or_a_package_does_not_repeat_it() -> Result<(), Box<dyn Error>> {
    let token = format!("626f62.01.{}.", "b2".repeat(16));
    hides(&ReservationToken::parse(&token));
    hides(&KeyPackageBytes::try_from(vec![BYTES; 70_000]));
    hides(&Party::try_from(vec![PARTY; 100]));
    hides(&GroupId::try_from(vec![GROUP; 300]));
    Ok(())
}
