//! Workers and those that wait to become one.

use super::Person;
use crate::{
    AppState,
    events::Topic,
    extract::{Json, Path},
    refusal::{Answer, Refusal},
    view::Slot,
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::{CustomerId, WorkerId};
use lockstep_protocol::{
    Code, EnrolmentId, PublicKey, Token, TokenKind, UserCode,
    auth::{Bearer, Facts},
    people::{
        login::Role,
        workers::{
            Applied, ConfirmReply, ConfirmRequest, JoinTokenReply, JoinTokenRequest, PendingView,
            WorkerCustomer, WorkerList, WorkerState, WorkerStateRequest, WorkerView,
        },
    },
    status::ApplyState,
};
use lockstep_storage::{
    self as storage, ConfirmOutcome, Enrolment, EnrolmentState, Hash, JoinToken, Kind,
};
use std::collections::{BTreeMap, HashMap};

const JOIN_USES_MAX: u32 = 1_000;
const JOIN_LIFE_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;
const NUMBER_TRIES: usize = 5;

pub async fn list(State(app): State<AppState>, person: Person) -> Answer<Json<WorkerList>> {
    person.needs(Role::Viewer)?;
    let now = Timestamp::now();
    let mut workers = Vec::new();
    for worker in app.storage.workers().await? {
        workers.push(view(&app, &person, worker).await?);
    }
    // Codes are for operators: whoever sees one could confirm.
    let pending = if person.needs_all_customers(Role::Operator).is_ok() {
        let waiting = app.storage.pending_enrolments(now).await?;
        waiting.into_iter().filter_map(pending).collect()
    } else {
        Vec::new()
    };
    if person.me.customer_id.is_some() {
        workers.retain(|worker| !worker.customers.is_empty());
    }
    Ok(Json(WorkerList { workers, pending }))
}

pub async fn show(
    State(app): State<AppState>,
    person: Person,
    Path(id): Path<WorkerId>,
) -> Answer<Json<WorkerView>> {
    person.needs_all_customers(Role::Viewer)?;
    let worker = app
        .storage
        .worker(id)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("worker {id}")))?;
    Ok(Json(view(&app, &person, worker).await?))
}

async fn view(app: &AppState, person: &Person, worker: storage::Worker) -> Answer<WorkerView> {
    let owned: Vec<_> = app
        .view
        .owned_by(worker.id)
        .into_iter()
        .filter(|(id, _)| person.sees(*id))
        .collect();
    let ids: Vec<CustomerId> = owned.iter().map(|(id, _)| *id).collect();
    let applied = applied(app, &ids).await?;
    let slot = app.view.worker(worker.id);
    let seen = slot
        .as_ref()
        .and_then(|slot| heard(slot))
        .max(worker.last_seen_at);
    Ok(WorkerView {
        id: worker.id,
        state: state(worker.state),
        online: slot.is_some_and(|slot| slot.is_live()),
        fingerprint: PublicKey(worker.public_key).fingerprint(),
        build: worker.build,
        platforms: worker.platforms,
        facts: facts(worker.facts),
        last_seen_at: seen,
        token_expires_at: app.storage.token_expiry(worker.id).await?,
        customers: owned
            .into_iter()
            .map(|(id, seen)| WorkerCustomer {
                id,
                name: seen.name,
                epoch: seen.ownership.epoch,
                revision: seen.revision,
                applied: applied.get(&id).cloned(),
            })
            .collect(),
        name: worker.name,
    })
}

fn heard(slot: &Slot) -> Option<Timestamp> {
    match slot.seen_ms() {
        0 => None,
        ms => Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok(),
    }
}

/// What workers said last of these customers' settings.
pub async fn applied(
    app: &AppState,
    customers: &[CustomerId],
) -> Answer<HashMap<CustomerId, Applied>> {
    let reports = app.storage.reports(customers).await?.into_iter();
    Ok(reports
        .map(|report| {
            let applied = Applied {
                revision: report.revision,
                state: match report.state {
                    storage::ApplyState::Applied => ApplyState::Applied,
                    storage::ApplyState::Applying => ApplyState::Applying,
                    storage::ApplyState::Failed => ApplyState::Failed,
                },
                error: report.error,
            };
            (report.customer, applied)
        })
        .collect())
}

