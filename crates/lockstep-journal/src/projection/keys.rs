//! What a record is found by: SKUs, and for categories the paths of names that lead to them.

use crate::JournalError;
use crate::columns::{
    PATH_SEPARATOR, id, int, is_within_depth, json, kind_code, parse, place, place_under,
};
use lockstep_model::{Field, Fields, Kind, Path, RecordId, Value};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

pub(super) const KEYS: &str = "a record's keys";

/// By its smallest key.
pub(super) fn place_of(kind: Kind, record: RecordId, keys: &[String]) -> String {
    let tie = format!("r{:016x}", record.0);
    match keys.iter().min() {
        Some(first) => place(kind, first, &tie),
        None => place(kind, &format!("#{record}"), &tie),
    }
}

/// It is found by these from here on, and by those before no more.
pub(super) fn replace(
    connection: &Connection,
    kind: Kind,
    record: RecordId,
    before: Option<&str>,
    keys: &[String],
) -> Result<(), JournalError> {
    let (kind, record) = (kind_code(kind), int(record.0));
    if let Some(before) = before {
        connection
            .prepare_cached(
                "DELETE FROM record_key
                 WHERE kind = ?1 AND key IN (SELECT value FROM json_each(?2)) AND record = ?3",
            )?
            .execute(params![kind, before, record])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO record_key(kind, key, record) VALUES (?1, ?2, ?3)",
    )?;
    for key in keys {
        insert.execute(params![kind, key, record])?;
    }
    Ok(())
}

/// Text that a search looks through.
pub(super) fn needle(title: &str, keys: &[String]) -> String {
    format!("{title}\n{}", keys.join("\n")).to_lowercase()
}

/// Where what is due of it stands in the order of its kind.
pub(super) fn place_due(
    connection: &Connection,
    record: RecordId,
    place: &str,
) -> Result<(), JournalError> {
    connection
        .prepare_cached("UPDATE due SET place = ?2 WHERE record = ?1 AND place <> ?2")?
        .execute(params![int(record.0), place])?;
    Ok(())
}

/// Paths of a category that was decided on before its parent got another name in the same run: what leads to it is what
/// leads to its parent now.
pub(super) fn under_parent(
    connection: &Connection,
    keys: Vec<String>,
    ours: &Fields,
) -> Result<Vec<String>, JournalError> {
    let parent = ours
        .get(&Path::new(&Field::Parent))
        .and_then(Value::as_text);
    let Some(parent) = parent.and_then(|parent| parent.parse().ok()) else {
        return Ok(keys);
    };
    let mut found: Vec<String> = Vec::with_capacity(keys.len());
    for key in keys {
        let paths: Vec<String> = match key.rsplit_once(PATH_SEPARATOR) {
            Some((above, name)) if !is_borne(connection, above)? => paths_of(connection, parent)?
                .into_iter()
                .map(|path| format!("{path}{PATH_SEPARATOR}{name}"))
                .filter(|path| is_within_depth(path))
                .collect(),
            _ => Vec::new(),
        };
        if paths.is_empty() {
            found.push(key);
        }
        found.extend(paths);
    }
    Ok(once_each(found))
}

/// In this order: the first is what people call it by.
pub(super) fn once_each(keys: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for key in keys {
        if !once.contains(&key) {
            once.push(key);
        }
    }
    once
}

/// Is there a category of ours under this path?
fn is_borne(connection: &Connection, path: &str) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM record_key WHERE kind = ?1 AND key = ?2)")?
        .query_row(params![kind_code(Kind::Category), path], |row| row.get(0))?)
}

fn paths_of(connection: &Connection, record: u64) -> Result<Vec<String>, JournalError> {
    let keys: Option<String> = connection
        .prepare_cached("SELECT keys FROM record WHERE record = ?1 AND record <> ?2")?
        .query_row(
            params![int(record), int(RecordId::ROOT_CATEGORY.0)],
            |row| row.get(0),
        )
        .optional()?;
    keys.map_or(Ok(Vec::new()), |keys| parse(KEYS, &keys))
}

