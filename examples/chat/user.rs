use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use keypackage_pool::Ciphersuite;
use keypackage_pool::client::{CiphersuitePlan, KeyPackagePool, RefreshEvery, RefreshReport, Sizes};
use keypackage_pool::memory::MemoryMetadata;
use keypackage_pool::openmls::{Identity, OpenMlsVault};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, Credential, CredentialWithKey, GroupId, KeyPackageIn, MlsGroup, MlsGroupCreateConfig,
    MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider as _, ProcessedMessageContent, ProtocolMessage,
    ProtocolVersion, StagedWelcome, Welcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::types;

use crate::clock::DeviceClock;
use crate::session::Session;
use crate::{Result, explain};

const MLS_SUITE: types::Ciphersuite = types::Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
pub(crate) const SUITE: Ciphersuite = Ciphersuite(MLS_SUITE as u16);

/// Few, so that one sees them go. Real pools have [`Sizes::default`], and a last resort for when they are empty.
///
/// The low-water mark lies below the server's: a pool is refilled when the server says that it is low.
pub(crate) const SIZES: Sizes = Sizes::new(4, 1, 8);

type Vault = OpenMlsVault<Arc<OpenMlsRustCrypto>>;

/// A user with one device: an OpenMLS client, and its pool.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) session: Session,
    /// The group in which they talk.
    pub(crate) here: Option<String>,
    pub(crate) online: bool,
    /// What was collected, and not read yet.
    pub(crate) inbox: VecDeque<Vec<u8>>,
    groups: BTreeMap<String, MlsGroup>,
    provider: Arc<OpenMlsRustCrypto>,
    signer: Arc<SignatureKeyPair>,
    credential: CredentialWithKey,
    pub(crate) clock: DeviceClock,
    pool: KeyPackagePool<Vault>,
    /// The pool of a second process over the same storage: a phone has one that shows notifications.
    notifier: KeyPackagePool<Vault>,
    messages: RefreshEvery<Vault>,
}

/// The two processes of a device.
#[derive(Clone, Copy)]
enum Process {
    App,
    Notifier,
}

/// What adding somebody makes: nobody may see it before the KeyPackage is spent.
pub(crate) struct Invitation {
    pub(crate) commit: Vec<u8>,
    pub(crate) welcome: Vec<u8>,
}

impl User {
    /// A new device, which has published nothing yet.
    pub(crate) fn new(name: &str, session: Session, refresh_every: NonZeroU32) -> Result<Self> {
        let signer = Arc::new(SignatureKeyPair::new(MLS_SUITE.signature_algorithm())?);
        let credential = CredentialWithKey {
            credential: BasicCredential::new(name.into()).into(),
            signature_key: signer.to_public_vec().into(),
        };
        let provider = Arc::new(OpenMlsRustCrypto::default());
        let identity = Identity::new(signer.clone(), credential.clone());
        let (metadata, clock) = (MemoryMetadata::new(), DeviceClock::default());
        let open = || {
            let identity = identity.clone();
            let vault = OpenMlsVault::new(provider.clone(), move |_| Some(identity.clone()));
            KeyPackagePool::builder(vault, Arc::new(metadata.clone()), session.pools.clone())
                .clock(clock.clone())
                .ciphersuite(CiphersuitePlan::pool(SUITE).one_time(SIZES).last_resort(false))
                .build()
        };
        let (pool, notifier) = (open()?, open()?);
        Ok(Self {
            name: name.to_owned(),
            session,
            here: None,
            online: false,
            inbox: VecDeque::new(),
            groups: BTreeMap::new(),
            provider,
            signer,
            credential,
            messages: pool.refresh_every(refresh_every),
            clock,
            pool,
            notifier,
        })
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    pub(crate) fn create(&mut self, name: &str) -> Result<()> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(MLS_SUITE)
            .use_ratchet_tree_extension(true)
            .build();
        let (id, whose) = (GroupId::from_slice(name.as_bytes()), self.credential.clone());
        let group = MlsGroup::new_with_group_id(&*self.provider, &*self.signer, &config, id, whose)?;
        self.groups.insert(name.to_owned(), group);
        Ok(())
    }

    /// The other members.
    pub(crate) fn others(&self, group: &str) -> Vec<String> {
        let members = self.groups.get(group).into_iter().flat_map(MlsGroup::members);
        let names = members.map(|member| identity(&member.credential));
        names.filter(|name| *name != self.name).collect()
    }

    /// Makes the Commit and the Welcome that add the owner of this KeyPackage; [`confirm`](Self::confirm) applies them.
    pub(crate) fn invite(&mut self, group: &str, key_package: &[u8]) -> Result<Invitation> {
        let key_package = KeyPackageIn::tls_deserialize_exact(key_package)?;
        let key_package = key_package.validate(self.provider.crypto(), ProtocolVersion::Mls10)?;
        let group = joined(&mut self.groups, group)?;
        let (commit, welcome, _) = group.add_members(&*self.provider, &*self.signer, &[key_package])?;
        Ok(Invitation {
            commit: commit.tls_serialize_detached()?,
            welcome: welcome.tls_serialize_detached()?,
        })
    }

    pub(crate) fn confirm(&mut self, group: &str) -> Result<()> {
        Ok(joined(&mut self.groups, group)?.merge_pending_commit(&*self.provider)?)
    }

    pub(crate) fn abandon(&mut self, group: &str) -> Result<()> {
        Ok(joined(&mut self.groups, group)?.clear_pending_commit(self.provider.storage())?)
    }

