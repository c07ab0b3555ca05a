//! Orders: what each shop shows of them, their lines by SKU, their copies, what holds them.

use crate::JournalError;
use crate::columns::{decimal, id, int, json, micros, number, order_key_of, order_subject, parse};
use crate::projection::{clear_aside, clear_asides, ledger, stock_mapping};
use jiff::Timestamp;
use lockstep_model::cases::LineSide;
use lockstep_model::entry::{Hold, Personal, Settlement, StockMapping, What};
use lockstep_model::settings::StockId;
use lockstep_model::{
    Edits, ItemId, LineLinks, OrderAnswer, OrderKey, OrderLine, OrderState, OrderStep, Payment,
    RemoteId, ShopId, Stage,
};
use rusqlite::{Connection, OptionalExtension, params};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Seen<'a> {
    pub shop: ShopId,
    pub order: &'a OrderKey,
    pub state: &'a OrderState,
    pub person: &'a Personal,
    pub before_opening: bool,
    pub readdressed: bool,
}

const LINKS: &str = "the links of an order's lines";
const EDITS: &str = "the edits of an order";

/// One side of an order, of one SKU in one stock.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    wanted: Decimal,
    taken: Decimal,
    done: bool,
    closed: bool,
}

type Lines = BTreeMap<(ItemId, StockId), Line>;

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
    if seen.readdressed {
        mark_dirty(connection, &order_key)?;
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
        mark_items_dirty(connection, &order_key)?;
    }
    Ok(())
}

/// Lines that were changed in the origin while its copy was as the origin was are the origin's edit: it is carried to the
/// copy. Once the copy's own lines move, it has arrived, or somebody edited the copy: which is right is then asked.
fn note_edit(
    connection: &Connection,
    order_key: &str,
    seen: &Seen<'_>,
    old: &OrderState,
) -> Result<(), JournalError> {
    let is_copy = owns_copy(seen.order, seen.shop);
    let changed = changed_lines(old, seen.state);
    let total = old.total != seen.state.total;
    if changed.is_empty() && !total && !seen.readdressed {
        return Ok(());
    }
    let mut edits = edits(connection, order_key)?;
    let Some(copy) = first_copy(connection, order_key, seen.order)? else {
        // One that is being made may have been told the other address.
        edits.address |= seen.readdressed;
        return keep_edits(connection, order_key, &edits);
    };
    edits.total |= total;
    if is_copy {
        if !changed.is_empty() {
            edits.lines.clear();
        }
    } else {
        edits.address |= seen.readdressed;
        let links = links(connection, order_key, copy.0)?;
        let is_as_it_was = |line: &&RemoteId| {
            let ordered = old.line(line).map_or(Decimal::ZERO, |line| line.quantity);
            let left_out = links.left_out.get(*line).copied().unwrap_or_default();
            let there = copy.1.lines.iter();
            let there = there.filter(|there| links.lines.get(&there.id) == Some(*line));
            ordered - left_out == there.map(|there| there.quantity).sum::<Decimal>()
        };
        edits
            .lines
            .extend(changed.into_iter().filter(is_as_it_was).cloned());
    }
    keep_edits(connection, order_key, &edits)
}

/// Lines whose units or price are others now. What was shipped, cancelled or returned of them is no edit.
fn changed_lines<'a>(old: &'a OrderState, new: &'a OrderState) -> BTreeSet<&'a RemoteId> {
    let lines = old.lines.iter().chain(&new.lines).map(|line| &line.id);
    let says = |order: &OrderState, id: &RemoteId| {
        let line = order.line(id)?;
        Some((line.quantity, line.unit_price, line.gross))
    };
    lines.filter(|id| says(old, id) != says(new, id)).collect()
}

/// What is carried is no edit any more.
fn carried(connection: &Connection, order_key: &str, step: &OrderStep) -> Result<(), JournalError> {
    let mut edits = edits(connection, order_key)?;
    match step {
        OrderStep::Readdress => edits.address = false,
        OrderStep::Edit { lines } => {
            for line in lines {
                edits.lines.remove(&line.of);
            }
        }
        OrderStep::Pay
        | OrderStep::Ship { .. }
        | OrderStep::Cancel
        | OrderStep::CancelUnits { .. }
        | OrderStep::Refund { .. } => return Ok(()),
    }
    keep_edits(connection, order_key, &edits)
}

