use kp_core::server::KeyPackageStore;
use kp_memory::MemoryStore;
use kp_sqlite::SqliteStore;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::Fallible;
use super::backend::{Backend, Subject, on_disk};
use super::floor;
use super::inputs::{self, Kind, NOW, PAYLOAD, PER_POOL};
use super::servers::Server;

/// 100,000 packages, and 10,000 of the larger ones.
const fn pools(kind: Kind) -> u32 {
    if kind.payload == PAYLOAD { 1_000 } else { 100 }
}

/// How many bytes a backend needs for a package of this size: of the process, of the server, or on the disk.
///
/// For memory, ask before anything else is done in the process: memory that was used and given back counts for nothing
/// when it is used again.
pub(crate) async fn bytes_per_package(backend: Backend, payload: usize) -> Fallible<f64> {
    let kind = Kind::of(payload)?;
    let bytes = match backend {
        Backend::Memory => of_this_process(kind).await?,
        Backend::Sqlite => of_the_file(kind).await?,
        Backend::RedisEverysec | Backend::RedisAlways => of_the_server(&backend.open().await?, kind).await?,
        Backend::Postgres => of_the_tables(&backend.open().await?, kind).await?,
    };
    Ok(bytes as f64 / f64::from(pools(kind) * PER_POOL))
}

async fn of_this_process(kind: Kind) -> Fallible<u64> {
    let store = MemoryStore::new();
    let before = resident()?;
    fill(&store, kind).await?;
    let bytes = resident()? - before;
    // Kept, since memory that is given back counts for nothing when the next size uses it.
    std::mem::forget(store);
    Ok(bytes)
}

async fn of_the_file(kind: Kind) -> Fallible<u64> {
    let dir = on_disk()?;
    let file = dir.path().join("pools.db");
    let store = SqliteStore::open(&file).await?;
    fill(&store, kind).await?;
    // Its log is in the file then.
    store.close().await?;
    Ok(std::fs::metadata(file)?.len())
}

async fn of_the_server(subject: &Subject, kind: Kind) -> Fallible<u64> {
    let server = subject.server.as_ref().ok_or("no server")?;
    // The script is there before the first package.
    let save = inputs::save(pools(kind), 0..1, kind)?;
    subject.store.save_key_packages(&save, NOW).await?;
    let before = used(server)?;
    fill(&*subject.store, kind).await?;
    Ok(used(server)? - before)
}

async fn of_the_tables(subject: &Subject, kind: Kind) -> Fallible<u64> {
    fill(&*subject.store, kind).await?;
    size_of_tables(subject).await
}

/// What a store takes now: of this process, of the server's memory, or on the disk, its log included where it is a file.
pub(crate) async fn size(subject: &Subject) -> Fallible<u64> {
    match subject.backend {
        Backend::Memory => resident(),
        Backend::Sqlite => {
            let files = std::fs::read_dir(subject.dir())?;
            files.map(|file| Ok(file?.metadata()?.len())).sum()
        }
        Backend::RedisEverysec | Backend::RedisAlways => used(subject.server.as_ref().ok_or("no server")?),
        Backend::Postgres => size_of_tables(subject).await,
    }
}

/// The tables of the pools, with their indexes.
pub(crate) async fn size_of_tables(subject: &Subject) -> Fallible<u64> {
    let client = floor::postgres::connect(&subject.postgres()?.url()).await?;
    let sizes = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
                 WHERE relkind = 'r' AND relname LIKE 'keypackage\\_pool%'";
    Ok(u64::try_from(client.query_one(sizes, &[]).await?.get::<_, i64>(0))?)
}

/// One pool after the other: what is on its way does not count.
async fn fill(store: &dyn KeyPackageStore, kind: Kind) -> Fallible<()> {
    for pool in 0..pools(kind) {
        let save = inputs::save(pool, 0..PER_POOL, kind)?;
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
