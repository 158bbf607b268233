//! Where a test keeps its store: in a folder of its own, or, where `FENLEI_TEST_STORE` names a PostgreSQL server, in a
//! database of its own there. So every test that uses it is one of the contract that both stores keep.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fenlei::store::StoreUrl;
use fenlei::store::sql::Connection;
use tempfile::TempDir;

/// Such as `postgres://fenlei@127.0.0.1:5432`, without a database; its user may make some. See `tests/with-postgres`.
const SERVER: &str = "FENLEI_TEST_STORE";

pub(crate) struct Place {
    folder: TempDir,
    database: Option<Database>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let server = std::env::var(SERVER).ok();
        Self { folder: tempfile::tempdir().unwrap(), database: server.map(Database::create) }
    }

    /// In a database of its own on this server.
    pub(crate) fn on(server: String) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: Some(Database::create(server)) }
    }

    /// In a file, whatever the environment says.
    pub(crate) fn in_a_file() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: None }
    }

    /// In a file on the disk that is mounted there.
    pub(crate) fn on_the_disk_at(mounted: &Path) -> Self {
        Self { folder: tempfile::tempdir_in(mounted).unwrap(), database: None }
    }

    /// Whether the store is a file; what only a file has is not looked for elsewhere.
    pub(crate) fn is_file(&self) -> bool {
        self.database.is_none()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> StoreUrl {
        match &self.database {
            Some(database) => StoreUrl::parse(&database.url()).unwrap(),
            None => self.file().into(),
        }
    }

    /// What a program in the folder must be told to find the store, if it would not by itself.
    pub(crate) fn environment(&self) -> Option<(&'static str, String)> {
        self.database.as_ref().map(|database| ("FENLEI__STORE__URL", database.url()))
    }

    /// The store's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.path().join("fenlei.db")
    }

    /// Whether any byte of the files, or any row of the database, shows this text.
    pub(crate) fn shows(&self, text: &str) -> bool {
        if let Some(database) = &self.database {
            return database.shows(text);
        }
        let files = std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().contains("fenlei.db")).collect();
        assert!(files.iter().any(|path| path.to_string_lossy().ends_with("-wal")), "the WAL is looked at too");
        let holds = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        files.into_iter().any(|path| holds(std::fs::read(path).unwrap()))
    }
}

struct Database {
    server: String,
    name: String,
}

impl Database {
    fn create(server: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        database.run(&format!("CREATE DATABASE {}", database.name)).unwrap();
        database
    }

    fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// In the database that every server has.
    fn run(&self, sql: &str) -> Result<(), fenlei::store::sql::Error> {
        connect(&format!("{}/postgres", self.server))?.execute_batch(sql)
    }

    fn shows(&self, text: &str) -> bool {
        let connection = connect(&self.url()).unwrap();
        let sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
        let mut tables = connection.prepare(sql).unwrap();
        let tables =
            tables.query_map([], |row| row.get::<_, String>(0)).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        assert!(!tables.is_empty(), "there is a store to look at");
        let shows = |table: &String| {
            let row = "CAST(t AS text)";
            // Bytes are shown in hexadecimal digits.
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {table} t WHERE strpos({row}, ?1) > 0 OR strpos({row}, encode(?2, 'hex')) > 0)"
            );
            connection.query_row(&sql, (text, text.as_bytes()), |row| row.get(0)).unwrap()
        };
        tables.iter().any(shows)
    }
}

fn connect(url: &str) -> Result<Connection, fenlei::store::sql::Error> {
    let StoreUrl::Postgres(server) = StoreUrl::parse(url).unwrap() else { panic!("{SERVER} must be postgres://…") };
    Connection::connect(&server)
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test that fails has said why already; the server is thrown away anyway.
        let _ = self.run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}
