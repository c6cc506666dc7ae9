use std::env;

/// How much the suite does: `KP_CONFORMANCE=heavy` asks for more of what is drawn at random or raced.
const LEVEL: &str = "KP_CONFORMANCE";
/// The first of the seeds that random sequences and histories are drawn from, 0 by default.
const SEED: &str = "KP_CONFORMANCE_SEED";

/// So many by default, and so many at the heavy level.
pub(crate) fn by_level(default: u64, heavy: u64) -> u64 {
    if env::var_os(LEVEL).is_some_and(|level| level == "heavy") {
        heavy
    } else {
        default
    }
}

/// The seeds of a run.
pub(crate) fn seeds(default: u64, heavy: u64) -> impl Iterator<Item = u64> {
    let first: u64 = env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    (0..by_level(default, heavy)).map(move |n| first.wrapping_add(n))
}
