//! `GET /settings`: parked until something changes; 304 from memory, or what changed.
//!
//! The unchanged poll is what a coordinator does all day: nothing on its way parses JSON, opens a span,
//! takes a lock that others hold for long, or asks the database.

use super::{identify, reply};
use crate::{
    AppState,
    bounds::VIEW_AGE_MAX,
    refusal::{Answer, Refusal},
    view::{Slot, TokenSeen},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lockstep_protocol::{
    Code, Etag,
    headers::{PREFER, wait_seconds},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

pub async fn poll(State(app): State<AppState>, request: Request) -> Response {
    if let Some(response) = unchanged_now(&app, request.headers()) {
        return response;
    }
    let (parts, _no_body) = request.into_parts();
    answer(&app, &parts.headers)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

/// The way that nearly all polls of `lockstep worker sync` and each renewed poll begin on: a known token,
/// the known process, the version that it has, and no wish to wait.
fn unchanged_now(app: &AppState, headers: &HeaderMap) -> Option<Response> {
    let theirs = headers.get(header::IF_NONE_MATCH)?;
    if headers.contains_key(PREFER) && waits(headers) > 0 {
        return None;
    }
    let TokenSeen { slot, .. } = identify::from_memory(app, headers)?;
    let header = slot.unchanged(theirs.as_bytes())?;
    slot.touch();
    Some(not_modified(header))
}

fn waits(headers: &HeaderMap) -> u64 {
    wait_seconds(headers.get(PREFER).and_then(|value| value.to_str().ok()))
}

fn not_modified(etag: HeaderValue) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(header::ETAG, etag);
    response
}

async fn answer(app: &AppState, headers: &HeaderMap) -> Answer<Response> {
    let slot = identify::known(app, headers).await?;
    slot.touch();
    let theirs = match headers.get(header::IF_NONE_MATCH) {
        None => None,
        Some(value) => {
            let text = value.to_str().unwrap_or_default();
            // A version that we never gave is no version: the worker gets everything.
            text.parse::<Etag>().ok()
        }
    };
    if let Some(theirs) = &theirs {
        reply::check_incarnation(app, &slot, theirs).await?;
    }
    let deadline = Instant::now() + Duration::from_secs(waits(headers));
    let mut watch = slot.watch();
    let parked = slot.park();
    let place = app.parked.take();
    loop {
        let version = watch.borrow_and_update().clone();
        if theirs != Some(version.etag) {
            return changed(app, &slot, theirs.as_ref()).await;
        }
        let header = version.header;
        if Instant::now() >= deadline {
            return Ok(not_modified(header));
        }
        if parked.is_none() || place.is_none() {
            return Err(Refusal::new(
                Code::TooManyRequests,
                "too many polls wait here already; this one was not parked",
            )
            .retry_after(5));
        }
        tokio::select! {
            moved = timeout_at(deadline, watch.changed()) => {
                // A worker that was forgotten is told so below.
                if moved.is_err() {
                    return Ok(not_modified(header));
                }
            }
            () = app.stop.cancelled() => {
                return Err(Refusal::new(Code::Unavailable, "this coordinator stops").retry_after(1));
            }
        }
        identify::still(app, headers)?;
    }
}

async fn changed(app: &AppState, slot: &Arc<Slot>, theirs: Option<&Etag>) -> Answer<Response> {
    if !app.view.is_fresh() {
        return Err(Refusal::new(
            Code::Unavailable,
            format!(
                "this coordinator has not heard of its database for {} s; the settings that you have stay in force",
                VIEW_AGE_MAX.as_secs()
            ),
        )
        .retry_after(2));
    }
    reply::settings(app, slot, theirs).await
}
