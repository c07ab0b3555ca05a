//! An order's own page, for who holds its key: what was bought, how it stands, and a button that pays.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::checkout::to_page;
use super::{Frame, page, refusal};
use crate::orders::act::{self, Act};
use crate::orders::create::stock_with;
use crate::orders::input::PayInput;
use crate::orders::lifecycle::Takes;
use crate::orders::order::{Fulfilment, Order, Payment};
use crate::orders::order_rows;
use crate::problem::Problem;
use crate::state::ShopState;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Key {
    key: String,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    frame: Frame,
    order: Order,
    key: String,
    can_pay: bool,
    payment: &'static str,
    fulfilment: &'static str,
}

pub async fn show(
    State(shop): State<Arc<ShopState>>,
    Path(number): Path<String>,
    key: Result<Query<Key>, QueryRejection>,
) -> Response {
    let Query(Key { key }) = key.unwrap_or_default();
    let (base, held) = (shop.base.clone(), key.clone());
    match shop
        .database
        .read(move |db| order_rows::load_by_page(db, &number, &held, &base))
        .await
    {
        Ok(order) => page(StatusCode::OK, &of(&shop, order, key)),
        Err(problem) => refusal(problem),
    }
}

fn of(shop: &ShopState, order: Order, key: String) -> OrderPage {
    OrderPage {
        frame: Frame::new(&shop.config),
        can_pay: order.payment == Payment::Pending && !order.cancelled,
        payment: match order.payment {
            Payment::Pending => "Not paid yet",
            Payment::Paid => "Paid",
            Payment::PartlyRefunded => "Partly refunded",
            Payment::Refunded => "Refunded",
        },
        fulfilment: match order.fulfilment {
            _ if order.cancelled => "Cancelled",
            Fulfilment::Open => "Being packed",
            Fulfilment::Partly => "Partly on its way",
            Fulfilment::Shipped => "On its way",
        },
        order,
        key,
    }
}

pub async fn pay(
    State(shop): State<Arc<ShopState>>,
    Path(number): Path<String>,
    form: Form<Key>,
) -> Response {
    let Form(Key { key }) = form;
    let grounds = shop.grounds();
    let paid = shop
        .database
        .write(move |w| {
            let order = order_rows::load_by_page(w, &number, &key, &grounds.base)?;
            // Where payment takes the units, they may have gone to somebody else meanwhile.
            if grounds.config.takes == Takes::Payment && order.payment == Payment::Pending {
                let row = order_rows::row_of(&order.id)?;
                refuse_if_gone(w, row, &order, &grounds.config)?;
            }
            act::act(w, &order.id, Act::Pay(PayInput {}), grounds.ground(0))
        })
        .await;
    match paid {
        Ok(order) => to_page(&order),
        Err(problem) => refusal(problem),
    }
}

fn refuse_if_gone(
    db: &rusqlite::Connection,
    row: i64,
    order: &Order,
    config: &crate::config::ShopConfig,
) -> Result<(), Problem> {
    let variants = order_rows::variants_of(db, row)?;
    let mut wanted: Vec<(i64, String, i64, bool)> = Vec::new();
    for line in &order.lines {
        let (Some(variant), Some(sku)) = (variants.get(&line.id), &line.sku) else {
            continue;
        };
        let backorder =
            crate::orders::create::sold(db, sku, config)?.is_none_or(|sold| sold.backorder);
        match wanted.iter_mut().find(|(known, ..)| known == variant) {
            Some((_, _, units, _)) => *units += line.units().open(),
            None => wanted.push((*variant, sku.clone(), line.units().open(), backorder)),
        }
    }
    // Only the order's own stock counts.
    let own = crate::config::ShopConfig {
        stocks: config
            .stocks
            .iter()
            .filter(|stock| stock.id == order.stock)
            .cloned()
            .collect(),
        ..config.clone()
    };
    stock_with(db, &wanted, &own).map(|_| ())
}
