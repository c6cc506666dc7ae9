//! KeyPackages of a real client, changed and signed again with the client's own key.

use kp_core::key_package::{ExtensionType, Extensions, UnverifiedKeyPackage};

/// Holds every field of a KeyPackage but the signatures.
#[derive(Clone)]
pub struct Draft {
    pub version: u16,
    pub ciphersuite: u16,
    pub init_key: Vec<u8>,
    pub encryption_key: Vec<u8>,
    pub signature_key: Vec<u8>,
    pub credential: (u16, Vec<u8>),
    /// Versions, ciphersuites, extensions, proposals, credentials.
    pub capabilities: [Vec<u16>; 5],
    pub source: u8,
    pub lifetime: (u64, u64),
    pub leaf_extensions: Vec<(u16, Vec<u8>)>,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

/// The places in [`Draft::capabilities`].
pub const VERSIONS: usize = 0;
pub const CIPHERSUITES: usize = 1;
pub const EXTENSIONS: usize = 2;
pub const PROPOSALS: usize = 3;
pub const CREDENTIALS: usize = 4;

impl Draft {
    /// The fields of a bare KeyPackage.
    pub fn of(bytes: &[u8]) -> Self {
        let read = UnverifiedKeyPackage::read(bytes).unwrap();
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

    pub fn leaf_tbs(&self) -> Vec<u8> {
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
    pub fn signed_with(&self, sign: impl Fn(&[u8]) -> Vec<u8>, mut change: impl FnMut(&str, &mut Vec<u8>)) -> Vec<u8> {
        // `SignWithLabel` of RFC 9420 §5.1.2.
        let sign = |label: &str, content: &[u8]| {
            let label = format!("MLS 1.0 {label}");
            sign(&[opaque(label.as_bytes()), opaque(content)].concat())
        };
        let mut leaf = self.leaf_tbs();
        change("LeafNodeTBS", &mut leaf);
        let mut tbs = [self.version.to_be_bytes(), self.ciphersuite.to_be_bytes()].concat();
        tbs.extend(opaque(&self.init_key));
        tbs.extend(&leaf);
        tbs.extend(opaque(&sign("LeafNodeTBS", &leaf)));
        tbs.extend(extensions(&self.extensions));
        change("KeyPackageTBS", &mut tbs);
        let signature = sign("KeyPackageTBS", &tbs);
        [tbs, opaque(&signature)].concat()
    }

    /// Takes out what a library put there at random (RFC 9420 §13.5).
    pub fn without_grease(mut self) -> Self {
        let is_kept = |number: u16| !ExtensionType(number).is_grease();
        for list in &mut self.capabilities {
            list.retain(|number| is_kept(*number));
        }
        for list in [&mut self.leaf_extensions, &mut self.extensions] {
            list.retain(|(number, _)| is_kept(*number));
        }
        self
    }

    /// Signs leaf and KeyPackage as they are.
    pub fn signed(&self, sign: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        self.signed_with(sign, |_, _| {})
    }
}

fn extensions(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let written = list
        .iter()
        .flat_map(|(kind, data)| [kind.to_be_bytes().to_vec(), opaque(data)].concat());
    opaque(&written.collect::<Vec<_>>())
}

/// Writes `opaque<V>` with the shortest length.
pub fn opaque(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap();
    let prefix = match len {
        0..=0x3F => len.to_be_bytes()[3..].to_vec(),
        0x40..=0x3FFF => (len | 0x4000).to_be_bytes()[2..].to_vec(),
        _ => (len | 0x8000_0000).to_be_bytes().to_vec(),
    };
    [prefix, content.to_vec()].concat()
}

/// The other form of a NIST point, which crypto providers read, and MLS does not have.
pub fn compressed(point: &[u8]) -> Vec<u8> {
    [&[2 | point[64] & 1], &point[1..33]].concat()
}

/// Writes the smallest certificate of a key: `certificates<V>` without its own length.
pub fn certificate_of(key: &[u8]) -> Vec<u8> {
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
