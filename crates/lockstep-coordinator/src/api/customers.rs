//! Customers: list, show, apply, export, give to a worker.

use super::{Person, cursor, limit, page, standing, workers::applied};
use crate::{
    AppState,
    asks::{Asked, ask, not_done},
    bounds::{PLAN_ROWS_MAX, PLAN_WAIT},
    events::Topic,
    extract::{Json, Path, Query},
    fleet, owners,
    refusal::{Answer, Refusal},
};
use axum::{
    extract::{State, rejection::StringRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use lockstep_connector::HookScheme;
use lockstep_model::{
    CustomerId, Revision,
    settings::{CustomerSettings, Problem, Secret, Service},
};
use lockstep_protocol::{
    Code,
    asks::{Answer as Answered, Question},
    people::{
        ListQuery, Page,
        customers::{ApplyReply, CustomerRow, CustomerView, Owner, OwnerRequest},
        login::Role,
        plan::Preview,
        workers::Applied,
    },
};
use lockstep_storage::{self as storage, CustomerFilter, Expect, StoredCustomer};
use std::collections::BTreeMap;

pub async fn list(
    State(app): State<AppState>,
    person: Person,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Page<CustomerRow>>> {
    person.needs(Role::Viewer)?;
    let limit = limit(query.limit);
    let filter = CustomerFilter {
        text: query.query.clone(),
        only: person.me.customer_id,
        after: cursor(&query)?,
        limit: limit as u64 + 1,
    };
    let rows = app.storage.list_customers(&filter).await?;
    let ids: Vec<CustomerId> = rows.iter().map(|row| row.id).collect();
    let applied = applied(&app, &ids).await?;
    let rows = rows
        .into_iter()
        .map(|row| {
            let applied = applied.get(&row.id).cloned();
            told(&app, row, applied)
        })
        .collect();
    Ok(Json(page(rows, limit, |row: &CustomerRow| {
        row.id.to_string()
    })))
}

fn told(app: &AppState, row: storage::CustomerRow, applied: Option<Applied>) -> CustomerRow {
    let summary = app.replicas.summary(row.id);
    CustomerRow {
        records: summary.records,
        records_apart: summary.apart,
        totals: summary.totals,
        health: standing::health(app, row.id, row.enabled, row.locked, &summary),
        owner: owner(app, row.id),
        id: row.id,
        name: row.name,
        email: row.email,
        revision: row.revision,
        enabled: row.enabled,
        locked: row.locked,
        movable: row.movable,
        shops: row.shops,
        applied,
    }
}

fn owner(app: &AppState, customer: CustomerId) -> Option<Owner> {
    let ownership = app.view.customer(customer)?.ownership;
    let worker_id = ownership.worker?;
    Some(Owner {
        worker_id,
        worker_name: app
            .view
            .worker(worker_id)
            .map(|slot| slot.name())
            .unwrap_or_default(),
        epoch: ownership.epoch,
    })
}

pub(super) async fn stored(app: &AppState, id: CustomerId) -> Answer<StoredCustomer> {
    app.storage
        .customer(id)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("customer {id}")))
}

fn etag(revision: Revision) -> [(header::HeaderName, HeaderValue); 1] {
    let value = HeaderValue::from_str(&format!("\"{revision}\""));
    [(header::ETAG, value.unwrap_or(HeaderValue::from_static("")))]
}

pub async fn show(
    State(app): State<AppState>,
    person: Person,
    Path(id): Path<CustomerId>,
) -> Answer<Response> {
    person.may(Role::Viewer, id)?;
    let stored = stored(&app, id).await?;
    let settings = stored.settings;
    let summary = app.replicas.summary(id);
    let row = CustomerRow {
        id,
        records: summary.records,
        records_apart: summary.apart,
        totals: summary.totals,
        health: standing::health(
            &app,
            id,
            settings.customer.enable_syncing,
            settings.customer.locked,
            &summary,
        ),
        name: settings.customer.name.clone(),
        email: settings.customer.email.clone(),
        revision: stored.revision,
        enabled: settings.customer.enable_syncing,
        locked: settings.customer.locked,
        movable: settings.customer.movable,
        shops: u32::try_from(settings.customer_has_services.len()).unwrap_or(u32::MAX),
        owner: owner(&app, id),
        applied: applied(&app, &[id]).await?.remove(&id),
    };
    let view = CustomerView {
        row,
        shops: standing::shops(&app, &settings),
        settings,
        updated_at: stored.updated_at,
    };
    Ok((etag(stored.revision), Json(view)).into_response())
}

/// As `apply` takes it back; secrets are `null` and stay what they are.
pub async fn export(
    State(app): State<AppState>,
    person: Person,
    Path(id): Path<CustomerId>,
) -> Answer<Response> {
    person.may(Role::Viewer, id)?;
    let stored = stored(&app, id).await?;
    Ok((etag(stored.revision), Json(stored.settings)).into_response())
}

pub async fn create(
    State(app): State<AppState>,
    person: Person,
    body: Result<String, StringRejection>,
) -> Answer<(StatusCode, Json<ApplyReply>)> {
    person.needs_all_customers(Role::Editor)?;
    let body = body?;
    let _turn = app.reading.turn(&body).await;
    let settings = app.reading.read(body).await?.map_err(invalid)?;
    let reply = save(&app, &person, settings, Expect::New).await?;
    Ok((StatusCode::CREATED, Json(reply)))
}

pub async fn apply(
    State(app): State<AppState>,
    person: Person,
    Path(id): Path<CustomerId>,
    headers: HeaderMap,
    body: Result<String, StringRejection>,
) -> Answer<Response> {
    person.may(Role::Editor, id)?;
    let body = body?;
    let _turn = app.reading.turn(&body).await;
    let settings = read_of(&app, id, body).await?;
    let expect = match headers.get(header::IF_MATCH) {
        None => Expect::Anything,
        Some(value) => Expect::Revision(revision(value)?),
    };
    let reply = save(&app, &person, settings, expect).await?;
    Ok((etag(reply.revision), Json(reply)).into_response())
}

/// Settings that were sent to this customer.
async fn read_of(app: &AppState, id: CustomerId, body: String) -> Answer<CustomerSettings> {
    let mut settings = app.reading.read(body).await?.map_err(invalid)?;
    if settings.customer.id == CustomerId(0) {
        settings.customer.id = id;
    }
    if settings.customer.id != id {
        return Err(Refusal::bad_request(format!(
            "these are the settings of customer {}, and they were sent to customer {id}; nothing was saved",
            settings.customer.id
        )));
    }
    Ok(settings)
}

/// What would follow from these settings: they are held against all that a save is, and are not saved.
pub async fn preview(
    State(app): State<AppState>,
    person: Person,
    Path(id): Path<CustomerId>,
    body: Result<String, StringRejection>,
) -> Answer<Json<Preview>> {
    person.may(Role::Editor, id)?;
    let body = body?;
    let _turn = app.reading.turn(&body).await;
    let settings = read_of(&app, id, body).await?;
    let before = stored(&app, id).await?;
    let settings = prepared(&app, &person, settings, Some(&before), Timestamp::now())?;
    let asked = Asked {
        customer: Some(id),
        platform: None,
        question: Question::Preview {
            settings: Box::new(settings),
            rows_max: PLAN_ROWS_MAX,
            by: person.name().to_owned(),
        },
        by: person.name(),
        wait: PLAN_WAIT,
    };
    match ask(&app, asked).await? {
        Answered::Previewed { preview } => Ok(Json(*preview)),
        other => Err(not_done(other)),
    }
}

fn revision(value: &HeaderValue) -> Answer<Revision> {
    value
        .to_str()
        .ok()
        .map(|text| text.trim().trim_start_matches("W/").trim_matches('"'))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            Refusal::bad_request("If-Match is the revision that was shown, in quotes: \"7\"")
        })
}

