//! Orders to decide on: those that moved, those that were read, those whose write can be looked at now.

use super::{asides_of, bounded, conflicts_of, intents_of};
use crate::columns::{
    id, int, micros, order_key_of, order_key_of_subject, order_subject, parse, time,
};
use crate::{Journal, JournalError, items, projection, seal};
use jiff::Timestamp;
use lockstep_model::cases::{ItemThere, OrderCase, OrderChunk, StagedOrder};
use lockstep_model::entry::Conflict;
use lockstep_model::settings::StockId;
use lockstep_model::{
    ItemId, Level, OrderKey, OrderLine, OrderState, Person, RemoteId, ShopId, Stage,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

const STATE: &str = "an order's state";

impl Journal {
    /// Orders after this key, in the order of keys. `receivers`: the shops that copies may be made in.
    pub fn load_orders(
        &self,
        after: Option<&OrderKey>,
        limit: usize,
        now: Timestamp,
        receivers: &[ShopId],
    ) -> Result<OrderChunk, JournalError> {
        let limit = bounded(limit);
        let after = after.map(ToString::to_string).unwrap_or_default();
        let rows_max = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        // Three lists in order, put together here: SQLite would build a table for it.
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for list in [
            "SELECT order_key FROM order_dirty WHERE order_key > ?1 ORDER BY order_key LIMIT ?2",
            "SELECT DISTINCT order_key FROM staged_order WHERE order_key > ?1 ORDER BY order_key LIMIT ?2",
        ] {
            let mut query = self.connection.prepare_cached(list)?;
            let mut rows = query.query(params![after, rows_max])?;
            while let Some(row) = rows.next()? {
                keys.insert(row.get(0)?);
            }
        }
        {
            let mut query = self.connection.prepare_cached(
                "SELECT DISTINCT subject FROM intent
                 WHERE subject > ?1 AND subject < 'o;' AND look_at <= ?2 ORDER BY subject LIMIT ?3",
            )?;
            let mut rows = query.query(params![order_subject(&after), micros(now), rows_max])?;
            while let Some(row) = rows.next()? {
                keys.insert(order_key_of_subject(&row.get::<_, String>(0)?)?.to_owned());
            }
        }
        let mut chunk = OrderChunk::default();
        for key in keys.iter().take(limit) {
            chunk
                .cases
                .push(order_case(&self.connection, key, receivers)?);
        }
        if keys.len() > limit {
            chunk.next = chunk.cases.last().map(|case| case.order.clone());
        }
        Ok(chunk)
    }
}

impl Journal {
    /// One order. `None`: it was never met.
    pub fn order_case(&self, order: &OrderKey) -> Result<Option<OrderCase>, JournalError> {
        let order_key = order.to_string();
        let is_known: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM purchase WHERE order_key = ?1)")?
            .query_row([&order_key], |row| row.get(0))?;
        if !is_known {
            return Ok(None);
        }
        order_case(&self.connection, &order_key, &[]).map(Some)
    }

    /// The ids of orders of this shop that bear this number there and are nobody's copy.
    pub fn orders_numbered(
        &self,
        shop: ShopId,
        number: &str,
    ) -> Result<Vec<RemoteId>, JournalError> {
        let ids = self
            .connection
            .prepare_cached(
                "SELECT k.id FROM known_order k
                 WHERE k.shop = ?1 AND k.number = ?2
                 AND NOT EXISTS (SELECT 1 FROM order_copy c WHERE c.shop = k.shop AND c.id = k.id)
                 ORDER BY k.id LIMIT 10",
            )?
            .query_map(params![int(shop.0), number], |row| {
                Ok(RemoteId(row.get(0)?))
            })?
            .collect::<Result<_, _>>()?;
        Ok(ids)
    }

    /// The order that this one of a shop is a copy of.
    pub fn copied_from(
        &self,
        shop: ShopId,
        id: &RemoteId,
    ) -> Result<Option<OrderKey>, JournalError> {
        projection::copied_from(&self.connection, shop, id)
    }
}

pub(crate) fn known_states(
    connection: &Connection,
    order_key: &str,
) -> Result<BTreeMap<ShopId, OrderState>, JournalError> {
    let mut query =
        connection.prepare_cached("SELECT shop, state FROM known_order WHERE order_key = ?1")?;
    let mut rows = query.query([order_key])?;
    let mut known = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let state = parse(STATE, &row.get::<_, String>(1)?)?;
        known.insert(ShopId(id(row.get(0)?)), state);
    }
    Ok(known)
}

/// The time of an entry, of all that it says.
#[derive(Deserialize)]
struct At {
    at: Timestamp,
}

/// Final in every shop that has it, or never placed, and not moved since `before`. An order that nobody has is not.
pub(crate) fn is_final_since(
    connection: &Connection,
    order_key: &str,
    before: Timestamp,
) -> Result<bool, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT k.state, e.line FROM known_order k LEFT JOIN entry e ON e.seq = k.seq WHERE k.order_key = ?1",
    )?;
    let mut rows = query.query([order_key])?;
    let mut any = false;
    while let Some(row) = rows.next()? {
        any = true;
        let state: OrderState = parse(STATE, &row.get::<_, String>(0)?)?;
        let is_over = state.cancelled
            || state.stage == Stage::Unplaced
            || goods(&state).all(OrderLine::is_final);
        // An entry that retention has taken is older than any bound.
        let at = match row.get::<_, Option<String>>(1)? {
            Some(line) => parse::<At>("an entry's time", &line)?.at,
            None => Timestamp::MIN,
        };
        if !is_over || at >= before {
            return Ok(false);
        }
    }
    Ok(any)
}

