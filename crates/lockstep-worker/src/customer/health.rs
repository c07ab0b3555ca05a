//! How the last calls to a customer's shops went: what people are told of a shop comes from here, never from its settings.

use jiff::{SignedDuration, Timestamp};
use lockstep_model::{Fault, FaultKind, Outcome, ShopId};
use lockstep_protocol::status::{ShopFailing, ShopReport};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// An answer is told again only so much later: that a shop goes on answering is no news.
const TOLD_EVERY: SignedDuration = SignedDuration::from_secs(15);

#[derive(Debug, Default)]
pub struct ShopsHealth {
    shops: Mutex<BTreeMap<ShopId, Calls>>,
}

/// Reading and writing apart: a key may do the one and not the other.
#[derive(Debug, Default, Clone)]
struct Calls {
    answered_at: Option<Timestamp>,
    reads: Option<ShopFailing>,
    writes: Option<ShopFailing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Read,
    Write,
}

impl ShopsHealth {
    fn shops(&self) -> std::sync::MutexGuard<'_, BTreeMap<ShopId, Calls>> {
        self.shops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn heard<T>(&self, shop: ShopId, sort: Sort, result: &Result<T, Fault>, now: Timestamp) {
        match result {
            Ok(_) => self.answered(shop, sort, now),
            Err(fault) => self.failed(shop, sort, fault, now),
        }
    }

    /// A batch of writes: the shop refuses us only if it refused each of them as it would any other.
    pub fn heard_of_writes(
        &self,
        shop: ShopId,
        result: &Result<Vec<Outcome>, Fault>,
        now: Timestamp,
    ) {
        let outcomes = match result {
            Ok(outcomes) => outcomes,
            Err(fault) => return self.failed(shop, Sort::Write, fault, now),
        };
        let mut refused = None;
        for outcome in outcomes {
            match outcome {
                Outcome::Failed(fault) if is_of_the_shop(&fault.kind) => refused = Some(fault),
                Outcome::Done(_)
                | Outcome::Partly { .. }
                | Outcome::Accepted { .. }
                | Outcome::Failed(_) => return self.answered(shop, Sort::Write, now),
            }
        }
        if let Some(fault) = refused {
            self.failed(shop, Sort::Write, fault, now);
        }
    }

    fn answered(&self, shop: ShopId, sort: Sort, now: Timestamp) {
        let mut shops = self.shops();
        let calls = shops.entry(shop).or_default();
        match sort {
            Sort::Read => calls.reads = None,
            Sort::Write => calls.writes = None,
        }
        let is_news = calls
            .answered_at
            .is_none_or(|at| now.duration_since(at) >= TOLD_EVERY);
        if is_news {
            calls.answered_at = Some(now);
        }
    }

    fn failed(&self, shop: ShopId, sort: Sort, fault: &Fault, now: Timestamp) {
        if !is_of_the_shop(&fault.kind) {
            // It refused what it was asked: it is there.
            return self.answered(shop, sort, now);
        }
        let mut shops = self.shops();
        let calls = shops.entry(shop).or_default();
        let failing = match sort {
            Sort::Read => &mut calls.reads,
            Sort::Write => &mut calls.writes,
        };
        let (since, times) = match failing {
            Some(before) => (before.since, before.times + 1),
            None => (now, 1),
        };
        *failing = Some(ShopFailing {
            kind: fault.kind.clone(),
            message: fault.message.clone(),
            since,
            times,
            writes_only: sort == Sort::Write,
        });
    }

    /// Of shops that were called; those that are not `connected` any more are forgotten.
    pub fn reports(&self, connected: impl Fn(ShopId) -> bool) -> Vec<ShopReport> {
        let mut shops = self.shops();
        shops.retain(|shop, _| connected(*shop));
        let reports = shops.iter().map(|(shop, calls)| ShopReport {
            shop: *shop,
            answered_at: calls.answered_at,
            failing: calls.reads.clone().or_else(|| calls.writes.clone()),
        });
        reports.collect()
    }
}

/// It would meet any other call as well.
fn is_of_the_shop(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::Auth
        | FaultKind::Forbidden
        | FaultKind::Unavailable
        | FaultKind::Timeout
        | FaultKind::UnknownOutcome
        | FaultKind::Protocol => true,
        // It asks for peace, or speaks of what it was asked.
        FaultKind::RateLimited { .. }
        | FaultKind::NotFound
        | FaultKind::Conflict
        | FaultKind::Invalid { .. }
        | FaultKind::Duplicate { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: ShopId = ShopId(2);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + seconds).unwrap()
    }

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, "401 from the shop")
    }

    fn failing(health: &ShopsHealth) -> Option<(u64, Timestamp, bool)> {
        let reports = health.reports(|_| true);
        let failing = reports.first()?.failing.clone()?;
        Some((failing.times, failing.since, failing.writes_only))
    }

    #[test]
    fn a_shop_fails_from_its_first_refusal_until_it_answers() {
        let health = ShopsHealth::default();
        let refused: Result<(), Fault> = Err(fault(FaultKind::Auth));
        health.heard(SHOP, Sort::Read, &refused, at(0));
        health.heard(SHOP, Sort::Read, &refused, at(60));
        assert_eq!(failing(&health), Some((2, at(0), false)));
        health.heard(SHOP, Sort::Read, &Ok(()), at(90));
        assert_eq!(failing(&health), None);
        assert_eq!(health.reports(|_| true)[0].answered_at, Some(at(90)));
        assert_eq!(health.reports(|_| false), []);
    }

    #[test]
    fn what_a_record_is_refused_for_is_not_the_shop_s() {
        let health = ShopsHealth::default();
        let of_one = Outcome::Failed(fault(FaultKind::Forbidden));
        let other = Outcome::Failed(fault(FaultKind::Invalid { field: None }));
        health.heard_of_writes(SHOP, &Ok(vec![of_one.clone(), other]), at(0));
        assert_eq!(failing(&health), None);
        health.heard_of_writes(SHOP, &Ok(vec![of_one.clone(), of_one]), at(5));
        // It goes on being read all the same.
        health.heard(SHOP, Sort::Read, &Ok(()), at(6));
        assert_eq!(failing(&health), Some((1, at(5), true)));
    }
}
