//! What a page says when it cannot be shown, and the frame around it.

use super::{
    Shared,
    frame::Frame,
    session::{self, Theme, Visitor},
    urls,
};
use askama::Template;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use lockstep_protocol::{Code, Problem, headers::PROBLEM_JSON};

/// A page that cannot be shown.
#[derive(Debug)]
pub enum Failure {
    /// Not logged in: there first, then back.
    Login {
        next: String,
    },
    Problem(Box<Problem>),
}

impl Failure {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Failure::Problem(Box::new(Problem::new(code, detail)))
    }

    pub fn login(next: &str) -> Self {
        Failure::Login {
            next: next.to_owned(),
        }
    }

    pub fn not_found(what: &str) -> Self {
        Failure::new(Code::NotFound, format!("There is no {what}."))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::Problem(Box::new(problem))
    }
}

/// Goes with the bare response to [`dress`], which has the visitor and makes a page of it.
#[derive(Clone)]
struct Undressed(Box<Problem>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Login { next } => {
                session::redirect(&urls::with_query(urls::LOGIN, &[("next", &next)]))
            }
            Failure::Problem(problem) => {
                let mut response = problem.code.status().into_response();
                response.extensions_mut().insert(Undressed(problem));
                response
            }
        }
    }
}

/// A rendered page.
pub struct Shown<T>(pub T);

impl<T: Template> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(html) => {
                let mut response = axum::response::Html(html).into_response();
                let headers = response.headers_mut();
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                Failure::new(
                    Code::Internal,
                    "This page could not be drawn. The log of the coordinator says more.",
                )
                .into_response()
            }
        }
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    frame: Frame,
    status: u16,
    headline: String,
    detail: String,
    advice: &'static str,
    again: Option<String>,
}

/// Makes a page of every failure, with the frame of whoever looks at it.
pub async fn dress(State(ui): State<Shared>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let (path, headers) = (parts.uri.path().to_owned(), parts.headers.clone());
    let here = parts.uri.to_string();
    let reading = parts.method == http::Method::GET;
    // Only what a later look at the visitor needs is kept.
    let mut again = http::Request::new(()).into_parts().0;
    again.uri = parts.uri.clone();
    again.headers = headers.clone();
    again.extensions = std::mem::take(&mut parts.extensions);
    parts.extensions = again.extensions.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        // The message was shown. What the script fetches beside the page shows none.
        if status.is_success() && reading && session::has_flash(&headers) && is_page(&response) {
            let cookies = response.headers_mut();
            cookies.append(header::SET_COOKIE, session::without_flash());
        }
        return response;
    }
    let problem = match response.extensions_mut().remove::<Undressed>() {
        Some(Undressed(problem)) => problem,
        None if is_page(&response) => return response,
        None => Box::new(bare(status)),
    };
    if for_programs(&path) {
        let json = serde_json::to_vec(&problem).unwrap_or_default();
        return (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], json).into_response();
    }
    let frame = match Visitor::from_request_parts(&mut again, &ui).await {
        Ok(visitor) => Frame::of(&ui, &visitor, "Not shown", "").await,
        Err(_) => Frame::outside("Not shown", Theme::of(&headers), String::new()),
    };
    let page = FailurePage {
        frame,
        status: status.as_u16(),
        headline: headline(problem.code),
        detail: session::said(&problem),
        advice: advice(problem.code),
        again: reading.then_some(here),
    };
    let mut dressed = Shown(page).into_response();
    *dressed.status_mut() = status;
    if let Some(seconds) = problem.retry_after {
        dressed
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    dressed
}

fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

fn for_programs(path: &str) -> bool {
    ["/api/", "/worker/", "/hooks/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

fn bare(status: StatusCode) -> Problem {
    match status.as_u16() {
        404 => Problem::new(Code::NotFound, "There is nothing at this address."),
        405 => Problem::new(
            Code::NotFound,
            "This address only takes what its own page sends to it.",
        ),
        413 => Problem::new(
            Code::TooLarge,
            "That was too large to be read. Nothing was changed.",
        ),
        status if status < 500 => Problem::new(
            Code::BadRequest,
            "This request cannot be read. Nothing was changed.",
        ),
        503 => Problem::new(Code::Unavailable, ""),
        _ => Problem::new(Code::Internal, ""),
    }
}

fn headline(code: Code) -> String {
    match code {
        Code::NotFound => "Nothing here".into(),
        Code::Forbidden => "Not for this login".into(),
        Code::Internal => "Something broke here".into(),
        Code::Unavailable => "Not answering now".into(),
        Code::NoWorker => "No worker can do this now".into(),
        Code::NotYet => "Not yet".into(),
        Code::BadRequest => "That cannot be read".into(),
        other => {
            let mut letters = other.title().chars();
            letters.next().map_or_else(String::new, |first| {
                format!("{}{}", first.to_uppercase(), letters.as_str())
            })
        }
    }
}

fn advice(code: Code) -> &'static str {
    match code {
        Code::NotFound => {
            "It may have been removed, or the address has a slip. Search for it with / or begin at the overview."
        }
        Code::Forbidden => "Ask an operator, or log in with a login that may.",
        Code::Internal => {
            "Nothing was lost: what was saved before is saved, and the workers go on. The coordinator's log says what broke."
        }
        Code::Unavailable => {
            "The workers go on with what they have. This page can be tried again in a moment."
        }
        Code::NoWorker => "See whether a worker is there and active, then try again.",
        Code::NotYet => "This build does not do that yet. The README's table says what it does.",
        _ => "Nothing was changed.",
    }
}
