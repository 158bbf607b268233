//! New rows for a file, many with one statement.

use rusqlite::CachedStatement;

use super::value::{Params, Value};
use super::{Error, Result};

/// Rows that one statement writes.
const AT_ONCE: usize = 32;

pub(super) fn insert_all(
    connection: &rusqlite::Connection,
    table: &str,
    columns: &str,
    rows: &[impl Params],
) -> Result<()> {
    let (many, few) = rows.as_chunks::<AT_ONCE>();
    if !many.is_empty() {
        let mut statement = connection.prepare_cached(&text(table, columns, AT_ONCE))?;
        many.iter().try_for_each(|rows| insert(&mut statement, rows))?;
    }
    if !few.is_empty() {
        let mut statement = connection.prepare_cached(&text(table, columns, 1))?;
        few.chunks(1).try_for_each(|row| insert(&mut statement, row))?;
    }
    Ok(())
}

fn text(table: &str, columns: &str, rows: usize) -> String {
    let values = vec!["?"; columns.split(',').count()].join(", ");
    let others = format!("({values}), ").repeat(rows - 1);
    format!("INSERT INTO {table} ({columns}) VALUES {others}({values})")
}

fn insert(statement: &mut CachedStatement<'_>, rows: &[impl Params]) -> Result<()> {
    let mut given = 0;
    // What is not bound is null.
    statement.clear_bindings();
    for row in rows {
        row.each(&mut |value| {
            given += 1;
            match value {
                Value::Null(_) => Ok(()),
                value => Ok(statement.raw_bind_parameter(given, value)?),
            }
        })?;
    }
    let wanted = statement.parameter_count();
    if given != wanted {
        return Err(Error::Values { wanted, given });
    }
    statement.raw_execute()?;
    Ok(())
}
