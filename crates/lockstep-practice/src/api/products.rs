//! Products and their variants.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::{StatusCode, Uri};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::batch::{self, Became, Member};
use super::body::{Raw, Written, if_rev, read};
use super::caller::{Reader, Writer};
use super::lists::{self, Listed};
use crate::catalogue::product::{Product, ProductInput};
use crate::catalogue::product_rows;
use crate::database::Writing;
use crate::ids::Kind;
use crate::page::{Feed, LookUp};
use crate::problem::{Code, Problem};
use crate::state::{Grounds, ShopState};

struct Products;

impl Listed for Products {
    const FEED: Feed = Feed::Products;
    type Record = Product;

    fn load(db: &Connection, rows: &[i64], grounds: &Grounds) -> Result<Vec<Product>, Problem> {
        product_rows::load(db, rows, &grounds.config, &grounds.base)
    }

    fn look_up(db: &Connection, by: &LookUp) -> Result<Vec<i64>, Problem> {
        match by {
            LookUp::Ids(ids) => Ok(ids
                .iter()
                .filter_map(|id| Kind::Product.parse(id))
                .collect()),
            LookUp::Skus(skus) => {
                lists::each(db, "SELECT product_id FROM variant WHERE sku = ?1", skus)
            }
            LookUp::Handle(handle) => lists::each(
                db,
                "SELECT id FROM product WHERE handle = ?1",
                std::slice::from_ref(handle),
            ),
            LookUp::ExternalKey(_) | LookUp::Number(_) => Err(Problem::new(
                Code::BadParameter,
                "Products are not looked up so.",
            )),
        }
    }

    fn row_and_name(record: &Product) -> (i64, &str) {
        (record.id_row().unwrap_or_default(), &record.id)
    }
}

pub async fn list(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    uri: Uri,
) -> Result<Written, Problem> {
    lists::answer::<Products>(&shop, &uri).await
}

pub async fn show(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
) -> Result<Json<Product>, Problem> {
    let grounds = shop.grounds();
    let product = shop
        .database
        .read(move |db| product_rows::load_one(db, &id, &grounds.config, &grounds.base))
        .await?;
    Ok(Json(product))
}

pub async fn create(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    body: Raw,
) -> Result<(StatusCode, Json<Product>), Problem> {
    let input: ProductInput = body.json()?;
    let grounds = shop.grounds();
    let product = shop
        .database
        .write(move |w| product_rows::create(w, input, &grounds.config, &grounds.base))
        .await?;
    Ok((StatusCode::CREATED, Json(product)))
}

pub async fn update(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Product>, Problem> {
    let input: ProductInput = body.json()?;
    let grounds = shop.grounds();
    let product = shop
        .database
        .write(move |w| product_rows::update(w, &id, input, &grounds.config, &grounds.base))
        .await?;
    Ok(Json(product))
}

pub async fn remove(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<StatusCode, Problem> {
    let rev = if_rev(&uri)?;
    let grounds = shop.grounds();
    shop.database
        .write(move |w| product_rows::delete(w, &id, rev, &grounds.config, &grounds.base))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn remove_variant(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path((id, variant)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let grounds = shop.grounds();
    shop.database
        .write(move |w| {
            product_rows::delete_variant(w, &id, &variant, &grounds.config, &grounds.base)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
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
                let member = Member::parse(member);
                let named = member.as_ref().ok().and_then(|member| member.id.clone());
                let became = w.alone(|w| one(w, member?, &grounds));
                items.push(batch::place(became, named));
            }
            Ok(items)
        })
        .await?;
    Ok(Json(json!({ "items": items })))
}

fn one(w: &mut Writing<'_>, member: Member, grounds: &Grounds) -> Became {
    let (config, base) = (&grounds.config, &grounds.base);
    match member.op.as_str() {
        "create" if member.id.is_some() => Err(Problem::invalid(
            "id",
            "The shop gives a new product its id.",
        )),
        "create" => {
            let product = product_rows::create(w, read(member.fields)?, config, base)?;
            Ok((
                StatusCode::CREATED,
                Some(product.id.clone()),
                Some(json!(product)),
            ))
        }
        "update" => {
            let id = member.needed_id()?.to_string();
            let product = product_rows::update(w, &id, read(member.fields)?, config, base)?;
            Ok((StatusCode::OK, Some(id), Some(json!(product))))
        }
        "delete" => {
            let id = member.needed_id()?.to_string();
            let input: ProductInput = read(member.fields)?;
            product_rows::delete(w, &id, input.if_rev, config, base)?;
            Ok((StatusCode::NO_CONTENT, Some(id), None))
        }
        _ => Err(member.unknown()),
    }
}
