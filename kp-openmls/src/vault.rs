mod access;
mod error;
mod identity;
mod scratch;

use std::fmt;
use std::time::Duration;

use kp_core::client::KeyVault;
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Role, Timestamp,
};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _, VLBytes};
use openmls::prelude::{
    Capabilities, ExtensionType, KeyPackage as OpenMlsKeyPackage, KeyPackageBuilder, KeyPackageBundle,
    KeyPackageRef as OpenMlsRef,
};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::storage::StorageProvider as _;
use openmls_traits::types;

pub use access::{LockedProvider, ProviderAccess};
pub use error::VaultError;
pub use identity::Identity;
use scratch::Scratch;

use crate::credential_hash;

type Identities = Box<dyn Fn(Ciphersuite) -> Option<Identity> + Send + Sync>;
type Hook = Box<dyn Fn(KeyPackageBuilder) -> KeyPackageBuilder + Send + Sync>;
type Result<T, A> = std::result::Result<T, VaultError<<A as ProviderAccess>::StorageError>>;

/// The private keys of a client's packages, in the storage of the app's own OpenMLS provider.
///
/// - A package is made in a scratch storage; nothing reaches the app's storage before
///   [`keep`](KeyVault::keep).
/// - OpenMLS deletes the key of a one-time package *before* it decrypts the Welcome: one flipped byte costs the
///   key. The second copy lies in the same storage, as the KeyPackage bundle of a ref that no Welcome can name.
/// - Keys are deleted by the ref type that OpenMLS itself uses. A storage encodes the ref with its own codec, and
///   deleting by another type may silently delete nothing.
///
/// ```
/// use std::sync::Arc;
/// use kp_core::client::KeyVault;
/// use kp_core::{Ciphersuite, Role, Timestamp};
/// use kp_openmls::{Identity, OpenMlsVault};
/// use openmls::prelude::{BasicCredential, CredentialWithKey};
/// use openmls_basic_credential::SignatureKeyPair;
/// use openmls_rust_crypto::OpenMlsRustCrypto;
/// use openmls_traits::types::SignatureScheme;
///
/// let provider = Arc::new(OpenMlsRustCrypto::default());
/// let signer = SignatureKeyPair::new(SignatureScheme::ED25519)?;
/// let credential = CredentialWithKey {
///     credential: BasicCredential::new(b"bob".to_vec()).into(),
///     signature_key: signer.to_public_vec().into(),
/// };
/// let bob = Identity::new(Arc::new(signer), credential);
///
/// // Asked each time, so that a new credential is used as soon as the app has it.
/// let vault = OpenMlsVault::new(provider, move |_suite| Some(bob.clone()));
///
/// let now = Timestamp::try_from(1_700_000_000)?;
/// let (info, fresh) = vault.generate(Ciphersuite(0x0001), Role::OneTime, now)?;
/// assert!(vault.package(&info.key_package_ref)?.is_none(), "nothing is stored yet");
/// vault.keep(fresh)?;
/// assert!(vault.package(&info.key_package_ref)?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OpenMlsVault<A> {
    access: A,
    identities: Identities,
    hook: Hook,
    lifetime: u64,
}

impl<A: ProviderAccess> OpenMlsVault<A> {
    /// How long a package is valid by default: 84 days, as OpenMLS makes it.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(84 * 86_400);

    /// By how much a lifetime is dated back, for clocks that differ: one hour, as OpenMLS does it.
    pub const DATED_BACK: Duration = Duration::from_secs(3_600);

    /// Keys in the storage of this provider. `identities` is asked whom to make each package for.
    pub fn new(access: A, identities: impl Fn(Ciphersuite) -> Option<Identity> + Send + Sync + 'static) -> Self {
        Self {
            access,
            identities: Box::new(identities),
            hook: Box::new(|builder| builder),
            lifetime: Self::DEFAULT_LIFETIME.as_secs(),
        }
    }

    /// Sets how long a package is valid, in whole seconds. A server bounds it: see
    /// [`AdmissionPolicy::max_lifetime`](kp_core::server::AdmissionPolicy::max_lifetime).
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self {
            lifetime: lifetime.as_secs(),
            ..self
        }
    }

    /// Lets the app add to the packages that it makes: extensions, capabilities.
    ///
    /// The builder comes with capabilities that list `LastResort`; who sets others has to list it too. Lifetime and
    /// last-resort mark are set after the hook.
    #[must_use]
    pub fn customise(self, hook: impl Fn(KeyPackageBuilder) -> KeyPackageBuilder + Send + Sync + 'static) -> Self {
        Self {
            hook: Box::new(hook),
            ..self
        }
    }

    fn identity(&self, suite: Ciphersuite) -> Result<Identity, A> {
        (self.identities)(suite).ok_or(VaultError::NoIdentity(suite))
    }

    fn builder(&self, role: Role, now: Timestamp) -> KeyPackageBuilder {
        let not_before = now.minus(Self::DATED_BACK.as_secs());
        let not_after = now.plus(self.lifetime);
        let capabilities = Capabilities::builder()
            .extensions(vec![ExtensionType::LastResort])
            .build();
        let builder = (self.hook)(OpenMlsKeyPackage::builder().leaf_node_capabilities(capabilities));
        let builder = builder.key_package_lifetime(openmls::prelude::Lifetime::init(
            not_before.get().unsigned_abs(),
            not_after.get().unsigned_abs(),
        ));
        if role.is_last_resort() {
            builder.mark_as_last_resort()
        } else {
            builder
        }
    }

    fn read(provider: &A::Provider, name: &OpenMlsRef) -> Result<Option<KeyPackageBundle>, A> {
        provider.storage().key_package(name).map_err(VaultError::Storage)
    }

    fn write(provider: &A::Provider, name: &OpenMlsRef, bundle: &KeyPackageBundle) -> Result<(), A> {
        let storage = provider.storage();
        storage.write_key_package(name, bundle).map_err(VaultError::Storage)
    }
}

