use std::thread::available_parallelism;
use std::time::Instant;

use kp_core::key_package::UnverifiedKeyPackage;
use kp_core::server::{Admission as _, KeyPackageStore as _, Uploader};
use kp_memory::MemoryStore;
use kp_openmls::OpenMlsAdmission;
use kp_server::{KeyPackageDirectory, Upload};
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{BasicCredential, CredentialWithKey, KeyPackage};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::{OpenMlsRustCrypto, RustCrypto};
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::Ciphersuite;
use tokio::runtime::Builder;

use crate::measure::Fallible;
use crate::measure::inputs::{now_by_the_clock, pool_id};
use crate::measure::ratio::median;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
const PACKAGES: usize = 100;
const ROUNDS: usize = 15;
const OWNER: &str = "bob";

/// An upload, against what has to be computed for it: all that the admission does, and of that the signatures alone.
pub(crate) fn measure() -> Fallible<()> {
    let packages = key_packages()?;
    let cores = available_parallelism()?.get();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let store = MemoryStore::new();
    let directory = KeyPackageDirectory::new(store.clone(), OpenMlsAdmission::new());
    let (admission, crypto) = (OpenMlsAdmission::new(), RustCrypto::default());
    let (pool, by) = (pool_id(0)?, Uploader::identity(OWNER));
    let (mut uploads, mut admissions, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let upload = Upload::new(pool.clone(), by.clone(), packages.clone());
        let took = seconds(|| {
            let outcomes = runtime.block_on(directory.upload(upload))?;
            let held = outcomes.iter().filter(|outcome| outcome.is_held()).count();
            (held == PACKAGES)
                .then_some(())
                .ok_or_else(|| format!("{held} of {PACKAGES} are held").into())
        });
        uploads.push(took?);
        runtime.block_on(store.delete_pool(&pool))?;

        let now = now_by_the_clock()?;
        admissions.push(seconds(|| {
            for package in &packages {
                admission
                    .admit(package, &by, now)
                    .map_err(|refusal| format!("{refusal:?}"))?;
            }
            Ok(())
        })?);
        signatures.push(seconds(|| {
            packages.iter().try_for_each(|package| verify(&crypto, package))
        })?);
    }
    let share = |work: &[f64]| median(uploads.iter().zip(work).map(|(took, work)| work / cores as f64 / took));
    let milliseconds = |times: &[f64]| 1e3 * median(times.iter().copied());
    println!(
        "an upload of {PACKAGES} KeyPackages: {:.2} ms. On one core: their admission {:.2} ms, their signatures alone {:.2} ms. \
         Of {cores} cores it uses {:.2} for the admission, {:.2} for the signatures alone (1: all that there are)",
        milliseconds(&uploads),
        milliseconds(&admissions),
        milliseconds(&signatures),
        share(&admissions),
        share(&signatures),
    );
    Ok(())
}

fn key_packages() -> Fallible<Vec<Vec<u8>>> {
    let provider = OpenMlsRustCrypto::default();
    let signer = SignatureKeyPair::new(SUITE.signature_algorithm())?;
    let credential = CredentialWithKey {
        credential: BasicCredential::new(OWNER.into()).into(),
        signature_key: signer.to_public_vec().into(),
    };
    let packages = (0..PACKAGES).map(|_| {
        let bundle = KeyPackage::builder().build(SUITE, &provider, &signer, credential.clone())?;
        Ok(bundle.key_package().tls_serialize_detached()?)
    });
    packages.collect()
}

/// The signature of the KeyPackage, and of the leaf in it.
fn verify(crypto: &RustCrypto, package: &[u8]) -> Fallible<()> {
    let read = UnverifiedKeyPackage::read(package)?;
    let leaf = read.leaf_node();
    for signed in [leaf.signed(), read.signed()] {
        let content = signed.sign_content();
        crypto
            .verify_signature(
                SUITE.signature_algorithm(),
                &content,
                leaf.signature_key(),
                signed.signature,
            )
            .map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn seconds(work: impl FnOnce() -> Fallible<()>) -> Fallible<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}
