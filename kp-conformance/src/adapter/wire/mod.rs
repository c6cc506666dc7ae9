//! What travels between the program and an adapter: one JSON object a line. `docs/adapter-protocol.md` says it in words,
//! and [`schema`] as JSON Schema.

mod calls;
mod codes;
mod convert;
mod hex;
mod misfit;
mod schema;
mod values;

pub use calls::{
    Call, Effect, Facet, Failure, Greeting, Hello, OnLapse, Open, Outcome, Request, SaveMode, Space, VERSION,
};
pub use codes::{Rejection, SaveOutcome, WithdrawOutcome};
pub use hex::Hex;
pub use misfit::Misfit;
pub use schema::schema;
pub use values::{
    Cause, Counted, CountedSuite, Info, Item, LastResort, Lease, Package, Page, Place, Ready, Receipt, Reservation,
    Retired, Role, Slot, Status, Stored, Take, Token, Type, Withdrawn,
};
