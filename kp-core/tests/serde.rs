//! Writes and reads values with the feature `serde`, and refuses to read values out of bounds.
#![cfg(feature = "serde")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;

use kp_core::client::{JoinMark, LeaseHolder, Lifecycle};
use kp_core::key_package::ExtensionType;
use kp_core::protocol::{
    CiphersuiteStatus, Health, HeldKeyPackage, KeyFault, LeafFault, PoolStatus, PublicKeyField, Refusal, SyncReport,
    UploadOutcome,
};
use kp_core::server::{Cursor, Receipt, ReservationToken, SaveOutcome, WithdrawOutcome};
use kp_core::{
    Cause, Ciphersuite, Counts, GroupId, KeyPackageRef, Party, PoolId, Rejection, ReservationId, Role, Status,
    Timestamp, Ttl,
};
use rstest::rstest;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes a value as `json`, and reads the value again, from a slice and from a reader.
fn is_written<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    value: &T,
    json: &str,
) -> Result<(), Box<dyn Error>> {
    assert_eq!(serde_json::to_string(value)?, json);
    assert_eq!(serde_json::from_str::<T>(json)?, *value);
    assert_eq!(serde_json::from_reader::<_, T>(json.as_bytes())?, *value);
    assert_eq!(serde_json::from_value::<T>(serde_json::to_value(value)?)?, *value);
    Ok(())
}

