//! What follows from entries. One entry at a time, in order; the same functions live, in a restore and in a replica.
//!
//! Nothing here reads a table of the file's own (`staged*`, `plan`, `person_key`, `segment`) or a clock: the
//! projections of a journal are a function of its entries.

mod awaited;
mod catalogue;
mod doubts;
mod intents;
mod items;
mod keys;
mod ledger;
mod orders;
mod runs;

pub(crate) use awaited::awaited_by;
pub(crate) use catalogue::note_all_gtins;
pub(crate) use ledger::taken;
pub(crate) use orders::{copied_from, edits, is_erased, links, side_of};

use crate::JournalError;
use crate::columns::{
    aside_text, id, int, json, kind_code, level_subject, micros, order_subject, parse, remote_text,
    subject_text,
};
use jiff::Timestamp;
use lockstep_model::entry::{
    Again, AsideSubject, Body, Conflict, Delta, Entry, ReadAgain, StockMapping, Subject,
};
use lockstep_model::{
    ConflictId, Epoch, Fault, Fingerprint, Incarnation, REFUSED_MAX, ShopId, ShopIdentity,
};
use rusqlite::{Connection, OptionalExtension, params};

pub(crate) const REFUSED: &str = "the changes that a record stands aside with";

/// The tables that are projections. What is not here is the journal itself or this file's own.
pub(crate) const TABLES: &[&str] = &[
    "head",
    "counter",
    "shop",
    "met",
    "stock_mapping",
    "cursor",
    "looked",
    "run",
    "run_page",
    "written",
    "record",
    "record_text",
    "record_key",
    "record_gtin",
    "doubt",
    "link",
    "due",
    "awaited",
    "item_sku",
    "item_at",
    "intent",
    "aside",
    "conflict",
    "purchase",
    "known_order",
    "order_copy",
    "order_dirty",
    "erased",
    "order_line",
    "level",
    "taken",
    "base",
    "movement",
    "item_dirty",
    "history",
];

