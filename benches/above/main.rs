//! The way above the store: what the directory adds to a call of a store in memory; an upload of 100 KeyPackages against the
//! signatures in them, on all cores; a claim over HTTP against a handler that answers a constant.
//!
//! `cargo bench --bench above`; a word behind `--` chooses: `directory`, `upload`, `http`. It asserts nothing.

use measure::Fallible;

mod directory;
mod http;
#[path = "../measure/mod.rs"]
mod measure;
mod upload;

fn main() -> Fallible<()> {
    let words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let words: Vec<_> = words.collect();
    let is_chosen = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    if is_chosen("directory") {
        directory::measure()?;
    }
    if is_chosen("upload") {
        upload::measure()?;
    }
    if is_chosen("http") {
        http::measure()?;
    }
    Ok(())
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
