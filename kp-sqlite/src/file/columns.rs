use kp_core::Timestamp;
use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};

use crate::file::error::{Damage, Failure};

/// Reads the columns of a row, and reports every value that this crate would not write.
#[derive(Debug)]
pub(crate) struct Columns<'a, 'r> {
    row: &'a Row<'r>,
    pub(crate) key: i64,
}

impl<'a, 'r> Columns<'a, 'r> {
    /// Takes a row whose first column is its key.
    pub(crate) fn of(row: &'a Row<'r>) -> Result<Self, Failure> {
        Ok(Self { row, key: row.get(0)? })
    }

    pub(crate) fn damage(&self, column: &'static str) -> Failure {
        Damage { key: self.key, column }.into()
    }

    pub(crate) fn get<T: FromSql>(&self, index: usize, name: &'static str) -> Result<T, Failure> {
        self.row.get(index).map_err(|_| self.damage(name))
    }

    fn value(&self, index: usize) -> Result<ValueRef<'_>, Failure> {
        Ok(self.row.get_ref(index)?)
    }

    /// Reads a value, and converts it.
    pub(crate) fn made<'v, V: Value<'v>, T>(
        &'v self,
        index: usize,
        name: &'static str,
        make: impl FnOnce(V) -> Option<T>,
    ) -> Result<T, Failure> {
        V::of(self.value(index)?)
            .and_then(make)
            .ok_or_else(|| self.damage(name))
    }

    /// Reads bytes that may be NULL.
    pub(crate) fn optional_bytes(&self, index: usize, name: &'static str) -> Result<Option<&[u8]>, Failure> {
        match self.value(index)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => Ok(Some(bytes)),
            _ => Err(self.damage(name)),
        }
    }

    /// Reads bytes that may be NULL, and converts them.
    pub(crate) fn optional<T>(
        &self,
        index: usize,
        name: &'static str,
        make: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let bytes = self.optional_bytes(index, name)?;
        bytes
            .map(|bytes| make(bytes).ok_or_else(|| self.damage(name)))
            .transpose()
    }

    pub(crate) fn time(&self, index: usize, name: &'static str) -> Result<Timestamp, Failure> {
        self.made(index, name, Timestamp::new)
    }

    pub(crate) fn optional_time(&self, index: usize, name: &'static str) -> Result<Option<Timestamp>, Failure> {
        match self.value(index)? {
            ValueRef::Null => Ok(None),
            _ => self.time(index, name).map(Some),
        }
    }
}

/// A type that a column must hold.
pub(crate) trait Value<'v>: Sized {
    fn of(value: ValueRef<'v>) -> Option<Self>;
}

impl<'v> Value<'v> for i64 {
    fn of(value: ValueRef<'v>) -> Option<Self> {
        value.as_i64().ok()
    }
}

impl<'v> Value<'v> for &'v [u8] {
    fn of(value: ValueRef<'v>) -> Option<Self> {
        value.as_blob().ok()
    }
}

impl<'v> Value<'v> for &'v str {
    fn of(value: ValueRef<'v>) -> Option<Self> {
        value.as_str().ok()
    }
}