    pub(crate) fn encrypt(&mut self, group: &str, text: &str) -> Result<Vec<u8>> {
        let group = joined(&mut self.groups, group)?;
        let message = group.create_message(&*self.provider, &*self.signer, text.as_bytes())?;
        Ok(message.tls_serialize_detached()?)
    }

    /// Collects what the delivery service holds.
    pub(crate) async fn collect(&mut self) -> Result<()> {
        self.inbox.extend(self.session.collect().await?);
        Ok(())
    }

    /// Reads what waits. What cannot be read is told, and passed over.
    pub(crate) async fn read(&mut self) -> Result<Vec<String>> {
        self.collect().await?;
        let mut lines = Vec::new();
        while let Some(message) = self.inbox.pop_front() {
            lines.push(self.read_one(Process::App, &message).await);
            lines.extend(self.count_message().await?);
        }
        Ok(lines)
    }

    /// Something arrives while the app refreshes its pool: the notifier reads it, and waits for no round (POOL-7).
    pub(crate) async fn is_notified(&mut self) -> Result<Vec<String>> {
        self.collect().await?;
        let (app, under_way) = (self.pool.clone(), Cell::new(true));
        let refresh = async {
            let report = app.refresh().await;
            under_way.set(false);
            report
        };
        let read = async {
            let mut lines = Vec::new();
            while let Some(message) = self.inbox.pop_front() {
                let line = self.read_one(Process::Notifier, &message).await;
                let meanwhile = if under_way.get() {
                    ", while the app refreshes"
                } else {
                    ""
                };
                lines.push(format!("{line}{meanwhile}"));
            }
            lines
        };
        let (report, mut lines) = tokio::join!(refresh, read);
        lines.extend(self.refreshed(&report?));
        Ok(lines)
    }

    async fn read_one(&mut self, process: Process, message: &[u8]) -> String {
        let read = self.open(process, message).await;
        let told = read.unwrap_or_else(|error| format!("cannot read a message: {}", explain(&*error)));
        format!("{} {told}", self.name)
    }

    async fn open(&mut self, process: Process, message: &[u8]) -> Result<String> {
        match MlsMessageIn::tls_deserialize_exact(message)?.extract() {
            MlsMessageBodyIn::Welcome(welcome) => self.join(process, welcome).await,
            MlsMessageBodyIn::PrivateMessage(message) => self.decrypt(message.into()),
            _ => Err("neither a Welcome nor encrypted".into()),
        }
    }

    /// The pool sees to it that a Welcome which does not decrypt costs no key (POOL-6).
    async fn join(&mut self, process: Process, welcome: Welcome) -> Result<String> {
        let pool = match process {
            Process::App => &self.pool,
            Process::Notifier => &self.notifier,
        };
        let named = welcome.secrets().iter().map(|secret| secret.new_member());
        let named: std::result::Result<Vec<_>, _> = named.map(|name| name.as_slice().try_into()).collect();
        let attempt = || {
            let (provider, config) = (&*self.provider, MlsGroupJoinConfig::default());
            StagedWelcome::new_from_welcome(provider, &config, welcome, None)?.into_group(provider)
        };
        let group = pool.join(&named?, attempt).await??;
        let name = text(group.group_id().as_slice());
        self.groups.insert(name.clone(), group);
        self.here.get_or_insert_with(|| name.clone());
        Ok(format!("joins {name}"))
    }

    fn decrypt(&mut self, message: ProtocolMessage) -> Result<String> {
        let name = text(message.group_id().as_slice());
        let group = joined(&mut self.groups, &name)?;
        let message = group.process_message(&*self.provider, message)?;
        let from = identity(message.credential());
        match message.into_content() {
            ProcessedMessageContent::ApplicationMessage(said) => {
                Ok(format!("reads in {name}: {from}: {}", text(&said.into_bytes())))
            }
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(&*self.provider, *commit)?;
                Ok(format!("sees {name} grow"))
            }
            _ => Err("neither text nor a Commit".into()),
        }
    }

    /// A message was sent or read: every so many, the pool is refreshed.
    pub(crate) async fn count_message(&self) -> Result<Vec<String>> {
        let report = self.messages.message().await?;
        Ok(report.map(|report| self.refreshed(&report)).unwrap_or_default())
    }

    /// At the start, and after an absence.
    pub(crate) async fn refresh(&self) -> Result<Vec<String>> {
        Ok(self.refreshed(&self.pool.refresh().await?))
    }

    /// What a person is told of a refresh.
    fn refreshed(&self, report: &RefreshReport) -> Vec<String> {
        let RefreshReport {
            uploaded,
            deleted,
            clock_off,
            ..
        } = report;
        let name = &self.name;
        let done = format!("{name}'s pool is refreshed: {uploaded} KeyPackages published, {deleted} old keys deleted");
        let wrong = clock_off.map(|seconds| {
            let (days, direction) = (
                seconds.unsigned_abs() / 86_400,
                if seconds < 0 { "behind" } else { "ahead of" },
            );
            format!("{name}'s clock is {days} days {direction} the server's: set it, or the pool runs empty")
        });
        [done].into_iter().chain(wrong).collect()
    }
}

fn joined<'a>(groups: &'a mut BTreeMap<String, MlsGroup>, name: &str) -> Result<&'a mut MlsGroup> {
    groups.get_mut(name).ok_or_else(|| format!("not in {name}").into())
}

/// All credentials of this chat are basic ones, of a name.
fn identity(credential: &Credential) -> String {
    text(credential.serialized_content())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