pub(crate) fn edits(connection: &Connection, order_key: &str) -> Result<Edits, JournalError> {
    let edits: Option<Option<String>> = connection
        .prepare_cached("SELECT edited FROM purchase WHERE order_key = ?1")?
        .query_row([order_key], |row| row.get(0))
        .optional()?;
    match edits.flatten() {
        Some(edits) => parse(EDITS, &edits),
        None => Ok(Edits::default()),
    }
}

fn keep_edits(connection: &Connection, order_key: &str, edits: &Edits) -> Result<(), JournalError> {
    let edits = match *edits == Edits::default() {
        true => None,
        false => Some(json(EDITS, edits)?),
    };
    connection
        .prepare_cached("UPDATE purchase SET edited = ?2 WHERE order_key = ?1")?
        .execute(params![order_key, edits])?;
    Ok(())
}

fn first_copy(
    connection: &Connection,
    order_key: &str,
    order: &OrderKey,
) -> Result<Option<(ShopId, OrderState)>, JournalError> {
    let copy: Option<(i64, String)> = connection
        .prepare_cached("SELECT shop, state FROM known_order WHERE order_key = ?1 AND shop <> ?2")?
        .query_row(params![order_key, int(order.shop.0)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    copy.map(|(shop, state)| Ok((ShopId(id(shop)), parse("an order's state", &state)?)))
        .transpose()
}

/// Which lines of a copy were made of which of its origin.
pub(super) fn linked(
    connection: &Connection,
    order: &OrderKey,
    copy: ShopId,
    links: &LineLinks,
) -> Result<(), JournalError> {
    let order_key = order.to_string();
    connection
        .prepare_cached("UPDATE order_copy SET links = ?3 WHERE order_key = ?1 AND shop = ?2")?
        .execute(params![order_key, int(copy.0), json(LINKS, links)?])?;
    mark_dirty(connection, &order_key)
}

pub(crate) fn links(
    connection: &Connection,
    order_key: &str,
    copy: ShopId,
) -> Result<LineLinks, JournalError> {
    let links: Option<Option<String>> = connection
        .prepare_cached("SELECT links FROM order_copy WHERE order_key = ?1 AND shop = ?2")?
        .query_row(params![order_key, int(copy.0)], |row| row.get(0))
        .optional()?;
    match links.flatten() {
        Some(links) => parse(LINKS, &links),
        None => Ok(LineLinks::default()),
    }
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
    let both: BTreeSet<&(ItemId, StockId)> = old.keys().chain(new.keys()).collect();
    for key in both {
        let (item, stock) = key;
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
                    "INSERT OR REPLACE INTO order_line(order_key, shop, item, stock, wanted, taken, done, closed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
                )?
                .execute(params![
                    order_key,
                    int(shop.0),
                    item.0,
                    int(stock.0),
                    number(line.wanted),
                    number(line.taken),
                    line.done
                ])?,
            None => connection
                .prepare_cached(
                    "DELETE FROM order_line WHERE order_key = ?1 AND shop = ?2 AND item = ?3 AND stock = ?4",
                )?
                .execute(params![order_key, int(shop.0), item.0, int(stock.0)])?,
        };
        ledger::add_taken(connection, shop, item, *stock, is - was)?;
        ledger::mark_dirty(connection, item, *stock)?;
    }
    Ok(())
}

/// What one line has of its item.
pub(crate) fn side_of(state: &OrderState, line: &OrderLine) -> LineSide {
    let wanted = if state.cancelled {
        Decimal::ZERO
    } else {
        // What cannot be sold again is gone as if the buyer had it.
        (line.quantity - line.cancelled - line.returned + line.written_off).max(Decimal::ZERO)
    };
    LineSide {
        wanted,
        taken: line.taken,
        done: state.cancelled || line.is_final(),
    }
}

fn sum(shop: ShopId, state: &OrderState, mapping: &StockMapping) -> Lines {
    let mut lines = Lines::new();
    for line in &state.lines {
        let Some(item) = line.item() else { continue };
        let Some(stock) = mapping.stock(shop, line.stock.as_ref()) else {
            continue;
        };
        let sum = lines.entry((item, stock)).or_insert(Line {
            wanted: Decimal::ZERO,
            taken: Decimal::ZERO,
            done: true,
            closed: false,
        });
        let side = side_of(state, line);
        sum.wanted += side.wanted;
        sum.taken += side.taken;
        sum.done &= side.done;
    }
    lines
}

