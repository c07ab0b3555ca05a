//! `POST /credentials/{customer}/{shop}`: a worker renewed a shop's credentials, and may not use them
//! before they are kept here.

use super::identify::Caller;
use crate::extract::{Json, Path};
use crate::{
    AppState,
    refusal::{Answer, Refusal},
};
use axum::extract::State;
use lockstep_model::{CustomerId, ShopId};
use lockstep_protocol::{Code, auth::CredentialsUpdate};
use lockstep_storage::CredentialsOutcome;
use serde::Serialize;

#[derive(Serialize)]
pub struct Kept {
    generation: u64,
}

pub async fn update(
    State(app): State<AppState>,
    Caller(slot): Caller,
    Path((customer, shop)): Path<(CustomerId, ShopId)>,
    Json(update): Json<CredentialsUpdate>,
) -> Answer<Json<Kept>> {
    let outcome = app
        .storage
        .renew_credentials(
            customer,
            shop,
            slot.id,
            update.generation,
            &update.credentials.0,
        )
        .await?;
    match outcome {
        CredentialsOutcome::Stored { generation } => Ok(Json(Kept { generation })),
        CredentialsOutcome::OldGeneration(generation) => Err(Refusal::new(
            Code::OldRevision,
            format!(
                "the credentials of shop {shop} were changed since generation {}; they are at {generation}, and nothing \
                 was kept of these",
                update.generation
            ),
        )),
        CredentialsOutcome::OldEpoch => Err(Refusal::new(
            Code::OldEpoch,
            format!("customer {customer} is not this worker's; nothing was kept"),
        )),
    }
}
