//! The port through which a connector reaches its shop. Behind it: TLS, pacing, bounds, redaction, refusal of
//! redirects and of foreign hosts; and no retry, but for a request of which no byte was sent.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use lockstep_model::{Fault, FaultKind, misread};

/// What a request does to the shop: decides what a lost reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing: a lost reply is `Timeout` or `Unavailable`.
    Read,
    /// May be sent twice with the same result; a lost reply is still `UnknownOutcome`, since it may yet be applied.
    Repeatable,
    /// Must not be sent twice: a lost reply, and a 5xx, is `UnknownOutcome`.
    Once,
}

/// What a request costs and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// In the platform's own unit; 1 where it counts requests.
    pub points: u32,
    pub effect: Effect,
    /// Bytes of reply that are read at the most.
    pub reply_bytes_max: usize,
}

impl Cost {
    pub const REPLY_BYTES_MAX: usize = 32 * 1024 * 1024;

    pub fn read() -> Self {
        Self {
            points: 1,
            effect: Effect::Read,
            reply_bytes_max: Self::REPLY_BYTES_MAX,
        }
    }

    pub fn repeatable() -> Self {
        Self {
            effect: Effect::Repeatable,
            ..Self::read()
        }
    }

    pub fn once() -> Self {
        Self {
            effect: Effect::Once,
            ..Self::read()
        }
    }
}

pub type BodyStream = BoxStream<'static, Result<Bytes, Fault>>;

pub enum Body {
    Empty,
    Bytes(Bytes),
    /// Sent as it comes; such a request is never sent twice.
    Stream(BodyStream),
}

pub type Request = http::Request<Body>;
/// Read whole, within `reply_bytes_max`.
pub type Reply = http::Response<Bytes>;

#[async_trait]
pub trait Http: Send + Sync {
    /// Any status is a reply. `Err`: no reply, by `Cost::effect`: `Timeout`/`Unavailable` for a read,
    /// `UnknownOutcome` for a write of which a byte may have left, `Unavailable` for one of which none has;
    /// `Protocol` for a reply that is too large.
    async fn send(&self, request: Request, cost: Cost) -> Result<Reply, Fault>;

    /// As `send`, for a body that is not to be held whole. A status other than 2xx is a fault.
    async fn open(&self, request: Request, cost: Cost) -> Result<BodyStream, Fault>;

    /// What a reply told of the rate: used for the requests that follow.
    fn learn(&self, _budget: Budget) {}
}

/// What is left of a shop's allowance, as it told us.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Budget {
    pub remaining: Option<f64>,
    pub per_second: Option<f64>,
    pub retry_after_ms: Option<u64>,
}

/// Parses a JSON reply; anything else is a `Protocol` fault that says what kind of thing came instead, and nothing of what
/// it held: an address may be that of something that was never meant to be read.
pub fn json<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, Fault> {
    let kind = reply
        .headers()
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    serde_json::from_slice(reply.body()).map_err(|error| {
        let what = if kind.contains("html") {
            "the shop answered with a web page instead of data: is the address right, and is no login or \
             maintenance page in the way?"
                .to_owned()
        } else if error.is_eof() {
            "the shop's answer was cut off half way".to_owned()
        } else {
            format!("the shop's answer is not what its API promises: {}", misread(&error))
        };
        Fault::new(FaultKind::Protocol, what)
    })
}