fn lines(connection: &Connection, order_key: &str, shop: ShopId) -> Result<Lines, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT item, stock, wanted, taken, done, closed FROM order_line WHERE order_key = ?1 AND shop = ?2",
    )?;
    let mut rows = query.query(params![order_key, int(shop.0)])?;
    let mut lines = Lines::new();
    while let Some(row) = rows.next()? {
        let item: String = row.get(0)?;
        let line = Line {
            wanted: decimal(&row.get::<_, String>(2)?)?,
            taken: decimal(&row.get::<_, String>(3)?)?,
            done: row.get(4)?,
            closed: row.get(5)?,
        };
        lines.insert((item.into(), StockId(id(row.get(1)?))), line);
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
    seq: u64,
    order_key: &str,
    item: &ItemId,
    stock: StockId,
) -> Result<(), JournalError> {
    let open: Vec<(i64, String)> = connection
        .prepare_cached(
            "SELECT shop, taken FROM order_line WHERE order_key = ?1 AND item = ?2 AND stock = ?3 AND closed = 0",
        )?
        .query_map(params![order_key, item.0, int(stock.0)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (shop, taken) in open {
        let shop = ShopId(id(shop));
        let taken = decimal(&taken)?;
        ledger::add_taken(connection, shop, item, stock, -taken)?;
        ledger::shadow_forgets(connection, shop, item, stock, taken)?;
    }
    connection
        .prepare_cached(
            "UPDATE order_line SET closed = ?4 WHERE order_key = ?1 AND item = ?2 AND stock = ?3",
        )?
        .execute(params![order_key, item.0, int(stock.0), int(seq)])?;
    Ok(())
}

pub(super) fn held(
    connection: &Connection,
    seq: u64,
    order: &OrderKey,
    reason: Option<&Hold>,
) -> Result<(), JournalError> {
    let order_key = order.to_string();
    if reason == Some(&Hold::InDoubt) {
        // It may have been made since: that it was refused before says nothing any more.
        clear_asides(connection, &order_subject(&order_key))?;
    }
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
    mark_items_dirty(connection, &order_key)
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
        if let What::StepOrder { step } = what {
            carried(connection, &order_key, step)?;
        }
    }
    if *what == What::CreateOrder && matches!(how, Settlement::NotApplied { .. } | Settlement::Moot)
    {
        // The next one is made of what the order says then.
        keep_edits(connection, &order_key, &Edits::default())?;
    }
    if how.closes() {
        // What waited behind this write can go now.
        mark_dirty(connection, &order_key)?;
        if *what == What::CreateOrder {
            mark_items_dirty(connection, &order_key)?;
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
    clear_asides(connection, &order_subject(&order_key))?;
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
    mark_items_dirty(connection, &own)?;
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
    mark_items_dirty(connection, &order_key)
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

pub(super) fn mark_items_dirty(
    connection: &Connection,
    order_key: &str,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO item_dirty(item, stock)
             SELECT item, stock FROM order_line WHERE order_key = ?1 AND closed = 0",
        )?
        .execute([order_key])?;
    Ok(())
}

/// Looked at to the end: nothing is left to be written, so nothing stands aside any more.
pub(super) fn done(connection: &Connection, order: &OrderKey) -> Result<(), JournalError> {
    let order_key = order.to_string();
    clear_asides(connection, &order_subject(&order_key))?;
    connection
        .prepare_cached("DELETE FROM order_dirty WHERE order_key = ?1")?
        .execute([order_key])?;
    Ok(())
}

/// Every order of which something may still have to be carried, whatever it is like: it may have been shipped, have come back
/// or been paid back while nothing was. Those that were closed and not seen since are over on all sides.
pub(super) fn open_ones_dirty(connection: &Connection) -> Result<(), JournalError> {
    connection.execute(
        "INSERT OR IGNORE INTO order_dirty(order_key)
         SELECT order_key FROM purchase WHERE held IS NOT NULL OR (before_opening = 0 AND NOT EXISTS
             (SELECT 1 FROM order_line l WHERE l.order_key = purchase.order_key AND l.closed > 0 AND l.closed >=
                 (SELECT max(k.seq) FROM known_order k WHERE k.order_key = purchase.order_key)))",
        [],
    )?;
    Ok(())
}
