//! The wrong stores, a module for each family of rules.

mod failing;
mod reading;
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
    taking::STORES,
    spending::STORES,
    reading::STORES,
    sweeping::STORES,
    withdrawing::STORES,
    failing::STORES,
];
