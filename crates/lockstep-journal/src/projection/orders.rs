//! Orders: what each shop shows of them, their lines by SKU, their copies, what holds them.

use crate::JournalError;
use crate::columns::{decimal, id, int, json, micros, number, order_key_of, order_subject, parse};
use crate::projection::{clear_aside, ledger, stock_mapping};
use jiff::Timestamp;
use lockstep_model::entry::{Hold, Personal, Settlement, StockMapping, What};
use lockstep_model::settings::StockId;
use lockstep_model::{OrderAnswer, OrderKey, OrderState, Payment, RemoteId, ShopId, Sku, Stage};
use rusqlite::{Connection, OptionalExtension, params};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Seen<'a> {
    pub shop: ShopId,
    pub order: &'a OrderKey,
    pub state: &'a OrderState,
    pub person: &'a Personal,
    pub before_opening: bool,
}

/// One side of an order, of one SKU in one stock.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    wanted: Decimal,
    taken: Decimal,
    done: bool,
    closed: bool,
}

type Lines = BTreeMap<(Sku, StockId), Line>;

pub(super) fn seen(connection: &Connection, seq: u64, seen: &Seen<'_>) -> Result<(), JournalError> {
    let order_key = seen.order.to_string();
    let shop = int(seen.shop.0);
    connection
        .prepare_cached(
            "INSERT INTO purchase(order_key, first_seq, before_opening, held) VALUES (?1, ?2, ?3, NULL)
             ON CONFLICT (order_key) DO UPDATE SET before_opening = excluded.before_opening",
        )?
        .execute(params![order_key, int(seq), seen.before_opening])?;
    let old: Option<String> = connection
        .prepare_cached("SELECT state FROM known_order WHERE order_key = ?1 AND shop = ?2")?
        .query_row(params![order_key, shop], |row| row.get(0))
        .optional()?;
    let old: Option<OrderState> = old.map(|old| parse("an order's state", &old)).transpose()?;
    let state = seen.state;
    let sealed = match seen.person {
        Personal::Sealed(sealed) => Some(sealed.as_str()),
        // In the clear it never gets here.
        Personal::None | Personal::Clear(_) => None,
    };
    let placed = state.stage == Stage::Placed && !state.cancelled;
    connection
        .prepare_cached(
            "INSERT INTO known_order(order_key, shop, id, number, placed, accepted, seq, state, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (order_key, shop) DO UPDATE SET
                id = excluded.id, number = excluded.number, placed = excluded.placed,
                accepted = excluded.accepted, seq = excluded.seq, state = excluded.state,
                sealed = ifnull(excluded.sealed, sealed)",
        )?
        .execute(params![
            order_key,
            shop,
            state.id.0,
            state.number,
            placed,
            placed && state.payment >= Payment::Accepted,
            int(seq),
            json("an order's state", state)?,
            sealed
        ])?;
    if owns_copy(seen.order, seen.shop) {
        remember_copy(connection, &order_key, seen.shop, state.id.as_str())?;
    }
    if let Some(old) = &old {
        note_edit(connection, &order_key, seen, old)?;
    }
    let changed = old.as_ref() != Some(state);
    if changed {
        mark_dirty(connection, &order_key)?;
        clear_aside(connection, seen.shop, &order_subject(&order_key))?;
    }
    let mapping = stock_mapping(connection)?.unwrap_or_default();
    take(connection, &order_key, seen.shop, state, &mapping)?;
    // What an order counts for depends on more than its lines.
    let counts_otherwise = old.is_none_or(|old| {
        old.stage != state.stage
            || old.cancelled != state.cancelled
            || old.payment != state.payment
            || old.fulfilment != state.fulfilment
    });
    if counts_otherwise {
        mark_skus_dirty(connection, &order_key)?;
    }
    Ok(())
}

