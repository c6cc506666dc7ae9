//! The example of `docs/writing-an-admission.md`: an admission of one's own.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod client;

use client::{Person, now};
use kp_core::Timestamp;
use kp_core::protocol::{KeyFault, Refusal};
use kp_core::server::Uploader;
use kp_mls_rs::MlsRsAdmission;
use kp_test_support::draft::Draft;

mod own {
    // The example begins here.
    use kp_core::key_package::{KeyAlgorithms, UnverifiedKeyPackage};
    use kp_core::protocol::{KeyFault, PublicKeyField, Refusal};
    use kp_core::server::{Admission, AdmissionPolicy, Admitted, InitKeyFingerprint, Uploader};
    use kp_core::{CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Timestamp};
    use mls_rs::{CipherSuiteProvider, CryptoProvider};
    use sha2::{Digest, Sha256};

    pub(crate) struct OwnAdmission<C> {
        pub(crate) crypto: C,
        pub(crate) policy: AdmissionPolicy,
    }

    impl<C: CryptoProvider + 'static> Admission for OwnAdmission<C> {
        fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
            // 1. Size, form, ciphersuite: the server's and the library's.
            let read = self.policy.read(uploaded)?;
            let suite = read.ciphersuite();
            let library = self.crypto.cipher_suite_provider(suite.0.into());
            let library = library.ok_or(Refusal::UnsupportedCiphersuite)?;
            // 2. Lifetime, uploader, the demands of RFC 9420 on the fields, the server's requirements.
            let lifetime = self.policy.check(&read, by, now)?;
            // 3. The public keys have the lengths of their algorithms.
            let algorithms = KeyAlgorithms::of(suite).ok_or(Refusal::UnsupportedCiphersuite)?;
            read.check_key_lengths(algorithms)?;
            // 4. Both signatures are by the leaf's signature key.
            let leaf = read.leaf_node();
            for signed in [leaf.signed(), read.signed()] {
                let key = leaf.signature_key().to_vec().into();
                let verified = library.verify(&key, signed.signature, &signed.sign_content());
                verified.map_err(|_| Refusal::BadSignature)?;
            }
            // 5. Something can be sealed to both HPKE keys.
            for (field, key) in [
                (PublicKeyField::InitKey, read.init_key()),
                (PublicKeyField::EncryptionKey, leaf.encryption_key()),
            ] {
                let sealed = library.hpke_seal(&key.to_vec().into(), b"", None, b"trial");
                sealed.map_err(|_| Refusal::InvalidKey(KeyFault::Unusable(field)))?;
            }
            // 6. The ref, by the hash of the ciphersuite; the credential, by SHA-256.
            let hashed = library.hash(&read.ref_hash_input());
            let hashed = hashed.map_err(|_| Refusal::Other("the library cannot hash"))?;
            let credential = CredentialHash(Sha256::digest(leaf.signing_identity()).into());
            admitted(&read, &hashed, lifetime, credential)
        }
    }

    fn admitted(
        read: &UnverifiedKeyPackage<'_>,
        hashed: &[u8],
        lifetime: kp_core::Lifetime,
        credential: CredentialHash,
    ) -> Result<Admitted, Refusal> {
        let name = KeyPackageRef::try_from(hashed).map_err(|_| Refusal::Malformed)?;
        let info = KeyPackageInfo::new(name, read.ciphersuite(), lifetime, credential).role(read.role());
        let bytes = KeyPackageBytes::try_from(read.bytes()).map_err(|_| Refusal::TooLarge)?;
        // What a store keeps beside the KeyPackage: for init keys that come twice, and for claims with requirements.
        let init_key = Sha256::digest(read.init_key()).into();
        Ok(Admitted::new(KeyPackage::new(info, bytes))
            .fingerprint(InitKeyFingerprint::of_sha256(init_key))
            .support(read.leaf_node().capabilities().support()))
    }
    // The example ends here.
}

use kp_core::server::{Admission as _, AdmissionPolicy, Admitted};

fn own(uploaded: &[u8], now: Timestamp) -> Result<Admitted, Refusal> {
    let admission = own::OwnAdmission {
        crypto: mls_rs_crypto_rustcrypto::RustCryptoProvider::new(),
        policy: AdmissionPolicy::new()
            .max_lifetime(MlsRsAdmission::<mls_rs_crypto_rustcrypto::RustCryptoProvider>::DEFAULT_MAX_LIFETIME),
    };
    admission.admit(uploaded, &Uploader::identity("bob"), now)
}

#[test]
fn it_says_what_the_admission_of_the_crate_says() {
    for suite in client::SUITES {
        let bob = Person::new("bob", suite);
        let uploaded = bob.message();
        let theirs = MlsRsAdmission::new().admit(&uploaded, &Uploader::identity("bob"), now());
        assert!(theirs.is_ok());
        assert_eq!(own(&uploaded, now()), theirs);

        let mut draft = Draft::of(&bob.package());
        let eve = Person::new("eve", suite);
        assert_eq!(own(&draft.signed(|it| eve.sign(it)), now()), Err(Refusal::BadSignature));
        draft.init_key.pop();
        let answer = own(&draft.signed(|it| bob.sign(it)), now());
        assert!(matches!(answer, Err(Refusal::InvalidKey(KeyFault::Length { .. }))));
    }
}

#[test]
fn the_page_shows_this_code() {
    let (_, rest) = include_str!("own_admission.rs")
        .split_once("    // The example begins here.\n")
        .unwrap();
    let (code, _) = rest.split_once("    // The example ends here.\n").unwrap();
    let shown: Vec<_> = code
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/writing-an-admission.md")).unwrap();
    assert!(
        page.contains(&shown.join("\n")),
        "docs/writing-an-admission.md shows other code"
    );
}