/// What is shipped: a tip or a service never is, unless there is nothing else.
fn goods(state: &OrderState) -> impl Iterator<Item = &OrderLine> {
    let any = state.lines.iter().any(|line| line.sku.is_some());
    let lines = state.lines.iter();
    lines.filter(move |line| !any || line.sku.is_some())
}

pub(crate) fn copies(
    connection: &Connection,
    order_key: &str,
) -> Result<BTreeMap<ShopId, RemoteId>, JournalError> {
    let copies = connection
        .prepare_cached("SELECT shop, id FROM order_copy WHERE order_key = ?1")?
        .query_map([order_key], |row| {
            Ok((ShopId(id(row.get(0)?)), RemoteId(row.get(1)?)))
        })?
        .collect::<Result<_, _>>()?;
    Ok(copies)
}

fn order_case(
    connection: &Connection,
    order_key: &str,
    receivers: &[ShopId],
) -> Result<OrderCase, JournalError> {
    let known = known_states(connection, order_key)?;
    let staged = staged_states(connection, order_key)?;
    let purchase: Option<(bool, Option<String>)> = connection
        .prepare_cached("SELECT before_opening, held FROM purchase WHERE order_key = ?1")?
        .query_row([order_key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (before_opening, held) = purchase.unwrap_or_default();
    let held = held
        .map(|held| parse("what holds an order", &held))
        .transpose()?;
    let subject = order_subject(order_key);
    let asides = asides_of(connection, &subject)?;
    let in_order: BTreeSet<ItemId> = known
        .values()
        .chain(staged.values().map(|staged| &staged.state))
        .flat_map(|state| &state.lines)
        .filter_map(OrderLine::item)
        .collect();
    let mut items = BTreeMap::new();
    for shop in receivers {
        let mut here = BTreeMap::new();
        for item in &in_order {
            if let Some(there) = item_there(connection, *shop, item)? {
                here.insert(item.clone(), there);
            }
        }
        items.insert(*shop, here);
    }
    let order = order_key_of(order_key)?;
    let copies = copies(connection, order_key)?;
    Ok(OrderCase {
        known,
        links: copies
            .keys()
            .map(|shop| Ok((*shop, projection::links(connection, order_key, *shop)?)))
            .collect::<Result<_, JournalError>>()?,
        copies,
        person: person(connection, &order, order_key)?,
        staged,
        before_opening,
        held,
        open: intents_of(connection, &subject)?,
        aside_until: asides
            .iter()
            .map(|(shop, aside)| (*shop, aside.until))
            .collect(),
        tries: asides
            .iter()
            .map(|(shop, aside)| (*shop, aside.tries))
            .collect(),
        refused: asides
            .into_iter()
            .map(|(shop, aside)| (shop, aside.refused))
            .collect(),
        conflicts: conflicts_of(connection, &subject)?,
        settled: settled(connection, &subject)?,
        edits: projection::edits(connection, order_key)?,
        buyer_erased: projection::is_erased(connection, &order)?,
        items,
        order,
    })
}

fn staged_states(
    connection: &Connection,
    order_key: &str,
) -> Result<BTreeMap<ShopId, StagedOrder>, JournalError> {
    // Of two orders of one shop that carry one key, the one read last.
    let mut query = connection.prepare_cached(
        "SELECT shop, state, sealed, reading, left_at FROM staged_order WHERE order_key = ?1 ORDER BY reading",
    )?;
    let mut rows = query.query([order_key])?;
    let mut staged = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let person = match row.get::<_, Option<String>>(2)? {
            Some(sealed) => seal::unseal(connection, order_key, &sealed)?,
            None => None,
        };
        let order = StagedOrder {
            state: parse(STATE, &row.get::<_, String>(1)?)?,
            person,
            reading: id(row.get(3)?),
            left_at: time(row.get(4)?)?,
        };
        staged.insert(ShopId(id(row.get(0)?)), order);
    }
    Ok(staged)
}

/// The buyer that is kept with the origin.
fn person(
    connection: &Connection,
    order: &OrderKey,
    order_key: &str,
) -> Result<Option<Person>, JournalError> {
    let sealed: Option<Option<String>> = connection
        .prepare_cached("SELECT sealed FROM known_order WHERE order_key = ?1 AND shop = ?2")?
        .query_row(params![order_key, int(order.shop.0)], |row| row.get(0))
        .optional()?;
    match sealed.flatten() {
        Some(sealed) => seal::unseal(connection, order_key, &sealed),
        None => Ok(None),
    }
}

/// An item as the shop has it. `None`: it does not have it.
fn item_there(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
) -> Result<Option<ItemThere>, JournalError> {
    let mut there = ItemThere {
        sku: items::sku_at(connection, shop, item)?,
        variant: items::variant_at(connection, shop, item)?,
        sellable: BTreeMap::new(),
    };
    let mut query = connection.prepare_cached(
        "SELECT stock, level FROM level WHERE shop = ?1 AND item = ?2 AND gone = 0",
    )?;
    let mut rows = query.query(params![int(shop.0), item.as_str()])?;
    while let Some(row) = rows.next()? {
        let level: Level = parse("a stock level", &row.get::<_, String>(1)?)?;
        there
            .sellable
            .insert(StockId(id(row.get(0)?)), level.available());
    }
    let is_there = there.variant.is_some() || !there.sellable.is_empty();
    Ok(is_there.then_some(there))
}

/// Questions about this order that a person has answered.
fn settled(connection: &Connection, subject: &str) -> Result<Vec<Conflict>, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT about FROM conflict
         WHERE subject = ?1 AND closed_at IS NOT NULL AND decided_by IS NOT NULL",
    )?;
    let mut rows = query.query([subject])?;
    let mut settled = Vec::new();
    while let Some(row) = rows.next()? {
        settled.push(parse("a conflict", &row.get::<_, String>(0)?)?);
    }
    Ok(settled)
}
