//! People's passwords, kept as argon2id hashes (RFC 9106) with the parameters that OWASP recommends: 19 MiB, two passes.
//!
//! Devices' secrets are random and are kept otherwise: see [`crate::credentials`].

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// A password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed: {0}")]
pub struct HashError(String);

/// The hash of a password under a fresh salt, as a PHC string. Takes tens of milliseconds.
pub fn hash(password: &str) -> Result<String, HashError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| HashError(error.to_string()))
}

/// Whether `password` is the one that `stored` was made of. Takes as long where nothing is stored, so that the time
/// tells nothing of who exists.
pub fn verify(stored: Option<&str>, password: &str) -> bool {
    let parsed = stored.and_then(|stored| PasswordHash::new(stored).ok());
    match parsed {
        Some(stored) => Argon2::default().verify_password(password.as_bytes(), &stored).is_ok(),
        None => {
            let _ = hash(password);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, hash("correct horse").unwrap(), "each has its salt");
        assert!(verify(Some(&stored), "correct horse"));
        assert!(!verify(Some(&stored), "correct horsf"));
        assert!(!verify(Some("nonsense"), "correct horse"));
        assert!(!verify(None, "correct horse"));
    }
}
