//! Secrets of devices, kept as Mosquitto keeps passwords (`$7$`: PBKDF2-HMAC-SHA-512), so that one hash
//! serves the embedded broker and an exported password file alike.
//!
//! A secret is 256 random bits: there is nothing to guess, and few iterations are enough.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::Sha512;
use subtle::ConstantTimeEq;

/// Mosquitto's own number of iterations.
const ITERATIONS: u32 = 101;
const SALT_BYTES: usize = 12;
const HASH_BYTES: usize = 64;

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub struct NoRandom(String);

/// A new secret and its hash. The secret is told once and never stored.
pub fn generate() -> Result<(String, String), NoRandom> {
    let secret = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let hash = hash(&secret)?;
    Ok((secret, hash))
}

/// The hash of a secret under a fresh salt: `$7$iterations$salt$hash`.
pub fn hash(secret: &str) -> Result<String, NoRandom> {
    let salt = random::<SALT_BYTES>()?;
    let hash = derive(secret, &salt, ITERATIONS);
    Ok(format!("$7${ITERATIONS}${}${}", STANDARD.encode(salt), STANDARD.encode(hash)))
}

/// Whether `secret` is the one that `stored` was made of.
pub fn verify(stored: &str, secret: &str) -> bool {
    let Some([iterations, salt, expected]) = parts(stored) else { return false };
    let (Ok(iterations), Ok(salt), Ok(expected)) =
        (iterations.parse(), STANDARD.decode(salt), STANDARD.decode(expected))
    else {
        return false;
    };
    derive(secret, &salt, iterations).ct_eq(&expected).into()
}

fn parts(stored: &str) -> Option<[&str; 3]> {
    let mut parts = stored.strip_prefix("$7$")?.split('$');
    let found = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(found)
}

fn derive(secret: &str, salt: &[u8], iterations: u32) -> [u8; HASH_BYTES] {
    pbkdf2::pbkdf2_hmac_array::<Sha512, HASH_BYTES>(secret.as_bytes(), salt, iterations)
}

fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NoRandom(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_its_own_hash_only() {
        let (secret, hash) = generate().unwrap();
        let (other, _) = generate().unwrap();
        assert!(verify(&hash, &secret));
        assert!(!verify(&hash, &other));
        for broken in ["", "$7$", "$7$101$AAAA", "$6$101$AAAA$AAAA", "$7$x$AAAA$AAAA", "$7$101$!$!"] {
            assert!(!verify(broken, &secret), "{broken}");
        }
    }
}
