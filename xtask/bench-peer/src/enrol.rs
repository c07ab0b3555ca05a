//! Enrols with a coordinator as a worker does (`/auth`, a person's confirmation, `/auth/token`) and takes the
//! settings once, so that the polls after it are unchanged ones. The person is played by the operator's login.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use lockstep_protocol::auth::{
    AuthRequest, Bearer, Pending, TokenReply, TokenRequest, token_challenge,
};
use lockstep_protocol::headers::WORKER_INSTANCE;
use lockstep_protocol::people::login::{LoginReply, LoginRequest};
use lockstep_protocol::people::workers::ConfirmRequest;
use lockstep_protocol::{
    InstanceId, Nonce, Problem, PublicKey, Signature, VERSIONS, bounds, paths,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::wire::{Place, connect};

const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Attempts of one address are paced; this many waits are gone along with.
const TRIES_MAX: u32 = 10;
const RETRY_SECONDS_MAX: u64 = 10;

#[derive(clap::Args)]
pub struct Options {
    /// The coordinator
    #[arg(long)]
    url: Uri,
}

/// Read from standard input, as JSON: what a coordinator's first line says of its operator.
#[derive(Deserialize)]
struct Operator {
    api_token: Option<Bearer>,
    user: Option<String>,
    password: Option<Bearer>,
}

/// What an unchanged poll carries.
#[derive(Serialize)]
pub struct Enrolled {
    pub path: &'static str,
    pub token: Bearer,
    pub instance: String,
    /// Quoted, as `If-None-Match` has it.
    pub etag: String,
}

pub async fn run(options: &Options) -> Result<Enrolled> {
    let operator: Operator = serde_json::from_reader(std::io::stdin().lock())
        .context("the operator's login is read from standard input, as JSON")?;
    let coordinator = Coordinator {
        place: Place::read(&options.url)?,
    };
    let operator = coordinator.operator_token(operator).await?;

    let key = SigningKey::from_bytes(&rand::random());
    let pending = coordinator.ask_in(&key).await?;
    coordinator.confirm(&pending, &operator).await?;
    let token = coordinator.token(&key, &pending).await?;
    let instance = InstanceId {
        boot: "bench".to_owned(),
        folder: format!("{:016x}", rand::random::<u64>()),
        start: 1,
    };
    let etag = coordinator.take_settings(&token, &instance).await?;
    Ok(Enrolled {
        path: paths::worker::SETTINGS,
        token,
        instance: instance.to_string(),
        etag,
    })
}

struct Coordinator {
    place: Place,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        if !self.status.is_success() {
            bail!("{what}: {}", self.refusal());
        }
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{what}: an answer that cannot be read"))
    }

    fn refusal(&self) -> String {
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => format!("{} ({problem})", self.status),
            Err(_) => self.status.to_string(),
        }
    }
}

impl Coordinator {
    async fn operator_token(&self, operator: Operator) -> Result<Bearer> {
        if let Some(token) = operator.api_token {
            return Ok(token);
        }
        let (Some(name), Some(password)) = (operator.user, operator.password) else {
            bail!(
                "the coordinator named neither an api_token nor a user and password to confirm a worker with"
            );
        };
        let request = LoginRequest {
            name,
            password,
            label: "benchmark".to_owned(),
        };
        let answer = self
            .call(
                Method::POST,
                paths::people::LOGIN,
                HeaderMap::new(),
                Some(&request),
            )
            .await?;
        Ok(answer.json::<LoginReply>("login")?.token)
    }

    async fn ask_in(&self, key: &SigningKey) -> Result<Pending> {
        let request = AuthRequest {
            name: "benchmark".to_owned(),
            public_key: PublicKey(key.verifying_key().to_bytes()),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: VERSIONS,
            platforms: Vec::new(),
            facts: Default::default(),
            join_token: None,
        };
        let answer = self
            .call(
                Method::POST,
                paths::worker::AUTH,
                HeaderMap::new(),
                Some(&request),
            )
            .await?;
        let problem: Problem =
            serde_json::from_slice(&answer.body).context("/auth: an answer that cannot be read")?;
        problem
            .pending
            .with_context(|| format!("/auth: {}", answer.refusal()))
    }

    async fn confirm(&self, pending: &Pending, operator: &Bearer) -> Result<()> {
        let path = paths::fill(paths::people::ENROLMENT_CONFIRM, &[&pending.enrolment]);
        let request = ConfirmRequest {
            code: pending.user_code.to_string(),
        };
        let answer = self
            .call(Method::POST, &path, bearer(operator)?, Some(&request))
            .await?;
        if !answer.status.is_success() {
            bail!("confirm: {}", answer.refusal());
        }
        Ok(())
    }

    async fn token(&self, key: &SigningKey, pending: &Pending) -> Result<Bearer> {
        let nonce = Nonce(rand::random());
        let challenge = token_challenge(
            &pending.enrolment,
            &pending.nonce,
            &nonce,
            &pending.device_code,
        );
        let request = TokenRequest {
            enrolment: pending.enrolment.clone(),
            device_code: pending.device_code.clone(),
            nonce,
            signature: Signature(key.sign(&challenge).to_bytes()),
        };
        let answer = self
            .call(
                Method::POST,
                paths::worker::AUTH_TOKEN,
                HeaderMap::new(),
                Some(&request),
            )
            .await?;
        Ok(answer.json::<TokenReply>("/auth/token")?.token)
    }

    /// The first poll: full settings, and the token's first use.
    async fn take_settings(&self, token: &Bearer, instance: &InstanceId) -> Result<String> {
        let mut headers = bearer(token)?;
        headers.insert(
            WORKER_INSTANCE,
            HeaderValue::from_str(&instance.to_string())?,
        );
        let answer = self
            .call(Method::GET, paths::worker::SETTINGS, headers, None::<&()>)
            .await?;
        if answer.status != StatusCode::OK {
            bail!("the first /settings: {}", answer.refusal());
        }
        let etag = answer
            .headers
            .get(ETAG)
            .context("the first /settings has no ETag")?;
        Ok(etag
            .to_str()
            .context("an ETag that is not text")?
            .to_owned())
    }

    /// Calls again when told that it was too soon.
    async fn call(
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
            let answer = timeout(
                ANSWER_MAX,
                self.call_once(&method, path, &headers, body.clone()),
            )
            .await
            .with_context(|| {
                format!("{path} was not answered within {} s", ANSWER_MAX.as_secs())
            })??;
            if answer.status != StatusCode::TOO_MANY_REQUESTS || tried == TRIES_MAX {
                return Ok(answer);
            }
            tried += 1;
            let asked = answer
                .headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
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
        let response = connection
            .send_request(request)
            .await
            .with_context(|| format!("{path} was not answered"))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, bounds::BODY_BYTES_MAX)
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

fn bearer(token: &Bearer) -> Result<HeaderMap> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .context("a token that no header can carry")?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}