fn state(stored: storage::WorkerState) -> WorkerState {
    match stored {
        storage::WorkerState::Active => WorkerState::Active,
        storage::WorkerState::Draining => WorkerState::Draining,
        storage::WorkerState::Suspended => WorkerState::Suspended,
        storage::WorkerState::Gone => WorkerState::Gone,
    }
}

fn facts(mut other: BTreeMap<String, String>) -> Facts {
    let mut own = |name: &str| other.remove(name).unwrap_or_default();
    let (host, os, arch) = (own("host"), own("os"), own("arch"));
    Facts {
        host,
        os,
        arch,
        other,
    }
}

fn pending(enrolment: Enrolment) -> Option<PendingView> {
    Some(PendingView {
        code: UserCode::typed(&enrolment.code)?,
        enrolment: EnrolmentId(enrolment.id),
        name: enrolment.name,
        fingerprint: PublicKey(enrolment.public_key).fingerprint(),
        address: enrolment.address,
        build: enrolment.build,
        platforms: enrolment.platforms,
        facts: facts(enrolment.facts),
        asked_at: enrolment.asked_at,
        expires_at: enrolment.expires_at,
    })
}

/// By the enrolment's id; or by the name, if only one of that name waits.
async fn enrolment_named(app: &AppState, named: &str) -> Answer<String> {
    if app.storage.enrolment(named).await?.is_some() {
        return Ok(named.to_owned());
    }
    let waiting = app.storage.pending_enrolments(Timestamp::now()).await?;
    let mut of_that_name = waiting
        .into_iter()
        .filter(|enrolment| enrolment.name == named);
    match (of_that_name.next(), of_that_name.next()) {
        (Some(only), None) => Ok(only.id),
        (Some(_), Some(_)) => Err(Refusal::new(
            Code::Conflict,
            format!("several workers called \"{named}\" wait; name the enrolment"),
        )),
        (None, _) => Err(Refusal::not_found(format!(
            "enrolment \"{named}\" that waits"
        ))),
    }
}

pub async fn confirm(
    State(app): State<AppState>,
    person: Person,
    Path(named): Path<String>,
    Json(request): Json<ConfirmRequest>,
) -> Answer<Json<ConfirmReply>> {
    person.needs_all_customers(Role::Operator)?;
    let id = enrolment_named(&app, &named).await?;
    // What cannot be a code counts as a wrong one too.
    let code =
        UserCode::typed(&request.code).map_or_else(|| "-".to_owned(), |code| code.to_string());
    let now = Timestamp::now();
    let outcome = app
        .storage
        .confirm_enrolment(&id, &code, person.name(), now)
        .await?;
    app.tail.notify();
    app.events.tell(Topic::Workers, None);
    match outcome {
        ConfirmOutcome::Confirmed { worker, name } => {
            tracing::info!(%worker, name, by = person.name(), "a worker was confirmed");
            crate::fleet::settle(&app).await?;
            Ok(Json(ConfirmReply {
                worker_id: worker,
                name,
            }))
        }
        ConfirmOutcome::Already(worker) => {
            let name = app
                .storage
                .worker(worker)
                .await?
                .map(|worker| worker.name)
                .unwrap_or_default();
            Ok(Json(ConfirmReply {
                worker_id: worker,
                name,
            }))
        }
        ConfirmOutcome::WrongCode { left: 0 } => Err(Refusal::new(
            Code::WrongCode,
            "this is not the code that the worker shows; it was the last try, and the enrolment is rejected",
        )),
        ConfirmOutcome::WrongCode { left } => Err(Refusal::new(
            Code::WrongCode,
            format!(
                "this is not the code that the worker shows; look at its screen or log again. {left} tries are left"
            ),
        )),
        ConfirmOutcome::Expired => Err(Refusal::new(
            Code::Expired,
            "the enrolment has expired; the worker asks anew by itself, with a new code",
        )),
        ConfirmOutcome::Rejected => Err(Refusal::new(
            Code::Conflict,
            "the enrolment was rejected; start the worker again to enrol anew",
        )),
        ConfirmOutcome::NotFound => Err(Refusal::not_found(format!("enrolment {id}"))),
    }
}

