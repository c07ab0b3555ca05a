//! The stock ledger: levels as shops show them, what orders have taken, the base, and which items are to be looked at.

use crate::JournalError;
use crate::columns::{decimal, id, int, json, level_subject, micros, number, parse};
use crate::projection::{clear_aside, clear_asides, orders};
use jiff::Timestamp;
use lockstep_model::entry::{Movement, Settlement, StockMapping, What};
use lockstep_model::settings::StockId;
use lockstep_model::{FaultKind, ItemId, Level, RemoteId, ShopId};
use rusqlite::{Connection, OptionalExtension, params};
use rust_decimal::Decimal;

const LEVEL: &str = "a stock level";

pub(super) fn level_seen(
    connection: &Connection,
    shop: ShopId,
    stock: StockId,
    level: &Level,
    read_with: Decimal,
) -> Result<(), JournalError> {
    let item = level.item();
    let old = held(connection, shop, stock, &item)?;
    let shows = |level: &Level| (level.available(), level.set_aside);
    let moved = old.is_none_or(|old| shows(&old) != shows(level));
    let meant = if moved { "NULL" } else { "meant" };
    connection
        .prepare_cached(&format!(
            "INSERT INTO level(item, stock, shop, level, taken, variant) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (item, stock, shop) DO UPDATE SET
                level = excluded.level, taken = excluded.taken, meant = {meant}, gone = 0,
                variant = excluded.variant, stale = 0"
        ))?
        .execute(params![
            item.0,
            int(stock.0),
            int(shop.0),
            json(LEVEL, level)?,
            number(read_with),
            level.variant.as_ref().map(RemoteId::as_str)
        ])?;
    if moved || taken(connection, shop, &item, stock)? != read_with {
        mark_dirty(connection, &item, stock)?;
    }
    Ok(())
}

pub(super) fn base_moved(
    connection: &Connection,
    seq: u64,
    at: Timestamp,
    item: &ItemId,
    stock: StockId,
    delta: Decimal,
    cause: &Movement,
) -> Result<(), JournalError> {
    let key = params![item.0, int(stock.0)];
    let old: Option<String> = connection
        .prepare_cached("SELECT base FROM base WHERE item = ?1 AND stock = ?2")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    let base = old.as_deref().map_or(Ok(Decimal::ZERO), decimal)? + delta;
    let counted_by = match cause {
        Movement::Opening { shop } | Movement::Switched { shop } => Some(int(shop.0)),
        Movement::Unexplained { .. } | Movement::Closing { .. } => None,
    };
    let emptied = match cause {
        Movement::Unexplained { emptied, .. } => Some(*emptied),
        Movement::Opening { .. } | Movement::Switched { .. } => Some(false),
        // Nothing that anybody is told changes by it.
        Movement::Closing { .. } => None,
    };
    connection
        .prepare_cached(
            "INSERT INTO base(item, stock, base, counted_by, emptied) VALUES (?1, ?2, ?3, ?4, ifnull(?5, 0))
             ON CONFLICT (item, stock) DO UPDATE SET
                base = excluded.base, counted_by = ifnull(excluded.counted_by, counted_by),
                emptied = ifnull(?5, emptied)",
        )?
        .execute(params![
            item.0,
            int(stock.0),
            number(base),
            counted_by,
            emptied
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO movement(item, stock, seq, at, delta, cause) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            item.0,
            int(stock.0),
            int(seq),
            micros(at),
            number(delta),
            json("why the base moved", cause)?
        ])?;
    if let Movement::Closing { order } = cause {
        orders::close_lines(connection, seq, &order.to_string(), item, stock)?;
    }
    mark_dirty(connection, item, stock)
}

/// Notes what a write aims at.
pub(super) fn aim(
    connection: &Connection,
    shop: ShopId,
    stock: StockId,
    item: &ItemId,
    target: &str,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "UPDATE level SET target = ?4 WHERE item = ?1 AND stock = ?2 AND shop = ?3",
        )?
        .execute(params![item.0, int(stock.0), int(shop.0), target])?;
    Ok(())
}