pub(crate) fn apply(connection: &Connection, entry: &Entry) -> Result<(), JournalError> {
    let Entry { seq, at, body } = entry;
    let (seq, at) = (*seq, *at);
    match body {
        Body::Opened {
            customer: _,
            incarnation,
            epoch,
            worker,
        } => {
            connection
                .prepare_cached(
                    "INSERT INTO head(one, incarnation, epoch, worker) VALUES (1, ?1, ?2, ?3)
                     ON CONFLICT (one) DO UPDATE SET
                        incarnation = excluded.incarnation, epoch = excluded.epoch, worker = excluded.worker",
                )?
                .execute(params![
                    int(incarnation.0),
                    int(epoch.0),
                    worker.map(|worker| int(worker.0))
                ])?;
        }
        Body::ShopSeen { shop, identity } => {
            connection
                .prepare_cached(
                    "INSERT INTO shop(shop, identity) VALUES (?1, ?2)
                     ON CONFLICT (shop) DO UPDATE SET identity = excluded.identity",
                )?
                .execute(params![
                    int(shop.0),
                    json("what a shop says of itself", identity)?
                ])?;
        }
        Body::RunStarted {
            run,
            lane,
            revision,
            causes,
        } => {
            count(connection, "run", run.0)?;
            runs::started(connection, seq, at, *run, *lane, *revision, causes)?;
        }
        Body::Pulled {
            run,
            shop,
            kind,
            records,
            changed,
            bad,
        } => runs::pulled(connection, *run, *shop, *kind, [*records, *changed, *bad])?,
        Body::RunFinished {
            run,
            result,
            counts,
            message,
            through,
        } => {
            runs::finished(connection, at, *run, *result, counts, message)?;
            runs::looked(connection, *run, through)?;
        }
        Body::CursorMoved { shop, kind, cursor } => {
            connection
                .prepare_cached(
                    "INSERT INTO cursor(shop, kind, cursor, at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (shop, kind) DO UPDATE SET cursor = excluded.cursor, at = excluded.at",
                )?
                .execute(params![
                    int(shop.0),
                    kind_code(*kind),
                    cursor.0,
                    micros(at)
                ])?;
        }
        Body::Merged(merged) => {
            count(connection, "record", merged.record.0)?;
            catalogue::merged(connection, seq, at, merged)?;
            remember(
                connection,
                seq,
                &subject_text(&Subject::Record(merged.record)),
            )?;
        }
        Body::Intended {
            intent,
            run,
            shop,
            subject,
            what,
        } => {
            count(connection, "intent", intent.0)?;
            intents::intended(
                connection,
                seq,
                at,
                &intents::Intended {
                    intent: *intent,
                    run: *run,
                    shop: *shop,
                    subject,
                    what,
                },
            )?;
            remember(connection, seq, &subject_text(subject))?;
        }
        Body::Settled { intent, how } => {
            if let Some(subject) = intents::settled(connection, seq, *intent, how)? {
                remember(connection, seq, &subject)?;
            }
        }
        Body::OrderSeen {
            run: _,
            shop,
            order,
            state,
            person,
            before_opening,
            readdressed,
        } => {
            let seen = orders::Seen {
                shop: *shop,
                order,
                state,
                person,
                before_opening: *before_opening,
                readdressed: *readdressed,
            };
            orders::seen(connection, seq, &seen)?;
            remember(connection, seq, &order_subject(&order.to_string()))?;
        }
        Body::LinesLinked { order, copy, links } => {
            orders::linked(connection, order, *copy, links)?;
        }
        Body::LevelSeen {
            run: _,
            shop,
            stock,
            level,
            taken,
        } => {
            ledger::level_seen(connection, *shop, *stock, level, *taken)?;
            remember(connection, seq, &level_subject(*stock, &level.item()))?;
        }
        Body::BaseMoved {
            item,
            stock,
            delta,
            cause,
        } => {
            ledger::base_moved(connection, seq, at, item, *stock, *delta, cause)?;
            remember(connection, seq, &level_subject(*stock, item))?;
        }
        Body::LevelOverruled { stock, item, .. } => {
            remember(connection, seq, &level_subject(*stock, item))?;
        }
        Body::OrderHeld { order, reason } => {
            orders::held(connection, seq, order, Some(reason))?;
            remember(connection, seq, &order_subject(&order.to_string()))?;
        }
        Body::OrderReleased { order } => {
            orders::held(connection, seq, order, None)?;
            remember(connection, seq, &order_subject(&order.to_string()))?;
        }
        Body::Aside {
            shop,
            subject,
            fault,
            retry_at,
            tries,
            refused,
        } => {
            aside(connection, at, *shop, subject, fault, *retry_at, *tries)?;
            note_refused(connection, *shop, subject, refused)?;
            if let Some(subject) = aside_history(connection, *shop, subject)? {
                remember(connection, seq, &subject)?;
            }
        }
        Body::ConflictOpened {
            conflict,
            subject,
            about,
        } => {
            count(connection, "conflict", conflict.0)?;
            conflict_opened(connection, at, *conflict, subject, about)?;
            remember(connection, seq, &subject_text(subject))?;
        }
        Body::ConflictClosed {
            conflict,
            decision,
            by,
            ours,
        } => {
            let by = by.as_deref();
            if let Some(subject) = conflict_closed(connection, at, *conflict, decision, by, ours)? {
                remember(connection, seq, &subject)?;
            }
        }
        Body::StocksMapped(mapping) => {
            connection
                .prepare_cached(
                    "INSERT INTO stock_mapping(one, body) VALUES (1, ?1)
                     ON CONFLICT (one) DO UPDATE SET body = excluded.body",
                )?
                .execute([json("the mapping of stocks", mapping)?])?;
            ledger::drop_levels_of_other_stocks(connection, mapping)?;
            orders::take_again(connection, mapping)?;
        }
        Body::Done {
            orders,
            items,
            read,
            only_pictures,
        } => {
            for order in orders {
                orders::done(connection, order)?;
            }
            for (item, stock) in items {
                ledger::done(connection, item, *stock)?;
            }
            for ReadAgain { shop, kind, id } in read {
                clear_aside(connection, *shop, &remote_text(*kind, id.as_str()))?;
            }
            for (record, shop) in only_pictures {
                catalogue::is_looked_at_last(connection, *record, *shop)?;
            }
        }
        Body::DueAgain { what } => due_again(connection, what)?,
        Body::BuyersErased { orders, by } => {
            for order in orders {
                orders::erased(connection, at, order, by.as_deref())?;
                remember(connection, seq, &order_subject(&order.to_string()))?;
            }
        }
        Body::ShopMet { shop } => {
            connection
                .prepare_cached("INSERT OR IGNORE INTO met(shop) VALUES (?1)")?
                .execute([int(shop.0)])?;
        }
        Body::MatchDoubted {
            shop,
            kind,
            id,
            candidates,
            by_sku,
        } => doubts::doubted(connection, *shop, *kind, id, candidates, *by_sku)?,
        Body::MatchAnswered {
            shop,
            kind,
            id,
            answer,
            by: _,
        } => {
            for record in doubts::answered(connection, *shop, *kind, id, *answer)? {
                remember(connection, seq, &crate::columns::record_subject(record))?;
            }
        }
        Body::LinkForgotten {
            shop,
            kind,
            id,
            record,
            by: _,
        } => {
            catalogue::forgotten(connection, *shop, *kind, id, *record)?;
            remember(connection, seq, &subject_text(&Subject::Record(*record)))?;
        }
        Body::OrderAnswered {
            order,
            into,
            answer,
            by: _,
        } => {
            orders::answered(connection, order, *into, answer)?;
            remember(connection, seq, &order_subject(&order.to_string()))?;
        }
    }
    Ok(())
}

