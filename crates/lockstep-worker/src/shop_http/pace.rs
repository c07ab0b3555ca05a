//! When a call to a shop may leave. The engine's budget says which and when; here is the waiting.

use crate::bounds;
use jiff::Timestamp;
use lockstep_connector::Budget;
use lockstep_engine::budget::{CallBudget, Rates, Ticket, Turn, Urgency};
use lockstep_model::settings::Service;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

pub struct Pace {
    budget: Mutex<CallBudget>,
    /// A call left, or nobody waits for it any more: the next may look.
    moved: Notify,
}

/// The shop wants to be left alone for longer than a caller should wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    pub until: Timestamp,
}

/// Moments of all budgets are counted from here.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> Duration {
    BEGINNING.elapsed()
}

impl Pace {
    pub fn new(per_second: f64) -> Self {
        let rates = Rates {
            min: bounds::CALLS_PER_SECOND_MIN,
            max: bounds::CALLS_PER_SECOND_MAX,
        };
        Self {
            budget: Mutex::new(CallBudget::new(per_second, rates, now())),
            moved: Notify::new(),
        }
    }

    /// Returns when a call of this weight may leave.
    pub async fn ready(&self, urgency: Urgency, points: u32) -> Result<(), Paused> {
        let waiting = Waiting {
            ticket: self.lock().ask(urgency, points),
            pace: self,
        };
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let turn = self.lock().turn(waiting.ticket, now());
            match turn {
                Turn::Go => return Ok(()),
                Turn::Behind => moved.await,
                Turn::Paused(until) if until.saturating_sub(now()) > bounds::PAUSE_WAITED => {
                    let until = after(until.saturating_sub(now()));
                    return Err(Paused { until });
                }
                Turn::At(until) | Turn::Paused(until) => {
                    // One that is more urgent may come meanwhile; it is asked again either way.
                    tokio::select! {
                        () = tokio::time::sleep(until.saturating_sub(now())) => {}
                        () = moved => {}
                    }
                }
            }
        }
    }

    pub fn per_second(&self) -> f64 {
        self.lock().per_second()
    }

    pub fn learn(&self, told: Budget) {
        let mut budget = self.lock();
        if let Some(per_second) = told.per_second {
            budget.told(per_second);
        }
        let spent = told.remaining.is_some_and(|left| left < 1.0);
        let pause = match told.retry_after_ms {
            Some(ms) => Some(Duration::from_millis(ms)),
            None if spent => Some(Duration::from_secs_f64(1.0 / budget.per_second())),
            None => None,
        };
        if let Some(pause) = pause {
            budget.pause(now() + pause.min(bounds::RETRY_AFTER_MAX));
        }
    }

    /// 429.
    pub fn complained(&self) {
        self.lock().complained();
    }

    pub fn went_well(&self) {
        self.lock().went_well();
    }

    fn lock(&self) -> MutexGuard<'_, CallBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits; dropped, nobody waits for it any more.
struct Waiting<'a> {
    ticket: Ticket,
    pace: &'a Pace,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pace.lock().give_up(self.ticket);
        self.pace.moved.notify_waiters();
    }
}

/// The paces of this worker, one for each credential at each address: shops of several customers, and the same shop
/// before and after an edit of its settings, share what the platform gives that credential.
#[derive(Clone, Default)]
pub struct Paces {
    known: Arc<Mutex<HashMap<Account, Known>>>,
}

struct Known {
    pace: Weak<Pace>,
    /// As the settings last said.
    per_second: f64,
}

/// A digest: the secret itself is nowhere kept.
type Account = [u8; 32];

impl Paces {
    pub fn of(&self, service: &Service, per_second: f64) -> Arc<Pace> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| known.pace.strong_count() > 0);
        let account = account(service);
        if let Some(known) = known.get_mut(&account)
            && let Some(pace) = known.pace.upgrade()
        {
            if (known.per_second - per_second).abs() > f64::EPSILON {
                known.per_second = per_second;
                pace.lock().told(per_second);
            }
            return pace;
        }
        let pace = Arc::new(Pace::new(per_second));
        let new = Known {
            pace: Arc::downgrade(&pace),
            per_second,
        };
        known.insert(account, new);
        pace
    }
}

