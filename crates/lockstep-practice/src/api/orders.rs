//! Orders.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::{StatusCode, Uri};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::batch::{self, Became, Member};
use super::body::{Raw, Written, read};
use super::caller::{Reader, Writer};
use super::lists::{self, Listed};
use crate::bounds;
use crate::clock;
use crate::database::Writing;
use crate::orders::act::{self, Act};
use crate::orders::create::{self, Ground};
use crate::orders::input::OrderInput;
use crate::orders::order::Order;
use crate::orders::order_rows;
use crate::page::{Feed, LookUp};
use crate::problem::Problem;
use crate::state::{Grounds, ShopState};

struct Orders;

impl Listed for Orders {
    const FEED: Feed = Feed::Orders;
    type Record = Order;

    fn load(db: &Connection, rows: &[i64], grounds: &Grounds) -> Result<Vec<Order>, Problem> {
        order_rows::load(db, rows, &grounds.base)
    }

    fn look_up(db: &Connection, by: &LookUp) -> Result<Vec<i64>, Problem> {
        order_rows::look_up(db, by, clock::now(), bounds::MEMBERS_MAX)
    }

    fn row_and_name(record: &Order) -> (i64, &str) {
        (
            order_rows::row_of(&record.id).unwrap_or_default(),
            &record.id,
        )
    }
}

pub async fn list(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    uri: Uri,
) -> Result<Written, Problem> {
    lists::answer::<Orders>(&shop, &uri).await
}

pub async fn show(
    _: Reader,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
) -> Result<Json<Order>, Problem> {
    let base = shop.base.clone();
    Ok(Json(
        shop.database
            .read(move |db| order_rows::load_one(db, &id, &base))
            .await?,
    ))
}

pub async fn create(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    body: Raw,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let input: OrderInput = body.json()?;
    let (grounds, hidden_until) = (shop.grounds(), shop.hidden_until());
    let order = shop
        .database
        .write(move |w| create::create(w, input, grounds.ground(hidden_until)))
        .await?;
    Ok((StatusCode::CREATED, Json(order)))
}

async fn do_to(shop: &Arc<ShopState>, id: String, act: Act) -> Result<Json<Order>, Problem> {
    let grounds = shop.grounds();
    Ok(Json(
        shop.database
            .write(move |w| act::act(w, &id, act, grounds.ground(0)))
            .await?,
    ))
}

pub async fn edit(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Order>, Problem> {
    do_to(&shop, id, Act::Edit(Box::new(body.json()?))).await
}

pub async fn pay(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Order>, Problem> {
    do_to(&shop, id, Act::Pay(body.json()?)).await
}

pub async fn ship(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Order>, Problem> {
    do_to(&shop, id, Act::Ship(body.json()?)).await
}

pub async fn cancel(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Order>, Problem> {
    do_to(&shop, id, Act::Cancel(body.json()?)).await
}

pub async fn refund(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Order>, Problem> {
    do_to(&shop, id, Act::Refund(body.json()?)).await
}

pub async fn take_back(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    body: Raw,
) -> Result<Json<Order>, Problem> {
    do_to(&shop, id, Act::Return(body.json()?)).await
}

pub async fn batch(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    body: Raw,
) -> Result<Json<Value>, Problem> {
    let members: Vec<(Value, clock::Stamp)> = batch::members(&body)?
        .into_iter()
        .map(|member| {
            let is_new = member.get("op").and_then(Value::as_str) == Some("create");
            let hidden_until = if is_new { shop.hidden_until() } else { 0 };
            (member, hidden_until)
        })
        .collect();
    let grounds = shop.grounds();
    let items = shop
        .database
        .write(move |w| {
            let mut items = Vec::with_capacity(members.len());
            for (member, hidden_until) in members {
                let member = Member::parse(member);
                let named = member.as_ref().ok().and_then(|member| member.id.clone());
                let became = w.alone(|w| one(w, member?, grounds.ground(hidden_until)));
                items.push(batch::place(became, named));
            }
            Ok(items)
        })
        .await?;
    Ok(Json(json!({ "items": items })))
}

fn one(w: &mut Writing<'_>, member: Member, ground: Ground<'_>) -> Became {
    if member.op == "create" {
        if member.id.is_some() {
            return Err(Problem::invalid("id", "The shop gives a new order its id."));
        }
        let input: OrderInput = read(member.fields)?;
        let order = create::create(w, input, ground)?;
        return Ok((
            StatusCode::CREATED,
            Some(order.id.clone()),
            Some(json!(order)),
        ));
    }
    let id = member.needed_id()?.to_string();
    let unknown = member.unknown();
    let act = match member.op.as_str() {
        "update" => Act::Edit(Box::new(read(member.fields)?)),
        "pay" => Act::Pay(read(member.fields)?),
        "ship" => Act::Ship(read(member.fields)?),
        "cancel" => Act::Cancel(read(member.fields)?),
        "refund" => Act::Refund(read(member.fields)?),
        "return" => Act::Return(read(member.fields)?),
        _ => return Err(unknown),
    };
    let order = act::act(w, &id, act, ground)?;
    Ok((StatusCode::OK, Some(id), Some(json!(order))))
}
