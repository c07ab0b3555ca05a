//! Raising wakes, many in one commit.
//!
//! ```text
//!  hook ──┐
//!  hook ──┼─► queue ──► at most 20 ms ──► one transaction ──► each is answered, and the tail looks at once
//!  sync ──┘
//! ```

use crate::{
    AppState,
    bounds::{HOOK_WAIT, WAKE_COMMIT_AFTER, WAKES_QUEUED_MAX},
    refusal::{Answer, Refusal},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, Flow, ShopId};
use lockstep_protocol::{Code, wanted::Wake};
use lockstep_storage::WakeBy;
use std::collections::BTreeMap;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

type Place = (CustomerId, ShopId, Flow);

/// Wakes to be raised, and who waits for them.
pub struct Raise {
    places: Vec<Place>,
    by: WakeBy,
    done: oneshot::Sender<Answer<Vec<Wake>>>,
}

pub struct Wakes {
    queue: mpsc::Sender<Raise>,
}

impl Wakes {
    pub fn new() -> (Self, mpsc::Receiver<Raise>) {
        let (queue, receiver) = mpsc::channel(WAKES_QUEUED_MAX);
        (Wakes { queue }, receiver)
    }

    /// Returns when they are durable.
    pub async fn raise(&self, places: Vec<Place>, by: WakeBy) -> Answer<Vec<Wake>> {
        let (done, answer) = oneshot::channel();
        let not_saved = || {
            Refusal::new(
                Code::Unavailable,
                "the wake could not be saved in time; send it again",
            )
            .retry_after(1)
        };
        self.queue
            .try_send(Raise { places, by, done })
            .map_err(|_| not_saved())?;
        match timeout(HOOK_WAIT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(not_saved()),
        }
    }
}

/// Runs until the coordinator stops; what is queued then is still written.
pub async fn write(app: AppState, mut queue: mpsc::Receiver<Raise>) {
    loop {
        let first = tokio::select! {
            first = queue.recv() => first,
            () = app.stop.cancelled() => queue.try_recv().ok(),
        };
        let Some(first) = first else { return };
        let mut waiting = vec![first];
        let until = Instant::now() + WAKE_COMMIT_AFTER;
        while waiting.len() < WAKES_QUEUED_MAX {
            match timeout_at(until, queue.recv()).await {
                Ok(Some(raise)) => waiting.push(raise),
                Ok(None) | Err(_) => break,
            }
        }
        commit(&app, waiting).await;
    }
}

async fn commit(app: &AppState, waiting: Vec<Raise>) {
    let mut places: BTreeMap<Place, WakeBy> = BTreeMap::new();
    for raise in &waiting {
        for place in &raise.places {
            let by = places.entry(*place).or_insert(raise.by);
            *by = raise.by.max(*by);
        }
    }
    let raised = app.storage.raise_wakes(&places, Timestamp::now()).await;
    app.tail.notify();
    match raised {
        Ok(rows) => {
            let raised: Vec<Wake> = rows
                .into_iter()
                .map(|row| Wake {
                    customer_id: row.customer,
                    shop_id: row.shop,
                    flow: row.flow,
                    counter: row.counter,
                    asked: row.asked,
                })
                .collect();
            for raise in waiting {
                let of_this = |wake: &&Wake| {
                    raise
                        .places
                        .contains(&(wake.customer_id, wake.shop_id, wake.flow))
                };
                let wakes = raised.iter().filter(of_this).copied().collect();
                // Whoever does not wait any more has been told 503: a second wake does no harm.
                let _gone = raise.done.send(Ok(wakes));
            }
        }
        Err(error) => {
            let refusal = Refusal::from(error);
            for raise in waiting {
                let _gone = raise.done.send(Err(refusal.clone()));
            }
        }
    }
}
