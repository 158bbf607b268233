//! How much one caller may ask: so many requests a second, twice that at once, and every answer says what is left.
//!
//! A caller is its token or session. A token that was not accepted yet counts for the address it comes from, as does
//! whoever shows none: inventing tokens gains nothing. What is remembered is bounded, whoever asks.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::App;
use super::access::Credential;
use super::problem::Problem;
use crate::entrance::slots::Full;
use crate::entrance::{Attempts, Place, Slots, network, refused};

/// What the limits hold for: the API,
const API: &str = "/api/v1";
/// and what is counted, for which an address has a quota of its own: who watches must not be shut out by who asks.
const METRICS: &str = "/metrics";
/// Callers remembered at once. Of one that asked for nothing in the last two seconds there is nothing to remember.
const MAX_CALLERS: usize = 65_536;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// How much everybody may ask.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Requests to the API of each caller, and for the metrics; twice as many at once.
    pub requests_per_second: NonZeroU32,
    /// Streams that are followed at once, in all and by each caller.
    pub streams: u32,
    pub streams_per_caller: u32,
    /// Wrong passwords from one address in a quarter of an hour.
    pub sign_in_failures_per_address: u32,
}

impl Quotas {
    /// Where nobody is to be refused.
    pub const UNLIMITED: Self = Self {
        requests_per_second: match NonZeroU32::new(1_000_000) {
            Some(many) => many,
            None => NonZeroU32::MAX,
        },
        streams: u32::MAX,
        streams_per_caller: u32::MAX,
        sign_in_failures_per_address: u32::MAX,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// The keyed hash of a credential that was accepted.
    Accepted(u64),
    Address(IpAddr),
    /// One that asks for the metrics.
    Watching(Option<IpAddr>),
    /// Of a connection that has no address.
    Nowhere,
}

impl Caller {
    /// Where too many ask within moments, strangers share what one may have, and so do all who watch. Of those who were
    /// accepted there are only so many.
    fn in_a_crowd(self) -> Self {
        match self {
            Self::Accepted(_) => self,
            Self::Address(_) | Self::Nowhere => Self::Nowhere,
            Self::Watching(_) => Self::Watching(None),
        }
    }
}

/// How a caller stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    /// How many requests it may still send at once.
    remaining: u32,
    /// Refused: when one would be accepted again.
    wait: Option<Duration>,
}

/// What everybody may ask.
pub struct Limits<C: Clock = MonotonicClock> {
    per_second: NonZeroU32,
    burst: NonZeroU32,
    limiter: RateLimiter<Caller, HashMapStateStore<Caller>, C, StateInformationMiddleware>,
    accepted: Mutex<HashSet<u64>>,
    streams: Slots<Caller>,
    pub(super) sign_ins: Attempts,
    /// By which credentials are named here: nobody can make up one that has the name of another.
    hasher: RandomState,
}

impl Limits {
    pub fn new(quotas: Quotas) -> Self {
        Self::with_clock(quotas, MonotonicClock)
    }
}

impl<C: Clock> Limits<C> {
    fn with_clock(quotas: Quotas, clock: C) -> Self {
        let per_second = quotas.requests_per_second;
        let burst = per_second.saturating_add(per_second.get());
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limiter = RateLimiter::hashmap_with_clock(quota, clock).with_middleware();
        Self {
            per_second,
            burst,
            limiter,
            accepted: Mutex::default(),
            streams: Slots::new(quotas.streams, quotas.streams_per_caller),
            // A name is locked by the store, which also remembers over a restart.
            sign_ins: Attempts::new(u32::MAX, quotas.sign_in_failures_per_address),
            hasher: RandomState::new(),
        }
    }

    /// A place to follow a stream, for whoever was accepted with this.
    pub(super) fn stream(&self, credential: &Credential) -> Result<Place<Caller>, Problem> {
        self.streams.take(Caller::Accepted(self.name(credential))).map_err(|full| match full {
            Full::Each => {
                refused("stream", "per_caller");
                let what = "this token or session follows as many streams as it may: end one, or share it";
                Problem::new(StatusCode::TOO_MANY_REQUESTS, what)
            }
            Full::All => {
                refused("stream", "all");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many streams are followed: try again later")
            }
        })
    }

    /// From now on the credential stands for itself.
    pub(super) fn accept(&self, credential: &Credential) {
        let mut accepted = self.accepted();
        if accepted.len() >= MAX_CALLERS {
            // Whoever is still there is accepted again with its next request.
            accepted.clear();
        }
        accepted.insert(self.name(credential));
    }

    /// From now on it is one that anybody could have made up.
    pub(super) fn reject(&self, credential: &Credential) {
        self.accepted().remove(&self.name(credential));
    }

    fn accepted(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, credential: &Credential) -> u64 {
        self.hasher.hash_one(credential.text())
    }

    fn caller(&self, credential: Option<&Credential>, address: Option<IpAddr>) -> Caller {
        let name = credential.map(|credential| self.name(credential)).filter(|name| self.accepted().contains(name));
        match (name, address) {
            (Some(name), _) => Caller::Accepted(name),
            (None, Some(address)) => Caller::Address(network(address)),
            (None, None) => Caller::Nowhere,
        }
    }

