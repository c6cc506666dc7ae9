use std::env;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How much the suite does, unless a program says otherwise: `KP_CONFORMANCE=heavy` asks for more of what is drawn at
/// random or raced, `quick` for less.
const LEVEL: &str = "KP_CONFORMANCE";
/// The first of the seeds that random sequences and histories are drawn from, 0 by default.
const SEED: &str = "KP_CONFORMANCE_SEED";

/// How much of what is drawn at random or raced the suite does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
pub(crate) enum Level {
    /// A fifth of the default.
    Quick,
    /// Less than a minute for a store of a few microseconds a call.
    #[default]
    Default,
    /// Thirty times the default.
    Heavy,
}

/// The level and the first seed of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) level: Level,
    pub(crate) seed: u64,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

impl Settings {
    /// Those of the environment.
    pub(crate) fn from_env() -> Self {
        let level = match env::var(LEVEL).as_deref() {
            Ok("quick") => Level::Quick,
            Ok("heavy") => Level::Heavy,
            _ => Level::Default,
        };
        let seed = env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
        Self { level, seed }
    }

    /// Holds for the whole process, if nothing has asked before.
    #[cfg(feature = "program")]
    pub(crate) fn set(self) {
        let _ = SETTINGS.set(self);
    }

    pub(crate) fn get() -> Self {
        *SETTINGS.get_or_init(Self::from_env)
    }
}

/// So many by default, and so many at the heavy level.
pub(crate) fn by_level(default: u64, heavy: u64) -> u64 {
    match Settings::get().level {
        Level::Quick => default.div_ceil(5),
        Level::Default => default,
        Level::Heavy => heavy,
    }
}

/// After so long, a check draws no other seed.
fn longest() -> Duration {
    Duration::from_secs(match Settings::get().level {
        Level::Quick | Level::Default => 60,
        Level::Heavy => 2_400,
    })
}

/// The seeds of a run, of what is drawn from them. On a machine that is starved they are fewer than asked for, at least one, and
/// a line says so.
// A person waits for the suite, so it is measured.
#[allow(clippy::disallowed_methods)]
pub(crate) fn seeds(drawn: &'static str, default: u64, heavy: u64) -> impl Iterator<Item = u64> {
    let (first, count) = (Settings::get().seed, by_level(default, heavy));
    let begin = Instant::now();
    let in_time = move |done: &u64| {
        let goes_on = *done == 0 || begin.elapsed() < longest();
        if !goes_on {
            let next = first.wrapping_add(*done);
            let seconds = longest().as_secs();
            eprintln!("starved, shortened: {done} of {count} {drawn} in {seconds} s; {SEED}={next} goes on");
        }
        goes_on
    };
    (0..count).take_while(in_time).map(move |n| first.wrapping_add(n))
}

/// How what was drawn from this seed is drawn again.
pub(crate) fn again(seed: u64) -> String {
    format!("again: with {SEED}={seed} in the environment, or --seed {seed}, it is drawn first")
}
