//! Pages of shops, staged: what differs from what we know is kept until it is dealt with; the rest leaves no trace.

use crate::bounds::PAGE_RECORDS_MAX;
use crate::columns::{
    int, json, kind_code, level_subject, micros, number, order_subject, parse, place,
    record_subject, remote_text,
};
use crate::{Journal, JournalError, items, projection, seal};
use jiff::Timestamp;
use lockstep_model::entry::StockMapping;
use lockstep_model::{
    Category, CustomerId, Fields, Kind, Lane, Level, Order, OrderKey, OrderState, Parts, Product,
    Record, RemoteId, ShopId, gtins_of,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageSummary {
    pub records: u32,
    /// Of which differ from what we know, or whose write is in doubt.
    pub changed: u32,
}

impl Journal {
    /// Stages records of one shop that were read after every write that is known: see [`Journal::stage_page`].
    pub fn stage(
        &mut self,
        shop: ShopId,
        records: Vec<Record>,
    ) -> Result<StageSummary, JournalError> {
        self.stage_page(shop, records, Timestamp::MAX)
    }

    /// Stages a page of one shop, in one transaction. A later reading of a record replaces the earlier one. `left_at`:
    /// when the request for it left, at the latest: what was written since, the page need not show.
    ///
    /// Levels of stocks that are not mapped (see [`Journal::map_stocks`]) are left out.
    pub fn stage_page(
        &mut self,
        shop: ShopId,
        records: Vec<Record>,
        left_at: Timestamp,
    ) -> Result<StageSummary, JournalError> {
        let left_at = micros(left_at);
        if records.len() > PAGE_RECORDS_MAX {
            return Err(JournalError::TooLarge {
                what: "records of one page",
                found: records.len(),
                max: PAGE_RECORDS_MAX,
            });
        }
        let customer = self.customer;
        let mut paths_are_stale = false;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mapping = projection::stock_mapping(&transaction)?.unwrap_or_default();
        let mut summary = StageSummary::default();
        for mut record in records {
            summary.records += 1;
            items::name(&transaction, shop, &mut record)?;
            let changed = match record {
                Record::Product(product) => stage_product(&transaction, shop, &product, left_at)?,
                Record::Category(category) => {
                    paths_are_stale = true;
                    stage_category(&transaction, shop, &category, left_at)?
                }
                Record::Gone { kind, id } => {
                    paths_are_stale |= kind == Kind::Category;
                    stage_gone(&transaction, shop, kind, &id, left_at)?
                }
                Record::Order(order) => stage_order(&transaction, customer, shop, *order, left_at)?,
                Record::Level(level) => stage_level(&transaction, shop, &level, &mapping, left_at)?,
            };
            summary.changed += u32::from(changed);
        }
        transaction.commit()?;
        if paths_are_stale {
            self.paths_are_stale.set(true);
        }
        Ok(summary)
    }

    /// What this file has staged was read by another process, whose clock may have been another: of an open write it
    /// proves nothing any more.
    pub fn distrust_staged(&mut self) -> Result<(), JournalError> {
        for table in ["staged", "staged_order", "staged_level"] {
            self.connection.execute(
                &format!("UPDATE {table} SET left_at = ?1"),
                [micros(Timestamp::MIN)],
            )?;
        }
        Ok(())
    }

    /// Drops what a lane has staged: its run has ended for good and its cursors have not moved.
    pub fn forget_staged(&mut self, lane: Lane) -> Result<(), JournalError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        forget(&transaction, lane)?;
        transaction.commit()?;
        Ok(())
    }
}

pub(crate) fn forget(connection: &Connection, lane: Lane) -> Result<(), JournalError> {
    let tables = match lane {
        Lane::Catalogue => [
            "DELETE FROM staged",
            "DELETE FROM staged_key",
            "DELETE FROM staged_gtin",
        ]
        .as_slice(),
        Lane::Trade => &["DELETE FROM staged_order", "DELETE FROM staged_level"],
    };
    for delete in tables {
        connection.prepare_cached(delete)?.execute([])?;
    }
    Ok(())
}

