//! Acts a request's verdict out. Stands before authentication and before the handlers, and after the counting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt;

use super::{Kind, Verdict};
use crate::bounds;
use crate::line::Cut;
use crate::problem::{Code, Problem};
use crate::state::ShopState;

const CHUNKS: u32 = 20;

pub async fn layer(State(shop): State<Arc<ShopState>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !is_touched(path) {
        return next.run(request).await;
    }
    let verdict = shop.faults.judge(request.method(), path, Instant::now());
    if verdict == Verdict::default() {
        return next.run(request).await;
    }
    if !pause(&shop, verdict.wait).await {
        return stopping();
    }
    let limit = verdict.limit;
    let mut response = match verdict.come_back {
        Some(wait) => too_many(wait),
        None => act(&shop, verdict.act, request, next).await,
    };
    if let Some((per_second, left)) = limit {
        let headers = response.headers_mut();
        for (name, value) in [
            ("ratelimit-limit", per_second.ceil()),
            ("ratelimit-remaining", left.floor()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&format!("{value:.0}")) {
                headers.insert(name, value);
            }
        }
    }
    response
}

fn is_touched(path: &str) -> bool {
    let of_the_shop = path.starts_with("/api/v1")
        || path.starts_with("/checkout")
        || path.starts_with("/pictures");
    of_the_shop && !is_bookkeeping(path)
}

/// What tests and benchmarks use to look at the shop, not as the shop.
pub fn is_bookkeeping(path: &str) -> bool {
    path.starts_with("/api/v1/faults") || path.starts_with("/api/v1/requests")
}

/// False when the shop stops meanwhile.
async fn pause(shop: &ShopState, wait: Duration) -> bool {
    if wait.is_zero() {
        return true;
    }
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = shop.stopping.cancelled() => false,
    }
}

fn stopping() -> Response {
    Problem::new(Code::Stopping, "The shop is stopping.").into_response()
}

fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_millis().div_ceil(1_000).max(1) as u64;
    let mut response = Problem::new(
        Code::RateLimited,
        format!("Too many requests; come back in {seconds} s."),
    )
    .into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn injected(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    Problem::new(Code::Injected, "A fault that was set says so.")
        .with_status(status)
        .into_response()
}

/// This status, or a connection that is closed without an answer.
fn fail(status: Option<u16>, cut: Option<Cut>) -> Response {
    match (status, cut) {
        (Some(status), _) => injected(status),
        (None, Some(cut)) => {
            cut.cut();
            StatusCode::BAD_GATEWAY.into_response()
        }
        (None, None) => injected(502),
    }
}

async fn act(shop: &Arc<ShopState>, act: Option<Kind>, request: Request, next: Next) -> Response {
    let cut = request
        .extensions()
        .get::<ConnectInfo<Cut>>()
        .map(|ConnectInfo(cut)| cut.clone());
    let Some(kind) = act else {
        return next.run(request).await;
    };
    match kind {
        Kind::Reject {
            status,
            retry_after_s,
        } => {
            let mut response = injected(status);
            if let Some(seconds) = retry_after_s {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Kind::Drop => fail(None, cut),
        Kind::FailAfterWrite { status } => {
            let done = next.run(request).await;
            // The answer is thrown away, but only when it is whole: the work is surely done.
            if done.into_body().collect().await.is_err() {
                tracing::debug!("an answer that is thrown away could not be read");
            }
            fail(status, cut)
        }
        Kind::ApplyLate { ms, status } => {
            let (parts, body) = request.into_parts();
            let limited = http_body_util::Limited::new(body, bounds::PICTURE_BYTES_MAX);
            let Ok(body) = limited
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes)
            else {
                return fail(status, cut);
            };
            let late = shop.clone();
            tokio::spawn(async move {
                if pause(&late, Duration::from_millis(ms)).await {
                    let done = next.run(Request::from_parts(parts, Body::from(body))).await;
                    tracing::info!(
                        status = done.status().as_u16(),
                        "a request was applied late"
                    );
                }
            });
            fail(status, cut)
        }
        Kind::HoldResponse { ms } => {
            let done = next.run(request).await;
            if pause(shop, Duration::from_millis(ms)).await {
                done
            } else {
                stopping()
            }
        }
        Kind::RespondSlowly { ms } => slowly(shop, next.run(request).await, ms).await,
        Kind::Html { status } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let page = "<!doctype html><html><head><title>Back soon</title></head><body><h1>We will be back soon</h1></body></html>";
            (status, axum::response::Html(page)).into_response()
        }
        Kind::HalfJson => {
            let (mut parts, body) = next.run(request).await.into_parts();
            match body.collect().await {
                Ok(whole) => {
                    let whole = whole.to_bytes();
                    parts.headers.remove(header::CONTENT_LENGTH);
                    Response::from_parts(parts, Body::from(whole.slice(..whole.len() / 2)))
                }
                Err(_) => fail(None, cut),
            }
        }
        Kind::WrongContentType => {
            let mut response = next.run(request).await;
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            response
        }
        Kind::Huge { bytes } => huge(bytes),
        Kind::Redirect { to } => match HeaderValue::from_str(&to) {
            Ok(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
            Err(_) => injected(502),
        },
        // Judged elsewhere: they touch no request here.
        Kind::Latency { .. }
        | Kind::RateLimit { .. }
        | Kind::HideFromSearch { .. }
        | Kind::BadRecord { .. }
        | Kind::BlockHooks { .. }
        | Kind::DuplicateHooks => next.run(request).await,
    }
}

/// The same bytes, in pieces over `ms`.
async fn slowly(shop: &Arc<ShopState>, response: Response, ms: u64) -> Response {
    let (parts, body) = response.into_parts();
    let whole = match body.collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(_) => return injected(502),
    };
    let size = whole.len().div_ceil(CHUNKS as usize).max(1);
    let pieces: Vec<Bytes> = (0..whole.len())
        .step_by(size)
        .map(|from| whole.slice(from..(from + size).min(whole.len())))
        .collect();
    let wait = Duration::from_millis(ms) / u32::try_from(pieces.len().max(1)).unwrap_or(CHUNKS);
    let shop = shop.clone();
    let dribble = stream::unfold(
        (pieces.into_iter(), shop),
        move |(mut pieces, shop)| async move {
            let piece = pieces.next()?;
            if pause(&shop, wait).await {
                Some((Ok(piece), (pieces, shop)))
            } else {
                Some((
                    Err(std::io::Error::other("the shop is stopping")),
                    (Vec::new().into_iter(), shop),
                ))
            }
        },
    );
    Response::from_parts(parts, Body::from_stream(dribble))
}

/// Valid JSON up to its last bytes, and far too much of it.
fn huge(bytes: u64) -> Response {
    const PIECE: usize = 64 * 1024;
    let piece = Bytes::from(vec![b' '; PIECE]);
    let pieces = stream::unfold((0u64, piece), move |(sent, piece)| async move {
        if sent >= bytes {
            return None;
        }
        let part = if sent == 0 {
            Bytes::from_static(b"{\"items\":[")
        } else {
            piece.slice(..usize::try_from(bytes - sent).unwrap_or(PIECE).min(PIECE))
        };
        let sent = sent + part.len() as u64;
        Some((Ok::<_, std::io::Error>(part), (sent, piece)))
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        Body::from_stream(pieces),
    )
        .into_response()
}
