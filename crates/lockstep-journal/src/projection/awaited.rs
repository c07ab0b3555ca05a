//! Categories that records are in and that no link stands for yet. Once there is one, those records are due.

use super::catalogue::{due_at, due_where_linked};
use crate::JournalError;
use crate::columns::{id, int, kind_code};
use lockstep_model::entry::Awaited;
use lockstep_model::{Kind, RecordId, RemoteId, ShopId};
use rusqlite::{Connection, ToSql, params};
use std::collections::BTreeSet;

/// What a record waits for, whole.
pub(super) fn note(
    connection: &Connection,
    record: i64,
    awaits: &BTreeSet<Awaited>,
) -> Result<(), JournalError> {
    connection
        .prepare_cached("DELETE FROM awaited WHERE record = ?1")?
        .execute([record])?;
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO awaited(shop, category, record) VALUES (?1, ?2, ?3)",
    )?;
    for awaited in awaits {
        let (shop, category) = match awaited {
            Awaited::Theirs { shop, id } => (shop, theirs(id)),
            Awaited::Ours { shop, record } => (shop, ours(int(record.0))),
        };
        insert.execute(params![int(shop.0), category, record])?;
    }
    // A link may have come since it was decided what is waited for: with a category of the same chunk.
    for awaited in awaits {
        match awaited {
            Awaited::Theirs { shop, id } if is_linked(connection, *shop, "id = ?3", &id.0)? => {
                due_where_linked(connection, RecordId(self::id(record)))?;
            }
            Awaited::Ours {
                shop,
                record: category,
            } if is_linked(connection, *shop, "record = ?3", &int(category.0))? => {
                due_at(connection, record, *shop)?;
            }
            Awaited::Theirs { .. } | Awaited::Ours { .. } => {}
        }
    }
    Ok(())
}

fn is_linked(
    connection: &Connection,
    shop: ShopId,
    which: &str,
    value: &dyn ToSql,
) -> Result<bool, JournalError> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM link WHERE shop = ?1 AND kind = ?2 AND {which} AND gone = 0)"
    );
    let category = kind_code(Kind::Category);
    Ok(connection
        .prepare_cached(&sql)?
        .query_row(params![int(shop.0), category, value], |row| row.get(0))?)
}

fn theirs(id: &RemoteId) -> String {
    format!("t:{id}")
}

fn ours(record: i64) -> String {
    format!("o:{}", id(record))
}

/// A shop has this category, and it is this one of ours.
pub(super) fn is_there(
    connection: &Connection,
    shop: ShopId,
    remote: &RemoteId,
    category: i64,
) -> Result<(), JournalError> {
    // What the shop says of it becomes known: it changes our own record, and so what every shop is given.
    for record in awaiting(connection, shop, &theirs(remote))? {
        due_where_linked(connection, RecordId(id(record)))?;
    }
    for record in awaiting(connection, shop, &ours(category))? {
        due_at(connection, record, shop)?;
    }
    Ok(())
}

fn awaiting(
    connection: &Connection,
    shop: ShopId,
    category: &str,
) -> Result<Vec<i64>, JournalError> {
    Ok(connection
        .prepare_cached("SELECT record FROM awaited WHERE shop = ?1 AND category = ?2")?
        .query_map(params![int(shop.0), category], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

pub(crate) fn awaited_by(
    connection: &Connection,
    record: i64,
) -> Result<BTreeSet<Awaited>, JournalError> {
    let mut query =
        connection.prepare_cached("SELECT shop, category FROM awaited WHERE record = ?1")?;
    let mut rows = query.query([record])?;
    let mut awaits = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let shop = ShopId(id(row.get(0)?));
        let category: String = row.get(1)?;
        awaits.insert(read(shop, &category).ok_or(JournalError::Corrupt {
            what: "a category that is waited for",
        })?);
    }
    Ok(awaits)
}

fn read(shop: ShopId, category: &str) -> Option<Awaited> {
    Some(match category.split_once(':')? {
        ("t", id) => Awaited::Theirs {
            shop,
            id: id.into(),
        },
        ("o", record) => Awaited::Ours {
            shop,
            record: RecordId(record.parse().ok()?),
        },
        _ => return None,
    })
}
