//! Records, links, shadows, and which shops have to be written for which record.

use crate::JournalError;
use crate::columns::{int, json, kind_code, micros, parse, record_subject};
use crate::projection::keys::{self, KEYS};
use crate::projection::{awaited, clear_aside, items, ledger, stands_aside};
use jiff::Timestamp;
use lockstep_model::entry::{Delta, Merged, Seen, Settlement, What};
use lockstep_model::{
    Field, Fields, ItemId, Kind, Parts, Path, RecordId, RemoteId, ShopId, Value, gtins_of,
    variants_of,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

const FIELDS: &str = "a record's fields";
const PARTS: &str = "the parts of a shop's record";

/// What a shop holds of a record, as its row.
struct Shadow {
    record: i64,
    /// It was not there when it was last seen.
    gone: bool,
    parts: Parts,
    held: Fields,
    meant: Fields,
}

impl Shadow {
    fn new(record: i64) -> Self {
        Self {
            record,
            gone: false,
            parts: Parts::default(),
            held: Fields::new(),
            meant: Fields::new(),
        }
    }

    /// The items that the shop had.
    fn had(&self) -> Parts {
        if self.gone {
            Parts::default()
        } else {
            self.parts.clone()
        }
    }
}

pub(super) fn merged(
    connection: &Connection,
    seq: u64,
    at: Timestamp,
    merged: &Merged,
) -> Result<(), JournalError> {
    let record = int(merged.record.0);
    let kind = kind_code(merged.kind);
    let old: Option<(String, String, String)> = connection
        .prepare_cached("SELECT place, keys, ours FROM record WHERE record = ?1")?
        .query_row([record], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let mut keys = keys::once_each(merged.keys.iter().cloned());
    let (old_keys, old_ours) = match &old {
        Some((_, keys, ours)) => (Some(keys), Some(ours.as_str())),
        None => (None, None),
    };
    let ours = if merged.ours.is_empty() {
        old_ours.unwrap_or("{}").to_owned()
    } else {
        let mut ours: Fields = match old_ours {
            Some(ours) => parse(FIELDS, ours)?,
            None => Fields::new(),
        };
        let had: BTreeSet<String> = gtins_of(&ours).map(str::to_owned).collect();
        merged.ours.apply(&mut ours);
        note_gtins(connection, record, &had, &ours)?;
        if merged.kind == Kind::Product {
            items::note_ours(connection, record, &ours)?;
        }
        json(FIELDS, &ours)?
    };
    if merged.kind == Kind::Category {
        keys = keys::under_parent(connection, keys, &parse(FIELDS, &ours)?)?;
    }
    let keys_json = json(KEYS, &keys)?;
    let place = keys::place_of(merged.kind, merged.record, &keys);
    let has_other_keys = old_keys != Some(&keys_json);
    if has_other_keys {
        let before = old_keys.map(String::as_str);
        keys::replace(connection, merged.kind, merged.record, before, &keys)?;
    }
    // `None`: it stands as it was.
    let changed_at = (!merged.ours.is_empty()).then(|| micros(at));
    connection
        .prepare_cached(
            "INSERT INTO record(record, kind, place, keys, ours, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ifnull(?6, 0))
             ON CONFLICT (record) DO UPDATE SET
                kind = excluded.kind, place = excluded.place, keys = excluded.keys, ours = excluded.ours,
                changed_at = ifnull(?6, changed_at)",
        )?
        .execute(params![record, kind, place, keys_json, ours, changed_at])?;
    let needle = keys::needle(&merged.title, &keys);
    connection
        .prepare_cached(
            "INSERT INTO record_text(record, kind, title, needle) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (record) DO UPDATE SET
                kind = excluded.kind, title = excluded.title, needle = excluded.needle
                WHERE title <> excluded.title OR needle <> excluded.needle OR kind <> excluded.kind",
        )?
        .execute(params![record, kind, merged.title, needle])?;
    for (shop, seen) in &merged.seen {
        seen_at(connection, seq, merged, *shop, seen)?;
    }
    let is_told_of_status = || merged.ours.set.contains_key(&Path::new(&Field::Status));
    if merged.kind == Kind::Product && (has_other_keys || is_told_of_status()) {
        // Whether it is sold decides whether its levels are written.
        for item in variants_of(&parse(FIELDS, &ours)?) {
            ledger::may_be_sold(connection, &item)?;
        }
    }
    if old.is_some() {
        // What is to be written may be another change than the one that was refused.
        connection
            .prepare_cached("UPDATE aside SET moved = 1 WHERE subject = ?1 AND moved = 0")?
            .execute([record_subject(record)])?;
    }
    if old.as_ref().is_some_and(|(old, ..)| *old != place) {
        keys::place_due(connection, merged.record, &place)?;
    }
    if let Some(before) = old_keys.filter(|_| has_other_keys && merged.kind == Kind::Category) {
        keys::moved_above(connection, &parse::<Vec<String>>(KEYS, before)?, &keys)?;
    }
    settle_due(connection, merged, &place)?;
    awaited::note(connection, record, &merged.awaits)
}

fn note_gtins(
    connection: &Connection,
    record: i64,
    had: &BTreeSet<String>,
    ours: &Fields,
) -> Result<(), JournalError> {
    let has: BTreeSet<&str> = gtins_of(ours).collect();
    for gtin in had.iter().filter(|gtin| !has.contains(gtin.as_str())) {
        connection
            .prepare_cached("DELETE FROM record_gtin WHERE gtin = ?1 AND record = ?2")?
            .execute(params![gtin, record])?;
    }
    for gtin in has.into_iter().filter(|gtin| !had.contains(*gtin)) {
        connection
            .prepare_cached("INSERT OR IGNORE INTO record_gtin(gtin, record) VALUES (?1, ?2)")?
            .execute(params![gtin, record])?;
    }
    Ok(())
}

/// For a file that was made before GTINs were noted.
pub(crate) fn note_all_gtins(connection: &Connection) -> Result<(), JournalError> {
    let mut query = connection.prepare("SELECT record, ours FROM record")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let ours: Fields = parse(FIELDS, &row.get::<_, String>(1)?)?;
        note_gtins(connection, row.get(0)?, &BTreeSet::new(), &ours)?;
    }
    Ok(())
}

fn seen_at(
    connection: &Connection,
    seq: u64,
    merged: &Merged,
    shop: ShopId,
    seen: &Seen,
) -> Result<(), JournalError> {
    let record = int(merged.record.0);
    let known = shadow(connection, shop, merged.kind, &seen.id)?;
    let before = known.as_ref().map(Shadow::had).unwrap_or_default();
    let mut shadow = match known {
        Some(known) if !seen.anew => known,
        Some(_) | None => Shadow::new(record),
    };
    shadow.record = record;
    if let Some(parts) = &seen.parts {
        shadow.parts = parts.clone();
    }
    seen.held.apply(&mut shadow.held);
    // A field that the shop has moved since is no longer what we meant and it could not hold.
    for path in seen.held.set.keys().chain(&seen.held.unset) {
        shadow.meant.remove(path);
    }
    save(
        connection,
        seq,
        shop,
        merged.kind,
        &seen.id,
        &shadow,
        seen.gone,
    )?;
    let now = if seen.gone {
        Parts::default()
    } else {
        shadow.parts
    };
    items_moved(connection, shop, &before, &now)?;
    if !seen.gone {
        replaces(connection, record, shop, merged.kind, &seen.id, &now)?;
    }
    Ok(())
}

/// One of ours is one record in a shop: what was linked before is gone, and this stands in its place.
fn replaces(
    connection: &Connection,
    record: i64,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
    now: &Parts,
) -> Result<(), JournalError> {
    let replaced: Vec<String> = connection
        .prepare_cached(
            "UPDATE link SET gone = 1 WHERE record = ?1 AND shop = ?2 AND kind = ?3 AND id <> ?4 AND gone = 0
             RETURNING parts",
        )?
        .query_map(
            params![record, int(shop.0), kind_code(kind), id.0],
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    for parts in replaced {
        items_moved(connection, shop, &parse(PARTS, &parts)?, now)?;
    }
    Ok(())
}

/// The levels of items that a product of a shop lost, or got back.
fn items_moved(
    connection: &Connection,
    shop: ShopId,
    before: &Parts,
    now: &Parts,
) -> Result<(), JournalError> {
    for item in before.variants.keys() {
        if !now.variants.contains_key(item) && !is_elsewhere(connection, shop, item)? {
            ledger::item_is_gone(connection, shop, item)?;
        }
    }
    for (item, variant) in &now.variants {
        match before.variants.get(item) {
            None => ledger::item_is_back(connection, shop, item)?,
            Some(before) if before != variant => {}
            Some(_) => continue,
        }
        ledger::is_variant(connection, shop, item, variant)?;
    }
    Ok(())
}

/// Does a product of this shop have this item?
fn is_elsewhere(
    connection: &Connection,
    shop: ShopId,
    item: &ItemId,
) -> Result<bool, JournalError> {
    Ok(crate::items::variant_at(connection, shop, item)?.is_some())
}

/// The shops that are named are due, the others are in step.
fn settle_due(connection: &Connection, merged: &Merged, place: &str) -> Result<(), JournalError> {
    let record = int(merged.record.0);
    let mut query = connection.prepare_cached("SELECT shop FROM due WHERE record = ?1")?;
    let before: Vec<i64> = query
        .query_map([record], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for shop in &before {
        if !merged.due.iter().any(|due| int(due.0) == *shop) {
            connection
                .prepare_cached("DELETE FROM due WHERE record = ?1 AND shop = ?2")?
                .execute(params![record, shop])?;
            // Nothing to write, nothing to wait for.
            clear_aside(
                connection,
                ShopId(crate::columns::id(*shop)),
                &record_subject(record),
            )?;
        }
    }
    for shop in &merged.due {
        if before.contains(&int(shop.0)) {
            connection
                .prepare_cached(
                    "UPDATE due SET pictures = 0 WHERE record = ?1 AND shop = ?2 AND pictures = 1",
                )?
                .execute(params![record, int(shop.0)])?;
        } else {
            insert_due(connection, record, *shop, kind_code(merged.kind), place)?;
        }
    }
    Ok(())
}

fn insert_due(
    connection: &Connection,
    record: i64,
    shop: ShopId,
    kind: i64,
    place: &str,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO due(record, shop, kind, place, failed) VALUES (?1, ?2, ?3, ?4, 0)",
        )?
        .execute(params![record, int(shop.0), kind, place])?;
    Ok(())
}

fn shadow(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
) -> Result<Option<Shadow>, JournalError> {
    let row: Option<(i64, bool, String, String, String)> = connection
        .prepare_cached(
            "SELECT record, gone, parts, held, meant FROM link WHERE shop = ?1 AND kind = ?2 AND id = ?3",
        )?
        .query_row(params![int(shop.0), kind_code(kind), id.0], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .optional()?;
    let Some((record, gone, parts, held, meant)) = row else {
        return Ok(None);
    };
    Ok(Some(Shadow {
        record,
        gone,
        parts: parse(PARTS, &parts)?,
        held: parse(FIELDS, &held)?,
        meant: parse(FIELDS, &meant)?,
    }))
}

fn save(
    connection: &Connection,
    seq: u64,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
    shadow: &Shadow,
    gone: bool,
) -> Result<(), JournalError> {
    match kind {
        Kind::Category if !gone => awaited::is_there(connection, shop, id, shadow.record)?,
        Kind::Product if gone => {
            let (held, parts) = (Fields::new(), Parts::default());
            items::note_there(connection, shop, shadow.record, &held, &parts)?;
        }
        Kind::Product => {
            items::note_there(connection, shop, shadow.record, &shadow.held, &shadow.parts)?;
        }
        Kind::Category | Kind::Level | Kind::Order => {}
    }
    connection
        .prepare_cached(
            "INSERT INTO link(shop, kind, id, record, gone, seq, parts, held, meant)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (shop, kind, id) DO UPDATE SET
                record = excluded.record, gone = excluded.gone, seq = excluded.seq,
                parts = excluded.parts, held = excluded.held, meant = excluded.meant",
        )?
        .execute(params![
            int(shop.0),
            kind_code(kind),
            id.0,
            shadow.record,
            gone,
            int(seq),
            json(PARTS, &shadow.parts)?,
            json(FIELDS, &shadow.held)?,
            json(FIELDS, &shadow.meant)?
        ])?;
    Ok(())
}

pub(super) fn linked(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
) -> Result<Option<i64>, JournalError> {
    Ok(connection
        .prepare_cached("SELECT record FROM link WHERE shop = ?1 AND kind = ?2 AND id = ?3")?
        .query_row(params![int(shop.0), kind_code(kind), id.0], |row| {
            row.get(0)
        })
        .optional()?)
}

/// A round of writes to a record at a shop begins.
pub(super) fn round_begins(
    connection: &Connection,
    record: RecordId,
    shop: ShopId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached("UPDATE due SET failed = 0 WHERE record = ?1 AND shop = ?2 AND failed = 1")?
        .execute(params![int(record.0), int(shop.0)])?;
    Ok(())
}

/// A write to a record was answered. `last`: no other of it is open at this shop.
pub(super) fn settled(
    connection: &Connection,
    seq: u64,
    record: RecordId,
    shop: ShopId,
    what: &What,
    how: &Settlement,
    last: bool,
) -> Result<(), JournalError> {
    let known: Option<(i64, String, String)> = connection
        .prepare_cached("SELECT kind, place, ours FROM record WHERE record = ?1")?
        .query_row([int(record.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((kind_code, place, ours)) = known else {
        return Ok(());
    };
    let kind = crate::columns::kind_of(kind_code)?;
    match how {
        Settlement::Done {
            id,
            parts,
            held,
            partly,
            ..
        } => {
            let held = written(
                connection, seq, record, shop, kind, what, id, parts, held, *partly,
            )?;
            if last {
                round_ends(
                    connection,
                    record,
                    shop,
                    what,
                    &parse(FIELDS, &ours)?,
                    &held,
                )?;
            }
        }
        Settlement::NotApplied { .. } => {
            insert_due(connection, int(record.0), shop, kind_code, &place)?;
            connection
                .prepare_cached("UPDATE due SET failed = 1 WHERE record = ?1 AND shop = ?2")?
                .execute(params![int(record.0), int(shop.0)])?;
        }
        Settlement::Unknown { .. } | Settlement::Answered { .. } | Settlement::Moot => {}
    }
    Ok(())
}

/// The shadow takes what the shop answered. Answers what it holds now.
#[expect(
    clippy::too_many_arguments,
    reason = "one caller; the parts of one answer"
)]
fn written(
    connection: &Connection,
    seq: u64,
    record: RecordId,
    shop: ShopId,
    kind: Kind,
    what: &What,
    id: &RemoteId,
    parts: &Option<Parts>,
    answered: &Option<Fields>,
    partly: bool,
) -> Result<Fields, JournalError> {
    let mut shadow =
        shadow(connection, shop, kind, id)?.unwrap_or_else(|| Shadow::new(int(record.0)));
    shadow.record = int(record.0);
    let before = shadow.had();
    if let Some(parts) = parts {
        // Whose SKUs are the shop's own no answer says.
        let own = shadow.parts.own_skus.iter();
        let own = own.filter(|item| parts.variants.contains_key(*item));
        let own = own.chain(&parts.own_skus).cloned().collect();
        shadow.parts = Parts {
            own_skus: own,
            ..parts.clone()
        };
    } else if let What::Set { set } = what
        && !partly
    {
        // It did not say what it has now: what was taken away is not among it.
        shadow
            .parts
            .variants
            .retain(|item, _| set.get(&Path::present(item)) != Some(&Value::Empty));
    }
    let held = match answered {
        Some(answered) => what.held_after(&shadow.held, answered),
        // Which part of it was done nobody said.
        None if partly => shadow.held.clone(),
        None => as_meant(&shadow.held, what),
    };
    // What we meant before stands where the shop has not moved since …
    let mut meant = shadow.meant;
    meant.retain(|path, _| shadow.held.get(path) == held.get(path));
    // … and what we meant now, where the shop holds something else and nothing failed.
    if let What::Create { set } | What::Set { set } = what
        && !partly
    {
        for (path, value) in set {
            let is_there = match held.get(path) {
                Some(held) => held == value,
                None => *value == Value::Empty,
            };
            if is_there {
                meant.remove(path);
            } else {
                meant.insert(path.clone(), value.clone());
            }
        }
    }
    shadow.held = held;
    shadow.meant = meant;
    save(connection, seq, shop, kind, id, &shadow, false)?;
    items_moved(connection, shop, &before, &shadow.parts)?;
    replaces(connection, int(record.0), shop, kind, id, &shadow.parts)?;
    Ok(shadow.held)
}

/// What a shop holds after a write that it answered without saying what it holds.
fn as_meant(held: &Fields, what: &What) -> Fields {
    let mut held = held.clone();
    let pictures = Path::new(&Field::Pictures);
    match what {
        What::Create { set } | What::Set { set } => {
            held.extend(set.clone());
            held.retain(|path, value| {
                let is_one_of_many = || path.field().is_some_and(|field| field.is_one_of_many());
                *value != Value::Empty || !is_one_of_many()
            });
            // With a variant goes all that was held of it.
            let goes = |item: &ItemId| set.get(&Path::present(item)) == Some(&Value::Empty);
            held.retain(
                |path, _| !matches!(path.field(), Some(Field::Variant { item, .. }) if goes(&item)),
            );
        }
        What::AddPicture { digest, .. } => {
            let mut list = pictures_of(&held);
            if !list.contains(digest) {
                list.push(digest.clone());
            }
            held.insert(pictures, Value::list(list));
        }
        What::RemovePicture { digest } => {
            let mut list = pictures_of(&held);
            list.retain(|other| other != digest);
            held.insert(pictures, Value::list(list));
        }
        What::Level { .. } | What::CreateOrder | What::StepOrder { .. } => {}
    }
    held
}

fn pictures_of(fields: &Fields) -> Vec<String> {
    fields
        .get(&Path::new(&Field::Pictures))
        .map(|value| value.as_list().to_vec())
        .unwrap_or_default()
}

/// All writes of a round are answered. The record is in step there, unless one failed or it became due once more
/// meanwhile (both are noted as `failed`), its pictures, which are written one after the other, are not all there yet, or
/// something of it stands aside, which need not be what was written: then it is looked at again.
fn round_ends(
    connection: &Connection,
    record: RecordId,
    shop: ShopId,
    what: &What,
    ours: &Fields,
    held: &Fields,
) -> Result<(), JournalError> {
    let failed: Option<bool> = connection
        .prepare_cached("SELECT failed FROM due WHERE record = ?1 AND shop = ?2")?
        .query_row(params![int(record.0), int(shop.0)], |row| row.get(0))
        .optional()?;
    if failed == Some(true) {
        return Ok(());
    }
    let has_pictures = ours.contains_key(&Path::new(&Field::Pictures));
    let lacks_pictures = has_pictures && pictures_of(ours) != pictures_of(held);
    let subject = record_subject(int(record.0));
    let is_aside = stands_aside(connection, shop, &subject)?;
    if is_aside && matches!(what, What::Create { .. }) {
        // It is there: what it could not be made with is another change now.
        clear_aside(connection, shop, &subject)?;
    }
    if lacks_pictures || is_aside {
        return is_looked_at_last(connection, record, shop);
    }
    connection
        .prepare_cached("DELETE FROM due WHERE record = ?1 AND shop = ?2")?
        .execute(params![int(record.0), int(shop.0)])?;
    Ok(())
}

/// What may be missing of it, a picture as a rule, waits behind everything else that is due.
pub(super) fn is_looked_at_last(
    connection: &Connection,
    record: RecordId,
    shop: ShopId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached("UPDATE due SET pictures = 1 WHERE record = ?1 AND shop = ?2")?
        .execute(params![int(record.0), int(shop.0)])?;
    Ok(())
}

/// The root category of our own is looked at each time, or not wanted.
const NEVER_DUE: i64 = RecordId::ROOT_CATEGORY.0.cast_signed();

/// What a person's word made of our own record.
pub(super) fn decided(
    connection: &Connection,
    at: Timestamp,
    record: RecordId,
    delta: &Delta,
) -> Result<(), JournalError> {
    if delta.is_empty() {
        return Ok(());
    }
    let ours: Option<String> = connection
        .prepare_cached("SELECT ours FROM record WHERE record = ?1")?
        .query_row([int(record.0)], |row| row.get(0))
        .optional()?;
    let Some(ours) = ours else {
        return Ok(());
    };
    let mut ours: Fields = parse(FIELDS, &ours)?;
    let had: BTreeSet<String> = gtins_of(&ours).map(str::to_owned).collect();
    delta.apply(&mut ours);
    note_gtins(connection, int(record.0), &had, &ours)?;
    items::note_ours(connection, int(record.0), &ours)?;
    connection
        .prepare_cached("UPDATE record SET ours = ?2, changed_at = ?3 WHERE record = ?1")?
        .execute(params![int(record.0), json(FIELDS, &ours)?, micros(at)])?;
    Ok(())
}

/// A record is due at every shop that has it.
pub(super) fn due_where_linked(
    connection: &Connection,
    record: RecordId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO due(record, shop, kind, place, failed)
             SELECT DISTINCT r.record, l.shop, r.kind, r.place, 0
             FROM record r JOIN link l ON l.record = r.record
             WHERE r.record = ?1 AND l.gone = 0 AND r.record <> ?2
             ON CONFLICT (record, shop) DO UPDATE SET pictures = 0, failed = 1",
        )?
        .execute(params![int(record.0), NEVER_DUE])?;
    Ok(())
}

/// What a shop deleted is forgotten there: the record is made again.
pub(super) fn forgotten(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
    record: RecordId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "DELETE FROM link WHERE shop = ?1 AND kind = ?2 AND id = ?3 AND record = ?4 AND gone = 1",
        )?
        .execute(params![
            int(shop.0),
            kind_code(kind),
            id.0,
            int(record.0)
        ])?;
    due_at(connection, int(record.0), shop)
}

/// A record is due at one shop.
pub(super) fn due_at(
    connection: &Connection,
    record: i64,
    shop: ShopId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO due(record, shop, kind, place, failed)
             SELECT record, ?2, kind, place, 0 FROM record WHERE record = ?1
             ON CONFLICT (record, shop) DO UPDATE SET failed = 1",
        )?
        .execute(params![record, int(shop.0)])?;
    Ok(())
}

/// Every record of a kind is due at a shop; what stood aside there is tried again.
pub(super) fn all_due(
    connection: &Connection,
    kind: Kind,
    shop: ShopId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO due(record, shop, kind, place, failed)
             SELECT record, ?2, kind, place, 0 FROM record WHERE kind = ?1 AND record <> ?3
             ON CONFLICT (record, shop) DO UPDATE SET pictures = 0, failed = 1",
        )?
        .execute(params![kind_code(kind), int(shop.0), NEVER_DUE])?;
    connection
        .prepare_cached("DELETE FROM aside WHERE shop = ?1 AND subject >= 'r:' AND subject < 'r;'")?
        .execute([int(shop.0)])?;
    Ok(())
}
