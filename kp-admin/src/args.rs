use clap::{Parser, Subcommand};
use clap_complete::Shell;
use kp_core::Timestamp;

use crate::pool_name::PoolName;

const AFTER: &str = "A STORE is sqlite:PATH, postgres://..., redis://... or redis-cluster://...\n\
    What is not default follows as ?schema=NAME (PostgreSQL), ?prefix=TEXT and\n\
    &buckets=N (Redis).\n\
    A POOL is its id, or hex: and the hexadecimal digits of its bytes.\n\n\
    Exit codes: 0 done; 1 a store failed; 2 wrong arguments; 3 a store cannot be\n\
    opened, or none is there: only copy makes one; 4 not confirmed, or no such pool;\n\
    5 a store is damaged, or two differ; 141 nobody reads the output any more.";

/// Looks at KeyPackage pools, cleans up, and copies them between stores.
#[derive(Debug, Parser)]
#[command(name = "kp", version, after_help = AFTER)]
pub(crate) struct Args {
    /// Print JSON, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the pools, one a line.
    Pools {
        /// The store.
        store: String,
    },
    /// Show one pool: its counts and its records.
    Show {
        /// The store.
        store: String,
        /// The pool.
        pool: PoolName,
    },
    /// Count all KeyPackages, by ciphersuite and health.
    Counts {
        /// The store.
        store: String,
        #[command(flatten)]
        low: Low,
    },
    /// Show the counts and rates until interrupted.
    Watch {
        /// The store.
        store: String,
        #[command(flatten)]
        low: Low,
        /// The seconds between two looks.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
        every: u64,
        /// Stop after so many looks.
        #[arg(long)]
        looks: Option<u64>,
    },
    /// Forget what has expired, and settle what has lapsed.
    Cleanup {
        /// The store.
        store: String,
        /// How far the clocks of nodes may be behind this one, in seconds: what expired within is kept.
        #[arg(long, default_value_t = 3_600)]
        skew: u64,
    },
    /// Retire what may have been spent since a backup was made.
    RetireUnspent {
        /// The store.
        store: String,
        /// KeyPackages first saved before this moment are retired, in Unix seconds.
        #[arg(long, value_parser = moment)]
        before: Timestamp,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Withdraw what is unspent of a pool: it stays remembered.
    Withdraw {
        /// The store.
        store: String,
        /// The pool.
        pool: PoolName,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Delete a pool whose device is gone, and its memory.
    Delete {
        /// The store.
        store: String,
        /// The pool.
        pool: PoolName,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Hold all that is stored against the rules, and mend on demand.
    ///
    /// Looks at every record and at all that is derived from records: counts, bounds, queues, bindings, indexes, and rows and keys
    /// that belong to no pool. Says what is wrong, and changes nothing without --repair.
    Check {
        /// The store.
        store: String,
        /// Derive anew what can be, remove what belongs to no pool, and look again. Asks. No server may use the store meanwhile.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Copy all pools to another store, and compare them.
    ///
    /// Run it again after an interruption: it goes on. No server may use either store meanwhile: both would hand out the same KeyPackages.
    Copy {
        /// The store to read.
        from: String,
        /// The store to fill. Its tables are made if there are none.
        to: String,
        /// The most KeyPackages a second.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// How many pools move at once.
        #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
        at_once: u16,
    },
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or that of a command.
    Man {
        /// The command.
        of: Option<String>,
    },
}

fn moment(seconds: &str) -> Result<Timestamp, String> {
    let seconds: i64 = seconds.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Timestamp::try_from(seconds).map_err(|invalid| invalid.to_string())
}

/// What asks before it changes anything.
#[derive(Debug, clap::Args)]
pub(crate) struct Confirmed {
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Where a pool begins to be low.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Low {
    /// A pool with fewer KeyPackages available is low.
    #[arg(long = "low", default_value_t = 8)]
    pub(crate) mark: u32,
}
