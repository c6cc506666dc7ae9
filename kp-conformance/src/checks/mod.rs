//! The checks, a module for each family of rules.

mod alike;
mod apart;
mod binding;
mod caps;
mod conservation;
mod deleting;
mod failures;
mod faults;
mod histories;
mod init_keys;
mod last_resort;
mod limits;
mod memory;
mod moving;
mod outages;
mod privacy;
mod processes;
mod queue;
mod races;
mod reading;
mod renew;
mod replace;
mod requirements;
mod reserve;
mod save;
mod scene;
mod sequences;
mod spend;
mod support;
mod sweeping;
mod time;

/// The checks of each module.
pub(crate) const ALL: &[&[crate::Check]] = &[
    save::CHECKS,
    caps::CHECKS,
    replace::CHECKS,
    init_keys::CHECKS,
    reserve::CHECKS,
    queue::CHECKS,
    requirements::CHECKS,
    support::CHECKS,
    binding::CHECKS,
    limits::CHECKS,
    spend::CHECKS,
    renew::CHECKS,
    last_resort::CHECKS,
    reading::CHECKS,
    sweeping::CHECKS,
    memory::CHECKS,
    deleting::CHECKS,
    moving::CHECKS,
    time::CHECKS,
    failures::CHECKS,
    faults::CHECKS,
    outages::CHECKS,
    privacy::CHECKS,
    races::CHECKS,
    alike::CHECKS,
    apart::CHECKS,
    conservation::CHECKS,
    histories::CHECKS,
    sequences::CHECKS,
    processes::CHECKS,
];
