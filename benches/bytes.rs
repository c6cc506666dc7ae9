//! What a package costs in memory and on disk, against the bytes that are handed out.
//!
//! `cargo bench --bench bytes`.

use measure::Fallible;
use measure::backend::{Backend, is_chosen};
use measure::footprint::bytes_per_package;
use measure::inputs::PAYLOADS;

mod measure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    println!("{:<16}{:>8}{:>14}", "", "bytes", "needed for it");
    // Memory first, in a process that has done nothing else.
    let backends = [
        Backend::Memory,
        Backend::Sqlite,
        Backend::RedisEverysec,
        Backend::Postgres,
    ];
    for backend in backends.into_iter().filter(|backend| is_chosen(*backend)) {
        for payload in PAYLOADS {
            let bytes = bytes_per_package(backend, payload).await?;
            println!(
                "{backend:<16}{payload:>8}{bytes:>14.0}{:>8.2} x",
                bytes / payload as f64
            );
        }
    }
    Ok(())
}
