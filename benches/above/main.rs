//! The way above the store: what the directory adds to a call of a store in memory; an upload of 100 KeyPackages against the
//! signatures in them, on all cores; a claim over HTTP against a handler that answers a constant.
//!
//! `cargo bench --bench above`; a word behind `--` chooses: `directory`, `upload`, `http`. It asserts nothing.

use std::sync::Arc;

use kp_core::Timestamp;
use kp_core::server::KeyPackageStore;
use measure::Fallible;
use measure::backend::is_named;
use measure::inputs::{Kind, PER_POOL};
use measure::stock::{delete, fill};

mod directory;
mod http;
#[path = "../measure/mod.rs"]
mod measure;
mod upload;

fn main() -> Fallible<()> {
    if is_named("directory") {
        directory::measure()?;
    }
    if is_named("upload") {
        upload::measure()?;
    }
    if is_named("http") {
        http::measure()?;
    }
    Ok(())
}

const POOLS: u32 = 100;

/// 10,000 packages in full pools, whatever there was before.
async fn refill(store: &Arc<dyn KeyPackageStore>, now: Timestamp) -> Fallible<()> {
    delete(store, 0..POOLS).await?;
    fill(store, 0..POOLS, 0..PER_POOL, Kind::by_the_clock()?, now).await
}

/// For what is not uploaded.
#[derive(Debug)]
struct Nothing;

impl kp_core::server::Admission for Nothing {
    fn admit(
        &self,
        _: &[u8],
        _: &kp_core::server::Uploader,
        _: kp_core::Timestamp,
    ) -> Result<kp_core::server::Admitted, kp_core::protocol::Refusal> {
        Err(kp_core::protocol::Refusal::Malformed)
    }
}
