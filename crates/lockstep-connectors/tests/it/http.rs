//! A plain [`Http`] over reqwest for tests: no pacing, no allow-lists, loopback only.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use lockstep_connector::{Body, BodyStream, Cost, Effect, Http, Reply, Request};
use lockstep_model::{Fault, FaultKind};
use std::sync::Arc;
use std::time::Duration;

pub struct Direct {
    client: reqwest::Client,
}

pub fn client() -> reqwest::Client {
    // Another test of this process may have installed it already.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("a client of defaults")
}

impl Direct {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { client: client() })
    }

    async fn start(&self, request: Request, cost: Cost) -> Result<reqwest::Response, Fault> {
        let (parts, body) = request.into_parts();
        let mut request = self
            .client
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers);
        request = match body {
            Body::Empty => request,
            Body::Bytes(bytes) => request.body(bytes),
            Body::Stream(stream) => request.body(reqwest::Body::wrap_stream(
                stream.map_err(|fault| std::io::Error::other(fault.message)),
            )),
        };
        request.send().await.map_err(|error| {
            let kind = if error.is_connect() {
                FaultKind::Unavailable
            } else if cost.effect != Effect::Read {
                FaultKind::UnknownOutcome
            } else if error.is_timeout() {
                FaultKind::Timeout
            } else {
                FaultKind::Unavailable
            };
            Fault::new(kind, "the shop gave no answer")
        })
    }
}

#[async_trait]
impl Http for Direct {
    async fn send(&self, request: Request, cost: Cost) -> Result<Reply, Fault> {
        let response = self.start(request, cost).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let lost = |kind: FaultKind| {
            let kind = if cost.effect == Effect::Read {
                kind
            } else {
                FaultKind::UnknownOutcome
            };
            Fault::new(kind, "the shop's answer broke off")
        };
        let mut body = BytesMut::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            body.extend_from_slice(&piece.map_err(|_| lost(FaultKind::Unavailable))?);
            if body.len() > cost.reply_bytes_max {
                return Err(lost(FaultKind::Protocol));
            }
        }
        let mut reply = http::Response::new(body.freeze());
        *reply.status_mut() = status;
        *reply.headers_mut() = headers;
        Ok(reply)
    }

    async fn open(&self, request: Request, cost: Cost) -> Result<BodyStream, Fault> {
        let response = self.start(request, cost).await?;
        if !response.status().is_success() {
            return Err(Fault::new(FaultKind::NotFound, "no such bytes"));
        }
        let stream = response.bytes_stream().map(|piece: Result<Bytes, _>| {
            piece.map_err(|_| Fault::new(FaultKind::Unavailable, "the bytes broke off"))
        });
        Ok(stream.boxed())
    }
}
