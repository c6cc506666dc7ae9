//! Real OpenMLS clients around one directory in memory: Bob, who has a pool, and Alice, who adds him to groups.

pub mod faults;

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use kp_client::{CiphersuitePlan, KeyPackagePool, PoolBuilder};
use kp_core::client::{Lifecycle, PoolMetadataStore as _};
use kp_core::protocol::KeyPackageTransport;
use kp_core::server::{KeyPackageStore as _, Uploader};
use kp_core::{Ciphersuite, KeyPackage, KeyPackageRef, PoolId, Status, Timestamp};
use kp_core::{Clock as _, ManualClock};
use kp_memory::{MemoryMetadata, MemoryStore};
use kp_openmls::{Identity, OpenMlsAdmission, OpenMlsVault};
use kp_server::{KeyPackageDirectory, Take};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, CredentialWithKey, GroupId, KeyPackageIn, KeyPackageRef as OpenMlsRef, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, ProtocolVersion,
    StagedWelcome, Welcome, WelcomeError,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::{MemoryStorageError, OpenMlsRustCrypto};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::types::{self, SignatureScheme};

pub const SUITE: Ciphersuite = Ciphersuite(0x0001);
pub const DAY: u64 = 86_400;

pub type Vault = OpenMlsVault<Arc<OpenMlsRustCrypto>>;

/// A directory, and a clock that all of them share. It stands at the present, since OpenMLS judges lifetimes by the
/// system's clock when it joins.
pub struct World {
    pub clock: ManualClock,
    pub store: MemoryStore,
    pub directory: KeyPackageDirectory,
}

impl World {
    pub fn new() -> Self {
        let clock = ManualClock::at(SystemTime::now().into());
        let store = MemoryStore::new();
        let directory = KeyPackageDirectory::builder(Arc::new(store.clone()), OpenMlsAdmission::new())
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            clock,
            store,
            directory,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Hands out a package of Bob's, for good.
    pub async fn claim(&self, bob: &Bob) -> KeyPackage {
        self.directory.claim(&bob.pool_id, &Take::new()).await.unwrap()
    }

    /// The one-time packages of Bob's that can be handed out.
    pub async fn available(&self, bob: &Bob) -> BTreeSet<KeyPackageRef> {
        let page = self
            .store
            .list_available(&bob.pool_id, None, 1_000, self.now())
            .await
            .unwrap();
        page.items.into_iter().map(|info| info.key_package_ref).collect()
    }

    pub async fn status(&self, bob: &Bob, key_package_ref: &KeyPackageRef) -> Option<Status> {
        let refs = [key_package_ref.clone()];
        let statuses = self.store.get_statuses(&bob.pool_id, &refs, self.now()).await.unwrap();
        statuses[0]
    }

    /// The last-resort package in its slot, and whether it was used.
    pub async fn last_resort(&self, bob: &Bob) -> Option<(KeyPackageRef, bool)> {
        for row in bob.metadata.list().await.unwrap() {
            if let Some(Status::LastResort { used }) = self.status(bob, &row.key_package_ref).await {
                return Some((row.key_package_ref, used));
            }
        }
        None
    }
}

/// Who Bob is at present.
#[derive(Clone)]
pub struct Credentials(Arc<RwLock<Identity>>);

impl Credentials {
    fn new(name: &str) -> Self {
        Self(Arc::new(RwLock::new(identity(name))))
    }

    /// The same name, with another signature key.
    pub fn change(&self, name: &str) {
        *self.0.write().unwrap() = identity(name);
    }
}

pub fn identity(name: &str) -> Identity {
    let (signer, credential) = signed_by(name);
    Identity::new(Arc::new(signer), credential)
}

fn signed_by(name: &str) -> (SignatureKeyPair, CredentialWithKey) {
    let signer = SignatureKeyPair::new(SignatureScheme::ED25519).unwrap();
    let credential = CredentialWithKey {
        credential: BasicCredential::new(name.into()).into(),
        signature_key: signer.to_public_vec().into(),
    };
    (signer, credential)
}

/// What of Bob survives his process: OpenMLS's storage, the metadata, and who he is.
#[derive(Clone)]
pub struct Bob {
    pub pool_id: PoolId,
    pub provider: Arc<OpenMlsRustCrypto>,
    pub metadata: MemoryMetadata,
    pub credentials: Credentials,
}

impl Bob {
    pub fn new() -> Self {
        Self {
            pool_id: PoolId::try_from("bob/phone").unwrap(),
            provider: Arc::default(),
            metadata: MemoryMetadata::new(),
            credentials: Credentials::new("bob"),
        }
    }

    pub fn vault(&self) -> Vault {
        let credentials = self.credentials.clone();
        OpenMlsVault::new(Arc::clone(&self.provider), move |_| {
            Some(credentials.0.read().unwrap().clone())
        })
    }

    pub fn transport(&self, world: &World) -> Arc<dyn KeyPackageTransport> {
        let directory = &world.directory;
        Arc::new(directory.transport(self.pool_id.clone(), Uploader::identity("bob")))
    }

    pub fn builder(&self, world: &World) -> PoolBuilder<Vault> {
        KeyPackagePool::builder(self.vault(), Arc::new(self.metadata.clone()), self.transport(world))
            .clock(world.clock.clone())
    }

    /// A process of Bob's, with the default plan.
    pub fn open(&self, world: &World) -> KeyPackagePool<Vault> {
        self.builder(world)
            .ciphersuite(CiphersuitePlan::pool(SUITE))
            .build()
            .unwrap()
    }

