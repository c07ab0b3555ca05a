//! One product, and the form that buys it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use rusqlite::{Connection, OptionalExtension};

use super::{Frame, page, refusal, words_of};
use crate::catalogue::product::Status;
use crate::catalogue::product_rows;
use crate::clock;
use crate::money::Money;
use crate::problem::Problem;
use crate::state::{Grounds, ShopState};
use crate::stock::level_rows;

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage {
    frame: Frame,
    title: String,
    description: String,
    pictures: Vec<Shown>,
    choices: Vec<Choice>,
    can_buy: bool,
    trail: Vec<(String, String)>,
    tax_note: &'static str,
}

struct Shown {
    path: String,
    alt: String,
}

struct Choice {
    sku: String,
    label: String,
    price: Money,
    before: Option<Money>,
    available: i64,
    can_buy: bool,
    is_first: bool,
}

pub async fn show(State(shop): State<Arc<ShopState>>, Path(handle): Path<String>) -> Response {
    let grounds = shop.grounds();
    match shop
        .database
        .read(move |db| gather(db, &handle, &grounds))
        .await
    {
        Ok(found) => page(StatusCode::OK, &found),
        Err(problem) => refusal(problem),
    }
}

fn gather(db: &Connection, handle: &str, grounds: &Grounds) -> Result<ProductPage, Problem> {
    let missing = || Problem::not_found("such product");
    let row: Option<i64> = db
        .prepare_cached("SELECT id FROM product WHERE handle = ?1 AND status = 'active'")?
        .query_row([handle], |row| row.get(0))
        .optional()?;
    let product = product_rows::load(
        db,
        &[row.ok_or_else(missing)?],
        &grounds.config,
        &grounds.base,
    )?
    .pop()
    .ok_or_else(missing)?;
    let now = clock::now();
    let mut choices = Vec::new();
    for variant in product
        .variants
        .iter()
        .filter(|variant| variant.status == Status::Active)
    {
        let levels = level_rows::of_sku(db, &variant.sku, None)?;
        // A buyer's units come out of one stock.
        let available = levels
            .iter()
            .map(|level| level.quantity)
            .max()
            .unwrap_or(0)
            .max(0);
        let price = variant.price_now(now);
        choices.push(Choice {
            sku: variant.sku.clone(),
            label: variant.label(&product.options),
            price,
            before: (variant.price > price).then_some(variant.price),
            available,
            can_buy: available > 0 || variant.backorder,
            is_first: false,
        });
    }
    if let Some(first) = choices.iter_mut().find(|choice| choice.can_buy) {
        first.is_first = true;
    }
    Ok(ProductPage {
        frame: Frame::new(&grounds.config),
        title: product.title,
        description: words_of(&product.description),
        pictures: product
            .pictures
            .iter()
            .map(|picture| Shown {
                path: format!("/pictures/{}", picture.sha256),
                alt: picture.alt.clone(),
            })
            .collect(),
        can_buy: choices.iter().any(|choice| choice.can_buy),
        choices,
        trail: trail(db, product.category_ids.first())?,
        tax_note: if grounds.config.prices_include_tax {
            "including tax"
        } else {
            "before tax"
        },
    })
}

/// The categories from the top down to the product's first.
fn trail(db: &Connection, category: Option<&String>) -> Result<Vec<(String, String)>, Problem> {
    let Some(row) = category.and_then(|id| crate::ids::Kind::Category.parse(id)) else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare_cached(
        "WITH RECURSIVE up (id, name, parent_id, height) AS (\
           SELECT id, name, parent_id, 0 FROM category WHERE id = ?1 \
           UNION ALL SELECT c.id, c.name, c.parent_id, height + 1 FROM category c JOIN up ON c.id = up.parent_id) \
         SELECT id, name FROM up ORDER BY height DESC",
    )?;
    let trail = statement
        .query_map([row], |row| {
            Ok((crate::ids::Kind::Category.show(row.get(0)?), row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    Ok(trail)
}