    /// Counts a request.
    fn count(&self, caller: Caller) -> Standing {
        if self.limiter.len() >= MAX_CALLERS {
            self.limiter.retain_recent();
        }
        let caller = if self.limiter.len() >= MAX_CALLERS { caller.in_a_crowd() } else { caller };
        match self.limiter.check_key(&caller) {
            Ok(left) => Standing { remaining: left.remaining_burst_capacity(), wait: None },
            Err(until) => Standing { remaining: 0, wait: Some(until.wait_time_from(self.limiter.clock().now())) },
        }
    }

    /// The fields of draft-ietf-httpapi-ratelimit-headers-10: `q` requests at once, all there again after `w` seconds
    /// without any; `r` are left, and after `t` seconds all of them would be there again.
    fn tell(&self, standing: Standing, headers: &mut HeaderMap) {
        let whole = (self.burst.get() - standing.remaining.min(self.burst.get())).div_ceil(self.per_second.get());
        let window = self.burst.get().div_ceil(self.per_second.get());
        let fields = [
            (POLICY, format!("\"default\";q={};w={window}", self.burst)),
            (STANDING, format!("\"default\";r={};t={whole}", standing.remaining)),
        ];
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

/// Answers 429 to who asks too much of the API or for the metrics, and tells everybody what is left.
pub(super) async fn limit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let path = request.uri().path();
    let caller = if path.starts_with(API) {
        app.limits.caller(Credential::shown(request.headers()).as_ref(), address)
    } else if path == METRICS {
        Caller::Watching(address.map(network))
    } else {
        return next.run(request).await;
    };
    let standing = app.limits.count(caller);
    let mut response = match standing.wait {
        None => next.run(request).await,
        Some(wait) => {
            refused("api", "requests");
            let mut refused =
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests: wait as long as `Retry-After` says")
                    .into_response();
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            refused.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
            refused
        }
    };
    app.limits.tell(standing, response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(per_second: u32) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let quotas = Quotas { requests_per_second: NonZeroU32::new(per_second).unwrap(), ..Quotas::UNLIMITED };
        (Limits::with_clock(quotas, clock.clone()), clock)
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn twice_the_rate_at_once_and_then_the_rate() {
        let (limits, clock) = limits(10);
        let caller = limits.caller(None, address(1));
        for left in (0..20).rev() {
            assert_eq!(limits.count(caller), Standing { remaining: left, wait: None });
        }
        assert_eq!(limits.count(caller), Standing { remaining: 0, wait: Some(Duration::from_millis(100)) });
        // Another one has its own.
        assert_eq!(limits.count(limits.caller(None, address(2))).remaining, 19);
        clock.advance(Duration::from_secs(1));
        assert_eq!((0..20).filter(|_| limits.count(caller).wait.is_none()).count(), 10);
        clock.advance(Duration::from_secs(60));
        assert_eq!((0..40).filter(|_| limits.count(caller).wait.is_none()).count(), 20);
    }

    #[test]
    fn tokens_that_were_made_up_count_for_their_address() {
        let (limits, _) = limits(10);
        let token = |text: &str| Credential::Token(text.to_owned());
        limits.accept(&token("good"));
        assert_ne!(limits.caller(Some(&token("good")), address(1)), limits.caller(None, address(1)));
        assert_eq!(limits.caller(Some(&token("bad")), address(1)), limits.caller(Some(&token("worse")), address(1)));
        assert_eq!(limits.caller(Some(&token("good")), address(1)), limits.caller(Some(&token("good")), address(2)));
        limits.reject(&token("good"));
        assert_eq!(limits.caller(Some(&token("good")), address(1)), limits.caller(None, address(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (limits, clock) = limits(10);
        let stranger = |number: u32| Caller::Address(IpAddr::from(number.to_be_bytes()));
        for number in 0..MAX_CALLERS as u32 + 100 {
            limits.count(stranger(number));
        }
        assert!(limits.limiter.len() <= MAX_CALLERS + 1);
        let crowd = limits.count(stranger(u32::MAX));
        assert!(crowd.wait.is_some(), "those that came too many share one quota");
        assert_eq!(limits.count(Caller::Accepted(1)).remaining, 19, "who was accepted has its own");
        assert_eq!(limits.count(Caller::Watching(address(1))).remaining, 19, "and so have those who watch");
        assert_eq!(limits.count(Caller::Watching(address(2))).remaining, 18, "all together");
        // Longer than it takes until all that was used is there again.
        clock.advance(Duration::from_secs(3));
        assert_eq!(limits.count(stranger(u32::MAX)).remaining, 19);
        assert_eq!(limits.limiter.len(), 1);
    }

    #[test]
    fn the_fields_say_what_is_left() {
        let (limits, _) = limits(10);
        let mut headers = HeaderMap::new();
        limits.tell(limits.count(Caller::Nowhere), &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"default\";q=20;w=2");
        assert_eq!(headers["ratelimit"], "\"default\";r=19;t=1");
    }
}
