//! Each demand of RFC 9420 on a KeyPackage, broken alone. `docs/admission.md` lists the demands.

use kp_core::Ciphersuite;
use kp_core::key_package::{CredentialType, ExtensionType, ProtocolVersion};
use kp_core::protocol::{KeyFault, LeafFault, PublicKeyField, Refusal};

use crate::draft::{
    CIPHERSUITES, CREDENTIALS, Draft, EXTENSIONS, PROPOSALS, VERSIONS, certificate_of, compressed, opaque,
};

/// Makes a fault.
pub type Change = fn(&mut Draft);

/// One fault, and the refusal that names it.
pub struct Demand {
    pub name: &'static str,
    /// On which ciphersuites it is tried.
    pub suites: &'static [u16],
    pub change: Change,
    pub refusal: Refusal,
}

const fn broken(name: &'static str, suites: &'static [u16], change: Change, refusal: Refusal) -> Demand {
    Demand {
        name,
        suites,
        change,
        refusal,
    }
}

const fn length(key: PublicKeyField, found: usize, expected: usize) -> Refusal {
    Refusal::InvalidKey(KeyFault::Length { key, found, expected })
}

const EVERY: &[u16] = &[1, 2, 3];
const UNLISTED: ExtensionType = ExtensionType(0xF999);
const INIT: PublicKeyField = PublicKeyField::InitKey;
const ENCRYPTION: PublicKeyField = PublicKeyField::EncryptionKey;
const SIGNATURE: PublicKeyField = PublicKeyField::SignatureKey;

