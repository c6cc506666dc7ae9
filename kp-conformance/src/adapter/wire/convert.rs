//! The values of the wire as those of kp-core, and back.

use kp_core::server::{
    Admitted, LastResort as CoreLastResort, Lease as CoreLease, Page as CorePage, ReadyKeyPackage,
    Receipt as CoreReceipt, Reservation as CoreReservation, ReservationToken, StoredKeyPackage, TakeRequest,
};
use kp_core::{
    Cause as CoreCause, Ciphersuite, Counts, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, Lifetime,
    PoolCounts, PoolId, ReservationId, Role as CoreRole, Slot as CoreSlot, Status as CoreStatus, Timestamp,
};

use super::hex::Hex;
use super::misfit::Misfit;
use super::values::{
    Cause, Counted, Info, Item, LastResort, Lease, Package, Page, Ready, Receipt, Reservation, Role, Slot, Status,
    Stored, Take, Token, Type,
};

fn timestamp(seconds: i64) -> Result<Timestamp, Misfit> {
    Timestamp::try_from(seconds).map_err(Misfit::new)
}

impl From<&KeyPackageInfo> for Info {
    fn from(info: &KeyPackageInfo) -> Self {
        Self {
            key_package_ref: Hex(info.key_package_ref.clone()),
            ciphersuite: info.ciphersuite.0,
            not_before: info.lifetime.not_before().get(),
            not_after: info.lifetime.not_after().get(),
            role: match info.role {
                CoreRole::OneTime => Role::OneTime,
                CoreRole::LastResort => Role::LastResort,
            },
            credential: Hex(info.credential.0),
        }
    }
}

impl TryFrom<Info> for KeyPackageInfo {
    type Error = Misfit;

    fn try_from(info: Info) -> Result<Self, Misfit> {
        let lifetime = Lifetime::new(timestamp(info.not_before)?, timestamp(info.not_after)?).map_err(Misfit::new)?;
        let (suite, credential) = (Ciphersuite(info.ciphersuite), CredentialHash(info.credential.0));
        let role = match info.role {
            Role::OneTime => CoreRole::OneTime,
            Role::LastResort => CoreRole::LastResort,
        };
        Ok(Self::new(info.key_package_ref.0, suite, lifetime, credential).role(role))
    }
}

impl From<&KeyPackage> for Package {
    fn from(package: &KeyPackage) -> Self {
        Self {
            info: (&package.info).into(),
            bytes: Hex(package.bytes.as_ref().to_vec()),
        }
    }
}

impl TryFrom<Package> for KeyPackage {
    type Error = Misfit;

    fn try_from(package: Package) -> Result<Self, Misfit> {
        Ok(Self::new(package.info.try_into()?, bytes(package.bytes)?))
    }
}

impl From<&Admitted> for Item {
    fn from(item: &Admitted) -> Self {
        Self {
            package: (&item.package).into(),
            fingerprint: item.fingerprint.map(|fingerprint| Hex(*fingerprint.as_bytes())),
            support: item.support.as_ref().map(|support| types(support.as_bytes())),
        }
    }
}

/// Three bytes for each type.
fn types(bytes: &[u8]) -> Vec<Type> {
    let (names, _) = bytes.as_chunks::<3>();
    names.iter().copied().map(Hex).collect()
}

fn bytes(bytes: Hex<Vec<u8>>) -> Result<KeyPackageBytes, Misfit> {
    KeyPackageBytes::try_from(bytes.0).map_err(Misfit::new)
}

impl From<&TakeRequest> for Take {
    fn from(take: &TakeRequest) -> Self {
        let options = &take.options;
        Self {
            pool: Hex(take.pool.clone()),
            id: Hex(*take.id.as_bytes()),
            ttl: take.ttl.get(),
            ciphersuites: options.ciphersuites.iter().map(|suite| suite.0).collect(),
            remaining: options.remaining,
            requirements: types(options.requirements.as_bytes()),
            only: options.only.clone().map(Hex),
            last_resort: match options.last_resort {
                CoreLastResort::Never => LastResort::Never,
                CoreLastResort::Fallback => LastResort::Fallback,
                CoreLastResort::Only => LastResort::Only,
            },
            by: options.by.clone().map(Hex),
            limit: take.limit,
        }
    }
}

