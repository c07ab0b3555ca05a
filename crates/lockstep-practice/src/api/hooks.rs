//! Registering webhooks.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};

use super::body::Raw;
use super::caller::{Reader, Writer};
use crate::hooks::outbox::{self, Notice};
use crate::hooks::registration::{self, Hook, HookInput};
use crate::problem::Problem;
use crate::state::ShopState;

pub async fn list(_: Reader, State(shop): State<Arc<ShopState>>) -> Result<Json<Value>, Problem> {
    let hooks = shop.database.read(registration::list).await?;
    Ok(Json(json!({ "items": hooks })))
}

pub async fn show(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
) -> Result<Json<Hook>, Problem> {
    Ok(Json(
        shop.database
            .read(move |db| registration::load(db, &id))
            .await?,
    ))
}

pub async fn create(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    body: Raw,
) -> Result<(StatusCode, Json<Hook>), Problem> {
    let input: HookInput = body.json()?;
    let hook = shop
        .database
        .write(move |w| registration::create(w, input))
        .await?;
    Ok((StatusCode::CREATED, Json(hook)))
}

pub async fn update(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Hook>, Problem> {
    let input: HookInput = body.json()?;
    Ok(Json(
        shop.database
            .write(move |w| registration::update(w, &id, input))
            .await?,
    ))
}

pub async fn remove(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    shop.database
        .write(move |w| registration::delete(w, &id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn ping(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Hook>), Problem> {
    let shop_id = shop.shop_id.clone();
    let hook = shop
        .database
        .write(move |w| {
            registration::load(w, &id)?;
            let at = w.stamp();
            let notice = Notice {
                topic: "ping",
                record: id.clone(),
                at,
            };
            outbox::queue(w, registration::row_of(&id)?, &shop_id, &notice)?;
            registration::load(w, &id)
        })
        .await?;
    shop.database.outbox_filled().notify_one();
    Ok((StatusCode::ACCEPTED, Json(hook)))
}
