//! How many there may be at once: in all, and of each.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    All,
    /// This one has as many as it may.
    Each,
}

impl Full {
    /// As metrics have it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::All => "connections",
            Self::Each => "connections_per_address",
        }
    }
}

/// Cheap to clone; clones share their places.
#[derive(Debug)]
pub struct Slots<K: Eq + Hash + Copy>(Arc<Inner<K>>);

#[derive(Debug)]
struct Inner<K> {
    all: u32,
    each: u32,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: u32,
    each: HashMap<K, u32>,
}

impl<K: Eq + Hash + Copy> Clone for Slots<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash + Copy> Slots<K> {
    pub fn new(all: u32, each: u32) -> Self {
        Self(Arc::new(Inner { all, each, taken: Mutex::new(Taken { all: 0, each: HashMap::new() }) }))
    }

    /// A place, until it is dropped.
    pub fn take(&self, key: K) -> Result<Place<K>, Full> {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.0.all {
            return Err(Full::All);
        }
        let each = taken.each.entry(key).or_default();
        if *each >= self.0.each {
            return Err(Full::Each);
        }
        *each += 1;
        taken.all += 1;
        Ok(Place { slots: self.clone(), key })
    }
}

#[derive(Debug)]
pub struct Place<K: Eq + Hash + Copy> {
    slots: Slots<K>,
    key: K,
}

impl<K: Eq + Hash + Copy> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.slots.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(each) = taken.each.get_mut(&self.key) {
            *each -= 1;
            if *each == 0 {
                taken.each.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_until_it_is_left() {
        let slots = Slots::new(3, 2);
        let (one, _two) = (slots.take('a').unwrap(), slots.take('a').unwrap());
        assert_eq!(slots.take('a').unwrap_err(), Full::Each);
        let _three = slots.take('b').unwrap();
        assert_eq!(slots.take('c').unwrap_err(), Full::All);
        drop(one);
        let four = slots.take('a').unwrap();
        assert_eq!(slots.take('a').unwrap_err(), Full::All);
        drop(four);
        assert_eq!(slots.take('a').map(|_| ()), Ok(()));
        assert_eq!(slots.0.taken.lock().unwrap().each.len(), 2, "who has left is forgotten");
    }
}
