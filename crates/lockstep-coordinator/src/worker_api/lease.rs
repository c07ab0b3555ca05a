//! `POST /lease` and `/lease/release`: the right to write for movable customers, renewed; and the word
//! that nothing of a customer is in flight any more.

use super::identify::{Caller, instance};
use crate::extract::Json;
use crate::{
    AppState,
    bounds::SESSION_TTL,
    events::Topic,
    refusal::{Answer, Chain, Refusal},
    view::{Slot, Standing},
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use lockstep_protocol::{
    Code,
    headers::LEASE_UNTIL_MS,
    lease::{HeldLease, LeaseReply, LeaseRequest, ReleaseRequest},
};
use lockstep_storage::{MoveOutcome, ownership::Event};

pub async fn lease(
    State(app): State<AppState>,
    Caller(slot): Caller,
    headers: HeaderMap,
    Json(request): Json<LeaseRequest>,
) -> Answer<Response> {
    if !app.view.is_fresh() {
        return Err(Refusal::new(
            Code::Unavailable,
            "this coordinator does not hear from its database; nothing was renewed",
        )
        .retry_after(1));
    }
    let instance = instance(&headers)?;
    let now = Timestamp::now();
    let build = app
        .storage
        .worker(slot.id)
        .await?
        .map(|worker| worker.build)
        .unwrap_or_default();
    // Committed before it is answered: the row is the session that a re-grant looks at.
    let kept = app
        .storage
        .see_worker(slot.id, &instance.to_string(), &build, now)
        .await;
    app.keeping.lease(match &kept {
        Ok(()) => Ok(()),
        Err(error) => Err(Chain(error).to_string()),
    });
    kept?;
    slot.renewed(request.comes_by);
    let lost = request
        .have
        .into_iter()
        .filter(|held| !app.view.owns(slot.id, held.customer_id, held.epoch))
        .collect();
    let ttl = SignedDuration::try_from(SESSION_TTL).unwrap_or_default();
    let until = now.saturating_add(ttl).unwrap_or(now);
    let leaving = app.view.leaving(slot.id).into_iter();
    let mut response = Json(LeaseReply {
        server_time: now,
        lost,
        leaving: leaving
            .map(|(customer_id, epoch)| HeldLease { customer_id, epoch })
            .collect(),
    })
    .into_response();
    response
        .headers_mut()
        .insert(LEASE_UNTIL_MS, HeaderValue::from(until.as_millisecond()));
    Ok(response)
}

pub async fn release(
    State(app): State<AppState>,
    Caller(slot): Caller,
    Json(request): Json<ReleaseRequest>,
) -> Answer<Json<LeaseReply>> {
    let now = Timestamp::now();
    let mut lost = Vec::new();
    app.tail.look(&app).await?;
    for held in request.released {
        match released(&app, &slot, held, now).await? {
            MoveOutcome::Done(owned) => {
                tracing::info!(customer = %held.customer_id, by = %slot.id, now = %owned.ownership, "released");
                app.progress.forget_live(held.customer_id);
            }
            MoveOutcome::NotTheOwner => lost.push(held),
        }
    }
    crate::fleet::settle(&app).await?;
    app.events.tell(Topic::Workers, None);
    Ok(Json(LeaseReply {
        server_time: now,
        lost,
        leaving: Vec::new(),
    }))
}

/// A customer that was given away and back while its worker let go of it stays with it: in a new epoch, since nothing
/// of the old one is at work any more.
async fn released(
    app: &AppState,
    slot: &Slot,
    held: HeldLease,
    now: Timestamp,
) -> Answer<MoveOutcome> {
    let (customer, epoch) = (held.customer_id, held.epoch);
    let given_back = app
        .view
        .customer(customer)
        .is_some_and(|known| known.told_to == Some(slot.id) && slot.standing() == Standing::Active);
    if given_back {
        let to = slot.id;
        let again = Event::Regrant { to, epoch };
        let outcome = app.storage.move_customer(customer, again, now).await?;
        if matches!(outcome, MoveOutcome::Done(_)) {
            return Ok(outcome);
        }
    }
    let by = slot.id;
    let release = Event::Release { by, epoch };
    Ok(app.storage.move_customer(customer, release, now).await?)
}
