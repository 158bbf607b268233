//! The rows of an answer.

use super::value::{FromSql, ValueRef};
use super::{Error, Result};

/// A row, as long as it is looked at.
#[derive(Clone, Copy)]
pub struct Row<'a>(pub(super) Inner<'a>);

#[derive(Clone, Copy)]
pub(super) enum Inner<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

/// The number of a column, from 0.
pub trait Index {
    fn index(self) -> usize;
}

impl Index for usize {
    fn index(self) -> usize {
        self
    }
}

impl<'a> Row<'a> {
    pub fn get<I: Index, T: FromSql>(&self, column: I) -> Result<T> {
        let column = column.index();
        T::from_sql(self.get_ref(column)?).map_err(|error| match error {
            Error::Type(wanted) => Error::Column { column, wanted },
            error => error,
        })
    }

    pub fn get_ref(&self, column: usize) -> Result<ValueRef<'a>> {
        match self.0 {
            Inner::Sqlite(row) => Ok(match row.get_ref(column)? {
                rusqlite::types::ValueRef::Null => ValueRef::Null,
                rusqlite::types::ValueRef::Integer(number) => ValueRef::Integer(number),
                rusqlite::types::ValueRef::Real(number) => ValueRef::Real(number),
                rusqlite::types::ValueRef::Text(bytes) => {
                    let text = std::str::from_utf8(bytes);
                    ValueRef::Text(text.map_err(|_| Error::Column { column, wanted: "a text in UTF-8" })?)
                }
                rusqlite::types::ValueRef::Blob(bytes) => ValueRef::Blob(bytes),
            }),
            Inner::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

/// The rows of an answer, one after the other.
pub enum Rows<'s> {
    Sqlite(rusqlite::Rows<'s>),
    /// All of them are here already: a connection to a server holds one answer at a time.
    Postgres(std::vec::IntoIter<tokio_postgres::Row>, Option<tokio_postgres::Row>),
}

impl Rows<'_> {
    #[expect(clippy::should_implement_trait, reason = "a row lives no longer than the next")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        Ok(match self {
            Self::Sqlite(rows) => rows.next()?.map(|row| Row(Inner::Sqlite(row))),
            Self::Postgres(rows, current) => {
                *current = rows.next();
                current.as_ref().map(|row| Row(Inner::Postgres(row)))
            }
        })
    }
}

/// What a function makes of each row.
pub struct MappedRows<'s, F> {
    pub(super) rows: Rows<'s>,
    pub(super) map: F,
}

impl<T, F: FnMut(&Row<'_>) -> Result<T>> Iterator for MappedRows<'_, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { rows, map } = self;
        rows.next().transpose().map(|row| row.and_then(|row| map(&row)))
    }
}

/// An answer that may be without a row.
pub trait OptionalExtension<T> {
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(row) => Ok(Some(row)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
