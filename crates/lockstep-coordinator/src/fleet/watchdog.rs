//! One watchdog: a customer that is not served for a while is told of, whatever the cause, until it is served again.
//!
//! What fails at every try is well for a moment at each of them: only who stays well is well again.

use super::ailing::Cause;
use lockstep_model::CustomerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Not served for so long: it is told.
pub const TELL_AFTER: Duration = Duration::from_secs(20);
/// Served for so long: it is over.
pub const WELL_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
struct Ailing {
    cause: Cause,
    since_ms: u64,
    well_since_ms: Option<u64>,
    told: bool,
}

#[derive(Debug, Default)]
pub struct Watchdog {
    ailing: BTreeMap<CustomerId, Ailing>,
}

/// Of one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    NotServed { customer: CustomerId, cause: Cause },
    ServedAgain { customer: CustomerId, after_ms: u64 },
}

/// A cause that is told, and whom it keeps waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    pub cause: Cause,
    pub customers: Vec<CustomerId>,
    /// Of the one that has waited longest.
    pub since_ms: u64,
}

fn passed(since_ms: u64, now_ms: u64, limit: Duration) -> bool {
    u128::from(now_ms.saturating_sub(since_ms)) >= limit.as_millis()
}

impl Watchdog {
    /// `found`: every customer that is not served now, why, and for how many ms already. Who is not named is served, or
    /// is no customer any more.
    pub fn look(&mut self, now_ms: u64, found: BTreeMap<CustomerId, (Cause, u64)>) -> Vec<News> {
        let mut news = Vec::new();
        self.ailing.retain(|customer, known| {
            if found.contains_key(customer) {
                return true;
            }
            let well_since_ms = *known.well_since_ms.get_or_insert(now_ms);
            let is_well = passed(well_since_ms, now_ms, WELL_AFTER);
            if is_well && known.told {
                news.push(News::ServedAgain {
                    customer: *customer,
                    after_ms: well_since_ms.saturating_sub(known.since_ms),
                });
            }
            !is_well
        });
        for (customer, (cause, for_ms)) in found {
            let known = self.ailing.entry(customer).or_insert_with(|| Ailing {
                cause: cause.clone(),
                since_ms: now_ms.saturating_sub(for_ms),
                well_since_ms: None,
                told: false,
            });
            known.well_since_ms = None;
            known.since_ms = known.since_ms.min(now_ms.saturating_sub(for_ms));
            let is_due = passed(known.since_ms, now_ms, TELL_AFTER);
            if is_due && (!known.told || known.cause != cause) {
                known.told = true;
                news.push(News::NotServed {
                    customer,
                    cause: cause.clone(),
                });
            }
            known.cause = cause;
        }
        news
    }

    /// What is told now, one for each cause.
    pub fn incidents(&self) -> Vec<Incident> {
        let mut by_cause: BTreeMap<&Cause, Incident> = BTreeMap::new();
        for (customer, known) in self.ailing.iter().filter(|(_, known)| known.told) {
            let incident = by_cause.entry(&known.cause).or_insert_with(|| Incident {
                cause: known.cause.clone(),
                customers: Vec::new(),
                since_ms: known.since_ms,
            });
            incident.customers.push(*customer);
            incident.since_ms = incident.since_ms.min(known.since_ms);
        }
        by_cause.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::WorkerId;

    const ONE: CustomerId = CustomerId(1);
    const TWO: CustomerId = CustomerId(2);

    fn away() -> Cause {
        Cause::Silent {
            owner: WorkerId(1),
            name: "a".into(),
            movable: true,
        }
    }

    fn found(customers: &[CustomerId], for_ms: u64) -> BTreeMap<CustomerId, (Cause, u64)> {
        let each = customers.iter().map(|id| (*id, (away(), for_ms)));
        each.collect()
    }

    fn is_told(news: &[News]) -> bool {
        news.iter().any(|one| matches!(one, News::NotServed { .. }))
    }

    #[test]
    fn r3_who_is_not_served_for_a_while_is_told_once_and_closed_by_itself() {
        let mut dog = Watchdog::default();
        // It was last heard of 15 s ago.
        assert!(dog.look(100_000, found(&[ONE], 15_000)).is_empty());
        assert!(dog.incidents().is_empty());
        assert!(is_told(&dog.look(105_000, found(&[ONE], 20_000))));
        assert!(dog.look(106_000, found(&[ONE], 21_000)).is_empty());
        assert_eq!(dog.incidents()[0].since_ms, 85_000);
        assert!(dog.look(110_000, BTreeMap::new()).is_empty());
        assert_eq!(dog.incidents().len(), 1, "for a moment is not again");
        let news = dog.look(115_000, BTreeMap::new());
        assert_eq!(
            news,
            [News::ServedAgain {
                customer: ONE,
                after_ms: 25_000
            }]
        );
        assert!(dog.incidents().is_empty());
    }

    #[test]
    fn r1_a_worker_that_begins_again_and_again_is_told() {
        let mut dog = Watchdog::default();
        let mut told = false;
        for second in 0..30 {
            // Well for one second of each four.
            let ill = if second % 4 == 0 {
                BTreeMap::new()
            } else {
                found(&[ONE], 0)
            };
            told |= is_told(&dog.look(second * 1_000, ill));
        }
        assert!(told);
    }

    #[test]
    fn one_incident_for_each_cause() {
        let mut dog = Watchdog::default();
        let mut all = found(&[ONE, TWO], 30_000);
        let third = CustomerId(3);
        all.insert(third, (Cause::NobodyIsHere { pending: true }, 30_000));
        dog.look(100_000, all);
        let told: Vec<_> = dog
            .incidents()
            .into_iter()
            .map(|incident| incident.customers)
            .collect();
        assert_eq!(told, [vec![third], vec![ONE, TWO]]);
        // Who is deleted is closed too.
        dog.look(101_000, found(&[TWO], 30_000));
        dog.look(107_000, found(&[TWO], 30_000));
        assert_eq!(dog.incidents()[0].customers, [TWO]);
    }
}
