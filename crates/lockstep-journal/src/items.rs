//! Which of our items a shop speaks of, and what an item is called there.
//!
//! A shop's own id of a variant says it, wherever it is told. Where it is not, the SKU does: an item bears the one that it is
//! named after, unless it is known to bear another there.

use crate::columns::{id, int, kind_code, parse};
use crate::staging::known_order;
use crate::{Journal, JournalError};
use lockstep_model::{
    Field, ItemId, Kind, Level, Order, OrderState, Parts, Path, Product, Record, RecordId,
    RemoteId, ShopId, Sku,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

/// More items that were once called the same are not told apart by a number.
const NUMBERED_MAX: u32 = 1_000;

impl Journal {
    /// Puts our own names into what was read of a shop.
    pub fn name_items(&self, shop: ShopId, record: &mut Record) -> Result<(), JournalError> {
        match record {
            Record::Order(order) => {
                let known = known_order(&self.connection, self.customer, shop, order)?;
                name_lines(&self.connection, shop, order, known.as_ref())
            }
            Record::Product(_) | Record::Level(_) | Record::Category(_) | Record::Gone { .. } => {
                name(&self.connection, shop, record)
            }
        }
    }

    /// What we call an item.
    pub fn sku_of(&self, item: &ItemId) -> Result<Sku, JournalError> {
        sku_of(&self.connection, item)
    }

    /// The item that we call so.
    pub fn item_called(&self, sku: &Sku) -> Result<ItemId, JournalError> {
        item_called(&self.connection, sku)
    }

    /// The record that an item belongs to.
    pub fn record_of(&self, item: &ItemId) -> Result<Option<RecordId>, JournalError> {
        let record = record_of(&self.connection, item)?;
        Ok(record.map(|record| RecordId(id(record))))
    }

    /// What these items are called in a shop, by which its levels are asked for.
    pub fn skus_at(&self, shop: ShopId, items: &[RemoteId]) -> Result<Vec<RemoteId>, JournalError> {
        let items = items.iter().map(|item| ItemId(item.0.clone()));
        items
            .map(|item| Ok(RemoteId(sku_at(&self.connection, shop, &item)?.0)))
            .collect()
    }
}

pub(crate) fn name(
    connection: &Connection,
    shop: ShopId,
    record: &mut Record,
) -> Result<(), JournalError> {
    match record {
        Record::Product(product) => name_product(connection, shop, product),
        Record::Level(level) => name_level(connection, shop, level),
        Record::Order(_) | Record::Category(_) | Record::Gone { .. } => Ok(()),
    }
}

/// The variants of a product that is linked are its items. Others are named after their SKU, as far as that is free: whether
/// they are items of ours is decided with the whole record.
fn name_product(
    connection: &Connection,
    shop: ShopId,
    product: &mut Product,
) -> Result<(), JournalError> {
    let mut variants = product.variants.iter();
    if !product.variants.is_empty() && variants.all(|variant| !variant.item.is_empty()) {
        // It was named before.
        return Ok(());
    }
    let parts: Option<String> = connection
        .prepare_cached("SELECT parts FROM link WHERE shop = ?1 AND kind = ?2 AND id = ?3")?
        .query_row(
            params![int(shop.0), kind_code(Kind::Product), product.id.0],
            |row| row.get(0),
        )
        .optional()?;
    let parts: Parts = match parts {
        Some(parts) => parse("the parts of a shop's record", &parts)?,
        None => Parts::default(),
    };
    // A picture is the one that we know by its id, whatever the shop made of its bytes.
    for picture in product.pictures.iter_mut().flatten() {
        let mut known = parts.pictures.iter();
        if let Some((name, _)) = known.find(|(_, part)| part.id == picture.id) {
            picture.digest.clone_from(name);
        }
    }
    let linked: BTreeMap<&RemoteId, &ItemId> = parts
        .variants
        .iter()
        .map(|(item, variant)| (variant, item))
        .collect();
    let mut nameless = Vec::new();
    for (number, variant) in product.variants.iter_mut().enumerate() {
        if !variant.item.is_empty() {
            continue;
        }
        match linked.get(&variant.id) {
            Some(item) if !variant.id.0.is_empty() => variant.item = (*item).clone(),
            _ => nameless.push(number),
        }
    }
    for number in nameless {
        let used = |name: &ItemId| product.variants.iter().any(|other| other.item == *name);
        let variant = &product.variants[number];
        let name = free_name(connection, shop, &variant.id, &variant.sku, used)?;
        product.variants[number].item = name;
    }
    Ok(())
}

fn name_level(
    connection: &Connection,
    shop: ShopId,
    level: &mut Level,
) -> Result<(), JournalError> {
    if level.item.is_empty() {
        let item = item_of(connection, shop, level.variant.as_ref(), &level.sku)?;
        level.item = but_its_sku(item, &level.sku).unwrap_or_default();
    }
    Ok(())
}

/// A line that is known stays what it was, whatever its item is called since.
pub(crate) fn name_lines(
    connection: &Connection,
    shop: ShopId,
    order: &mut Order,
    known: Option<&OrderState>,
) -> Result<(), JournalError> {
    for line in &mut order.state.lines {
        let Some(sku) = &line.sku else { continue };
        let known = known.and_then(|known| known.line(&line.id));
        line.item = match known.filter(|known| known.sku.as_ref() == Some(sku)) {
            Some(known) => known.item.clone(),
            None => but_its_sku(item_of(connection, shop, line.variant.as_ref(), sku)?, sku),
        };
    }
    Ok(())
}

/// What goes by its SKU needs no name beside it.
fn but_its_sku(item: ItemId, sku: &Sku) -> Option<ItemId> {
    (item.as_str() != sku.as_str()).then_some(item)
}

/// Which item a shop's variant is.
fn item_of(
    connection: &Connection,
    shop: ShopId,
    variant: Option<&RemoteId>,
    sku: &Sku,
) -> Result<ItemId, JournalError> {
    let shop_code = int(shop.0);
    if let Some(variant) = variant {
        let known: Option<String> = connection
            .prepare_cached("SELECT item FROM item_at WHERE shop = ?1 AND variant = ?2")?
            .query_row(params![shop_code, variant.0], |row| row.get(0))
            .optional()?;
        if let Some(item) = known {
            return Ok(ItemId(item));
        }
        let by_level: Option<String> = connection
            .prepare_cached("SELECT item FROM level WHERE shop = ?1 AND variant = ?2 LIMIT 1")?
            .query_row(params![shop_code, variant.0], |row| row.get(0))
            .optional()?;
        if let Some(item) = by_level.map(ItemId)
            && (item.as_str() == sku.as_str()
                || variant_at(connection, shop, &item)?.as_ref() == Some(variant))
        {
            return Ok(item);
        }
    }
    // Also if it is another variant that bears it now: most often it was made again.
    let called_so: Option<String> = connection
        .prepare_cached("SELECT item FROM item_at WHERE shop = ?1 AND sku = ?2")?
        .query_row(params![shop_code, sku.0], |row| row.get(0))
        .optional()?;
    if let Some(item) = called_so {
        return Ok(ItemId(item));
    }
    let was_called_so = ItemId::from(sku);
    if is_of_another(connection, shop, &was_called_so)? && !is_borne(connection, sku)? {
        return Ok(was_called_so);
    }
    let variant = variant.cloned().unwrap_or_default();
    free_name(connection, shop, &variant, sku, |_| false)
}

/// The SKU, or the SKU with a number, where another item is named after it and bears it no more.
fn free_name(
    connection: &Connection,
    shop: ShopId,
    variant: &RemoteId,
    sku: &Sku,
    used: impl Fn(&ItemId) -> bool,
) -> Result<ItemId, JournalError> {
    let first = match sku.as_str() {
        "" => format!("#{shop}/{variant}"),
        sku => sku.to_owned(),
    };
    for number in 1..NUMBERED_MAX {
        let name = match number {
            1 => ItemId(first.clone()),
            number => ItemId(format!("{first}~{number}")),
        };
        if !used(&name) && !is_of_another(connection, shop, &name)? {
            return Ok(name);
        }
    }
    Ok(ItemId(format!("{first}~{shop}/{variant}")))
}

/// Is it the name of an item that is called otherwise by now, by us or in this shop?
fn is_of_another(
    connection: &Connection,
    shop: ShopId,
    name: &ItemId,
) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM item_sku WHERE item = ?1)
                 OR EXISTS (SELECT 1 FROM item_at WHERE shop = ?2 AND item = ?1)",
        )?
        .query_row(params![name.as_str(), int(shop.0)], |row| row.get(0))?)
}