pub async fn reject(
    State(app): State<AppState>,
    person: Person,
    Path(named): Path<String>,
) -> Answer<StatusCode> {
    person.needs_all_customers(Role::Operator)?;
    let id = enrolment_named(&app, &named).await?;
    let known = app.storage.enrolment(&id).await?;
    if let Some(EnrolmentState::Confirmed(worker)) = known.map(|enrolment| enrolment.state) {
        return Err(Refusal::new(
            Code::Conflict,
            format!("it was confirmed already, as worker {worker}; suspend the worker instead"),
        ));
    }
    app.storage
        .reject_enrolment(&id, person.name(), Timestamp::now())
        .await?;
    app.tail.notify();
    app.events.tell(Topic::Workers, None);
    tracing::info!(
        enrolment = id,
        by = person.name(),
        "an enrolment was rejected"
    );
    Ok(StatusCode::NO_CONTENT)
}

pub async fn set_state(
    State(app): State<AppState>,
    person: Person,
    Path(id): Path<WorkerId>,
    Json(request): Json<WorkerStateRequest>,
) -> Answer<Json<WorkerView>> {
    person.needs_all_customers(Role::Operator)?;
    let worker = app
        .storage
        .worker(id)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("worker {id}")))?;
    let wanted = match request.state {
        WorkerState::Active => storage::WorkerState::Active,
        WorkerState::Draining => storage::WorkerState::Draining,
        WorkerState::Suspended => storage::WorkerState::Suspended,
        WorkerState::Gone => {
            if request.name.as_deref() != Some(worker.name.as_str()) {
                return Err(Refusal::new(
                    Code::Conflict,
                    format!(
                        "a worker that is declared gone never comes back: type its name, \"{}\", to say that you mean it",
                        worker.name
                    ),
                ));
            }
            storage::WorkerState::Gone
        }
    };
    app.storage.set_worker_state(id, wanted).await?;
    tracing::info!(worker = %id, state = wanted.as_str(), by = person.name(), "a worker's state was set");
    crate::fleet::settle(&app).await?;
    app.events.tell(Topic::Workers, None);
    let worker = app
        .storage
        .worker(id)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("worker {id}")))?;
    Ok(Json(view(&app, &person, worker).await?))
}

pub async fn make_join_token(
    State(app): State<AppState>,
    person: Person,
    Json(request): Json<JoinTokenRequest>,
) -> Answer<Response> {
    person.needs_all_customers(Role::Operator)?;
    let uses_left = request.uses_max.clamp(1, JOIN_USES_MAX);
    let life = request.lives_seconds.clamp(60, JOIN_LIFE_SECONDS_MAX);
    let now = Timestamp::now();
    let expires_at = now
        .saturating_add(SignedDuration::from_secs(life as i64))
        .unwrap_or(now);
    for _ in 0..NUMBER_TRIES {
        let id = app.storage.next_join_token_id().await?;
        let token = Token::new(TokenKind::Join, id, rand::random());
        let join = JoinToken {
            id,
            label: request.label.clone(),
            made_by: person.name().to_owned(),
            uses_left,
            expires_at,
        };
        match app
            .storage
            .put_join_token(&join, Hash(token.hash().0), now)
            .await
        {
            Ok(()) => {
                let reply = JoinTokenReply {
                    join_line: join_line(&app, &token),
                    token: Bearer::new(token.reveal()),
                    expires_at,
                };
                let mut response = Json(reply).into_response();
                response
                    .headers_mut()
                    .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                return Ok(response);
            }
            Err(error) if error.kind == Kind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::new(
        Code::Unavailable,
        "too many join tokens are made at this moment; try again",
    )
    .retry_after(1))
}

fn join_line(app: &AppState, token: &Token) -> String {
    let mut line = format!(
        "lockstep worker --coordinator {} --join {}",
        app.public_url,
        token.reveal()
    );
    if let Some(fingerprint) = &app.fingerprint {
        line.push_str(&format!(" --fingerprint {fingerprint}"));
    }
    line
}
