//! A chat in a terminal, encrypted end to end with MLS. One process plays all users, who meet over one KeyPackage
//! directory in SQLite; each has a pool of its own, which is refreshed every few messages. The pools are small, so that
//! one sees them run empty, and fill. Each device has a second pool over the same storage, as a
//! second process would, and a clock that may be wrong.
//!
//! `cargo run --example chat`, and then `/help`; or `cargo run --example chat -- --script`: a story, every line checked.

mod chat;
mod clock;
mod script;
mod user;

#[allow(dead_code, reason = "the quickstart's, of which a part is needed here")]
#[path = "../quickstart/story.rs"]
mod story;

use std::error::Error;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::iter::successors;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use chat::Chat;
use clap::Parser;
use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::server::KeyPackageDirectory;
use keypackage_pool::sqlite::SqliteStore;

/// A chat in a terminal, over a KeyPackage directory.
#[derive(Parser)]
struct Args {
    /// Plays a story instead, and checks it.
    #[arg(long)]
    script: bool,
    /// Keeps the directory's file here, to be looked at. The users live in the process: who comes back registers anew.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// After how many messages, sent and read, a user's pool is refreshed.
    #[arg(long, default_value = "5", conflicts_with = "script")]
    refresh_every: NonZeroU32,
}

/// Fewer KeyPackages than this are low, says the server.
const LOW: u32 = 3;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n  ✗ {}", explain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(dir)?;
    let path = dir.join("keypackages.db");
    println!("A chat over a KeyPackage directory in {}", path.display());
    let store = SqliteStore::open(&path).await?;
    let directory = KeyPackageDirectory::builder(Arc::new(store.clone()), OpenMlsAdmission::new())
        .cap_per_ciphersuite(user::SIZES.cap)
        .low_below(LOW)
        .build()?;
    let chat = Chat::new(directory, args.refresh_every);
    if args.script {
        script::play(chat).await?;
    } else {
        talk(chat).await?;
    }
    Ok(store.close().await?)
}

/// Reads a line, does what it says, and shows what comes of it, until the end.
async fn talk(mut chat: Chat) -> Result<()> {
    println!("/user NAME to begin, /help for the rest");
    let mut input = std::io::stdin().lock();
    let prompts = std::io::stdin().is_terminal();
    loop {
        if prompts {
            print!("{} ", chat.prompt());
            std::io::stdout().flush()?;
        }
        let mut typed = Vec::new();
        if input.read_until(b'\n', &mut typed)? == 0 || typed.trim_ascii() == b"/quit" {
            return Ok(());
        }
        match chat.type_in(&String::from_utf8_lossy(&typed)).await {
            Ok(lines) => lines.iter().for_each(|line| println!("  {line}")),
            Err(error) => println!("  {}", explain(&*error)),
        }
    }
}

/// An error and what it comes from, in one line.
fn explain(error: &dyn Error) -> String {
    let causes = successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
