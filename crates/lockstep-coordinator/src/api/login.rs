//! Logging in and out.

use super::{Person, person::me as of};
use crate::{
    AppState,
    bounds::{COOKIE_LIFE, PERSON_TOKEN_LIFE},
    extract::Json,
    refusal::{Answer, Refusal},
};
use axum::{
    extract::{ConnectInfo, State},
    http::{Extensions, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use lockstep_protocol::{
    Code, Token, TokenKind,
    auth::Bearer,
    people::login::{LoginReply, LoginRequest, Me},
};
use lockstep_storage::{self as storage, Hash, Kind, NewSession, SessionKind};
use secrecy::SecretString;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// What the console calls its logins.
const CONSOLE: &str = "console";
const NUMBER_TRIES: usize = 5;

pub async fn log_in(
    State(app): State<AppState>,
    extensions: Extensions,
    Json(request): Json<LoginRequest>,
) -> Answer<Response> {
    let from = from(&extensions);
    app.attempts.take(from)?;
    app.guesses.take(&request.name, from)?;
    let password = SecretString::from(request.password.reveal().to_owned());
    let Some(person) = app.storage.check_password(&request.name, password).await? else {
        tracing::info!(address = %from, "a login failed");
        return Err(Refusal::new(
            Code::LoginRequired,
            "the name or the password is wrong, or this login is switched off",
        ));
    };
    app.guesses.was_right(&request.name, from);
    let (kind, life) = if request.label == CONSOLE {
        (SessionKind::Browser, COOKIE_LIFE)
    } else {
        (SessionKind::Api, PERSON_TOKEN_LIFE)
    };
    let (token, expires_at) = begin(&app, &person, kind, &request.label, Some(life)).await?;
    tracing::info!(person = person.name, address = %from, "logged in");
    let reply = LoginReply {
        token: Bearer::new(token.reveal()),
        me: of(&person),
        expires_at,
    };
    let mut response = Json(reply).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Where the call came from; the console passes its visitor's address on.
pub fn from(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(from)| {
            from.ip()
        })
}

/// A login of this person. The token is in the answer and nowhere else.
pub async fn begin(
    app: &AppState,
    person: &storage::Person,
    kind: SessionKind,
    label: &str,
    life: Option<Duration>,
) -> Answer<(Token, Option<Timestamp>)> {
    let now = Timestamp::now();
    let expires_at = life
        .and_then(|life| SignedDuration::try_from(life).ok())
        .and_then(|life| now.checked_add(life).ok());
    for _ in 0..NUMBER_TRIES {
        let id = app.storage.next_session_id().await?;
        let token = Token::new(TokenKind::Person, id, rand::random());
        let new = NewSession {
            hash: Hash(token.hash().0),
            id,
            person: person.id,
            kind,
            label: label.to_owned(),
            expires_at,
        };
        match app.storage.put_session(&new, now).await {
            Ok(()) => return Ok((token, expires_at)),
            // Somebody took the number: the next one.
            Err(error) if error.kind == Kind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::new(
        Code::Unavailable,
        "too many log in at the same moment; try again",
    )
    .retry_after(1))
}

pub async fn log_out(State(app): State<AppState>, person: Person) -> Answer<StatusCode> {
    app.storage.end_session(person.session).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn me(person: Person) -> Json<Me> {
    Json(person.me)
}
