//! Items whose stock is to be decided on: all shops' levels, all order lines that count.

use super::orders::known_states;
use super::{asides_of, bounded, conflicts_of, intents_of};
use crate::columns::{decimal, id, int, level_subject, order_key_of, parse, time};
use crate::{Journal, JournalError, items, projection};
use lockstep_model::cases::{LevelAt, LineCase, LineSide, StockCase, StockChunk};
use lockstep_model::settings::StockId;
use lockstep_model::{ItemId, RemoteId, ShopId, Status};
use rusqlite::{Connection, OptionalExtension, params};
use rust_decimal::Decimal;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// So many levels are no flood, whatever they are a part of: all are not counted for them.
const A_FEW: usize = 10;

impl Journal {
    fn weigh(&self) -> Result<(u64, u64), JournalError> {
        let counts = self
            .connection
            .prepare_cached(
                "SELECT (SELECT count(*) FROM (SELECT item, stock FROM item_dirty UNION SELECT item, stock FROM staged_level)),
                        (SELECT count(*) FROM base)",
            )?
            .query_row([], |row| Ok((id(row.get(0)?), id(row.get(1)?))))?;
        Ok(counts)
    }

    /// Items that are dirty, or whose levels were read and differ from what we know, in order. `count_all`: say of the first
    /// chunk how many there are in all, also if few are due.
    pub fn load_stock(
        &self,
        after: Option<&(ItemId, StockId)>,
        limit: usize,
        count_all: bool,
    ) -> Result<StockChunk, JournalError> {
        let limit = bounded(limit);
        let (item, stock) = match after {
            Some((item, stock)) => (item.as_str(), int(stock.0)),
            None => ("", i64::MIN),
        };
        // Two lists in order, put together here: SQLite would build a table for it.
        let mut found: BTreeSet<(String, i64)> = BTreeSet::new();
        for list in [
            "SELECT item, stock FROM item_dirty WHERE (item, stock) > (?1, ?2) ORDER BY item, stock LIMIT ?3",
            "SELECT DISTINCT item, stock FROM staged_level WHERE (item, stock) > (?1, ?2) ORDER BY item, stock LIMIT ?3",
        ] {
            let mut query = self.connection.prepare_cached(list)?;
            let mut rows = query.query(params![
                item,
                stock,
                i64::try_from(limit + 1).unwrap_or(i64::MAX)
            ])?;
            while let Some(row) = rows.next()? {
                found.insert((row.get(0)?, row.get(1)?));
            }
        }
        let keys: Vec<(ItemId, StockId)> = found
            .into_iter()
            .map(|(item, stock)| (ItemId(item), StockId(id(stock))))
            .collect();
        let mut chunk = StockChunk::default();
        let mut count = limit.min(keys.len());
        // The stocks of one SKU stay together, since a shop may be told their sum.
        while let (Some(last), Some(next)) = (keys[..count].last(), keys.get(count))
            && last.0 == next.0
            && keys[0].0 != last.0
        {
            count -= 1;
        }
        for (item, stock) in &keys[..count] {
            chunk
                .cases
                .push(stock_case(&self.connection, item, *stock)?);
        }
        if after.is_none() && (count_all || keys.len() > A_FEW) {
            (chunk.due, chunk.total) = self.weigh()?;
        }
        if keys.len() > count {
            chunk.next = chunk
                .cases
                .last()
                .map(|case| (case.item.clone(), case.stock));
        }
        Ok(chunk)
    }
}

