//! The console's style sheet, script and mark, in the binary. Their addresses carry a hash of what is in
//! them, so browsers keep them for good and never see an old one.

use axum::{
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static str,
    href: String,
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new(
            "console.css",
            "text/css; charset=utf-8",
            include_str!("../../assets/console.css"),
        ),
        Asset::new(
            "console.js",
            "text/javascript; charset=utf-8",
            include_str!("../../assets/console.js"),
        ),
        Asset::new(
            "mark.svg",
            "image/svg+xml",
            include_str!("../../assets/mark.svg"),
        ),
    ]
});

impl Asset {
    fn new(name: &'static str, kind: &'static str, body: &'static str) -> Self {
        let hash = HEXLOWER.encode(&Sha256::digest(body.as_bytes())[..6]);
        Asset {
            name,
            kind,
            body,
            href: format!("/assets/{hash}/{name}"),
        }
    }
}

/// Where an asset is served.
pub fn href(name: &str) -> &'static str {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    found.map_or("", |asset| asset.href.as_str())
}

/// Any hash is answered, with what this build has: a page of an older build is not left without its style.
pub async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return super::failure::Failure::not_found("such file").into_response();
    };
    let current = asset.href == format!("/assets/{hash}/{name}");
    let keep = if current {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    (
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
            (header::CACHE_CONTROL, HeaderValue::from_static(keep)),
        ],
        asset.body,
    )
        .into_response()
}
