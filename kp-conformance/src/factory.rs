use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::OpenError;
use kp_core::moving::MovePools;
use kp_core::rules::Limits;
use kp_core::server::KeyPackageStore;
use tempfile::TempDir;

use crate::Method;

/// Opens the stores that the suite checks: what the author of a backend writes, in some 25 lines.
///
/// The suite makes a new [`Space`] for every check, and one for some dozens of the cells of the decision table, each of which has
/// a pool of its own. A space opened twice is a second handle on the same packages; opened
/// again after its handles were dropped, a reopening; opened in a child process (the suite starts the test binary
/// again, whose `main` makes the factory anew), another process.
///
/// `S` is the trait under test: [`KeyPackageStore`] unless said otherwise, and
/// [`PoolMetadataStore`](kp_core::client::PoolMetadataStore) for [`metadata_main`](crate::metadata_main).
#[async_trait]
pub trait Factory<S: ?Sized + 'static = dyn KeyPackageStore>: Send + Sync + 'static {
    /// The backend's name, as the report shows it.
    fn name(&self) -> &str;

    /// What the backend can do; what it cannot is shown as ignored, with the reason.
    fn facets(&self) -> Facets;

    /// Opens the store of this space, which is empty when it is opened for the first time.
    async fn open(&self, space: &Space) -> Result<Arc<S>, OpenError>;

    /// Opens the store of this space, as [`open`](Self::open) does, to move pools. Needed with the facet
    /// [`moves`](Facets::moves).
    async fn open_mover(&self, _space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Err(OpenError::Unreachable("the backend moves no pools".into()))
    }

    /// Removes what the space left behind. Its handles are dropped by then, unless the check hung.
    ///
    /// A panic here fails the check: the place to look whether what the backend keeps is whole.
    async fn destroy(&self, space: &Space);

    /// Begins an outage, and returns once it is in force. Of those of [`Facets::outages`] alone, and in spaces that are
    /// [apart](Space::is_apart).
    async fn disturb(&self, _space: &Space, outage: Outage) {
        unimplemented!("{outage:?} is a facet of {}", self.name());
    }

    /// Ends the outage, and returns once the engine works again.
    async fn mend(&self, _space: &Space, _outage: Outage) {}

    /// How many bytes the space takes, on disk or in the backend's server: for what the suite reports (`META-4`). `None`
    /// when that cannot be told.
    async fn bytes(&self, _space: &Space) -> Option<u64> {
        None
    }

    /// Whether the backend has this method, and has it to obey the rules: checks that can do without are made without.
    /// The whole contract unless said otherwise.
    fn offers(&self, _method: Method) -> bool {
        true
    }
}

/// What a backend can do beyond one handle in one process: `Facets::NONE.handles().reopens()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Facets {
    /// Several handles on one space, at the same time.
    pub handles: bool,
    /// What was answered is there when the space is opened again, all handles dropped in between.
    pub reopens: bool,
    /// Several processes on one space, at the same time.
    pub processes: bool,
    /// A store is opened with the [limits](Space::limits) of its space.
    pub limits: bool,
    /// A store hands pools over whole: [`open_mover`](Factory::open_mover) opens one.
    pub moves: bool,
    /// The factory can [`disturb`](Factory::disturb) the engine in these ways.
    pub outages: &'static [Outage],
}

/// How an engine is broken, for the checks that hold a store to what it says of a failure (`ERR-1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outage {
    /// All connections are cut, once. The engine takes new ones.
    Cut,
    /// The engine is killed. It is started again when the outage ends.
    Killed,
    /// The engine does not answer those who write.
    Hung,
    /// The engine takes reads alone, as a standby does.
    ReadOnly,
    /// There is no room for anything new.
    Full,
    /// Every commit fails.
    CommitFails,
}

impl Outage {
    const fn name(self) -> &'static str {
        match self {
            Self::Cut => "outages: cut",
            Self::Killed => "outages: killed",
            Self::Hung => "outages: hung",
            Self::ReadOnly => "outages: read-only",
            Self::Full => "outages: full",
            Self::CommitFails => "outages: commit fails",
        }
    }
}

impl Facets {
    /// One handle, once, in one process.
    pub const NONE: Self = Self {
        handles: false,
        reopens: false,
        processes: false,
        limits: false,
        moves: false,
        outages: &[],
    };

    /// Also with several [`handles`](Self::handles).
    #[must_use]
    pub const fn handles(self) -> Self {
        Self { handles: true, ..self }
    }

    /// Also when it [`reopens`](Self::reopens).
    #[must_use]
    pub const fn reopens(self) -> Self {
        Self { reopens: true, ..self }
    }

    /// Also in several [`processes`](Self::processes).
    #[must_use]
    pub const fn processes(self) -> Self {
        Self {
            processes: true,
            ..self
        }
    }

    /// Also with [`limits`](Self::limits).
    #[must_use]
    pub const fn limits(self) -> Self {
        Self { limits: true, ..self }
    }

    /// Also with [`outages`](Self::outages).
    #[must_use]
    pub const fn outages(self, outages: &'static [Outage]) -> Self {
        Self { outages, ..self }
    }

    /// Also one that [`moves`](Self::moves) pools.
    #[must_use]
    pub const fn moves(self) -> Self {
        Self { moves: true, ..self }
    }

    /// Returns the name of the first facet that is needed and not here: a check that needs it does not apply.
    #[must_use]
    pub fn missing(self, needed: Self) -> Option<&'static str> {
        let facets = [
            ("handles", needed.handles, self.handles),
            ("reopens", needed.reopens, self.reopens),
            ("processes", needed.processes, self.processes),
            ("limits", needed.limits, self.limits),
            ("moves", needed.moves, self.moves),
        ];
        let facet = facets.into_iter().find(|(_, needed, here)| *needed && !here);
        let outage = needed.outages.iter().find(|needed| !self.outages.contains(needed));
        facet
            .map(|(name, ..)| name)
            .or_else(|| outage.map(|outage| outage.name()))
    }
}

/// A place of its own for one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    name: String,
    dir: PathBuf,
    limits: Limits,
    is_apart: bool,
}

impl Space {
    /// A new one; its directory goes with the guard.
    pub(crate) fn create() -> io::Result<(Self, TempDir)> {
        let name = format!("kp-{:016x}", getrandom::u64()?);
        let guard = tempfile::Builder::new().prefix(&name).tempdir()?;
        let space = Self::at(name, guard.path().to_owned());
        Ok((space, guard))
    }

    /// One that another process made.
    pub(crate) fn at(name: String, dir: PathBuf) -> Self {
        Self {
            name,
            dir,
            limits: Limits::default(),
            is_apart: false,
        }
    }

    /// The same one, if its engine is to be disturbed.
    pub(crate) fn apart(self, is_apart: bool) -> Self {
        Self { is_apart, ..self }
    }

    /// The same one, with other limits.
    pub(crate) fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Unique among all spaces of all runs: 1 to 40 of `a-z`, `0-9` and `-`. Good for a key prefix or a table name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A directory for this space, which the suite made and removes. Good for a file.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How much a pool may hold here (`SAVE-6`): the default, but for checks that need the facet
    /// [`limits`](Facets::limits). All handles on a space have the same.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether its engine is to be disturbed: where spaces share an engine, this one needs one of its own.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.is_apart
    }
}
