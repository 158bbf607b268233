//! The file with the key of the card hashes: made once, readable by its owner alone, part of no backup.
//!
//! Two processes that start at once end with one key, and a store that was begun with a key never gets another one by
//! mistake: under a new key no card would be recognized again. A rotation adds a secret to the file, and the store's hashes
//! are hashed once more under it: every card is recognized as before, while who knows the old secret alone can make nothing
//! of them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::domain::card::{Added, CardKey};
use crate::draft::Draft;
use crate::store::sql::Connection;
use crate::store::{StoreError, card_keys};

const BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum CardKeyError {
    #[error("the card key file {} cannot be used ({error}): correct `privacy.card_key_file` or the folder's permissions", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the card key file {} is open to others (mode {mode:03o}): run chmod 600 on it", .path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("the card key file {} does not hold lines of 64 hexadecimal digits: put the right file back", .0.display())]
    Content(PathBuf),
    #[error("the store was begun with a card key, but {} is not there: put it back or correct `privacy.card_key_file`; if it is lost for good, see `fenlei card-key replace --help`", .0.display())]
    Lost(PathBuf),
    #[error("{} is there: rotate it, or, if it is not the key of this store, move it away first", .0.display())]
    There(PathBuf),
    #[error("the operating system gives no random numbers: {0}")]
    NoRandom(getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The key for a store, within a transaction of it: the first key it meets is the one it keeps to, and secrets that were
/// added to the file since count once [`catch_up`] has brought the store under them.
pub fn for_store(connection: &Connection, path: &Path) -> Result<CardKey, CardKeyError> {
    Ok(of_store(connection, path)?.0)
}

/// Brings the store under all secrets of the file, and gives the key. The store of a backup from before a rotation is
/// brought under them just the same. Beside another backend, which has the key that it began with, nothing is brought under
/// another one: it would take every known card for a new one.
pub fn catch_up(connection: &Connection, path: &Path) -> Result<CardKey, CardKeyError> {
    let (then, added) = of_store(connection, path)?;
    if added.is_empty() {
        return Ok(then);
    }
    if !connection.is_alone().map_err(StoreError::from)? {
        tracing::warn!("the rotated card key counts once all backends were stopped and one starts before the others");
        return Ok(then);
    }
    let key = load_or_create(path)?;
    let cards = card_keys::rehash(connection, &added, &key.fingerprint())?;
    tracing::info!(cards, "the cards are hashed under the rotated key from now on");
    Ok(key)
}

/// Whether the file holds the key of a store that was begun with one; makes and changes nothing.
pub fn check(connection: &Connection, path: &Path) -> Result<(), CardKeyError> {
    match card_keys::known(connection)? {
        Some(_) => of_store(connection, path).map(drop),
        None => Ok(()),
    }
}

fn of_store(connection: &Connection, path: &Path) -> Result<(CardKey, Added), CardKeyError> {
    let known = card_keys::known(connection)?;
    if known.is_some() && !path.exists() {
        return Err(CardKeyError::Lost(path.to_owned()));
    }
    let key = load_or_create(path)?;
    if known.is_none() {
        card_keys::check(connection, &key.fingerprint())?;
    }
    let expected = known.unwrap_or_else(|| key.fingerprint());
    let (found, since) = (key.fingerprint(), key.since(&expected));
    since.ok_or_else(|| StoreError::WrongCardKey { found, expected }.into())
}

/// Adds a secret to the file. The store is brought under it when the backend starts next.
pub fn rotate(path: &Path) -> Result<(), CardKeyError> {
    let file_error = |error| CardKeyError::File { path: path.to_owned(), error };
    // Of two that rotate at once the second adds to what the first has written.
    let turn = File::open(path).map_err(file_error)?;
    turn.lock().map_err(file_error)?;
    let (_, text) = read(File::open(path).map_err(file_error)?, path)?;
    let rotated = format!("{}\n{}\n", text.trim_end(), secret()?);
    Draft::beside(path).and_then(|draft| draft.write(&rotated)).and_then(Draft::replace).map_err(file_error)
}

/// Makes a new key for a store whose key is lost. No card that the store knows is recognized again; what was counted
/// stays with the household that it was counted for.
pub fn replace(connection: &Connection, path: &Path) -> Result<usize, CardKeyError> {
    if path.exists() {
        return Err(CardKeyError::There(path.to_owned()));
    }
    let key = load_or_create(path)?;
    Ok(card_keys::forget(connection, &key.fingerprint())?)
}

/// The key in the file, which is made when it is not there.
pub fn load_or_create(path: &Path) -> Result<CardKey, CardKeyError> {
    let file_error = |error| CardKeyError::File { path: path.to_owned(), error };
    match File::open(path) {
        Ok(file) => return Ok(read(file, path)?.0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(file_error(error)),
    }
    let secret = secret()?;
    let draft = Draft::beside(path).and_then(|draft| draft.write(&format!("{secret}\n"))).map_err(file_error)?;
    match draft.place_new() {
        Ok(()) => {}
        // Another process was quicker: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(file_error(error)),
    }
    Ok(read(File::open(path).map_err(file_error)?, path)?.0)
}

/// 64 hexadecimal digits that nobody knows.
fn secret() -> Result<String, CardKeyError> {
    let mut secret = [0; BYTES];
    getrandom::fill(&mut secret).map_err(CardKeyError::NoRandom)?;
    Ok(secret.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The key, and the text that it was read from: a secret a line, the oldest first.
fn read(mut file: File, path: &Path) -> Result<(CardKey, String), CardKeyError> {
    let file_error = |error| CardKeyError::File { path: path.to_owned(), error };
    let mode = file.metadata().map_err(file_error)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(CardKeyError::Open { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(file_error)?;
    let mut secrets = text.trim_end().split('\n').map(parse);
    let first = secrets.next().flatten().map(CardKey::new);
    let key = secrets.fold(first, |key, secret| Some(key?.then(secret?)));
    Ok((key.ok_or_else(|| CardKeyError::Content(path.to_owned()))?, text))
}

fn parse(hex: &str) -> Option<[u8; BYTES]> {
    if hex.len() != 2 * BYTES || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut secret = [0; BYTES];
    for (byte, pair) in secret.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn many_starting_at_once_end_with_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let fingerprints: Vec<_> = std::thread::scope(|scope| {
            let load = || load_or_create(&path).unwrap().fingerprint();
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(fingerprints.iter().all(|fingerprint| *fingerprint == fingerprints[0]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a draft was left behind");
        assert_eq!(load_or_create(&path).unwrap().fingerprint(), fingerprints[0]);
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let good = "0f".repeat(32);
        for wrong in ["", "0f0f", &good[1..], &format!("{good}00"), &"zz".repeat(32), &"+f".repeat(32)] {
            fs::write(&path, wrong).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = load_or_create(&path).unwrap_err();
            assert!(matches!(error, CardKeyError::Content(_)), "{wrong}: {error}");
            assert!(!error.to_string().contains("0f0f"));
        }
        fs::write(&path, &good).unwrap();
        assert_eq!(load_or_create(&path).unwrap().fingerprint(), CardKey::new([15; 32]).fingerprint());
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_store_keeps_to_its_first_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::open_beside(folder.path().join("store")).unwrap();
        let (path, other) = (folder.path().join("key"), folder.path().join("other"));
        let key = for_store(&store, &path).unwrap();
        assert_eq!(for_store(&store, &path).unwrap().fingerprint(), key.fingerprint());
        assert!(matches!(for_store(&store, &other), Err(CardKeyError::Lost(_))));
        assert!(!other.exists(), "a key was made that the store cannot use");
        load_or_create(&other).unwrap();
        let error = for_store(&store, &other).unwrap_err();
        assert!(matches!(error, CardKeyError::Store(StoreError::WrongCardKey { .. })), "{error}");
    }
}
