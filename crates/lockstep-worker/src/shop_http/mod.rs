//! The one way to a shop: TLS, pacing, time-outs, bounds, no redirects, no foreign hosts, no private
//! addresses, and no retry. What a status means is the connector's to say, what to do the engine's.

mod address;
mod fault;
mod pace;
mod reach;

use crate::bounds;
use crate::customer::Pass;
use crate::trust::Trust;
use address::GuardedNames;

pub use address::names_loopback;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use lockstep_connector::{Body, BodyStream, Budget, Cost, Effect, Http, Reply, Request};
use lockstep_engine::budget::Urgency;
use lockstep_model::settings::{ALLOW_INSECURE, AUTHORITY, CERTIFICATE, Service};
use lockstep_model::{Fault, FaultKind, ShopId};
use pace::{Pace, Paces};
pub use reach::{BadReach, Reach};
use reqwest::Url;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The option that sets how many calls a second a shop is given at the most.
pub const CALLS_PER_SECOND: &str = "callsPerSecond";

#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connect: Duration,
    pub read: Duration,
    pub call: Duration,
    pub stream: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: bounds::CONNECT_TIMEOUT,
            read: bounds::READ_TIMEOUT,
            call: bounds::CALL_TIMEOUT,
            stream: bounds::STREAM_TIMEOUT,
        }
    }
}

/// How this worker calls shops; its parts are shared by all that it connects.
#[derive(Clone, Default)]
pub struct Calling {
    pub timeouts: Timeouts,
    reach: Arc<Reach>,
    paces: Paces,
}

impl Calling {
    pub fn within(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            ..Self::default()
        }
    }

    /// As the worker's operator says.
    pub fn reaching(mut self, reach: Reach) -> Self {
        self.reach = Arc::new(reach);
        self
    }
}

/// What calls are made for.
struct Errand {
    urgency: Urgency,
    /// Calls that were sent.
    calls: AtomicU64,
    /// What writes have to show before each request.
    pass: Option<Pass>,
}

tokio::task_local! {
    static ERRAND: Arc<Errand>;
}

/// Runs `work`, whose calls are as urgent as is said, and says how many calls to shops it made.
pub async fn counting<F: Future>(urgency: Urgency, work: F) -> (F::Output, u64) {
    on_errand(urgency, None, work).await
}

/// As `counting`; and before each request that writes the pass is checked.
pub async fn counting_writes<F: Future>(urgency: Urgency, pass: Pass, work: F) -> (F::Output, u64) {
    on_errand(urgency, Some(pass), work).await
}

async fn on_errand<F: Future>(urgency: Urgency, pass: Option<Pass>, work: F) -> (F::Output, u64) {
    let errand = Arc::new(Errand {
        urgency,
        calls: AtomicU64::new(0),
        pass,
    });
    let output = ERRAND.scope(errand.clone(), work).await;
    (output, errand.calls.load(Ordering::Relaxed))
}

/// May this request still be sent? A batch takes a while, and settings may close its shop in the midst of it.
fn check_pass(effect: Effect) -> Result<(), Fault> {
    match effect {
        Effect::Read => Ok(()),
        Effect::Repeatable | Effect::Once => ERRAND
            .try_with(|errand| errand.pass.as_ref().map_or(Ok(()), Pass::check))
            .unwrap_or(Ok(())),
    }
}

/// What nobody said is asked by a person who waits for the answer.
fn urgency() -> Urgency {
    ERRAND
        .try_with(|errand| errand.urgency)
        .unwrap_or(Urgency::Orders)
}

/// The port to one shop.
pub struct ShopHttp {
    name: String,
    shop: ShopId,
    home: Url,
    reach: Arc<Reach>,
    allow_insecure: bool,
    client: reqwest::Client,
    timeouts: Timeouts,
    pace: Arc<Pace>,
    slots: Semaphore,
}

