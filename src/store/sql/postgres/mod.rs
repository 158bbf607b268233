//! A session on a PostgreSQL server.
//!
//! What goes over the network is driven by one thread for all sessions; whoever asks waits for the answer where it
//! stands, on the writer's thread, a reader's or the command line's.

mod columns;
mod values;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::io::Cursor;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use futures::executor::block_on;
use futures::{FutureExt, SinkExt};
use tokio::runtime::Runtime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls};

use self::columns::Column;
pub(super) use self::values::storable;
use super::copy::CopyRows;
use super::value::{Params, Value};
use super::{Error, Result, dialect};

/// How long a server may take to answer to a new connection, whichever of several it is.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may be out of reach before it is given up.
const UNHEARD: Duration = Duration::from_secs(15);
/// As for SQLite, how long another one's transaction is waited for; and how soon the server notices, as we do of it, that
/// the machine at the other end is gone, whose locks would be held for hours by what systems have by default.
const SETTINGS: &str = "SET synchronous_commit = on; SET lock_timeout = '30s'; SET client_min_messages = warning;
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2; SET tcp_user_timeout = 15000";
/// How long a backend may say nothing within a transaction before that is rolled back: it is asleep, and others wait.
const ASLEEP: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// The locks of a store, by their numbers on the server: "fenlei" and a digit for the one of who serves it; "fenl" and
/// another number for those of transactions.
const SERVING: i64 = 0x66_65_6e_6c_65_69_31;
const LOCKS: i32 = 0x66_65_6e_6c;
/// The number of the lock of who gives new cards their numbers; those below it are the lanes'.
const CARDS: u8 = LANES;
/// In how many lanes the publishes of several backends are stored side by side: more than there are backends, so that
/// one that writes finds a free one, and few enough that a batch divided among them is still a batch.
pub(in crate::store) const LANES: u8 = 8;

/// Texts of statements that a session remembers, with what the server made of them. Some name what was asked for, so there
/// is no end of them.
const REMEMBERED: usize = 256;

static DRIVER: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("store-postgres").enable_all().build()
});

/// A database on a server, or on one of several that stand for each other: the one that takes writes is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct Server(Config);

impl Server {
    /// Sets what every session is to have.
    pub fn new(mut config: Config) -> Self {
        config
            .application_name("fenlei")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(UNHEARD)
            .keepalives_idle(UNHEARD / 3)
            .keepalives_interval(UNHEARD / 3)
            .keepalives_retries(2)
            .target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        Self(config)
    }

    pub fn set_password(&mut self, password: &str) {
        self.0.password(password);
    }

    pub fn config(&self) -> &Config {
        &self.0
    }
}

pub(in crate::store) struct Session {
    client: Client,
    statements: RefCell<HashMap<String, Arc<Text>>>,
    in_transaction: Cell<bool>,
    /// A statement of the transaction failed: the server does nothing more in it, and rolls back what it is asked to commit
    /// as if that were done.
    failed: Cell<bool>,
}

/// A statement's text, and what the server made of it for each combination of kinds that it was run with.
struct Text {
    sql: String,
    prepared: Mutex<Vec<(Vec<Type>, tokio_postgres::Statement)>>,
}

