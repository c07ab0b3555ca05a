//! For tests and benchmarks: faults, and the counting of requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use super::body::Raw;
use super::caller::{Reader, Writer};
use crate::bounds;
use crate::faults::form::FaultsForm;
use crate::problem::Problem;
use crate::requests::Shown;
use crate::state::ShopState;

pub async fn set(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    body: Raw,
) -> Result<Json<Value>, Problem> {
    let FaultsForm { faults } = body.json()?;
    if faults.len() > bounds::FAULTS_MAX {
        return Err(Problem::invalid(
            "faults",
            format!("At most {} faults at once.", bounds::FAULTS_MAX),
        ));
    }
    let faults = faults
        .into_iter()
        .map(|form| form.check())
        .collect::<Result<Vec<_>, _>>()?;
    shop.faults.replace(faults);
    // Hooks that were blocked may go now.
    shop.database.outbox_filled().notify_one();
    Ok(shown(&shop))
}

pub async fn show(_: Reader, State(shop): State<Arc<ShopState>>) -> Json<Value> {
    shown(&shop)
}

pub async fn clear(_: Writer, State(shop): State<Arc<ShopState>>) -> StatusCode {
    shop.faults.replace(Vec::new());
    shop.database.outbox_filled().notify_one();
    StatusCode::NO_CONTENT
}

fn shown(shop: &ShopState) -> Json<Value> {
    Json(json!({ "faults": shop.faults.show() }))
}

pub async fn requests(_: Reader, State(shop): State<Arc<ShopState>>) -> Json<Shown> {
    Json(shop.requests.show())
}

pub async fn reset_requests(_: Writer, State(shop): State<Arc<ShopState>>) -> StatusCode {
    shop.requests.reset();
    StatusCode::NO_CONTENT
}
