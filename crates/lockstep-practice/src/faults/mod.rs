//! Faults that a caller sets at run time: what they are, which request they touch, and how often. Kept in memory only.
//! The acting is in `layer`.

pub mod form;
pub mod layer;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Answered with this status, nothing done.
    Reject {
        status: u16,
        retry_after_s: Option<u64>,
    },
    /// The connection is closed, nothing done.
    Drop,
    /// Done, then the connection is closed, or this status is answered.
    FailAfterWrite { status: Option<u16> },
    /// The connection is closed at once, or this status answered; done later.
    ApplyLate { ms: u64, status: Option<u16> },
    /// Done; the answer comes late.
    HoldResponse { ms: u64 },
    /// Done; the answer's body dribbles.
    RespondSlowly { ms: u64 },
    /// Waits, then as usual.
    Latency { ms: u64 },
    /// So many a second; more are told when to come back.
    RateLimit { per_second: f64, burst: f64 },
    /// New orders stay out of lists and look-ups for a while.
    HideFromSearch { ms: u64 },
    /// A page for people where a program asked.
    Html { status: u16 },
    /// Done; half of the answer.
    HalfJson,
    /// Done; the answer says that it is plain text.
    WrongContentType,
    /// So many bytes, nothing done.
    Huge { bytes: u64 },
    /// Sent elsewhere, nothing done.
    Redirect { to: String },
    /// In lists, this record is not what it should be.
    BadRecord { id: String },
    /// No hook leaves: they wait, or are lost.
    BlockHooks { drop: bool },
    /// Each hook leaves twice.
    DuplicateHooks,
}

impl Kind {
    /// Touches requests, in the layer.
    fn is_of_requests(&self) -> bool {
        !matches!(
            self,
            Self::HideFromSearch { .. }
                | Self::BadRecord { .. }
                | Self::BlockHooks { .. }
                | Self::DuplicateHooks
        )
    }

    /// Only makes sense where something is written.
    fn is_of_writes(&self) -> bool {
        matches!(self, Self::FailAfterWrite { .. } | Self::ApplyLate { .. })
    }
}

/// A fault, and the requests that it touches.
#[derive(Debug)]
pub struct Fault {
    pub kind: Kind,
    pub method: Option<Method>,
    pub path_prefix: Option<String>,
    /// How often yet; for ever if not said.
    pub times: Option<u64>,
    /// Matching requests to let pass first.
    pub after: u64,
    /// Of the matching requests only each so-and-so-many-th.
    pub every: u64,
    passed: u64,
    pub hits: u64,
    /// Tokens of a rate limit, and when they were counted.
    bucket: Option<(f64, Instant)>,
}

impl Fault {
    fn matches(&self, method: &Method, path: &str) -> bool {
        let right_method = match &self.method {
            Some(wanted) => wanted == method,
            None => !self.kind.is_of_writes() || is_write(method),
        };
        right_method
            && self
                .path_prefix
                .as_deref()
                .is_none_or(|prefix| path.starts_with(prefix))
    }

    /// One matching request comes by: does the fault strike?
    fn strike(&mut self) -> bool {
        if self.times == Some(0) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        self.passed += 1;
        if !self.passed.is_multiple_of(self.every) {
            return false;
        }
        self.times = self.times.map(|left| left - 1);
        self.hits += 1;
        true
    }

    /// Takes a token; if there is none, says how long until there is.
    fn token(&mut self, per_second: f64, burst: f64, now: Instant) -> Result<f64, Duration> {
        let (tokens, counted) = self.bucket.unwrap_or((burst, now));
        let gained = now.saturating_duration_since(counted).as_secs_f64() * per_second;
        let tokens = (tokens + gained).min(burst);
        if tokens >= 1.0 {
            self.bucket = Some((tokens - 1.0, now));
            Ok(tokens - 1.0)
        } else {
            self.bucket = Some((tokens, now));
            Err(Duration::from_secs_f64(
                ((1.0 - tokens) / per_second).min(3_600.0),
            ))
        }
    }
}

pub fn is_write(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
}

/// What is to happen to one request.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    pub wait: Duration,
    /// Requests a second, and how many are left now.
    pub limit: Option<(f64, f64)>,
    /// Over the limit: come back after this.
    pub come_back: Option<Duration>,
    pub act: Option<Kind>,
}

/// What is to happen to hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookFault {
    None,
    Blocked,
    Dropped,
    Duplicated,
}

/// The faults that are set.
#[derive(Debug, Default)]
pub struct Faults {
    set: Mutex<Vec<Fault>>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn replace(&self, faults: Vec<Fault>) {
        *self.lock() = faults;
    }

    pub fn show(&self) -> Vec<Value> {
        self.lock().iter().map(form::show).collect()
    }

