use hmac::{Hmac, Mac};
use keypackage_pool::{InvalidId, Party, PoolId, ReservationId};
use sha2::{Digest as _, Sha256};

/// Turns what callers are and say into ids that nobody else can guess, and that tell the store nothing (`PRIV-1`).
pub(crate) struct Secret(Hmac<Sha256>);

impl Secret {
    pub(crate) fn new(secret: &str) -> Self {
        Self::of(Sha256::digest(secret).into())
    }

    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self::of(bytes))
    }

    fn of(secret: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secret);
        Self(<Hmac<Sha256> as Mac>::new(&block.into()))
    }

    /// The user as a party.
    pub(crate) fn party(&self, user: &str) -> Result<Party, InvalidId> {
        self.mac("party", user.as_bytes(), b"").as_slice().try_into()
    }

    /// The reservation id of the `Idempotency-Key` of a device, which its pool names. Callers choose poor keys ("1"), and the
    /// id is what spends a reservation: so it is bound to the device that asks, and keyed. Two devices of a user that chose
    /// the same key would get the same KeyPackage otherwise, and the same token.
    pub(crate) fn reservation_id(&self, device: &PoolId, idempotency_key: &[u8]) -> ReservationId {
        let mac = self.mac("retry", device.as_bytes(), idempotency_key);
        let mut id = [0; 16];
        id.copy_from_slice(&mac[..16]);
        ReservationId::from_bytes(id)
    }

    /// The length of `whose` keeps it and the rest apart.
    fn mac(&self, purpose: &str, whose: &[u8], rest: &[u8]) -> [u8; 32] {
        let mac = self.0.clone().chain_update(purpose);
        let mac = mac.chain_update((whose.len() as u64).to_be_bytes()).chain_update(whose);
        mac.chain_update(rest).finalize().into_bytes().into()
    }
}
