//! The other processes: what the suite tells them, what they do, and what they answer.
//!
//! A worker is the test's own executable, started again with the same arguments and an order in its environment. It writes a line to its
//! standard output for each package it got, and nothing else; whatever goes wrong ends it with a message on standard
//! error.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::{env, io};

use futures::future::join_all;
use kp_core::KeyPackageRef;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::packages::at;
use crate::progress::Progress;
use crate::{Context, Factory, Space};

const JOB: &str = "KP_CONFORMANCE_JOB";
const SPACE: &str = "KP_CONFORMANCE_SPACE";
const DIR: &str = "KP_CONFORMANCE_DIR";
const FIRST: &str = "KP_CONFORMANCE_FIRST";
const COUNT: &str = "KP_CONFORMANCE_COUNT";

/// How many calls of a worker are under way at once.
pub(crate) const AT_ONCE: usize = 5;

/// What a worker is to do with its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Reserve,
    Claim,
}

/// What a worker is told.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    job: Job,
    space: Space,
    /// The first of the ids that it asks with.
    first: u64,
    /// How many ids.
    count: u64,
}

impl Order {
    pub(crate) fn new(job: Job, space: &Space, first: u64, count: u64) -> Self {
        let space = space.clone();
        Self {
            job,
            space,
            first,
            count,
        }
    }

    /// The order in this process's environment: there is one in a worker's, and in no other.
    pub(crate) fn from_env() -> Option<Self> {
        let job = match env::var(JOB).ok()?.as_str() {
            "reserve" => Job::Reserve,
            "claim" => Job::Claim,
            _ => return None,
        };
        Some(Self {
            job,
            space: Space::at(env::var(SPACE).ok()?, PathBuf::from(env::var_os(DIR)?)),
            first: number(FIRST)?,
            count: number(COUNT)?,
        })
    }
}

fn number<T: FromStr>(variable: &str) -> Option<T> {
    env::var(variable).ok()?.parse().ok()
}

/// How a worker names a package.
pub(crate) fn name(key_package_ref: &KeyPackageRef) -> String {
    let mut name = String::new();
    for byte in key_package_ref.as_bytes() {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The whole life of a worker.
pub(crate) fn obey(order: Order, factory: Arc<dyn Factory>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(work(order, factory))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn work(order: Order, factory: Arc<dyn Factory>) -> io::Result<()> {
    let pool = Context::new(factory, order.space.clone()).pool().await;
    let lane = |lane: u64| {
        let (pool, order) = (&pool, &order);
        async move {
            for n in (lane..order.count).step_by(AT_ONCE) {
                let take = pool.take(order.first + n);
                let answer = pool.taken(order.job == Job::Claim, &take, at(0)).await;
                let named = answer.map_err(|rejection| io::Error::other(format!("id {n}: {rejection}")))?;
                let mut out = io::stdout().lock();
                writeln!(out, "{}", name(&named))?;
                out.flush()?;
            }
            Ok(())
        }
    };
    join_all((0..AT_ONCE as u64).map(lane)).await.into_iter().collect()
}

/// A worker, as the suite sees it. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    progress: Progress,
}

impl Worker {
    /// Each package that it gets is progress of the check.
    pub(crate) fn start(order: &Order, progress: &Progress) -> Self {
        let executable = env::current_exe().expect("the test knows its own executable");
        let job = match order.job {
            Job::Reserve => "reserve",
            Job::Claim => "claim",
        };
        let mut command = Command::new(executable);
        // A group of its own: what a worker starts is killed with it.
        #[cfg(unix)]
        command.process_group(0);
        let child = command
            .args(env::args_os().skip(1))
            .env(JOB, job)
            .env(SPACE, order.space.name())
            .env(DIR, order.space.dir())
            .env(FIRST, order.first.to_string())
            .env(COUNT, order.count.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        Self {
            child: child.expect("the test can start its own executable"),
            progress: progress.clone(),
        }
    }

    /// The packages that it got, when it has done its work.
    pub(crate) async fn refs(mut self) -> Vec<String> {
        let mut lines = self.lines();
        let mut refs = Vec::new();
        while let Some(line) = self.next(&mut lines).await {
            refs.push(line);
        }
        let status = self.child.wait().await.expect("the worker can be waited for");
        assert!(status.success(), "the worker failed: {status}");
        refs
    }

    fn lines(&mut self) -> Lines<BufReader<ChildStdout>> {
        BufReader::new(self.child.stdout.take().expect("it is piped")).lines()
    }

    async fn next(&self, lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
        let line = lines.next_line().await.expect("it can be read");
        self.progress.step();
        line
    }

    /// Kills it when it has got so many packages; gives back all that it said it got.
    pub(crate) async fn killed_after(mut self, count: usize) -> Vec<String> {
        let mut lines = self.lines();
        let mut refs = Vec::new();
        while refs.len() < count {
            match self.next(&mut lines).await {
                Some(line) => refs.push(line),
                None => panic!("the worker ended after {} packages", refs.len()),
            }
        }
        #[cfg(unix)]
        if let Some(group) = self
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).expect("it can be killed");
        }
        self.child.kill().await.expect("it can be killed");
        // What it wrote before it died, but for a line cut short.
        let mut rest = String::new();
        let read = lines.into_inner().read_to_string(&mut rest).await;
        read.expect("it can be read");
        let whole = rest.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        refs.extend(whole.map(str::to_owned));
        refs
    }
}