pub(super) fn settled(
    connection: &Connection,
    shop: ShopId,
    stock: StockId,
    item: &ItemId,
    what: &What,
    how: &Settlement,
) -> Result<(), JournalError> {
    match how {
        Settlement::Done { level, .. } => {
            let answered = match level {
                Some(answered) => Some(answered.clone()),
                None => as_meant(connection, shop, stock, item, what)?,
            };
            if let (
                Some((level, read_with)),
                What::Level {
                    target,
                    was_available,
                    was_taken,
                    ..
                },
            ) = (answered, what)
            {
                let missed = level.available() != *target;
                // A write of less than nothing that left nothing where there was not less before, or one that moved nothing and no
                // order did, says what the shop can hold. One that missed otherwise met units that moved meanwhile: it is looked at again.
                let is_clamp = missed
                    && read_with == *was_taken
                    && (level.stops_at_nothing(*was_available, *target)
                        || held(connection, shop, stock, item)?
                            .is_some_and(|before| before.available() == level.available()));
                let meant = is_clamp.then(|| number(*target));
                if missed && !is_clamp {
                    mark_dirty(connection, item, stock)?;
                }
                connection
                    .prepare_cached(
                        "INSERT INTO level(item, stock, shop, level, taken, meant, target, variant)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                         ON CONFLICT (item, stock, shop) DO UPDATE SET
                            level = excluded.level, taken = excluded.taken,
                            meant = excluded.meant, target = excluded.target, variant = excluded.variant",
                    )?
                    .execute(params![
                        item.0,
                        int(stock.0),
                        int(shop.0),
                        json(LEVEL, &level)?,
                        number(read_with),
                        meant,
                        number(*target),
                        level.variant.as_ref().map(RemoteId::as_str)
                    ])?;
                if taken(connection, shop, item, stock)? != read_with {
                    mark_dirty(connection, item, stock)?;
                }
            }
            clear_aside(connection, shop, &level_subject(stock, item))
        }
        // Written to what is no longer there.
        Settlement::NotApplied { fault: Some(fault) } if fault.kind == FaultKind::NotFound => {
            item_is_gone(connection, shop, item)?;
            mark_dirty(connection, item, stock)
        }
        // The target was not reached, as far as is known.
        Settlement::NotApplied { .. } | Settlement::Moot => mark_dirty(connection, item, stock),
        Settlement::Unknown { .. } | Settlement::Answered { .. } => Ok(()),
    }
}

/// The shop no longer has the item. Its level stays, so that one that comes back is compared with it.
pub(super) fn item_is_gone(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
) -> Result<(), JournalError> {
    for stock in turned(connection, shop, item, true)? {
        clear_aside(connection, shop, &level_subject(stock, item))?;
    }
    Ok(())
}

/// The shop has it again, or has it in another product.
pub(super) fn item_is_back(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
) -> Result<(), JournalError> {
    // It may show the same number as before, while what it should show has moved.
    for stock in turned(connection, shop, item, false)? {
        mark_dirty(connection, item, stock)?;
    }
    Ok(())
}

/// The shop knows the item by this id now.
pub(super) fn is_variant(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
    variant: &RemoteId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "UPDATE level SET variant = ?3 WHERE shop = ?1 AND item = ?2 AND variant <> ?3",
        )?
        .execute(params![int(shop.0), item.as_str(), variant.as_str()])?;
    Ok(())
}

/// The shop is seen to call the item otherwise than it is named. Before that was known its level may have been taken for that of
/// an item which is named so: it is read again.
pub(super) fn called_otherwise(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
    sku: Option<&str>,
    variant: &RemoteId,
) -> Result<(), JournalError> {
    let key = params![int(shop.0), sku, variant.as_str(), item.as_str()];
    for take_over in [
        "UPDATE OR IGNORE level SET item = ?4, level = json_set(level, '$.item', ?4)
         WHERE shop = ?1 AND item = ?2 AND variant = ?3",
        "DELETE FROM level WHERE shop = ?1 AND item = ?2 AND variant = ?3 AND item <> ?4",
    ] {
        connection.prepare_cached(take_over)?.execute(key)?;
    }
    let stocks: Vec<StockId> = connection
        .prepare_cached("UPDATE level SET stale = 1 WHERE shop = ?1 AND item = ?2 RETURNING stock")?
        .query_map(params![int(shop.0), item.as_str()], |row| row.get(0))?
        .map(|stock| stock.map(|stock| StockId(id(stock))))
        .collect::<Result<_, _>>()?;
    for stock in stocks {
        mark_dirty(connection, item, stock)?;
    }
    Ok(())
}

/// The stocks whose level of it goes, or comes back, by this.
fn turned(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
    gone: bool,
) -> Result<Vec<StockId>, JournalError> {
    Ok(connection
        .prepare_cached(
            "UPDATE level SET gone = ?3 WHERE shop = ?1 AND item = ?2 AND gone <> ?3 RETURNING stock",
        )?
        .query_map(params![int(shop.0), item.as_str(), gone], |row| row.get(0))?
        .map(|stock| stock.map(|stock| StockId(id(stock))))
        .collect::<Result<_, _>>()?)
}

/// A shop's level as last dealt with.
fn held(
    connection: &Connection,
    shop: ShopId,
    stock: StockId,
    item: &ItemId,
) -> Result<Option<Level>, JournalError> {
    let level: Option<String> = connection
        .prepare_cached("SELECT level FROM level WHERE item = ?1 AND stock = ?2 AND shop = ?3")?
        .query_row(params![item.0, int(stock.0), int(shop.0)], |row| row.get(0))
        .optional()?;
    level.map(|level| parse(LEVEL, &level)).transpose()
}

/// What a shop holds after a level was set and it did not say.
fn as_meant(
    connection: &Connection,
    shop: ShopId,
    stock: StockId,
    item: &ItemId,
    what: &What,
) -> Result<Option<(Level, Decimal)>, JournalError> {
    let What::Level {
        on_hand, was_taken, ..
    } = what
    else {
        return Ok(None);
    };
    let Some(mut level) = held(connection, shop, stock, item)? else {
        return Ok(None);
    };
    level.on_hand = *on_hand;
    // It was of the state before.
    level.version = None;
    Ok(Some((level, *was_taken)))
}

