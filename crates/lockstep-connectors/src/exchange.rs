//! One request and its answer: what a status, a content type and a body that cannot be read mean.
//!
//! ```text
//!                        a read                      a write
//! no byte left           Unavailable (by the port)   Unavailable (by the port)
//! reply lost             Timeout, Unavailable        UnknownOutcome
//! 2xx, unreadable        Protocol                    UnknownOutcome: it may well have been done
//! 3xx                    Protocol                    Protocol: redirects are not followed
//! 401 403 404 429        as they say                 as they say: nothing was done
//! 5xx                    Unavailable                 UnknownOutcome
//! ```

use crate::redaction::Redaction;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use lockstep_connector::{Account, Budget, Cost, Effect, Http, Reply, Request, json};
use lockstep_model::{Fault, FaultKind};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// A shop that asks for a longer pause than this is asked again after it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a platform's error body says, where it says it in its own way.
#[derive(Default)]
pub(crate) struct Refusal {
    /// Overrules what the status alone means.
    pub kind: Option<FaultKind>,
    /// The platform's own sentence, not yet fit to be shown.
    pub said: Option<String>,
}

/// A line to one shop.
pub(crate) struct Exchange {
    http: Arc<dyn Http>,
    account: Account,
    redaction: Redaction,
    read_refusal: fn(StatusCode, &[u8]) -> Refusal,
}

impl Exchange {
    pub fn new(
        http: Arc<dyn Http>,
        account: Account,
        read_refusal: fn(StatusCode, &[u8]) -> Refusal,
    ) -> Self {
        let redaction = Redaction::of_account(&account);
        Self {
            http,
            account,
            redaction,
            read_refusal,
        }
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    pub fn http(&self) -> &dyn Http {
        self.http.as_ref()
    }

    /// As `call`, and when the shop said it: by its own clock where it tells.
    pub async fn call_dated<T: DeserializeOwned>(
        &self,
        request: Result<Request, Fault>,
        cost: Cost,
    ) -> Result<(T, Timestamp), Fault> {
        let reply = self.reply(request, cost).await?;
        let date = reply.headers().get(header::DATE);
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok());
        let date = date.map_or_else(Timestamp::now, |date| date.timestamp());
        let value = self
            .read(&reply)
            .map_err(|fault| after(cost.effect, fault))?;
        Ok((value, date))
    }

    /// Sends and reads the answer as JSON.
    pub async fn call<T: DeserializeOwned>(
        &self,
        request: Result<Request, Fault>,
        cost: Cost,
    ) -> Result<T, Fault> {
        let reply = self.reply(request, cost).await?;
        self.read(&reply).map_err(|fault| after(cost.effect, fault))
    }

    /// Sends; a 2xx is all that is wanted of the answer.
    pub async fn tell(&self, request: Result<Request, Fault>, cost: Cost) -> Result<(), Fault> {
        self.reply(request, cost).await.map(|_| ())
    }

    async fn reply(&self, request: Result<Request, Fault>, cost: Cost) -> Result<Reply, Fault> {
        let request = request.map_err(|fault| fault.at(self.account.shop))?;
        let reply = match self.http.send(request, cost).await {
            Ok(reply) => reply,
            Err(fault) => return Err(after(cost.effect, fault.at(self.account.shop))),
        };
        if let Some(budget) = budget(reply.headers()) {
            self.http.learn(budget);
        }
        if reply.status().is_success() {
            return Ok(reply);
        }
        Err(self.refused(&reply, cost.effect))
    }

    fn read<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, Fault> {
        let kind = reply.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
        let fault = if kind.contains("json") || kind.contains("html") {
            match json(reply) {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            }
        } else {
            let what = "the shop's answer is not JSON, by its own content type";
            Fault::new(FaultKind::Protocol, what)
        };
        let message = self.sentence(&self.redaction.clean(&fault.message));
        Err(Fault::new(fault.kind, message).at(self.account.shop))
    }

    fn refused(&self, reply: &Reply, effect: Effect) -> Fault {
        let status = reply.status();
        let refusal = (self.read_refusal)(status, reply.body());
        let retry_at = retry_after(reply.headers()).and_then(|after| {
            Timestamp::now()
                .checked_add(jiff::SignedDuration::try_from(after).ok()?)
                .ok()
        });
        let kind = refusal
            .kind
            .unwrap_or_else(|| kind(status, effect, retry_at));
        if effect != Effect::Read {
            return self.refusal(kind, status, refusal.said);
        }
        // What a shop says of a change is about what we sent, and a person mends it by that. To a question anything at
        // that address may answer, and whoever chose the address would read it here.
        let kind = match kind {
            FaultKind::Invalid { .. } => FaultKind::Invalid { field: None },
            FaultKind::Duplicate { .. } => FaultKind::Duplicate { existing: None },
            other => other,
        };
        self.refusal(kind, status, None)
    }