/// Units that were changed in the origin while its copy was as the origin was are the origin's edit: it is carried to the
/// copy. Once the copy's own units move, it has arrived, or somebody edited the copy: which is right is then asked.
fn note_edit(
    connection: &Connection,
    order_key: &str,
    seen: &Seen<'_>,
    old: &OrderState,
) -> Result<(), JournalError> {
    let (before, now) = (old.wanted(), seen.state.wanted());
    if before == now {
        return Ok(());
    }
    if owns_copy(seen.order, seen.shop) {
        connection
            .prepare_cached("UPDATE purchase SET edited = NULL WHERE order_key = ?1")?
            .execute([order_key])?;
        return Ok(());
    }
    let copy: Option<String> = connection
        .prepare_cached("SELECT state FROM known_order WHERE order_key = ?1 AND shop <> ?2")?
        .query_row(params![order_key, int(seen.shop.0)], |row| row.get(0))
        .optional()?;
    let Some(copy) = copy else {
        return Ok(());
    };
    let copy: OrderState = parse("an order's state", &copy)?;
    let there = copy.wanted();
    let edited: Option<String> = connection
        .prepare_cached("SELECT edited FROM purchase WHERE order_key = ?1")?
        .query_row([order_key], |row| row.get(0))?;
    let mut edited: BTreeSet<Sku> = match edited {
        Some(edited) => parse("the items of an edit", &edited)?,
        None => BTreeSet::new(),
    };
    let none = Decimal::ZERO;
    for sku in before.keys().chain(now.keys()) {
        let units = |wanted: &BTreeMap<Sku, Decimal>| wanted.get(sku).copied().unwrap_or(none);
        if units(&before) != units(&now) && units(&before) == units(&there) {
            edited.insert(sku.clone());
        }
    }
    connection
        .prepare_cached("UPDATE purchase SET edited = ?2 WHERE order_key = ?1")?
        .execute(params![order_key, json("the items of an edit", &edited)?])?;
    Ok(())
}

/// Is what this shop shows under the key a copy that was made there?
pub(crate) fn owns_copy(order: &OrderKey, shop: ShopId) -> bool {
    order.shop != shop
}

/// Sums the order's lines by SKU and stock, and moves Σ taken by what changed.
fn take(
    connection: &Connection,
    order_key: &str,
    shop: ShopId,
    state: &OrderState,
    mapping: &StockMapping,
) -> Result<(), JournalError> {
    let old = lines(connection, order_key, shop)?;
    let new = sum(shop, state, mapping);
    let both: BTreeSet<&(Sku, StockId)> = old.keys().chain(new.keys()).collect();
    for key in both {
        let (sku, stock) = key;
        let before = old.get(key).copied();
        // What is closed counts no more, whatever the shop says of it later.
        if before.is_some_and(|line| line.closed) {
            continue;
        }
        let after = new.get(key).copied();
        if before == after {
            continue;
        }
        let (was, is) = (
            before.map_or(Decimal::ZERO, |line| line.taken),
            after.map_or(Decimal::ZERO, |line| line.taken),
        );
        match after {
            Some(line) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO order_line(order_key, shop, sku, stock, wanted, taken, done, closed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
                )?
                .execute(params![
                    order_key,
                    int(shop.0),
                    sku.0,
                    int(stock.0),
                    number(line.wanted),
                    number(line.taken),
                    line.done
                ])?,
            None => connection
                .prepare_cached(
                    "DELETE FROM order_line WHERE order_key = ?1 AND shop = ?2 AND sku = ?3 AND stock = ?4",
                )?
                .execute(params![order_key, int(shop.0), sku.0, int(stock.0)])?,
        };
        ledger::add_taken(connection, shop, sku, *stock, is - was)?;
        ledger::mark_dirty(connection, sku, *stock)?;
    }
    Ok(())
}

fn sum(shop: ShopId, state: &OrderState, mapping: &StockMapping) -> Lines {
    let mut lines = Lines::new();
    for line in &state.lines {
        let Some(sku) = &line.sku else { continue };
        let Some(stock) = mapping.stock(shop, line.stock.as_ref()) else {
            continue;
        };
        let wanted = if state.cancelled {
            Decimal::ZERO
        } else {
            (line.quantity - line.cancelled - line.returned).max(Decimal::ZERO)
        };
        let sum = lines.entry((sku.clone(), stock)).or_insert(Line {
            wanted: Decimal::ZERO,
            taken: Decimal::ZERO,
            done: true,
            closed: false,
        });
        sum.wanted += wanted;
        sum.taken += line.taken;
        sum.done &= state.cancelled || line.is_final();
    }
    lines
}

