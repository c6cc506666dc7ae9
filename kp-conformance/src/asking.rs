use kp_core::server::{LastResort, TakeOptions, TakeRequest};
use kp_core::{Ciphersuite, KeyPackageRef, Party};

use crate::packages::{Types, ttl};

/// Sets one of the options of a request and keeps the others, so that a check reads as the request that it makes.
pub(crate) trait Asking: Sized {
    fn with(self, change: impl FnOnce(TakeOptions) -> TakeOptions) -> Self;

    /// For so many seconds.
    fn lasting(self, seconds: u32) -> Self;

    fn by(self, party: Party) -> Self {
        self.with(|options| options.by(party))
    }

    fn ciphersuites(self, ciphersuites: impl IntoIterator<Item = Ciphersuite>) -> Self {
        self.with(|options| options.ciphersuites(ciphersuites))
    }

    fn remaining(self, seconds: u32) -> Self {
        self.with(|options| options.remaining(seconds))
    }

    fn requiring(self, types: Types) -> Self {
        self.with(|options| options.requirements(types.requirements()))
    }

    fn only(self, key_package_ref: KeyPackageRef) -> Self {
        self.with(|options| options.only(key_package_ref))
    }

    fn last_resort(self, last_resort: LastResort) -> Self {
        self.with(|options| options.last_resort(last_resort))
    }
}

impl Asking for TakeRequest {
    fn lasting(mut self, seconds: u32) -> Self {
        self.ttl = ttl(seconds);
        self
    }

    fn with(mut self, change: impl FnOnce(TakeOptions) -> TakeOptions) -> Self {
        self.options = change(self.options);
        self
    }
}