#[test]
fn ids_are_hexadecimal() -> Result<(), Box<dyn Error>> {
    is_written(&PoolId::try_from("bob")?, r#""626f62""#)?;
    is_written(&KeyPackageRef::try_from([0, 0xFF].as_slice())?, r#""00ff""#)?;
    is_written(&GroupId::try_from("g")?, r#""67""#)?;
    is_written(&Party::try_from("p")?, r#""70""#)?;
    let token = ReservationToken::new(
        PoolId::try_from("bob")?,
        KeyPackageRef::try_from([1].as_slice())?,
        ReservationId::from_bytes([0xAB; 16]),
    );
    is_written(&token, &format!("{:?}", token.expose()))
}

#[test]
fn times_and_ciphersuites_are_numbers() -> Result<(), Box<dyn Error>> {
    is_written(&Timestamp::MIN, "0")?;
    is_written(&Timestamp::MAX, "9007199254740991")?;
    is_written(&Ttl::try_from(60)?, "60")?;
    is_written(&Ciphersuite(0xF031), "61489")
}

#[test]
fn a_join_is_written_with_its_mark() -> Result<(), Box<dyn Error>> {
    is_written(&Lifecycle::Created, r#""created""#)?;
    is_written(&Lifecycle::Joining { mark: None }, r#"{"joining":{"mark":null}}"#)?;
    let mark = JoinMark {
        holder: LeaseHolder::from_bytes([0xAB; 16]),
        until: Timestamp::MIN,
    };
    let holder = "ab".repeat(16);
    is_written(
        &Lifecycle::Joining { mark: Some(mark) },
        &format!(r#"{{"joining":{{"mark":{{"holder":"{holder}","until":0}}}}}}"#),
    )?;
    assert!(serde_json::from_str::<LeaseHolder>(&format!(r#""{holder}ab""#)).is_err());
    Ok(())
}

#[test]
fn answers_are_in_snake_case() -> Result<(), Box<dyn Error>> {
    is_written(&Status::Available, r#""available""#)?;
    is_written(&Status::NotYetValid, r#""not_yet_valid""#)?;
    is_written(&Status::Expired, r#""expired""#)?;
    is_written(
        &Status::Reserved { until: Timestamp::MIN },
        r#"{"reserved":{"until":0}}"#,
    )?;
    is_written(&Status::LastResort { used: true }, r#"{"last_resort":{"used":true}}"#)?;
    for (cause, word) in [
        (Cause::Used, "used"),
        (Cause::Retired, "retired"),
        (Cause::Withdrawn, "withdrawn"),
        (Cause::Replaced, "replaced"),
    ] {
        let at = Timestamp::MIN;
        is_written(
            &Status::Spent { at, cause },
            &format!(r#"{{"spent":{{"at":0,"cause":"{word}"}}}}"#),
        )?;
    }
    is_written(&SaveOutcome::RefConflict, r#""ref_conflict""#)?;
    is_written(&WithdrawOutcome::AlreadySpent, r#""already_spent""#)?;
    is_written(
        &Counts::default(),
        concat!(
            r#"{"available":0,"reserved":0,"recalled":0,"spent":0,"spent_last_resorts":0,"not_yet_valid":0,"#,
            r#""expired":0,"last_resort":"empty"}"#
        ),
    )?;
    let receipt = Receipt::new(KeyPackageRef::try_from([1].as_slice())?, Timestamp::MIN);
    is_written(&receipt, r#"{"key_package_ref":"01","spent_at":0}"#)
}

#[test]
fn a_status_says_what_all_ciphersuites_share() -> Result<(), Box<dyn Error>> {
    for (health, word) in [
        (Health::Good, "good"),
        (Health::LastResortOnly, "last_resort_only"),
        (Health::Low, "low"),
        (Health::Exhausted, "exhausted"),
        (Health::LastResortUsed, "last_resort_used"),
    ] {
        is_written(&health, &format!("{word:?}"))?;
    }
    is_written(&PoolStatus::new(BTreeMap::new(), 7), r#"{"ciphersuites":{},"room":7}"#)?;
    let full = PoolStatus::new(BTreeMap::new(), 0);
    assert!(full.is_memory_full());

    let status = CiphersuiteStatus::new(Health::Low, Counts::default(), 3, 1);
    let pool = PoolStatus::new(BTreeMap::from([(Ciphersuite(1), status)]), 7);
    let json = serde_json::to_string(&pool)?;
    is_written(&pool, &json)
}

#[test]
fn a_sync_is_written_with_all_that_it_says() -> Result<(), Box<dyn Error>> {
    let held = HeldKeyPackage::new(
        KeyPackageRef::try_from([1].as_slice())?,
        Role::LastResort,
        Timestamp::MIN,
    );
    let json = r#"{"key_package_ref":"01","role":"last_resort","saved_at":0}"#;
    is_written(&held, json)?;
    let report = SyncReport::new(vec![None], vec![held], PoolStatus::new(BTreeMap::new(), 7));
    let report = report.server_time(Timestamp::MAX).restore_point(Some(Timestamp::MIN));
    is_written(
        &report,
        &format!(
            r#"{{"yours":[null],"unknown_to_you":[{json}],"status":{{"ciphersuites":{{}},"room":7}},{}}}"#,
            r#""server_time":9007199254740991,"restore_point":0"#
        ),
    )
}

#[test]
fn a_status_of_an_older_peer_is_read() -> Result<(), Box<dyn Error>> {
    let status: PoolStatus = serde_json::from_str(r#"{"ciphersuites":{}}"#)?;
    assert!(!status.is_memory_full());
    let report: SyncReport = serde_json::from_str(r#"{"yours":[],"unknown_to_you":[],"status":{"ciphersuites":{}}}"#)?;
    assert_eq!((report.server_time, report.restore_point), (None, None));
    Ok(())
}

#[test]
fn a_rejection_is_written_as_its_code() -> Result<(), Box<dyn Error>> {
    for rejection in Rejection::ALL {
        is_written(rejection, &format!("{:?}", rejection.code()))?;
    }
    Ok(())
}

#[test]
fn an_outcome_of_an_upload_is_written_as_its_code() -> Result<(), Box<dyn Error>> {
    let outcomes = [
        UploadOutcome::Saved,
        UploadOutcome::AlreadyStored,
        UploadOutcome::AlreadySpent,
        UploadOutcome::PoolFull,
        UploadOutcome::RefConflict,
        UploadOutcome::NotTried,
        UploadOutcome::Unknown,
    ];
    let refused = Refusal::ALL.iter().copied().map(UploadOutcome::Refused);
    for outcome in outcomes.into_iter().chain(refused) {
        is_written(&outcome, &format!("{:?}", outcome.code()))?;
    }
    Ok(())
}

#[test]
fn a_detail_follows_the_code_of_a_refusal() -> Result<(), Box<dyn Error>> {
    let unlisted = Refusal::InvalidLeaf(LeafFault::ExtensionNotListed(ExtensionType(0xF999)));
    is_written(
        &UploadOutcome::Refused(unlisted),
        r#""invalid_leaf: extension 0xf999 is not in the capabilities""#,
    )?;
    let key = PublicKeyField::InitKey;
    let short = Refusal::InvalidKey(KeyFault::Length {
        key,
        found: 5,
        expected: 32,
    });
    is_written(
        &UploadOutcome::Refused(short),
        r#""invalid_key: init_key has 5 bytes, and not 32""#,
    )?;
    let later = r#""invalid_leaf: a reason of a later release""#;
    assert_eq!(
        serde_json::from_str::<UploadOutcome>(later)?,
        UploadOutcome::Refused(Refusal::InvalidLeaf(LeafFault::Unspecified))
    );
    assert_eq!(
        serde_json::from_str::<UploadOutcome>(r#""pool_full: 64 of 64""#)?,
        UploadOutcome::PoolFull
    );
    Ok(())
}

#[test]
fn what_a_later_release_says_is_read_as_unknown() -> Result<(), Box<dyn Error>> {
    assert_eq!(
        serde_json::from_str::<UploadOutcome>(r#""of_another_age""#)?,
        UploadOutcome::Unknown
    );
    assert_eq!(serde_json::from_str::<Health>(r#""of_another_age""#)?, Health::Unknown);
    let counts: Counts = serde_json::from_str(r#"{"available":3,"of_another_age":1}"#)?;
    assert_eq!((counts.available, counts.total()), (3, 3));
    Ok(())
}

#[test]
fn cursors_have_one_spelling() -> Result<(), Box<dyn Error>> {
    is_written(&Cursor::after_sequence(7), r#""s7""#)?;
    is_written(&Cursor::after_pool(PoolId::try_from("bob")?), r#""p626f62""#)?;
    for text in [
        "",
        "7",
        "s",
        "s07",
        "s+7",
        "s-1",
        "s18446744073709551616",
        "p",
        "p6",
        "p626F62",
        "q626f62",
    ] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
    Ok(())
}

#[rstest]
#[case::empty(r#""""#)]
#[case::odd(r#""6""#)]
#[case::no_digit(r#""zz""#)]
#[case::number("98")]
#[case::bytes("[98]")]
#[case::nothing("null")]
fn what_is_no_id_is_not_read(#[case] json: &str) {
    assert!(serde_json::from_str::<PoolId>(json).is_err());
    assert!(serde_json::from_str::<KeyPackageRef>(json).is_err());
    assert!(serde_json::from_str::<GroupId>(json).is_err());
    assert!(serde_json::from_str::<Party>(json).is_err());
    assert!(serde_json::from_str::<ReservationToken>(json).is_err());
}

#[test]
fn over_long_ids_are_not_read() {
    let json = |len| format!("{:?}", "00".repeat(len));
    assert!(serde_json::from_str::<PoolId>(&json(256)).is_err());
    assert!(serde_json::from_str::<KeyPackageRef>(&json(65)).is_err());
    assert!(serde_json::from_str::<GroupId>(&json(256)).is_err());
    assert!(serde_json::from_str::<Party>(&json(65)).is_err());
}

#[rstest]
#[case("-1")]
#[case("9007199254740992")]
#[case("1.5")]
#[case(r#""0""#)]
fn what_is_no_timestamp_is_not_read(#[case] json: &str) {
    assert!(serde_json::from_str::<Timestamp>(json).is_err());
}

#[rstest]
#[case("0")]
#[case("-1")]
#[case("2147483648")]
#[case("4294967296")]
fn what_is_no_ttl_is_not_read(#[case] json: &str) {
    assert!(serde_json::from_str::<Ttl>(json).is_err());
}

#[test]
fn a_token_that_is_refused_is_not_repeated() {
    let error = serde_json::from_str::<ReservationToken>(r#""62.01.secret""#).expect_err("it is no token");
    assert!(!error.to_string().contains("secret"), "ERR-4: {error}");
}