/// Σ taken over a shop's order lines of a SKU, as known now.
pub(crate) fn taken(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
    stock: StockId,
) -> Result<Decimal, JournalError> {
    let taken: Option<String> = connection
        .prepare_cached("SELECT taken FROM taken WHERE item = ?1 AND stock = ?2 AND shop = ?3")?
        .query_row(params![item.0, int(stock.0), int(shop.0)], |row| row.get(0))
        .optional()?;
    taken.as_deref().map_or(Ok(Decimal::ZERO), decimal)
}

pub(super) fn add_taken(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
    stock: StockId,
    delta: Decimal,
) -> Result<(), JournalError> {
    if delta.is_zero() {
        return Ok(());
    }
    let sum = taken(connection, shop, item, stock)? + delta;
    connection
        .prepare_cached(
            "INSERT INTO taken(item, stock, shop, taken) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (item, stock, shop) DO UPDATE SET taken = excluded.taken",
        )?
        .execute(params![item.0, int(stock.0), int(shop.0), number(sum)])?;
    Ok(())
}

/// A line left the sum: the shadow was read while it was still in it.
pub(super) fn shadow_forgets(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
    stock: StockId,
    delta: Decimal,
) -> Result<(), JournalError> {
    let old: Option<String> = connection
        .prepare_cached("SELECT taken FROM level WHERE item = ?1 AND stock = ?2 AND shop = ?3")?
        .query_row(params![item.0, int(stock.0), int(shop.0)], |row| row.get(0))
        .optional()?;
    if let Some(old) = old {
        connection
            .prepare_cached(
                "UPDATE level SET taken = ?4 WHERE item = ?1 AND stock = ?2 AND shop = ?3",
            )?
            .execute(params![
                item.0,
                int(stock.0),
                int(shop.0),
                number(decimal(&old)? - delta)
            ])?;
    }
    Ok(())
}

/// To be looked at, in every stock: a shop may be told the sum of several.
pub(super) fn mark_dirty(
    connection: &Connection,
    item: &ItemId,
    stock: StockId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO item_dirty(item, stock)
             SELECT ?1, ?2 UNION ALL SELECT DISTINCT item, stock FROM level WHERE item = ?1 AND stock <> ?2",
        )?
        .execute(params![item.0, int(stock.0)])?;
    Ok(())
}

/// Its product is sold now, or is not.
pub(super) fn may_be_sold(connection: &Connection, item: &ItemId) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO item_dirty(item, stock) SELECT DISTINCT item, stock FROM level WHERE item = ?1",
        )?
        .execute([item.as_str()])?;
    Ok(())
}

pub(super) fn all_dirty(connection: &Connection) -> Result<(), JournalError> {
    connection.execute(
        "INSERT OR IGNORE INTO item_dirty(item, stock)
         SELECT item, stock FROM level UNION SELECT item, stock FROM base UNION SELECT item, stock FROM taken",
        [],
    )?;
    Ok(())
}

/// Looked at to the end, unless an order has moved since a level was read. Nothing is left to be written, so nothing stands
/// aside any more.
pub(super) fn done(
    connection: &Connection,
    item: &ItemId,
    stock: StockId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached("UPDATE level SET stale = 0 WHERE item = ?1 AND stock = ?2 AND stale = 1")?
        .execute(params![item.0, int(stock.0)])?;
    clear_asides(connection, &level_subject(stock, item))?;
    let still: bool = connection
        .prepare_cached(
            "SELECT EXISTS (
                SELECT 1 FROM level l
                LEFT JOIN taken t ON t.item = l.item AND t.stock = l.stock AND t.shop = l.shop
                WHERE l.item = ?1 AND l.stock = ?2 AND l.gone = 0 AND l.taken <> ifnull(t.taken, '0')
             )",
        )?
        .query_row(params![item.0, int(stock.0)], |row| row.get(0))?;
    if !still {
        connection
            .prepare_cached("DELETE FROM item_dirty WHERE item = ?1 AND stock = ?2")?
            .execute(params![item.0, int(stock.0)])?;
    }
    Ok(())
}

/// A shop's stock is another of ours now, or none: its levels are read again.
pub(super) fn drop_levels_of_other_stocks(
    connection: &Connection,
    mapping: &StockMapping,
) -> Result<(), JournalError> {
    let mut stale = Vec::new();
    {
        let mut query = connection.prepare_cached("SELECT item, stock, shop, level FROM level")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (item, stock, shop): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let level: Level = parse(LEVEL, &row.get::<_, String>(3)?)?;
            let mapped = mapping.stock(ShopId(id(shop)), Some(&level.stock));
            if mapped != Some(StockId(id(stock))) {
                stale.push((item, stock, shop));
            }
        }
    }
    for (item, stock, shop) in stale {
        connection
            .prepare_cached("DELETE FROM level WHERE item = ?1 AND stock = ?2 AND shop = ?3")?
            .execute(params![item, stock, shop])?;
        mark_dirty(connection, &item.into(), StockId(id(stock)))?;
    }
    Ok(())
}