fn stage_product(
    connection: &Connection,
    shop: ShopId,
    product: &Product,
    left_at: i64,
) -> Result<bool, JournalError> {
    let (fields, parts) = (product.fields(), product.parts());
    if is_unchanged(
        connection,
        shop,
        Kind::Product,
        &product.id,
        &fields,
        &parts,
    )? {
        unstage(connection, shop, Kind::Product, &product.id)?;
        return Ok(false);
    }
    let mut keys: Vec<String> = product
        .variants
        .iter()
        .map(|variant| variant.sku.0.clone())
        .filter(|sku| !sku.is_empty())
        .collect();
    keys.sort();
    keys.dedup();
    let first = keys
        .first()
        .cloned()
        .unwrap_or_else(|| keyless(shop, &product.id));
    let place = place(Kind::Product, &first, &tie(shop, &product.id));
    let row = Row {
        shop,
        kind: Kind::Product,
        id: &product.id,
        place: &place,
        keys: &keys,
        body: Some((&fields, &parts)),
        left_at,
    };
    row.put(connection)?;
    Ok(true)
}

fn stage_category(
    connection: &Connection,
    shop: ShopId,
    category: &Category,
    left_at: i64,
) -> Result<bool, JournalError> {
    let (fields, parts) = (category.fields(), Parts::default());
    if is_unchanged(
        connection,
        shop,
        Kind::Category,
        &category.id,
        &fields,
        &parts,
    )? {
        unstage(connection, shop, Kind::Category, &category.id)?;
        return Ok(false);
    }
    // Its path, and so its place, is worked out when all pages are there: a parent may come after its children.
    let row = Row {
        shop,
        kind: Kind::Category,
        id: &category.id,
        place: "",
        keys: &[],
        body: Some((&fields, &parts)),
        left_at,
    };
    row.put(connection)?;
    Ok(true)
}

fn stage_gone(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
    left_at: i64,
) -> Result<bool, JournalError> {
    match kind {
        Kind::Category | Kind::Product => {}
        // An order that is no longer shown keeps its link and its last state; a level goes with its product.
        Kind::Order | Kind::Level => return Ok(false),
    }
    let is_there: Option<bool> = connection
        .prepare_cached("SELECT gone FROM link WHERE shop = ?1 AND kind = ?2 AND id = ?3")?
        .query_row(params![int(shop.0), kind_code(kind), id.0], |row| {
            row.get(0)
        })
        .optional()?;
    if is_there != Some(false) && !is_doubted(connection, shop, kind, id)? {
        // Never met, or known to be gone.
        unstage(connection, shop, kind, id)?;
        return Ok(false);
    }
    let place = place(kind, &keyless(shop, id), &tie(shop, id));
    let row = Row {
        shop,
        kind,
        id,
        place: &place,
        keys: &[],
        body: None,
        left_at,
    };
    row.put(connection)?;
    Ok(true)
}

fn keyless(shop: ShopId, id: &RemoteId) -> String {
    format!("#{shop}/{id}")
}

fn tie(shop: ShopId, id: &RemoteId) -> String {
    format!("s{shop}/{id}")
}

/// Does the shop hold what we know it to hold, and is no write to it in doubt?
fn is_unchanged(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
    fields: &Fields,
    parts: &Parts,
) -> Result<bool, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT record, gone, held, parts FROM link WHERE shop = ?1 AND kind = ?2 AND id = ?3",
    )?;
    let mut rows = query.query(params![int(shop.0), kind_code(kind), id.0])?;
    let Some(row) = rows.next()? else {
        return Ok(false);
    };
    if row.get::<_, bool>(1)? {
        return Ok(false);
    }
    let record: i64 = row.get(0)?;
    let same = is_json_of(row, 2, "a record's fields", fields)?
        && is_json_of(row, 3, "the parts of a shop's record", parts)?;
    Ok(same
        && !has_intent(connection, &record_subject(record), shop)?
        && !stands_aside(connection, shop, kind, id)?)
}

/// Compares the texts first: the same value is written the same way by the same version.
fn is_json_of<T>(
    row: &rusqlite::Row<'_>,
    column: usize,
    what: &'static str,
    value: &T,
) -> Result<bool, JournalError>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq,
{
    let held = row
        .get_ref(column)?
        .as_str()
        .map_err(rusqlite::Error::from)?;
    Ok(held == json(what, value)? || parse::<T>(what, held)? == *value)
}

