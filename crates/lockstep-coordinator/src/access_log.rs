//! One line for each call, but for unchanged polls: method, route, status, time. The route's pattern, not
//! the path: what stands in paths and queries may be a key.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use std::time::Instant;

pub async fn log(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    let ms = begun.elapsed().as_millis() as u64;
    if response.status().is_server_error() {
        tracing::warn!(target: "lockstep::access", %method, route, status, ms);
    } else {
        tracing::debug!(target: "lockstep::access", %method, route, status, ms);
    }
    response
}
