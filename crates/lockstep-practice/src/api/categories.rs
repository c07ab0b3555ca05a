//! Categories.

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
use crate::catalogue::category::{Category, CategoryInput};
use crate::catalogue::category_rows;
use crate::database::Writing;
use crate::ids::Kind;
use crate::page::{Feed, LookUp};
use crate::problem::{Code, Problem};
use crate::state::{Grounds, ShopState};

struct Categories;

impl Listed for Categories {
    const FEED: Feed = Feed::Categories;
    type Record = Category;

    fn load(db: &Connection, rows: &[i64], _: &Grounds) -> Result<Vec<Category>, Problem> {
        category_rows::load(db, rows)
    }

    fn look_up(_: &Connection, by: &LookUp) -> Result<Vec<i64>, Problem> {
        match by {
            LookUp::Ids(ids) => Ok(ids
                .iter()
                .filter_map(|id| Kind::Category.parse(id))
                .collect()),
            LookUp::Skus(_) | LookUp::Handle(_) | LookUp::ExternalKey(_) | LookUp::Number(_) => {
                Err(Problem::new(
                    Code::BadParameter,
                    "Categories are not looked up so.",
                ))
            }
        }
    }

    fn row_and_name(record: &Category) -> (i64, &str) {
        (
            Kind::Category.parse(&record.id).unwrap_or_default(),
            &record.id,
        )
    }
}

pub async fn list(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    uri: Uri,
) -> Result<Written, Problem> {
    lists::answer::<Categories>(&shop, &uri).await
}

pub async fn show(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
) -> Result<Json<Category>, Problem> {
    Ok(Json(
        shop.database
            .read(move |db| category_rows::load_one(db, &id))
            .await?,
    ))
}

pub async fn create(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    body: Raw,
) -> Result<(StatusCode, Json<Category>), Problem> {
    let input: CategoryInput = body.json()?;
    let grounds = shop.grounds();
    let category = shop
        .database
        .write(move |w| category_rows::create(w, input, &grounds.config))
        .await?;
    Ok((StatusCode::CREATED, Json(category)))
}

pub async fn update(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Category>, Problem> {
    let input: CategoryInput = body.json()?;
    let grounds = shop.grounds();
    Ok(Json(
        shop.database
            .write(move |w| category_rows::update(w, &id, input, &grounds.config))
            .await?,
    ))
}

pub async fn remove(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<StatusCode, Problem> {
    let rev = if_rev(&uri)?;
    shop.database
        .write(move |w| category_rows::delete(w, &id, rev))
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
    match member.op.as_str() {
        "create" if member.id.is_some() => Err(Problem::invalid(
            "id",
            "The shop gives a new category its id.",
        )),
        "create" => {
            let category = category_rows::create(w, read(member.fields)?, &grounds.config)?;
            Ok((
                StatusCode::CREATED,
                Some(category.id.clone()),
                Some(json!(category)),
            ))
        }
        "update" => {
            let id = member.needed_id()?.to_string();
            let category = category_rows::update(w, &id, read(member.fields)?, &grounds.config)?;
            Ok((StatusCode::OK, Some(id), Some(json!(category))))
        }
        "delete" => {
            let id = member.needed_id()?.to_string();
            let input: CategoryInput = read(member.fields)?;
            category_rows::delete(w, &id, input.if_rev)?;
            Ok((StatusCode::NO_CONTENT, Some(id), None))
        }
        _ => Err(member.unknown()),
    }
}