/// A category has other paths now. What hangs below it, at whatever depth, is found under the new ones too, and under
/// those that it has no more no longer: our own records, and what was read and is not dealt with yet.
pub(super) fn moved_above(
    connection: &Connection,
    before: &[String],
    now: &[String],
) -> Result<(), JournalError> {
    let of_records =
        "SELECT r.record, r.keys FROM record_key k CROSS JOIN record r ON r.record = k.record
         WHERE k.kind = ?1 AND k.key > ?2 AND k.key < ?3";
    for (record, old) in below(connection, of_records, before)? {
        if let Some(keys) = under(&old, before, now) {
            rename(connection, RecordId(id(record)), &old, &keys)?;
        }
    }
    let of_staged =
        "SELECT s.reading, s.keys FROM staged_key k CROSS JOIN staged s ON s.reading = k.reading
         WHERE k.kind = ?1 AND k.key > ?2 AND k.key < ?3";
    for (reading, old) in below(connection, of_staged, before)? {
        if let Some(keys) = under(&old, before, now) {
            rename_staged(connection, reading, &keys)?;
        }
    }
    Ok(())
}

/// These keys, once paths above them are others. None: they stay.
fn under(old: &[String], before: &[String], now: &[String]) -> Option<Vec<String>> {
    let mut keys: Vec<String> = Vec::with_capacity(old.len());
    for key in old {
        let paths = before.iter().filter_map(|path| {
            let rest = key.strip_prefix(path.as_str())?;
            Some((path, rest.strip_prefix(PATH_SEPARATOR)?))
        });
        // The deepest, if one of them hangs below another.
        let Some((path, rest)) = paths.max_by_key(|(path, _)| path.len()) else {
            keys.push(key.clone());
            continue;
        };
        let kept = now.iter().filter(|other| *other == path);
        let added = now.iter().filter(|other| !before.contains(other));
        let paths = kept
            .chain(added)
            .map(|path| format!("{path}{PATH_SEPARATOR}{rest}"));
        keys.extend(paths.filter(|path| is_within_depth(path)));
    }
    let keys = once_each(keys);
    (!keys.is_empty() && keys != old).then_some(keys)
}

/// What hangs below these paths, with its keys.
fn below(
    connection: &Connection,
    sql: &str,
    paths: &[String],
) -> Result<BTreeMap<i64, Vec<String>>, JournalError> {
    let mut query = connection.prepare_cached(sql)?;
    let after = char::from_u32(u32::from(PATH_SEPARATOR) + 1).unwrap_or(PATH_SEPARATOR);
    let mut found = BTreeMap::new();
    for path in paths {
        let (from, to) = (format!("{path}{PATH_SEPARATOR}"), format!("{path}{after}"));
        let mut rows = query.query(params![kind_code(Kind::Category), from, to])?;
        while let Some(row) = rows.next()? {
            let keys: String = row.get(1)?;
            found.insert(row.get(0)?, parse(KEYS, &keys)?);
        }
    }
    Ok(found)
}

fn rename(
    connection: &Connection,
    record: RecordId,
    before: &[String],
    keys: &[String],
) -> Result<(), JournalError> {
    let before = json(KEYS, &before)?;
    replace(connection, Kind::Category, record, Some(&before), keys)?;
    let place = place_of(Kind::Category, record, keys);
    connection
        .prepare_cached("UPDATE record SET keys = ?2, place = ?3 WHERE record = ?1")?
        .execute(params![int(record.0), json(KEYS, &keys)?, place])?;
    place_due(connection, record, &place)?;
    let title: String = connection
        .prepare_cached("SELECT title FROM record_text WHERE record = ?1")?
        .query_row([int(record.0)], |row| row.get(0))?;
    connection
        .prepare_cached("UPDATE record_text SET needle = ?2 WHERE record = ?1")?
        .execute(params![int(record.0), needle(&title, keys)])?;
    Ok(())
}

fn rename_staged(
    connection: &Connection,
    reading: i64,
    keys: &[String],
) -> Result<(), JournalError> {
    let place: String = connection
        .prepare_cached("SELECT place FROM staged WHERE reading = ?1")?
        .query_row([reading], |row| row.get(0))?;
    let first = keys.iter().min().map_or("", String::as_str);
    connection
        .prepare_cached("UPDATE staged SET place = ?2, keys = ?3 WHERE reading = ?1")?
        .execute(params![
            reading,
            place_under(&place, first),
            json(KEYS, &keys)?
        ])?;
    connection
        .prepare_cached("DELETE FROM staged_key WHERE reading = ?1")?
        .execute([reading])?;
    let mut insert = connection
        .prepare_cached("INSERT INTO staged_key(kind, key, reading) VALUES (?1, ?2, ?3)")?;
    for key in keys {
        insert.execute(params![kind_code(Kind::Category), key, reading])?;
    }
    Ok(())
}
