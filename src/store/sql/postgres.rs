//! A session on a PostgreSQL server.
//!
//! What goes over the network is driven by one thread for all sessions; whoever asks waits for the answer where it
//! stands, on the writer's thread, a reader's or the command line's.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::io::Cursor;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use futures::executor::block_on;
use futures::{FutureExt, SinkExt};
use tokio::runtime::Runtime;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls};

use super::copy::CopyRows;
use super::value::{Kind, Params, Value, ValueRef};
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
            self.statements.borrow_mut().insert(sql.to_owned(), Arc::clone(&text));
            text
        });
        Statement { session: self, text }
    }

    /// Runs a statement once, for all rows.
    pub(in crate::store) fn execute_each<P: Params>(&self, sql: &str, rows: impl IntoIterator<Item = P>) -> Result<()> {
        let columns = columns(rows)?;
        if let Some(statement) = self.for_many(sql, &columns)? {
            self.answer(self.client.execute(&statement, &values(&columns)))?;
        }
        Ok(())
    }

    /// Asks once, for all rows.
    pub(in crate::store) fn query_each<P: Params>(
        &self,
        sql: &str,
        rows: impl IntoIterator<Item = P>,
    ) -> Result<Vec<tokio_postgres::Row>> {
        let columns = columns(rows)?;
        match self.for_many(sql, &columns)? {
            Some(statement) => self.answer(self.client.query(&statement, &values(&columns))),
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
        let types: Vec<_> = values.iter().map(|value| type_(value.kind())).collect();
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

const fn type_(kind: Kind) -> Type {
    match kind {
        Kind::Integer => Type::INT8,
        Kind::Real => Type::FLOAT8,
        Kind::Text => Type::TEXT,
        Kind::Blob => Type::BYTEA,
    }
}

/// What is written, as the type says that was made of its kind.
impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> std::result::Result<IsNull, Cause> {
        match self {
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql(ty, out),
            Self::Real(number) => number.to_sql(ty, out),
            Self::Text(text) => storable(text).as_ref().to_sql(ty, out),
            Self::Blob(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::FLOAT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

/// A text as the server can keep it: without the character of the number 0, which JSON can name.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

type Cause = Box<dyn std::error::Error + Sync + Send>;

/// What is read: of whichever type, as one of the kinds. A truth value is 0 or 1, as in SQLite.
impl<'a> FromSql<'a> for ValueRef<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Self, Cause> {
        Ok(match *ty {
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Integer(bool::from_sql(ty, raw)?.into()),
            Type::NUMERIC => Self::Integer(whole(raw).ok_or("a sum beyond all counts")?),
            Type::FLOAT8 => Self::Real(f64::from_sql(ty, raw)?),
            Type::BYTEA => Self::Blob(raw),
            _ => Self::Text(std::str::from_utf8(raw)?),
        })
    }

    fn from_sql_null(_ty: &Type) -> std::result::Result<Self, Cause> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        let known = [Type::INT8, Type::INT4, Type::BOOL, Type::NUMERIC, Type::FLOAT8, Type::BYTEA];
        known.contains(ty) || [Type::TEXT, Type::VARCHAR, Type::NAME, Type::UNKNOWN].contains(ty)
    }
}

/// The whole number in a `numeric`, which is what a sum of integers comes as: how many digits to the base of 10,000, the
/// power of the first, the sign, how many decimals, the digits.
fn whole(raw: &[u8]) -> Option<i64> {
    let word = |place: usize| Some(i16::from_be_bytes(raw.get(2 * place..2 * place + 2)?.try_into().ok()?));
    let (digits, weight, sign) = (word(0)?, word(1)?, word(2)?);
    let mut number = 0_i64;
    for power in 0..=weight {
        let digit = if power < digits { word(4 + usize::try_from(power).ok()?)? } else { 0 };
        number = number.checked_mul(10_000)?.checked_add(digit.into())?;
    }
    Some(if sign == 0 { number } else { -number })
}

fn columns<P: Params>(rows: impl IntoIterator<Item = P>) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for row in rows {
        let mut place = 0;
        row.each(&mut |value| {
            if columns.len() == place {
                columns.push(Column::new(value.kind()));
            }
            columns[place].push(value);
            place += 1;
            Ok(())
        })?;
    }
    Ok(columns)
}

fn values(columns: &[Column]) -> Vec<&(dyn ToSql + Sync)> {
    columns.iter().map(Column::values).collect()
}

/// The values of one column in many rows.
enum Column {
    Integer(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    Blob(Vec<Option<Vec<u8>>>),
}

impl Column {
    const fn new(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Self::Integer(Vec::new()),
            Kind::Real => Self::Real(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
            Kind::Blob => Self::Blob(Vec::new()),
        }
    }

    fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Integer(column), Value::Integer(number)) => column.push(Some(number)),
            (Self::Integer(column), _) => column.push(None),
            (Self::Real(column), Value::Real(number)) => column.push(Some(number)),
            (Self::Real(column), _) => column.push(None),
            (Self::Text(column), Value::Text(text)) => column.push(Some(storable(text).into_owned())),
            (Self::Text(column), _) => column.push(None),
            (Self::Blob(column), Value::Blob(bytes)) => column.push(Some(bytes.to_vec())),
            (Self::Blob(column), _) => column.push(None),
        }
    }

    const fn type_(&self) -> Type {
        match self {
            Self::Integer(_) => Type::INT8_ARRAY,
            Self::Real(_) => Type::FLOAT8_ARRAY,
            Self::Text(_) => Type::TEXT_ARRAY,
            Self::Blob(_) => Type::BYTEA_ARRAY,
        }
    }

    fn values(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Integer(column) => column,
            Self::Real(column) => column,
            Self::Text(column) => column,
            Self::Blob(column) => column,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_whole_numbers() {
        let numeric = |words: &[i16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        for (words, number) in [
            (&[0, 0, 0, 0][..], 0),
            (&[1, 0, 0, 0, 7], 7),
            (&[1, 0, 0x4000, 0, 7], -7),
            (&[1, 1, 0, 0, 3], 30_000),
            (&[2, 1, 0, 0, 3, 5], 30_005),
            (&[5, 4, 0, 0, 922, 3372, 368, 5477, 5807], i64::MAX),
        ] {
            assert_eq!(whole(&numeric(words)), Some(number));
        }
        assert_eq!(whole(&numeric(&[5, 4, 0, 0, 922, 3372, 368, 5477, 5808])), None);
        assert_eq!(whole(&[0, 1]), None);
    }
}
