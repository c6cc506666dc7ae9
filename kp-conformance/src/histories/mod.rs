//! Calls as data: drawn from a seed, made of a store, and answered by the model.

mod call;
mod draw;
mod history;
mod reply;
mod spec;

pub(crate) use call::Call;
pub(crate) use draw::{Draw, Scale};
pub(crate) use history::History;
pub(crate) use reply::Reply;
pub(crate) use spec::Spec;
