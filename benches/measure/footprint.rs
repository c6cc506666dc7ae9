use kp_core::server::KeyPackageStore;
use kp_memory::MemoryStore;
use kp_sqlite::SqliteStore;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::Fallible;
use super::backend::{Backend, Subject, on_disk};
use super::inputs::{self, NOW, PER_POOL};
use super::servers::Server;

/// 100,000 packages.
const POOLS: u32 = 1_000;

/// How many bytes a backend needs for a package: of the process, of the server, or on the disk.
///
/// For memory, ask before anything else is done in the process: memory that was used and given back counts for nothing
/// when it is used again.
pub(crate) async fn bytes_per_package(backend: Backend) -> Fallible<f64> {
    let bytes = match backend {
        Backend::Memory => of_this_process().await?,
        Backend::Sqlite => of_the_file().await?,
        Backend::RedisEverysec | Backend::RedisAlways => of_the_server(&backend.open().await?).await?,
    };
    Ok(bytes as f64 / f64::from(POOLS * PER_POOL))
}

async fn of_this_process() -> Fallible<u64> {
    let store = MemoryStore::new();
    let before = resident()?;
    fill(&store).await?;
    Ok(resident()? - before)
}

async fn of_the_file() -> Fallible<u64> {
    let dir = on_disk()?;
    let file = dir.path().join("pools.db");
    let store = SqliteStore::open(&file).await?;
    fill(&store).await?;
    // Its log is in the file then.
    store.close().await?;
    Ok(std::fs::metadata(file)?.len())
}

async fn of_the_server(subject: &Subject) -> Fallible<u64> {
    let server = subject.server.as_ref().ok_or("no server")?;
    // The script is there before the first package.
    let save = inputs::save(POOLS, 0..1, inputs::lifetime()?)?;
    subject.store.save_key_packages(&save, NOW).await?;
    let before = used(server)?;
    fill(&*subject.store).await?;
    Ok(used(server)? - before)
}

/// One pool after the other: what is on its way does not count.
async fn fill(store: &dyn KeyPackageStore) -> Fallible<()> {
    for pool in 0..POOLS {
        let save = inputs::save(pool, 0..PER_POOL, inputs::lifetime()?)?;
        store.save_key_packages(&save, NOW).await?;
    }
    Ok(())
}

/// What this process has of the machine's memory.
fn resident() -> Fallible<u64> {
    let process = sysinfo::get_current_pid()?;
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[process]), false, what);
    Ok(system.process(process).ok_or("no such process")?.memory())
}

/// What the server says that it has in use.
fn used(server: &Server) -> Fallible<u64> {
    let info: String = server.command(&["INFO", "memory"])?;
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.ok_or("no used_memory")?.trim().parse()?)
}
