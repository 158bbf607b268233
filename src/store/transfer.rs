//! Moving a store from a SQLite file to a PostgreSQL database: every row of every table in one transaction, which is
//! committed only when each row reads back as it was.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::StoreError;
use super::sql::{Connection, CopyRows, Value, ValueRef};

/// Bytes that are gathered before they are sent, and rows that are read back at once.
const CHUNK_BYTES: usize = 4 << 20;
const CHUNK_ROWS: usize = 5_000;
/// What a new database holds before anything was put into it.
const BORN_WITH: [&str; 2] = ["registry_revision", "schema_version"];

#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the target is not empty: its table {0} has rows; make a new database for the store")]
    NotEmpty(String),
    #[error("table {0} did not read back as it was; nothing was moved")]
    Differs(String),
}

impl From<super::sql::Error> for TransferError {
    fn from(error: super::sql::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A table of the file.
struct Table {
    name: String,
    columns: Vec<String>,
    /// What its rows are put in order by.
    key: Vec<String>,
    parents: Vec<String>,
}

/// Moves everything; says how many rows each table has.
pub fn transfer(from: &Connection, to: &Connection) -> Result<BTreeMap<String, u64>, TransferError> {
    let transaction = to.transaction()?;
    let tables = tables(from)?;
    for table in tables.iter().filter(|table| !BORN_WITH.contains(&table.name.as_str())) {
        let any = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        if transaction.query_row(&any, [], |row| row.get(0))? {
            return Err(TransferError::NotEmpty(table.name.clone()));
        }
    }
    transaction.execute_batch("DELETE FROM registry_revision")?;
    let reading = from.transaction()?;
    let mut moved = BTreeMap::new();
    for table in &tables {
        copy(&reading, &transaction, table)?;
    }
    for table in &tables {
        let (was, is) = (digest_of_file(&reading, table)?, digest_of_server(&transaction, table)?);
        if was != is {
            return Err(TransferError::Differs(table.name.clone()));
        }
        moved.insert(table.name.clone(), was.0);
    }
    number_on(&reading, &transaction)?;
    transaction.commit()?;
    to.execute_batch("ANALYZE")?;
    Ok(moved)
}

/// The tables, each after those that its rows refer to.
fn tables(from: &Connection) -> Result<Vec<Table>, StoreError> {
    let mut names =
        from.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let mut waiting = Vec::new();
    for name in names {
        let mut info = from.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")?;
        let info = info.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let info = info.collect::<Result<Vec<(String, i64)>, _>>()?;
        let mut key: Vec<_> = info.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        let key = key.into_iter().map(|(column, _)| column.clone()).collect();
        let mut parents = from.prepare("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1)")?;
        let parents = parents.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        waiting.push(Table { name, columns: info.into_iter().map(|(column, _)| column).collect(), key, parents });
    }
    let mut ordered: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let there = |name: &String| ordered.iter().any(|table| table.name == *name);
        let next = waiting.iter().position(|table| table.parents.iter().all(&there));
        ordered.push(waiting.remove(next.ok_or(StoreError::Corrupt("tables that refer to each other in a circle"))?));
    }
    Ok(ordered)
}

impl Table {
    fn select(&self) -> String {
        let order = if self.key.is_empty() { String::new() } else { format!(" ORDER BY {}", self.key.join(", ")) };
        format!("SELECT {} FROM {}{order}", self.columns.join(", "), self.name)
    }
}

fn copy(from: &Connection, to: &Connection, table: &Table) -> Result<(), StoreError> {
    let what = format!("{} ({})", table.name, table.columns.join(", "));
    let mut select = from.prepare(&table.select())?;
    let (mut rows, mut copied) = (select.query([])?, CopyRows::default());
    while let Some(row) = rows.next()? {
        let fields = (0..table.columns.len()).map(|column| row.get_ref(column).map(Value::from));
        let values = fields.collect::<Result<Vec<_>, _>>()?;
        copied.push(&values.as_slice())?;
        if copied.bytes() > CHUNK_BYTES {
            to.copy_in(&what, &mut copied)?;
        }
    }
    if !copied.is_empty() {
        to.copy_in(&what, &mut copied)?;
    }
    Ok(())
}

/// How many rows there are, and a digest of them all in their order.
type Count = (u64, [u8; 32]);

fn digest_of_file(from: &Connection, table: &Table) -> Result<Count, StoreError> {
    let (mut count, mut digest) = (0, Sha256::new());
    let mut select = from.prepare(&table.select())?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..table.columns.len() {
            take_in(&mut digest, row.get_ref(column)?);
        }
    }
    Ok((count, digest.finalize().into()))
}

fn digest_of_server(to: &Connection, table: &Table) -> Result<Count, StoreError> {
    let (mut count, mut digest) = (0, Sha256::new());
    to.execute_batch(&format!("DECLARE moved CURSOR FOR {}", table.select()))?;
    let fetch = format!("FETCH {CHUNK_ROWS} FROM moved /* {} */", table.name);
    loop {
        let mut select = to.prepare(&fetch)?;
        let (mut rows, before) = (select.query([])?, count);
        while let Some(row) = rows.next()? {
            count += 1;
            for column in 0..table.columns.len() {
                take_in(&mut digest, row.get_ref(column)?);
            }
        }
        if count == before {
            break;
        }
    }
    to.execute_batch("CLOSE moved")?;
    Ok((count, digest.finalize().into()))
}

fn take_in(digest: &mut Sha256, value: ValueRef<'_>) {
    let (kind, bytes): (u8, &[u8]) = match &value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(number) => (1, &number.to_be_bytes()),
        ValueRef::Real(number) => (2, &number.to_be_bytes()),
        ValueRef::Text(text) => (3, text.as_bytes()),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    digest.update([kind]);
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}

/// Has new rows numbered on from the last that ever was: a number that is gone must not come back.
fn number_on(from: &Connection, to: &Connection) -> Result<(), StoreError> {
    let mut last = from.prepare("SELECT name, seq FROM sqlite_sequence")?;
    let last = last.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let last = last.collect::<Result<BTreeMap<String, i64>, _>>()?;
    let mut numbered = to.prepare(
        "SELECT CAST(table_name AS text), CAST(column_name AS text) FROM information_schema.columns
         WHERE is_identity = 'YES' AND table_schema = current_schema()",
    )?;
    let numbered = numbered.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (table, column) in numbered.collect::<Result<Vec<(String, String)>, _>>()? {
        let ever = last.get(&table).copied().unwrap_or(0);
        let set = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max(coalesce(max({column}), 0), ?1) + 1, false)
             FROM {table}"
        );
        to.query_row(&set, [ever], |_| Ok(()))?;
    }
    Ok(())
}