fn lines(connection: &Connection, order_key: &str, shop: ShopId) -> Result<Lines, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT sku, stock, wanted, taken, done, closed FROM order_line WHERE order_key = ?1 AND shop = ?2",
    )?;
    let mut rows = query.query(params![order_key, int(shop.0)])?;
    let mut lines = Lines::new();
    while let Some(row) = rows.next()? {
        let sku: String = row.get(0)?;
        let line = Line {
            wanted: decimal(&row.get::<_, String>(2)?)?,
            taken: decimal(&row.get::<_, String>(3)?)?,
            done: row.get(4)?,
            closed: row.get(5)?,
        };
        lines.insert((sku.into(), StockId(id(row.get(1)?))), line);
    }
    Ok(lines)
}

/// The stocks are mapped otherwise: every order's lines are summed anew.
pub(super) fn take_again(
    connection: &Connection,
    mapping: &StockMapping,
) -> Result<(), JournalError> {
    let mut after: (String, i64) = (String::new(), i64::MIN);
    loop {
        let page: Vec<(String, i64, String)> = connection
            .prepare_cached(
                "SELECT order_key, shop, state FROM known_order WHERE (order_key, shop) > (?1, ?2)
                 ORDER BY order_key, shop LIMIT 200",
            )?
            .query_map(params![after.0, after.1], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let Some((order_key, shop, _)) = page.last() else {
            return Ok(());
        };
        after = (order_key.clone(), *shop);
        for (order_key, shop, state) in &page {
            let state: OrderState = parse("an order's state", state)?;
            take(connection, order_key, ShopId(id(*shop)), &state, mapping)?;
        }
    }
}

/// The lines of a SKU are final everywhere: they leave the sums.
pub(super) fn close_lines(
    connection: &Connection,
    order_key: &str,
    sku: &Sku,
    stock: StockId,
) -> Result<(), JournalError> {
    let open: Vec<(i64, String)> = connection
        .prepare_cached(
            "SELECT shop, taken FROM order_line WHERE order_key = ?1 AND sku = ?2 AND stock = ?3 AND closed = 0",
        )?
        .query_map(params![order_key, sku.0, int(stock.0)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (shop, taken) in open {
        let shop = ShopId(id(shop));
        let taken = decimal(&taken)?;
        ledger::add_taken(connection, shop, sku, stock, -taken)?;
        ledger::shadow_forgets(connection, shop, sku, stock, taken)?;
    }
    connection
        .prepare_cached(
            "UPDATE order_line SET closed = 1 WHERE order_key = ?1 AND sku = ?2 AND stock = ?3",
        )?
        .execute(params![order_key, sku.0, int(stock.0)])?;
    Ok(())
}

pub(super) fn held(
    connection: &Connection,
    seq: u64,
    order: &OrderKey,
    reason: Option<&Hold>,
) -> Result<(), JournalError> {
    let order_key = order.to_string();
    let reason = reason
        .map(|reason| json("what holds an order", reason))
        .transpose()?;
    connection
        .prepare_cached(
            "INSERT INTO purchase(order_key, first_seq, before_opening, held) VALUES (?1, ?2, 0, ?3)
             ON CONFLICT (order_key) DO UPDATE SET held = excluded.held",
        )?
        .execute(params![order_key, int(seq), reason])?;
    if reason.is_none() {
        mark_dirty(connection, &order_key)?;
    }
    mark_skus_dirty(connection, &order_key)
}

pub(super) fn settled(
    connection: &Connection,
    shop: ShopId,
    order: &OrderKey,
    what: &What,
    how: &Settlement,
) -> Result<(), JournalError> {
    let order_key = order.to_string();
    if let Settlement::Done { id, .. } = how {
        if *what == What::CreateOrder {
            remember_copy(connection, &order_key, shop, id.as_str())?;
        }
        clear_aside(connection, shop, &order_subject(&order_key))?;
    }
    if how.closes() {
        // What waited behind this write can go now.
        mark_dirty(connection, &order_key)?;
        if *what == What::CreateOrder {
            mark_skus_dirty(connection, &order_key)?;
        }
    }
    Ok(())
}

/// A person has said how it goes on with an order that was held.
pub(super) fn answered(
    connection: &Connection,
    order: &OrderKey,
    into: ShopId,
    answer: &OrderAnswer,
) -> Result<(), JournalError> {
    let order_key = order.to_string();
    connection
        .prepare_cached("DELETE FROM aside WHERE subject = ?1")?
        .execute([order_subject(&order_key)])?;
    if let OrderAnswer::ItIsThere { id } = answer {
        becomes_its_copy(connection, order, into, id)?;
    }
    mark_dirty(connection, &order_key)
}

/// What the shop showed of the copy was taken for an order of its own, since it does not carry our key.
fn becomes_its_copy(
    connection: &Connection,
    order: &OrderKey,
    into: ShopId,
    id: &RemoteId,
) -> Result<(), JournalError> {
    let order_key = order.to_string();
    let own = OrderKey {
        customer: order.customer,
        shop: into,
        id: id.clone(),
    };
    let own = own.to_string();
    mark_skus_dirty(connection, &own)?;
    // What it takes from the stock was counted, and goes on counting, once.
    for table in ["known_order", "order_line"] {
        connection
            .prepare_cached(&format!(
                "UPDATE OR REPLACE {table} SET order_key = ?1 WHERE order_key = ?2 AND shop = ?3"
            ))?
            .execute(params![order_key, own, int(into.0)])?;
    }
    for table in ["purchase", "order_dirty", "order_copy"] {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE order_key = ?1"))?
            .execute([&own])?;
    }
    remember_copy(connection, &order_key, into, id.as_str())?;
    mark_skus_dirty(connection, &order_key)
}

/// The buyer of this order is forgotten. The first time counts.
pub(super) fn erased(
    connection: &Connection,
    at: Timestamp,
    order: &OrderKey,
    by: Option<&str>,
) -> Result<(), JournalError> {
    let order_key = order.to_string();
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO erased(order_key, at, erased_by) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![order_key, micros(at), by])?;
    connection
        .prepare_cached("UPDATE known_order SET sealed = NULL WHERE order_key = ?1")?
        .execute([&order_key])?;
    Ok(())
}

pub(crate) fn is_erased(connection: &Connection, order: &OrderKey) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM erased WHERE order_key = ?1)")?
        .query_row([order.to_string()], |row| row.get(0))?)
}

