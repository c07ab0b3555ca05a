//! The start page: what needs a person, then how it goes.

use super::{Person, said, standing};
use crate::{AppState, extract::Json, fleet, refusal::Answer, view::Standing};
use axum::extract::State;
use jiff::Timestamp;
use lockstep_model::settings::{Customer, CustomerSettings};
use lockstep_protocol::people::{Need, NeedKind, Overview, login::Role, standing::Totals};
use std::collections::BTreeMap;

pub async fn show(State(app): State<AppState>, person: Person) -> Answer<Json<Overview>> {
    person.needs(Role::Viewer)?;
    let now = Timestamp::now();
    let workers = app.view.workers();
    let mut needs_person = Vec::new();
    let mut workers_pending = 0;
    if person.needs_all_customers(Role::Operator).is_ok() {
        for enrolment in app.storage.pending_enrolments(Timestamp::now()).await? {
            workers_pending += 1;
            needs_person.push(Need {
                kind: NeedKind::WorkerPending,
                title: format!("worker \"{}\" waits for approval", enrolment.name),
                detail: format!("{}   {}", enrolment.code, enrolment.address),
                href: format!("/workers/pending/{}", enrolment.id),
                since: Some(enrolment.asked_at),
                action: "Confirm…".into(),
                times: 0,
                again: None,
            });
        }
    }
    let mut customers = 0;
    needs_person.splice(0..0, fleet::incidents(&app, |id| person.sees(id)));
    let (mut records, mut records_apart) = (0, 0);
    let mut totals = Totals::default();
    // Those that a worker works for.
    let mut worked = Vec::new();
    for (id, customer) in app.view.all_customers() {
        if !person.sees(id) {
            continue;
        }
        let summary = app.replicas.summary(id);
        customers += 1;
        records += summary.records;
        records_apart += summary.apart.min(summary.records);
        totals += summary.totals;
        let worker = customer.ownership.worker;
        if worker.is_some_and(|id| workers.iter().any(|slot| slot.id == id && slot.is_live())) {
            worked.push(id);
        }
        if summary.totals.waits() == 0 {
            continue;
        }
        let names = if summary.held.is_empty() {
            // What is asked and what stands aside is told without the settings.
            said::Names {
                settings: CustomerSettings::new(Customer::new(id, customer.name)),
                identities: BTreeMap::new(),
            }
        } else {
            // Else deleted since the view was taken.
            let Some(stored) = app.storage.customer(id).await? else {
                continue;
            };
            said::Names::with(&app, stored.settings).await?
        };
        needs_person.extend(standing::of_summary(&names, &summary));
    }
    let alerts = app.storage.alerts().await?.into_iter();
    needs_person.extend(
        alerts
            .filter(|alert| match alert.customer {
                Some(customer) => person.sees(customer),
                None => person.me.customer_id.is_none(),
            })
            .map(standing::need),
    );
    let active = workers
        .iter()
        .filter(|slot| slot.standing() == Standing::Active && slot.is_live());
    let live = app.progress.live(None);
    let live = live
        .iter()
        .filter(|run| person.sees(run.progress.customer_id));
    Ok(Json(Overview {
        needs_person,
        customers,
        records,
        workers_active: active.count() as u64,
        workers_pending,
        runs_live: live.count() as u64,
        records_apart,
        totals,
        lag: app.figures.lag(|id| person.sees(id), now),
        calls: app.figures.calls(&worked, now),
    }))
}
