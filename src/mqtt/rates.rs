//! How much a device may send. Past it the broker waits before it reads on: the device is slowed down, and nothing is lost.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;

use governor::clock::{Clock, MonotonicClock};
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};

use super::MAX_PACKET;

/// So many in a second, and twice as many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub publishes: NonZeroU32,
    pub bytes: NonZeroU32,
}

type Limiter<C> =
    RateLimiter<u64, HashMapStateStore<u64>, C, governor::middleware::NoOpMiddleware<<C as Clock>::Instant>>;

/// What every device has sent of late.
pub struct Rates<C: Clock = MonotonicClock> {
    publishes: Limiter<C>,
    bytes: Limiter<C>,
    clock: C,
    /// By which devices are remembered.
    hasher: RandomState,
}

impl Rates {
    pub fn new(rate: Rate) -> Self {
        Self::with_clock(rate, MonotonicClock)
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with_clock(rate: Rate, clock: C) -> Self {
        let twice = |number: NonZeroU32| number.saturating_add(number.get());
        let publishes = Quota::per_second(rate.publishes).allow_burst(twice(rate.publishes));
        // A publish of any size is to pass at some time.
        let largest = NonZeroU32::new(MAX_PACKET).unwrap_or(NonZeroU32::MAX);
        let bytes = Quota::per_second(rate.bytes).allow_burst(twice(rate.bytes).max(largest));
        Self {
            publishes: RateLimiter::hashmap_with_clock(publishes, clock.clone()),
            bytes: RateLimiter::hashmap_with_clock(bytes, clock.clone()),
            clock,
            hasher: RandomState::new(),
        }
    }

    /// Comes back when the device may publish again.
    pub async fn publish(&self, device: &str) {
        let device = self.hasher.hash_one(device);
        while let Err(until) = self.publishes.check_key(&device) {
            self.wait("publishes", &until).await;
        }
    }

    /// Comes back when the device may send so many bytes.
    pub async fn send(&self, device: &str, bytes: usize) {
        let device = self.hasher.hash_one(device);
        let Some(bytes) = u32::try_from(bytes).ok().and_then(NonZeroU32::new) else { return };
        while let Ok(Err(until)) = self.bytes.check_key_n(&device, bytes) {
            self.wait("bytes", &until).await;
        }
    }

    async fn wait(&self, what: &'static str, until: &NotUntil<C::Instant>) {
        metrics::counter!("fenlei_mqtt_delays_total", "by" => what).increment(1);
        tokio::time::sleep(until.wait_time_from(self.clock.now())).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rates(publishes: u32, bytes: u32) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let [publishes, bytes] = [publishes, bytes].map(|number| NonZeroU32::new(number).unwrap());
        (Rates::with_clock(Rate { publishes, bytes }, clock.clone()), clock)
    }

    #[tokio::test]
    async fn a_device_waits_and_another_one_does_not() {
        let (rates, clock) = rates(2, 1);
        for _ in 0..4 {
            assert_eq!(rates.publish("one").now_or_never(), Some(()));
        }
        assert_eq!(rates.publish("one").now_or_never(), None);
        assert_eq!(rates.publish("two").now_or_never(), Some(()));
        let waiting = std::time::Instant::now();
        let ((), ()) = tokio::join!(rates.publish("one"), async {
            tokio::task::yield_now().await;
            clock.advance(std::time::Duration::from_millis(500));
        });
        assert!(waiting.elapsed() >= std::time::Duration::from_millis(500), "{:?}", waiting.elapsed());
    }

    #[tokio::test]
    async fn a_publish_of_any_size_passes() {
        let (rates, clock) = rates(1_000, 1_000);
        assert_eq!(rates.send("one", MAX_PACKET as usize).now_or_never(), Some(()));
        assert_eq!(rates.send("one", 1_000).now_or_never(), None);
        clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(rates.send("one", 1_000).now_or_never(), Some(()));
        assert_eq!(rates.send("one", 0).now_or_never(), Some(()));
    }
}
