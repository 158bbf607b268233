//! One way to speak SQL to SQLite and to PostgreSQL: the part of rusqlite's interface that the store uses, over both.
//!
//! A statement is one text that both understand, written as for SQLite; the little in which they differ is translated
//! once for each statement, see [`dialect`]. Over SQLite nothing is added to what rusqlite does.

mod copy;
mod dialect;
mod insert;
mod postgres;
mod row;
mod value;

use std::ops::Deref;
use std::path::Path;

pub use copy::CopyRows;
pub(super) use postgres::LANES;
pub use postgres::Server;
pub use row::{MappedRows, OptionalExtension, Row, Rows};
pub use value::{FromSql, Kind, Kinded, Params, ToSql, Value, ValueRef};

pub(crate) use value::params;

/// What can go wrong with a statement. No error holds a value of a row: it may be a card's hash.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("PostgreSQL: {}", postgres::describe(.0))]
    Postgres(tokio_postgres::Error),
    #[error("PostgreSQL: a statement of the transaction had failed")]
    Failed,
    #[error("PostgreSQL: {0}")]
    Unreachable(&'static str),
    #[error("no row was found where one must be")]
    NoRow,
    #[error("a value is not {0}")]
    Type(&'static str),
    #[error("column {column} is not {wanted}")]
    Column { column: usize, wanted: &'static str },
    #[error("a statement wants {wanted} values and was given {given}")]
    Values { wanted: usize, given: usize },
}

// Not as its source: that would be shown with the details that are left out here.
impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether others depend on what is deleted, or what is depended on is not there.
    pub fn is_foreign_key(&self) -> bool {
        match self {
            Self::Sqlite(error) => {
                let code = error.sqlite_error().map(|error| error.extended_code);
                code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
            }
            Self::Postgres(error) => error.code() == Some(&tokio_postgres::error::SqlState::FOREIGN_KEY_VIOLATION),
            _ => false,
        }
    }

    /// Whether somebody else held something for longer than was waited for.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy),
            Self::Postgres(error) => error.code() == Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE),
            _ => false,
        }
    }
}

/// A connection to a file or to a server.
pub struct Connection(Inner);

enum Inner {
    Sqlite(rusqlite::Connection),
    Postgres(Box<postgres::Session>),
}

impl Connection {
    /// A file for reading alone, as it stands; for whoever looks at one from outside.
    pub fn open_file(path: &Path) -> Result<Self> {
        Ok(rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?.into())
    }

    /// A session on a server.
    pub fn connect(server: &Server) -> Result<Self> {
        Ok(Self(Inner::Postgres(Box::new(postgres::Session::connect(server)?))))
    }

    /// The file's connection; `None`: it is a server's.
    pub fn sqlite(&self) -> Option<&rusqlite::Connection> {
        match &self.0 {
            Inner::Sqlite(connection) => Some(connection),
            Inner::Postgres(_) => None,
        }
    }

    pub(super) fn postgres(&self) -> Option<&postgres::Session> {
        match &self.0 {
            Inner::Sqlite(_) => None,
            Inner::Postgres(session) => Some(session),
        }
    }

    /// Whether it is good for nothing any more: the server is gone, or another one took its place.
    pub fn is_broken(&self) -> bool {
        self.postgres().is_some_and(postgres::Session::is_broken)
    }

