use std::fmt;

use hmac::{Hmac, Mac as _};
use kp_core::server::ReservationToken;
use kp_core::{BoxError, Party, PoolId, ReservationId};
use sha2::{Digest as _, Sha256};

/// How many bytes of a MAC a token carries.
const SEAL: usize = 16;

/// Keys what the store keeps of callers, the ids of their requests, and the tokens that they get.
///
/// Every node over one store has the same secret, also after a restart: else a retry takes new KeyPackages, and no token
/// holds.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// The fewest bytes of a secret.
    pub const MIN_LEN: usize = 16;

    /// Makes a secret of at least 16 bytes that nobody can guess.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`].
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        let bytes = bytes.as_ref();
        if bytes.len() < Self::MIN_LEN {
            return Err(SecretError::TooShort { found: bytes.len() });
        }
        Ok(Self::of(Sha256::digest(bytes).into()))
    }

    /// Makes a secret that only this process has, for a store that only this process has.
    ///
    /// # Errors
    ///
    /// [`SecretError::NoRandomness`].
    pub fn random() -> Result<Self, SecretError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| SecretError::NoRandomness(error.into()))?;
        Ok(Self::of(bytes))
    }

    fn of(key: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&key);
        Self(<Hmac<Sha256> as hmac::Mac>::new(&block.into()))
    }

    /// Reads a token that a device of this user brings, for a server that spends, renews or releases by itself: when it
    /// accepts a Commit, for example. `None`: no token of this user's.
    #[must_use]
    pub fn open(&self, user: impl AsRef<[u8]>, token: &str) -> Option<ReservationToken> {
        let (token, seal) = token.rsplit_once('.')?;
        // A seal has one spelling.
        if seal.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; SEAL];
        hex::decode_to_slice(seal, &mut bytes).ok()?;
        let mac = self.mac("token", &[user.as_ref(), token.as_bytes()]);
        mac.verify_truncated_left(&bytes).ok()?;
        ReservationToken::parse(token).ok()
    }

    /// The token in the form in which this user's devices get it: nobody else can use it, and nobody can make one up.
    pub(crate) fn seal(&self, user: &[u8], token: &ReservationToken) -> String {
        let token = token.expose();
        let mac: [u8; 32] = self
            .mac("token", &[user, token.as_bytes()])
            .finalize()
            .into_bytes()
            .into();
        format!("{token}.{}", hex::encode(&mac[..SEAL]))
    }

    /// The user as a party: the store learns no name ([PRIV-1](kp_core::contract::PRIV_1)).
    pub(crate) fn party(&self, user: &[u8]) -> Party {
        let mac: [u8; 32] = self.mac("party", &[user]).finalize().into_bytes().into();
        Party::try_from(mac.as_slice()).expect("32 bytes are a party")
    }

    /// The id of a device's request under its retry key. Callers choose poor keys ("1"), and the id is what spends a
    /// reservation: so the id is keyed, and bound to the device and to what is asked.
    pub(crate) fn reservation_id(&self, operation: &str, caller: &PoolId, retry_key: &[u8]) -> ReservationId {
        let parts = [operation.as_bytes(), caller.as_bytes(), retry_key];
        let mac: [u8; 32] = self.mac("request", &parts).finalize().into_bytes().into();
        let mut id = [0; 16];
        id.copy_from_slice(&mac[..16]);
        ReservationId::from_bytes(id)
    }

    /// The length of each part keeps the parts apart.
    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mac = self.0.clone().chain_update(purpose);
        parts.iter().fold(mac, |mac, part| {
            mac.chain_update((part.len() as u64).to_be_bytes()).chain_update(part)
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Says why there is no [`Secret`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The secret can be guessed.
    #[error("a secret has at least {} bytes, not {found}", Secret::MIN_LEN)]
    TooShort {
        /// How many bytes were given.
        found: usize,
    },
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    NoRandomness(#[source] BoxError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_whose_parts_run_together_alike_are_apart() {
        let secret = Secret::new("as long as sixteen bytes").unwrap();
        let id = |caller: &str, key: &str| {
            let caller = PoolId::try_from(caller).unwrap();
            secret.reservation_id("claim", &caller, key.as_bytes())
        };
        assert_eq!(id("bob/1", "23"), id("bob/1", "23"));
        assert_ne!(id("bob/1", "23"), id("bob/12", "3"));
        // Zeros in a name or a key keep nothing apart.
        let zeros = "\0".repeat(8);
        assert_ne!(id("bob", &format!("1{zeros}2")), id(&format!("bob{zeros}1"), "2"));
    }
}
