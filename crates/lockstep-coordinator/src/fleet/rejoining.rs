//! After a backup was restored: whose journal was brought back by its worker, and whose could not be. Told to people, for a
//! day.

use crate::{
    AppState,
    alarms::{self, Alarm},
    refusal::Chain,
};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::{CustomerId, Incarnation, WorkerId};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

const KIND: &str = "roll_back";
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Segments of before the restore that were taken from each customer's worker, until it goes on.
#[derive(Default)]
pub struct Rejoining {
    brought: Mutex<BTreeMap<CustomerId, u64>>,
}

impl Rejoining {
    fn brought(&self) -> MutexGuard<'_, BTreeMap<CustomerId, u64>> {
        self.brought.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A segment was taken.
pub async fn taken(app: &AppState, customer: CustomerId, worker: WorkerId, of: Incarnation) {
    if of < app.view.incarnation() {
        *app.rejoining.brought().entry(customer).or_default() += 1;
        return;
    }
    let brought = app.rejoining.brought().remove(&customer);
    let Some(segments) = brought else { return };
    let (name, from) = (app.view.customer_name(customer), name_of(app, worker));
    tracing::info!(%customer, %worker, segments, "a journal was brought back whole after the restore");
    let counted = match segments {
        1 => "1 segment".to_owned(),
        _ => format!("{segments} segments"),
    };
    tell(
        app,
        customer,
        worker,
        format!("{name} goes on where it was before the restore"),
        format!(
            "Its worker {from} had the journal since the backup ({counted}), and it was taken. Nothing is done twice, and \
             nothing is to be done. Edits of its settings since the backup are lost."
        ),
    )
    .await;
}

/// A segment does not follow the journal of here.
pub async fn forked(app: &AppState, customer: CustomerId, worker: WorkerId, head: Incarnation) {
    if head >= app.view.incarnation() {
        return;
    }
    let (name, from) = (app.view.customer_name(customer), name_of(app, worker));
    tell(
        app,
        customer,
        worker,
        format!("{name} meets its shops anew after the restore"),
        format!(
            "The journal on {from}'s disk does not go on from the one that was restored. It is kept beside, on that disk; the \
             restored one is gone on with, and what was done since the backup is looked for in the shops: orders by their \
             keys, levels at the stock's owner. Look through what was written since."
        ),
    )
    .await;
}

fn name_of(app: &AppState, worker: WorkerId) -> String {
    app.view
        .worker(worker)
        .map_or_else(|| format!("worker {worker}"), |slot| slot.name())
}

async fn tell(
    app: &AppState,
    customer: CustomerId,
    worker: WorkerId,
    title: String,
    detail: String,
) {
    let alarm = Alarm {
        kind: KIND,
        key: format!("{}/{customer}", app.view.incarnation()),
        customer: Some(customer),
        worker: Some(worker),
        title,
        detail,
        href: format!("/customers/{customer}"),
        action: "Look at it".into(),
        shop: None,
    };
    alarms::raise(app, alarm).await;
}

/// What was told long enough ago is cleared away.
pub async fn forget(app: &AppState, now: Timestamp) {
    let alerts = match app.storage.alerts().await {
        Ok(alerts) => alerts,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "old news of a restore could not be cleared away; it is tried again");
            return;
        }
    };
    let old = alerts
        .into_iter()
        .filter(|alert| alert.kind == KIND && now.duration_since(alert.seen_at) > TOLD_FOR);
    for alert in old {
        let key = alert
            .dedupe
            .strip_prefix(KIND)
            .map_or(alert.dedupe.as_str(), |key| key.trim_start_matches('/'));
        alarms::clear(app, KIND, key, alert.customer).await;
    }
}
