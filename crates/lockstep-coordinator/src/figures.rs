//! How quickly and how much: made of what workers report of their runs. In memory and of the last minutes; what this
//! coordinator has not heard it does not show.

use jiff::{SignedDuration, Timestamp};
use lockstep_model::CustomerId;
use lockstep_protocol::{
    people::{CallRate, Lag},
    status::RunProgress,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Lag is of the writes of these last minutes.
pub const LAG_MINUTES: i64 = 15;
/// Calls are of these last seconds.
const CALLS_SECONDS: i64 = 60;
/// Sooner after its start a coordinator has heard too little to say how many calls there are.
const HEARD_SECONDS_MIN: i64 = 10;
/// The oldest go first.
const SAMPLES_MAX: usize = 20_000;

/// What one report said is new in one run.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    customer: CustomerId,
    calls: u64,
    written: u64,
    lag_ms: u64,
}

pub struct Figures {
    since: Timestamp,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    samples: VecDeque<Sample>,
    /// Calls a second that a customer's shops allow together, as its worker said last.
    allowed: HashMap<CustomerId, f64>,
}

impl Figures {
    pub fn new(since: Timestamp) -> Self {
        Figures {
            since,
            inner: Mutex::default(),
        }
    }

    /// When this coordinator began to hear.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in how a run goes, and how it went when it was last heard of. Both times of a lag are the worker's; when
    /// it was is counted back from now, so that clocks need not agree.
    pub fn take(
        &self,
        before: Option<&RunProgress>,
        run: &RunProgress,
        sent_at: Timestamp,
        now: Timestamp,
    ) {
        let counted =
            |count: fn(&RunProgress) -> u64| count(run).saturating_sub(before.map_or(0, count));
        let (calls, written) = (
            counted(|run| run.counts.calls),
            counted(|run| run.counts.written),
        );
        let then = run.finished_at.map_or(sent_at, |ended| ended.min(sent_at));
        let age = sent_at.duration_since(then);
        let at = now.saturating_sub(age).unwrap_or(now);
        if (calls, written) == (0, 0) || age > SignedDuration::from_mins(LAG_MINUTES) {
            return;
        }
        let lag = then.duration_since(run.started_at).as_millis();
        let mut inner = self.inner();
        if inner.samples.len() >= SAMPLES_MAX {
            inner.samples.pop_front();
        }
        inner.samples.push_back(Sample {
            at,
            customer: run.customer_id,
            calls,
            written,
            lag_ms: u64::try_from(lag).unwrap_or(0),
        });
    }

    /// `None`: its worker does not say.
    pub fn allow(&self, customer: CustomerId, per_second: Option<f64>) {
        let per_second = per_second.filter(|rate| rate.is_finite() && *rate > 0.0);
        let mut inner = self.inner();
        match per_second {
            Some(rate) => inner.allowed.insert(customer, rate),
            None => inner.allowed.remove(&customer),
        };
    }

    /// Of the writes of the last minutes; `None`: there was none.
    pub fn lag(&self, sees: impl Fn(CustomerId) -> bool, now: Timestamp) -> Option<Lag> {
        let from = now - SignedDuration::from_mins(LAG_MINUTES);
        let mut lags: Vec<(u64, u64)> = self
            .inner()
            .samples
            .iter()
            .filter(|sample| sample.written > 0 && sample.at >= from && sees(sample.customer))
            .map(|sample| (sample.lag_ms, sample.written))
            .collect();
        lags.sort_unstable();
        let writes: u64 = lags.iter().map(|(_, written)| written).sum();
        let within = |percent: u64| {
            let wanted = (writes * percent).div_ceil(100);
            let mut seen = 0;
            lags.iter().find_map(|(lag, written)| {
                seen += written;
                (seen >= wanted).then_some(*lag)
            })
        };
        Some(Lag {
            p50_ms: within(50)?,
            p99_ms: within(99)?,
            writes,
            minutes: LAG_MINUTES.cast_unsigned(),
        })
    }

