//! Orders in the database: one JSON body each, and what is searched beside it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::order::Order;
use crate::clock::{self, Stamp};
use crate::database::Writing;
use crate::ids::Kind;
use crate::page::{LookUp, as_json_list};
use crate::problem::{Code, Problem};

/// The orders of these rows, in this order.
pub fn load(db: &Connection, rows: &[i64], base: &str) -> Result<Vec<Order>, Problem> {
    let mut statement = db.prepare_cached(
        "SELECT id, body, page_key FROM sale WHERE id IN (SELECT value FROM json_each(?1))",
    )?;
    let mut found: HashMap<i64, Order> = HashMap::with_capacity(rows.len());
    let mut orders = statement.query([as_json_list(rows)])?;
    while let Some(row) = orders.next()? {
        let mut order: Order =
            serde_json::from_str(row.get_ref(1)?.as_str().map_err(Problem::broken)?)?;
        let key = row.get_ref(2)?.as_str().map_err(Problem::broken)?;
        order.page_url = page_url(base, &order.number, key);
        found.insert(row.get(0)?, order);
    }
    Ok(rows.iter().filter_map(|row| found.remove(row)).collect())
}

fn page_url(base: &str, number: &str, key: &str) -> String {
    format!("{base}/orders/{number}?key={key}")
}

pub fn row_of(id: &str) -> Result<i64, Problem> {
    Kind::Order.parse(id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Problem {
    Problem::not_found(format_args!("order {id}"))
}

pub fn load_one(db: &Connection, id: &str, base: &str) -> Result<Order, Problem> {
    load(db, &[row_of(id)?], base)?
        .pop()
        .ok_or_else(|| missing(id))
}

/// The order that the buyer holds the key of. A wrong key is no order.
pub fn load_by_page(
    db: &Connection,
    number: &str,
    key: &str,
    base: &str,
) -> Result<Order, Problem> {
    let found: Option<(i64, String)> = db
        .prepare_cached("SELECT id, page_key FROM sale WHERE number = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let found = found.filter(|(_, kept)| {
        bool::from(subtle::ConstantTimeEq::ct_eq(
            kept.as_bytes(),
            key.as_bytes(),
        ))
    });
    let (row, _) =
        found.ok_or_else(|| Problem::not_found("such order, or its address is incomplete"))?;
    load(db, &[row], base)?.pop().ok_or_else(|| missing(number))
}

/// The rows of a look-up. What is hidden from searches is found by its id only.
pub fn look_up(
    db: &Connection,
    by: &LookUp,
    now: Stamp,
    limit: usize,
) -> Result<Vec<i64>, Problem> {
    let mut rows: Vec<i64> = Vec::new();
    let mut collect = |sql: &str, value: &str| -> Result<(), Problem> {
        let mut statement = db.prepare_cached(sql)?;
        let mut found = statement.query(params![value, now, limit as i64])?;
        while let Some(row) = found.next()? {
            let row = row.get(0)?;
            if !rows.contains(&row) && rows.len() < limit {
                rows.push(row);
            }
        }
        Ok(())
    };
    match by {
        LookUp::Ids(ids) => return Ok(ids.iter().filter_map(|id| Kind::Order.parse(id)).collect()),
        LookUp::ExternalKey(key) => {
            collect(
                "SELECT id FROM sale WHERE external_key = ?1 AND hidden_until <= ?2 LIMIT ?3",
                key,
            )?;
        }
        LookUp::Number(number) => {
            collect(
                "SELECT id FROM sale WHERE number = ?1 AND hidden_until <= ?2 LIMIT ?3",
                number,
            )?;
        }
        LookUp::Skus(skus) => {
            for sku in skus {
                collect(
                    "SELECT DISTINCT s.id FROM sale_line l JOIN sale s ON s.id = l.sale_id \
                     WHERE l.sku = ?1 AND s.hidden_until <= ?2 ORDER BY s.id DESC LIMIT ?3",
                    sku,
                )?;
            }
        }
        LookUp::Handle(_) => {
            return Err(Problem::new(Code::BadParameter, "Orders have no handle."));
        }
    }
    Ok(rows)
}

/// Gives a new order its row, id and number.
pub fn insert(
    w: &mut Writing<'_>,
    order: &mut Order,
    prefix: &str,
    hidden_until: Stamp,
    base: &str,
) -> Result<i64, Problem> {
    if let Some(key) = &order.external_key {
        let existing: Option<i64> = w
            .prepare_cached("SELECT id FROM sale WHERE external_key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        if let Some(row) = existing {
            let existing = Kind::Order.show(row);
            return Err(Problem::new(
                Code::DuplicateOrder,
                format!("An order with the external key “{key}” exists: {existing}. No second one was made."),
            )
            .with("existing", existing));
        }
    }
    let page_key = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>());
    // The number holds the row, which is known only now; the body follows in `save`.
    w.prepare_cached("INSERT INTO sale (number, external_key, page_key, body, hidden_until, changed) VALUES (?1, ?2, ?3, '{}', ?4, 0)")?
        .execute(params![format!("?{page_key}"), order.external_key, page_key, hidden_until])?;
    let row = w.last_insert_rowid();
    order.id = Kind::Order.show(row);
    order.number = format!("{prefix}-{row}");
    order.page_url = page_url(base, &order.number, &page_key);
    Ok(row)
}

/// Writes the order as it now is, with a new stamp and word to the hooks.
pub fn save(
    w: &mut Writing<'_>,
    row: i64,
    order: &mut Order,
    topic: &'static str,
) -> Result<(), Problem> {
    let stamp = w.stamp();
    order.rev += 1;
    order.modified_at = clock::show(stamp);
    let page_url = std::mem::take(&mut order.page_url);
    let body = serde_json::to_string(order)?;
    order.page_url = page_url;
    w.prepare_cached("UPDATE sale SET number = ?2, body = ?3, changed = ?4 WHERE id = ?1")?
        .execute(params![row, order.number, body, stamp])?;
    w.tell(topic, order.id.clone(), stamp);
    Ok(())
}

/// The variant that each line was sold from: a SKU may be renamed later.
pub fn variants_of(db: &Connection, row: i64) -> Result<HashMap<String, i64>, Problem> {
    let mut statement =
        db.prepare_cached("SELECT line_id, variant_id FROM sale_line WHERE sale_id = ?1")?;
    let variants = statement
        .query_map([row], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(variants)
}

pub fn add_line(
    w: &Writing<'_>,
    row: i64,
    line: &str,
    sku: &str,
    variant: i64,
) -> Result<(), Problem> {
    w.prepare_cached(
        "INSERT INTO sale_line (sale_id, line_id, sku, variant_id) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![row, line, sku, variant])?;
    Ok(())
}

pub fn remove_line(w: &Writing<'_>, row: i64, line: &str) -> Result<(), Problem> {
    w.prepare_cached("DELETE FROM sale_line WHERE sale_id = ?1 AND line_id = ?2")?
        .execute(params![row, line])?;
    Ok(())
}
