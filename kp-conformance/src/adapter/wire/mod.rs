//! What travels between the program and an adapter: one JSON object a line. `docs/adapter-protocol.md` says it in words,
//! and [`schema`] as JSON Schema.

mod calls;
mod hex;
mod schema;
mod values;

use std::fmt;

pub use calls::{
    Call, Effect, Facet, Failure, Greeting, Hello, OnLapse, Open, Outcome, Request, SaveMode, Space, VERSION,
};
pub use hex::Hex;
pub use schema::schema;
pub use values::{
    Cause, Counted, CountedSuite, Info, Item, LastResort, Lease, Package, Page, Place, Ready, Receipt, Rejection,
    Reservation, Retired, Role, SaveOutcome, Slot, Status, Stored, Take, Token, Type, WithdrawOutcome, Withdrawn,
};

/// Says that a value is none of the contract's: a time out of bounds, a lifetime that ends before it begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(String);

impl From<std::convert::Infallible> for Misfit {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl Misfit {
    pub(super) fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}
