//! The layers that settings come from, each value with its origin, and the mistakes found in them.
//!
//! Every value of every layer is checked, also where a later layer replaces it, and no check ends at the
//! first mistake. No message repeats a value: it may be a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;

use toml::de::{DeTable, DeValue};

const PREFIX: &str = "FENLEI__";
/// How a variable of ours begins where somebody wrote one underscore for two.
const NEARLY: &str = "FENLEI_";
/// A variable of this ending names a file that holds the value.
const FILE: &str = "_FILE";

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    File { name: String, line: Option<usize> },
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Self::File { name, line: None } => write!(f, "{name}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// One mistake, in one sentence with what is allowed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mistake {
    origin: Origin,
    what: String,
}

/// Every mistake of a configuration, a line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mistake { origin, what }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{origin}: {what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// A value as far as settings need one.
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    /// From the environment, which knows no types.
    Untyped(String),
    Other,
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Untyped(text) => Some(text),
            Self::Integer(_) | Self::Boolean(_) | Self::Other => None,
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Untyped(text) => text.parse().ok(),
            Self::Text(_) | Self::Boolean(_) | Self::Other => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Untyped(text) => text.parse().ok(),
            Self::Text(_) | Self::Integer(_) | Self::Other => None,
        }
    }
}

struct Setting {
    origin: Origin,
    value: Value,
}

/// All settings by their dotted key, of each the values in the order of the layers: the last one holds.
#[derive(Default)]
pub(super) struct Layers {
    settings: BTreeMap<String, Vec<Setting>>,
    known: BTreeSet<&'static str>,
    /// Where the value of a key stands that holds.
    given: BTreeMap<&'static str, Origin>,
    mistakes: Vec<Mistake>,
    /// Variables that are ours or somebody else's: that the keys tell.
    near: Vec<String>,
}

impl Layers {
    pub(super) fn add_file(&mut self, name: &str, text: &str) {
        let breaks: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        let origin = |at: Option<usize>| {
            let line = at.map(|at| breaks.partition_point(|end| *end < at) + 1);
            Origin::File { name: name.to_owned(), line }
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        let broken: BTreeSet<Origin> = errors.iter().map(|error| origin(error.span().map(|span| span.start))).collect();
        for error in &errors {
            // Only the message: the whole error would quote the line, and with it a password.
            let what = format!("is not TOML here: {}", error.message());
            self.mistakes.push(Mistake { origin: origin(error.span().map(|span| span.start)), what });
        }
        let mut flat = Vec::new();
        flatten(String::new(), table.get_ref(), &mut flat);
        for (key, at, value) in flat {
            let origin = origin(Some(at));
            // What the parser made of a broken line says nothing.
            if !broken.contains(&origin) {
                self.settings.entry(key).or_default().push(Setting { origin, value });
            }
        }
    }

    pub(super) fn add_unreadable_file(&mut self, name: &str, error: &std::io::Error) {
        let what = format!("cannot be read: {error}");
        self.mistakes.push(Mistake { origin: Origin::File { name: name.to_owned(), line: None }, what });
    }

    pub(super) fn add_environment(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) {
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            let Some(key) = name.strip_prefix(PREFIX) else {
                self.near.extend(name.starts_with(NEARLY).then_some(name));
                continue;
            };
            let key = key.to_ascii_lowercase().replace("__", ".");
            let value = value.into_string().map_or(Value::Other, Value::Untyped);
            self.settings.entry(key).or_default().push(Setting { origin: Origin::Variable(name), value });
        }
    }

    /// Checks every value of `key`, and answers the one that holds. `None`: there is none, or it is a mistake.
    /// `parse` answers what is expected where a value is not that.
    pub(super) fn read<T>(&mut self, key: &'static str, parse: impl Fn(&Value) -> Result<T, String>) -> Option<T> {
        self.known.insert(key);
        let mut holds = None;
        let mut settings = self.settings.remove(key).unwrap_or_default();
        self.add_files(key, &mut settings);
        for Setting { origin, value } in settings {
            self.given.insert(key, origin.clone());
            holds = match parse(&value) {
                Ok(value) => Some(value),
                Err(expected) => {
                    self.mistakes.push(Mistake { origin, what: format!("`{key}` must be {expected}") });
                    None
                }
            };
        }
        holds
    }

