//! A chat in a terminal, encrypted end to end with MLS. A delivery service keeps the pools of KeyPackages, over HTTP; one
//! process plays as many users as you like, each with a device of its own, whose pool is refreshed every few messages. The pools
//! are small, so that one sees them run empty, and fill. Each device has a second pool over the same storage, as a second
//! process would, and a clock that may be wrong.
//!
//! ```sh
//! cargo run -p keypackage-pool-chat              # the service and the users in one process; then /help
//! cargo run -p keypackage-pool-chat -- --script  # a story, every line checked
//!
//! cargo run -p keypackage-pool-chat -- --serve 127.0.0.1:8080           # the service alone, and in other terminals:
//! cargo run -p keypackage-pool-chat -- --server http://127.0.0.1:8080   # users
//! ```

mod chat;
mod clock;
mod script;
mod server;
mod session;
mod user;

use std::error::Error;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::iter::successors;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use chat::Chat;
use clap::Parser;
use server::Server;

/// A chat in a terminal, over a KeyPackage directory.
#[derive(Parser)]
struct Args {
    /// Plays a story instead, and checks it.
    #[arg(long)]
    script: bool,
    /// Is the delivery service, and nothing else, until it is interrupted. Port 0 takes a free one, and says which.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "script")]
    serve: Option<SocketAddr>,
    /// Meets the users of other processes, at the service with this address.
    #[arg(long, value_name = "URL", conflicts_with_all = ["serve", "dir"])]
    server: Option<String>,
    /// Keeps the directory's file here, to be looked at. The accounts live in the process: who comes back registers anew.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// After how many messages, sent and read, a user's pool is refreshed.
    #[arg(long, default_value = "5", conflicts_with_all = ["script", "serve"])]
    refresh_every: NonZeroU32,
}

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
    if let Some(address) = &args.server {
        return chat(&args, address.trim_end_matches('/')).await;
    }
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(dir)?;
    let listen = args.serve.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    let server = Server::start(listen, dir).await?;
    let address = format!("http://{}", server.address);
    println!("the delivery service is {address}, its pools are in {}", dir.display());
    if args.serve.is_some() {
        tokio::signal::ctrl_c().await?;
    } else {
        chat(&args, &address).await?;
    }
    server.stop().await
}

async fn chat(args: &Args, address: &str) -> Result<()> {
    let chat = Chat::new(address, args.refresh_every);
    if args.script {
        script::play(chat).await
    } else {
        talk(chat).await
    }
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
