use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::Instant;

use kp_test_support::postgres::postgres_version;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::figures::duration;
use crate::measure::Fallible;
use crate::measure::backend::{on_disk, redis_version};
use crate::measure::ratio::median;

/// What it was measured on: by name and value.
pub(crate) struct Machine(pub(crate) Vec<(&'static str, String)>);

impl Machine {
    pub(crate) fn look() -> Fallible<Self> {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(what);
        let model = system.cpus().first().map_or("unknown", |cpu| cpu.brand().trim());
        let gigabytes = system.total_memory() as f64 / f64::from(1 << 30);
        let unknown = || "unknown".to_owned();
        let mut facts = vec![
            ("processor", format!("{model}, {} cores", system.cpus().len())),
            ("memory", format!("{gigabytes:.1} GiB")),
            ("system", System::long_os_version().unwrap_or_else(unknown)),
            ("kernel", System::kernel_version().unwrap_or_else(unknown)),
            (
                "disk",
                format!("{} to append 4 KiB and sync (median of 100)", duration(sync()?)),
            ),
            ("compiler", rustc().unwrap_or_else(unknown)),
            ("SQLite", rusqlite::version().to_owned()),
        ];
        if let Some(server) = redis_version() {
            facts.push(("Redis", server));
        }
        if let Some(server) = postgres_version() {
            facts.push(("PostgreSQL", server));
        }
        if cfg!(debug_assertions) {
            facts.push(("beware", "not an optimised build: run it with --release".to_owned()));
        }
        Ok(Self(facts))
    }
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// What a durable answer costs at least, in microseconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn sync() -> Fallible<f64> {
    let dir = on_disk()?;
    let mut file = File::create(dir.path().join("appended"))?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(times))
}