impl ShopHttp {
    /// Does not call the shop. The fault says what a person has to change.
    pub fn new(service: &Service, calling: &Calling) -> Result<Self, Fault> {
        let timeouts = calling.timeouts;
        let invalid = |field: &str, what: String| {
            let field = Some(field.to_owned());
            let message = format!("{}: {what}", service.name);
            Fault::new(FaultKind::Invalid { field }, message).at(service.id)
        };
        let home: Url = service
            .url
            .parse()
            .map_err(|_| invalid("url", "its address is not one that can be called".into()))?;
        let allow_insecure = service.option_is_on(ALLOW_INSECURE);
        let option = |name| {
            service
                .option_text(name)
                .filter(|text| !text.trim().is_empty())
        };
        let (field, trust) = match (option(CERTIFICATE), option(AUTHORITY)) {
            (Some(pin), _) => (CERTIFICATE, Trust::pinned(pin)),
            (None, Some(pem)) => (AUTHORITY, Ok(Trust::WebAnd(pem.into()))),
            (None, None) => ("url", Ok(Trust::Web)),
        };
        let tls = trust
            .and_then(|trust| trust.client_config())
            .map_err(|bad| invalid(field, bad.to_string()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(GuardedNames(calling.reach.clone())))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.read)
            .pool_idle_timeout(bounds::IDLE_CONNECTION)
            .pool_max_idle_per_host(bounds::CALLS_PER_SHOP_MAX)
            .tcp_nodelay(true)
            .user_agent(concat!("Lockstep/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| invalid("url", "no client for it can be made".into()))?;
        let port = ShopHttp {
            name: service.name.clone(),
            shop: service.id,
            reach: calling.reach.clone(),
            allow_insecure,
            client,
            timeouts,
            pace: calling.paces.of(service, calls_per_second(service)),
            slots: Semaphore::new(bounds::CALLS_PER_SHOP_MAX),
            home,
        };
        port.check_scheme(&port.home)?;
        port.check_literal(&port.home)?;
        Ok(port)
    }

    /// As it may be called now.
    pub fn calls_per_second(&self) -> f64 {
        self.pace.per_second()
    }

    fn refuse(&self, field: &str, what: impl std::fmt::Display) -> Fault {
        let field = Some(field.to_owned());
        let message = format!("{}: {what}", self.name);
        Fault::new(FaultKind::Invalid { field }, message).at(self.shop)
    }

    fn check_scheme(&self, url: &Url) -> Result<(), Fault> {
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            "https" => Ok(()),
            // It does not leave this machine; whether that may be called is asked elsewhere.
            "http" if address::names_loopback(host) => Ok(()),
            "http" if !self.reach.has_plain_http() => Err(self.refuse(
                "url",
                format_args!(
                    "plain http would send its credentials in clear to {host}; use https. If it cannot, the worker's \
                     operator allows plain http (worker.allow_plain_http in the worker's configuration), and the \
                     shop's option {ALLOW_INSECURE} accepts it"
                ),
            )),
            "http" if !self.allow_insecure => Err(self.refuse(
                "url",
                format_args!(
                    "plain http would send its credentials in clear to {host}; use https, or set the option \
                     {ALLOW_INSECURE} if you accept that"
                ),
            )),
            "http" => Ok(()),
            _ => Err(self.refuse("url", "its address starts with https://")),
        }
    }

    /// Everything that can be refused before a byte leaves.
    fn check(&self, request: &Request, foreign: bool) -> Result<Url, Fault> {
        let not_callable = || self.refuse("url", "its address is not one that can be called");
        let url: Url = request
            .uri()
            .to_string()
            .parse()
            .map_err(|_| not_callable())?;
        self.check_scheme(&url)?;
        let host = url.host_str().ok_or_else(not_callable)?;
        if !same_origin(&self.home, &url) {
            let secret = request
                .headers()
                .values()
                .any(http::HeaderValue::is_sensitive)
                || request.headers().contains_key(http::header::AUTHORIZATION);
            if !foreign || secret {
                return Err(self.refuse(
                    "url",
                    format_args!("{host} is not its own host; its credentials do not go there"),
                ));
            }
        }
        // What stands on this machine is named by the shop's own address alone, never by a picture's.
        if address::names_loopback(host) && !same_origin(&self.home, &url) {
            return Err(self.refuse(
                "url",
                format_args!("{host} is not its own host; nothing is fetched there"),
            ));
        }
        self.check_literal(&url)?;
        Ok(url)
    }

    /// A name is judged when it is looked up.
    fn check_literal(&self, url: &Url) -> Result<(), Fault> {
        let host = url.host_str().unwrap_or_default();
        let Some(address) = address::literal(host) else {
            return Ok(());
        };
        self.reach
            .check(host, address)
            .map_err(|refused| self.refuse("url", refused))
    }

    /// Sends. The reply's head has come when this returns, with the slot that it took: after the pace, so that calls whose
    /// turn it is not keep nobody out.
    async fn call(
        &self,
        request: Request,
        cost: Cost,
        foreign: bool,
        timeout: Duration,
    ) -> Result<(reqwest::Response, SemaphorePermit<'_>), Fault> {
        let url = self.check(&request, foreign)?;
        if let Err(paused) = self.pace.ready(urgency(), cost.points).await {
            let kind = FaultKind::RateLimited {
                retry_at: Some(paused.until),
            };
            let message = format!(
                "{} asked for a pause, which is not over; nothing was sent",
                self.name
            );
            return Err(Fault::new(kind, message).at(self.shop));
        }
        let (parts, body) = request.into_parts();
        let builder = self
            .client
            .request(parts.method.clone(), url.clone())
            .headers(parts.headers)
            .timeout(timeout);
        let builder = match body {
            Body::Empty => builder,
            Body::Bytes(bytes) => builder.body(bytes),
            Body::Stream(stream) => builder.body(reqwest::Body::wrap_stream(stream)),
        };
        let slot = self.slot().await?;
        check_pass(cost.effect)?;
        let _uncounted = ERRAND.try_with(|errand| errand.calls.fetch_add(1, Ordering::Relaxed));
        let started = std::time::Instant::now();
        let answer = builder.send().await;
        // The path alone: a query may name a buyer.
        tracing::trace!(
            shop = %self.shop,
            method = %parts.method,
            path = url.path(),
            status = answer.as_ref().ok().map(|reply| reply.status().as_u16()),
            ms = started.elapsed().as_millis(),
            "called a shop"
        );
        let reply = answer.map_err(|error| self.lost(cost.effect, &error))?;
        match reply.status().as_u16() {
            429 => self.pace.complained(),
            status if status < 500 => self.pace.went_well(),
            _ => {}
        }
        Ok((reply, slot))
    }

    fn lost(&self, effect: Effect, error: &reqwest::Error) -> Fault {
        fault::without_reply(&self.name, effect, error).at(self.shop)
    }

    async fn read_whole(&self, mut reply: reqwest::Response, cost: Cost) -> Result<Bytes, Fault> {
        let too_large = || fault::too_large(&self.name, cost.reply_bytes_max).at(self.shop);
        let announced = reply.content_length().unwrap_or(0);
        if announced > cost.reply_bytes_max as u64 {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        loop {
            match reply.chunk().await {
                Ok(Some(piece)) if body.len() + piece.len() > cost.reply_bytes_max => {
                    return Err(too_large());
                }
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => return Ok(body.freeze()),
                Err(error) => return Err(self.lost(cost.effect, &error)),
            }
        }
    }

    async fn slot(&self) -> Result<SemaphorePermit<'_>, Fault> {
        self.slots.acquire().await.map_err(|_closed| {
            let message = format!("{} is not called any more", self.name);
            Fault::new(FaultKind::Unavailable, message).at(self.shop)
        })
    }
}

fn calls_per_second(service: &Service) -> f64 {
    let set = service.options.get(CALLS_PER_SECOND);
    let number = set.and_then(|value| match value {
        serde_json::Value::Number(number) => number.as_f64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    });
    number
        .filter(|number| *number > 0.0)
        .unwrap_or(bounds::CALLS_PER_SECOND_DEFAULT)
}

fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[async_trait]
impl Http for ShopHttp {
    async fn send(&self, request: Request, cost: Cost) -> Result<Reply, Fault> {
        let timeout = self.timeouts.call;
        let (reply, _slot) = self.call(request, cost, false, timeout).await?;
        let (status, headers) = (reply.status(), reply.headers().clone());
        let body = self.read_whole(reply, cost).await?;
        let mut whole = http::Response::new(body);
        *whole.status_mut() = status;
        *whole.headers_mut() = headers;
        Ok(whole)
    }