    /// A statement, made once for each text.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        Ok(Statement(match &self.0 {
            Inner::Sqlite(connection) => InnerStatement::Sqlite(connection.prepare_cached(sql)?),
            Inner::Postgres(session) => InnerStatement::Postgres(session.prepare(sql, dialect::statement)),
        }))
    }

    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        self.prepare_cached(sql)
    }

    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.prepare_cached(sql)?.execute(params)
    }

    pub fn query_row<T>(&self, sql: &str, params: impl Params, map: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, map)
    }

    /// Runs a statement that writes one row for each of `rows`, no two of which have one key: on a server at once.
    pub fn execute_each<P: Params>(&self, sql: &str, rows: impl IntoIterator<Item = P>) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => {
                let mut statement = Statement(InnerStatement::Sqlite(connection.prepare_cached(sql)?));
                rows.into_iter().try_for_each(|row| statement.execute(row).map(drop))
            }
            Inner::Postgres(session) => session.execute_each(sql, rows),
        }
    }

    /// Writes new rows, whose values are those of `columns`: to a server at once, to a file many with one statement.
    pub fn insert_all(&self, table: &str, columns: &str, rows: &[impl Params]) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => insert::insert_all(connection, table, columns, rows),
            Inner::Postgres(_) if rows.is_empty() => Ok(()),
            Inner::Postgres(session) => {
                let mut copied = CopyRows::default();
                rows.iter().try_for_each(|row| copied.push(row))?;
                session.copy_in(&format!("{table} ({columns})"), &mut copied)
            }
        }
    }

    /// Asks a question for each of `rows`: of a server at once, so that an answer must say by itself which row it is to.
    pub fn query_each<P: Params, T>(
        &self,
        sql: &str,
        rows: impl IntoIterator<Item = P>,
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut answers = Vec::new();
        match &self.0 {
            Inner::Sqlite(_) => {
                let mut statement = self.prepare_cached(sql)?;
                for row in rows {
                    let mut found = statement.query(row)?;
                    while let Some(row) = found.next()? {
                        answers.push(map(&row)?);
                    }
                }
            }
            Inner::Postgres(session) => {
                for row in session.query_each(sql, rows)? {
                    answers.push(map(&Row(row::Inner::Postgres(&row)))?);
                }
            }
        }
        Ok(answers)
    }

    /// Runs a script.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Inner::Postgres(session) => session.batch(sql),
        }
    }

    /// Brings rows in at once, into `what`: a table with its columns. Of a server only.
    pub(super) fn copy_in(&self, what: &str, rows: &mut CopyRows) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(_) => Err(Error::Unreachable("a file takes no COPY")),
            Inner::Postgres(session) => session.copy_in(what, rows),
        }
    }

    /// Runs a script of migrations.
    pub(super) fn migrate(&self, script: &str) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch(script)?),
            Inner::Postgres(session) => session.batch(&dialect::schema(script)),
        }
    }

    /// Whether no other backend serves the store, nor begins to before this transaction has ended; a file has one.
    pub fn is_alone(&self) -> Result<bool> {
        self.postgres().map_or(Ok(true), postgres::Session::alone)
    }

    /// Keeps every other transaction from numbering cards, to the end of this one; a file has one transaction at a time.
    pub(super) fn number_cards(&self) -> Result<()> {
        self.postgres().map_or(Ok(()), postgres::Session::number_cards)
    }

    /// Whether no transaction is under way.
    pub fn is_autocommit(&self) -> bool {
        match &self.0 {
            Inner::Sqlite(connection) => connection.is_autocommit(),
            Inner::Postgres(session) => !session.in_transaction(),
        }
    }

    /// Begins a transaction that writes: one at a time on a store, whoever writes to it. A second one waits for a while.
    pub fn begin(&self) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch("BEGIN IMMEDIATE")?),
            Inner::Postgres(session) => session.begin(),
        }
    }

    pub fn commit(&self) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch("COMMIT")?),
            Inner::Postgres(session) => session.commit(),
        }
    }

    pub fn rollback(&self) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch("ROLLBACK")?),
            Inner::Postgres(session) => session.rollback(),
        }
    }

    /// Begins a transaction that writes and is rolled back unless it is committed.
    pub fn transaction(&self) -> Result<Transaction<'_>> {
        self.begin()?;
        Ok(Transaction(self))
    }

    /// Begins a transaction that reads what is there at one moment.
    pub fn begin_reading(&self) -> Result<()> {
        match &self.0 {
            Inner::Sqlite(connection) => Ok(connection.execute_batch("BEGIN")?),
            Inner::Postgres(session) => session.begin_reading(),
        }
    }

    /// Ends whatever transaction is under way; what it wrote is not there.
    pub fn abandon(&self) {
        if !self.is_autocommit() {
            match &self.0 {
                // What cannot be rolled back any more is rolled back by the end of the connection.
                Inner::Sqlite(connection) => drop(connection.execute_batch("ROLLBACK")),
                Inner::Postgres(session) => session.roll_back_unawaited(),
            }
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.sqlite().is_some() { "Connection to a file" } else { "Connection to a server" })
    }
}

impl From<rusqlite::Connection> for Connection {
    fn from(connection: rusqlite::Connection) -> Self {
        Self(Inner::Sqlite(connection))
    }
}

/// A transaction that is rolled back at its end unless it is committed.
pub struct Transaction<'c>(&'c Connection);

impl Transaction<'_> {
    pub fn commit(self) -> Result<()> {
        self.0.commit()
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// A statement that is ready to be run.
pub struct Statement<'c>(InnerStatement<'c>);

enum InnerStatement<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    Postgres(postgres::Statement<'c>),
}

impl Statement<'_> {
    /// Runs it; says how many rows it wrote.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        match &mut self.0 {
            InnerStatement::Sqlite(statement) => {
                bind(statement, &params)?;
                Ok(statement.raw_execute()?)
            }
            InnerStatement::Postgres(statement) => statement.execute(&params),
        }
    }

    pub fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        match &mut self.0 {
            InnerStatement::Sqlite(statement) => {
                bind(statement, &params)?;
                Ok(Rows::Sqlite(statement.raw_query()))
            }
            InnerStatement::Postgres(statement) => Ok(Rows::Postgres(statement.query(&params)?.into_iter(), None)),
        }
    }

    pub fn query_map<T, F: FnMut(&Row<'_>) -> Result<T>>(
        &mut self,
        params: impl Params,
        map: F,
    ) -> Result<MappedRows<'_, F>> {
        Ok(MappedRows { rows: self.query(params)?, map })
    }

    /// The first row; [`Error::NoRow`] where there is none.
    pub fn query_row<T>(&mut self, params: impl Params, map: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        let mut rows = self.query(params)?;
        map(&rows.next()?.ok_or(Error::NoRow)?)
    }
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, params: &impl Params) -> Result<()> {
    let mut given = 0;
    params.each(&mut |value| {
        given += 1;
        Ok(statement.raw_bind_parameter(given, value)?)
    })?;
    let wanted = statement.parameter_count();
    if given == wanted { Ok(()) } else { Err(Error::Values { wanted, given }) }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null(_) => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Real(number) => ValueRef::Real(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
