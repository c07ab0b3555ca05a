//! Levels in the database.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::level::{Level, LevelInput};
use crate::catalogue::product_rows::bury;
use crate::clock;
use crate::config::ShopConfig;
use crate::database::Writing;
use crate::ids::Kind;
use crate::orders::lifecycle::Movement;
use crate::page::as_json_list;
use crate::problem::Problem;

const COLUMNS: &str = "l.id, v.sku, l.stock_id, l.on_hand, l.reserved, l.location, l.rev, l.changed, v.backorder, v.id";

pub fn load(db: &Connection, rows: &[i64]) -> Result<Vec<Level>, Problem> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM level l JOIN variant v ON v.id = l.variant_id WHERE l.id IN (SELECT value FROM json_each(?1))"
    ))?;
    let mut found: HashMap<i64, Level> = HashMap::with_capacity(rows.len());
    let mut levels = statement.query([as_json_list(rows)])?;
    while let Some(row) = levels.next()? {
        let level = level(row)?;
        found.insert(level.row, level);
    }
    Ok(rows.iter().filter_map(|row| found.remove(row)).collect())
}

/// The levels of one SKU, in the order of the shop's stocks where `stock` is not said.
pub fn of_sku(db: &Connection, sku: &str, stock: Option<&str>) -> Result<Vec<Level>, Problem> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM variant v JOIN level l ON l.variant_id = v.id WHERE v.sku = ?1 AND (?2 IS NULL OR l.stock_id = ?2) ORDER BY l.id"
    ))?;
    let mut levels = statement.query(params![sku, stock])?;
    let mut found = Vec::new();
    while let Some(row) = levels.next()? {
        found.push(level(row)?);
    }
    Ok(found)
}

fn level(row: &Row<'_>) -> Result<Level, Problem> {
    let (on_hand, reserved): (i64, i64) = (row.get(3)?, row.get(4)?);
    Ok(Level {
        row: row.get(0)?,
        sku: row.get(1)?,
        stock: row.get(2)?,
        quantity: on_hand - reserved,
        on_hand,
        reserved,
        location: row.get(5)?,
        rev: row.get(6)?,
        modified_at: clock::show(row.get(7)?),
        backorder: row.get(8)?,
        variant_id: Kind::Variant.show(row.get(9)?),
    })
}

/// One member of a write, as a caller sent it.
pub fn write(
    w: &mut Writing<'_>,
    input: &LevelInput,
    config: &ShopConfig,
) -> Result<Level, Problem> {
    let sku = input
        .sku
        .as_deref()
        .ok_or_else(|| Problem::invalid("sku", "Say which SKU the level is of."))?;
    let stock = input.stock.as_deref().unwrap_or(config.main_stock());
    if !config.stocks.iter().any(|known| known.id == stock) {
        return Err(Problem::not_found(format_args!("stock “{stock}”")));
    }
    let before = of_sku(w, sku, Some(stock))?
        .pop()
        .ok_or_else(|| Problem::not_found(format_args!("level of the SKU “{sku}”")))?;
    let mut after = before.written(input)?;
    if after == before {
        return Ok(before);
    }
    let stamp = w.stamp();
    after.rev += 1;
    after.modified_at = clock::show(stamp);
    w.prepare_cached(
        "UPDATE level SET on_hand = ?2, location = ?3, rev = rev + 1, changed = ?4 WHERE id = ?1",
    )?
    .execute(params![after.row, after.on_hand, after.location, stamp])?;
    w.tell("stock.changed", after.sku.clone(), stamp);
    Ok(after)
}

/// What an order does. A level that went with its variant is left alone: there is nothing to move.
pub fn movement(
    w: &mut Writing<'_>,
    variant: i64,
    stock: &str,
    movement: Movement,
) -> Result<(), Problem> {
    if movement == Movement::default() {
        return Ok(());
    }
    let sku: Option<String> = w
        .prepare_cached("SELECT sku FROM variant WHERE id = ?1")?
        .query_row([variant], |row| row.get(0))
        .optional()?;
    let Some(sku) = sku else { return Ok(()) };
    let stamp = w.stamp();
    w.prepare_cached(
        "UPDATE level SET on_hand = on_hand + ?3, reserved = reserved + ?4, rev = rev + 1, changed = ?5 WHERE variant_id = ?1 AND stock_id = ?2",
    )?
    .execute(params![variant, stock, movement.on_hand, movement.reserved, stamp])?;
    w.tell("stock.changed", sku, stamp);
    Ok(())
}

/// A new variant has a level of 0 in every stock.
pub fn open(
    w: &mut Writing<'_>,
    variant: i64,
    sku: &str,
    config: &ShopConfig,
) -> Result<(), Problem> {
    for stock in &config.stocks {
        let stamp = w.stamp();
        w.prepare_cached("INSERT INTO level (variant_id, stock_id, on_hand, reserved, rev, changed) VALUES (?1, ?2, 0, 0, 1, ?3)")?
            .execute(params![variant, stock.id, stamp])?;
        w.tell("stock.changed", sku.to_string(), stamp);
    }
    Ok(())
}

/// A stock that the configuration has gained since the last start gets its levels.
pub fn open_missing(w: &mut Writing<'_>, config: &ShopConfig) -> Result<(), Problem> {
    for stock in &config.stocks {
        let missing: Vec<i64> = w
            .prepare_cached("SELECT id FROM variant v WHERE NOT EXISTS (SELECT 1 FROM level WHERE variant_id = v.id AND stock_id = ?1)")?
            .query_map([&stock.id], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for variant in missing {
            let stamp = w.stamp();
            w.prepare_cached("INSERT INTO level (variant_id, stock_id, on_hand, reserved, rev, changed) VALUES (?1, ?2, 0, 0, 1, ?3)")?
                .execute(params![variant, stock.id, stamp])?;
        }
    }
    Ok(())
}

/// The levels of a variant that is about to be deleted.
pub fn close(w: &mut Writing<'_>, variant: i64, sku: &str) -> Result<(), Problem> {
    for stock in stocks_of(w, variant)? {
        let stamp = w.stamp();
        bury(w, stamp, "level", sku, Some(&stock))?;
        w.tell("stock.changed", sku.to_string(), stamp);
    }
    Ok(())
}

/// The levels go under another SKU: the old one is gone, the new one has changed.
pub fn renamed(w: &mut Writing<'_>, variant: i64, from: &str, to: &str) -> Result<(), Problem> {
    for stock in stocks_of(w, variant)? {
        let stamp = w.stamp();
        bury(w, stamp, "level", from, Some(&stock))?;
        let stamp = w.stamp();
        w.prepare_cached(
            "UPDATE level SET rev = rev + 1, changed = ?3 WHERE variant_id = ?1 AND stock_id = ?2",
        )?
        .execute(params![variant, stock, stamp])?;
        w.tell("stock.changed", to.to_string(), stamp);
    }
    Ok(())
}

fn stocks_of(db: &Connection, variant: i64) -> Result<Vec<String>, Problem> {
    let mut statement =
        db.prepare_cached("SELECT stock_id FROM level WHERE variant_id = ?1 ORDER BY id")?;
    let stocks = statement
        .query_map([variant], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(stocks)
}