fn has_intent(connection: &Connection, subject: &str, shop: ShopId) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM intent WHERE subject = ?1 AND shop = ?2)")?
        .query_row(params![subject, int(shop.0)], |row| row.get(0))?)
}

/// A record that could not be read (or doubled another's key) has to be dealt with again.
fn stands_aside(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM aside WHERE subject = ?1 AND shop = ?2)")?
        .query_row(
            params![remote_text(kind, id.as_str()), int(shop.0)],
            |row| row.get(0),
        )?)
}

fn unstage(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
) -> Result<(), JournalError> {
    let reading: Option<i64> = connection
        .prepare_cached(
            "DELETE FROM staged WHERE shop = ?1 AND kind = ?2 AND id = ?3 RETURNING reading",
        )?
        .query_row(params![int(shop.0), kind_code(kind), id.0], |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(reading) = reading {
        forget_keys(connection, reading)?;
    }
    Ok(())
}

/// What a reading that is over was found by.
pub(crate) fn forget_keys(connection: &Connection, reading: i64) -> Result<(), JournalError> {
    for delete in [
        "DELETE FROM staged_key WHERE reading = ?1",
        "DELETE FROM staged_gtin WHERE reading = ?1",
    ] {
        connection.prepare_cached(delete)?.execute([reading])?;
    }
    Ok(())
}

fn is_doubted(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM doubt WHERE shop = ?1 AND kind = ?2 AND id = ?3)",
        )?
        .query_row(params![int(shop.0), kind_code(kind), id.0], |row| {
            row.get(0)
        })?)
}

/// A row of `staged`.
struct Row<'a> {
    shop: ShopId,
    kind: Kind,
    id: &'a RemoteId,
    place: &'a str,
    keys: &'a [String],
    /// `None`: the shop says that it is gone.
    body: Option<(&'a Fields, &'a Parts)>,
    left_at: i64,
}

impl Row<'_> {
    /// Puts it in under a new reading; an older reading of the record goes.
    fn put(&self, connection: &Connection) -> Result<(), JournalError> {
        unstage(connection, self.shop, self.kind, self.id)?;
        let (fields, parts) = match self.body {
            Some((fields, parts)) => (
                json("a record's fields", fields)?,
                json("the parts of a shop's record", parts)?,
            ),
            None => ("{}".to_owned(), "{}".to_owned()),
        };
        connection
            .prepare_cached(
                "INSERT INTO staged(shop, kind, id, place, keys, gone, fields, parts, left_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                int(self.shop.0),
                kind_code(self.kind),
                self.id.0,
                self.place,
                json("a record's keys", &self.keys)?,
                self.body.is_none(),
                fields,
                parts,
                self.left_at
            ])?;
        let reading = connection.last_insert_rowid();
        let mut insert = connection
            .prepare_cached("INSERT INTO staged_key(kind, key, reading) VALUES (?1, ?2, ?3)")?;
        for key in self.keys {
            insert.execute(params![kind_code(self.kind), key, reading])?;
        }
        if let Some((fields, _)) = self.body {
            let mut insert = connection.prepare_cached(
                "INSERT OR IGNORE INTO staged_gtin(gtin, reading) VALUES (?1, ?2)",
            )?;
            for gtin in gtins_of(fields) {
                insert.execute(params![gtin, reading])?;
            }
        }
        Ok(())
    }
}

/// Under which key an order is known: its own in its origin, the origin's in a copy that carries ours or is linked.
fn key_of(
    connection: &Connection,
    customer: CustomerId,
    shop: ShopId,
    order: &Order,
) -> Result<OrderKey, JournalError> {
    let carried = order.state.key.as_deref().and_then(OrderKey::parse);
    if let Some(key) = carried.filter(|key| key.customer == customer && key.shop != shop) {
        return Ok(key);
    }
    let id = order.state.id.clone();
    let linked = projection::copied_from(connection, shop, &id)?;
    Ok(linked.unwrap_or(OrderKey { customer, shop, id }))
}

/// An order as this shop last showed it.
pub(crate) fn known_order(
    connection: &Connection,
    customer: CustomerId,
    shop: ShopId,
    order: &Order,
) -> Result<Option<OrderState>, JournalError> {
    let order_key = key_of(connection, customer, shop, order)?.to_string();
    let known: Option<String> = connection
        .prepare_cached("SELECT state FROM known_order WHERE order_key = ?1 AND shop = ?2")?
        .query_row(params![order_key, int(shop.0)], |row| row.get(0))
        .optional()?;
    let parsed = known.map(|known| parse("an order's state", &known));
    parsed.transpose()
}