/// Does anything of ours bear this SKU now?
fn is_borne(connection: &Connection, sku: &Sku) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM record_key WHERE kind = ?1 AND key = ?2)")?
        .query_row(params![kind_code(Kind::Product), sku.0], |row| row.get(0))?)
}

/// What an item is called in a shop.
pub(crate) fn sku_at(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
) -> Result<Sku, JournalError> {
    let other: Option<Option<String>> = connection
        .prepare_cached("SELECT sku FROM item_at WHERE shop = ?1 AND item = ?2")?
        .query_row(params![int(shop.0), item.as_str()], |row| row.get(0))
        .optional()?;
    Ok(match other {
        Some(other) => Sku(other.unwrap_or_default()),
        None => Sku(item.0.clone()),
    })
}

/// What we call an item.
pub(crate) fn sku_of(connection: &Connection, item: &ItemId) -> Result<Sku, JournalError> {
    let other: Option<Option<String>> = connection
        .prepare_cached("SELECT sku FROM item_sku WHERE item = ?1")?
        .query_row([item.as_str()], |row| row.get(0))
        .optional()?;
    Ok(match other.flatten() {
        Some(other) => Sku(other),
        None => Sku(item.0.clone()),
    })
}

/// A path as people read it: by what we call an item.
pub(crate) fn called(connection: &Connection, path: &Path) -> Result<Path, JournalError> {
    let Some(Field::Variant { item, field }) = path.field() else {
        return Ok(path.clone());
    };
    let sku = sku_of(connection, &item)?;
    if sku.0 == item.0 {
        return Ok(path.clone());
    }
    let item = ItemId(sku.0);
    Ok(Path::new(&Field::Variant { item, field }))
}

