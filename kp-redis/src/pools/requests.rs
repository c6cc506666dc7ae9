//! Encodes the arguments of scripts. Every argument is bytes; an absent value is empty.

use kp_core::rules::{Answer, Limits, MAX_LAST_RESORT_SLOTS, bounded, bounded_takes};
use kp_core::server::{
    Admitted, InitKeyFingerprint, LastResort, OnLapse, ReservationToken, Save, SaveMode, Support, TakeRequest,
};
use kp_core::{KeyPackageInfo, KeyPackageRef, Party, PoolId, Timestamp};

/// The arguments of a script.
pub(crate) type Arguments = Vec<Vec<u8>>;

pub(crate) fn number(number: impl Into<i128>) -> Vec<u8> {
    number.into().to_string().into_bytes()
}

pub(crate) fn time(time: Timestamp) -> Vec<u8> {
    number(time.get())
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Encodes an optional value. No value that is given is empty.
pub(crate) fn optional(bytes: Option<&impl AsRef<[u8]>>) -> Vec<u8> {
    bytes.map(|bytes| bytes.as_ref().to_vec()).unwrap_or_default()
}

pub(crate) fn lapse(lapse: OnLapse) -> Vec<u8> {
    text(match lapse {
        OnLapse::Return => "return",
        OnLapse::Retire => "retire",
    })
}

/// The limit of a request that has none, in 5 bytes.
const NO_LIMIT: u64 = (1 << 40) - 1;

/// Adds an id, which is at most 255 bytes long, behind its length.
fn behind_its_length(request: &mut Vec<u8>, id: Option<&[u8]>) {
    let id = id.unwrap_or_default();
    request.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
    request.extend(id);
}

/// An item of a call on many: it names its pool, and a call takes so many of them (COST-1).
pub(crate) trait BatchItem: Sync + Sized {
    fn pool(&self) -> &PoolId;

    fn encode(&self) -> Arguments;

    fn bounded(items: &[Self]) -> Answer<()>;
}

impl BatchItem for TakeRequest {
    fn pool(&self) -> &PoolId {
        &self.pool
    }

    fn encode(&self) -> Arguments {
        let last_resort = match self.options.last_resort {
            LastResort::Never => 0,
            LastResort::Fallback => 1,
            LastResort::Only => 2,
        };
        let limit = self.limit.map_or(NO_LIMIT, u64::from);
        let required = self.options.requirements.as_bytes();
        let mut request = self.id.as_bytes().to_vec();
        request.extend(self.ttl.get().to_be_bytes());
        request.extend(self.options.remaining.to_be_bytes());
        request.extend(&limit.to_be_bytes()[3..]);
        request.push(last_resort);
        behind_its_length(&mut request, self.options.only.as_ref().map(KeyPackageRef::as_bytes));
        behind_its_length(&mut request, self.options.by.as_ref().map(Party::as_bytes));
        request.extend(u16::try_from(required.len()).unwrap_or(u16::MAX).to_be_bytes());
        request.extend(required);
        request.extend(self.options.ciphersuites.iter().flat_map(|suite| suite.0.to_be_bytes()));
        vec![request]
    }

    fn bounded(items: &[Self]) -> Answer<()> {
        bounded_takes(items)
    }
}

impl BatchItem for ReservationToken {
    fn pool(&self) -> &PoolId {
        &self.pool
    }

    fn encode(&self) -> Arguments {
        vec![self.key_package_ref.as_bytes().to_vec(), self.id().as_bytes().to_vec()]
    }

    fn bounded(items: &[Self]) -> Answer<()> {
        bounded(items)
    }
}

pub(crate) fn save(save: &Save, limits: Limits) -> Arguments {
    let mode = match save.mode {
        SaveMode::Append => "append",
        SaveMode::Replace => "replace",
        SaveMode::Amend => "amend",
    };
    let mut arguments = vec![
        text(mode),
        number(save.cap_per_ciphersuite),
        number(limits.max_records),
        number(i128::try_from(MAX_LAST_RESORT_SLOTS).unwrap_or(i128::MAX)),
    ];
    arguments.extend(save.packages().iter().flat_map(package));
    arguments
}

/// The facts about a package, in the order of the scripts that store it.
pub(crate) fn facts(info: &KeyPackageInfo) -> Arguments {
    vec![
        info.key_package_ref.as_bytes().to_vec(),
        number(info.ciphersuite.0),
        time(info.lifetime.not_before()),
        time(info.lifetime.not_after()),
        number(u8::from(info.role.is_last_resort())),
        info.credential.0.to_vec(),
    ]
}

fn package(item: &Admitted) -> Arguments {
    let package = &item.package;
    let mut arguments = facts(&package.info);
    arguments.extend([
        package.bytes.as_ref().to_vec(),
        item.support
            .as_ref()
            .map(Support::as_bytes)
            .unwrap_or_default()
            .to_vec(),
        optional(item.fingerprint.as_ref().map(InitKeyFingerprint::as_bytes)),
    ]);
    arguments
}
