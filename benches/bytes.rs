//! What a package costs in memory and on disk, against the bytes that are handed out.
//!
//! `cargo bench --bench bytes`.

use measure::Fallible;
use measure::backend::{Backend, is_chosen};
use measure::footprint::bytes_per_package;
use measure::inputs::PAYLOAD;

mod measure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    println!("bytes a package of {PAYLOAD}, in 1,000 pools of 100");
    // Memory first, in a process that has done nothing else.
    let backends = [Backend::Memory, Backend::Sqlite, Backend::RedisEverysec];
    for backend in backends.into_iter().filter(|backend| is_chosen(*backend)) {
        let bytes = bytes_per_package(backend).await?;
        println!("{backend:<16}{bytes:>8.0}{:>8.2} x", bytes / PAYLOAD as f64);
    }
    Ok(())
}