    /// Whether there is any value of a key that was read, be it a mistake.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// Notes that a key does not go with others.
    pub(super) fn contradiction(&mut self, key: &'static str, what: &str) {
        if let Some(origin) = self.given.get(key) {
            self.mistakes.push(Mistake { origin: origin.clone(), what: format!("`{key}` {what}") });
        }
    }

    /// Adds what the files say that variables name for `key`: how secrets come to a service without standing in its
    /// environment.
    fn add_files(&mut self, key: &str, settings: &mut Vec<Setting>) {
        let named = format!("{key}{}", FILE.to_ascii_lowercase());
        let Some(found) = self.settings.remove(&named) else { return };
        let (variables, others) = found.into_iter().partition(|found| matches!(found.origin, Origin::Variable(_)));
        if !Vec::is_empty(&others) {
            self.settings.insert(named, others);
        }
        for Setting { origin, value } in variables {
            let both = settings.iter().find(|setting| matches!(setting.origin, Origin::Variable(_)));
            if let Some(both) = both {
                let what = format!("is set beside {}: keep one of the two", both.origin);
                self.mistakes.push(Mistake { origin, what });
                continue;
            }
            let path = value.text().unwrap_or_default();
            match std::fs::read_to_string(path) {
                Ok(text) => settings.push(Setting { origin, value: Value::Untyped(text.trim().to_owned()) }),
                Err(error) => {
                    // Who puts the secret itself there by mistake is not to read it in a log.
                    let path = if path.starts_with(['/', '.']) { path } else { "(not shown)" };
                    let what = format!("names the file {path} for `{key}`, which cannot be read: {error}");
                    self.mistakes.push(Mistake { origin, what });
                }
            }
        }
    }

    /// The variable that is meant by one with too few underscores. Others begin like ours too, such as those that Kubernetes
    /// sets for a service, but none of them is called as a key is.
    fn meant(&self, name: &str) -> Option<String> {
        let single = |name: &str| name.replace("__", "_").to_ascii_uppercase();
        self.known.iter().find_map(|key| {
            let variable = format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"));
            let file = format!("{variable}{FILE}");
            [variable, file].into_iter().find(|variable| single(variable) == single(name))
        })
    }

    /// Whatever no one has read is unknown. Answers all mistakes, in the order of files, lines and variables.
    pub(super) fn finish(mut self) -> Mistakes {
        let sections: BTreeSet<_> = self.known.iter().filter_map(|key| key.split('.').next()).collect();
        let list = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
        for (key, settings) in std::mem::take(&mut self.settings) {
            let section = key.split('.').next().unwrap_or_default();
            // A line each, whatever somebody has put into quotes.
            let shown = key.escape_debug();
            let what = if sections.contains(section) {
                let prefix = format!("{section}.");
                let keys = list(&mut self.known.iter().filter_map(|known| known.strip_prefix(&prefix)));
                let is = if key == section { "a section, not a key" } else { "not a known key" };
                format!("`{shown}` is {is}; [{section}] has: {keys}")
            } else {
                format!("`{shown}` is not a known key; the sections are: {}", list(&mut sections.iter().copied()))
            };
            let mistakes = settings.into_iter().map(|setting| Mistake { origin: setting.origin, what: what.clone() });
            self.mistakes.extend(mistakes);
        }
        for name in std::mem::take(&mut self.near) {
            if let Some(meant) = self.meant(&name) {
                let what = format!("is not read: write {meant}, with two underscores before the section and the key");
                self.mistakes.push(Mistake { origin: Origin::Variable(name), what });
            }
        }
        self.mistakes.sort();
        Mistakes(self.mistakes)
    }
}

impl Mistakes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Every value below `table` with its dotted key and its place in the text.
fn flatten(prefix: String, table: &DeTable<'_>, flat: &mut Vec<(String, usize, Value)>) {
    for (key, value) in table {
        let at = key.span().start;
        let key = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let value = match value.get_ref() {
            DeValue::Table(table) if !table.is_empty() => {
                flatten(key, table, flat);
                continue;
            }
            // A section whose keys are all commented out says nothing.
            DeValue::Table(_) if prefix.is_empty() => continue,
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other, Value::Integer)
            }
            DeValue::Boolean(value) => Value::Boolean(*value),
            _ => Value::Other,
        };
        flat.push((key, at, value));
    }
}
