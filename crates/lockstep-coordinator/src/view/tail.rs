//! The change tail: reads the counter every 300 ms, and at once after a commit of this coordinator, and
//! takes what changed into the view.

use crate::{
    AppState,
    bounds::CHANGE_TAIL_EVERY,
    refusal::{Answer, Refusal},
    view::now_ms,
};
use lockstep_storage::StorageError;
use std::sync::atomic::Ordering;
use tokio::{
    sync::{Mutex, Notify},
    time::timeout,
};

/// So many looks one after another at most; more wait for the next turn.
const LOOKS_MAX: usize = 100;

#[derive(Default)]
pub struct Tail {
    moved: Notify,
    /// One look at a time; holds what departures are known from.
    looking: Mutex<u64>,
}

impl Tail {
    /// This coordinator has just committed something.
    pub fn notify(&self) {
        self.moved.notify_one();
    }

    /// Returns when the view knows everything that was committed before the call.
    pub async fn look(&self, app: &AppState) -> Answer<()> {
        self.catch_up(app).await.map_err(Refusal::from)
    }

    pub(crate) async fn catch_up(&self, app: &AppState) -> Result<(), StorageError> {
        let mut departed_since = self.looking.lock().await;
        for _ in 0..LOOKS_MAX {
            let begun = now_ms();
            let seen = app.view.seen();
            let changes = app.storage.changes_since(seen).await?;
            let upto = changes.upto;
            if upto > seen {
                if seen == 0 {
                    *departed_since = app.storage.departed_since().await?;
                }
                let answered = app.view.apply(changes, *departed_since, &app.events);
                app.asks.answered(answered);
            }
            // The counter was read after `begun`: that is how old the view is.
            app.view.looked_ms.store(begun, Ordering::Release);
            if upto <= seen {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Runs until the coordinator stops.
pub async fn follow(app: AppState) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            // Either way it is time to look.
            _moved_or_time = timeout(CHANGE_TAIL_EVERY, app.tail.moved.notified()) => {}
        }
        match app.tail.catch_up(&app).await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("the database answers again");
            }
            Ok(()) => {}
            Err(error) => {
                if !failing {
                    tracing::error!(%error, source = ?error.source, "the database does not tell what changed; polls are parked, nothing is renewed");
                }
                failing = true;
            }
        }
    }
}