fn stage_order(
    connection: &Connection,
    customer: CustomerId,
    shop: ShopId,
    mut order: Order,
    left_at: i64,
) -> Result<bool, JournalError> {
    let key = key_of(connection, customer, shop, &order)?;
    let order_key = key.to_string();
    let known = known_order(connection, customer, shop, &order)?;
    items::name_lines(connection, shop, &mut order, known.as_ref())?;
    let id = &order.state.id;
    connection
        .prepare_cached("DELETE FROM staged_order WHERE shop = ?1 AND id = ?2")?
        .execute(params![int(shop.0), id.0])?;
    let same = {
        let mut query = connection.prepare_cached(
            "SELECT state, sealed FROM known_order WHERE order_key = ?1 AND shop = ?2",
        )?;
        let mut rows = query.query(params![order_key, int(shop.0)])?;
        match rows.next()? {
            Some(row) => {
                let sealed: Option<String> = row.get(1)?;
                let known = match sealed {
                    Some(sealed) => seal::unseal(connection, &order_key, &sealed)?,
                    None => None,
                };
                is_json_of(row, 0, "an order's state", &order.state)?
                    && known.is_none_or(|known| known == order.person)
            }
            None => false,
        }
    };
    if same {
        let is_wanted: bool = connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM order_dirty WHERE order_key = ?1)
                     OR EXISTS (SELECT 1 FROM intent WHERE subject = ?2)",
            )?
            .query_row(params![order_key, order_subject(&order_key)], |row| {
                row.get(0)
            })?;
        if !is_wanted && !stands_aside(connection, shop, Kind::Order, id)? {
            return Ok(false);
        }
    }
    let sealed = if projection::is_erased(connection, &key)? {
        None
    } else {
        Some(seal::seal(connection, &key, &order.person)?)
    };
    connection
        .prepare_cached(
            "INSERT INTO staged_order(shop, id, order_key, state, sealed, left_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            int(shop.0),
            id.0,
            order_key,
            json("an order's state", &order.state)?,
            sealed,
            left_at
        ])?;
    Ok(true)
}

fn stage_level(
    connection: &Connection,
    shop: ShopId,
    level: &Level,
    mapping: &StockMapping,
    left_at: i64,
) -> Result<bool, JournalError> {
    let Some(stock) = mapping.stock(shop, Some(&level.stock)) else {
        return Ok(false);
    };
    let item = level.item();
    let key = params![item.0, int(stock.0), int(shop.0)];
    connection
        .prepare_cached("DELETE FROM staged_level WHERE item = ?1 AND stock = ?2 AND shop = ?3")?
        .execute(key)?;
    let shadow: Option<(String, String, bool)> = connection
        .prepare_cached(
            "SELECT level, taken, gone FROM level WHERE item = ?1 AND stock = ?2 AND shop = ?3",
        )?
        .query_row(key, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    // One that was gone and is shown again counts, whatever it says.
    if let Some((held, read_with, false)) = shadow {
        let held: Level = parse("a stock level", &held)?;
        let taken = projection::taken(connection, shop, &item, stock)?;
        let name = RemoteId(item.0.clone());
        if is_same(&held, level)
            && number(taken) == read_with
            && !has_intent(connection, &level_subject(stock, &item), shop)?
            && !stands_aside(connection, shop, Kind::Level, &name)?
        {
            return Ok(false);
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO staged_level(item, stock, shop, level, left_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            item.0,
            int(stock.0),
            int(shop.0),
            json("a stock level", level)?,
            left_at
        ])?;
    Ok(true)
}

/// A new version counts, since the next compare-and-set needs it; when it was changed and on which shelf do not.
fn is_same(held: &Level, read: &Level) -> bool {
    held.on_hand == read.on_hand
        && held.reserved == read.reserved
        && held.set_aside == read.set_aside
        && held.version == read.version
        && held.inventory == read.inventory
        && held.variant == read.variant
        && held.sku == read.sku
        && held.stock == read.stock
}