pub(crate) fn stock_case(
    connection: &Connection,
    item: &ItemId,
    stock: StockId,
) -> Result<StockCase, JournalError> {
    let key = params![item.0, int(stock.0)];
    let mut opened = opened(connection, item)?;
    let emptied = opened.iter().filter(|(_, opened)| opened.emptied);
    let emptied = emptied.map(|(stock, _)| *stock).collect();
    let own = opened.remove(&stock);
    let others = opened.into_iter();
    let mut levels: BTreeMap<ShopId, LevelAt> = BTreeMap::new();
    {
        let mut query = connection.prepare_cached(
            "SELECT shop, level, taken, meant, gone FROM level WHERE item = ?1 AND stock = ?2",
        )?;
        let mut rows = query.query(key)?;
        while let Some(row) = rows.next()? {
            let at = LevelAt {
                held: Some((
                    parse("a stock level", &row.get::<_, String>(1)?)?,
                    decimal(&row.get::<_, String>(2)?)?,
                )),
                meant: row
                    .get::<_, Option<String>>(3)?
                    .as_deref()
                    .map(decimal)
                    .transpose()?,
                gone: row.get(4)?,
                ..LevelAt::default()
            };
            levels.insert(ShopId(id(row.get(0)?)), at);
        }
    }
    {
        let mut query = connection.prepare_cached(
            "SELECT shop, level, reading, left_at FROM staged_level WHERE item = ?1 AND stock = ?2",
        )?;
        let mut rows = query.query(key)?;
        while let Some(row) = rows.next()? {
            let staged = (
                parse("a stock level", &row.get::<_, String>(1)?)?,
                id(row.get(2)?),
            );
            let at = levels.entry(ShopId(id(row.get(0)?))).or_default();
            at.staged = Some(staged);
            at.left_at = Some(time(row.get(3)?)?);
        }
    }
    {
        let mut query = connection
            .prepare_cached("SELECT shop, taken FROM taken WHERE item = ?1 AND stock = ?2")?;
        let mut rows = query.query(key)?;
        while let Some(row) = rows.next()? {
            let taken = decimal(&row.get::<_, String>(1)?)?;
            if !taken.is_zero() || levels.contains_key(&ShopId(id(row.get(0)?))) {
                levels.entry(ShopId(id(row.get(0)?))).or_default().taken = taken;
            }
        }
    }
    let subject = level_subject(stock, item);
    for intent in intents_of(connection, &subject)? {
        levels.entry(intent.shop).or_default().open.push(intent);
    }
    for (shop, aside) in asides_of(connection, &subject)? {
        let at = levels.entry(shop).or_default();
        at.aside_until = Some(aside.until);
        at.refused = aside.refused;
        at.tries = aside.tries;
    }
    Ok(StockCase {
        item: item.clone(),
        sku: items::sku_of(connection, item)?,
        stock,
        status: status(connection, item)?,
        base: own.as_ref().map(|own| own.base),
        counted_by: own.and_then(|own| own.counted_by),
        other_bases: others.map(|(stock, other)| (stock, other.base)).collect(),
        emptied,
        levels,
        lines: lines(connection, item)?,
        conflicts: conflicts_of(connection, &subject)?,
    })
}

/// Of the product that the item belongs to.
fn status(connection: &Connection, item: &ItemId) -> Result<Option<Status>, JournalError> {
    let Some(record) = items::record_of(connection, item)? else {
        return Ok(None);
    };
    let status: Option<Option<String>> = connection
        .prepare_cached("SELECT json_extract(ours, '$.status') FROM record WHERE record = ?1")?
        .query_row([record], |row| row.get(0))
        .optional()?;
    Ok(status.flatten().as_deref().and_then(Status::parse))
}

pub(crate) fn bases(
    connection: &Connection,
    item: &ItemId,
) -> Result<BTreeMap<StockId, Decimal>, JournalError> {
    let opened = opened(connection, item)?.into_iter();
    Ok(opened.map(|(stock, opened)| (stock, opened.base)).collect())
}

/// A stock of a SKU that was opened.
struct OpenedStock {
    base: Decimal,
    counted_by: Option<ShopId>,
    emptied: bool,
}

fn opened(
    connection: &Connection,
    item: &ItemId,
) -> Result<BTreeMap<StockId, OpenedStock>, JournalError> {
    let mut query = connection
        .prepare_cached("SELECT stock, base, counted_by, emptied FROM base WHERE item = ?1")?;
    let mut rows = query.query([item.as_str()])?;
    let mut opened = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let stock = OpenedStock {
            base: decimal(&row.get::<_, String>(1)?)?,
            counted_by: row.get::<_, Option<i64>>(2)?.map(|shop| ShopId(id(shop))),
            emptied: row.get(3)?,
        };
        opened.insert(StockId(id(row.get(0)?)), stock);
    }
    Ok(opened)
}

/// By shop and by stock there.
type Sides = BTreeMap<ShopId, BTreeMap<StockId, LineSide>>;

