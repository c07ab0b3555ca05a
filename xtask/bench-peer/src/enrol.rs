//! Enrols with a coordinator as a worker does (`/auth`, a person's confirmation, `/auth/token`) and takes the
//! settings once, so that the polls after it are unchanged ones. The person is played by the operator's login.

use anyhow::{Context, Result, bail};
use ed25519_dalek::{Signer, SigningKey};
use http::header::ETAG;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lockstep_protocol::auth::{
    AuthRequest, Bearer, Pending, TokenReply, TokenRequest, token_challenge,
};
use lockstep_protocol::headers::WORKER_INSTANCE;
use lockstep_protocol::people::workers::{ConfirmReply, ConfirmRequest};
use lockstep_protocol::{InstanceId, Nonce, Problem, PublicKey, Signature, VERSIONS, paths};
use serde::Serialize;

use crate::client::{Client, Said};

/// What an unchanged poll carries.
#[derive(Serialize)]
pub struct Enrolled {
    pub path: &'static str,
    pub token: Bearer,
    pub instance: String,
    /// Quoted, as `If-None-Match` has it.
    pub etag: String,
}

pub async fn run(coordinator: Said) -> Result<Enrolled> {
    let url = coordinator.url.clone();
    let stranger = Client::anonymous(&url)?;
    let operator = Client::of(coordinator).await?;

    let key = SigningKey::from_bytes(&rand::random());
    let pending = ask_in(&stranger, &key).await?;
    let path = paths::fill(paths::people::ENROLMENT_CONFIRM, &[&pending.enrolment]);
    let code = ConfirmRequest {
        code: pending.user_code.to_string(),
    };
    let _: ConfirmReply = operator.send(Method::POST, &path, &code).await?;
    let token = take_token(&stranger, &key, &pending).await?;
    let instance = InstanceId {
        boot: "bench".to_owned(),
        folder: format!("{:016x}", rand::random::<u64>()),
        start: 1,
    };
    let etag = take_settings(&Client::with_token(&url, token.clone())?, &instance).await?;
    Ok(Enrolled {
        path: paths::worker::SETTINGS,
        token,
        instance: instance.to_string(),
        etag,
    })
}

async fn ask_in(stranger: &Client, key: &SigningKey) -> Result<Pending> {
    let request = AuthRequest {
        name: "benchmark".to_owned(),
        public_key: PublicKey(key.verifying_key().to_bytes()),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: VERSIONS,
        platforms: Vec::new(),
        facts: Default::default(),
        join_token: None,
    };
    let answer = stranger
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

async fn take_token(stranger: &Client, key: &SigningKey, pending: &Pending) -> Result<Bearer> {
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
        instance: None,
        signature: Signature(key.sign(&challenge).to_bytes()),
    };
    let reply: TokenReply = stranger
        .send(Method::POST, paths::worker::AUTH_TOKEN, &request)
        .await?;
    Ok(reply.token)
}

/// The first poll: full settings, and the token's first use.
async fn take_settings(worker: &Client, instance: &InstanceId) -> Result<String> {
    let headers = HeaderMap::from_iter([(
        WORKER_INSTANCE,
        HeaderValue::from_str(&instance.to_string())?,
    )]);
    let answer = worker
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