    pub fn judge(&self, method: &Method, path: &str, now: Instant) -> Verdict {
        let mut verdict = Verdict::default();
        for fault in self.lock().iter_mut() {
            if !fault.kind.is_of_requests() || !fault.matches(method, path) {
                continue;
            }
            match fault.kind.clone() {
                Kind::Latency { ms } => {
                    if fault.strike() {
                        verdict.wait += Duration::from_millis(ms);
                    }
                }
                Kind::RateLimit { per_second, burst } => {
                    match fault.token(per_second, burst, now) {
                        Ok(left) => verdict.limit = Some((per_second, left)),
                        Err(wait) => {
                            fault.hits += 1;
                            verdict.limit = Some((per_second, 0.0));
                            verdict.come_back =
                                Some(verdict.come_back.unwrap_or_default().max(wait));
                        }
                    }
                }
                kind => {
                    // What is refused for its rate goes no further: it spends no other fault.
                    if verdict.act.is_none() && verdict.come_back.is_none() && fault.strike() {
                        verdict.act = Some(kind);
                    }
                }
            }
        }
        verdict
    }

    /// For how long an order that is placed now stays hidden.
    pub fn hide_order(&self) -> Option<Duration> {
        self.lock().iter_mut().find_map(|fault| {
            let Kind::HideFromSearch { ms } = fault.kind else {
                return None;
            };
            fault.strike().then(|| Duration::from_millis(ms))
        })
    }

    /// Ids of records that lists are to mangle.
    pub fn bad_records(&self) -> Vec<String> {
        let set = self.lock();
        set.iter()
            .filter(|fault| fault.times != Some(0))
            .filter_map(|fault| match &fault.kind {
                Kind::BadRecord { id } => Some(id.clone()),
                _ => None,
            })
            .collect()
    }

    /// A list has mangled this record.
    pub fn mangled(&self, record: &str) {
        let mut set = self.lock();
        let fault = set.iter_mut().find(|fault| {
            matches!(&fault.kind, Kind::BadRecord { id } if id == record) && fault.times != Some(0)
        });
        if let Some(fault) = fault {
            fault.strike();
        }
    }

    pub fn hooks(&self) -> HookFault {
        let set = self.lock();
        let of = |kind: &Kind| match kind {
            Kind::BlockHooks { drop: false } => Some(HookFault::Blocked),
            Kind::BlockHooks { drop: true } => Some(HookFault::Dropped),
            Kind::DuplicateHooks => Some(HookFault::Duplicated),
            _ => None,
        };
        set.iter()
            .find_map(|fault| of(&fault.kind))
            .unwrap_or(HookFault::None)
    }
}

#[cfg(test)]
mod tests {
    use super::form::FaultForm;
    use super::*;
    use serde_json::json;

    fn faults(list: Value) -> Faults {
        let forms: Vec<FaultForm> = serde_json::from_value(list).unwrap();
        let faults = Faults::default();
        faults.replace(
            forms
                .into_iter()
                .map(|form| form.check().unwrap())
                .collect(),
        );
        faults
    }

    fn act(faults: &Faults, method: Method, path: &str) -> Option<Kind> {
        faults.judge(&method, path, Instant::now()).act
    }

    #[test]
    fn a_fault_strikes_only_what_it_names_as_often_as_it_says() {
        let faults = faults(json!([
            {"kind": "FailAfterWrite", "path_prefix": "/api/v1/orders", "after": 1, "times": 2},
        ]));
        let orders = "/api/v1/orders";
        assert_eq!(act(&faults, Method::GET, orders), None);
        assert_eq!(act(&faults, Method::POST, "/api/v1/stock/batch"), None);
        assert_eq!(act(&faults, Method::POST, orders), None, "the first passes");
        for _ in 0..2 {
            assert_eq!(
                act(&faults, Method::POST, orders),
                Some(Kind::FailAfterWrite { status: None })
            );
        }
        assert_eq!(act(&faults, Method::POST, orders), None);
        assert_eq!(faults.show()[0]["hits"], 2);
    }

    #[test]
    fn waiting_goes_together_with_the_first_fault_that_answers() {
        let faults = faults(json!([
            {"kind": "Latency", "ms": 20}, {"kind": "Latency", "ms": 5},
            {"kind": "Reject", "status": 503}, {"kind": "Drop"},
        ]));
        let verdict = faults.judge(&Method::GET, "/api/v1/shop", Instant::now());
        assert_eq!(verdict.wait, Duration::from_millis(25));
        assert_eq!(
            verdict.act,
            Some(Kind::Reject {
                status: 503,
                retry_after_s: None
            })
        );
    }

    #[test]
    fn a_rate_is_kept_and_what_is_over_it_spends_no_other_fault() {
        let faults = faults(json!([
            {"kind": "RateLimit", "per_second": 2, "burst": 2}, {"kind": "Drop", "times": 3},
        ]));
        let start = Instant::now();
        let judge = |at| {
            faults.judge(
                &Method::GET,
                "/api/v1/shop",
                start + Duration::from_millis(at),
            )
        };
        assert!(judge(0).act.is_some() && judge(0).act.is_some());
        let third = judge(0);
        assert_eq!(
            (third.come_back, third.act),
            (Some(Duration::from_millis(500)), None)
        );
        assert!(judge(600).come_back.is_none());
        assert_eq!(faults.show()[1]["times"], 0);
    }
}
