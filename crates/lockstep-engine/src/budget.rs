//! How fast a shop may be called with one credential, and which of the calls that wait goes first.
//!
//! Points are saved up at the rate that the shop told or bears, a second's worth at the most. The most urgent call
//! goes first; those of the catalogue leave a part of what is saved for what cannot wait, and each eighth call is the
//! one that has waited longest, so that nothing waits for ever.

use lockstep_model::{Change, Field, Kind, Path, VariantField};
use std::collections::BTreeMap;
use std::time::Duration;

/// How urgent a call is; the smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// What was sold: read before anything is written.
    ReadOrders,
    /// What is left, read and written: a unit that is not told of is sold twice.
    Stock,
    Orders,
    Prices,
    Texts,
    Pictures,
}

impl Urgency {
    pub fn of_reading(kind: Kind) -> Self {
        match kind {
            Kind::Order => Urgency::ReadOrders,
            Kind::Level => Urgency::Stock,
            Kind::Product | Kind::Category => Urgency::Texts,
        }
    }

    /// Of a batch: as urgent as its most urgent change.
    pub fn of_writing(changes: &[Change]) -> Self {
        let each = changes.iter().map(Self::of_change);
        each.min().unwrap_or(Urgency::Texts)
    }

    fn of_change(change: &Change) -> Self {
        match change {
            Change::SetLevel { .. } => Urgency::Stock,
            Change::CreateOrder { .. } | Change::StepOrder { .. } => Urgency::Orders,
            Change::UpdateProduct { set, .. } if set.keys().any(is_a_price) => Urgency::Prices,
            Change::UpdateProduct { .. }
            | Change::CreateProduct { .. }
            | Change::CreateCategory { .. }
            | Change::UpdateCategory { .. } => Urgency::Texts,
            Change::AddPicture { .. } | Change::RemovePicture { .. } => Urgency::Pictures,
        }
    }

    /// May it take the last of what is saved?
    fn is_pressing(self) -> bool {
        self <= Urgency::Orders
    }
}

fn is_a_price(path: &Path) -> bool {
    matches!(
        path.field(),
        Some(Field::Variant {
            field: VariantField::Price(_) | VariantField::SalePrice(_),
            ..
        })
    )
}

/// Names a call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What a call that waits has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It leaves now, and waits no more.
    Go,
    /// Others come first: when one of them has left or given up.
    Behind,
    /// Not before this moment.
    At(Duration),
    /// The shop wants to be left alone until this moment.
    Paused(Duration),
}

/// Calls a second, between these.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    pub min: f64,
    pub max: f64,
}

/// Each so manieth call is the one that has waited longest.
const FAIR_EVERY: u32 = 8;
/// The part of a second's worth that the catalogue leaves.
const KEPT: f64 = 0.25;

/// Moments are durations since any fixed one, on a clock that never goes back.
#[derive(Debug)]
pub struct CallBudget {
    rates: Rates,
    per_second: f64,
    /// What a person or the shop said; what complaints lower is raised again up to this.
    ceiling: f64,
    saved: f64,
    counted_at: Duration,
    paused_until: Duration,
    waiting: BTreeMap<(Urgency, Ticket), f64>,
    last: u64,
    since_fair: u32,
}

