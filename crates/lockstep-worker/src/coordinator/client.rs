//! One client for all coordinators: they share a database, so any that answers will do.

use crate::bounds;
use crate::trust::Trust;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use lockstep_protocol::{Problem, bounds::BODY_BYTES_MAX};
use reqwest::{RequestBuilder, Url};
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub struct Coordinator {
    client: reqwest::Client,
    urls: Vec<Url>,
    /// Which one answered last.
    current: AtomicUsize,
}

/// A reply that was not refused, read whole.
#[derive(Debug)]
pub struct Incoming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Incoming {
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let why = lockstep_model::misread(&error);
            CallError::Unreadable(format!("the answer is not what the protocol says: {why}"))
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Connection failure, time-out or 5xx from every coordinator.
    #[error("no coordinator answers: {reason}")]
    NoAnswer {
        reason: String,
        retry_after: Option<Duration>,
    },
    #[error("the coordinator says: {problem}")]
    Refused {
        problem: Box<Problem>,
        retry_after: Option<Duration>,
    },
    /// Something answers, and it is not a coordinator.
    #[error("{0}; is this the coordinator's address?")]
    Unreadable(String),
}

impl CallError {
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            CallError::NoAnswer { retry_after, .. } | CallError::Refused { retry_after, .. } => {
                *retry_after
            }
            CallError::Unreadable(_) => None,
        }
    }

    pub fn problem(&self) -> Option<&Problem> {
        match self {
            CallError::Refused { problem, .. } => Some(problem),
            CallError::NoAnswer { .. } | CallError::Unreadable(_) => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BadCoordinator {
    #[error("no coordinator is named; give at least one address")]
    None,
    #[error("more than {max} coordinators are named", max = bounds::COORDINATORS_MAX)]
    TooMany,
    #[error("{0} is not a coordinator's address: it starts with https:// and names a host")]
    Address(Url),
    #[error(
        "plain http to {0} would show everybody the shops' credentials: use https, or run on one machine"
    )]
    Plain(Url),
    #[error(transparent)]
    Trust(#[from] crate::trust::BadTrust),
    #[error("no client can be made: {0}")]
    Client(#[source] reqwest::Error),
}

impl Coordinator {
    pub fn new(urls: Vec<Url>, trust: &Trust) -> Result<Self, BadCoordinator> {
        match urls.len() {
            0 => return Err(BadCoordinator::None),
            n if n > bounds::COORDINATORS_MAX => return Err(BadCoordinator::TooMany),
            _ => {}
        }
        for url in &urls {
            let host = url.host_str().unwrap_or_default();
            match url.scheme() {
                _ if host.is_empty() => return Err(BadCoordinator::Address(url.clone())),
                "https" => {}
                "http" if crate::shop_http::names_loopback(host) => {}
                "http" => return Err(BadCoordinator::Plain(url.clone())),
                _ => return Err(BadCoordinator::Address(url.clone())),
            }
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.client_config()?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(bounds::CONNECT_TIMEOUT)
            // Before the coordinator closes it: a call on a connection that ends just then would be lost.
            .pool_idle_timeout(bounds::COORDINATOR_IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("Lockstep/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(BadCoordinator::Client)?;
        Ok(Coordinator {
            client,
            urls,
            current: AtomicUsize::new(0),
        })
    }

    /// Calls the coordinator that answered last, and the others if it does not. `prepare` may be called
    /// once for each: every call of the protocol may be made twice.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        timeout: Duration,
        bytes_max: usize,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Incoming, CallError> {
        self.ask(method, path, timeout, prepare, |request| {
            answer(request, bytes_max)
        })
        .await
    }

    /// As `call`, of an answer that is read piece by piece; from its first to its last byte it has `timeout`.
    pub async fn open(
        &self,
        path: &str,
        timeout: Duration,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Pieces, CallError> {
        let opened = self.ask(Method::GET, path, timeout, prepare, |request| async {
            // Whoever gives it has to read it first.
            let begun = tokio::time::timeout(bounds::STREAM_TIMEOUT, begin(request)).await;
            let reply = begun.unwrap_or_else(|_| Err(is_silent()))?;
            if reply.status().is_success() {
                return Ok(Pieces { reply });
            }
            // It says why not, which is no more than any refusal.
            Err(refusal(whole(reply, BODY_BYTES_MAX).await?))
        });
        opened.await
    }

    async fn ask<T, F: Future<Output = Result<T, CallError>>>(
        &self,
        method: Method,
        path: &str,
        timeout: Duration,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
        answer: impl Fn(RequestBuilder) -> F,
    ) -> Result<T, CallError> {
        let mut reason = String::new();
        let mut retry_after = None;
        let first = self.current.load(Ordering::Relaxed);
        for offset in 0..self.urls.len() {
            let which = (first + offset) % self.urls.len();
            let Some(url) = self.urls.get(which) else {
                continue;
            };
            let mut url = url.clone();
            url.set_path(path);
            let request = self.client.request(method.clone(), url.clone());
            let request = prepare(request.timeout(timeout));
            match answer(request).await {
                Err(CallError::NoAnswer {
                    reason: why,
                    retry_after: after,
                }) => {
                    tracing::debug!(coordinator = %url.host_str().unwrap_or_default(), why, "no answer");
                    reason = why;
                    retry_after = retry_after.max(after);
                }
                other => {
                    self.current.store(which, Ordering::Relaxed);
                    return other;
                }
            }
        }
        Err(CallError::NoAnswer {
            reason,
            retry_after,
        })
    }
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Pieces {
    reply: reqwest::Response,
}

impl Pieces {
    pub fn headers(&self) -> &HeaderMap {
        self.reply.headers()
    }

    /// `None`: that was all.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        match tokio::time::timeout(bounds::READ_TIMEOUT, self.reply.chunk()).await {
            Ok(piece) => piece.map_err(no_answer),
            Err(_) => Err(is_silent()),
        }
    }
}

fn is_silent() -> CallError {
    CallError::NoAnswer {
        reason: "no answer in time".into(),
        retry_after: None,
    }
}

fn no_answer(error: reqwest::Error) -> CallError {
    CallError::NoAnswer {
        reason: describe(&error),
        retry_after: None,
    }
}

async fn begin(request: RequestBuilder) -> Result<reqwest::Response, CallError> {
    request.send().await.map_err(no_answer)
}

async fn answer(request: RequestBuilder, bytes_max: usize) -> Result<Incoming, CallError> {
    let incoming = whole(begin(request).await?, bytes_max).await?;
    if incoming.status.is_success() || incoming.status == StatusCode::NOT_MODIFIED {
        return Ok(incoming);
    }
    Err(refusal(incoming))
}

async fn whole(mut reply: reqwest::Response, bytes_max: usize) -> Result<Incoming, CallError> {
    let (status, headers) = (reply.status(), reply.headers().clone());
    let mut body = BytesMut::new();
    while let Some(piece) = reply.chunk().await.map_err(no_answer)? {
        if body.len() + piece.len() > bytes_max {
            let what = format!("the answer has more than {bytes_max} bytes");
            return Err(CallError::Unreadable(what));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Incoming {
        status,
        headers,
        body: body.freeze(),
    })
}

/// What an answer means that says no.
fn refusal(incoming: Incoming) -> CallError {
    let Incoming {
        status,
        headers,
        body,
    } = incoming;
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    let retry_after = retry_after(&headers, problem.as_ref());
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        let said = problem.map(|problem| format!(": {problem}"));
        return CallError::NoAnswer {
            reason: format!("status {}{}", status.as_u16(), said.unwrap_or_default()),
            retry_after,
        };
    }
    match problem {
        Some(problem) => CallError::Refused {
            problem: Box::new(problem),
            retry_after,
        },
        None => CallError::Unreadable(format!(
            "it answers with status {} and no reason",
            status.as_u16()
        )),
    }
}

fn retry_after(headers: &HeaderMap, problem: Option<&Problem>) -> Option<Duration> {
    let header = headers
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let seconds = header.or_else(|| problem?.retry_after)?;
    Some(Duration::from_secs(seconds).min(bounds::RETRY_AFTER_MAX))
}

/// The innermost reason: the outer ones repeat the address.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        let made = |url: &str| Coordinator::new(vec![url.parse().unwrap()], &Trust::Web);
        assert!(made("http://127.0.0.1:1").is_ok());
        assert!(made("http://[::1]:1").is_ok());
        assert!(made("https://lockstep.example").is_ok());
        for url in [
            "http://lockstep.example",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
        ] {
            assert!(made(url).is_err(), "{url}");
        }
        assert!(Coordinator::new(vec![], &Trust::Web).is_err());
    }
}
