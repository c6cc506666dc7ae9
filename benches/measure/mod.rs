//! What the benchmarks and the comparison share: the inputs, the backends, the calls, and the floors that figures are
//! ratios to. Nothing here asserts on time.
#![allow(dead_code, reason = "each benchmark takes what it needs of it")]

pub(crate) mod backend;
pub(crate) mod call;
pub(crate) mod floor;
pub(crate) mod footprint;
pub(crate) mod in_flight;
pub(crate) mod inputs;
pub(crate) mod instead;
pub(crate) mod ratio;
pub(crate) mod stock;
pub(crate) mod work;

// Real servers on free ports, killed when dropped: those of the tests.
pub(crate) use kp_test_support::servers;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