impl CallBudget {
    pub fn new(per_second: f64, rates: Rates, now: Duration) -> Self {
        let per_second = bounded(per_second, rates);
        Self {
            rates,
            per_second,
            ceiling: per_second,
            saved: allowance(per_second),
            counted_at: now,
            paused_until: Duration::ZERO,
            waiting: BTreeMap::new(),
            last: 0,
            since_fair: 0,
        }
    }

    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// `points`: what the call weighs. One that weighs more than can ever be saved takes all that can.
    pub fn ask(&mut self, urgency: Urgency, points: u32) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        let points = f64::from(points.max(1));
        self.waiting.insert((urgency, ticket), points);
        ticket
    }

    /// Nobody waits for it any more.
    pub fn give_up(&mut self, ticket: Ticket) {
        self.waiting.retain(|(_, other), _| *other != ticket);
    }

    pub fn turn(&mut self, ticket: Ticket, now: Duration) -> Turn {
        if self.paused_until > now {
            return Turn::Paused(self.paused_until);
        }
        self.count(now);
        let is_fair = self.since_fair + 1 == FAIR_EVERY;
        let Some((first, points)) = self.first(is_fair) else {
            return Turn::Go;
        };
        let (urgency, next) = first;
        if next != ticket {
            return Turn::Behind;
        }
        let most = allowance(self.per_second);
        // One that goes before more urgent ones must not keep them waiting for what it would leave them.
        let goes_before = || self.waiting.keys().any(|(other, _)| *other < urgency);
        let takes_all = urgency.is_pressing() || most < 1.0 / KEPT || goes_before();
        let kept = if takes_all { 0.0 } else { most * KEPT };
        let needed = points.min(most - kept) + kept;
        if self.saved + 1e-9 < needed {
            let wait = (needed - self.saved) / self.per_second;
            return Turn::At(now + Duration::from_secs_f64(wait));
        }
        self.saved -= points.min(most);
        self.waiting.remove(&first);
        self.since_fair = if is_fair { 0 } else { self.since_fair + 1 };
        Turn::Go
    }

    /// Whose turn it is.
    fn first(&self, is_fair: bool) -> Option<((Urgency, Ticket), f64)> {
        let waiting = self.waiting.iter();
        let first = if is_fair {
            waiting.min_by_key(|((_, ticket), _)| *ticket)
        } else {
            waiting.min_by_key(|(place, _)| **place)
        };
        first.map(|(place, points)| (*place, *points))
    }

    fn count(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.counted_at).as_secs_f64();
        self.counted_at = self.counted_at.max(now);
        self.saved = (self.saved + passed * self.per_second).min(allowance(self.per_second));
    }

    /// What the shop told of its rate.
    pub fn told(&mut self, per_second: f64) {
        if !(per_second.is_finite() && per_second > 0.0) {
            return;
        }
        self.ceiling = bounded(per_second, self.rates);
        let slower = self.per_second.min(self.ceiling);
        self.per_second = if slower < self.ceiling / 4.0 {
            slower
        } else {
            self.ceiling
        };
    }

    pub fn pause(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(until);
    }

    /// It was too fast: half as fast from now on.
    pub fn complained(&mut self) {
        self.per_second = bounded(self.per_second / 2.0, self.rates);
        self.saved = self.saved.min(allowance(self.per_second));
    }

    /// Each good answer wins back a hundredth of what complaints took.
    pub fn went_well(&mut self) {
        let lost = self.ceiling - self.per_second;
        if lost < 0.01 * self.ceiling {
            self.per_second = self.ceiling;
        } else {
            self.per_second += lost / 100.0;
        }
    }
}

fn bounded(per_second: f64, rates: Rates) -> f64 {
    if per_second.is_nan() {
        return rates.min;
    }
    per_second.clamp(rates.min, rates.max)
}

