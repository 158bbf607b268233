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

/// The secrets under which cards are hashed, in the order in which they were made: a card under the first, and what comes
/// of it under each of the others. So a hash can be brought under a new secret although nobody knows its card any more.
#[derive(Clone)]
pub struct CardKey(Vec<Secret>);

#[derive(Clone)]
struct Secret(Hmac<Sha256>, [u8; 32]);

impl fmt::Debug for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKey(…)")
    }
}

impl Secret {
    fn new(secret: [u8; 32]) -> Self {
        // HMAC pads a key shorter than the hash's block with zeros; this constructor wants it padded.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secret);
        Self(<Hmac<Sha256> as KeyInit>::new(&block.into()), secret)
    }

    fn hash(&self, bytes: &[u8]) -> CardHash {
        let mut mac = self.0.clone();
        mac.update(bytes);
        let full = mac.finalize().into_bytes();
        let mut hash = [0; 16];
        hash.copy_from_slice(&full[..16]);
        CardHash(hash)
    }
}

impl CardKey {
    pub fn new(secret: [u8; 32]) -> Self {
        Self(vec![Secret::new(secret)])
    }

    /// With one more secret.
    #[must_use]
    pub fn then(mut self, secret: [u8; 32]) -> Self {
        self.0.push(Secret::new(secret));
        self
    }

    pub fn hash(&self, card: &str) -> CardHash {
        let Some((first, later)) = self.0.split_first() else { return CardHash([0; 16]) };
        later.iter().fold(first.hash(card.as_bytes()), |hash, secret| secret.hash(&hash.0))
    }

    /// Names the key without telling it: the store keeps this to notice a wrong key file.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.0)
    }

    /// The key as it was when its fingerprint was this one, and what was added since; `None`: it never was.
    pub fn since(&self, fingerprint_then: &str) -> Option<(Self, Added)> {
        let then = (1..=self.0.len()).find(|count| fingerprint(&self.0[..*count]) == fingerprint_then)?;
        let (then, since) = self.0.split_at(then);
        Some((Self(then.to_vec()), Added(since.to_vec())))
    }
}

fn fingerprint(secrets: &[Secret]) -> String {
    let mut digest = Sha256::new();
    digest.update(b"fenlei card key fingerprint");
    secrets.iter().for_each(|secret| digest.update(secret.1));
    digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Secrets that were added to a key.
pub struct Added(Vec<Secret>);

impl Added {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the longer key makes of the card that the shorter one made this of.
    pub fn rehash(&self, hash: CardHash) -> CardHash {
        self.0.iter().fold(hash, |hash, secret| secret.hash(&hash.0))
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

    #[test]
    fn a_hash_is_brought_under_a_longer_key_without_its_card() {
        let one = CardKey::new([1; 32]);
        let longer = one.clone().then([2; 32]).then([3; 32]);
        let (then, added) = longer.since(&one.fingerprint()).unwrap();
        assert_eq!(then.hash("04a1"), one.hash("04a1"));
        assert_eq!(added.rehash(one.hash("04a1")), longer.hash("04a1"));
        assert!(longer.since(&longer.fingerprint()).unwrap().1.is_empty());
        // Neither the old secret nor the new one alone tells a card.
        assert_ne!(longer.hash("04a1"), one.hash("04a1"));
        assert_ne!(longer.hash("04a1"), CardKey::new([3; 32]).hash("04a1"));
        assert!(longer.since(&CardKey::new([2; 32]).fingerprint()).is_none());
    }
}
