//! Buyers to be forgotten. The customer's worker does it; while it is away the request waits in the database, and is
//! brought to it again until it answers that the entry is durable.

use crate::{
    AppState,
    asks::{Asked, ask_for_us},
    bounds::ASK_WAIT,
    refusal::{Answer, Chain, Refusal},
};
use futures::StreamExt;
use jiff::Timestamp;
use lockstep_model::{FaultKind, misread};
use lockstep_protocol::asks::{Answer as Answered, Question};
use lockstep_storage::Erasure;
use std::time::Duration;

/// Between two looks for requests whose worker may be back.
const EVERY: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 16;

pub enum Outcome {
    Done,
    /// Its worker is away, or could not do all of it.
    Waits,
    /// For people.
    Impossible(String),
}

/// Runs until the coordinator stops.
pub async fn follow(app: AppState) {
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let open = match app.storage.open_erasures().await {
            Ok(open) => open,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "buyers to be forgotten could not be read; it is tried again");
                continue;
            }
        };
        // A worker that does not answer keeps nobody else waiting.
        let app = &app;
        let all = futures::stream::iter(open);
        all.for_each_concurrent(AT_ONCE, |erasure| async move {
            let id = erasure.id;
            match carry_out(app, erasure).await {
                Ok(Outcome::Done | Outcome::Waits) => {}
                Ok(Outcome::Impossible(why)) => {
                    tracing::warn!(erasure = id, why, "a buyer could not be forgotten");
                }
                Err(_refusal) => {
                    tracing::debug!(
                        erasure = id,
                        "a buyer is not forgotten yet; it is tried again"
                    );
                }
            }
        })
        .await;
    }
}

pub async fn carry_out(app: &AppState, erasure: Erasure) -> Answer<Outcome> {
    let Some(of) = &erasure.of else {
        return Ok(Outcome::Done);
    };
    let of = serde_json::from_str(of)
        .map_err(|error| Refusal::internal("reading whose data it is", misread(&error)))?;
    let asked = Asked {
        customer: Some(erasure.customer),
        platform: None,
        question: Question::EraseBuyers {
            of,
            by: erasure.by.clone(),
        },
        by: &erasure.by,
        wait: ASK_WAIT,
    };
    let now = Timestamp::now();
    match ask_for_us(app, asked).await {
        Ok(Answered::Erased { orders, unreadable }) => {
            app.storage
                .erasure_done(erasure.id, orders, unreadable, now)
                .await?;
            tracing::info!(customer = %erasure.customer, erasure = erasure.id, orders, "a buyer was forgotten");
            Ok(Outcome::Done)
        }
        Ok(Answered::Failed { fault }) if matches!(fault.kind, FaultKind::Invalid { .. }) => {
            app.storage.forget_erasure(erasure.id).await?;
            Ok(Outcome::Impossible(fault.message))
        }
        Ok(other) => {
            tracing::debug!(answer = ?std::mem::discriminant(&other), erasure = erasure.id, "a buyer is not forgotten yet");
            Ok(Outcome::Waits)
        }
        // Nobody is there to do it.
        Err(_refusal) => Ok(Outcome::Waits),
    }
}
