//! `/auth`, `/auth/token`, `/auth/renew`: an unknown key waits for a person, and is given a token once.

use crate::extract::Json;
use crate::{
    AppState,
    bounds::SESSION_TTL,
    events::Topic,
    refusal::{Answer, Refusal},
};
use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::WorkerId;
use lockstep_protocol::{
    Code, DeviceCode, EnrolmentId, InstanceId, Nonce, PublicKey, Signature, Token, TokenKind,
    UserCode, VERSIONS,
    auth::{
        AuthRequest, Bearer, Facts, Pending, RenewRequest, TokenReply, TokenRequest,
        renew_challenge, return_challenge, token_challenge,
    },
    bounds::{
        AUTH_INTERVAL_SECONDS, CLOCK_SKEW_SECONDS_MAX, ENROLMENT_SECONDS, LABEL_CHARS_MAX,
        TOKEN_SECONDS,
    },
};
use lockstep_storage::{
    ConfirmOutcome, EnrolOutcome, EnrolmentState, Hash, NewEnrolment, NewToken, PollOutcome,
    Worker, WorkerState,
};
use std::{collections::BTreeMap, net::SocketAddr};

/// Facts beyond host, os and arch; platforms. More are cut off.
const FACTS_MAX: usize = 32;

pub async fn enrol(
    State(app): State<AppState>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(request): Json<AuthRequest>,
) -> Answer<Response> {
    app.attempts.take(from.ip())?;
    check_protocol(request.protocol)?;
    let name = cut(&request.name);
    if name.trim().is_empty() {
        return Err(Refusal::bad_request(
            "a worker needs a name, so that people can tell it from others",
        ));
    }
    verifying_key(&request.public_key)?;
    let join = request.join_token.as_ref().map(join_hash).transpose()?;
    let now = Timestamp::now();
    let id = EnrolmentId(data_encoding::HEXLOWER.encode(&rand::random::<[u8; 8]>()));
    let nonce = Nonce(rand::random());
    let device_code = DeviceCode::from_random(rand::random());
    let user_code = UserCode::new(&request.public_key, &id, &nonce);
    let life = SignedDuration::from_secs(ENROLMENT_SECONDS as i64);
    let new = NewEnrolment {
        id: id.0.clone(),
        public_key: request.public_key.0,
        name,
        build: cut(&request.build),
        platforms: request
            .platforms
            .iter()
            .take(FACTS_MAX)
            .map(|platform| cut(platform))
            .collect(),
        facts: facts_of(request.facts),
        address: from.ip().to_string(),
        code: user_code.as_str().to_owned(),
        device_hash: Hash(device_code.hash()),
        nonce: nonce.0,
        asked_at: now,
        expires_at: now.saturating_add(life).unwrap_or(now),
        join,
    };
    let known = match app.storage.enrol(&new).await? {
        EnrolOutcome::Pending => false,
        EnrolOutcome::Known(worker) => {
            tracing::info!(%worker, address = %from.ip(), "a known key asks for its id and a token");
            true
        }
        EnrolOutcome::Rejected => {
            return Err(Refusal::new(
                Code::Rejected,
                "a person rejected this worker's key in the console, and it stays refused; if that was a mistake, start the \
                 worker with a new data folder, which makes it a new key",
            ));
        }
        EnrolOutcome::BadJoin => return Err(bad_join()),
        EnrolOutcome::TooMany => {
            return Err(Refusal::new(
                Code::TooManyPending,
                "as many workers wait for a person as may; confirm or reject some of them in the console, or \
                 let this one in with a join token, for which there is always room",
            )
            .retry_after(60));
        }
    };
    if !known {
        tracing::info!(enrolment = %id, address = %from.ip(), "a worker asks to be enrolled");
        if let Some(join) = join {
            join_at_once(&app, &id, join, now).await?;
        }
        app.tail.notify();
        app.events.tell(Topic::Workers, None);
    }
    let pending = Pending {
        enrolment: id,
        device_code,
        user_code,
        nonce,
        interval: AUTH_INTERVAL_SECONDS,
        expires_in: ENROLMENT_SECONDS,
        known,
    };
    let detail = if known {
        "this key is approved already; prove it with /auth/token, and you are told who you are"
    } else {
        "a person has to compare the code that this worker shows with the console's, and confirm"
    };
    Ok(Refusal::new(Code::AuthorizationPending, detail)
        .with(|problem| problem.pending = Some(pending))
        .into_response())
}

