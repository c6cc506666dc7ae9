//! Encodes the arguments of scripts. Every argument is bytes; an absent value is empty.

use kp_core::Timestamp;
use kp_core::server::{
    Admitted, InitKeyFingerprint, LastResort, OnLapse, ReservationToken, Save, SaveMode, Support, TakeRequest,
};

use kp_core::rules::{Limits, MAX_LAST_RESORT_SLOTS};

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

pub(crate) fn take(take: &TakeRequest) -> Arguments {
    let last_resort = match take.options.last_resort {
        LastResort::Never => "never",
        LastResort::Fallback => "fallback",
        LastResort::Only => "only",
    };
    let mut arguments = vec![
        take.id.as_bytes().to_vec(),
        number(take.ttl.get()),
        number(take.options.remaining),
        optional(take.options.only.as_ref()),
        text(last_resort),
        optional(take.options.by.as_ref()),
        take.limit.map(number).unwrap_or_default(),
        take.options.requirements.as_bytes().to_vec(),
        number(i128::try_from(take.options.ciphersuites.len()).unwrap_or(i128::MAX)),
    ];
    arguments.extend(take.options.ciphersuites.iter().map(|suite| number(suite.0)));
    arguments
}

pub(crate) fn token(token: &ReservationToken) -> Arguments {
    vec![
        token.key_package_ref.as_bytes().to_vec(),
        token.id().as_bytes().to_vec(),
    ]
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

fn package(item: &Admitted) -> Arguments {
    let package = &item.package;
    let info = &package.info;
    vec![
        info.key_package_ref.as_bytes().to_vec(),
        number(info.ciphersuite.0),
        time(info.lifetime.not_before()),
        time(info.lifetime.not_after()),
        number(u8::from(info.role.is_last_resort())),
        info.credential.0.to_vec(),
        package.bytes.as_ref().to_vec(),
        item.support
            .as_ref()
            .map(Support::as_bytes)
            .unwrap_or_default()
            .to_vec(),
        optional(item.fingerprint.as_ref().map(InitKeyFingerprint::as_bytes)),
    ]
}