pub const DEMANDS: &[Demand] = &[
    broken("version", EVERY, |it| it.version = 2, Refusal::UnsupportedVersion),
    broken(
        "unknown_ciphersuite",
        EVERY,
        |it| it.ciphersuite = 0xF00D,
        Refusal::UnsupportedCiphersuite,
    ),
    broken(
        "source_update",
        EVERY,
        |it| it.source = 2,
        Refusal::InvalidLeaf(LeafFault::Source(2)),
    ),
    broken(
        "source_commit",
        EVERY,
        |it| it.source = 3,
        Refusal::InvalidLeaf(LeafFault::Source(3)),
    ),
    broken("source_reserved", EVERY, |it| it.source = 0, Refusal::Malformed),
    broken(
        "lifetime_reversed",
        EVERY,
        |it| it.lifetime = (it.lifetime.1, it.lifetime.0),
        Refusal::Malformed,
    ),
    broken(
        "lifetime_over",
        EVERY,
        |it| it.lifetime.1 = it.lifetime.0 + 1,
        Refusal::Expired,
    ),
    broken(
        "lifetime_ahead",
        EVERY,
        |it| it.lifetime.0 += 9_000,
        Refusal::NotYetValid,
    ),
    broken(
        "lifetime_wide",
        EVERY,
        |it| it.lifetime.1 += 1,
        Refusal::LifetimeTooWide,
    ),
    broken(
        "version_not_listed",
        EVERY,
        |it| it.capabilities[VERSIONS] = vec![2],
        Refusal::InvalidLeaf(LeafFault::VersionNotListed(ProtocolVersion(1))),
    ),
    broken(
        "no_version_listed",
        EVERY,
        |it| it.capabilities[VERSIONS] = vec![],
        Refusal::InvalidLeaf(LeafFault::VersionNotListed(ProtocolVersion(1))),
    ),
    broken(
        "credential_not_listed",
        EVERY,
        |it| it.capabilities[CREDENTIALS] = vec![2],
        Refusal::InvalidLeaf(LeafFault::CredentialNotListed(CredentialType(1))),
    ),
    broken(
        "no_credential_listed",
        EVERY,
        |it| it.capabilities[CREDENTIALS] = vec![],
        Refusal::InvalidLeaf(LeafFault::CredentialNotListed(CredentialType(1))),
    ),
    broken(
        "credential_reserved",
        EVERY,
        |it| {
            it.credential.0 = 0;
            it.capabilities[CREDENTIALS] = vec![0, 1];
        },
        Refusal::InvalidLeaf(LeafFault::ReservedCredential(CredentialType(0))),
    ),
    broken(
        "credential_grease",
        EVERY,
        |it| {
            it.credential.0 = 0x0A0A;
            it.capabilities[CREDENTIALS] = vec![0x0A0A, 1];
        },
        Refusal::InvalidLeaf(LeafFault::ReservedCredential(CredentialType(0x0A0A))),
    ),
    broken(
        "no_certificate",
        EVERY,
        |it| {
            it.credential = (2, vec![]);
            it.capabilities[CREDENTIALS] = vec![2];
        },
        Refusal::InvalidLeaf(LeafFault::UnreadableCertificate),
    ),
    broken(
        "garbage_for_a_certificate",
        EVERY,
        |it| {
            it.credential = (2, opaque(b"garbage"));
            it.capabilities[CREDENTIALS] = vec![2];
        },
        Refusal::InvalidLeaf(LeafFault::UnreadableCertificate),
    ),
    broken(
        "certificate_of_another_key",
        EVERY,
        |it| {
            it.credential = (2, certificate_of(&it.encryption_key));
            it.capabilities[CREDENTIALS] = vec![2];
        },
        Refusal::InvalidLeaf(LeafFault::CertificateOfAnotherKey),
    ),
    broken(
        "leaf_extension_not_listed",
        EVERY,
        |it| it.leaf_extensions.push((0xF999, b"abc".to_vec())),
        Refusal::InvalidLeaf(LeafFault::ExtensionNotListed(UNLISTED)),
    ),
    broken(
        "package_extension_not_listed",
        EVERY,
        |it| it.extensions.push((0xF999, b"abc".to_vec())),
        Refusal::InvalidLeaf(LeafFault::ExtensionNotListed(UNLISTED)),
    ),
    broken(
        "last_resort_not_listed",
        EVERY,
        |it| {
            it.extensions.push((10, vec![]));
            it.capabilities[EXTENSIONS].retain(|listed| *listed != 10);
        },
        Refusal::InvalidLeaf(LeafFault::ExtensionNotListed(ExtensionType::LAST_RESORT)),
    ),
    broken(
        "leaf_grease_not_listed",
        EVERY,
        |it| it.leaf_extensions.push((0x0A0A, vec![])),
        Refusal::InvalidLeaf(LeafFault::ExtensionNotListed(ExtensionType(0x0A0A))),
    ),
    broken(
        "leaf_extension_twice",
        EVERY,
        |it| {
            it.leaf_extensions.extend([(0xF123, vec![]), (0xF123, vec![1])]);
            it.capabilities[EXTENSIONS].push(0xF123);
        },
        Refusal::InvalidLeaf(LeafFault::ExtensionTwice(ExtensionType(0xF123))),
    ),
    broken(
        "package_extension_twice",
        EVERY,
        |it| it.extensions.extend([(10, vec![]), (10, vec![])]),
        Refusal::InvalidLeaf(LeafFault::ExtensionTwice(ExtensionType(10))),
    ),
    broken(
        "leaf_ratchet_tree",
        EVERY,
        |it| it.leaf_extensions.push((2, vec![0])),
        Refusal::InvalidLeaf(LeafFault::NotForLeaf(ExtensionType(2))),
    ),
    broken(
        "leaf_required_capabilities",
        EVERY,
        |it| it.leaf_extensions.push((3, vec![0; 3])),
        Refusal::InvalidLeaf(LeafFault::NotForLeaf(ExtensionType(3))),
    ),
    broken(
        "leaf_external_pub",
        EVERY,
        |it| it.leaf_extensions.push((4, vec![0])),
        Refusal::InvalidLeaf(LeafFault::NotForLeaf(ExtensionType(4))),
    ),
    broken(
        "leaf_external_senders",
        EVERY,
        |it| it.leaf_extensions.push((5, vec![0])),
        Refusal::InvalidLeaf(LeafFault::NotForLeaf(ExtensionType(5))),
    ),
    broken(
        "leaf_last_resort",
        EVERY,
        |it| it.leaf_extensions.push((10, vec![])),
        Refusal::InvalidLeaf(LeafFault::NotForLeaf(ExtensionType(10))),
    ),
    broken(
        "package_application_id",
        EVERY,
        |it| it.extensions.push((1, opaque(b"id"))),
        Refusal::InvalidLeaf(LeafFault::NotForKeyPackage(ExtensionType(1))),
    ),
    broken(
        "package_ratchet_tree",
        EVERY,
        |it| it.extensions.push((2, vec![0])),
        Refusal::InvalidLeaf(LeafFault::NotForKeyPackage(ExtensionType(2))),
    ),
    broken(
        "package_required_capabilities",
        EVERY,
        |it| it.extensions.push((3, vec![0; 3])),
        Refusal::InvalidLeaf(LeafFault::NotForKeyPackage(ExtensionType(3))),
    ),
    broken(
        "package_external_pub",
        EVERY,
        |it| it.extensions.push((4, vec![0])),
        Refusal::InvalidLeaf(LeafFault::NotForKeyPackage(ExtensionType(4))),
    ),
    broken(
        "package_external_senders",
        EVERY,
        |it| it.extensions.push((5, vec![0])),
        Refusal::InvalidLeaf(LeafFault::NotForKeyPackage(ExtensionType(5))),
    ),
    broken(
        "application_id_of_no_form",
        EVERY,
        |it| it.leaf_extensions.push((1, vec![9])),
        Refusal::InvalidLeaf(LeafFault::ExtensionContent(ExtensionType(1))),
    ),
    broken(
        "last_resort_with_content",
        EVERY,
        |it| it.extensions.push((10, vec![0])),
        Refusal::InvalidLeaf(LeafFault::ExtensionContent(ExtensionType(10))),
    ),
    broken(
        "same_keys",
        EVERY,
        |it| it.init_key = it.encryption_key.clone(),
        Refusal::InvalidKey(KeyFault::SameKeys),
    ),
    broken(
        "ciphersuite_not_listed",
        &[1],
        |it| it.capabilities[CIPHERSUITES] = vec![2, 3],
        Refusal::InvalidLeaf(LeafFault::CiphersuiteNotListed(Ciphersuite(1))),
    ),
    broken(
        "no_ciphersuite_listed",
        &[2],
        |it| it.capabilities[CIPHERSUITES] = vec![],
        Refusal::InvalidLeaf(LeafFault::CiphersuiteNotListed(Ciphersuite(2))),
    ),
    broken("init_key_empty", &[1], |it| it.init_key = vec![], length(INIT, 0, 32)),
    broken(
        "init_key_short",
        &[1],
        |it| {
            it.init_key.pop();
        },
        length(INIT, 31, 32),
    ),
    broken("init_key_long", &[1], |it| it.init_key.push(0), length(INIT, 33, 32)),
    broken(
        "init_key_of_low_order",
        &[1],
        |it| it.init_key = vec![0; 32],
        Refusal::InvalidKey(KeyFault::Unusable(INIT)),
    ),
    broken(
        "init_key_of_order_2",
        &[3],
        |it| it.init_key = [vec![1], vec![0; 31]].concat(),
        Refusal::InvalidKey(KeyFault::Unusable(INIT)),
    ),
    broken(
        "init_key_of_another_kem",
        &[2],
        |it| it.init_key = vec![9; 32],
        length(INIT, 32, 65),
    ),
    broken(
        "init_key_off_the_curve",
        &[2],
        |it| it.init_key[64] ^= 1,
        Refusal::InvalidKey(KeyFault::Unusable(INIT)),
    ),
    broken(
        "init_key_compressed",
        &[2],
        |it| it.init_key = compressed(&it.init_key),
        length(INIT, 33, 65),
    ),
    broken(
        "init_key_hybrid",
        &[2],
        |it| it.init_key[0] = 6 | it.init_key[64] & 1,
        Refusal::InvalidKey(KeyFault::Unusable(INIT)),
    ),
    broken(
        "encryption_key_of_one_byte",
        &[1],
        |it| it.encryption_key = vec![9],
        length(ENCRYPTION, 1, 32),
    ),
    broken(
        "encryption_key_of_low_order",
        &[1],
        |it| it.encryption_key = vec![0; 32],
        Refusal::InvalidKey(KeyFault::Unusable(ENCRYPTION)),
    ),
    broken(
        "encryption_key_off_the_curve",
        &[2],
        |it| it.encryption_key[64] ^= 1,
        Refusal::InvalidKey(KeyFault::Unusable(ENCRYPTION)),
    ),
    broken(
        "encryption_key_compressed",
        &[2],
        |it| it.encryption_key = compressed(&it.encryption_key),
        length(ENCRYPTION, 33, 65),
    ),
    broken(
        "signature_key_long",
        &[1],
        |it| it.signature_key.push(0),
        length(SIGNATURE, 33, 32),
    ),
    broken(
        "signature_key_compressed",
        &[2],
        |it| it.signature_key = compressed(&it.signature_key),
        length(SIGNATURE, 33, 65),
    ),
    broken(
        "signature_key_off_the_curve",
        &[2],
        |it| it.signature_key[64] ^= 1,
        Refusal::BadSignature,
    ),
    broken(
        "signature_key_of_small_order",
        &[1],
        |it| it.signature_key = vec![0; 32],
        Refusal::BadSignature,
    ),
];