/// The order that this one of a shop is a copy of.
pub(crate) fn copied_from(
    connection: &Connection,
    shop: ShopId,
    id: &RemoteId,
) -> Result<Option<OrderKey>, JournalError> {
    let order_key: Option<String> = connection
        .prepare_cached("SELECT order_key FROM order_copy WHERE shop = ?1 AND id = ?2")?
        .query_row(params![int(shop.0), id.0], |row| row.get(0))
        .optional()?;
    order_key.map(|key| order_key_of(&key)).transpose()
}

fn remember_copy(
    connection: &Connection,
    order_key: &str,
    shop: ShopId,
    id: &str,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO order_copy(order_key, shop, id) VALUES (?1, ?2, ?3)
             ON CONFLICT (order_key, shop) DO UPDATE SET id = excluded.id",
        )?
        .execute(params![order_key, int(shop.0), id])?;
    Ok(())
}

pub(super) fn mark_dirty(connection: &Connection, order_key: &str) -> Result<(), JournalError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO order_dirty(order_key) VALUES (?1)")?
        .execute([order_key])?;
    Ok(())
}

pub(super) fn mark_skus_dirty(
    connection: &Connection,
    order_key: &str,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO sku_dirty(sku, stock)
             SELECT sku, stock FROM order_line WHERE order_key = ?1 AND closed = 0",
        )?
        .execute([order_key])?;
    Ok(())
}

/// Looked at to the end, unless a write of it waits for its next try.
pub(super) fn done(connection: &Connection, order: &OrderKey) -> Result<(), JournalError> {
    let order_key = order.to_string();
    connection
        .prepare_cached(
            "DELETE FROM order_dirty WHERE order_key = ?1
             AND NOT EXISTS (SELECT 1 FROM aside WHERE subject = ?2)",
        )?
        .execute(params![order_key, order_subject(&order_key)])?;
    Ok(())
}

/// Orders that are held, or that something can still happen to.
pub(super) fn open_ones_dirty(connection: &Connection) -> Result<(), JournalError> {
    connection.execute(
        "INSERT OR IGNORE INTO order_dirty(order_key) SELECT order_key FROM purchase WHERE held IS NOT NULL",
        [],
    )?;
    connection.execute(
        "INSERT OR IGNORE INTO order_dirty(order_key)
         SELECT order_key FROM known_order WHERE placed = 1 AND json_extract(state, '$.fulfilment') <> 'shipped'",
        [],
    )?;
    Ok(())
}
