//! Calls that wait until their shop may be called: the engine's budget, on virtual time, as each process keeps it.

use lockstep_engine::Effect;
use lockstep_engine::budget::{CallBudget, Rates, Ticket, Turn, Urgency};
use lockstep_model::{Fault, FaultKind, Kind, NaturalKey, ShopId};
use std::collections::VecDeque;
use std::time::Duration;

const RATES: Rates = Rates {
    min: 0.5,
    max: 500.0,
};
const WINDOW: Duration = Duration::from_secs(1);

/// The calls of one process to one shop.
pub struct Pace {
    per_second: f64,
    budget: CallBudget,
    queued: Vec<(Ticket, Effect)>,
    left: VecDeque<Duration>,
}

/// What can leave now, or when to ask again.
pub enum Next {
    Call(Effect),
    At(Duration),
    Nothing,
}

pub fn shop_of(effect: &Effect) -> Option<ShopId> {
    match effect {
        Effect::Pull { shop, .. } | Effect::Find { shop, .. } | Effect::Push { shop, .. } => {
            Some(*shop)
        }
        _ => None,
    }
}

fn urgency(effect: &Effect) -> Urgency {
    match effect {
        Effect::Pull { request, .. } => Urgency::of_reading(request.kind),
        Effect::Push { changes, .. } => Urgency::of_writing(changes),
        Effect::Find {
            key: NaturalKey::Order { .. },
            ..
        } => Urgency::of_reading(Kind::Order),
        _ => Urgency::of_reading(Kind::Product),
    }
}

impl Pace {
    pub fn new(per_second: f64, now: Duration) -> Self {
        Self {
            per_second,
            budget: CallBudget::new(per_second, RATES, now),
            queued: Vec::new(),
            left: VecDeque::new(),
        }
    }

    pub fn wait(&mut self, call: Effect) {
        let ticket = self.budget.ask(urgency(&call), 1);
        self.queued.push((ticket, call));
    }

    pub fn next(&mut self, now: Duration) -> Next {
        let mut at = None;
        for index in 0..self.queued.len() {
            let ticket = self.queued[index].0;
            match self.budget.turn(ticket, now) {
                Turn::Go => {
                    self.left.push_back(now);
                    return Next::Call(self.queued.remove(index).1);
                }
                Turn::Behind => {}
                Turn::At(then) | Turn::Paused(then) => at = Some(then),
            }
        }
        at.map_or(Next::Nothing, Next::At)
    }

    /// What the shop said to it.
    pub fn heard(&mut self, fault: Option<&Fault>, now: Duration) {
        match fault.map(|fault| &fault.kind) {
            None => self.budget.went_well(),
            Some(FaultKind::RateLimited { .. }) => {
                self.budget.complained();
                self.budget.pause(now + WINDOW);
            }
            Some(_) => {}
        }
    }

    /// A second's worth may be saved up, and a second's worth comes in meanwhile.
    pub fn is_too_fast(&mut self, now: Duration) -> bool {
        while self.left.front().is_some_and(|left| *left + WINDOW <= now) {
            self.left.pop_front();
        }
        self.left.len() as f64 > 2.0 * self.per_second + 1.0
    }
}