    /// A fault from what a platform answered, for a whole call or for one member of a batch.
    pub fn refusal(&self, kind: FaultKind, status: StatusCode, said: Option<String>) -> Fault {
        let what = match &kind {
            FaultKind::Auth => "does not accept the credentials; enter new ones in its settings",
            FaultKind::Forbidden => "says that these credentials lack a right",
            FaultKind::NotFound => "does not have what was asked for",
            FaultKind::Conflict => "has moved on since it was read",
            FaultKind::Invalid { .. } => "refuses the content",
            FaultKind::Duplicate { .. } => "has one with this key already",
            FaultKind::RateLimited { .. } => "asks for a pause",
            FaultKind::Unavailable | FaultKind::Timeout => "is not able to answer now",
            FaultKind::UnknownOutcome => {
                "answered with an error from which nobody can tell whether the change was made; \
                 it is looked up before anything is sent again"
            }
            FaultKind::Protocol => {
                "answered in a way that its API does not know; is its address right?"
            }
        };
        let said = said.map(|said| self.redaction.clean(&said));
        let said = said
            .filter(|said| !said.is_empty())
            .map(|said| format!(": {said}"));
        let message = format!(
            "{what} (status {}){}",
            status.as_u16(),
            said.unwrap_or_default()
        );
        Fault::new(kind, self.sentence(&message)).at(self.account.shop)
    }

    /// A fault that no answer caused.
    pub fn fault(&self, kind: FaultKind, what: &str) -> Fault {
        Fault::new(kind, self.sentence(what)).at(self.account.shop)
    }

    fn sentence(&self, what: &str) -> String {
        format!("{} {what}", self.account.name)
    }
}

/// After a write, an answer that cannot be read leaves open whether it was made.
fn after(effect: Effect, mut fault: Fault) -> Fault {
    if effect != Effect::Read && fault.kind == FaultKind::Protocol {
        fault.kind = FaultKind::UnknownOutcome;
    }
    fault
}

fn kind(status: StatusCode, effect: Effect, retry_at: Option<Timestamp>) -> FaultKind {
    match status.as_u16() {
        401 => FaultKind::Auth,
        403 => FaultKind::Forbidden,
        404 | 410 => FaultKind::NotFound,
        409 | 412 => FaultKind::Conflict,
        400 | 413 | 422 => FaultKind::Invalid { field: None },
        429 => FaultKind::RateLimited { retry_at },
        408 | 500..=599 if effect != Effect::Read => FaultKind::UnknownOutcome,
        408 => FaultKind::Timeout,
        500..=599 => FaultKind::Unavailable,
        _ => FaultKind::Protocol,
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    let number: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            // One that has passed already means now.
            at.duration_since(Timestamp::now())
                .try_into()
                .unwrap_or_default()
        }
    };
    Some(after.min(RETRY_AFTER_MAX))
}

/// `RateLimit-Limit` counts a second on the platforms that send it.
fn budget(headers: &HeaderMap) -> Option<Budget> {
    let budget = Budget {
        remaining: number(headers, "ratelimit-remaining"),
        per_second: number(headers, "ratelimit-limit"),
        retry_after_ms: retry_after(headers)
            .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
    };
    (budget != Budget::default()).then_some(budget)
}

/// A request to a path below the account's address. A malformed address is told as one.
pub(crate) fn request(
    account: &Account,
    method: http::Method,
    path_and_query: &str,
    authorization: &str,
    content: Option<(&str, lockstep_connector::Body)>,
) -> Result<Request, Fault> {
    let malformed = |field: &str, what: &str| {
        let field = Some(field.to_owned());
        Fault::new(
            FaultKind::Invalid { field },
            format!("{}: {what}", account.name),
        )
        .at(account.shop)
    };
    let not_an_address = || {
        malformed(
            "url",
            "its address is not one that a web request can be sent to",
        )
    };
    let base = account.url.trim_end_matches('/');
    let uri: http::Uri = format!("{base}{path_and_query}")
        .parse()
        .map_err(|_| not_an_address())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(not_an_address());
    }
    let mut value = http::HeaderValue::from_str(authorization).map_err(|_| {
        malformed(
            "credentials",
            "its key holds characters that a key cannot have",
        )
    })?;
    value.set_sensitive(true);
    let mut builder = http::Request::builder()
        .method(method)
        .uri(uri)
        .header(header::AUTHORIZATION, value)
        .header(header::ACCEPT, "application/json");
    let body = match content {
        Some((kind, body)) => {
            builder = builder.header(header::CONTENT_TYPE, kind);
            body
        }
        None => lockstep_connector::Body::Empty,
    };
    builder.body(body).map_err(|_| not_an_address())
}

/// All but the characters that RFC 3986 calls unreserved.
const RESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// For a value in a query or a path segment.
pub(crate) fn encode(text: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(text, RESERVED)
}

/// A credential that a person has to have entered.
pub(crate) fn credential<'a>(account: &'a Account, name: &str) -> &'a str {
    account
        .credentials
        .get(name)
        .map_or("", |value| value.trim())
}

/// An option that a person may have set; blank is not set.
pub(crate) fn option<'a>(account: &'a Account, name: &str) -> Option<&'a str> {
    account
        .options
        .get(name)
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
}
