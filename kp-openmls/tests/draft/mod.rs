//! KeyPackages of a real client, changed and signed again with the client's own key.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use kp_core::key_package::{Extensions, UnverifiedKeyPackage};
use openmls::prelude::KeyPackage;
use openmls_basic_credential::SignatureKeyPair;
use openmls_traits::signatures::Signer as _;

use crate::client::{Client, bytes};

/// Holds every field of a KeyPackage but the signatures.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: u16,
    pub(crate) ciphersuite: u16,
    pub(crate) init_key: Vec<u8>,
    pub(crate) encryption_key: Vec<u8>,
    pub(crate) signature_key: Vec<u8>,
    pub(crate) credential: (u16, Vec<u8>),
    /// Versions, ciphersuites, extensions, proposals, credentials.
    pub(crate) capabilities: [Vec<u16>; 5],
    pub(crate) source: u8,
    pub(crate) lifetime: (u64, u64),
    pub(crate) leaf_extensions: Vec<(u16, Vec<u8>)>,
    pub(crate) extensions: Vec<(u16, Vec<u8>)>,
}

/// The places in [`Draft::capabilities`].
pub(crate) const VERSIONS: usize = 0;
pub(crate) const CIPHERSUITES: usize = 1;
pub(crate) const EXTENSIONS: usize = 2;
pub(crate) const PROPOSALS: usize = 3;
pub(crate) const CREDENTIALS: usize = 4;

impl Draft {
    pub(crate) fn of(package: &KeyPackage) -> Self {
        let bytes = bytes(package);
        let read = UnverifiedKeyPackage::read(&bytes).unwrap();
        let (leaf, listed) = (read.leaf_node(), read.leaf_node().capabilities());
        let credential = leaf.credential();
        let list = |extensions: Extensions<'_>| {
            let all = extensions.iter().map(|it| (it.extension_type.0, it.data.to_vec()));
            all.collect()
        };
        let draft = Self {
            version: read.version().0,
            ciphersuite: read.ciphersuite().0,
            init_key: read.init_key().to_vec(),
            encryption_key: leaf.encryption_key().to_vec(),
            signature_key: leaf.signature_key().to_vec(),
            credential: (credential.credential_type().0, credential.content().to_vec()),
            capabilities: [
                listed.versions().iter().map(|it| it.0).collect(),
                listed.ciphersuites().iter().map(|it| it.0).collect(),
                listed.extensions().iter().map(|it| it.0).collect(),
                listed.proposals().iter().map(|it| it.0).collect(),
                listed.credentials().iter().map(|it| it.0).collect(),
            ],
            source: 1,
            lifetime: (leaf.not_before(), leaf.not_after()),
            leaf_extensions: list(leaf.extensions()),
            extensions: list(read.extensions()),
        };
        assert_eq!(draft.leaf_tbs(), leaf.signed().content);
        draft
    }

    pub(crate) fn leaf_tbs(&self) -> Vec<u8> {
        let mut tbs = [opaque(&self.encryption_key), opaque(&self.signature_key)].concat();
        tbs.extend(self.credential.0.to_be_bytes());
        tbs.extend(opaque(&self.credential.1));
        for list in &self.capabilities {
            tbs.extend(opaque(&list.iter().flat_map(|it| it.to_be_bytes()).collect::<Vec<_>>()));
        }
        tbs.push(self.source);
        match self.source {
            1 => tbs.extend([self.lifetime.0.to_be_bytes(), self.lifetime.1.to_be_bytes()].concat()),
            3 => tbs.extend(opaque(b"a parent hash")),
            _ => {}
        }
        tbs.extend(extensions(&self.leaf_extensions));
        tbs
    }

    /// Signs leaf and KeyPackage. The signed parts may be changed before: `change` gets each part and its label.
    pub(crate) fn signed_with(&self, signer: &SignatureKeyPair, mut change: impl FnMut(&str, &mut Vec<u8>)) -> Vec<u8> {
        let mut leaf = self.leaf_tbs();
        change("LeafNodeTBS", &mut leaf);
        let mut tbs = [self.version.to_be_bytes(), self.ciphersuite.to_be_bytes()].concat();
        tbs.extend(opaque(&self.init_key));
        tbs.extend(&leaf);
        tbs.extend(opaque(&sign(signer, "LeafNodeTBS", &leaf)));
        tbs.extend(extensions(&self.extensions));
        change("KeyPackageTBS", &mut tbs);
        let signature = sign(signer, "KeyPackageTBS", &tbs);
        [tbs, opaque(&signature)].concat()
    }

    pub(crate) fn signed(&self, client: &Client) -> Vec<u8> {
        self.signed_with(&client.signer, |_, _| {})
    }
}

/// `SignWithLabel` of RFC 9420 §5.1.2.
fn sign(signer: &SignatureKeyPair, label: &str, content: &[u8]) -> Vec<u8> {
    let label = format!("MLS 1.0 {label}");
    let signed = [opaque(label.as_bytes()), opaque(content)].concat();
    signer.sign(&signed).unwrap()
}

fn extensions(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let written = list
        .iter()
        .flat_map(|(kind, data)| [kind.to_be_bytes().to_vec(), opaque(data)].concat());
    opaque(&written.collect::<Vec<_>>())
}

/// Writes `opaque<V>` with the shortest length.
pub(crate) fn opaque(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap();
    let prefix = match len {
        0..=0x3F => len.to_be_bytes()[3..].to_vec(),
        0x40..=0x3FFF => (len | 0x4000).to_be_bytes()[2..].to_vec(),
        _ => (len | 0x8000_0000).to_be_bytes().to_vec(),
    };
    [prefix, content.to_vec()].concat()
}

/// Writes the smallest certificate of a key: `certificates<V>` without its own length.
pub(crate) fn certificate_of(key: &[u8]) -> Vec<u8> {
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = u8::try_from(content.len()).unwrap();
        let len = if len < 0x80 { vec![len] } else { vec![0x81, len] };
        [vec![tag], len, content.to_vec()].concat()
    }
    let algorithm = der(0x30, &der(0x06, &[0x2B, 0x65, 0x70]));
    let key_info = der(0x30, &[algorithm.clone(), der(0x03, &[&[0], key].concat())].concat());
    let empty = der(0x30, &[]);
    let fields = [
        der(0xA0, &der(0x02, &[2])),
        der(0x02, &[1]),
        algorithm.clone(),
        empty.clone(),
        empty.clone(),
        empty,
        key_info,
    ];
    let certificate = [der(0x30, &fields.concat()), algorithm, der(0x03, &[0, 9, 9])];
    opaque(&der(0x30, &certificate.concat()))
}