/// Notes the highest id that was given.
fn count(connection: &Connection, name: &str, given: u64) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO counter(name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        )?
        .execute(params![name, int(given)])?;
    Ok(())
}

fn remember(connection: &Connection, seq: u64, subject: &str) -> Result<(), JournalError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO history(subject, seq) VALUES (?1, ?2)")?
        .execute(params![subject, int(seq)])?;
    Ok(())
}

fn aside(
    connection: &Connection,
    at: Timestamp,
    shop: ShopId,
    subject: &AsideSubject,
    fault: &Fault,
    retry_at: Option<Timestamp>,
    tries: u32,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO aside(subject, shop, fault, retry_at, tries, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (subject, shop) DO UPDATE SET
                fault = excluded.fault, retry_at = excluded.retry_at, tries = excluded.tries, at = excluded.at",
        )?
        .execute(params![
            aside_text(subject),
            int(shop.0),
            json("why a record stands aside", fault)?,
            // Only a person's action helps: later than any time.
            retry_at.map_or(i64::MAX, micros),
            tries,
            micros(at)
        ])?;
    Ok(())
}

/// A change that failed joins those that did before. Without one nothing at all is made meanwhile.
fn note_refused(
    connection: &Connection,
    shop: ShopId,
    subject: &AsideSubject,
    change: &[Fingerprint],
) -> Result<(), JournalError> {
    let key = params![aside_text(subject), int(shop.0)];
    let known: String = connection
        .prepare_cached("SELECT refused FROM aside WHERE subject = ?1 AND shop = ?2")?
        .query_row(key, |row| row.get(0))?;
    let mut refused: Vec<Fingerprint> = parse(REFUSED, &known)?;
    if change.is_empty() {
        refused.clear();
    }
    refused.retain(|known| !change.contains(known));
    refused.extend(change);
    let too_many = refused.len().saturating_sub(REFUSED_MAX);
    refused.drain(..too_many);
    connection
        .prepare_cached(
            "UPDATE aside SET refused = ?3, moved = 0 WHERE subject = ?1 AND shop = ?2",
        )?
        .execute(params![
            aside_text(subject),
            int(shop.0),
            json(REFUSED, &refused)?
        ])?;
    Ok(())
}

/// Under which subject an aside stands in the history: a record that cannot be read may still be linked to ours.
fn aside_history(
    connection: &Connection,
    shop: ShopId,
    subject: &AsideSubject,
) -> Result<Option<String>, JournalError> {
    match subject {
        AsideSubject::Subject(subject) => Ok(Some(subject_text(subject))),
        AsideSubject::Remote { kind, id: Some(id) } => {
            let record = catalogue::linked(connection, shop, *kind, id)?;
            Ok(record.map(crate::columns::record_subject))
        }
        AsideSubject::Remote { id: None, .. } => Ok(None),
    }
}

fn stands_aside(
    connection: &Connection,
    shop: ShopId,
    subject: &str,
) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM aside WHERE subject = ?1 AND shop = ?2)")?
        .query_row(params![subject, int(shop.0)], |row| row.get(0))?)
}

fn clear_aside(connection: &Connection, shop: ShopId, subject: &str) -> Result<(), JournalError> {
    connection
        .prepare_cached("DELETE FROM aside WHERE subject = ?1 AND shop = ?2")?
        .execute(params![subject, int(shop.0)])?;
    Ok(())
}

