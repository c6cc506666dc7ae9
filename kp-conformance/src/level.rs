use std::env;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How much the suite does, unless a program says otherwise: `KP_CONFORMANCE=heavy` asks for more of what is drawn at
/// random or raced, `quick` for less.
pub(crate) const LEVEL: &str = "KP_CONFORMANCE";
/// The first of the seeds that random sequences and histories are drawn from, 0 by default.
pub(crate) const SEED: &str = "KP_CONFORMANCE_SEED";

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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    pub(crate) level: Level,
    pub(crate) seed: u64,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

impl Settings {
    /// Those of the environment, or what is wrong with them.
    pub(crate) fn from_env() -> Result<Self, String> {
        Self::of(env::var(LEVEL).ok().as_deref(), env::var(SEED).ok().as_deref())
    }

    fn of(level: Option<&str>, seed: Option<&str>) -> Result<Self, String> {
        let level = match level {
            Some("quick") => Level::Quick,
            Some("heavy") => Level::Heavy,
            Some("default") | None => Level::Default,
            Some(other) => return Err(format!("{LEVEL}={other}: the levels are quick, default and heavy")),
        };
        let is_wrong = |seed| format!("{SEED}={seed}: a seed is a whole number from 0 on");
        let seed = seed.map_or(Ok(0), |seed| seed.parse().map_err(|_| is_wrong(seed)))?;
        Ok(Self { level, seed })
    }

    /// Holds for the whole process, if nothing has asked before.
    #[cfg(feature = "program")]
    pub(crate) fn set(self) {
        let _ = SETTINGS.set(self);
    }

    pub(crate) fn get() -> Self {
        *SETTINGS.get_or_init(|| Self::from_env().unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_a_seed_are_read_or_refused() {
        let read = |level, seed| Settings::of(level, seed).map(|settings| (settings.level, settings.seed));
        assert_eq!(read(None, None), Ok((Level::Default, 0)));
        assert_eq!(read(Some("quick"), Some("41")), Ok((Level::Quick, 41)));
        assert_eq!(read(Some("heavy"), None), Ok((Level::Heavy, 0)));
        let fast = "KP_CONFORMANCE=fast: the levels are quick, default and heavy";
        assert_eq!(read(Some("fast"), None), Err(fast.to_owned()));
        let negative = "KP_CONFORMANCE_SEED=-1: a seed is a whole number from 0 on";
        assert_eq!(read(None, Some("-1")), Err(negative.to_owned()));
    }
}