/// A package that was generated and not stored yet, private key included.
pub struct FreshPackage {
    name: OpenMlsRef,
    bundle: KeyPackageBundle,
}

impl fmt::Debug for FreshPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshPackage")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<A: ProviderAccess> KeyVault for OpenMlsVault<A> {
    type Fresh = FreshPackage;
    type Error = VaultError<A::StorageError>;

    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash, A> {
        let whose = self.identity(suite)?.credential;
        Ok(self
            .access
            .with(|provider| credential_hash(provider.crypto(), &whose))?)
    }

    fn generate(&self, suite: Ciphersuite, role: Role, now: Timestamp) -> Result<(KeyPackageInfo, FreshPackage), A> {
        let known = types::Ciphersuite::try_from(suite.0).map_err(|_| VaultError::UnknownCiphersuite(suite))?;
        let Identity { signer, credential } = self.identity(suite)?;
        let builder = self.builder(role, now);
        self.access.with(|provider| {
            let bundle = builder.build(known, &Scratch::over(provider), &signer, credential)?;
            let made = bundle.key_package();
            let listed = made.leaf_node().capabilities().extensions();
            if role.is_last_resort() && !listed.contains(&ExtensionType::LastResort) {
                return Err(VaultError::LastResortNotListed);
            }
            let name = made.hash_ref(provider.crypto())?;
            Ok((describe(provider.crypto(), made)?.info, FreshPackage { name, bundle }))
        })
    }

    fn keep(&self, fresh: FreshPackage) -> Result<(), A> {
        self.access
            .with(|provider| Self::write(provider, &fresh.name, &fresh.bundle))
    }

    fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, A> {
        let name = openmls_ref(key_package_ref.as_bytes())?;
        self.access.with(|provider| {
            let bundle = Self::read(provider, &name)?;
            bundle
                .map(|bundle| describe(provider.crypto(), bundle.key_package()))
                .transpose()
        })
    }

    fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<bool, A> {
        let names = Names::of(key_package_ref)?;
        self.access.with(|provider| {
            let (missing, found) = match Self::read(provider, &names.key)? {
                Some(key) => (&names.copy, Some(key)),
                None => (&names.key, Self::read(provider, &names.copy)?),
            };
            found.map_or(Ok(false), |bundle| {
                Self::write(provider, missing, &bundle).map(|()| true)
            })
        })
    }

    /// The copy goes first: a copy alone is what a join that died leaves, and would be written back.
    fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<(), A> {
        let names = Names::of(key_package_ref)?;
        self.access
            .with(|provider| {
                provider.storage().delete_key_package(&names.copy)?;
                provider.storage().delete_key_package(&names.key)
            })
            .map_err(VaultError::Storage)
    }
}

/// Hides the provider: the storage of some prints private keys (`ERR-4`).
impl<A> fmt::Debug for OpenMlsVault<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenMlsVault").finish_non_exhaustive()
    }
}

/// The two places of one key in OpenMLS's storage.
struct Names {
    key: OpenMlsRef,
    copy: OpenMlsRef,
}

impl Names {
    /// No hash of a ciphersuite is as long as a copy's name, so that no Welcome can name it.
    fn of<S>(key_package_ref: &KeyPackageRef) -> std::result::Result<Self, VaultError<S>> {
        const COPY: &[u8] = b"kp-openmls: kept while a join is under way";
        let key = key_package_ref.as_bytes();
        Ok(Self {
            key: openmls_ref(key)?,
            copy: openmls_ref(&[COPY, key].concat())?,
        })
    }
}

/// OpenMLS's own ref type, of these bytes.
fn openmls_ref<S>(bytes: &[u8]) -> std::result::Result<OpenMlsRef, VaultError<S>> {
    let encoded = VLBytes::from(bytes).tls_serialize_detached()?;
    Ok(OpenMlsRef::tls_deserialize_exact(encoded)?)
}

/// The package as it is uploaded, and the facts about it.
fn describe<S>(
    crypto: &impl OpenMlsCrypto,
    made: &OpenMlsKeyPackage,
) -> std::result::Result<KeyPackage, VaultError<S>> {
    let moment = |seconds| i64::try_from(seconds).ok().and_then(Timestamp::new);
    let lifetime = moment(made.life_time().not_before())
        .zip(moment(made.life_time().not_after()))
        .and_then(|(not_before, not_after)| Lifetime::new(not_before, not_after).ok())
        .ok_or(VaultError::Lifetime)?;
    let whose = openmls::prelude::CredentialWithKey {
        credential: made.leaf_node().credential().clone(),
        signature_key: made.leaf_node().signature_key().clone(),
    };
    Ok(KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(made.hash_ref(crypto)?.as_slice()).map_err(|_| VaultError::TooLarge)?,
            Ciphersuite(made.ciphersuite().into()),
            lifetime,
            credential_hash(crypto, &whose)?,
        )
        .role(Role::of(made.last_resort())),
        KeyPackageBytes::try_from(made.tls_serialize_detached()?).map_err(|_| VaultError::TooLarge)?,
    ))
}