/// What every order has of the SKU in any stock, but for what is closed.
pub(crate) fn lines(connection: &Connection, item: &ItemId) -> Result<Vec<LineCase>, JournalError> {
    let mut sides: BTreeMap<String, Sides> = BTreeMap::new();
    {
        let mut query = connection.prepare_cached(
            "SELECT order_key, shop, stock, wanted, taken, done FROM order_line
             WHERE item = ?1 AND closed = 0",
        )?;
        let mut rows = query.query([item.as_str()])?;
        while let Some(row) = rows.next()? {
            let side = LineSide {
                wanted: decimal(&row.get::<_, String>(3)?)?,
                taken: decimal(&row.get::<_, String>(4)?)?,
                done: row.get(5)?,
            };
            let stocks = sides
                .entry(row.get(0)?)
                .or_default()
                .entry(ShopId(id(row.get(1)?)))
                .or_default();
            stocks.insert(StockId(id(row.get(2)?)), side);
        }
    }
    let mut lines = Vec::new();
    for (order_key, sides) in sides {
        let (line, twins) = line(connection, item, &order_key, sides)?;
        if twins > 1 {
            let parts = told_apart(connection, item, &line)?;
            lines.extend(parts.into_iter().map(|sides| LineCase {
                sides,
                ..line.clone()
            }));
        } else {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// An order's lines of one SKU, each with what the copies have of it: one may be over while another is open. All together,
/// as long as a copy has a line of which nobody knows whose it is.
fn told_apart(
    connection: &Connection,
    item: &ItemId,
    whole: &LineCase,
) -> Result<Vec<Sides>, JournalError> {
    let order_key = whole.order.to_string();
    let mapping = projection::stock_mapping(connection)?.unwrap_or_default();
    let mut parts: BTreeMap<RemoteId, Sides> = BTreeMap::new();
    for (shop, state) in known_states(connection, &order_key)? {
        let Some(counted) = whole.sides.get(&shop) else {
            continue;
        };
        let links = projection::links(connection, &order_key, shop)?;
        for line in &state.lines {
            let stock = mapping.stock(shop, line.stock.as_ref());
            let Some(stock) = stock.filter(|stock| counted.contains_key(stock)) else {
                continue;
            };
            if line.item().as_ref() != Some(item) {
                continue;
            }
            let name = if shop == whole.order.shop {
                Some(&line.id)
            } else {
                links.lines.get(&line.id)
            };
            let Some(name) = name else {
                return Ok(vec![whole.sides.clone()]);
            };
            let side = projection::side_of(&state, line);
            let stocks = parts.entry(name.clone()).or_default();
            let stocks = stocks.entry(shop).or_default();
            match stocks.entry(stock) {
                Entry::Vacant(none) => {
                    none.insert(side);
                }
                Entry::Occupied(mut sum) => {
                    let sum = sum.get_mut();
                    sum.wanted += side.wanted;
                    sum.taken += side.taken;
                    sum.done &= side.done;
                }
            }
        }
    }
    let is_of_the_origin = |part: &Sides| part.contains_key(&whole.order.shop);
    if parts.is_empty() || !parts.values().all(is_of_the_origin) {
        return Ok(vec![whole.sides.clone()]);
    }
    // A copy that was made without a line will never have anything of it.
    for part in parts.values_mut() {
        for (shop, stocks) in &whole.sides {
            if let (false, Some(stock)) = (part.contains_key(shop), stocks.keys().next()) {
                let nothing = LineSide {
                    wanted: Decimal::ZERO,
                    taken: Decimal::ZERO,
                    done: true,
                };
                part.insert(*shop, [(*stock, nothing)].into());
            }
        }
    }
    Ok(parts.into_values().collect())
}

/// With how many lines of the SKU its origin has.
fn line(
    connection: &Connection,
    item: &ItemId,
    order_key: &str,
    sides: Sides,
) -> Result<(LineCase, i64), JournalError> {
    let order = order_key_of(order_key)?;
    let origin: Option<(String, bool, bool, i64)> = connection
        .prepare_cached(
            "SELECT number, placed, accepted,
                (SELECT count(*) FROM json_each(state, '$.lines')
                 WHERE ifnull(json_extract(value, '$.item'), json_extract(value, '$.sku')) = ?3)
             FROM known_order WHERE order_key = ?1 AND shop = ?2",
        )?
        .query_row(params![order_key, int(order.shop.0), item.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let twins = origin.as_ref().map_or(0, |(.., twins)| *twins);
    let before_opening: Option<bool> = connection
        .prepare_cached("SELECT before_opening FROM purchase WHERE order_key = ?1")?
        .query_row([order_key], |row| row.get(0))
        .optional()?;
    // Copies that are known to exist, whether they were seen yet or not.
    let copies: Vec<(ShopId, bool)> = connection
        .prepare_cached(
            "SELECT c.shop, k.shop IS NOT NULL FROM order_copy c
             LEFT JOIN known_order k ON k.order_key = c.order_key AND k.shop = c.shop
             WHERE c.order_key = ?1",
        )?
        .query_map([order_key], |row| {
            Ok((ShopId(id(row.get(0)?)), row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut on_its_way: BTreeSet<ShopId> = connection
        .prepare_cached(
            "SELECT shop FROM intent
             WHERE subject = 'o:' || ?1 AND json_extract(what, '$.what') = 'create_order'",
        )?
        .query_map([order_key], |row| Ok(ShopId(id(row.get(0)?))))?
        .collect::<Result<_, _>>()?;
    on_its_way.extend(
        copies
            .iter()
            .filter(|(_, seen)| !seen)
            .map(|(shop, _)| shop),
    );
    let (number, accepted) = match origin {
        Some((number, placed, accepted, _)) => (number, placed && (accepted || !copies.is_empty())),
        // Only its copy is known: it did cross.
        None => (order.id.0.clone(), true),
    };
    let line = LineCase {
        order,
        number,
        before_opening: before_opening.unwrap_or_default(),
        accepted,
        sides,
        on_its_way: on_its_way.into_iter().collect(),
    };
    Ok((line, twins))
}
