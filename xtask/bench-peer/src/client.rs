//! The people's API and the workers' calls of a coordinator, and the admin API of a practice shop, on this machine.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use lockstep_protocol::auth::Bearer;
use lockstep_protocol::people::login::{LoginReply, LoginRequest};
use lockstep_protocol::{Problem, bounds, paths};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::wire::{Place, connect};

const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Attempts of one address are paced; this many waits are gone along with.
const TRIES_MAX: u32 = 10;
const RETRY_SECONDS_MAX: u64 = 10;

/// What a coordinator's or a shop's first line says, as far as a caller needs it.
#[derive(Deserialize)]
pub struct Said {
    #[serde(with = "http_serde_uri")]
    pub url: Uri,
    pub api_token: Option<Bearer>,
    pub user: Option<String>,
    pub password: Option<Bearer>,
}

/// A URL as text.
mod http_serde_uri {
    use http::Uri;
    use serde::{Deserialize, Deserializer, de::Error};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uri, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

pub struct Client {
    place: Place,
    token: Option<Bearer>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        if !self.status.is_success() {
            bail!("{what}: {}", self.refusal());
        }
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{what}: an answer that cannot be read"))
    }

    pub fn refusal(&self) -> String {
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => format!("{} ({problem})", self.status),
            Err(_) => self.status.to_string(),
        }
    }
}

impl Client {
    /// Nobody in particular.
    pub fn anonymous(url: &Uri) -> Result<Self> {
        Ok(Self {
            place: Place::read(url)?,
            token: None,
        })
    }

    pub fn with_token(url: &Uri, token: Bearer) -> Result<Self> {
        Ok(Self {
            place: Place::read(url)?,
            token: Some(token),
        })
    }

    /// As the one whose token, or whose login, was said.
    pub async fn of(said: Said) -> Result<Self> {
        if let Some(token) = said.api_token {
            return Self::with_token(&said.url, token);
        }
        let (Some(name), Some(password)) = (said.user, said.password) else {
            bail!(
                "{} named neither an api_token nor a user and password",
                said.url
            );
        };
        let request = LoginRequest {
            name,
            password,
            label: "benchmark".to_owned(),
        };
        let answer = Self::anonymous(&said.url)?
            .call(
                Method::POST,
                paths::people::LOGIN,
                HeaderMap::new(),
                Some(&request),
            )
            .await?;
        Self::with_token(&said.url, answer.json::<LoginReply>("login")?.token)
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, HeaderMap::new(), None::<&()>)
            .await?
            .json(path)
    }

    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(method, path, HeaderMap::new(), Some(body))
            .await?
            .json(path)
    }

    /// Calls again when told that it was too soon.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<&impl Serialize>,
    ) -> Result<Answer> {
        let body = match body {
            Some(body) => Bytes::from(serde_json::to_vec(body)?),
            None => Bytes::new(),
        };
        let mut tried = 1;
        loop {
            let call = self.call_once(&method, path, &headers, body.clone());
            let answer = timeout(ANSWER_MAX, call).await.with_context(|| {
                format!("{path} was not answered within {} s", ANSWER_MAX.as_secs())
            })??;
            if answer.status != StatusCode::TOO_MANY_REQUESTS || tried == TRIES_MAX {
                return Ok(answer);
            }
            tried += 1;
            let asked = answer
                .headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            tokio::time::sleep(Duration::from_secs(
                asked.unwrap_or(1).min(RETRY_SECONDS_MAX),
            ))
            .await;
        }
    }

    async fn call_once(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer> {
        let mut connection = connect(self.place.address).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(body))?;
        *request.headers_mut() = headers.clone();
        request.headers_mut().insert(HOST, self.place.host.clone());
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, bearer(token)?);
        }
        let response = connection
            .send_request(request)
            .await
            .with_context(|| format!("{path} was not answered"))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, bounds::SETTINGS_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("the answer to {path} cannot be read: {error}"))?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }
}

fn bearer(token: &Bearer) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .context("a token that no header can carry")?;
    value.set_sensitive(true);
    Ok(value)
}
