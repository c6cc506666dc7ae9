use std::num::TryFromIntError;
use std::ops::Range;

/// Names the place of an entry in a [`Slab`]. A key has half the size of a pointer, since every index is made of keys.
pub(crate) type Key = u32;

/// Holds entries in the order in which they were added. The place of an entry does not change while the entry is there.
///
/// A place is used once, so that keys are in the order of entries. The room of removed entries is given back when the
/// owner moves the rest to another slab.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    vacant: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            vacant: 0,
        }
    }
}

impl<T> Slab<T> {
    /// Adds an entry. Fails when there are more places than keys.
    pub(crate) fn push(&mut self, entry: T) -> Result<Key, TryFromIntError> {
        let key = Key::try_from(self.places.len())?;
        if self.places.len() == self.places.capacity() {
            // Grows by an eighth: doubling would leave half of the memory of a large pool unused.
            self.places.reserve_exact(8.max(self.places.len() / 8));
        }
        self.places.push(Some(entry));
        Ok(key)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.places.get(key as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.places.get_mut(key as usize)?.as_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.places.get_mut(key as usize)?.take()?;
        self.vacant += 1;
        Some(entry)
    }

    /// Returns all entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let keyed = (0..).zip(&self.places);
        keyed.filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
    }

    /// Returns the entries at these places, in order.
    pub(crate) fn range(&self, places: Range<usize>) -> impl Iterator<Item = &T> {
        let places = self.places.iter().take(places.end).skip(places.start);
        places.flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.vacant
    }

    /// Returns whether most places are vacant.
    pub(crate) fn is_sparse(&self) -> bool {
        self.vacant > 64 && self.vacant > self.len()
    }

    /// Takes all entries, in order.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = T> {
        self.places.into_iter().flatten()
    }
}