impl Session {
    pub(in crate::store) fn connect(server: &Server) -> Result<Self> {
        let Ok(driver) = &*DRIVER else { return Err(Error::Unreachable("there is no thread to connect from")) };
        let config = server.0.clone();
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1).max(1);
        let connecting = driver.spawn(async move {
            let connecting = tokio::time::timeout(CONNECT * hosts, config.connect(NoTls)).await;
            let (client, connection) = connecting.map_err(|_| Error::Unreachable("the server does not answer"))??;
            tokio::spawn(async move {
                // Whoever asks next learns of it, and says so.
                if let Err(error) = connection.await {
                    tracing::debug!(error = describe(&error), "a session ended");
                }
            });
            Ok::<_, Error>(client)
        });
        let client = block_on(connecting).map_err(|_| Error::Unreachable("connecting was given up"))??;
        let session =
            Self { client, statements: RefCell::default(), in_transaction: Cell::new(false), failed: Cell::new(false) };
        session.batch(SETTINGS)?;
        Ok(session)
    }

    pub(in crate::store) fn is_broken(&self) -> bool {
        self.client.is_closed()
    }

    pub(in crate::store) fn in_transaction(&self) -> bool {
        self.in_transaction.get()
    }

    /// Takes the place of the one backend that serves this store, or one beside others that share it, for as long as the
    /// session lasts. `false`: it is taken, by one that shares it not.
    pub(in crate::store) fn serve(&self, shared: bool) -> Result<bool> {
        self.batch(ASLEEP)?;
        let how = if shared { "_shared" } else { "" };
        self.is_true(&format!("SELECT pg_try_advisory_lock{how}({SERVING})"))
    }

    /// Whether no other backend serves the store, nor begins to before this transaction has ended.
    pub(in crate::store) fn alone(&self) -> Result<bool> {
        self.is_true(&format!("SELECT pg_try_advisory_xact_lock({SERVING})"))
    }

    /// Runs a script whose last statement is a question.
    fn is_true(&self, script: &str) -> Result<bool> {
        let answers = self.answer(self.client.simple_query(script))?;
        let last = answers.iter().rev().find_map(|answer| match answer {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(last == Some("t"))
    }

    pub(in crate::store) fn batch(&self, sql: &str) -> Result<()> {
        self.answer(self.client.batch_execute(sql))
    }

    /// Waits for an answer.
    fn answer<T>(&self, asked: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>) -> Result<T> {
        let answer = block_on(asked);
        if answer.is_err() {
            self.failed.set(true);
        }
        Ok(answer?)
    }

    pub(in crate::store) fn begin(&self) -> Result<()> {
        self.in_transaction.set(true);
        self.failed.set(false);
        self.batch(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock({LOCKS}, lane) FROM generate_series(0, {LANES} - 1) lane"
        ))
    }

    /// Begins a transaction that writes in one lane only. `false`: another one is in it, and is not to be waited for.
    pub(in crate::store) fn begin_in(&self, lane: u8, wait: bool) -> Result<bool> {
        self.in_transaction.set(true);
        self.failed.set(false);
        if wait {
            self.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCKS}, {lane})"))?;
        } else if !self.is_true(&format!("BEGIN; SELECT pg_try_advisory_xact_lock({LOCKS}, {lane})"))? {
            self.rollback()?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Waits until no other transaction gives numbers to cards, and keeps them from it to the end of this one. Two that
    /// met the same new cards in another order would wait for each other.
    pub(in crate::store) fn number_cards(&self) -> Result<()> {
        self.batch(&format!("SELECT pg_advisory_xact_lock({LOCKS}, {CARDS})"))
    }

    /// The transactions that write at this moment, by names that never come again.
    pub(in crate::store) fn writing(&self) -> Result<BTreeSet<String>> {
        let held = format!(
            "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
                 AND classid = {LOCKS} AND objid < {LANES}
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        let rows = self.answer(self.client.query(held.as_str(), &[]))?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    pub(in crate::store) fn begin_reading(&self) -> Result<()> {
        self.in_transaction.set(true);
        self.failed.set(false);
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    pub(in crate::store) fn commit(&self) -> Result<()> {
        if self.failed.get() {
            self.rollback()?;
            return Err(Error::Failed);
        }
        self.in_transaction.set(false);
        self.batch("COMMIT")
    }

    pub(in crate::store) fn rollback(&self) -> Result<()> {
        self.in_transaction.set(false);
        self.batch("ROLLBACK")
    }

    /// Has it rolled back before whatever is asked next.
    pub(in crate::store) fn roll_back_unawaited(&self) {
        self.in_transaction.set(false);
        drop(self.client.batch_execute("ROLLBACK").now_or_never());
    }

    /// A statement; `translate` is asked for its text when it is met first.
    pub(in crate::store) fn prepare(&self, sql: &str, translate: impl FnOnce(&str) -> String) -> Statement<'_> {
        let known = self.statements.borrow().get(sql).cloned();
        let text = known.unwrap_or_else(|| {
            let text = Arc::new(Text { sql: translate(sql), prepared: Mutex::default() });
            let mut statements = self.statements.borrow_mut();
            if statements.len() >= REMEMBERED {
                // Those that are of use are met again.
                statements.clear();
            }
            statements.insert(sql.to_owned(), Arc::clone(&text));
            text
        });
        Statement { session: self, text }
    }

    /// Runs a statement once, for all rows.
    pub(in crate::store) fn execute_each<P: Params>(&self, sql: &str, rows: impl IntoIterator<Item = P>) -> Result<()> {
        let columns = columns::of(rows)?;
        if let Some(statement) = self.for_many(sql, &columns)? {
            self.answer(self.client.execute(&statement, &columns::values(&columns)))?;
        }
        Ok(())
    }

    /// Asks once, for all rows.
    pub(in crate::store) fn query_each<P: Params>(
        &self,
        sql: &str,
        rows: impl IntoIterator<Item = P>,
    ) -> Result<Vec<tokio_postgres::Row>> {
        let columns = columns::of(rows)?;
        match self.for_many(sql, &columns)? {
            Some(statement) => self.answer(self.client.query(&statement, &columns::values(&columns))),
            None => Ok(Vec::new()),
        }
    }

    /// The statement for these columns; `None`: they are of no row.
    fn for_many(&self, sql: &str, columns: &[Column]) -> Result<Option<tokio_postgres::Statement>> {
        if columns.is_empty() {
            return Ok(None);
        }
        let types: Vec<_> = columns.iter().map(Column::type_).collect();
        // Its own place among the statements: the text for one row means another statement.
        let statement = self.prepare(&format!("{sql} -- for many"), |_| dialect::for_many(sql));
        statement.prepared(&types).map(Some)
    }

    /// Brings rows in by `COPY`; `what` is a table with its columns.
    pub(in crate::store) fn copy_in(&self, what: &str, rows: &mut CopyRows) -> Result<()> {
        let statement = self.prepare(&format!("COPY {what} FROM STDIN BINARY"), str::to_owned).prepared(&[])?;
        self.answer(async {
            let mut sink = Box::pin(self.client.copy_in(&statement).await?);
            sink.send(Cursor::new(rows.take())).await?;
            sink.as_mut().finish().await
        })?;
        Ok(())
    }
}

pub(in crate::store) struct Statement<'c> {
    session: &'c Session,
    text: Arc<Text>,
}

impl Statement<'_> {
    pub(in crate::store) fn execute(&self, params: &impl Params) -> Result<usize> {
        let (statement, values) = self.bound(params)?;
        let written = self.session.answer(self.session.client.execute_raw(&statement, values))?;
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }

    pub(in crate::store) fn query(&self, params: &impl Params) -> Result<Vec<tokio_postgres::Row>> {
        let (statement, values) = self.bound(params)?;
        let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.session.answer(self.session.client.query(&statement, &values))
    }

    fn bound<'p>(&self, params: &'p impl Params) -> Result<(tokio_postgres::Statement, Vec<Value<'p>>)> {
        let mut values = Vec::new();
        params.each(&mut |value| {
            values.push(value);
            Ok(())
        })?;
        let types: Vec<_> = values.iter().map(|value| values::type_(value.kind())).collect();
        let statement = self.prepared(&types)?;
        let (wanted, given) = (statement.params().len(), values.len());
        if given == wanted { Ok((statement, values)) } else { Err(Error::Values { wanted, given }) }
    }

    /// What the server makes of the text. A parameter has the type of what is given for it, so that none is to be guessed.
    fn prepared(&self, types: &[Type]) -> Result<tokio_postgres::Statement> {
        let mut prepared = self.text.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = prepared.iter().find(|(known, _)| known == types) {
            return Ok(known.clone());
        }
        let statement = self.session.answer(self.session.client.prepare_typed(&self.text.sql, types))?;
        prepared.push((types.to_vec(), statement.clone()));
        Ok(statement)
    }
}

/// An error in words: what the server said without its details, which show values of rows; else what went wrong below.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        text = format!("{text}: {below}");
        cause = below.source();
    }
    text
}
