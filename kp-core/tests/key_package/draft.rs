//! Writes KeyPackages by hand, right or wrong.

/// Holds every field of a KeyPackage that a test may want otherwise.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: u16,
    pub(crate) ciphersuite: u16,
    pub(crate) init_key: Vec<u8>,
    pub(crate) encryption_key: Vec<u8>,
    pub(crate) signature_key: Vec<u8>,
    pub(crate) credential: (u16, Vec<u8>),
    pub(crate) versions: Vec<u16>,
    pub(crate) ciphersuites: Vec<u16>,
    pub(crate) supported_extensions: Vec<u16>,
    pub(crate) proposals: Vec<u16>,
    pub(crate) credentials: Vec<u16>,
    pub(crate) source: u8,
    pub(crate) lifetime: (u64, u64),
    pub(crate) leaf_extensions: Vec<(u16, Vec<u8>)>,
    pub(crate) leaf_signature: Vec<u8>,
    pub(crate) extensions: Vec<(u16, Vec<u8>)>,
    pub(crate) signature: Vec<u8>,
}

impl Draft {
    /// Drafts a last resort with an extension of its own, GREASE and default types in the capabilities.
    pub(crate) fn new() -> Self {
        Self {
            version: 1,
            ciphersuite: 2,
            init_key: vec![1; 65],
            encryption_key: vec![2; 65],
            signature_key: vec![3; 65],
            credential: (1, b"bob".to_vec()),
            versions: vec![1],
            ciphersuites: vec![1, 2, 0x0A0A],
            supported_extensions: vec![1, 0x0A0A, 0x000A, 0xF123],
            proposals: vec![0x1A1A, 7],
            credentials: vec![0x2A2A, 1, 2],
            source: 1,
            lifetime: (5, 9),
            leaf_extensions: vec![(1, opaque(b"an id")), (0xF123, vec![4; 70])],
            leaf_signature: vec![5; 71],
            extensions: vec![(0x000A, vec![]), (0x0A0A, vec![6; 3])],
            signature: vec![7; 70],
        }
    }

    pub(crate) fn leaf_tbs(&self) -> Vec<u8> {
        let mut bytes = [opaque(&self.encryption_key), opaque(&self.signature_key)].concat();
        bytes.extend(self.credential.0.to_be_bytes());
        bytes.extend(opaque(&self.credential.1));
        for list in [
            &self.versions,
            &self.ciphersuites,
            &self.supported_extensions,
            &self.proposals,
            &self.credentials,
        ] {
            bytes.extend(opaque(
                &list.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>(),
            ));
        }
        bytes.push(self.source);
        if self.source == 1 {
            bytes.extend(self.lifetime.0.to_be_bytes());
            bytes.extend(self.lifetime.1.to_be_bytes());
        }
        bytes.extend(extensions(&self.leaf_extensions));
        bytes
    }

    pub(crate) fn tbs(&self) -> Vec<u8> {
        let mut bytes = [self.version.to_be_bytes(), self.ciphersuite.to_be_bytes()].concat();
        bytes.extend(opaque(&self.init_key));
        bytes.extend(self.leaf_tbs());
        bytes.extend(opaque(&self.leaf_signature));
        bytes.extend(extensions(&self.extensions));
        bytes
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.tbs(), opaque(&self.signature)].concat()
    }
}

fn extensions(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let written = list
        .iter()
        .flat_map(|(kind, data)| [kind.to_be_bytes().to_vec(), opaque(data)].concat());
    opaque(&written.collect::<Vec<_>>())
}

/// Writes `opaque<V>` with the shortest length.
pub(crate) fn opaque(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).expect("a short content");
    let prefix = match len {
        0..=0x3F => len.to_be_bytes()[3..].to_vec(),
        0x40..=0x3FFF => (len | 0x4000).to_be_bytes()[2..].to_vec(),
        _ => (len | 0x8000_0000).to_be_bytes().to_vec(),
    };
    [prefix, content.to_vec()].concat()
}