fn account(service: &Service) -> Account {
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    };
    part(&service.platform);
    part(service.url.trim_end_matches('/'));
    for (name, secret) in &service.credentials {
        if let Some(secret) = secret {
            part(name);
            part(secret.reveal());
        }
    }
    digest.finalize().into()
}

fn after(left: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(left)
        .ok()
        .and_then(|left| Timestamp::now().checked_add(left).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::ShopId;
    use lockstep_model::settings::Secret;

    #[tokio::test]
    async fn a_long_pause_is_told_and_not_waited_out() {
        let pace = Pace::new(100.0);
        pace.ready(Urgency::Texts, 1).await.unwrap();
        pace.learn(Budget {
            retry_after_ms: Some(60_000),
            ..Budget::default()
        });
        let paused = pace.ready(Urgency::ReadOrders, 1).await.unwrap_err();
        let left = paused.until.duration_since(Timestamp::now()).as_secs();
        assert!((50..=60).contains(&left), "{left}");
    }

    #[tokio::test]
    async fn those_that_wait_leave_in_the_order_of_their_urgency() {
        let pace = Arc::new(Pace::new(20.0));
        while pace.lock().turn_of_one_more() {}
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for urgency in [Urgency::Pictures, Urgency::Texts, Urgency::ReadOrders] {
            let (pace, tell) = (pace.clone(), tell.clone());
            tokio::spawn(async move {
                pace.ready(urgency, 1).await.unwrap();
                tell.send(urgency).unwrap();
            });
            tokio::task::yield_now().await;
        }
        let first = told.recv().await;
        assert_eq!(first, Some(Urgency::ReadOrders));
        assert_eq!(told.recv().await, Some(Urgency::Texts));
        assert_eq!(told.recv().await, Some(Urgency::Pictures));
    }

    trait Spent {
        fn turn_of_one_more(&mut self) -> bool;
    }

    impl Spent for CallBudget {
        fn turn_of_one_more(&mut self) -> bool {
            let ticket = self.ask(Urgency::ReadOrders, 1);
            let went = self.turn(ticket, now()) == Turn::Go;
            self.give_up(ticket);
            went
        }
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_lets_the_next_go() {
        let pace = Pace::new(1.0);
        pace.ready(Urgency::Orders, 1).await.unwrap();
        {
            let given_up = pace.ready(Urgency::ReadOrders, 1);
            tokio::pin!(given_up);
            let soon = tokio::time::timeout(Duration::from_millis(1), &mut given_up);
            assert!(soon.await.is_err(), "its second is not over");
        }
        pace.ready(Urgency::Pictures, 1).await.unwrap();
    }

    #[test]
    fn shops_with_one_credential_share_one_pace_and_no_others_do() {
        let paces = Paces::default();
        let shop = |id, url: &str, key: &str| {
            Service::new(ShopId(id), "Shop", "practice", url)
                .with_credential("token", Secret::new(key))
        };
        let one = paces.of(&shop(1, "https://a.example/", "k1"), 50.0);
        let same = paces.of(&shop(2, "https://a.example", "k1"), 50.0);
        assert!(Arc::ptr_eq(&one, &same));
        paces.of(&shop(1, "https://a.example", "k1"), 5.0);
        assert_eq!(one.per_second(), 5.0, "the settings have changed");
        for other in [
            shop(3, "https://a.example", "k2"),
            shop(4, "https://b.example", "k1"),
        ] {
            assert!(!Arc::ptr_eq(&one, &paces.of(&other, 50.0)));
        }
        drop((one, same));
        paces.of(&shop(5, "https://c.example", "k1"), 50.0);
        assert_eq!(paces.known.lock().unwrap().len(), 1, "the others are gone");
    }
}
