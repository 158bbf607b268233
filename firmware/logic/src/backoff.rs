//! When to try to connect again: later each time, and never all devices of a city at once.

const FIRST: u64 = 1_000;
const LONGEST: u64 = 60_000;

/// Jittered exponential back-off.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempts: u32,
    random: u64,
}

impl Backoff {
    pub(crate) const fn new(seed: u64) -> Self {
        // The generator stands still at zero.
        Self { attempts: 0, random: if seed == 0 { 0x9e37_79b9_7f4a_7c15 } else { seed } }
    }

    /// How long to wait now, in milliseconds: between half of and the whole of 1 s, 2 s, 4 s … 60 s.
    pub(crate) fn next(&mut self) -> u64 {
        let whole = FIRST.checked_shl(self.attempts).map_or(LONGEST, |delay| delay.min(LONGEST));
        self.attempts = (self.attempts + 1).min(6);
        // xorshift64: no cryptography is needed, only that devices differ.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        whole / 2 + self.random % (whole / 2 + 1)
    }

    /// The connection has proved good.
    pub(crate) const fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_differ_between_seeds() {
        for seed in [0, 1, u64::MAX] {
            let mut backoff = Backoff::new(seed);
            for whole in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000] {
                let wait = backoff.next();
                assert!((whole / 2..=whole).contains(&wait), "{wait} of {whole}");
            }
            backoff.reset();
            assert!(backoff.next() <= FIRST);
        }
        assert_ne!(Backoff::new(1).next(), Backoff::new(2).next());
    }
}
