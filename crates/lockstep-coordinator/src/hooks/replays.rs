//! Deliveries that come again: a shop that was not answered sends the same once more, and whoever has recorded a signed one
//! can send it as often as he likes. The first wakes at once; those that come within its second wait for the end of it
//! and wake together, so that each is still followed by a look.

use crate::bounds::{REPLAY_PACE, REPLAYS_KNOWN_MAX};
use lockstep_model::{CustomerId, Flow, ShopId};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};
use tokio::time::Instant;

/// What a delivery says: what was signed, never a header that anybody may vary.
pub type Said = [u8; 32];

pub fn said<'a>(
    customer: CustomerId,
    shop: ShopId,
    flows: impl IntoIterator<Item = &'a Flow>,
    body: &[u8],
) -> Said {
    let mut digest = Sha256::new();
    digest.update(customer.0.to_le_bytes());
    digest.update(shop.0.to_le_bytes());
    let flows: BTreeSet<&str> = flows.into_iter().map(|flow| flow.as_str()).collect();
    for flow in flows {
        digest.update(flow);
        digest.update(b"\n");
    }
    digest.update(body);
    digest.finalize().into()
}

#[derive(Default)]
pub struct Replays {
    known: Mutex<HashMap<Said, Turn>>,
}

#[derive(Clone, Copy)]
struct Turn {
    /// When the next may wake.
    next: Instant,
    /// Somebody waits for that.
    taken: bool,
}

impl Replays {
    /// When this delivery may wake: now, or with the others that came meanwhile.
    pub fn turn(&self, said: Said, now: Instant) -> Instant {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REPLAYS_KNOWN_MAX {
            known.retain(|_, turn| turn.next + REPLAY_PACE > now);
        }
        if known.len() >= REPLAYS_KNOWN_MAX && !known.contains_key(&said) {
            return now;
        }
        let turn = known.entry(said).or_insert(Turn {
            next: now,
            taken: false,
        });
        if turn.taken && now >= turn.next {
            // Those have woken.
            turn.next += REPLAY_PACE;
            turn.taken = false;
        }
        if now >= turn.next {
            turn.next = now + REPLAY_PACE;
            return now;
        }
        turn.taken = true;
        turn.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn r10_replays_of_one_delivery_wake_once_a_second() {
        let replays = Replays::default();
        let start = Instant::now();
        let said = said(CustomerId(1), ShopId(1), [&Flow::Orders], b"{}");
        let mut wakes = BTreeSet::new();
        // 2,000 in ten seconds.
        for number in 0..2_000 {
            let now = start + Duration::from_millis(5 * number);
            let at = replays.turn(said, now);
            assert!(at >= now, "each is followed by a look");
            assert!(at <= now + REPLAY_PACE, "and soon");
            wakes.insert(at);
        }
        assert!(wakes.len() <= 12, "{}", wakes.len());
    }

    #[test]
    fn r10_another_delivery_wakes_at_once() {
        let replays = Replays::default();
        let now = Instant::now();
        let one = said(CustomerId(1), ShopId(1), [&Flow::Orders], b"1");
        assert_eq!(replays.turn(one, now), now);
        for other in [
            said(CustomerId(1), ShopId(1), [&Flow::Orders], b"2"),
            said(CustomerId(1), ShopId(1), [&Flow::Stock], b"1"),
            said(CustomerId(1), ShopId(2), [&Flow::Orders], b"1"),
            said(CustomerId(2), ShopId(1), [&Flow::Orders], b"1"),
        ] {
            assert_eq!(replays.turn(other, now), now);
        }
        let later = now + REPLAY_PACE;
        assert_eq!(replays.turn(one, later), later, "after its second");
    }
}