/// What a client must not do, or need not, and no validation of RFC 9420 refuses.
pub const NOT_REFUSED: &[(&str, Change)] = &[
    ("as_it_was", |_| {}),
    ("last_resort", |it| it.extensions.push((10, vec![]))),
    ("default_types_listed", |it| {
        it.capabilities[EXTENSIONS].extend(1..=5);
        it.capabilities[PROPOSALS].extend(1..=7);
    }),
    ("grease_in_the_capabilities", |it| {
        it.capabilities[1..].iter_mut().for_each(|list| list.insert(0, 0x0A0A))
    }),
    ("unknown_in_the_capabilities", |it| {
        it.capabilities.iter_mut().for_each(|list| list.push(0xF777))
    }),
    ("twice_in_the_capabilities", |it| {
        it.capabilities.iter_mut().for_each(|list| list.extend(list.clone()))
    }),
    ("unknown_extensions", |it| {
        it.leaf_extensions
            .extend([(0xF123, vec![7; 90]), (0, vec![]), (0xFAFA, vec![1])]);
        it.extensions = it.leaf_extensions.clone();
        it.capabilities[EXTENSIONS].extend([0xF123, 0, 0xFAFA]);
    }),
    ("application_id", |it| it.leaf_extensions.push((1, opaque(b"an id")))),
    ("an_empty_identity", |it| it.credential.1 = vec![]),
    ("x509", |it| {
        it.credential = (2, certificate_of(&it.signature_key));
        it.capabilities[CREDENTIALS] = vec![1, 2];
    }),
    ("a_credential_of_ones_own", |it| {
        it.credential = (0xF123, b"did:plc:bob#phone".to_vec());
        it.capabilities[CREDENTIALS] = vec![0xF123];
    }),
];
