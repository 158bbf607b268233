//! How often somebody may guess a secret.
//!
//! A name that was given with wrong secrets has to wait, longer each time, but only from the address that guessed: nobody
//! can shut a device out from elsewhere. An address that guesses at many names has to wait too, all but those who have
//! proven themselves from there: one stranger behind an address of a whole estate shuts nobody out who was in before.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first wait; each further one is twice as long,
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// but no longer than that.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How long failures under a name are remembered, and over which time those of an address are counted.
const REMEMBERED: Duration = Duration::from_secs(900);
/// Names, addresses and acquaintances remembered at once.
const MAX_REMEMBERED: usize = 65_536;

/// What failed, and who did not.
#[derive(Debug)]
pub struct Attempts {
    per_name: u32,
    per_address: u32,
    state: Mutex<State>,
    /// By which names are remembered: they may be of any length.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct State {
    names: HashMap<(IpAddr, u64), Failures>,
    addresses: HashMap<IpAddr, Failures>,
    known: HashSet<(IpAddr, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// The last one under a name, the first one from an address.
    at: Instant,
}

impl Attempts {
    /// So many failures a name has from one address before it must wait, and an address within a quarter of an hour.
    pub fn new(per_name: u32, per_address: u32) -> Self {
        Self { per_name, per_address, state: Mutex::default(), hasher: RandomState::new() }
    }

    /// How long `name` must wait there before its secret is looked at; `None`: not at all.
    pub fn wait(&self, from: IpAddr, name: &str, now: Instant) -> Option<Duration> {
        let (state, key) = (self.state(), self.key(from, name));
        let left = |until: Instant| until.checked_duration_since(now).filter(|left| !left.is_zero());
        let name = state.names.get(&key).and_then(|failures| left(failures.at + self.pause(failures.count)?));
        let address = state.addresses.get(&key.0).filter(|failures| failures.count >= self.per_address);
        let address = address.and_then(|failures| left(failures.at + REMEMBERED));
        name.max(address.filter(|_| !state.known.contains(&key)))
    }

    /// Notes a wrong secret.
    pub fn failed(&self, from: IpAddr, name: &str, now: Instant) {
        let (mut state, key) = (self.state(), self.key(from, name));
        let count = recent(&state.names, &key, now).map_or(0, |failures| failures.count);
        remember(&mut state.names, key, Failures { count: count.saturating_add(1), at: now }, now);
        let before = recent(&state.addresses, &key.0, now).unwrap_or(Failures { count: 0, at: now });
        remember(&mut state.addresses, key.0, Failures { count: before.count.saturating_add(1), ..before }, now);
    }

    /// Notes the right one.
    pub fn succeeded(&self, from: IpAddr, name: &str) {
        let (mut state, key) = (self.state(), self.key(from, name));
        state.names.remove(&key);
        if state.known.len() >= MAX_REMEMBERED {
            // Whoever is still there proves itself again.
            state.known.clear();
        }
        state.known.insert(key);
    }

    fn pause(&self, failures: u32) -> Option<Duration> {
        let doublings = failures.checked_sub(self.per_name)?;
        Some(FIRST_WAIT.saturating_mul(1 << doublings.min(16)).min(LONGEST_WAIT))
    }

    fn key(&self, from: IpAddr, name: &str) -> (IpAddr, u64) {
        (super::network(from), self.hasher.hash_one(name))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn recent<K: Eq + Hash>(all: &HashMap<K, Failures>, key: &K, now: Instant) -> Option<Failures> {
    all.get(key).copied().filter(|failures| now.saturating_duration_since(failures.at) < REMEMBERED)
}

fn remember<K: Eq + Hash>(all: &mut HashMap<K, Failures>, key: K, failures: Failures, now: Instant) {
    if all.len() >= MAX_REMEMBERED && !all.contains_key(&key) {
        all.retain(|_, failures| now.saturating_duration_since(failures.at) < REMEMBERED);
        if all.len() >= MAX_REMEMBERED {
            all.clear();
        }
    }
    all.insert(key, failures);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn guessing_takes_ever_longer_and_only_there() {
        let (attempts, begun) = (Attempts::new(3, 1_000), Instant::now());
        for _ in 0..2 {
            attempts.failed(HERE, "bin-1", begun);
            assert_eq!(attempts.wait(HERE, "bin-1", begun), None);
        }
        let mut now = begun;
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            attempts.failed(HERE, "bin-1", now);
            assert_eq!(attempts.wait(HERE, "bin-1", now), seconds(wait));
            assert_eq!(attempts.wait(ELSEWHERE, "bin-1", now), None, "the device itself is elsewhere");
            assert_eq!(attempts.wait(HERE, "bin-2", now), None);
            now += Duration::from_secs(wait);
            assert_eq!(attempts.wait(HERE, "bin-1", now), None);
        }
        attempts.succeeded(HERE, "bin-1");
        attempts.failed(HERE, "bin-1", now);
        assert_eq!(attempts.wait(HERE, "bin-1", now), None, "and then it begins anew");
    }

    #[test]
    fn who_guesses_at_many_names_waits_and_who_was_in_does_not() {
        let (attempts, now) = (Attempts::new(5, 10), Instant::now());
        attempts.succeeded(HERE, "bin-1");
        for number in 0..10 {
            assert_eq!(attempts.wait(HERE, "new", now), None);
            attempts.failed(HERE, &format!("guess-{number}"), now);
        }
        assert_eq!(attempts.wait(HERE, "new", now + Duration::from_secs(600)), seconds(300));
        assert_eq!((attempts.wait(HERE, "bin-1", now), attempts.wait(ELSEWHERE, "new", now)), (None, None));
        assert_eq!(attempts.wait(HERE, "new", now + REMEMBERED), None);
        attempts.failed(HERE, "guess-11", now + REMEMBERED);
        assert_eq!(attempts.wait(HERE, "new", now + REMEMBERED), None, "it is counted anew");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (attempts, now) = (Attempts::new(5, 10), Instant::now());
        for number in 0..MAX_REMEMBERED as u32 + 10 {
            let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            attempts.failed(from, "a", now);
            attempts.succeeded(from, "b");
        }
        let state = attempts.state();
        let sizes = [state.names.len(), state.addresses.len(), state.known.len()];
        assert!(sizes.iter().all(|size| *size <= MAX_REMEMBERED), "{sizes:?}");
    }
}
