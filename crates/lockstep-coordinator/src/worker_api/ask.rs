//! `POST /asks/{id}`: the answer to a question. The first one counts.

use super::identify::Caller;
use crate::extract::{Json, Path};
use crate::{
    AppState,
    refusal::{Answer, Refusal},
};
use axum::{extract::State, http::StatusCode};
use jiff::Timestamp;
use lockstep_protocol::asks::{Answer as Answered, AskId};

pub async fn answer(
    State(app): State<AppState>,
    Caller(slot): Caller,
    Path(AskId(id)): Path<AskId>,
    Json(answer): Json<Answered>,
) -> Answer<StatusCode> {
    let asked = app
        .storage
        .asked(id)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("ask {id}; it may have been too old")))?;
    if !app
        .view
        .may_answer(&slot, asked.customer, asked.platform.as_deref())
    {
        return Err(Refusal::not_found(format!("ask {id} for this worker")));
    }
    let json = serde_json::to_string(&answer)
        .map_err(|error| Refusal::internal("writing the answer", error))?;
    let first = app
        .storage
        .answer(id, slot.id, &json, Timestamp::now())
        .await?;
    if !first {
        tracing::debug!(ask = id, worker = %slot.id, "an answer came second, or too late");
    }
    app.tail.notify();
    Ok(StatusCode::NO_CONTENT)
}
