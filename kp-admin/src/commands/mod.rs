//! The commands, each in a file of its own.

mod check;
mod copy;
mod counts;
mod damage;
mod digest;
mod pools;
mod reads;
mod show;
mod sweep;
mod take_back;
mod watch;

use std::time::SystemTime;

use clap::CommandFactory as _;
use kp_core::Timestamp;

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::report::write;
use crate::stores::{self, Store};

#[expect(
    clippy::disallowed_methods,
    reason = "an operator's command is a service, and this is its clock"
)]
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Prints the page of the command, or of one of its commands.
fn man(of: Option<&str>) -> Result<(), Failure> {
    let mut command = Args::command();
    command.build();
    let page = match of {
        None => &command,
        Some(name) => command
            .find_subcommand(name)
            .ok_or(Failure::Usage("there is no such command"))?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone()).render(&mut text)?;
    write(&text)
}

/// Opens a store that is there: only a copy makes one.
async fn open(url: &str) -> Result<Store, Failure> {
    stores::open(url, false).await
}

pub(crate) async fn run(Args { json, command }: Args) -> Result<(), Failure> {
    match command {
        Command::Pools { store } => pools::run(&open(&store).await?, json).await,
        Command::Show { store, pool } => show::run(&open(&store).await?, pool, json).await,
        Command::Counts { store, low } => counts::run(&open(&store).await?, low.mark, json).await,
        Command::Watch {
            store,
            low,
            every,
            looks,
        } => watch::run(&open(&store).await?, low.mark, every, looks, json).await,
        Command::Cleanup { store, skew } => sweep::clean_up(&open(&store).await?, skew, json).await,
        Command::RetireUnspent {
            store,
            before,
            confirmed,
        } => sweep::retire(&open(&store).await?, before, confirmed.yes, json).await,
        Command::Withdraw { store, pool, confirmed } => {
            take_back::withdraw(&open(&store).await?, &pool, confirmed.yes, json).await
        }
        Command::Delete { store, pool, confirmed } => {
            take_back::delete(&open(&store).await?, &pool, confirmed.yes, json).await
        }
        Command::Check {
            store,
            repair,
            confirmed,
        } => check::run(&open(&store).await?, repair, confirmed.yes, json).await,
        Command::Copy {
            from,
            to,
            rate,
            at_once,
        } => copy::run(&from, &to, rate, at_once, json).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "kp", &mut script);
            write(&script)
        }
        Command::Man { of } => man(of.as_deref()),
    }
}
