use tokio_postgres::types::FromSql;

use crate::link::error::Failure;

/// A row of an answer, on whatever connection it came.
#[derive(Debug)]
pub(crate) enum Row {
    Own(tokio_postgres::Row),
    #[cfg(feature = "sqlx")]
    Sqlx(sqlx::postgres::PgRow),
}

impl Row {
    /// Reads a column.
    pub(crate) fn try_get<'a, T: FromSql<'a>>(&'a self, column: usize) -> Result<T, Failure> {
        match self {
            Self::Own(row) => Ok(row.try_get(column)?),
            #[cfg(feature = "sqlx")]
            Self::Sqlx(row) => read_sqlx(row, column),
        }
    }
}

impl From<tokio_postgres::Row> for Row {
    fn from(row: tokio_postgres::Row) -> Self {
        Self::Own(row)
    }
}

/// Reads a column, as tokio-postgres reads it.
#[cfg(feature = "sqlx")]
fn read_sqlx<'a, T: FromSql<'a>>(row: &'a sqlx::postgres::PgRow, column: usize) -> Result<T, Failure> {
    use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
    use tokio_postgres::types::Type;

    let value = row.try_get_raw(column)?;
    let named = value.type_info().oid().and_then(|oid| Type::from_oid(oid.0));
    let decoded = match named {
        Some(named) if T::accepts(&named) && value.is_null() => T::from_sql_null(&named),
        Some(named) if T::accepts(&named) => value.as_bytes().and_then(|bytes| T::from_sql(&named, bytes)),
        _ => Err(format!("a column of type {}", value.type_info().name()).into()),
    };
    decoded.map_err(|error| Failure::Sqlx(sqlx::Error::Decode(error)))
}
