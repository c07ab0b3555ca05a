//! Errors on the wire: problem+json (RFC 9457) with a stable code.

use http::StatusCode;
use lockstep_model::settings;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Stable: programs decide by it. Closed: a new one is a change of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 401: a person has not confirmed yet.
    AuthorizationPending,
    /// 429: asked before the interval was over.
    SlowDown,
    /// 403: a person said no.
    Rejected,
    /// 410: nobody confirmed in time; begin again with `/auth`.
    Expired,
    /// 503: as many enrolments wait as may.
    TooManyPending,
    /// 401: no such token, or it has expired.
    BadToken,
    /// 401: a newer token of this worker is in use.
    Superseded,
    /// 401: this worker is suspended.
    Suspended,
    /// 401: the signature is not by the enrolled key.
    BadSignature,
    /// 401: the signed time is too far from the coordinator's clock.
    ClockSkew,
    /// 409: another live process works under this worker's name.
    DuplicateInstance,
    /// 410: the coordinator's database was restored; begin with full settings and offer the chain.
    IncarnationChanged,
    /// 426: this build speaks no version of the protocol that the coordinator does.
    Upgrade,
    /// 409: another hash stands at this sequence.
    SegmentConflict,
    /// 412: the epoch is over; somebody else owns the customer.
    OldEpoch,
    /// 409: the segment does not follow the last one; `head` says which that is.
    SegmentGap,
    /// 412: the customer was edited since; `If-Match` does not hold.
    OldRevision,
    /// 422: the settings are not sound; `problems` says where.
    InvalidSettings,
    /// 400
    BadRequest,
    /// 401: wrong name or password, or no login.
    LoginRequired,
    /// 403: this login may not do that.
    Forbidden,
    /// 403: the code is not the one that the worker shows.
    WrongCode,
    /// 423: the customer is locked.
    Locked,
    /// 404
    NotFound,
    /// 409: the state does not allow this now.
    Conflict,
    /// 409: a run goes on that this has to wait for; `run` says which.
    RunGoesOn,
    /// 413
    TooLarge,
    /// 429
    TooManyRequests,
    /// 503: no worker is there that could do this.
    NoWorker,
    /// 504: a worker did not answer in time.
    AskExpired,
    /// 502: a worker asked the shop and the shop failed; `fault` says how.
    ShopFailed,
    /// 501: this build does not do that yet.
    NotYet,
    /// 503: the database or the disk does not answer; try again.
    Unavailable,
    /// 500
    Internal,
    /// A newer coordinator's code that this build does not know.
    #[serde(other)]
    Unrecognised,
}

impl Code {
    pub fn status(self) -> StatusCode {
        match self {
            Code::AuthorizationPending
            | Code::BadToken
            | Code::Superseded
            | Code::Suspended
            | Code::BadSignature
            | Code::ClockSkew
            | Code::LoginRequired => StatusCode::UNAUTHORIZED,
            Code::Rejected | Code::Forbidden | Code::WrongCode => StatusCode::FORBIDDEN,
            Code::SlowDown | Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Code::Expired | Code::IncarnationChanged => StatusCode::GONE,
            Code::DuplicateInstance
            | Code::SegmentConflict
            | Code::SegmentGap
            | Code::Conflict
            | Code::RunGoesOn => StatusCode::CONFLICT,
            Code::Upgrade => StatusCode::UPGRADE_REQUIRED,
            Code::OldEpoch | Code::OldRevision => StatusCode::PRECONDITION_FAILED,
            Code::InvalidSettings => StatusCode::UNPROCESSABLE_ENTITY,
            Code::BadRequest => StatusCode::BAD_REQUEST,
            Code::Locked => StatusCode::LOCKED,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::NoWorker | Code::TooManyPending | Code::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Code::AskExpired => StatusCode::GATEWAY_TIMEOUT,
            Code::ShopFailed => StatusCode::BAD_GATEWAY,
            Code::NotYet => StatusCode::NOT_IMPLEMENTED,
            Code::Internal | Code::Unrecognised => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Code::AuthorizationPending => "waiting for a person to confirm",
            Code::SlowDown => "asked too soon",
            Code::Rejected => "rejected by a person",
            Code::Expired => "nobody confirmed in time",
            Code::TooManyPending => "too many enrolments wait",
            Code::BadToken => "unknown or expired token",
            Code::Superseded => "a newer token is in use",
            Code::Suspended => "the worker is suspended",
            Code::BadSignature => "the signature does not fit the enrolled key",
            Code::ClockSkew => "the clocks differ too much",
            Code::DuplicateInstance => "another process works under this name",
            Code::IncarnationChanged => "the coordinator was restored from a backup",
            Code::Upgrade => "no common version of the protocol",
            Code::SegmentConflict => "another segment stands at this sequence",
            Code::OldEpoch => "somebody else owns the customer",
            Code::SegmentGap => "the segment does not follow the last one",
            Code::OldRevision => "the customer was edited since",
            Code::InvalidSettings => "the settings are not sound",
            Code::BadRequest => "the request cannot be read",
            Code::LoginRequired => "log in first",
            Code::Forbidden => "not allowed",
            Code::WrongCode => "the code is wrong",
            Code::Locked => "the customer is locked",
            Code::NotFound => "not found",
            Code::Conflict => "not possible in this state",
            Code::RunGoesOn => "a run goes on",
            Code::TooLarge => "too large",
            Code::TooManyRequests => "too many requests",
            Code::NoWorker => "no worker can do this now",
            Code::AskExpired => "no worker answered in time",
            Code::ShopFailed => "the shop failed",
            Code::NotYet => "not yet",
            Code::Unavailable => "try again",
            Code::Internal => "something broke here",
            Code::Unrecognised => "an error that this build does not know",
        }
    }
}

/// One error answer. `detail` is for people: what happened, what was kept, what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank#code`; for those who sort by it.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub code: Code,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Of settings that are not sound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<settings::Problem>,
    /// With [`Code::AuthorizationPending`] from `/auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<crate::auth::Pending>,
    /// With [`Code::SegmentGap`], [`Code::SegmentConflict`] and [`Code::OldEpoch`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<crate::segment::Head>,
    /// With [`Code::IncarnationChanged`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<lockstep_model::Incarnation>,
    /// With [`Code::ShopFailed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<lockstep_model::Fault>,
    /// With [`Code::RunGoesOn`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<lockstep_model::RunId>,
    /// Seconds, as in the header `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem {
            kind: "about:blank".into(),
            title: code.title().into(),
            status: code.status().as_u16(),
            code,
            detail: detail.into(),
            problems: Vec::new(),
            pending: None,
            head: None,
            incarnation: None,
            fault: None,
            run: None,
            retry_after: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_newer_coordinator_is_read_as_unrecognised() {
        let json = r#"{"type": "about:blank", "title": "t", "status": 418, "code": "teapot"}"#;
        let problem: Problem = serde_json::from_str(json).unwrap();
        assert_eq!(problem.code, Code::Unrecognised);
        assert_eq!(problem.status, 418);
    }
}
