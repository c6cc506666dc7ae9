//! Values out of bounds cannot be made, and the error says what is wrong (TIME-1, TIME-2).

use std::error::Error;
use std::time::Duration;

use kp_core::server::{InvalidToken, ReservationToken, Save};
use kp_core::{
    Ciphersuite, CredentialHash, GroupId, InvalidId, InvalidTimestamp, InvalidTtl, KeyPackage, KeyPackageBytes,
    KeyPackageInfo, KeyPackageRef, Lifetime, Party, PoolId, ReservationId, Timestamp, Ttl,
};
use rstest::rstest;

#[rstest]
#[case::pool("a pool id", 255, |bytes: &[u8]| PoolId::try_from(bytes).map(|id| id.as_bytes().to_vec()))]
#[case::key_package_ref("a KeyPackage ref", 64, |bytes: &[u8]| KeyPackageRef::try_from(bytes).map(|id| id.as_bytes().to_vec()))]
#[case::group("a group id", 255, |bytes: &[u8]| GroupId::try_from(bytes).map(|id| id.as_bytes().to_vec()))]
#[case::party("a party", 64, |bytes: &[u8]| Party::try_from(bytes).map(|id| id.as_bytes().to_vec()))]
fn an_id_has_one_byte_at_least_and_not_too_many(
    #[case] what: &'static str,
    #[case] max: usize,
    #[case] make: fn(&[u8]) -> Result<Vec<u8>, InvalidId>,
) {
    for len in [1, max] {
        assert_eq!(make(&vec![0xFF; len]), Ok(vec![0xFF; len]), "any bytes will do");
    }
    for found in [0, max + 1, 10 << 20] {
        let error = make(&vec![0xFF; found]).expect_err("it is empty, or too long");
        assert_eq!((error.what, error.found, error.max), (what, found, max));
        assert_eq!(
            error.to_string(),
            format!("{what} must be 1 to {max} bytes long, not {found}")
        );
    }
}

#[test]
fn an_id_is_compared_by_its_bytes() -> Result<(), InvalidId> {
    let composed = PoolId::try_from("é")?;
    assert_ne!(composed, PoolId::try_from("e\u{301}")?);
    assert_ne!(PoolId::try_from("bob")?, PoolId::try_from("Bob")?);
    assert_ne!(PoolId::try_from("bob")?, PoolId::try_from("bob\0")?);
    assert_eq!(composed, PoolId::try_from(vec![0xC3, 0xA9])?);
    Ok(())
}

#[rstest]
#[case(1)]
#[case(2_147_483_647)]
fn a_ttl_within_bounds(#[case] seconds: u32) {
    assert_eq!(Ttl::seconds(seconds).map(Ttl::get), Some(seconds));
    assert_eq!(Ttl::try_from(seconds).map(u32::from), Ok(seconds));
    assert_eq!(
        Ttl::try_from(Duration::from_secs(seconds.into())).map(Ttl::get),
        Ok(seconds)
    );
}

#[rstest]
#[case(0)]
#[case(2_147_483_648)]
#[case(u32::MAX)]
fn a_ttl_out_of_bounds(#[case] seconds: u32) {
    assert_eq!(Ttl::seconds(seconds), None);
    assert_eq!(Ttl::try_from(seconds), Err(InvalidTtl(seconds.into())));
    assert_eq!(
        Ttl::try_from(Duration::from_secs(seconds.into())),
        Err(InvalidTtl(seconds.into()))
    );
}

#[test]
fn a_ttl_of_a_duration_is_of_whole_seconds() {
    assert_eq!(Ttl::try_from(Duration::from_millis(1_999)).map(Ttl::get), Ok(1));
    assert_eq!(Ttl::try_from(Duration::from_millis(999)), Err(InvalidTtl(0)));
    assert_eq!(Ttl::try_from(Duration::MAX), Err(InvalidTtl(u64::MAX)));
}