/// A second's worth, and one call at the least.
fn allowance(per_second: f64) -> f64 {
    per_second.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATES: Rates = Rates {
        min: 0.2,
        max: 500.0,
    };

    fn budget(per_second: f64) -> CallBudget {
        CallBudget::new(per_second, RATES, Duration::ZERO)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Lets calls go as soon as they may, and says in which order and when (in ms).
    fn run(budget: &mut CallBudget, calls: &[(u64, Urgency)]) -> Vec<(Urgency, u64)> {
        let mut coming: Vec<(u64, Urgency)> = calls.to_vec();
        coming.sort_by_key(|(at, _)| *at);
        let mut coming = coming.into_iter().peekable();
        let mut waiting: Vec<(Ticket, Urgency)> = Vec::new();
        let mut left = Vec::new();
        let mut now = 0;
        while left.len() < calls.len() {
            while let Some((_, urgency)) = coming.next_if(|(at, _)| *at <= now) {
                waiting.push((budget.ask(urgency, 1), urgency));
            }
            let go = waiting
                .iter()
                .position(|(ticket, _)| budget.turn(*ticket, ms(now)) == Turn::Go);
            match go {
                Some(at) => left.push((waiting.remove(at).1, now)),
                None => now += 1,
            }
            assert!(now < 3_600_000, "somebody waits for ever");
        }
        left
    }

    #[test]
    fn the_most_urgent_call_goes_first_however_late_it_came() {
        let mut calls = vec![(0, Urgency::Texts); 40];
        calls.push((500, Urgency::Pictures));
        calls.push((500, Urgency::Stock));
        calls.push((500, Urgency::ReadOrders));
        let mut budget = budget(2.0);
        let order = run(&mut budget, &calls);
        let at = |wanted| order.iter().find(|(urgency, _)| *urgency == wanted);
        let (orders, stock) = (
            at(Urgency::ReadOrders).unwrap(),
            at(Urgency::Stock).unwrap(),
        );
        assert!(orders.1 <= 1_000, "{order:?}");
        assert!(stock.1 <= 1_500, "{order:?}");
        assert_eq!(order.last().unwrap().0, Urgency::Pictures);
    }

    #[test]
    fn the_catalogue_leaves_a_part_for_what_cannot_wait() {
        let mut budget = budget(20.0);
        // A first sync has taken all that it may.
        let mut calls = vec![(0, Urgency::Texts); 15];
        for _ in 0..5 {
            calls.push((1, Urgency::ReadOrders));
        }
        let order = run(&mut budget, &calls);
        let orders = order
            .iter()
            .filter(|(urgency, _)| *urgency == Urgency::ReadOrders);
        assert!(
            orders.clone().count() == 5 && orders.clone().all(|(_, at)| *at <= 1),
            "{order:?}"
        );
    }

    #[test]
    fn what_is_least_urgent_gets_its_share() {
        // Orders enough to take every call there is, for a minute.
        let mut calls: Vec<_> = (0..600).map(|n| (n * 100, Urgency::ReadOrders)).collect();
        calls.extend(vec![(0, Urgency::Pictures); 20]);
        let order = run(&mut budget(10.0), &calls);
        let first_minute = order.iter().filter(|(_, at)| *at < 60_000);
        let pictures = first_minute.filter(|(urgency, _)| *urgency == Urgency::Pictures);
        assert_eq!(pictures.count(), 20);
    }

    #[test]
    fn a_pause_is_kept_and_a_call_that_gave_up_is_not_waited_for() {
        let mut budget = budget(10.0);
        budget.pause(ms(5_000));
        let (first, second) = (budget.ask(Urgency::Stock, 1), budget.ask(Urgency::Texts, 1));
        assert_eq!(budget.turn(first, ms(100)), Turn::Paused(ms(5_000)));
        assert_eq!(budget.turn(second, ms(5_000)), Turn::Behind);
        budget.give_up(first);
        assert_eq!(budget.turn(second, ms(5_000)), Turn::Go);
    }

    #[test]
    fn a_call_heavier_than_the_whole_allowance_still_leaves() {
        for urgency in [Urgency::ReadOrders, Urgency::Pictures] {
            let mut budget = budget(4.0);
            let ticket = budget.ask(urgency, 1_000);
            assert_eq!(budget.turn(ticket, ms(1_000)), Turn::Go);
            let next = budget.ask(urgency, 1);
            assert!(matches!(budget.turn(next, ms(1_000)), Turn::At(_)));
        }
    }

    #[test]
    fn complaints_slow_down_and_good_answers_win_back() {
        let mut budget = budget(40.0);
        budget.complained();
        budget.complained();
        assert_eq!(budget.per_second(), 10.0);
        for _ in 0..2_000 {
            budget.went_well();
        }
        assert_eq!(budget.per_second(), 40.0);
        for _ in 0..100 {
            budget.complained();
        }
        assert_eq!(budget.per_second(), RATES.min);
    }

    #[test]
    fn a_shop_that_tells_its_rate_is_believed_within_bounds() {
        let mut budget = budget(50.0);
        budget.told(2.0);
        assert_eq!(budget.per_second(), 2.0);
        budget.told(1e12);
        assert!(budget.per_second() <= RATES.max);
        budget.told(f64::NAN);
        budget.told(-3.0);
        assert!(budget.per_second() >= RATES.min);
    }

    const ALL: [Urgency; 6] = [
        Urgency::ReadOrders,
        Urgency::Stock,
        Urgency::Orders,
        Urgency::Prices,
        Urgency::Texts,
        Urgency::Pictures,
    ];

    proptest! {
        #[test]
        fn the_rate_is_never_passed_and_every_call_leaves(
            calls in prop::collection::vec((0_u64..20_000, 0_usize..6), 1..80),
            per_second in 1_u32..30,
        ) {
            let rate = f64::from(per_second);
            let calls: Vec<_> = calls.into_iter().map(|(at, urgency)| (at, ALL[urgency])).collect();
            let left = run(&mut budget(rate), &calls);
            prop_assert_eq!(left.len(), calls.len());
            for (at, (_, from)) in left.iter().enumerate() {
                let until = from + 1_000;
                let within = left[at..].iter().take_while(|(_, at)| *at < until).count();
                // A second's worth that was saved, and what comes in that second.
                prop_assert!(within as f64 <= 2.0 * rate + 1.0, "{within} in a second at {rate}");
            }
        }
    }
}
