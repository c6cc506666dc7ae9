//! A vault and an admission without cryptography, for what only counts: a KeyPackage is its facts.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use kp_core::client::KeyVault;
use kp_core::protocol::Refusal;
use kp_core::server::{Admission, Admitted, Uploader};
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Role, Timestamp,
};

pub(crate) const SUITE: Ciphersuite = Ciphersuite(1);
pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 86_400;

const CREDENTIAL: CredentialHash = CredentialHash([7; 32]);

type Keys = BTreeMap<KeyPackageRef, KeyPackage>;

/// The storage of an MLS library: the keys, and the second copies of those that are joined with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    keys: Keys,
    copies: Keys,
}

impl Stored {
    /// Those of which there is a key or a copy.
    pub(crate) fn refs(&self) -> BTreeSet<KeyPackageRef> {
        self.keys.keys().chain(self.copies.keys()).cloned().collect()
    }
}

/// A vault, which notes what it made, and what was joined with.
#[derive(Debug, Clone)]
pub(crate) struct PlainVault {
    stored: Arc<Mutex<Stored>>,
    made: Arc<Mutex<Vec<(Timestamp, Role)>>>,
    joined: Arc<Mutex<BTreeSet<KeyPackageRef>>>,
    /// In days.
    lifetime: u64,
}

impl PlainVault {
    pub(crate) fn new(lifetime: u64) -> Self {
        Self {
            stored: Arc::default(),
            made: Arc::default(),
            joined: Arc::default(),
            lifetime,
        }
    }

    pub(crate) fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap()
    }

    pub(crate) fn put_back(&self, backup: Stored) {
        *self.stored() = backup;
    }

    pub(crate) fn has_key(&self, named: &KeyPackageRef) -> bool {
        self.stored().keys.contains_key(named)
    }

    /// Of how many packages there is a key, or a copy.
    pub(crate) fn count(&self) -> usize {
        self.stored().refs().len()
    }

    /// What was made and kept, in this order.
    pub(crate) fn made(&self) -> MutexGuard<'_, Vec<(Timestamp, Role)>> {
        self.made.lock().unwrap()
    }

    pub(crate) fn has_joined(&self, named: &KeyPackageRef) -> bool {
        self.joined.lock().unwrap().contains(named)
    }

    /// What an MLS library does when it joins: the key of a one-time package is gone, also if the Welcome does not decrypt.
    pub(crate) fn welcome(&self, named: &KeyPackageRef, decrypts: bool) -> Result<(), Refused> {
        let mut stored = self.stored();
        let package = stored.keys.get(named).ok_or(Refused::NoKey)?;
        if !package.info.role.is_last_resort() {
            stored.keys.remove(named);
        }
        if !decrypts {
            return Err(Refused::Forged);
        }
        self.joined.lock().unwrap().insert(named.clone());
        Ok(())
    }
}

/// Why an attempt to join failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NoKey,
    Forged,
    Died,
}

impl KeyVault for PlainVault {
    type Fresh = (KeyPackage, Timestamp);
    type Error = Infallible;

    fn credential(&self, _: Ciphersuite) -> Result<CredentialHash, Infallible> {
        Ok(CREDENTIAL)
    }

    fn generate(
        &self,
        suite: Ciphersuite,
        role: Role,
        now: Timestamp,
    ) -> Result<(KeyPackageInfo, Self::Fresh), Infallible> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        let named = KeyPackageRef::try_from(number.as_slice()).unwrap();
        let lifetime = Lifetime::new(now.minus(HOUR), now.plus(self.lifetime * DAY)).unwrap();
        let info = KeyPackageInfo::new(named, suite, lifetime, CREDENTIAL).role(role);
        let package = KeyPackage::new(info.clone(), bytes(&info));
        Ok((info, (package, now)))
    }

    fn keep(&self, (package, now): Self::Fresh) -> Result<(), Infallible> {
        self.made().push((now, package.info.role));
        self.stored().keys.insert(package.info.key_package_ref.clone(), package);
        Ok(())
    }

    fn package(&self, named: &KeyPackageRef) -> Result<Option<KeyPackage>, Infallible> {
        Ok(self.stored().keys.get(named).cloned())
    }

    fn protect(&self, named: &KeyPackageRef) -> Result<bool, Infallible> {
        let mut stored = self.stored();
        match (stored.keys.get(named).cloned(), stored.copies.get(named).cloned()) {
            (Some(key), _) => drop(stored.copies.insert(named.clone(), key)),
            (None, Some(copy)) => drop(stored.keys.insert(named.clone(), copy)),
            (None, None) => return Ok(false),
        }
        Ok(true)
    }

    fn forget(&self, named: &KeyPackageRef) -> Result<(), Infallible> {
        let mut stored = self.stored();
        stored.keys.remove(named);
        stored.copies.remove(named);
        Ok(())
    }
}

fn bytes(info: &KeyPackageInfo) -> KeyPackageBytes {
    let times = [info.lifetime.not_before(), info.lifetime.not_after()].map(|time| time.get().to_be_bytes());
    let suite = info.ciphersuite.0.to_be_bytes();
    let role = [u8::from(info.role.is_last_resort())];
    let parts = [times.as_flattened(), &suite, &role, info.key_package_ref.as_bytes()];
    KeyPackageBytes::try_from(parts.concat()).unwrap()
}

/// Reads the facts back.
pub(crate) struct PlainAdmission;

impl Admission for PlainAdmission {
    fn admit(&self, uploaded: &[u8], _: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        let info = read(uploaded).ok_or(Refusal::Malformed)?;
        if info.lifetime.is_expired(now) {
            return Err(Refusal::Expired);
        }
        let package = KeyPackage::new(info, KeyPackageBytes::try_from(uploaded).unwrap());
        Ok(Admitted::new(package))
    }
}

pub(crate) fn read(uploaded: &[u8]) -> Option<KeyPackageInfo> {
    let (not_before, rest) = uploaded.split_first_chunk()?;
    let (not_after, rest) = rest.split_first_chunk()?;
    let (suite, rest) = rest.split_first_chunk()?;
    let ([last_resort], named) = rest.split_first_chunk()?;
    let time = |bytes: &[u8; 8]| Timestamp::new(i64::from_be_bytes(*bytes));
    let lifetime = Lifetime::new(time(not_before)?, time(not_after)?).ok()?;
    let named = KeyPackageRef::try_from(named).ok()?;
    let info = KeyPackageInfo::new(named, Ciphersuite(u16::from_be_bytes(*suite)), lifetime, CREDENTIAL);
    Some(info.role(Role::of(*last_resort != 0)))
}
