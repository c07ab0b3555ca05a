//! The console as a client of the people's API, in the same process: every rule about who may do what, and
//! every check of what is written, stands there once. Nothing here knows a database.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
};
use http::{HeaderMap, Method, Request, header};
use lockstep_model::misread;
use lockstep_protocol::{Code, Problem};
use serde::{Serialize, de::DeserializeOwned};
use std::net::SocketAddr;
use tower::ServiceExt;

/// The whole answer of one call; a plan's 500 rows are far below.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The people's API, not logged in.
#[derive(Clone)]
pub struct Api {
    router: Router,
}

impl Api {
    pub fn new(router: Router) -> Self {
        Api { router }
    }

    pub fn by(&self, token: String, from: Option<SocketAddr>) -> Caller {
        Caller {
            api: self.clone(),
            token,
            from,
        }
    }
}

/// The people's API, called by one person.
#[derive(Clone)]
pub struct Caller {
    api: Api,
    /// Empty: not logged in.
    token: String,
    from: Option<SocketAddr>,
}

impl Caller {
    /// The same person, at the same machine, before the login.
    pub fn logged_out(&self) -> Caller {
        Caller {
            token: String::new(),
            ..self.clone()
        }
    }

    pub async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Problem> {
        self.call(Method::GET, path, Body::empty(), None).await
    }

    pub async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        asked: &impl Serialize,
    ) -> Result<A, Problem> {
        let body = written(asked).map_err(|problem| *problem)?;
        self.call(Method::POST, path, body, None).await
    }

    /// `if_match`: the revision that the edit was made from.
    pub async fn send<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        asked: &impl Serialize,
        if_match: Option<u64>,
    ) -> Result<A, Problem> {
        let body = written(asked).map_err(|problem| *problem)?;
        self.call(method, path, body, if_match).await
    }

    /// A stream that has no end, as the API sends it.
    pub async fn stream(&self, path: &str) -> Result<Body, Problem> {
        let request = self
            .request(Method::GET, path, Body::empty(), None)
            .map_err(|problem| *problem)?;
        let response = self.answered(request).await;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        Err(problem_of(response.status(), response.into_body()).await)
    }

    async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body,
        if_match: Option<u64>,
    ) -> Result<A, Problem> {
        let request = self
            .request(method, path, body, if_match)
            .map_err(|problem| *problem)?;
        let response = self.answered(request).await;
        let status = response.status();
        if !status.is_success() {
            return Err(problem_of(status, response.into_body()).await);
        }
        let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX)
            .await
            .map_err(|error| unreadable(path, error))?;
        let json: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(json).map_err(|error| unreadable(path, misread(&error)))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Body,
        if_match: Option<u64>,
    ) -> Result<Request<Body>, Box<Problem>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json");
        if !self.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        if let Some(revision) = if_match {
            request = request.header(header::IF_MATCH, format!("\"{revision}\""));
        }
        if let Some(from) = self.from {
            request = request.extension(ConnectInfo(from));
        }
        request.body(body).map_err(|error| {
            tracing::warn!(path, %error, "the console made a request that is none");
            Box::new(Problem::new(
                Code::BadRequest,
                "This address cannot be looked up.",
            ))
        })
    }

    async fn answered(&self, request: Request<Body>) -> http::Response<Body> {
        match self.api.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn written(asked: &impl Serialize) -> Result<Body, Box<Problem>> {
    let json = serde_json::to_vec(asked).map_err(|error| {
        tracing::error!(%error, "the console's request cannot be written");
        Box::new(Problem::new(
            Code::Internal,
            "The request could not be written; nothing was changed.",
        ))
    })?;
    Ok(Body::from(json))
}

fn unreadable(path: &str, error: impl std::fmt::Display) -> Problem {
    tracing::error!(path, %error, "the people's API answered what the console cannot read");
    Problem::new(
        Code::Internal,
        "The answer could not be read. The log of the coordinator says more.",
    )
}

async fn problem_of(status: http::StatusCode, body: Body) -> Problem {
    let bytes = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| {
        let code = match status.as_u16() {
            400 | 415 | 422 => Code::BadRequest,
            401 => Code::LoginRequired,
            403 => Code::Forbidden,
            404 | 405 => Code::NotFound,
            409 => Code::Conflict,
            413 => Code::TooLarge,
            429 => Code::TooManyRequests,
            501 => Code::NotYet,
            503 => Code::Unavailable,
            _ => Code::Internal,
        };
        Problem::new(
            code,
            String::from_utf8_lossy(&bytes)
                .chars()
                .take(300)
                .collect::<String>(),
        )
    })
}

/// Where a request came from, if the server was told.
pub fn from_of(extensions: &http::Extensions) -> Option<SocketAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(from)| *from)
}

/// One cookie of a request.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}