fn bad_join() -> Refusal {
    Refusal::new(
        Code::BadToken,
        "the join token is unknown, used up or expired; make a new one in the console, or enrol without one",
    )
}

fn join_hash(join: &Bearer) -> Answer<Hash> {
    let token = Token::parse(join.reveal()).map_err(|_| bad_join())?;
    match token.kind {
        TokenKind::Join => Ok(Hash(token.hash().0)),
        TokenKind::Worker | TokenKind::Person => Err(bad_join()),
    }
}

async fn join_at_once(app: &AppState, id: &EnrolmentId, join: Hash, now: Timestamp) -> Answer<()> {
    match app
        .storage
        .confirm_enrolment_by_join(&id.0, join, now)
        .await?
    {
        ConfirmOutcome::Confirmed { worker, name } => {
            tracing::info!(%worker, name, "a worker joined by a token");
            crate::fleet::settle(app).await
        }
        ConfirmOutcome::WrongCode { .. }
        | ConfirmOutcome::Expired
        | ConfirmOutcome::Rejected
        | ConfirmOutcome::Already(_)
        | ConfirmOutcome::NotFound => Err(bad_join()),
    }
}

/// Shortened, not refused: labels are for people to read.
fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(LABEL_CHARS_MAX)
        .collect()
}

fn facts_of(facts: Facts) -> BTreeMap<String, String> {
    let own = [("host", facts.host), ("os", facts.os), ("arch", facts.arch)];
    let own = own
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let other = facts.other.into_iter().take(FACTS_MAX);
    other
        .chain(own)
        .map(|(name, value)| (cut(&name), cut(&value)))
        .collect()
}

fn check_protocol(theirs: [u16; 2]) -> Answer<()> {
    let ([from, to], [our_from, our_to]) = (theirs, VERSIONS);
    if from <= our_to && to >= our_from {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Upgrade,
        format!(
            "the worker speaks versions {from} to {to} of the protocol and this coordinator {our_from} to {our_to}; \
             bring the older of the two up to date"
        ),
    ))
}

fn verifying_key(key: &PublicKey) -> Answer<VerifyingKey> {
    match VerifyingKey::from_bytes(&key.0) {
        Ok(key) if !key.is_weak() => Ok(key),
        Ok(_) | Err(_) => Err(Refusal::bad_request("this is not an Ed25519 public key")),
    }
}

fn check_signature(key: [u8; 32], challenge: &[u8], signature: &Signature) -> Answer<()> {
    let signature = Ed25519Signature::from_bytes(&signature.0);
    verifying_key(&PublicKey(key))?
        .verify_strict(challenge, &signature)
        .map_err(|_| {
            Refusal::new(
                Code::BadSignature,
                "the signature is not by the key that was enrolled; nothing was given out",
            )
        })
}

pub async fn token(
    State(app): State<AppState>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(request): Json<TokenRequest>,
) -> Answer<Response> {
    app.attempts.take(from.ip())?;
    let expired = || {
        Refusal::new(
            Code::Expired,
            "this enrolment is unknown, over, or its token is in use; begin again with /auth",
        )
    };
    let Some(enrolment) = app.storage.enrolment(&request.enrolment.0).await? else {
        return Err(expired());
    };
    let (id, code) = (&request.enrolment, &request.device_code);
    let (theirs, own) = (Nonce(enrolment.nonce), &request.nonce);
    let challenge = match &request.instance {
        None => token_challenge(id, &theirs, own, code),
        Some(instance) => return_challenge(id, &theirs, own, code, instance),
    };
    check_signature(enrolment.public_key, &challenge, &request.signature)?;
    let now = Timestamp::now();
    if let EnrolmentState::Returning(worker) = enrolment.state {
        let worker = app.storage.worker(worker).await?.ok_or_else(expired)?;
        may_have_a_token(&worker, request.instance.as_ref(), now)?;
    }
    // A moment less than what the worker was told: clocks tick, and nobody asks for the sake of it.
    let interval_ms = AUTH_INTERVAL_SECONDS as i64 * 1_000 - 500;
    let device_hash = Hash(request.device_code.hash());
    let outcome = app
        .storage
        .poll_enrolment(&request.enrolment.0, device_hash, interval_ms, now)
        .await?;
    match outcome {
        PollOutcome::Confirmed { worker } => mint(&app, worker, now).await,
        PollOutcome::Pending => Err(Refusal::new(
            Code::AuthorizationPending,
            "nobody has confirmed yet",
        )),
        PollOutcome::SlowDown => Err(Refusal::new(
            Code::SlowDown,
            format!("ask every {AUTH_INTERVAL_SECONDS} s"),
        )
        .retry_after(AUTH_INTERVAL_SECONDS)),
        PollOutcome::Rejected => Err(Refusal::new(
            Code::Rejected,
            "a person rejected this worker in the console, or too many wrong codes were typed for it",
        )),
        PollOutcome::Expired => Err(expired()),
    }
}

