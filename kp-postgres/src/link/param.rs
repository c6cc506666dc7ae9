use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};

/// A parameter of a statement. `Debug` hides the value: tokio-postgres logs its parameters (ERR-4).
pub(crate) enum Param {
    Bytes(Vec<u8>),
    Int(i64),
    Text(Cow<'static, str>),
    ManyBytes(Vec<Option<Vec<u8>>>),
    ManyInts(Vec<Option<i64>>),
    ManyBools(Vec<Option<bool>>),
    ManyTexts(Vec<Cow<'static, str>>),
}

impl Param {
    /// Makes an array of bytes, none of which is NULL.
    pub(crate) fn all_bytes<B: AsRef<[u8]>>(bytes: impl IntoIterator<Item = B>) -> Self {
        Self::ManyBytes(bytes.into_iter().map(|bytes| Some(bytes.as_ref().to_vec())).collect())
    }

    /// Makes an array of numbers, none of which is NULL.
    pub(crate) fn all_ints(ints: impl IntoIterator<Item = i64>) -> Self {
        Self::ManyInts(ints.into_iter().map(Some).collect())
    }

    /// Gives each its type, as an unnamed statement wants it.
    pub(crate) fn typed(params: &[Self]) -> Vec<(&(dyn ToSql + Sync), Type)> {
        params.iter().map(|param| (param as _, param.value().1)).collect()
    }

    fn value(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Bytes(value) => (value, Type::BYTEA),
            Self::Int(value) => (value, Type::INT8),
            Self::Text(value) => (value, Type::TEXT),
            Self::ManyTexts(value) => (value, Type::TEXT_ARRAY),
            Self::ManyBytes(value) => (value, Type::BYTEA_ARRAY),
            Self::ManyInts(value) => (value, Type::INT8_ARRAY),
            Self::ManyBools(value) => (value, Type::BOOL_ARRAY),
        }
    }
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl ToSql for Param {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let (value, of_value) = self.value();
        if *ty != of_value {
            return Err(format!("a parameter of type {ty} is given as {of_value}").into());
        }
        value.to_sql_checked(ty, out)
    }

    /// Decided by [`to_sql`](Self::to_sql), which knows the value.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}
