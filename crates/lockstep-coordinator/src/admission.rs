//! How often one address may try to enrol or to log in, and the count of things that are bounded by
//! number. In memory: each coordinator counts for itself.

use crate::{
    bounds::{ADDRESSES_MAX, AUTH_BURST},
    refusal::{Answer, Refusal},
};
use lockstep_protocol::Code;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A bucket for each address: a burst, then one attempt a second.
pub struct Attempts {
    per_address: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts {
            per_address: Mutex::new(HashMap::new()),
        }
    }
}

impl Attempts {
    /// `Err`: too soon.
    pub fn take(&self, address: IpAddr) -> Answer<()> {
        if self.take_at(network(address), Instant::now()) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::TooManyRequests,
            "too many attempts from this address; one a second is let through",
        )
        .retry_after(1))
    }

    fn take_at(&self, address: IpAddr, now: Instant) -> bool {
        let full = f64::from(AUTH_BURST);
        let mut buckets = self
            .per_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            let refill = Duration::from_secs(u64::from(AUTH_BURST));
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < refill);
            if buckets.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let bucket = buckets.entry(address).or_insert(Bucket {
            left: full,
            at: now,
        });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + passed).min(full);
        bucket.at = now;
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6((six.to_bits() & (u128::MAX << 64)).into()),
        },
        four => four,
    }
}

/// At most so many at a time.
#[derive(Clone)]
pub struct Places {
    taken: Arc<AtomicUsize>,
    max: usize,
}

/// One of them; given back when it is dropped.
pub struct Place(Arc<AtomicUsize>);

impl Places {
    pub fn new(max: usize) -> Self {
        Places {
            taken: Arc::new(AtomicUsize::new(0)),
            max,
        }
    }

    pub fn take(&self) -> Option<Place> {
        if self.taken.fetch_add(1, Ordering::Relaxed) < self.max {
            return Some(Place(self.taken.clone()));
        }
        self.taken.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_a_second() {
        let attempts = Attempts::default();
        let (address, now) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        for _ in 0..AUTH_BURST {
            assert!(attempts.take_at(address, now));
        }
        assert!(!attempts.take_at(address, now));
        assert!(attempts.take_at(IpAddr::from([10, 0, 0, 2]), now));
        assert!(attempts.take_at(address, now + Duration::from_millis(1_100)));
        assert!(!attempts.take_at(address, now + Duration::from_millis(1_200)));
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..ADDRESSES_MAX as u32 + 10 {
            attempts.take_at(IpAddr::V4(number.into()), now);
        }
        assert!(attempts.per_address.lock().unwrap().len() <= ADDRESSES_MAX);
        let later = now + Duration::from_secs(60);
        assert!(attempts.take_at(IpAddr::from([99, 0, 0, 1]), later));
    }

    #[test]
    fn a_place_is_given_back() {
        let places = Places::new(1);
        let first = places.take();
        assert!(first.is_some() && places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
    }
}
