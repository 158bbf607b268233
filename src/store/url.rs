//! Where a store is: in a file, or in a database on a server. No message and no debug print shows a password.

use std::fmt;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::sql::Server;

const SQLITE: &str = "sqlite:PATH, such as \"sqlite:fenlei.db\" or \"sqlite:/var/lib/fenlei/fenlei.db\"";
const POSTGRES: &str = "postgres://user:password@host:port/database, several hosts as host1:port1,host2:port2, special \
                        characters of the password percent-encoded (# as %23)";

/// The place of a store.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// One backend, an embedded file.
    Sqlite(PathBuf),
    /// A database on one of the named servers.
    Postgres(Box<Server>),
}

impl StoreUrl {
    /// Reads `store.url`; answers what is expected when it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres(text).map(|config| Self::Postgres(Box::new(Server::new(config))));
        }
        // SQLite would take `:memory:` and `file:` for something else than a file of that name.
        let special = |path: &&str| path.is_empty() || path.starts_with([':', '?']) || path.starts_with("file:");
        let path = text.strip_prefix("sqlite:").filter(|path| !special(path) && !path.starts_with("//"));
        path.map(|path| Self::Sqlite(path.into())).ok_or_else(|| format!("{SQLITE}, or {POSTGRES}"))
    }

    /// The file; `None`: it is on a server.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

fn postgres(text: &str) -> Result<Config, String> {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (name.as_ref(), value.as_ref()) {
            ("sslmode", "disable") => {}
            ("sslmode", _) => {
                let plain =
                    "without `sslmode`, or with sslmode=disable: this build speaks to PostgreSQL without TLS only";
                return Err(format!("{POSTGRES}, {plain}; over an open network put a tunnel between"));
            }
            _ => return Err(format!("{POSTGRES}, and nothing after the database but sslmode=disable")),
        }
    }
    let config: Config = address.parse().map_err(|_| POSTGRES.to_owned())?;
    let hosts = config.get_hosts();
    let reached = !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Tcp(name) if !name.is_empty()));
    let named = |name: Option<&str>| name.is_some_and(|name| !name.is_empty());
    let whole = reached && named(config.get_user()) && named(config.get_dbname()) && !address.contains('#');
    if whole { Ok(config) } else { Err(POSTGRES.to_owned()) }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(server) => {
                let (config, mut separator) = (server.config(), '@');
                write!(f, "postgres://{}", config.get_user().unwrap_or_default())?;
                for (place, host) in config.get_hosts().iter().enumerate() {
                    let Host::Tcp(name) = host else { continue };
                    // One port may stand for all hosts.
                    let ports = config.get_ports();
                    let port = ports.get(place).or_else(|| ports.first()).copied().unwrap_or(5432);
                    let name = if name.contains(':') { format!("[{name}]") } else { name.clone() };
                    write!(f, "{separator}{name}:{port}")?;
                    separator = ',';
                }
                write!(f, "/{}", config.get_dbname().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<PathBuf> for StoreUrl {
    fn from(path: PathBuf) -> Self {
        Self::Sqlite(path)
    }
}

impl From<&Path> for StoreUrl {
    fn from(path: &Path) -> Self {
        Self::Sqlite(path.to_owned())
    }
}

impl From<&PathBuf> for StoreUrl {
    fn from(path: &PathBuf) -> Self {
        Self::Sqlite(path.clone())
    }
}

impl From<&Self> for StoreUrl {
    fn from(url: &Self) -> Self {
        url.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_decoded_and_never_printed() {
        let url = StoreUrl::parse("postgres://fenlei:p%23ss@db-1,db-2:5433/city?sslmode=disable").unwrap();
        let StoreUrl::Postgres(server) = &url else { panic!("{url}") };
        assert_eq!(server.config().get_password(), Some(&b"p#ss"[..]));
        assert_eq!(format!("{url} {url:?}").matches("postgres://fenlei@db-1:5432,db-2:5433/city").count(), 2);
        assert_eq!(StoreUrl::parse("postgresql://u@[::1]:99/d").unwrap().to_string(), "postgres://u@[::1]:99/d");
        assert_eq!(StoreUrl::parse("sqlite:a b.db").unwrap(), StoreUrl::Sqlite("a b.db".into()));
    }

    #[test]
    fn what_is_no_store_is_refused_without_being_repeated() {
        for wrong in [
            "secret",
            "sqlite:",
            "sqlite::memory:",
            "postgres://secret",
            "postgres://u:secret@h",
            "postgres://u:secret@h/",
            "postgres://:secret@h/d",
            "postgres://u:secret@/d",
            "postgres://u:secret#x@h/d",
            "postgres://u:secret@h:99999/d",
            "postgres://u:secret@%2Fvar%2Frun/d",
            "postgres://u:secret@h/d?sslmode=require",
            "postgres://u:secret@h/d?sslmode=verify-full",
            "postgres://u:secret@h/d?options=secret",
        ] {
            let expected = StoreUrl::parse(wrong).unwrap_err();
            assert!(
                expected.contains("postgres://user:password") && !expected.contains("secret"),
                "{wrong}: {expected}"
            );
        }
        let tls = StoreUrl::parse("postgres://u:secret@h/d?sslmode=require").unwrap_err();
        assert!(tls.contains("without TLS"), "{tls}");
    }
}
