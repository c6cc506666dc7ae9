//! The wrong stores, a module for each family of rules.

mod alike;
mod failing;
mod init_keys;
mod moving;
mod outages;
mod reading;
mod requiring;
mod saving;
mod spending;
mod sweeping;
mod taking;
mod time;
mod withdrawing;

/// The wrong stores of each module.
pub(crate) const ALL: &[&[crate::wrong_store::WrongStore]] = &[
    time::STORES,
    saving::STORES,
    init_keys::STORES,
    alike::STORES,
    taking::STORES,
    requiring::STORES,
    spending::STORES,
    reading::STORES,
    sweeping::STORES,
    withdrawing::STORES,
    moving::STORES,
    failing::STORES,
    outages::STORES,
];
