//! What is open by a login: consoles and tokens, each with its end. One's own, or as an operator everybody's.

use super::{Person, login::begin};
use crate::{
    AppState,
    extract::{Json, Path, Query},
    refusal::{Answer, Refusal},
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use lockstep_protocol::{
    auth::Bearer,
    bounds::LABEL_CHARS_MAX,
    people::{
        Page,
        login::{MadeToken, NewToken, Role, TokenRow},
    },
};
use lockstep_storage::{self as storage, SessionKind};
use serde::Deserialize;
use std::{collections::HashMap, time::Duration};

const DAYS_MAX: u32 = 365;
const DAY_SECONDS: u64 = 24 * 60 * 60;

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Whose {
    /// Everybody's.
    all: bool,
}

pub async fn list(
    State(app): State<AppState>,
    person: Person,
    Query(whose): Query<Whose>,
) -> Answer<Json<Page<TokenRow>>> {
    if whose.all {
        person.needs_all_customers(Role::Operator)?;
    }
    let people = app.storage.people().await?;
    let own = own(&people, &person)?.id;
    let names: HashMap<u64, String> = people
        .into_iter()
        .map(|person| (person.id, person.name))
        .collect();
    let of = (!whose.all).then_some(own);
    let open = app.storage.sessions(of, Timestamp::now()).await?;
    let rows = open.into_iter().map(|open| TokenRow {
        id: open.id,
        name: names.get(&open.person).cloned().unwrap_or_default(),
        label: open.label,
        browser: open.kind == SessionKind::Browser,
        created_at: open.created_at,
        expires_at: open.expires_at,
    });
    Ok(Json(Page::whole(rows.collect())))
}

fn own<'a>(people: &'a [storage::Person], person: &Person) -> Answer<&'a storage::Person> {
    people
        .iter()
        .find(|known| known.name == person.name())
        .ok_or_else(|| Refusal::not_found("login of yours any more"))
}

/// A token for a script, in one's own name. It is in the answer and nowhere else.
pub async fn make(
    State(app): State<AppState>,
    person: Person,
    Json(request): Json<NewToken>,
) -> Answer<Response> {
    if !(1..=DAYS_MAX).contains(&request.days) {
        return Err(Refusal::bad_request(format!(
            "a token is good for 1 to {DAYS_MAX} days"
        )));
    }
    let label = request.label.trim();
    if label.is_empty() || label.chars().count() > LABEL_CHARS_MAX {
        return Err(Refusal::bad_request(format!(
            "say in 1 to {LABEL_CHARS_MAX} characters what the token is for"
        )));
    }
    let people = app.storage.people().await?;
    let life = Duration::from_secs(u64::from(request.days) * DAY_SECONDS);
    let of = own(&people, &person)?;
    let (token, expires_at) = begin(&app, of, SessionKind::Api, label, Some(life)).await?;
    tracing::info!(by = person.name(), label, "a token was made");
    let made = MadeToken {
        token: Bearer::new(token.reveal()),
        expires_at,
    };
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Void from the answer on.
pub async fn revoke(
    State(app): State<AppState>,
    person: Person,
    Path(token): Path<u64>,
) -> Answer<StatusCode> {
    if person.needs_all_customers(Role::Operator).is_err() {
        let people = app.storage.people().await?;
        let own = own(&people, &person)?.id;
        let open = app.storage.sessions(Some(own), Timestamp::now()).await?;
        // Another's is as if it were not there.
        if !open.iter().any(|open| open.id == token) {
            return Err(Refusal::not_found(format!("token {token}")));
        }
    }
    app.storage.end_session_by_id(token).await?;
    tracing::info!(token, by = person.name(), "a token was ended");
    Ok(StatusCode::NO_CONTENT)
}
