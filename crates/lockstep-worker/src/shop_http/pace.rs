//! How fast a shop is called: at the rate that it told, slower after it complained.

use crate::bounds;
use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;
use lockstep_connector::Budget;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock>;

pub struct Pace {
    state: Mutex<State>,
}

struct State {
    per_second: f64,
    /// What a person or the shop said; what complaints lower is raised again up to this.
    ceiling: f64,
    limiter: Arc<Limiter>,
    burst: NonZeroU32,
    /// The shop asked for silence until then.
    paused_until: Option<Instant>,
}

/// The shop wants to be left alone for longer than a caller should wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    pub until: Timestamp,
}

impl Pace {
    pub fn new(per_second: f64) -> Self {
        let per_second = bounded(per_second);
        let (limiter, burst) = limiter(per_second);
        Self {
            state: Mutex::new(State {
                per_second,
                ceiling: per_second,
                limiter,
                burst,
                paused_until: None,
            }),
        }
    }

    /// Returns when a call of this weight may leave.
    pub async fn ready(&self, points: u32) -> Result<(), Paused> {
        loop {
            let (pause, limiter, points) = {
                let state = self.lock();
                let pause = state
                    .paused_until
                    .map(|until| until.saturating_duration_since(Instant::now()))
                    .filter(|left| !left.is_zero());
                // A call that weighs more than can ever be saved up takes all that can.
                let points = NonZeroU32::new(points).unwrap_or(NonZeroU32::MIN);
                (pause, state.limiter.clone(), points.min(state.burst))
            };
            match pause {
                None => {
                    // Cannot fail: the points are within the burst.
                    let _within_burst = limiter.until_n_ready(points).await;
                    return Ok(());
                }
                Some(left) if left > bounds::PAUSE_WAITED => {
                    return Err(Paused { until: after(left) });
                }
                Some(left) => tokio::time::sleep(left).await,
            }
        }
    }

    pub fn per_second(&self) -> f64 {
        self.lock().per_second
    }

    pub fn learn(&self, budget: Budget) {
        let mut state = self.lock();
        if let Some(per_second) = budget
            .per_second
            .filter(|rate| rate.is_finite() && *rate > 0.0)
        {
            state.ceiling = bounded(per_second);
            let slower = state.per_second.min(state.ceiling);
            let rate = if slower < state.ceiling / 4.0 {
                slower
            } else {
                state.ceiling
            };
            state.set(rate);
        }
        let spent = budget.remaining.is_some_and(|left| left < 1.0);
        let pause = match budget.retry_after_ms {
            Some(ms) => Some(Duration::from_millis(ms)),
            None if spent => Some(Duration::from_secs_f64(1.0 / state.per_second)),
            None => None,
        };
        if let Some(pause) = pause {
            state.pause(pause);
        }
    }

    /// 429: half as fast from now on.
    pub fn complained(&self) {
        let mut state = self.lock();
        let slower = state.per_second / 2.0;
        state.set(slower);
    }

    /// Each good answer wins back a hundredth of what complaints took.
    pub fn went_well(&self) {
        let mut state = self.lock();
        if state.per_second < state.ceiling {
            let lost = state.ceiling - state.per_second;
            let rate = state.per_second + lost / 100.0;
            // A new limiter for each small step would forget what was spent.
            if rate > state.limiter_rate() * 1.1 || lost < 0.01 * state.ceiling {
                let rate = if lost < 0.01 * state.ceiling {
                    state.ceiling
                } else {
                    rate
                };
                state.set(rate);
            } else {
                state.per_second = rate;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set(&mut self, per_second: f64) {
        let per_second = bounded(per_second);
        if (per_second - self.per_second).abs() > f64::EPSILON {
            self.per_second = per_second;
            (self.limiter, self.burst) = limiter(per_second);
        }
    }

    fn limiter_rate(&self) -> f64 {
        f64::from(self.burst.get())
    }

    fn pause(&mut self, pause: Duration) {
        let until = Instant::now() + pause.min(bounds::RETRY_AFTER_MAX);
        self.paused_until = self.paused_until.max(Some(until));
    }
}

fn bounded(per_second: f64) -> f64 {
    if per_second.is_nan() {
        return bounds::CALLS_PER_SECOND_MIN;
    }
    per_second.clamp(bounds::CALLS_PER_SECOND_MIN, bounds::CALLS_PER_SECOND_MAX)
}

/// A second's worth may leave at once.
fn limiter(per_second: f64) -> (Arc<Limiter>, NonZeroU32) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded to 0.2 ..= 500"
    )]
    let burst = NonZeroU32::new(per_second.ceil() as u32).unwrap_or(NonZeroU32::MIN);
    let one = Duration::from_secs_f64(1.0 / per_second);
    let quota = Quota::with_period(one).unwrap_or(Quota::per_second(NonZeroU32::MIN));
    (
        Arc::new(RateLimiter::direct(quota.allow_burst(burst))),
        burst,
    )
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

    fn rate(pace: &Pace) -> f64 {
        pace.per_second()
    }

    #[tokio::test]
    async fn a_long_pause_is_told_and_not_waited_out() {
        let pace = Pace::new(100.0);
        pace.ready(1).await.unwrap();
        pace.learn(Budget {
            retry_after_ms: Some(60_000),
            ..Budget::default()
        });
        let paused = pace.ready(1).await.unwrap_err();
        let left = paused.until.duration_since(Timestamp::now()).as_secs();
        assert!((50..=60).contains(&left), "{left}");
    }

    #[tokio::test]
    async fn a_call_heavier_than_the_whole_allowance_still_leaves() {
        Pace::new(1.0).ready(1_000).await.unwrap();
    }

    #[test]
    fn complaints_slow_down_and_good_answers_win_back() {
        let pace = Pace::new(40.0);
        pace.complained();
        pace.complained();
        assert_eq!(rate(&pace), 10.0);
        for _ in 0..2_000 {
            pace.went_well();
        }
        assert_eq!(rate(&pace), 40.0);
        for _ in 0..100 {
            pace.complained();
        }
        assert_eq!(rate(&pace), bounds::CALLS_PER_SECOND_MIN);
    }

    #[test]
    fn a_shop_that_tells_its_rate_is_believed_within_bounds() {
        let pace = Pace::new(50.0);
        let told = |per_second| Budget {
            per_second: Some(per_second),
            ..Budget::default()
        };
        pace.learn(told(2.0));
        assert_eq!(rate(&pace), 2.0);
        pace.learn(told(1e12));
        assert!(rate(&pace) <= bounds::CALLS_PER_SECOND_MAX);
        pace.learn(told(f64::NAN));
        pace.learn(told(-3.0));
        assert!(rate(&pace) >= bounds::CALLS_PER_SECOND_MIN);
    }
}
