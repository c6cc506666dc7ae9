//! Holds all that a store keeps of its pools against the rules: every record, and what is derived from records, such as counts,
//! bounds, bindings and queues.
//!
//! A store that can do it implements [`AuditPools`]. [`contradictions`] looks at the records, and is the same for all; what is derived
//! from them differs, so each backend looks at its own.

mod audit_pools;
mod fault;

pub use audit_pools::AuditPools;
pub use fault::{Fault, Finding, contradictions};
