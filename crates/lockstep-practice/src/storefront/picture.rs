//! The bytes of a picture, by their SHA-256: public, and the same for ever.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use crate::catalogue::picture_rows;
use crate::problem::Problem;
use crate::state::ShopState;

pub async fn show(
    State(shop): State<Arc<ShopState>>,
    Path(sha256): Path<String>,
) -> Result<Response, Problem> {
    let (content_type, bytes) = shop
        .database
        .read(move |db| picture_rows::content(db, &sha256))
        .await?;
    let content_type = HeaderValue::from_str(&content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    Ok((
        [
            (header::CONTENT_TYPE, content_type),
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("public, max-age=31536000, immutable"),
            ),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
            // A drawing that somebody uploaded must not act as a page of this shop.
            (
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
            ),
        ],
        bytes,
    )
        .into_response())
}