    async fn open(&self, request: Request, cost: Cost) -> Result<BodyStream, Fault> {
        // The slot is given back once the head has come: a picture streams into another shop's call,
        // and two shops that hold each other's slots would wait for ever.
        let timeout = self.timeouts.stream;
        let (reply, _) = self.call(request, cost, true, timeout).await?;
        let status = reply.status();
        if !status.is_success() {
            let kind = match status.as_u16() {
                401 => FaultKind::Auth,
                403 => FaultKind::Forbidden,
                404 | 410 => FaultKind::NotFound,
                429 => FaultKind::RateLimited { retry_at: None },
                500..=599 => FaultKind::Unavailable,
                _ => FaultKind::Protocol,
            };
            let message = format!("{} answered with status {}", self.name, status.as_u16());
            return Err(Fault::new(kind, message).at(self.shop));
        }
        let (name, shop, effect) = (self.name.clone(), self.shop, cost.effect);
        let lost = move |error| fault::without_reply(&name, effect, &error).at(shop);
        let name = self.name.clone();
        let mut read = 0usize;
        let stream = reply.bytes_stream().map_err(lost).map(move |piece| {
            let piece = piece?;
            read += piece.len();
            if read > cost.reply_bytes_max {
                return Err(fault::too_large(&name, cost.reply_bytes_max).at(shop));
            }
            Ok(piece)
        });
        Ok(stream.boxed())
    }

    fn learn(&self, budget: Budget) {
        self.pace.learn(budget);
    }
}
