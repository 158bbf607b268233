//! What a transaction gathers before it writes: looked up for each event, so by hash, and written in key order, so that
//! what lies together in the file is written together.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// A map whose entries are taken out in key order.
#[derive(Debug)]
pub struct Gathered<K, V>(HashMap<K, V, RandomState>);

impl<K, V> Default for Gathered<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Eq + Hash + Ord + Copy, V> Gathered<K, V> {
    pub fn entry(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        self.0.entry(key).or_insert_with(new)
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// Takes everything out.
    pub fn drain_in_order(&mut self) -> Vec<(K, V)> {
        let mut all: Vec<_> = self.0.drain().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}
