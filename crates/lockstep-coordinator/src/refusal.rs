//! An answer that says no: a problem+json with its status, and the rule which of our own errors are told
//! to the caller and which are logged here and told as "try again".

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lockstep_protocol::{Code, Problem, headers::PROBLEM_JSON};
use lockstep_storage::{Kind, StorageError};
use std::fmt;

/// What a call answers with.
pub type Answer<T> = Result<T, Refusal>;

/// Boxed: a problem is large, and most calls go well.
#[derive(Debug, Clone)]
pub struct Refusal(pub Box<Problem>);

impl Refusal {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Refusal(Box::new(Problem::new(code, detail)))
    }

    pub fn problem(&self) -> &Problem {
        &self.0
    }

    pub fn with(mut self, change: impl FnOnce(&mut Problem)) -> Self {
        change(&mut self.0);
        self
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        self.with(|problem| problem.retry_after = Some(seconds))
    }

    pub fn not_found(what: impl fmt::Display) -> Self {
        Refusal::new(Code::NotFound, format!("there is no {what}"))
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Refusal::new(Code::BadRequest, detail)
    }

    /// For what is our own fault: logged whole, told without its insides.
    pub fn internal(doing: &str, error: impl fmt::Display) -> Self {
        tracing::error!(%error, "{doing} failed");
        Refusal::new(
            Code::Internal,
            format!("{doing} failed; nothing was changed, and the coordinator's log says why"),
        )
    }

    /// For a database or a disk that does not answer.
    pub fn unavailable(doing: &str, error: impl fmt::Display) -> Self {
        tracing::warn!(%error, "{doing} failed");
        Refusal::new(
            Code::Unavailable,
            format!("{doing} failed because the coordinator's database or disk does not answer; nothing was changed"),
        )
        .retry_after(2)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal(Box::new(problem))
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        match error.kind {
            Kind::NotFound => Refusal::new(Code::NotFound, error.message),
            Kind::Conflict => Refusal::new(Code::Conflict, error.message),
            Kind::OldRevision(_) => Refusal::new(Code::OldRevision, error.message),
            Kind::Invalid(problems) => Refusal::new(
                Code::InvalidSettings,
                "nothing was saved; the problems say where and what to do",
            )
            .with(|problem| problem.problems = problems),
            Kind::Unavailable | Kind::Busy => {
                Refusal::unavailable("the call", Chain(&error)).retry_after(1)
            }
            Kind::WrongKey | Kind::InUse | Kind::Corrupt => {
                Refusal::internal("reading or writing the database", Chain(&error))
            }
        }
    }
}

/// An error and what caused it, in one line for the log.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // A problem of strings and numbers always serialises; an empty body is still the right status.
        let body = serde_json::to_vec(&*self.0).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.code.status() == axum::http::StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_codes_status_and_says_when_to_come_again() {
        let response = Refusal::new(Code::SlowDown, "wait")
            .retry_after(7)
            .into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
    }

    #[test]
    fn what_broke_inside_is_not_told_outside() {
        let refusal = Refusal::internal("reading the customers", "password=hunter2");
        assert!(!refusal.to_string().contains("hunter2"));
    }
}
