//! Which worker calls: its token, its standing, and whether it is the one process that may be it.

use crate::{
    AppState,
    refusal::{Answer, Refusal},
    view::{Claim, Slot, Standing, TokenSeen, now_ms},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use jiff::Timestamp;
use lockstep_protocol::{Code, InstanceId, Token, TokenHash, TokenKind, headers::WORKER_INSTANCE};
use lockstep_storage::Hash;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A worker whose token, standing and instance hold. For every call but `/auth` and `/settings`.
pub struct Caller(pub Arc<Slot>);

impl FromRequestParts<AppState> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Answer<Self> {
        known(app, &parts.headers).await.map(Caller)
    }
}

pub async fn known(app: &AppState, headers: &HeaderMap) -> Answer<Arc<Slot>> {
    let bearer = bearer(headers)?;
    let hash = hash(bearer);
    let seen = match app.view.token(&hash) {
        Some(seen) => seen,
        None => {
            let token = Token::parse(bearer)
                .map_err(|error| Refusal::new(Code::BadToken, error.to_string()))?;
            if token.kind != TokenKind::Worker {
                return Err(Refusal::new(Code::BadToken, "this is not a worker's token"));
            }
            // Another coordinator may have minted it a moment ago. Anybody can make up tokens: few of
            // them at a time may have the database asked.
            let _place = app.strangers.take().ok_or_else(|| {
                Refusal::new(Code::Unavailable, "too many unknown tokens are looked up")
                    .retry_after(1)
            })?;
            app.tail.look(app).await?;
            app.view.token(&hash).ok_or_else(|| {
                Refusal::new(
                    Code::BadToken,
                    "this token is unknown here, was revoked, or was replaced by a newer one; enrol again with /auth",
                )
            })?
        }
    };
    check_token(&seen)?;
    let instance = instance(headers)?;
    claim(app, &seen.slot, &instance).await?;
    if !seen.used {
        app.storage
            .mark_token_used(Hash(hash.0), Timestamp::now())
            .await?;
        app.tail.notify();
    }
    seen.slot.touch();
    Ok(seen.slot)
}

/// Without a look at the database, an allocation or a parse; `None` sends the poll the long way round.
pub fn from_memory(app: &AppState, headers: &HeaderMap) -> Option<TokenSeen> {
    let bearer = bearer(headers).ok()?;
    let seen = app.view.token(&hash(bearer)).filter(|seen| seen.used)?;
    check_token(&seen).ok()?;
    let instance = headers.get(WORKER_INSTANCE)?;
    seen.slot.is_instance(instance).then_some(seen)
}

/// After a poll has waited: is all that it began with still so?
pub fn still(app: &AppState, headers: &HeaderMap) -> Answer<()> {
    let seen = app.view.token(&hash(bearer(headers)?)).ok_or_else(|| {
        Refusal::new(
            Code::BadToken,
            "this token was revoked, or replaced by a newer one",
        )
    })?;
    check_token(&seen)?;
    let shown = headers.get(WORKER_INSTANCE);
    if shown.is_some_and(|shown: &HeaderValue| seen.slot.is_instance(shown)) {
        return Ok(());
    }
    Err(duplicate())
}

fn bearer(headers: &HeaderMap) -> Answer<&str> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or_else(|| {
            Refusal::new(
                Code::BadToken,
                "a worker's token is needed here: Authorization: Bearer lsw_…",
            )
        })
}

fn hash(bearer: &str) -> TokenHash {
    TokenHash(Sha256::digest(bearer.as_bytes()).into())
}

fn check_token(seen: &TokenSeen) -> Answer<()> {
    match seen.slot.standing() {
        Standing::Active | Standing::Draining => {}
        Standing::Suspended => {
            return Err(Refusal::new(
                Code::Suspended,
                "an operator, or an alarm about this worker, has suspended it; the console says why",
            ));
        }
        Standing::Gone => {
            return Err(Refusal::new(
                Code::BadToken,
                "this worker was declared gone and its token revoked; enrol again with /auth",
            ));
        }
    }
    if seen.expires_ms <= now_ms() {
        return Err(Refusal::new(
            Code::BadToken,
            "this token has expired; renew it with /auth/renew, signed by the enrolled key",
        ));
    }
    Ok(())
}

pub fn instance(headers: &HeaderMap) -> Answer<InstanceId> {
    headers
        .get(WORKER_INSTANCE)
        .and_then(|value| InstanceId::parse(value.to_str().ok()?))
        .ok_or_else(|| {
            Refusal::bad_request(
                "the header Worker-Instance is missing, or is not boot.folder.count",
            )
        })
}

async fn claim(app: &AppState, slot: &Arc<Slot>, instance: &InstanceId) -> Answer<()> {
    match slot.claim(instance) {
        Claim::Known => Ok(()),
        Claim::Duplicate => Err(duplicate()),
        Claim::New => super::session::begin(app, slot, instance).await,
    }
}

pub fn duplicate() -> Refusal {
    Refusal::new(
        Code::DuplicateInstance,
        "another live process works under this worker's name; stop one of the two. If this machine is a copy, give it \
         a data folder of its own and enrol it anew",
    )
    .retry_after(15)
}
