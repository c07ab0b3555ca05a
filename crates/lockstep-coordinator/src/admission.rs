//! How often one address may try to enrol or to log in, and the count of things that are bounded by
//! number. In memory: each coordinator counts for itself.

use crate::{
    bounds::{ADDRESSES_MAX, AUTH_BURST, GUESS_FORGOTTEN_AFTER, GUESS_WAIT_MAX, GUESSES_FREE},
    refusal::{Answer, Refusal},
};
use lockstep_protocol::{Code, bounds::LABEL_CHARS_MAX};
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
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6((six.to_bits() & (u128::MAX << 64)).into()),
        },
        four => four,
    }
}

/// Wrong passwords, by the name that was given and from where: whoever guesses waits longer and longer, and the right
/// person elsewhere does not.
#[derive(Default)]
pub struct Guesses {
    known: Mutex<HashMap<(String, IpAddr), Guess>>,
}

#[derive(Clone, Copy)]
struct Guess {
    wrong: u32,
    last: Instant,
}

impl Guess {
    /// From the last one on.
    fn wait(self) -> Duration {
        let Some(beyond) = self.wrong.checked_sub(GUESSES_FREE) else {
            return Duration::ZERO;
        };
        let seconds = 1u64.checked_shl(beyond).unwrap_or(u64::MAX);
        Duration::from_secs(seconds).min(GUESS_WAIT_MAX)
    }
}

impl Guesses {
    /// Counts a try as a wrong one, until [`Guesses::was_right`]: of many at once each is counted.
    pub fn take(&self, name: &str, address: IpAddr) -> Answer<()> {
        self.take_at(name, address, Instant::now()).map_err(|wait| {
            let seconds = wait.as_secs().max(1);
            Refusal::new(
                Code::TooManyRequests,
                format!(
                    "too many wrong passwords for this name from your address; try again in {seconds} s. Elsewhere this \
                     login is not held up"
                ),
            )
            .retry_after(seconds)
        })
    }

    fn take_at(&self, name: &str, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(name, address);
        if known.len() >= ADDRESSES_MAX && !known.contains_key(&key) {
            known.retain(|_, guess| now.saturating_duration_since(guess.last) < GUESS_WAIT_MAX);
            // The one that has been quiet longest is forgotten, rather than a stranger let in uncounted.
            if known.len() >= ADDRESSES_MAX
                && let Some(oldest) = known
                    .iter()
                    .min_by_key(|(_, guess)| guess.last)
                    .map(|(key, _)| key.clone())
            {
                known.remove(&oldest);
            }
        }
        let guess = known.entry(key).or_insert(Guess {
            wrong: 0,
            last: now,
        });
        let passed = now.saturating_duration_since(guess.last);
        if passed > GUESS_FORGOTTEN_AFTER {
            guess.wrong = 0;
        }
        let wait = guess.wait();
        if passed < wait {
            return Err(wait.saturating_sub(passed));
        }
        guess.wrong = guess.wrong.saturating_add(1);
        guess.last = now;
        Ok(())
    }

    pub fn was_right(&self, name: &str, address: IpAddr) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&key(name, address));
    }
}

/// As the database compares names.
fn key(name: &str, address: IpAddr) -> (String, IpAddr) {
    let name = name.to_lowercase().chars().take(LABEL_CHARS_MAX).collect();
    (name, network(address))
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
    fn s7_who_guesses_waits_longer_each_time_and_nobody_else_does() {
        let guesses = Guesses::default();
        let (guesser, home) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..GUESSES_FREE {
            assert!(guesses.take_at("operator", guesser, start).is_ok());
        }
        assert_eq!(
            guesses.take_at("Operator", guesser, start),
            Err(Duration::from_secs(1))
        );
        assert!(
            guesses.take_at("operator", home, start).is_ok(),
            "elsewhere"
        );
        assert!(guesses.take_at("maija", guesser, start).is_ok(), "another");
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..12 {
            let wait = guesses.take_at("operator", guesser, at(now)).unwrap_err();
            waits.push(wait.as_secs());
            now += wait.as_secs();
            assert!(guesses.take_at("operator", guesser, at(now)).is_ok());
        }
        assert_eq!(waits[..5], [1, 2, 4, 8, 16]);
        assert_eq!(waits.last(), Some(&GUESS_WAIT_MAX.as_secs()));
        guesses.was_right("operator", guesser);
        assert!(guesses.take_at("operator", guesser, at(now)).is_ok());
    }

    #[test]
    fn s7_the_number_of_guessers_is_bounded() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for number in 0..ADDRESSES_MAX as u32 + 10 {
            assert!(
                guesses
                    .take_at("operator", IpAddr::V4(number.into()), now)
                    .is_ok()
            );
        }
        assert!(guesses.known.lock().unwrap().len() <= ADDRESSES_MAX);
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
