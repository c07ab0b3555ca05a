//! Which items bear another SKU than the one they are named after: in our record, and in each shop. Of all others their name
//! says it, and nothing is kept.

use crate::JournalError;
use crate::columns::int;
use crate::projection::ledger;
use lockstep_model::{Fields, ItemId, Parts, ShopId, sku_of, variants_of};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;

/// Our record says this now.
pub(super) fn note_ours(
    connection: &Connection,
    record: i64,
    ours: &Fields,
) -> Result<(), JournalError> {
    connection
        .prepare_cached("DELETE FROM item_sku WHERE record = ?1")?
        .execute([record])?;
    for (item, sku) in called_otherwise(ours) {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO item_sku(item, record, sku) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![item.as_str(), record, sku])?;
    }
    Ok(())
}

/// A shop shows this of our record now; nothing, where it is gone there.
pub(super) fn note_there(
    connection: &Connection,
    shop: ShopId,
    record: i64,
    held: &Fields,
    parts: &Parts,
) -> Result<(), JournalError> {
    let before: BTreeSet<(String, Option<String>, String)> = connection
        .prepare_cached(
            "DELETE FROM item_at WHERE record = ?1 AND shop = ?2 RETURNING item, sku, variant",
        )?
        .query_map(params![record, int(shop.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (item, sku) in called_otherwise(held) {
        let variant = parts.variants.get(&item).cloned().unwrap_or_default();
        let row = (item.0.clone(), sku.map(str::to_owned), variant.0.clone());
        if !before.contains(&row) {
            ledger::called_otherwise(connection, shop, &item, sku, &variant)?;
        }
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO item_at(shop, item, record, sku, variant) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                int(shop.0),
                item.as_str(),
                record,
                sku,
                variant.as_str()
            ])?;
    }
    Ok(())
}

fn called_otherwise(fields: &Fields) -> impl Iterator<Item = (ItemId, Option<&str>)> {
    // Most records have none, and are told from it without being taken apart.
    let is_likely = fields
        .iter()
        .any(|(path, value)| match path.as_str().strip_suffix("/sku") {
            Some(above) => value
                .as_text()
                .is_none_or(|sku| above.strip_prefix("variant/") != Some(sku)),
            None => false,
        });
    let variants = is_likely.then(|| variants_of(fields)).into_iter().flatten();
    variants.filter_map(|item| {
        let path = lockstep_model::Path::sku(&item);
        let sku = fields.get(&path).and_then(lockstep_model::Value::as_text);
        let is_so = sku_of(fields, &item) != Some(item.as_str());
        is_so.then_some((item, sku))
    })
}