/// The item that we call so.
pub(crate) fn item_called(connection: &Connection, sku: &Sku) -> Result<ItemId, JournalError> {
    let other: Option<String> = connection
        .prepare_cached("SELECT item FROM item_sku WHERE sku = ?1 ORDER BY item LIMIT 1")?
        .query_row([sku.as_str()], |row| row.get(0))
        .optional()?;
    Ok(other.map_or_else(|| ItemId::from(sku), ItemId))
}

/// The record that an item belongs to.
pub(crate) fn record_of(
    connection: &Connection,
    item: &ItemId,
) -> Result<Option<i64>, JournalError> {
    let other: Option<i64> = connection
        .prepare_cached("SELECT record FROM item_sku WHERE item = ?1")?
        .query_row([item.as_str()], |row| row.get(0))
        .optional()?;
    if other.is_some() {
        return Ok(other);
    }
    Ok(connection
        .prepare_cached(
            "SELECT record FROM record_key WHERE kind = ?1 AND key = ?2 ORDER BY record LIMIT 1",
        )?
        .query_row(params![kind_code(Kind::Product), item.as_str()], |row| {
            row.get(0)
        })
        .optional()?)
}

/// The shop's own id of an item, if it is known.
pub(crate) fn variant_at(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
) -> Result<Option<RemoteId>, JournalError> {
    let Some(record) = record_of(connection, item)? else {
        return Ok(None);
    };
    let parts: Vec<String> = connection
        .prepare_cached(
            "SELECT parts FROM link WHERE record = ?1 AND shop = ?2 AND kind = ?3 AND gone = 0",
        )?
        .query_map(
            params![record, int(shop.0), kind_code(Kind::Product)],
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    for parts in parts {
        let parts: Parts = parse("the parts of a shop's record", &parts)?;
        if let Some(variant) = parts.variants.get(item) {
            return Ok(Some(variant.clone()));
        }
    }
    Ok(None)
}