fn invalid(problems: Vec<Problem>) -> Refusal {
    Refusal::new(
        Code::InvalidSettings,
        "nothing was saved; the problems say where and what to do",
    )
    .with(|problem| problem.problems = problems)
}

/// As they would be saved: everything that refuses them is said before.
fn prepared(
    app: &AppState,
    person: &Person,
    mut settings: CustomerSettings,
    before: Option<&StoredCustomer>,
    now: Timestamp,
) -> Answer<CustomerSettings> {
    may_edit(person, &settings, before)?;
    check_platforms(app, &settings)?;
    if let Some(before) = before {
        refuse_dropped(&settings.keep_secrets_of(&before.settings))?;
    }
    check_required(app, &settings)?;
    let stored = before.map(|before| &before.settings);
    refuse_orders_from_ahead(&settings, stored, now)?;
    settings.begin_orders_as(stored, now);
    make_hook_secrets(app, &mut settings);
    Ok(settings)
}

pub(super) async fn save(
    app: &AppState,
    person: &Person,
    settings: CustomerSettings,
    expect: Expect,
) -> Answer<ApplyReply> {
    let before = match settings.customer.id {
        CustomerId(0) => None,
        id => app.storage.customer(id).await?,
    };
    if before.is_none() {
        person.needs_all_customers(Role::Editor)?;
    }
    let now = Timestamp::now();
    let settings = prepared(app, person, settings, before.as_ref(), now)?;
    let pinned_to = settings.customer.worker_id;
    let outcome = app
        .storage
        .save_customer(settings, expect, person.name(), now)
        .await?;
    fleet::settle_customer(app, outcome.id, pinned_to).await?;
    if outcome.changed {
        tracing::info!(customer = %outcome.id, revision = %outcome.revision, by = person.name(), "settings were saved");
        app.events.tell(Topic::Customers, Some(outcome.id));
    }
    Ok(ApplyReply {
        id: outcome.id,
        revision: outcome.revision,
        changed: outcome.changed,
    })
}

