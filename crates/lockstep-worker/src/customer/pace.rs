//! How soon a wake is followed. The first is at once. What comes in the wake of our own writes is waited for until it is
//! quiet, and read once; what was woken for again and again without anything being found is looked at ever more seldom. So
//! echoes and repeated hooks make a few runs, however many they are, and a change is late by seconds at most.
//!
//! Whoever asks in person is not kept waiting: this is for wakes by shops.

use lockstep_model::{Flow, Lane, ShopId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// After the last write to a shop its own hooks about it may still be on their way.
pub const QUIET: Duration = Duration::from_secs(1);
/// A change of the shop among the echoes of a long write is not later than this.
pub const ECHO_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Orders and levels first.
const PAUSE_MAX_TRADE: Duration = Duration::from_secs(2);
const PAUSE_MAX_CATALOGUE: Duration = Duration::from_secs(10);
/// Who was quiet for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

pub type Pair = (ShopId, Flow);

#[derive(Debug, Default)]
pub struct Pace {
    wrote: BTreeMap<ShopId, Instant>,
    barren: BTreeMap<Pair, Barren>,
    /// Handed on since the last run of their lane ended.
    handed: BTreeMap<Lane, BTreeSet<Pair>>,
}

/// Woken for, looked at, and nothing found: so often in a row, the last time then.
#[derive(Debug, Clone, Copy)]
struct Barren {
    times: u32,
    last: Instant,
}

impl Pace {
    /// A write to this shop is on its way, or has just ended.
    pub fn wrote(&mut self, shop: ShopId, now: Instant) {
        self.wrote.insert(shop, now);
    }

    /// When a wake that came at `since` is to be followed; not later than now: at once.
    pub fn due(&self, pair: Pair, since: Instant, now: Instant) -> Instant {
        let (shop, flow) = pair;
        let mut at = now;
        // An order is never only an echo to wait for: it is sold stock.
        let wrote = self.wrote.get(&shop).filter(|_| flow != Flow::Orders);
        if let Some(wrote) = wrote {
            at = at.max((*wrote + QUIET).min(since + ECHO_MAX));
        }
        if let Some(barren) = self.barren.get(&pair)
            && now.saturating_duration_since(barren.last) < FORGOTTEN_AFTER
        {
            at = at.max(barren.last + pause(flow, barren.times));
        }
        at
    }

    pub fn handed(&mut self, pair: Pair) {
        self.handed.entry(pair.1.lane()).or_default().insert(pair);
    }

    /// A run of this lane is over: what it was woken for was worth it, or it was not.
    pub fn ended(&mut self, lane: Lane, found: bool, now: Instant) {
        for pair in self.handed.remove(&lane).unwrap_or_default() {
            if found {
                self.barren.remove(&pair);
                continue;
            }
            let known = self.barren.get(&pair);
            let known = known.filter(|it| now.saturating_duration_since(it.last) < FORGOTTEN_AFTER);
            let times = known.map_or(1, |known| known.times.saturating_add(1));
            self.barren.insert(pair, Barren { times, last: now });
        }
    }
}

fn pause(flow: Flow, times: u32) -> Duration {
    let max = match flow.lane() {
        Lane::Trade => PAUSE_MAX_TRADE,
        Lane::Catalogue => PAUSE_MAX_CATALOGUE,
    };
    let doubled = 2u32.saturating_pow(times.saturating_sub(1).min(16));
    PAUSE_MIN.saturating_mul(doubled).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: ShopId = ShopId(2);
    const PRODUCTS: Pair = (SHOP, Flow::Products);
    const ORDERS: Pair = (SHOP, Flow::Orders);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Runs that hooks at these times make, if each is looked at in 20 ms.
    fn runs(pace: &mut Pace, pair: Pair, begun: Instant, hooks: &[u64], found: bool) -> usize {
        let mut runs = 0;
        let mut waiting: Option<Instant> = None;
        for at in 0..60_000 {
            let now = begun + ms(at);
            if hooks.binary_search(&at).is_ok() {
                waiting.get_or_insert(now);
            }
            if let Some(since) = waiting
                && pace.due(pair, since, now) <= now
            {
                waiting = None;
                pace.handed(pair);
                pace.ended(pair.1.lane(), found, now + ms(20));
                runs += 1;
            }
        }
        runs
    }

    #[test]
    fn m11_the_echo_of_many_writes_is_read_once_it_is_quiet() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        // 98 products are written within four seconds, and the shop calls for each.
        let mut hooks = Vec::new();
        for at in (0..4_000).step_by(40) {
            pace.wrote(SHOP, begun + ms(at));
            hooks.push(at + 30);
        }
        assert_eq!(runs(&mut pace, PRODUCTS, begun, &hooks, false), 1);
    }

    #[test]
    fn r10_a_hook_that_is_replayed_makes_ever_fewer_runs() {
        let hooks: Vec<u64> = (0..20_000).step_by(10).collect();
        let begun = Instant::now();
        let orders = runs(&mut Pace::default(), ORDERS, begun, &hooks, false);
        assert!((5..=20).contains(&orders), "{orders}");
        let products = runs(&mut Pace::default(), PRODUCTS, begun, &hooks, false);
        assert!((3..=12).contains(&products), "{products}");
    }

    #[test]
    fn what_finds_something_is_followed_at_once() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        let hooks: Vec<u64> = (0..1_000).step_by(100).collect();
        assert_eq!(runs(&mut pace, ORDERS, begun, &hooks, true), hooks.len());
        // Also after a streak that found nothing.
        runs(&mut pace, ORDERS, begun, &hooks, false);
        pace.handed(ORDERS);
        pace.ended(Lane::Trade, true, begun);
        assert_eq!(pace.due(ORDERS, begun, begun), begun);
    }

    #[test]
    fn an_order_does_not_wait_for_our_own_writes_and_nothing_waits_for_ever() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        pace.wrote(SHOP, begun);
        assert_eq!(pace.due(ORDERS, begun, begun), begun);
        let level = (SHOP, Flow::Stock);
        assert_eq!(pace.due(level, begun, begun), begun + QUIET);
        // Other shops are not concerned.
        assert_eq!(pace.due((ShopId(3), Flow::Stock), begun, begun), begun);
        // It is written to all the time.
        let late = begun + ECHO_MAX;
        pace.wrote(SHOP, late);
        assert!(pace.due(level, begun, late) <= late);
    }
}
