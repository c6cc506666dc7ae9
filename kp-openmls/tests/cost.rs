//! What the checks of one KeyPackage cost, a ciphersuite a line (ADM-3). Run it alone, in release:
//! `cargo test -p kp-openmls --release --test cost -- --ignored --nocapture`

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod client;

use std::hint::black_box;
use std::time::{Duration, Instant};

use client::{Client, builder, bytes};
use kp_core::key_package::UnverifiedKeyPackage;
use kp_core::server::{Admission as _, Uploader};
use kp_core::{Ciphersuite, Timestamp};
use kp_openmls::OpenMlsAdmission;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto as _;

/// The median of many runs.
#[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..1_001)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
#[ignore = "a measurement, not a test"]
fn what_a_key_package_costs() {
    println!(
        "| ciphersuite | read and checked | two signatures | two encapsulations | admitted |\n|---|---|---|---|---|"
    );
    for suite in [1, 2, 3] {
        let bob = Client::new("bob", Ciphersuite(suite));
        let package = bob.build(builder());
        let not_before = i64::try_from(package.life_time().not_before()).unwrap();
        let now = Timestamp::try_from(not_before).unwrap().plus(3_600);
        let uploaded = bytes(&package);
        let (crypto, admission, by) = (
            RustCrypto::default(),
            OpenMlsAdmission::new(),
            Uploader::identity("bob"),
        );
        let read = UnverifiedKeyPackage::read(&uploaded).unwrap();
        let leaf = read.leaf_node();

        let reading = median(|| {
            let read = UnverifiedKeyPackage::read(black_box(&uploaded)).unwrap();
            black_box(read.check()).unwrap();
        });
        let signatures = median(|| {
            for signed in [leaf.signed(), read.signed()] {
                let (scheme, content) = (bob.suite.signature_algorithm(), signed.sign_content());
                let verified = crypto.verify_signature(scheme, &content, leaf.signature_key(), signed.signature);
                verified.unwrap();
            }
        });
        let encapsulations = median(|| {
            for key in [read.init_key(), leaf.encryption_key()] {
                let sealed = crypto.hpke_seal(bob.suite.hpke_config(), key, b"trial", b"", b"trial");
                black_box(sealed).unwrap();
            }
        });
        let all = median(|| drop(black_box(admission.admit(&uploaded, &by, now)).unwrap()));
        let [signatures, encapsulations, all] = [signatures, encapsulations, all].map(|it| it.as_micros());
        println!("| {suite} | {reading:.1?} | {signatures} µs | {encapsulations} µs | {all} µs |");
    }
}