impl From<&ReservationToken> for Token {
    fn from(token: &ReservationToken) -> Self {
        Self {
            pool: Hex(token.pool.clone()),
            key_package_ref: Hex(token.key_package_ref.clone()),
            id: Hex(*token.id().as_bytes()),
        }
    }
}

impl From<Token> for ReservationToken {
    fn from(token: Token) -> Self {
        Self::new(
            token.pool.0,
            token.key_package_ref.0,
            ReservationId::from_bytes(token.id.0),
        )
    }
}

impl TryFrom<Lease> for CoreLease {
    type Error = Misfit;

    fn try_from(lease: Lease) -> Result<Self, Misfit> {
        Ok(Self::new(lease.token.into(), timestamp(lease.expires_at)?))
    }
}

impl TryFrom<Reservation> for CoreReservation {
    type Error = Misfit;

    fn try_from(reservation: Reservation) -> Result<Self, Misfit> {
        let lease = reservation.lease.map(CoreLease::try_from).transpose()?;
        Ok(Self::new(reservation.package.try_into()?, lease))
    }
}

impl TryFrom<Receipt> for CoreReceipt {
    type Error = Misfit;

    fn try_from(receipt: Receipt) -> Result<Self, Misfit> {
        Ok(Self::new(receipt.key_package_ref.0, timestamp(receipt.spent_at)?))
    }
}

impl TryFrom<Status> for CoreStatus {
    type Error = Misfit;

    fn try_from(status: Status) -> Result<Self, Misfit> {
        Ok(match status {
            Status::Available {} => Self::Available,
            Status::NotYetValid {} => Self::NotYetValid,
            Status::Reserved { until } => Self::Reserved {
                until: timestamp(until)?,
            },
            Status::Spent { at, cause } => Self::Spent {
                at: timestamp(at)?,
                cause: match cause {
                    Cause::Used => CoreCause::Used,
                    Cause::Retired => CoreCause::Retired,
                    Cause::Withdrawn => CoreCause::Withdrawn,
                    Cause::Replaced => CoreCause::Replaced,
                },
            },
            Status::Expired {} => Self::Expired,
            Status::LastResort { used } => Self::LastResort { used },
        })
    }
}

impl TryFrom<Stored> for StoredKeyPackage {
    type Error = Misfit;

    fn try_from(stored: Stored) -> Result<Self, Misfit> {
        let bytes = stored.bytes.map(bytes).transpose()?;
        Ok(Self::new(stored.info.try_into()?, stored.status.try_into()?, bytes))
    }
}

impl TryFrom<Ready> for ReadyKeyPackage {
    type Error = Misfit;

    fn try_from(ready: Ready) -> Result<Self, Misfit> {
        Ok(Self::new(ready.info.try_into()?, timestamp(ready.saved_at)?))
    }
}

impl TryFrom<Counted> for PoolCounts {
    type Error = Misfit;

    fn try_from(counted: Counted) -> Result<Self, Misfit> {
        let mut all = Self::default();
        for suite in counted.ciphersuites {
            let mut counts = Counts::default();
            counts.available = suite.available;
            counts.reserved = suite.reserved;
            counts.recalled = suite.recalled;
            counts.spent = suite.spent;
            counts.spent_last_resorts = suite.spent_last_resorts;
            counts.not_yet_valid = suite.not_yet_valid;
            counts.expired = suite.expired;
            counts.last_resort = match suite.last_resort {
                Slot::Empty => CoreSlot::Empty,
                Slot::Unused => CoreSlot::Unused,
                Slot::Used => CoreSlot::Used,
            };
            if all
                .ciphersuites
                .insert(Ciphersuite(suite.ciphersuite), counts)
                .is_some()
            {
                return Err(Misfit::new(format!(
                    "ciphersuite {} is counted twice",
                    suite.ciphersuite
                )));
            }
        }
        all.room = counted.room;
        Ok(all)
    }
}

impl<T> Page<T> {
    /// The page of the contract.
    pub(crate) fn into_page<U>(self) -> Result<CorePage<U>, Misfit>
    where
        U: TryFrom<T>,
        U::Error: Into<Misfit>,
    {
        let items = self.items.into_iter().map(|item| U::try_from(item).map_err(Into::into));
        let items = items.collect::<Result<_, Misfit>>()?;
        Ok(CorePage::new(items, self.next.map(|place| place.0)))
    }
}

impl From<Hex<PoolId>> for PoolId {
    fn from(pool: Hex<PoolId>) -> Self {
        pool.0
    }
}
