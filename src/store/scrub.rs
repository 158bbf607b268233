//! That what was erased cannot be read from the file either.
//!
//! `secure_delete` overwrites what is deleted with zeros, but where SQLite split a page before, a copy may lie in the
//! unused part of it. So the tables that hold names and hashes are written anew after an erasure, into pages that are
//! zeroed first, and the write-ahead log, which holds the pages as they were, is emptied. What is to be scrubbed is noted
//! in the transaction that erases: a crash in between only puts it off.
//!
//! On PostgreSQL the same tables are written anew by `VACUUM FULL`. What its own log, its standbys and its backups still
//! hold goes as they are recycled: that is the server's to say.

use std::time::Duration;

use super::StoreError;
use super::connection::BUSY;
use super::sql::{Connection, OptionalExtension};

/// How long emptying the log waits for readers. They are done in moments, but a backup of a large store is not.
const PATIENCE: Duration = Duration::from_millis(500);

/// With the order in which their rows lie. Nothing else holds a name, a hash, or what was made of them.
const TABLES: [(&str, &str); 4] =
    [("household", "key"), ("card", "id"), ("quarantine", "id"), ("idempotency", "token, key")];

/// Something was erased in this transaction.
pub fn wanted(connection: &Connection) -> Result<(), StoreError> {
    // Another mark each time: what is erased while somebody else scrubs is not scrubbed by that.
    let mark = "INSERT INTO meta VALUES ('scrub', lower(hex(randomblob(16))))
                ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.execute(mark, [])?;
    Ok(())
}

/// What says that something is to be scrubbed.
fn mark(connection: &Connection) -> Result<Option<String>, StoreError> {
    Ok(connection.query_row("SELECT value FROM meta WHERE name = 'scrub'", [], |row| row.get(0)).optional()?)
}

/// Whatever this mark stood for is scrubbed.
fn done(connection: &Connection, mark: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM meta WHERE name = 'scrub' AND value = ?1", [mark])?;
    Ok(())
}

/// Scrubs the store if something was erased since it was last done; to be called outside of a transaction. Where somebody
/// reads what is older it stays wanted, and is to be called again.
pub fn scrub(connection: &Connection) -> Result<(), StoreError> {
    let Some(mark) = mark(connection)? else { return Ok(()) };
    let scrubbed = match connection.sqlite() {
        Some(file) => scrub_file(connection, file)?,
        None => scrub_server(connection)?,
    };
    if scrubbed {
        done(connection, &mark)?;
    }
    Ok(())
}

