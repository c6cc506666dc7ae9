use crate::machine::Machine;
use crate::measure::backend::Backend;
use crate::measure::in_flight::Run;
use crate::measure::ratio::Ratio;
use crate::measure::work::Work;

/// All that was measured.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// What this machine has no server for.
    pub(crate) missing: Vec<Backend>,
    /// Bytes for each package stored.
    pub(crate) footprint: Vec<(Backend, f64)>,
    /// Every call.
    pub(crate) calls: Vec<Figure>,
    /// Reserve and spend, by the number of callers.
    pub(crate) callers: Vec<Figure>,
    /// Reserve and spend, by the number of packages stored.
    pub(crate) stored: Vec<Figure>,
    /// Against the floors.
    pub(crate) ratios: Vec<Ratio>,
}

/// One thing measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) backend: Backend,
    pub(crate) work: Work,
    pub(crate) callers: usize,
    pub(crate) stored: u32,
    pub(crate) per_second: f64,
    /// Of single answers, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Figure {
    pub(crate) fn new(backend: Backend, work: Work, callers: usize, stored: u32, run: &Run) -> Self {
        let [p50, p99] = run.percentiles();
        Self {
            backend,
            work,
            callers,
            stored,
            per_second: run.per_second(),
            p50,
            p99,
        }
    }
}
