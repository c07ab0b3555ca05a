//! The public side: pages on which a person looks and buys. Rendered here, without JavaScript and without cookies.

pub mod browse;
pub mod checkout;
pub mod order;
pub mod picture;
pub mod product;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::config::ShopConfig;
use crate::problem::{Code, Problem};

/// What stands on every page.
pub struct Frame {
    pub shop: String,
    pub currency: String,
    pub language: String,
}

impl Frame {
    pub fn new(config: &ShopConfig) -> Self {
        Self {
            shop: config.name.clone(),
            currency: config.currency.clone(),
            language: config.languages[0].clone(),
        }
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage {
    title: &'static str,
    detail: String,
}

/// A page, with the headers that a page of a shop should have.
pub fn page<T: Template>(status: StatusCode, template: &T) -> Response {
    match template.render() {
        Ok(html) => with_headers((status, Html(html)).into_response()),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            with_headers(
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "This page could not be made.",
                )
                    .into_response(),
            )
        }
    }
}

/// A refusal as a page for people.
pub fn refusal(problem: Problem) -> Response {
    let title = match problem.code {
        Code::NotFound => "Not here",
        Code::SoldOut => "Sold out",
        Code::Broken | Code::Stopping | Code::Injected => "Something went wrong",
        _ => "That did not work",
    };
    let status = problem.status();
    let shown = RefusalPage {
        title,
        detail: problem.detail.clone(),
    };
    if problem.code == Code::Broken {
        tracing::error!(error = ?problem, "a page failed in the shop");
    }
    page(status, &shown)
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address of an order's page holds its key.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub async fn style() -> Response {
    let css = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/css; charset=utf-8"),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=300"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (css, include_str!("../../assets/shop.css")).into_response()
}

/// Browsers ask for one on every page.
pub async fn icon() -> Response {
    let svg = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("image/svg+xml"),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=86400"),
        ),
    ];
    (svg, include_str!("../../assets/shop.svg")).into_response()
}

/// A description without its tags: what a merchant writes is shown as words only.
pub fn words_of(html: &str) -> String {
    let mut words = String::with_capacity(html.len());
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                words.push(' ');
            }
            _ if !in_tag => words.push(c),
            _ => {}
        }
    }
    let plain = words
        .replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_shown_as_words() {
        assert_eq!(
            words_of("<p>Warm &amp; <b>soft</b>.</p><p>Wool</p>"),
            "Warm & soft . Wool"
        );
        assert_eq!(words_of("a <script>alert(1)</script> b"), "a alert(1) b");
    }
}