    pub async fn lifecycle(&self, key_package_ref: &KeyPackageRef) -> Option<Lifecycle> {
        let row = self.metadata.get(key_package_ref).await.unwrap();
        row.map(|row| row.lifecycle)
    }

    pub async fn rows(&self) -> BTreeSet<KeyPackageRef> {
        let rows = self.metadata.list().await.unwrap();
        rows.into_iter().map(|row| row.key_package_ref).collect()
    }

    /// Every private key of a KeyPackage in OpenMLS's own storage, copies included, by reading that storage.
    pub fn stored_keys(&self) -> BTreeSet<Vec<u8>> {
        const LABEL: &[u8] = b"KeyPackage";
        const VERSION: usize = 2;
        let values = self.provider.storage().values.read().unwrap();
        let names = values.keys().filter_map(|key| key.strip_prefix(LABEL));
        names
            .map(|name| {
                let name: OpenMlsRef = serde_json::from_slice(&name[..name.len() - VERSION]).unwrap();
                name.as_slice().to_vec()
            })
            .collect()
    }

    /// The packages of which there is a copy.
    pub fn copies(&self) -> BTreeSet<KeyPackageRef> {
        const REF: usize = 32;
        let names = self.stored_keys().into_iter().filter(|name| name.len() > REF);
        names
            .map(|name| KeyPackageRef::try_from(&name[name.len() - REF..]).unwrap())
            .collect()
    }

    pub fn has_key(&self, key_package_ref: &KeyPackageRef) -> bool {
        self.stored_keys().contains(key_package_ref.as_bytes())
    }

    /// The app's own join: nothing of ours in it.
    pub fn attempt(&self, welcome: &[u8]) -> Result<MlsGroup, WelcomeError<MemoryStorageError>> {
        let config = MlsGroupJoinConfig::default();
        let staged = StagedWelcome::new_from_welcome(&*self.provider, &config, parse(welcome), None)?;
        staged.into_group(&*self.provider)
    }

    pub fn read(&self, group: &mut MlsGroup, message: MlsMessageIn) -> Vec<u8> {
        let message = message.try_into_protocol_message().unwrap();
        match group.process_message(&*self.provider, message).unwrap().into_content() {
            ProcessedMessageContent::ApplicationMessage(text) => text.into_bytes(),
            other => panic!("not a message of the app: {other:?}"),
        }
    }

    pub fn is_in(&self, group: &GroupId) -> bool {
        MlsGroup::load(self.provider.storage(), group).unwrap().is_some()
    }
}

pub fn parse(welcome: &[u8]) -> Welcome {
    match MlsMessageIn::tls_deserialize_exact(welcome).unwrap().extract() {
        MlsMessageBodyIn::Welcome(welcome) => welcome,
        other => panic!("not a Welcome: {other:?}"),
    }
}

/// The packages that a Welcome names.
pub fn named(welcome: &[u8]) -> Vec<KeyPackageRef> {
    let refs = parse(welcome)
        .secrets()
        .iter()
        .map(|secret| secret.new_member())
        .collect::<Vec<_>>();
    refs.iter()
        .map(|name| KeyPackageRef::try_from(name.as_slice()).unwrap())
        .collect()
}

/// Who adds Bob to groups.
pub struct Alice {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
}

/// A Welcome, and the group that it leads to.
pub struct Invitation {
    pub welcome: Vec<u8>,
    pub refs: Vec<KeyPackageRef>,
    pub group: MlsGroup,
}

impl Alice {
    pub fn new() -> Self {
        let (signer, credential) = signed_by("alice");
        Self {
            provider: OpenMlsRustCrypto::default(),
            signer,
            credential,
        }
    }

    /// A real Commit that adds the owner of the package to a new group, and its Welcome.
    pub fn invite(&self, package: &KeyPackage) -> Invitation {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(types::Ciphersuite::try_from(package.info.ciphersuite.0).unwrap())
            .use_ratchet_tree_extension(true)
            .build();
        let (provider, signer) = (&self.provider, &self.signer);
        let mut group = MlsGroup::new(provider, signer, &config, self.credential.clone()).unwrap();
        let key_package = KeyPackageIn::tls_deserialize_exact(package.bytes.as_ref()).unwrap();
        let key_package = key_package.validate(provider.crypto(), ProtocolVersion::Mls10).unwrap();
        let (_commit, welcome, _) = group.add_members(provider, signer, &[key_package]).unwrap();
        group.merge_pending_commit(provider).unwrap();
        let welcome = welcome.tls_serialize_detached().unwrap();
        let refs = named(&welcome);
        assert_eq!(refs, std::slice::from_ref(&package.info.key_package_ref));
        Invitation { welcome, refs, group }
    }

    /// An encrypted message to a group of hers.
    pub fn say(&self, group: &mut MlsGroup, text: &str) -> MlsMessageIn {
        let message = group
            .create_message(&self.provider, &self.signer, text.as_bytes())
            .unwrap();
        message.into()
    }
}

impl Invitation {
    /// The Welcome with one byte flipped: it names the same package, and does not decrypt.
    pub fn forged(&self) -> Vec<u8> {
        let mut forged = self.welcome.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(named(&forged), self.refs);
        forged
    }
}

/// The credential hash of what Bob is at present.
pub fn current(bob: &Bob) -> kp_core::CredentialHash {
    use kp_core::client::KeyVault as _;
    bob.vault().credential(SUITE).unwrap()
}
