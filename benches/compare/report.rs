use crate::machine::Machine;
use crate::measure::backend::Backend;
use crate::measure::in_flight::Run;
use crate::measure::inputs::PAYLOADS;
use crate::measure::instead::Instead;
use crate::measure::ratio::Ratio;
use crate::measure::work::Work;

/// All that was measured.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// What this machine has no server for.
    pub(crate) missing: Vec<Backend>,
    /// Bytes for each package stored, for each size of packages.
    pub(crate) footprint: Vec<(Backend, [f64; PAYLOADS.len()])>,
    /// Every call.
    pub(crate) calls: Vec<Figure>,
    /// Reserve and spend, by the number of callers.
    pub(crate) callers: Vec<Figure>,
    /// Reserve and spend, by the number of packages stored.
    pub(crate) stored: Vec<Figure>,
    /// Reserve and spend, by the bytes of a package.
    pub(crate) sizes: Vec<(usize, Figure)>,
    /// Against the floors.
    pub(crate) ratios: Vec<Ratio>,
    /// Against what a server would use instead.
    pub(crate) instead: Vec<(Instead, Vec<Ratio>)>,
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

impl Report {
    /// What was measured of packages of this size: for each backend, the cycle and the bytes a package.
    pub(crate) fn of_size(&self, payload: usize) -> impl Iterator<Item = (Figure, f64)> {
        let place = PAYLOADS.iter().position(|size| *size == payload).unwrap_or_default();
        let figures = self.sizes.iter().filter(move |(size, _)| *size == payload);
        let bytes = self.footprint.iter().map(move |(_, bytes)| bytes[place]);
        figures.map(|(_, figure)| *figure).zip(bytes)
    }
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
