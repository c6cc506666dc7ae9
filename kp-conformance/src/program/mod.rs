//! The program `kp-conformance`: the suite on an adapter in any language.

mod args;
mod examine;
mod junit;
mod summary;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io, panic, thread};

use clap::Parser;

use self::args::Args;
use self::examine::{Examined, Item, examine_all};
use self::summary::Summary;
use crate::adapter::{AdapterError, Adapters, Profile, Session, Start, wire};
use crate::level::{Level, Settings};
use crate::suite::{USAGE, available_cores};
use crate::{Report, Verdict, worker};

/// A check failed.
const FAILED: u8 = 1;
/// There is no adapter to speak to.
const NO_ADAPTER: u8 = 3;
/// A report cannot be written.
const NOT_WRITTEN: u8 = 4;

/// The whole of the program's `main`, with the arguments of the command line.
///
/// It also plays the part of the other processes: the suite starts its own executable again.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if args.print_schema {
        println!("{:#}", wire::schema());
        return ExitCode::SUCCESS;
    }
    let settings = Settings {
        level: args.level,
        seed: args.seed,
    };
    settings.set();
    let is_of = |item: &Item, part: &String| item.name().contains(part);
    if let Some(unknown) = args
        .checks
        .iter()
        .find(|part| !Item::all().any(|item| is_of(&item, part)))
    {
        eprintln!("no check is called so: {unknown}. --list lists them.");
        return ExitCode::from(USAGE);
    }
    let chosen = |item: &Item| args.checks.is_empty() || args.checks.iter().any(|part| is_of(item, part));
    let items: Vec<_> = Item::all().filter(chosen).collect();
    if args.list {
        let names: String = items.iter().map(|item| format!("{}\n", item.name())).collect();
        // Whoever reads the beginning alone has seen enough.
        let _ = io::stdout().write_all(names.as_bytes());
        return ExitCode::SUCCESS;
    }
    silence_checks();
    let adapters = match started(&args) {
        Ok(adapters) => adapters,
        Err(fault) => {
            eprintln!("no check was run: {fault}");
            return ExitCode::from(NO_ADAPTER);
        }
    };
    let done = match worker::Order::from_env() {
        Some(order) => worker::obey(order, Arc::new(Session::new(&adapters))),
        None => run(&args, settings, &adapters, &items),
    };
    let killed = adapters.end();
    if killed > 0 {
        eprintln!("{killed} adapters did not end with their standard input, and were killed");
    }
    done
}

/// Starts the first adapter.
fn started(args: &Args) -> Result<Arc<Adapters>, AdapterError> {
    let start = Start {
        command: args.adapter.iter().chain(&args.adapter_arguments).cloned().collect(),
        timeout: Duration::from_secs(args.timeout),
        trace: args.trace,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| AdapterError::NotStarted {
        command: start.shown(),
        why: error.to_string(),
    })?;
    runtime.block_on(Adapters::start(start, args.profile))
}

/// What a check says when it panics is in the report; what panics elsewhere is a fault of the program.
fn silence_checks() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        if thread::current().name() != Some("tokio-rt-worker") {
            others(panicked);
        }
    }));
}

/// A person waits for it, so it is measured.
#[allow(clippy::disallowed_methods)]
fn run(args: &Args, settings: Settings, adapters: &Arc<Adapters>, items: &[Item]) -> ExitCode {
    let begin = Instant::now();
    let jobs = args.jobs.map_or_else(available_cores, Into::into);
    let examined = examine_all(adapters, items, jobs);
    let report = Report {
        backend: adapters.name().to_owned(),
        findings: examined.iter().map(|one| one.finding.clone()).collect(),
    };
    let words: Vec<_> = args.adapter.iter().map(|word| word.to_string_lossy()).collect();
    let further: Vec<_> = args
        .adapter_arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let further = if further.is_empty() {
        String::new()
    } else {
        format!(" -- {}", further.join(" "))
    };
    let summary = Summary {
        report: &report,
        examined: &examined,
        took: begin.elapsed(),
        adapter: words.join(" ") + &further,
        options: options(args, settings),
    };
    // Whoever reads the beginning alone has seen enough.
    let _ = write!(io::stdout(), "{summary}");
    if let Err(error) = write_reports(args, &report, &examined, begin.elapsed()) {
        eprintln!("the report cannot be written: {error}");
        return ExitCode::from(NOT_WRITTEN);
    }
    let failed = report
        .findings
        .iter()
        .any(|finding| matches!(finding.verdict, Verdict::Failed(_)));
    if failed {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    }
}

/// The options without which a check would not do the same again.
fn options(args: &Args, settings: Settings) -> String {
    let mut options = String::new();
    if args.profile != Profile::Full {
        options += &format!("--profile {} ", args.profile.name());
    }
    match settings.level {
        Level::Quick => options += "--level quick ",
        Level::Default => {}
        Level::Heavy => options += "--level heavy ",
    }
    if settings.seed != 0 {
        options += &format!("--seed {} ", settings.seed);
    }
    options
}

fn write_reports(args: &Args, report: &Report, examined: &[Examined], took: Duration) -> io::Result<()> {
    if let Some(path) = &args.junit {
        junit::write(path, &report.backend, examined, took)?;
    }
    if let Some(path) = &args.json {
        fs::write(path, report.to_json() + "\n")?;
    }
    Ok(())
}