/// What is sold before a shop's orders begin to cross is counted nowhere. A moment that is stored already is left as it is.
fn refuse_orders_from_ahead(
    settings: &CustomerSettings,
    before: Option<&CustomerSettings>,
    now: Timestamp,
) -> Answer<()> {
    let links = settings.customer_has_services.iter().enumerate();
    let ahead = links.filter(|(_, link)| {
        let stored = before.and_then(|before| before.link(link.service_id));
        link.orders_from.is_some_and(|from| from > now)
            && link.orders_from != stored.and_then(|stored| stored.orders_from)
    });
    let problems: Vec<Problem> = ahead
        .map(|(at, _)| {
            Problem::new(
                format!("customerHasServices[{at}].ordersFrom"),
                "it lies ahead: what this shop sells until then would be counted nowhere, and sold again elsewhere; name a \
                 moment that is over",
            )
        })
        .collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(invalid(problems)),
    }
}

/// What to do about a secret that was stored for another address.
pub(super) const TYPE_ANEW: &str = "the address of this shop, its platform or how its certificate is trusted was changed: type its keys anew, the stored \
     ones are not sent elsewhere";

/// A shop that is saved without its key would fail at its next run: it is said here.
fn refuse_dropped(dropped: &BTreeMap<usize, Vec<String>>) -> Answer<()> {
    let problems: Vec<Problem> = dropped
        .iter()
        .flat_map(|(at, names)| {
            names.iter().map(move |name| {
                Problem::new(format!("services[{at}].credentials.{name}"), TYPE_ANEW)
            })
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(invalid(problems))
}

/// A locked customer is an operator's; who works it and whether it is locked is not its own people's to say.
fn may_edit(
    person: &Person,
    settings: &CustomerSettings,
    before: Option<&StoredCustomer>,
) -> Answer<()> {
    if person.needs_all_customers(Role::Operator).is_ok() {
        return Ok(());
    }
    let Some(before) = before.map(|before| &before.settings.customer) else {
        return Ok(());
    };
    if before.locked {
        return Err(Refusal::new(
            Code::Locked,
            format!(
                "{} is locked while an operator works on it; nothing was saved",
                before.name
            ),
        ));
    }
    let after = &settings.customer;
    let operators_own = (before.locked, before.worker_id, before.movable);
    if person.me.customer_id.is_some()
        && operators_own != (after.locked, after.worker_id, after.movable)
    {
        return Err(Refusal::new(
            Code::Forbidden,
            "locked, workerId and movable are for operators; nothing was saved",
        ));
    }
    Ok(())
}

fn check_platforms(app: &AppState, settings: &CustomerSettings) -> Answer<()> {
    let known: Vec<&str> = app
        .registry
        .iter()
        .map(|each| each.manifest().platform)
        .collect();
    let problems: Vec<Problem> = settings
        .services
        .iter()
        .enumerate()
        .filter(|(_, service)| {
            !known.contains(&service.platform.as_str()) && !service.platform.is_empty()
        })
        .map(|(at, service)| {
            Problem::new(
                format!("services[{at}].platform"),
                format!(
                    "there is no connector \"{}\"; there is {}",
                    service.platform,
                    known.join(", ")
                ),
            )
        })
        .collect();
    if known.is_empty() || problems.is_empty() {
        return Ok(());
    }
    Err(invalid(problems))
}

/// A shop without its key would fail at its first call: it is said before it is saved.
fn check_required(app: &AppState, settings: &CustomerSettings) -> Answer<()> {
    let services = settings.services.iter().enumerate();
    let problems: Vec<Problem> = services
        .filter(|(_, service)| service.active)
        .flat_map(|(at, service)| {
            let missing = missing_keys(app, service).into_iter();
            missing.map(move |(name, label)| {
                Problem::new(
                    format!("services[{at}].credentials.{name}"),
                    format!("{label} is missing: without it no call to the shop is made"),
                )
            })
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(invalid(problems))
}

/// The keys that the shop's platform needs and that are neither typed nor stored.
pub(super) fn missing_keys(app: &AppState, service: &Service) -> Vec<(&'static str, &'static str)> {
    let Some(platform) = app.registry.get(&service.platform) else {
        return Vec::new();
    };
    let has = |name: &str| {
        let secret = service.credential(name);
        secret.is_some_and(|secret| !secret.reveal().trim().is_empty())
    };
    let needed = platform.manifest().credentials.iter();
    needed
        .filter(|each| each.secret && !has(each.name))
        .map(|each| (each.name, each.label))
        .collect()
}

/// A shop that can call us needs a secret to sign with; nobody has to think one up.
fn make_hook_secrets(app: &AppState, settings: &mut CustomerSettings) {
    for service in &mut settings.services {
        let calls = app
            .registry
            .get(&service.platform)
            .is_some_and(|platform| platform.manifest().hooks != HookScheme::None);
        if calls && service.hook_secret.is_none() {
            let secret = BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>());
            service.hook_secret = Some(Secret::new(secret));
        }
    }
}

pub async fn delete(
    State(app): State<AppState>,
    person: Person,
    Path(id): Path<CustomerId>,
) -> Answer<StatusCode> {
    person.needs_all_customers(Role::Operator)?;
    app.storage
        .delete_customer(id, person.name(), Timestamp::now())
        .await?;
    app.tail.look(&app).await?;
    app.progress.forget_live(id);
    app.events.tell(Topic::Customers, Some(id));
    tracing::info!(customer = %id, by = person.name(), "a customer was deleted");
    Ok(StatusCode::NO_CONTENT)
}

pub async fn give(
    State(app): State<AppState>,
    person: Person,
    Path(id): Path<CustomerId>,
    Json(request): Json<OwnerRequest>,
) -> Answer<Json<Option<Owner>>> {
    person.needs_all_customers(Role::Operator)?;
    owners::give(
        &app,
        id,
        request.worker_id,
        request.the_machine_is_gone.as_deref(),
    )
    .await?;
    tracing::info!(customer = %id, to = %request.worker_id, by = person.name(), "a customer was given to a worker");
    app.events.tell(Topic::Customers, Some(id));
    Ok(Json(owner(&app, id)))
}
