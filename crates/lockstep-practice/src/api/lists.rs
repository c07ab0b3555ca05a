//! Lists of any kind: rows first, then their records, then what a fault makes of them.

use std::sync::Arc;

use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};

use super::body::{Written, pairs};
use crate::bounds;
use crate::clock;
use crate::page::{self, Ask, Feed, LookUp, Member, Page};
use crate::problem::Problem;
use crate::state::{Grounds, ShopState};

/// How a feed's rows become records, and how they are looked up.
pub trait Listed: Send + 'static {
    const FEED: Feed;
    type Record: Serialize;

    fn load(db: &Connection, rows: &[i64], grounds: &Grounds)
    -> Result<Vec<Self::Record>, Problem>;
    fn look_up(db: &Connection, by: &LookUp) -> Result<Vec<i64>, Problem>;
    /// The row of a record and the name that a fault knows it by.
    fn row_and_name(record: &Self::Record) -> (i64, &str);
}

pub async fn answer<L: Listed>(shop: &Arc<ShopState>, uri: &http::Uri) -> Result<Written, Problem> {
    let ask = Ask::parse(L::FEED, &pairs(uri)?)?;
    let grounds = shop.grounds();
    let bad = shop.faults.bad_records();
    let (written, mangled) = shop
        .database
        .read(move |db| page_of::<L>(db, &ask, &grounds, &bad))
        .await?;
    for record in mangled {
        shop.faults.mangled(&record);
    }
    Ok(written)
}

fn page_of<L: Listed>(
    db: &Connection,
    ask: &Ask,
    grounds: &Grounds,
    bad: &[String],
) -> Result<(Written, Vec<String>), Problem> {
    let now = clock::now();
    let (members, next_cursor, as_of) = match ask {
        Ask::Read {
            limit,
            start,
            stock,
        } => {
            let slice = page::slice(db, L::FEED, *limit, start, stock.as_deref(), now)?;
            (slice.members, slice.next_cursor, slice.as_of)
        }
        Ask::LookUp { by, stock } => {
            let mut rows = L::look_up(db, by)?;
            if let Some(stock) = stock {
                rows = of_stock(db, rows, stock)?;
            }
            rows.truncate(bounds::MEMBERS_MAX * 4);
            (
                rows.into_iter().map(Member::Live).collect(),
                None,
                page::as_of(db, L::FEED, now)?,
            )
        }
    };
    let rows: Vec<i64> = members
        .iter()
        .filter_map(|member| match member {
            Member::Live(row) => Some(*row),
            Member::Gone(_) => None,
        })
        .collect();
    let records = L::load(db, &rows, grounds)?;
    let mut mangled = Vec::new();
    if bad.is_empty() && rows.len() == members.len() {
        // The common case goes straight to bytes.
        let plain = Plain {
            items: records,
            next_cursor,
            as_of: clock::show(as_of),
        };
        return Ok((Written::new(&plain)?, mangled));
    }
    let mut records = records.into_iter().peekable();
    let mut items = Vec::with_capacity(members.len());
    for member in members {
        match member {
            Member::Gone(tombstone) => items.push(json!(tombstone)),
            Member::Live(row) => {
                let Some(record) = records.next_if(|record| L::row_and_name(record).0 == row)
                else {
                    continue;
                };
                let name = L::row_and_name(&record).1.to_string();
                if bad.contains(&name) {
                    items.push(mangle(&name));
                    mangled.push(name);
                } else {
                    items.push(json!(record));
                }
            }
        }
    }
    Ok((
        Written::new(&Page {
            items,
            next_cursor,
            as_of: clock::show(as_of),
        })?,
        mangled,
    ))
}

#[derive(Serialize)]
struct Plain<R> {
    items: Vec<R>,
    next_cursor: Option<String>,
    as_of: String,
}

fn of_stock(db: &Connection, rows: Vec<i64>, stock: &str) -> Result<Vec<i64>, Problem> {
    let mut kept = Vec::with_capacity(rows.len());
    let mut statement =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM level WHERE id = ?1 AND stock_id = ?2)")?;
    for row in rows {
        if statement.query_row(rusqlite::params![row, stock], |found| {
            found.get::<_, bool>(0)
        })? {
            kept.push(row);
        }
    }
    Ok(kept)
}

/// What no program can take for a record.
fn mangle(name: &str) -> Value {
    json!({"id": name, "sku": name, "rev": "not a number", "title": 17, "variants": 7, "lines": 7, "quantity": "many"})
}

/// Runs one query for each of many values.
pub fn each(db: &Connection, sql: &str, values: &[String]) -> Result<Vec<i64>, Problem> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = Vec::with_capacity(values.len());
    for value in values {
        for row in statement.query_map([value], |row| row.get::<_, i64>(0))? {
            let row = row?;
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    Ok(rows)
}