    /// `allowed` is only given if it is known of each of `customers`. `None`: not heard for long enough.
    pub fn calls(&self, customers: &[CustomerId], now: Timestamp) -> Option<CallRate> {
        let heard = now.duration_since(self.since).as_secs();
        let seconds = heard.min(CALLS_SECONDS);
        if seconds < HEARD_SECONDS_MIN {
            return None;
        }
        let from = now - SignedDuration::from_secs(seconds);
        let inner = self.inner();
        let calls: u64 = inner
            .samples
            .iter()
            .filter(|sample| sample.at >= from && customers.contains(&sample.customer))
            .map(|sample| sample.calls)
            .sum();
        let allowed = customers
            .iter()
            .map(|customer| inner.allowed.get(customer).copied())
            .sum::<Option<f64>>();
        Some(CallRate {
            calls,
            seconds: seconds.cast_unsigned(),
            allowed_per_second: allowed.filter(|rate| *rate > 0.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::{Lane, Revision, RunId, entry::Counts};
    use lockstep_protocol::status::Phase;

    fn noon() -> Timestamp {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    fn after_ms(ms: i64) -> Timestamp {
        noon() + SignedDuration::from_millis(ms)
    }

    fn run(customer: u64, written: u64, calls: u64, ended_ms: Option<i64>) -> RunProgress {
        RunProgress {
            customer_id: CustomerId(customer),
            run: RunId(1),
            lane: Lane::Trade,
            revision: Revision(1),
            cause: String::new(),
            phase: Phase::Push,
            counts: Counts {
                written,
                calls,
                ..Counts::default()
            },
            expected: None,
            message: String::new(),
            started_at: noon(),
            finished_at: ended_ms.map(after_ms),
            result: None,
            why: None,
        }
    }

    fn all(_: CustomerId) -> bool {
        true
    }

    #[test]
    fn lag_is_of_each_write_and_a_run_counts_what_is_new_in_it() {
        let figures = Figures::new(noon());
        assert_eq!(figures.lag(all, noon()), None);
        let first = run(1, 98, 10, None);
        figures.take(None, &first, after_ms(500), after_ms(500));
        figures.take(Some(&first), &first, after_ms(900), after_ms(900));
        // Told late: it had ended long before.
        let second = run(1, 100, 12, Some(4_000));
        figures.take(Some(&first), &second, after_ms(9_000), after_ms(9_000));
        let lag = figures.lag(all, after_ms(9_000)).unwrap();
        assert_eq!((lag.p50_ms, lag.p99_ms, lag.writes), (500, 4_000, 100));
        assert_eq!(figures.lag(|id| id.0 == 2, after_ms(9_000)), None);
        let later = after_ms(16 * 60_000);
        assert_eq!(figures.lag(all, later), None);
    }

    #[test]
    fn calls_are_per_second_and_what_is_allowed_is_said_if_all_say_it() {
        let figures = Figures::new(noon());
        let customers = [CustomerId(1), CustomerId(2)];
        assert_eq!(figures.calls(&customers, after_ms(9_000)), None);
        figures.take(
            None,
            &run(1, 0, 120, None),
            after_ms(20_000),
            after_ms(20_000),
        );
        figures.allow(CustomerId(1), Some(40.0));
        let rate = figures.calls(&customers, after_ms(60_000)).unwrap();
        assert_eq!(
            (rate.calls, rate.seconds, rate.allowed_per_second),
            (120, 60, None)
        );
        figures.allow(CustomerId(2), Some(10.0));
        let rate = figures.calls(&customers, after_ms(90_000)).unwrap();
        assert_eq!((rate.calls, rate.allowed_per_second), (0, Some(50.0)));
        figures.allow(CustomerId(2), Some(f64::NAN));
        let rate = figures.calls(&customers, after_ms(60_000)).unwrap();
        assert_eq!(rate.allowed_per_second, None);
    }

    #[test]
    fn samples_are_bounded() {
        let figures = Figures::new(noon());
        for number in 0..SAMPLES_MAX as u64 + 10 {
            figures.take(None, &run(number, 1, 1, None), noon(), noon());
        }
        assert_eq!(figures.inner().samples.len(), SAMPLES_MAX);
    }
}
