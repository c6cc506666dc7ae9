use std::convert::Infallible;
use std::fmt;

/// Says that a value is none of the contract's: a time out of bounds, a lifetime that ends before it begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(String);

impl From<Infallible> for Misfit {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Misfit {
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}