#[rstest]
#[case(0)]
#[case(1)]
#[case((1 << 53) - 1)]
fn a_timestamp_within_bounds(#[case] seconds: i64) {
    assert_eq!(Timestamp::new(seconds).map(Timestamp::get), Some(seconds));
    assert_eq!(Timestamp::try_from(seconds).map(i64::from), Ok(seconds));
}

#[rstest]
#[case(-1)]
#[case(1 << 53)]
#[case(i64::MIN)]
#[case(i64::MAX)]
fn a_timestamp_out_of_bounds(#[case] seconds: i64) {
    assert_eq!(Timestamp::new(seconds), None);
    assert_eq!(Timestamp::try_from(seconds), Err(InvalidTimestamp(seconds)));
}

#[test]
fn sums_of_times_stay_within_bounds() -> Result<(), Box<dyn Error>> {
    let longest = Ttl::try_from(i32::MAX as u32)?;
    assert_eq!(Timestamp::MAX.after(longest), Timestamp::MAX);
    assert_eq!(Timestamp::MAX.minus(1).after(Ttl::try_from(1)?), Timestamp::MAX);
    assert_eq!(Timestamp::MAX.plus(u64::MAX), Timestamp::MAX);
    assert_eq!(Timestamp::MIN.plus(u64::MAX), Timestamp::MAX);
    assert_eq!(Timestamp::MIN.minus(1), Timestamp::MIN);
    assert_eq!(Timestamp::MAX.minus(u64::MAX), Timestamp::MIN);
    assert_eq!(Timestamp::MIN.after(longest).get(), i64::from(i32::MAX));
    Ok(())
}

#[rstest]
#[case(0, 0)]
#[case(1, 0)]
#[case(Timestamp::MAX.get(), 0)]
fn a_lifetime_begins_before_it_ends(#[case] not_before: i64, #[case] not_after: i64) -> Result<(), InvalidTimestamp> {
    let error = Lifetime::new(not_before.try_into()?, not_after.try_into()?).expect_err("it ends before it begins");
    assert_eq!((error.not_before, error.not_after), (not_before, not_after));
    Ok(())
}

#[test]
fn a_lifetime_is_from_its_beginning_up_to_and_without_its_end() -> Result<(), Box<dyn Error>> {
    let at = |seconds: i64| Timestamp::try_from(seconds);
    let lifetime = Lifetime::new(at(10)?, at(20)?)?;
    let judged = |now| (lifetime.is_ahead(now), lifetime.contains(now), lifetime.is_expired(now));
    assert_eq!(judged(at(9)?), (true, false, false));
    assert_eq!(judged(at(10)?), (false, true, false));
    assert_eq!(judged(at(19)?), (false, true, false));
    assert_eq!(judged(at(20)?), (false, false, true));
    let widest = Lifetime::new(Timestamp::MIN, Timestamp::MAX)?;
    assert!(widest.contains(Timestamp::MIN) && widest.is_expired(Timestamp::MAX));
    Ok(())
}

#[test]
fn a_package_has_one_byte_at_least_and_65_535_at_most() {
    for len in [1, 65_535] {
        assert_eq!(
            KeyPackageBytes::try_from(vec![7; len]).map(|bytes| bytes.as_ref().len()),
            Ok(len)
        );
    }
    for found in [0, 65_536, 10 << 20] {
        let error = KeyPackageBytes::try_from(vec![7; found]).expect_err("it is empty, or too long");
        assert_eq!(error.found, found);
    }
    let error = KeyPackageBytes::try_from(Vec::new()).expect_err("it is empty");
    assert_eq!(error.to_string(), "a package must be 1 to 65535 bytes long, not 0");
}

fn packages(count: usize) -> Result<Vec<KeyPackage>, Box<dyn Error>> {
    let package = KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from("ref")?,
            Ciphersuite(1),
            Lifetime::new(Timestamp::MIN, Timestamp::MAX)?,
            CredentialHash([0; 32]),
        ),
        KeyPackageBytes::try_from(b"package".as_slice())?,
    );
    Ok(vec![package; count])
}

