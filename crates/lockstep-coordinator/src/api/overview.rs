//! The start page: what needs a person, then how it goes.

use super::{Person, said};
use crate::{AppState, extract::Json, fleet, refusal::Answer, view::Standing};
use axum::extract::State;
use jiff::Timestamp;
use lockstep_protocol::people::{Need, NeedKind, Overview, login::Role};
use lockstep_storage::Alert;

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
                action: String::new(),
            });
        }
    }
    let mut customers = 0;
    needs_person.splice(0..0, fleet::incidents(&app, |id| person.sees(id)));
    let (mut records, mut records_apart) = (0, 0);
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
        let worker = customer.ownership.worker;
        if worker.is_some_and(|id| workers.iter().any(|slot| slot.id == id && slot.is_live())) {
            worked.push(id);
        }
        if summary.conflicts > 0 {
            needs_person.push(Need {
                kind: NeedKind::Conflict,
                title: format!(
                    "{} at {}",
                    counted(summary.conflicts, "open question"),
                    customer.name
                ),
                detail: "A person has to decide; the rest goes on.".into(),
                href: format!("/customers/{id}/conflicts"),
                since: summary.oldest_conflict,
                action: String::new(),
            });
        }
        if summary.held_orders > 0 {
            // Deleted since the view was taken.
            let Some(stored) = app.storage.customer(id).await? else {
                continue;
            };
            let names = said::Names {
                settings: stored.settings,
            };
            let mut others = summary.held_orders;
            for (origin, hold, count) in &summary.held {
                others = others.saturating_sub(*count);
                let (title, detail) = said::held(&names, *origin, hold, *count);
                needs_person.push(Need {
                    kind: NeedKind::OrderHeld,
                    title: format!("{title}, at {}", customer.name),
                    detail,
                    href: format!("/customers/{id}/orders"),
                    since: None,
                    action: String::new(),
                });
            }
            if others > 0 {
                needs_person.push(Need {
                    kind: NeedKind::OrderHeld,
                    title: format!(
                        "{} held at {}",
                        counted(others, "more order"),
                        customer.name
                    ),
                    detail: "Each says what it waits for.".into(),
                    href: format!("/customers/{id}/orders"),
                    since: None,
                    action: String::new(),
                });
            }
        }
        if summary.asides > 0 {
            needs_person.push(Need {
                kind: NeedKind::ShopFailed,
                title: format!(
                    "{} set aside at {}",
                    counted(summary.asides, "record"),
                    customer.name
                ),
                detail: "A shop refused them or they cannot be read; the others go on.".into(),
                href: format!("/customers/{id}/records"),
                since: None,
                action: String::new(),
            });
        }
    }
    let alerts = app.storage.alerts().await?.into_iter();
    needs_person.extend(
        alerts
            .filter(|alert| match alert.customer {
                Some(customer) => person.sees(customer),
                None => person.me.customer_id.is_none(),
            })
            .map(need),
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
        lag: app.figures.lag(|id| person.sees(id), now),
        calls: app.figures.calls(&worked, now),
    }))
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn need(alert: Alert) -> Need {
    Need {
        kind: match alert.kind.as_str() {
            "settings" => NeedKind::SettingsFailed,
            "run" | "hooks" => NeedKind::ShopFailed,
            _ => NeedKind::Alert,
        },
        title: alert.title,
        detail: alert.detail,
        href: alert.href,
        since: Some(alert.raised_at),
        action: String::new(),
    }
}
