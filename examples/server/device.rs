//! What a device of the server's users does: makes KeyPackages, and prints them as the body of an upload. Real devices
//! keep the private keys, in OpenMLS's storage; these are thrown away.
//!
//! `cargo run --quiet --example device USER COUNT`

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{BasicCredential, Ciphersuite, CredentialWithKey, KeyPackage};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

/// Prints KeyPackages of a new device.
#[derive(Parser)]
struct Args {
    /// Whose device.
    user: String,
    /// How many.
    count: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Args { user, count } = Args::parse();
    let provider = OpenMlsRustCrypto::default();
    let signer = SignatureKeyPair::new(SUITE.signature_algorithm())?;
    let credential = CredentialWithKey {
        credential: BasicCredential::new(user.into()).into(),
        signature_key: signer.to_public_vec().into(),
    };
    let mut key_packages = Vec::with_capacity(count);
    for _ in 0..count {
        let made = KeyPackage::builder().build(SUITE, &provider, &signer, credential.clone())?;
        key_packages.push(STANDARD.encode(made.key_package().tls_serialize_detached()?));
    }
    println!("{}", serde_json::json!({ "key_packages": key_packages }));
    Ok(())
}
