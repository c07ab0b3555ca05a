//! The first page: products with search, categories and paging.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use rusqlite::{Connection, params};
use serde::Deserialize;

use super::{Frame, page, refusal};
use crate::bounds;
use crate::catalogue::product::{Product, Status};
use crate::catalogue::product_rows;
use crate::clock;
use crate::ids::Kind;
use crate::money::Money;
use crate::problem::Problem;
use crate::state::{Grounds, ShopState};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    q: String,
    category: String,
    after: String,
}

#[derive(Template)]
#[template(path = "browse.html")]
struct BrowsePage {
    frame: Frame,
    q: String,
    category: String,
    heading: String,
    categories: Vec<Link>,
    cards: Vec<Card>,
    next: Option<String>,
    is_first: bool,
}

struct Link {
    id: String,
    name: String,
    is_current: bool,
    is_inner: bool,
}

struct Card {
    handle: String,
    title: String,
    picture: Option<String>,
    price: Money,
    before: Option<Money>,
    from: bool,
    available: i64,
}

pub async fn show(
    State(shop): State<Arc<ShopState>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let grounds = shop.grounds();
    match shop
        .database
        .read(move |db| gather(db, asked, &grounds))
        .await
    {
        Ok(found) => page(StatusCode::OK, &found),
        Err(problem) => refusal(problem),
    }
}

fn gather(db: &Connection, asked: Asked, grounds: &Grounds) -> Result<BrowsePage, Problem> {
    let q: String = asked.q.trim().chars().take(100).collect();
    let category = Kind::Category.parse(&asked.category);
    let after = Kind::Product.parse(&asked.after).unwrap_or(0);
    let pattern = (!q.is_empty()).then(|| {
        format!(
            "%{}%",
            q.replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_")
        )
    });
    let sku = (!q.is_empty()).then(|| q.clone());
    let mut statement = db.prepare_cached(
        "SELECT p.id FROM product p WHERE p.status = 'active' AND p.id > ?1 \
         AND (?2 IS NULL OR p.title LIKE ?2 ESCAPE '\\' OR EXISTS (SELECT 1 FROM variant v WHERE v.product_id = p.id AND v.sku = ?3)) \
         AND (?4 IS NULL OR EXISTS (SELECT 1 FROM product_category m WHERE m.product_id = p.id AND m.category_id IN \
              (WITH RECURSIVE below (id) AS (VALUES (?4) UNION SELECT c.id FROM category c JOIN below ON c.parent_id = below.id) SELECT id FROM below))) \
         ORDER BY p.id LIMIT ?5",
    )?;
    let mut rows: Vec<i64> = statement
        .query_map(
            params![
                after,
                pattern,
                sku,
                category,
                (bounds::STOREFRONT_PAGE + 1) as i64
            ],
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    let more = rows.len() > bounds::STOREFRONT_PAGE;
    rows.truncate(bounds::STOREFRONT_PAGE);
    let next = match rows.last() {
        Some(last) if more => Some(Kind::Product.show(*last)),
        _ => None,
    };
    let products = product_rows::load(db, &rows, &grounds.config, &grounds.base)?;
    let mut cards = Vec::with_capacity(products.len());
    for product in &products {
        cards.push(card(db, product)?);
    }
    let categories = links(db, category)?;
    let heading = match (&q, categories.iter().find(|link| link.is_current)) {
        (q, _) if !q.is_empty() => format!("“{q}”"),
        (_, Some(link)) => link.name.clone(),
        (_, None) => "Everything".to_string(),
    };
    Ok(BrowsePage {
        frame: Frame::new(&grounds.config),
        category: category
            .map(|row| Kind::Category.show(row))
            .unwrap_or_default(),
        q,
        heading,
        categories,
        cards,
        next,
        is_first: after == 0,
    })
}

fn card(db: &Connection, product: &Product) -> Result<Card, Problem> {
    let now = clock::now();
    let on_sale: Vec<_> = product
        .variants
        .iter()
        .filter(|variant| variant.status == Status::Active)
        .collect();
    let cheapest = on_sale.iter().min_by_key(|variant| variant.price_now(now));
    let price = cheapest
        .map(|variant| variant.price_now(now))
        .unwrap_or_default();
    Ok(Card {
        handle: product.handle.clone(),
        title: product.title.clone(),
        picture: product
            .pictures
            .first()
            .map(|picture| format!("/pictures/{}", picture.sha256)),
        price,
        before: cheapest
            .filter(|variant| variant.price > price)
            .map(|variant| variant.price),
        from: on_sale
            .iter()
            .any(|variant| variant.price_now(now) != price),
        available: available(db, product)?,
    })
}

fn available(db: &Connection, product: &Product) -> Result<i64, Problem> {
    let sum: Option<i64> = db
        .prepare_cached(
            "SELECT sum(max(l.on_hand - l.reserved, 0)) FROM variant v JOIN level l ON l.variant_id = v.id \
             WHERE v.product_id = ?1 AND v.status = 'active'",
        )?
        .query_row([product.id_row()], |row| row.get(0))?;
    Ok(sum.unwrap_or(0))
}

/// The top of the tree, and what lies directly below the top that is looked at.
fn links(db: &Connection, current: Option<i64>) -> Result<Vec<Link>, Problem> {
    let mut statement = db.prepare_cached(
        "WITH RECURSIVE up (id) AS (SELECT ?1 UNION SELECT c.parent_id FROM category c JOIN up ON c.id = up.id WHERE c.parent_id IS NOT NULL) \
         SELECT c.id, c.name, c.parent_id FROM category c \
         WHERE c.parent_id IS NULL OR c.parent_id IN (SELECT id FROM up WHERE id IS NOT NULL) ORDER BY c.position, c.id LIMIT 200",
    )?;
    let found: Vec<(i64, String, Option<i64>)> = statement
        .query_map([current], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut links = Vec::with_capacity(found.len());
    push_below(&found, None, current, &mut links);
    Ok(links)
}

fn push_below(
    found: &[(i64, String, Option<i64>)],
    parent: Option<i64>,
    current: Option<i64>,
    links: &mut Vec<Link>,
) {
    for (id, name, of) in found.iter().filter(|(_, _, of)| *of == parent) {
        links.push(Link {
            id: Kind::Category.show(*id),
            name: name.clone(),
            is_current: Some(*id) == current,
            is_inner: of.is_some(),
        });
        push_below(found, Some(*id), current, links);
    }
}