/// Has a server write the tables anew. `false`: somebody reads one of them.
fn scrub_server(connection: &Connection) -> Result<bool, StoreError> {
    let patience = PATIENCE.as_millis();
    connection.execute_batch(&format!("SET lock_timeout = {patience}"))?;
    // One by one: together they would be a transaction, in which nothing can be vacuumed.
    let scrubbed = TABLES.iter().try_for_each(|(table, _)| connection.execute_batch(&format!("VACUUM FULL {table}")));
    connection.execute_batch(&format!("SET lock_timeout = {}", BUSY.as_millis()))?;
    match scrubbed {
        Ok(()) => Ok(true),
        Err(error) if error.is_busy() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// `false`: the log is being read.
fn scrub_file(connection: &Connection, file: &rusqlite::Connection) -> Result<bool, StoreError> {
    // Rows refer to the rows that are taken out and put back.
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    let rewritten = rewrite(connection);
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    rewritten?;
    Ok(empty_log(file).map_err(super::sql::Error::from)?)
}

fn rewrite(connection: &Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    for (table, order) in TABLES {
        transaction.execute_batch(&format!(
            "CREATE TEMP TABLE rewritten AS SELECT * FROM main.{table};
             DELETE FROM main.{table};
             INSERT INTO main.{table} SELECT * FROM temp.rewritten ORDER BY {order};
             DROP TABLE temp.rewritten;"
        ))?;
    }
    Ok(transaction.commit()?)
}

/// Moves the write-ahead log into the file and cuts it to nothing. `false`: it is being read.
fn empty_log(file: &rusqlite::Connection) -> rusqlite::Result<bool> {
    file.busy_timeout(PATIENCE)?;
    let busy = file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    file.busy_timeout(BUSY)?;
    Ok(!busy?)
}

#[cfg(test)]
mod tests {
    use super::super::connection::{open_reader, open_writer};
    use super::*;

    fn is_wanted(connection: &Connection) -> bool {
        mark(connection).unwrap().is_some()
    }

    #[test]
    fn what_somebody_else_erases_meanwhile_stays_to_be_scrubbed() {
        let folder = tempfile::tempdir().unwrap();
        let writer = open_writer(folder.path().join("fenlei.db"), 16).unwrap();
        wanted(&writer).unwrap();
        let begun = mark(&writer).unwrap().unwrap();
        wanted(&writer).unwrap();
        done(&writer, &begun).unwrap();
        assert!(is_wanted(&writer));
        scrub(&writer).unwrap();
        assert!(!is_wanted(&writer));
    }

    /// As where a page was split: what lies in the unused part of a page, whatever left it there.
    #[test]
    fn copies_in_unused_parts_of_pages_go_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fenlei.db");
        let writer = open_writer(&path, 16).unwrap();
        let leave_behind = "PRAGMA secure_delete = OFF;
             INSERT INTO organization VALUES ('o', 'o', 'committee');
             INSERT INTO community VALUES (1, 'c', 'c', 'o', 'Asia/Shanghai');
             CREATE TEMP TABLE name AS
                 WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 40)
                 SELECT n || '-that-goes' AS name FROM n;
             INSERT INTO card (hash) SELECT CAST(name AS BLOB) FROM name;
             INSERT INTO household (community, id, enrolled_from) SELECT 1, name, 0 FROM name;
             DELETE FROM card WHERE id < 40;
             DELETE FROM household WHERE key < 40;
             UPDATE card SET hash = x'00';
             UPDATE household SET id = 'stays';
             PRAGMA secure_delete = ON;";
        writer.execute_batch(leave_behind).unwrap();
        let left = || {
            let bytes = std::fs::read(&path).unwrap();
            bytes.windows(10).filter(|window| window.ends_with(b"that-goes")).count()
        };
        assert!(empty_log(writer.sqlite().unwrap()).unwrap());
        assert_ne!(left(), 0, "there is something to scrub");
        wanted(&writer).unwrap();
        scrub(&writer).unwrap();
        assert_eq!(left(), 0);
    }

    #[test]
    fn a_reader_puts_it_off_and_nothing_that_refers_to_a_row_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fenlei.db");
        let writer = open_writer(&path, 16).unwrap();
        writer
            .execute_batch(
                "INSERT INTO organization VALUES ('o', 'o', 'committee');
                 INSERT INTO community VALUES (1, 'c', 'c', 'o', 'Asia/Shanghai');
                 INSERT INTO card (id, hash) VALUES (1, x'01');
                 INSERT INTO household (key, community, id, enrolled_from, own_card) VALUES (1, 1, 'h', 0, 1);
                 INSERT INTO household_card VALUES (1, 1);
                 INSERT INTO visit (household, day, kind, outcome) VALUES (1, 0, 'visit', 'absent');",
            )
            .unwrap();
        let reader = open_reader(&path).unwrap();
        reader.begin_reading().unwrap();
        reader.query_row("SELECT count(*) FROM household", [], |row| row.get::<_, i64>(0)).unwrap();
        wanted(&writer).unwrap();
        scrub(&writer).unwrap();
        assert!(is_wanted(&writer), "the log is being read");
        reader.abandon();
        scrub(&writer).unwrap();
        assert!(!is_wanted(&writer));
        let held = "SELECT (SELECT count(*) FROM household) + (SELECT count(*) FROM household_card)
                         + (SELECT count(*) FROM visit) + (SELECT count(*) FROM card)";
        assert_eq!(writer.query_row(held, [], |row| row.get::<_, i64>(0)).unwrap(), 4);
        let broken: i64 =
            writer.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
        assert_eq!(broken, 0);
        assert!(writer.execute("DELETE FROM card", []).is_err(), "what is referred to is protected again");
    }
}
