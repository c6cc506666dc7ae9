//! Spaces that cells of the decision table share. To make one takes longer than most cells, and a cell that calls one pool alone needs
//! no more than a pool of its own.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kp_core::server::KeyPackageStore;

use crate::Factory;
use crate::decisions::Cell;
use crate::place::{Place, several_threads};
use crate::pool::Pool;

/// After so many cells a space is destroyed, and with it what the backend keeps of each of them is looked at.
const CELLS: usize = 40;

/// The spaces in which no cell runs now.
pub(crate) struct Rooms {
    factory: Arc<dyn Factory>,
    free: Mutex<Vec<Room>>,
}

/// A space with the pools of the cells that ran in it.
struct Room {
    place: Place<dyn KeyPackageStore>,
    store: Arc<dyn KeyPackageStore>,
    cells: Vec<String>,
}

impl Rooms {
    pub(crate) fn new(factory: &Arc<dyn Factory>) -> Self {
        let (factory, free) = (Arc::clone(factory), Mutex::default());
        Self { factory, free }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Room>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a cell that is on one pool, in a space that others have left or in a new one.
    pub(crate) fn run(&self, cell: Cell) -> Result<(), String> {
        let free = self.free().pop();
        let mut room = free.map_or_else(|| Room::open(&self.factory), Ok)?;
        let ran = room.run(cell);
        if ran.is_ok() && room.cells.len() < CELLS {
            self.free().push(room);
            return ran;
        }
        let closed = room.close();
        ran.and(closed)
    }

    /// Destroys the spaces that are left.
    pub(crate) fn close(&self) -> Result<(), String> {
        let rooms = mem::take(&mut *self.free());
        let closed: Vec<_> = rooms.into_iter().map(Room::close).collect();
        closed.into_iter().collect()
    }
}

impl Room {
    fn open(factory: &Arc<dyn Factory>) -> Result<Self, String> {
        let place = Place::new(several_threads(), factory, false)?;
        let opened = place.run(|context| Box::pin(async move { context.pool().await.store }));
        match opened {
            Ok(store) => Ok(Self {
                place,
                store,
                cells: Vec::new(),
            }),
            Err(failure) => {
                let _ = place.close();
                Err(failure)
            }
        }
    }

    fn run(&mut self, cell: Cell) -> Result<(), String> {
        self.cells.push(cell.name());
        let pool = Pool::new(Arc::clone(&self.store), &cell.name());
        self.place
            .run(move |_| Box::pin(async move { cell.run_on(pool).await }))
    }

    fn close(self) -> Result<(), String> {
        let Self { place, store, cells } = self;
        drop(store);
        let closed = place.close();
        closed.map_err(|failure| format!("{failure}\n\nof what these cells left: {}", cells.join("; ")))
    }
}
