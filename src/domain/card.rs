//! Cards as the rest of Fenlei sees them: a keyed hash, never the number that the reader read.
//!
//! The key lives in a file of its own, outside the store and outside every backup, so that neither
//! tells which household a hash belongs to.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// HMAC-SHA-256 of a card under the installation's key, cut to 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardHash(pub [u8; 16]);

impl fmt::Debug for CardHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Even the hash follows one household around: it has no business in a log.
        f.write_str("CardHash(…)")
    }
}

impl CardHash {
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 32 {
            return None;
        }
        let mut hash = [0; 16];
        for (byte, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

/// The secret under which cards are hashed.
#[derive(Clone)]
pub struct CardKey(Hmac<Sha256>, [u8; 32]);

impl fmt::Debug for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKey(…)")
    }
}

impl CardKey {
    pub fn new(secret: [u8; 32]) -> Self {
        // HMAC pads a key shorter than the hash's block with zeros; this constructor wants it padded.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secret);
        let mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        Self(mac, secret)
    }

    pub fn hash(&self, card: &str) -> CardHash {
        let mut mac = self.0.clone();
        mac.update(card.as_bytes());
        let full = mac.finalize().into_bytes();
        let mut hash = [0; 16];
        hash.copy_from_slice(&full[..16]);
        CardHash(hash)
    }

    /// Names the key without telling it: the store keeps this to notice a wrong key file.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(b"fenlei card key fingerprint");
        digest.update(self.1);
        digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_card_and_key_and_survives_hex() {
        let (one, other) = (CardKey::new([1; 32]), CardKey::new([2; 32]));
        assert_eq!(one.hash("04a1"), one.hash("04a1"));
        assert_ne!(one.hash("04a1"), one.hash("04a2"));
        assert_ne!(one.hash("04a1"), other.hash("04a1"));
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(CardHash::from_hex(&one.hash("04a1").to_hex()), Some(one.hash("04a1")));
        assert_eq!(CardHash::from_hex("zz"), None);
    }
}