pub async fn renew(
    State(app): State<AppState>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(request): Json<RenewRequest>,
) -> Answer<Response> {
    app.attempts.take(from.ip())?;
    let now = Timestamp::now();
    let Some(worker) = app.storage.worker(request.worker_id).await? else {
        return Err(Refusal::new(
            Code::BadSignature,
            "no such worker is enrolled here; enrol with /auth",
        ));
    };
    let challenge = renew_challenge(
        request.worker_id,
        &request.instance,
        &request.nonce,
        request.signed_at,
    );
    check_signature(worker.public_key, &challenge, &request.signature)?;
    let skew = now.duration_since(request.signed_at).as_secs().abs();
    if skew > CLOCK_SKEW_SECONDS_MAX {
        return Err(Refusal::new(
            Code::ClockSkew,
            format!(
                "the request was signed {skew} s away from the coordinator's time, {now:.0}; set the worker's clock right"
            ),
        ));
    }
    may_have_a_token(&worker, Some(&request.instance), now)?;
    mint(&app, worker.id, now).await
}

/// Who has proven the key of an approved worker is told if it may not work, or if another process does. One that
/// does not say which process it is waits until the worker has been silent.
fn may_have_a_token(worker: &Worker, instance: Option<&InstanceId>, now: Timestamp) -> Answer<()> {
    match worker.state {
        WorkerState::Active | WorkerState::Draining => {}
        WorkerState::Suspended => {
            return Err(Refusal::new(
                Code::Suspended,
                format!(
                    "worker {} is suspended; an operator can let it work again in the console",
                    worker.name
                ),
            ));
        }
        WorkerState::Gone => {
            return Err(Refusal::new(
                Code::Rejected,
                format!(
                    "worker {} was declared gone; enrol it anew, with a new data folder",
                    worker.name
                ),
            ));
        }
    }
    let known = worker.instance.as_deref().and_then(InstanceId::parse);
    let ttl = SignedDuration::try_from(SESSION_TTL).unwrap_or_default();
    let lives = worker
        .last_seen_at
        .is_some_and(|seen| now.duration_since(seen) <= ttl);
    let another = known.is_some_and(|known| {
        instance.is_none_or(|instance| *instance != known && !instance.succeeds(&known))
    });
    if another && lives {
        return Err(super::identify::duplicate());
    }
    Ok(())
}

/// A token in place of the one before. It is in this answer and nowhere else.
async fn mint(app: &AppState, worker: WorkerId, now: Timestamp) -> Answer<Response> {
    let token = Token::new(TokenKind::Worker, worker.0, rand::random());
    let life = SignedDuration::from_secs(TOKEN_SECONDS);
    let expires_at = now.saturating_add(life).unwrap_or(now);
    let new = NewToken {
        worker,
        hash: Hash(token.hash().0),
        expires_at,
    };
    app.storage.put_token(new, now).await?;
    app.tail.look(app).await?;
    tracing::info!(%worker, %expires_at, "a token was given out");
    let reply = TokenReply {
        worker_id: worker,
        token: Bearer::new(token.reveal()),
        expires_at,
        incarnation: app.view.incarnation(),
        server_time: now,
    };
    let mut response = Json(reply).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
