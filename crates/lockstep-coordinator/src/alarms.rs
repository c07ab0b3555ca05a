//! What a person should see: kept in the database, one row per cause, cleared when it is right again.

use crate::{AppState, events::Topic, refusal::Chain};
use jiff::Timestamp;
use lockstep_model::{CustomerId, ShopId, WorkerId};
use lockstep_storage::NewAlert;

pub struct Alarm {
    /// The sort of cause: `settings`, `shop`, `hooks`, `limit`, `run`, `roll_back`, `replica`.
    pub kind: &'static str,
    /// Which of that sort.
    pub key: String,
    pub customer: Option<CustomerId>,
    pub worker: Option<WorkerId>,
    pub title: String,
    pub detail: String,
    pub href: String,
    /// What to do there; empty: to look at it.
    pub action: String,
    /// Asking this shop again may be all that it takes.
    pub shop: Option<ShopId>,
}

/// An alarm that cannot be saved is logged: whatever it is about has been refused or held already.
pub async fn raise(app: &AppState, alarm: Alarm) {
    let new = NewAlert {
        dedupe: dedupe(alarm.kind, &alarm.key),
        customer: alarm.customer,
        worker: alarm.worker,
        kind: alarm.kind.to_owned(),
        title: alarm.title,
        detail: alarm.detail,
        href: alarm.href,
        action: alarm.action,
        shop: alarm.shop,
    };
    if let Err(error) = app.storage.raise_alert(&new, Timestamp::now()).await {
        tracing::error!(error = %Chain(&error), title = new.title, detail = new.detail, "an alert could not be saved");
    }
    app.events.tell(Topic::Customers, new.customer);
}

pub async fn clear(app: &AppState, kind: &'static str, key: &str, customer: Option<CustomerId>) {
    match app
        .storage
        .clear_alert(&dedupe(kind, key), Timestamp::now())
        .await
    {
        Ok(true) => app.events.tell(Topic::Customers, customer),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(error = %Chain(&error), kind, "an alert could not be cleared; it is tried again at the next report");
        }
    }
}

fn dedupe(kind: &str, key: &str) -> String {
    format!("{kind}/{key}")
}
