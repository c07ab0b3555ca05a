//! What is swept away now and then, so that nothing grows without bound.

use crate::{AppState, fleet, hooks, refusal::Chain};
use jiff::Timestamp;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(60);
/// Changes that a worker may be behind before it gets everything instead of a delta.
const CHANGES_REMEMBERED: u64 = 100_000;

/// Runs until the coordinator stops.
pub async fn follow(app: AppState) {
    let mut forgotten_until = 0;
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        app.view.forget_asks(Timestamp::now());
        fleet::rejoining::forget(&app, Timestamp::now()).await;
        let customers = app.view.all_customers();
        app.checkpoints
            .sweep(&customers.into_iter().map(|(id, _)| id).collect());
        for (customer, revision) in app.registrations.due() {
            hooks::register(app.clone(), customer, revision).await;
        }
        let until = app.view.seen().saturating_sub(CHANGES_REMEMBERED);
        if until > forgotten_until + CHANGES_REMEMBERED / 10 {
            match app.storage.forget_departures(until).await {
                Ok(()) => forgotten_until = until,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "old departures could not be forgotten; it is tried again");
                }
            }
        }
    }
}