/// In no shop it stands aside any more.
fn clear_asides(connection: &Connection, subject: &str) -> Result<(), JournalError> {
    connection
        .prepare_cached("DELETE FROM aside WHERE subject = ?1")?
        .execute([subject])?;
    Ok(())
}

fn conflict_opened(
    connection: &Connection,
    at: Timestamp,
    conflict: ConflictId,
    subject: &Subject,
    about: &Conflict,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO conflict(conflict, subject, about, at, closed_at, decision, decided_by)
             VALUES (?1, ?2, ?3, ?4, NULL, NULL, NULL)",
        )?
        .execute(params![
            int(conflict.0),
            subject_text(subject),
            json("a conflict", about)?,
            micros(at)
        ])?;
    // It waits for a person from now on, in every shop, and not for one that refused it before.
    if let (Conflict::LevelInDoubt { .. }, Subject::Level { .. }) = (about, subject) {
        clear_asides(connection, &subject_text(subject))?;
    }
    Ok(())
}

/// What the answered question was about is due again.
fn conflict_closed(
    connection: &Connection,
    at: Timestamp,
    conflict: ConflictId,
    decision: &str,
    by: Option<&str>,
    ours: &Delta,
) -> Result<Option<String>, JournalError> {
    let subject: Option<String> = connection
        .prepare_cached(
            "UPDATE conflict SET closed_at = ?2, decision = ?3, decided_by = ?4 WHERE conflict = ?1 AND closed_at IS NULL
             RETURNING subject",
        )?
        .query_row(params![int(conflict.0), micros(at), decision, by], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(text) = subject else {
        return Ok(None);
    };
    match crate::columns::subject_of(&text)? {
        Subject::Record(record) => {
            catalogue::decided(connection, at, record, ours)?;
            catalogue::due_where_linked(connection, record)?;
        }
        Subject::Level { stock, item } => ledger::mark_dirty(connection, &item, stock)?,
        Subject::Order(order) => orders::mark_dirty(connection, &order.to_string())?,
        // What was withheld is named by entries of its own.
        Subject::Shop(_) | Subject::Levels | Subject::Catalogue => {}
    }
    Ok(Some(text))
}

fn due_again(connection: &Connection, what: &Again) -> Result<(), JournalError> {
    match what {
        Again::Records { kind, shops } => {
            for shop in shops {
                catalogue::all_due(connection, *kind, *shop)?;
            }
            Ok(())
        }
        Again::Record(record) => {
            connection
                .prepare_cached("UPDATE aside SET moved = 1 WHERE subject = ?1")?
                .execute([subject_text(&Subject::Record(*record))])?;
            catalogue::due_where_linked(connection, *record)
        }
        Again::Levels => {
            connection.execute(
                "DELETE FROM aside WHERE subject >= 'l:' AND subject < 'l;'",
                [],
            )?;
            ledger::all_dirty(connection)
        }
        Again::Orders => {
            connection.execute(
                "DELETE FROM aside WHERE subject >= 'o:' AND subject < 'o;'",
                [],
            )?;
            orders::open_ones_dirty(connection)
        }
    }
}

pub(crate) fn held_epoch(connection: &Connection) -> Result<(Incarnation, Epoch), JournalError> {
    let held: Option<(i64, i64)> = connection
        .prepare_cached("SELECT incarnation, epoch FROM head")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (incarnation, epoch) = held.unwrap_or_default();
    Ok((Incarnation(id(incarnation)), Epoch(id(epoch))))
}

pub(crate) fn stock_mapping(connection: &Connection) -> Result<Option<StockMapping>, JournalError> {
    let body: Option<String> = connection
        .prepare_cached("SELECT body FROM stock_mapping")?
        .query_row([], |row| row.get(0))
        .optional()?;
    body.map(|body| parse("the mapping of stocks", &body))
        .transpose()
}

pub(crate) fn identity(
    connection: &Connection,
    shop: ShopId,
) -> Result<Option<ShopIdentity>, JournalError> {
    let identity: Option<String> = connection
        .prepare_cached("SELECT identity FROM shop WHERE shop = ?1")?
        .query_row([int(shop.0)], |row| row.get(0))
        .optional()?;
    identity
        .map(|identity| parse("what a shop says of itself", &identity))
        .transpose()
}