#[test]
fn a_save_takes_none_to_1_000_packages() -> Result<(), Box<dyn Error>> {
    let pool = PoolId::try_from("bob/phone")?;
    for count in [0, 1, 1_000] {
        assert_eq!(Save::new(pool.clone(), packages(count)?)?.packages().len(), count);
    }
    for found in [1_001, 10_000] {
        let error = Save::new(pool.clone(), packages(found)?).expect_err("SAVE-2: too many");
        assert_eq!(error.found, found);
        assert_eq!(
            error.to_string(),
            format!("a save takes at most 1000 packages, not {found}")
        );
    }
    Ok(())
}

/// Holds a pool of 3 bytes, a ref of 1 byte and an id of 16 bytes.
const TOKEN: &str = "626f62.01.000102030405060708090a0b0c0d0e0f";

#[test]
fn a_token_is_read_as_it_is_written() -> Result<(), Box<dyn Error>> {
    let token = ReservationToken::parse(TOKEN)?;
    assert_eq!(token.pool, PoolId::try_from("bob")?);
    assert_eq!(token.key_package_ref, KeyPackageRef::try_from([1].as_slice())?);
    assert_eq!(
        token.id(),
        ReservationId::from_bytes(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")
    );
    assert_eq!(token.expose(), TOKEN);
    let longest = ReservationToken::new(
        PoolId::try_from(vec![0xFF; 255])?,
        KeyPackageRef::try_from(vec![0; 64])?,
        ReservationId::from_bytes([0x80; 16]),
    );
    assert_eq!(ReservationToken::parse(&longest.expose())?, longest);
    Ok(())
}

#[rstest]
#[case::nothing("")]
#[case::dots("..")]
#[case::many_dots("....")]
#[case::one_part("626f62")]
#[case::two_parts("626f62.01")]
#[case::no_pool(".01.000102030405060708090a0b0c0d0e0f")]
#[case::no_ref("626f62..000102030405060708090a0b0c0d0e0f")]
#[case::no_id("626f62.01.")]
#[case::a_fourth_part("626f62.01.000102030405060708090a0b0c0d0e0f.00")]
#[case::a_dot_behind("626f62.01.000102030405060708090a0b0c0d0e0f.")]
#[case::a_dot_before(".626f62.01.000102030405060708090a0b0c0d0e0f")]
#[case::a_short_id("626f62.01.000102030405060708090a0b0c0d0e")]
#[case::a_long_id("626f62.01.000102030405060708090a0b0c0d0e0f00")]
#[case::half_a_byte("626f62.01.000102030405060708090a0b0c0d0e0")]
#[case::no_digit("626f6g.01.000102030405060708090a0b0c0d0e0f")]
#[case::a_sign("+1.01.000102030405060708090a0b0c0d0e0f")]
#[case::a_prefix("0x62.01.000102030405060708090a0b0c0d0e0f")]
#[case::spaces(" 626f62.01.000102030405060708090a0b0c0d0e0f ")]
#[case::a_line("626f62.01.000102030405060708090a0b0c0d0e0f\n")]
#[case::nul("626f62\0\0.01.000102030405060708090a0b0c0d0e0f")]
#[case::wide_digits("６２.01.000102030405060708090a0b0c0d0e0f")]
#[case::an_accent("é.01.000102030405060708090a0b0c0d0e0f")]
#[case::an_emoji("😀.01.000102030405060708090a0b0c0d0e0f")]
#[case::slashes("626f62/01/000102030405060708090a0b0c0d0e0f")]
fn other_text_is_no_token(#[case] text: &str) {
    assert_eq!(ReservationToken::parse(text), Err(InvalidToken));
}

#[test]
fn over_long_text_is_no_token() {
    let id = "000102030405060708090a0b0c0d0e0f";
    for text in [
        format!("{}.01.{id}", "62".repeat(256)),
        format!("62.{}.{id}", "01".repeat(65)),
        format!("62.01.{}", "00".repeat(10 << 20)),
        "62.".repeat(1 << 20),
    ] {
        assert_eq!(ReservationToken::parse(&text), Err(InvalidToken));
    }
}
