//! Stock levels.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::{StatusCode, Uri};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::batch;
use super::body::{Raw, Written, pairs, read};
use super::caller::{Reader, Writer};
use super::lists::{self, Listed};
use crate::page::{Feed, LookUp};
use crate::problem::{Code, Problem};
use crate::state::{Grounds, ShopState};
use crate::stock::level::{Level, LevelInput};
use crate::stock::level_rows;

struct Levels;

impl Listed for Levels {
    const FEED: Feed = Feed::Stock;
    type Record = Level;

    fn load(db: &Connection, rows: &[i64], _: &Grounds) -> Result<Vec<Level>, Problem> {
        level_rows::load(db, rows)
    }

    fn look_up(db: &Connection, by: &LookUp) -> Result<Vec<i64>, Problem> {
        match by {
            LookUp::Ids(skus) | LookUp::Skus(skus) => lists::each(
                db,
                "SELECT l.id FROM variant v JOIN level l ON l.variant_id = v.id WHERE v.sku = ?1 ORDER BY l.id",
                skus,
            ),
            LookUp::Handle(_) | LookUp::ExternalKey(_) | LookUp::Number(_) => Err(Problem::new(
                Code::BadParameter,
                "Stock is looked up by SKU.",
            )),
        }
    }

    fn row_and_name(record: &Level) -> (i64, &str) {
        (record.row, &record.sku)
    }
}

pub async fn list(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    uri: Uri,
) -> Result<Written, Problem> {
    lists::answer::<Levels>(&shop, &uri).await
}

pub async fn show(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    Path(sku): Path<String>,
    uri: Uri,
) -> Result<Json<Level>, Problem> {
    let mut stock = shop.config.main_stock().to_string();
    for (name, value) in pairs(&uri)? {
        if name != "stock" {
            return Err(Problem::new(
                Code::BadParameter,
                format!("“{name}” is not a parameter here."),
            )
            .with("field", name));
        }
        stock = value;
    }
    let level = shop
        .database
        .read(move |db| {
            level_rows::of_sku(db, &sku, Some(&stock))?
                .pop()
                .ok_or_else(|| {
                    Problem::not_found(format_args!("level of the SKU “{sku}” in “{stock}”"))
                })
        })
        .await?;
    Ok(Json(level))
}

pub async fn write(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(sku): Path<String>,
    body: Raw,
) -> Result<Json<Level>, Problem> {
    let mut input: LevelInput = body.json()?;
    if input.sku.as_ref().is_some_and(|said| *said != sku) {
        return Err(Problem::invalid(
            "sku",
            "The address and the body name different SKUs.",
        ));
    }
    input.sku = Some(sku);
    let grounds = shop.grounds();
    Ok(Json(
        shop.database
            .write(move |w| level_rows::write(w, &input, &grounds.config))
            .await?,
    ))
}

pub async fn batch(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    body: Raw,
) -> Result<Json<Value>, Problem> {
    let members = batch::members(&body)?;
    let grounds = shop.grounds();
    let items = shop
        .database
        .write(move |w| {
            let mut items = Vec::with_capacity(members.len());
            for member in members {
                let sku = member
                    .get("sku")
                    .and_then(Value::as_str)
                    .map(str::to_string);
                let became = w.alone(|w| {
                    let input: LevelInput = read(member)?;
                    let level = level_rows::write(w, &input, &grounds.config)?;
                    Ok((StatusCode::OK, None, Some(json!(level))))
                });
                items.push(batch::place(became, sku));
            }
            Ok(items)
        })
        .await?;
    Ok(Json(json!({ "items": items })))
}
