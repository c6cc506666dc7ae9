//! Hostile bytes are refused, and never panic: ADM-3 (and ADM-2 for malformed and forged ones).

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod client;

use client::{Client, LONG_AGO, builder, bytes, wrapped};
use kp_core::protocol::Refusal;
use kp_core::server::{Admission, Admitted, Uploader};
use kp_core::{Ciphersuite, Timestamp};
use kp_openmls::OpenMlsAdmission;
use openmls::prelude::KeyPackage;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

fn admit(uploaded: &[u8], now: Timestamp) -> Result<Admitted, Refusal> {
    OpenMlsAdmission::new().admit(uploaded, &Uploader::unchecked(), now)
}

/// Packages of two ciphersuites: one of 2023, whose lifetime is over by the system's clock, and one made now.
fn packages() -> Vec<(KeyPackage, Timestamp)> {
    let mut packages = Vec::new();
    for suite in [0x0001, 0x0002] {
        let bob = Client::new("bob", Ciphersuite(suite));
        packages.push((bob.package(), LONG_AGO));
        let made_now = bob.build(builder());
        let not_before = i64::try_from(made_now.life_time().not_before()).unwrap();
        packages.push((made_now, Timestamp::try_from(not_before).unwrap().plus(3_600)));
    }
    for (package, now) in &packages {
        assert!(admit(&bytes(package), *now).is_ok());
    }
    packages
}

/// ADM-3: cut off at every length, bare and wrapped.
#[test]
fn a_truncated_package_is_malformed() {
    for (package, now) in packages() {
        for whole in [bytes(&package), wrapped(&package)] {
            for len in 0..whole.len() {
                assert_eq!(admit(&whole[..len], now), Err(Refusal::Malformed), "cut at {len}");
            }
        }
    }
}

/// ADM-2: bytes that follow the package.
#[test]
fn trailing_bytes_are_malformed() {
    for (package, now) in packages() {
        for mut whole in [bytes(&package), wrapped(&package)] {
            for trailing in [0, 1, 0xFF] {
                whole.push(trailing);
                assert_eq!(admit(&whole, now), Err(Refusal::Malformed));
            }
        }
        let twice = [bytes(&package), bytes(&package)].concat();
        assert_eq!(admit(&twice, now), Err(Refusal::Malformed));
    }
}

/// ADM-2, ADM-3: no bit can change: not one that is signed, nor one of the signatures, nor one of the wrapping. Also
/// where OpenMLS's verdict on the lifetime is overruled: that never overrules a signature.
#[test]
fn a_flipped_bit_is_refused() {
    for (package, now) in packages() {
        for whole in [bytes(&package), wrapped(&package)] {
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(admit(&flipped, now).is_err(), "accepted with bit {bit} flipped");
            }
        }
    }
}

/// ADM-2: a signature of another package of the same client.
#[test]
fn a_borrowed_signature_is_refused() {
    let bob = Client::new("bob", Ciphersuite(0x0001));
    let (mut forged, other) = (bytes(&bob.package()), bytes(&bob.package()));
    let signature = forged.len() - 64..forged.len();
    forged[signature.clone()].copy_from_slice(&other[signature]);
    assert_eq!(admit(&forged, LONG_AGO), Err(Refusal::BadSignature));
}

/// ADM-3: a length of a gigabyte, of what is left and one more, and of every other shape, at every place.
#[test]
fn a_length_bomb_is_refused() {
    let bombs: [&[u8]; 8] = [
        &[0xBF, 0xFF, 0xFF, 0xFF],
        &[0x80, 0x01, 0x00, 0x00],
        &[0x7F, 0xFF],
        &[0x40, 0x00],
        &[0x80, 0x00, 0x00, 0x00],
        &[0xFF],
        &[0x00],
        &[0x3F],
    ];
    for (package, now) in packages() {
        let whole = bytes(&package);
        for at in 0..whole.len() {
            for bomb in bombs {
                let inserted = [&whole[..at], bomb, &whole[at..]].concat();
                assert!(admit(&inserted, now).is_err(), "{bomb:02x?} before {at}");
                let end = whole.len().min(at + bomb.len());
                let replaced = [&whole[..at], bomb, &whole[end..]].concat();
                assert!(
                    replaced == whole || admit(&replaced, now).is_err(),
                    "{bomb:02x?} at {at}"
                );
            }
        }
    }
}

/// ADM-3: the same package with a length encoded in more bytes than it needs would have another ref.
#[test]
fn a_length_in_too_many_bytes_is_malformed() {
    for (package, now) in packages() {
        let whole = bytes(&package);
        let (head, init_key_len) = (&whole[..4], whole[4]);
        for long in [&[0x40, init_key_len][..], &[0x80, 0, 0, init_key_len]] {
            let longer = [head, long, &whole[5..]].concat();
            assert_eq!(admit(&longer, now), Err(Refusal::Malformed));
        }
    }
}

/// ADM-3: noise, and noise that begins like a package.
#[test]
fn random_bytes_are_refused() {
    let seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = StdRng::seed_from_u64(seed);
    let (package, now) = packages().swap_remove(0);
    let whole = bytes(&package);
    for round in 0..20_000 {
        let (kept, len) = (random.random_range(0..whole.len()), random.random_range(0..600));
        let mut noise = whole[..if round % 2 == 0 { kept } else { 0 }].to_vec();
        noise.extend((0..len).map(|_| random.random::<u8>()));
        assert!(admit(&noise, now).is_err(), "seed {seed:#x}, round {round}");
    }
}

/// ADM-2, ADM-3: of every size that is none.
#[test]
fn nothing_and_too_much_is_refused() {
    assert_eq!(admit(&[], LONG_AGO), Err(Refusal::Malformed));
    for byte in 0..=u8::MAX {
        assert_eq!(admit(&[byte], LONG_AGO), Err(Refusal::Malformed));
    }
    assert_eq!(admit(&vec![0; 10 << 20], LONG_AGO), Err(Refusal::TooLarge));
    let (package, now) = packages().swap_remove(0);
    let padded = [bytes(&package), vec![0; 10 << 20]].concat();
    assert_eq!(admit(&padded, now), Err(Refusal::TooLarge));
}
