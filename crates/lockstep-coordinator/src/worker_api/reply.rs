//! The 200 of `/settings`: what changed since the version that the worker has.

use crate::extract::Json;
use crate::{
    AppState,
    refusal::{Answer, Refusal},
    view::{Slot, Standing},
};
use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lockstep_model::{CustomerId, Incarnation, settings::OnWire};
use lockstep_protocol::{
    Code, Etag,
    asks::{Ask, AskId},
    delta::{Delta, Member, SettingsReply, Upsert},
    headers::SETTINGS_LAST_UPDATED,
    wanted::{Wanted, WorkerWanted},
};
use lockstep_storage::AskRow;
use std::collections::BTreeMap;

/// An edit may be committed between the look at the view and the look at the settings; then both are
/// looked at again.
const LOOKS_MAX: usize = 5;

/// Is the worker's version one of this database's past? A future one proves that a backup was restored.
pub async fn check_incarnation(app: &AppState, slot: &Slot, theirs: &Etag) -> Answer<()> {
    let ours = app.view.incarnation();
    if theirs.incarnation < ours {
        return Err(changed(ours));
    }
    let ahead = |app: &AppState| {
        theirs.incarnation > app.view.incarnation() || theirs.revision > app.view.seen()
    };
    if ahead(app) {
        // Another coordinator may only have heard of it sooner.
        app.tail.look(app).await?;
        if ahead(app) {
            let what = "settings that this database never gave";
            return Err(roll_back(app, slot, theirs.incarnation, what).await?);
        }
    }
    // What was told once stays told, also by a coordinator that has forgotten by which event.
    if slot.set().etag().revision < theirs.revision {
        slot.change(|set| set.touch(theirs.revision));
    }
    Ok(())
}

fn changed(incarnation: Incarnation) -> Refusal {
    Refusal::new(
        Code::IncarnationChanged,
        "the coordinator's database was restored from a backup; ask for the settings anew and offer the journal's chain",
    )
    .with(|problem| problem.incarnation = Some(incarnation))
}

/// A worker has `what`: that is only possible if the database was restored from a backup. The refusal that says so.
pub async fn roll_back(
    app: &AppState,
    slot: &Slot,
    theirs: Incarnation,
    what: &str,
) -> Answer<Refusal> {
    let to = Incarnation(theirs.0.saturating_add(1));
    let raised = app.storage.raise_incarnation(to).await?;
    app.view.renew(raised);
    tracing::error!(
        worker = %slot.id,
        incarnation = %raised,
        what,
        "a worker knows more than this database: it was restored from a backup; the incarnation is raised"
    );
    crate::alarms::raise(
        app,
        crate::alarms::Alarm {
            kind: "roll_back",
            key: raised.to_string(),
            customer: None,
            worker: Some(slot.id),
            title: "The coordinator's database was restored from an older backup".into(),
            detail: format!(
                "Worker {} had {what}. Edits made since the backup are lost: look through the customers. Journals are \
                 offered again by their workers; each customer's is told of here.",
                slot.name()
            ),
            href: format!("/workers/{}", slot.id),
            action: "Look through the customers".into(),
            shop: None,
        },
    )
    .await;
    Ok(changed(raised))
}

pub async fn settings(app: &AppState, slot: &Slot, theirs: Option<&Etag>) -> Answer<Response> {
    for _ in 0..LOOKS_MAX {
        let (delta, members) = {
            let set = slot.set();
            let delta = set.delta(theirs);
            let members: BTreeMap<CustomerId, Member> = delta
                .upserts
                .iter()
                .filter_map(|id| set.members().get(id).map(|member| (*id, *member)))
                .collect();
            (delta, members)
        };
        match upserts(app, &members).await? {
            Some((upserts, updated_at)) => return Ok(reply(app, slot, delta, upserts, updated_at)),
            None => app.tail.look(app).await?,
        }
    }
    Err(Refusal::new(
        Code::Unavailable,
        "the settings are edited faster than they can be read; ask again",
    )
    .retry_after(1))
}

type Upserts = (Vec<Upsert>, Option<jiff::Timestamp>);

/// None: the settings are newer than the view.
async fn upserts(
    app: &AppState,
    members: &BTreeMap<CustomerId, Member>,
) -> Answer<Option<Upserts>> {
    let mut upserts = Vec::with_capacity(members.len());
    let mut updated_at = None;
    for (id, member) in members {
        let Some(stored) = app.storage.customer(*id).await? else {
            return Ok(None);
        };
        if stored.revision != member.revision {
            return Ok(None);
        }
        updated_at = updated_at.max(Some(stored.updated_at));
        upserts.push(Upsert {
            customer_id: *id,
            revision: member.revision,
            epoch: member.epoch,
            settings: OnWire(stored.settings),
        });
    }
    Ok(Some((upserts, updated_at)))
}

fn reply(
    app: &AppState,
    slot: &Slot,
    delta: Delta,
    upserts: Vec<Upsert>,
    updated_at: Option<jiff::Timestamp>,
) -> Response {
    let after = delta.base.map(|base| base.revision);
    let worker = match slot.standing() {
        Standing::Draining => WorkerWanted::Draining,
        Standing::Active | Standing::Suspended | Standing::Gone => WorkerWanted::Active,
    };
    let asks = app.view.asks_of(slot).into_iter();
    let asks = asks.filter(|ask| after.is_none_or(|after| ask.stamp > after));
    let reply = SettingsReply {
        etag: delta.etag,
        revision: delta.etag.revision,
        incarnation: delta.etag.incarnation,
        base: delta.base,
        upserts,
        removed: delta.removed,
        wanted: Wanted {
            worker,
            wakes: app.view.wakes_of(slot.id, after),
            cancels: app.view.cancels_of(slot.id),
        },
        asks: asks.filter_map(|row| told(&row)).collect(),
    };
    let mut response = Json(reply).into_response();
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&delta.etag.quoted()) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(at) = updated_at
        && let Ok(at) = HeaderValue::from_str(&at.to_string())
    {
        headers.insert(SETTINGS_LAST_UPDATED, at);
    }
    response
}

fn told(row: &AskRow) -> Option<Ask> {
    match serde_json::from_str(&row.question) {
        Ok(question) => Some(Ask {
            id: AskId(row.id),
            customer_id: row.customer,
            deadline: row.deadline,
            question,
        }),
        Err(error) => {
            // Of a newer coordinator on the same database; it is answered or it expires.
            tracing::warn!(ask = row.id, kind = row.kind, %error, "an ask cannot be read by this build");
            None
        }
    }
}
