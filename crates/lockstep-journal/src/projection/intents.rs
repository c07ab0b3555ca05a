//! Writes that are meant and not yet known to be done.

use crate::JournalError;
use crate::columns::{id, int, json, micros, number, parse, subject_of, subject_text};
use crate::projection::{catalogue, ledger, orders};
use jiff::Timestamp;
use lockstep_model::entry::{Settlement, Subject, What};
use lockstep_model::{IntentId, RunId, ShopId};
use rusqlite::{Connection, OptionalExtension, params};

pub(super) struct Intended<'a> {
    pub intent: IntentId,
    pub run: RunId,
    pub shop: ShopId,
    pub subject: &'a Subject,
    pub what: &'a What,
}

pub(super) fn intended(
    connection: &Connection,
    seq: u64,
    at: Timestamp,
    intended: &Intended<'_>,
) -> Result<(), JournalError> {
    let Intended {
        intent,
        run,
        shop,
        subject,
        what,
    } = intended;
    let text = subject_text(subject);
    match subject {
        Subject::Record(record) => {
            if !any_open(connection, &text, *shop)? {
                catalogue::round_begins(connection, *record, *shop)?;
            }
        }
        Subject::Level { stock, item } => {
            if let What::Level { target, .. } = what {
                ledger::aim(connection, *shop, *stock, item, &number(*target))?;
            }
        }
        Subject::Order(_) | Subject::Shop(_) | Subject::Levels | Subject::Catalogue => {}
    }
    let item = match subject {
        Subject::Level { item, .. } => Some(item.as_str()),
        Subject::Record(_)
        | Subject::Order(_)
        | Subject::Shop(_)
        | Subject::Levels
        | Subject::Catalogue => None,
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO intent(intent, run, shop, subject, item, what, at, look_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)",
        )?
        .execute(params![
            int(intent.0),
            int(run.0),
            int(shop.0),
            text,
            item,
            json("what is meant", what)?,
            micros(at)
        ])?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO written(run, intent, seq, settled_seq, state) VALUES (?1, ?2, ?3, NULL, 'open')",
        )?
        .execute(params![int(run.0), int(intent.0), int(seq)])?;
    // Units are on their way to this shop.
    if let (Subject::Order(order), What::CreateOrder) = (subject, what) {
        orders::mark_items_dirty(connection, &order.to_string())?;
    }
    Ok(())
}

/// Answers what the intent was about; `None` for one that is not open.
pub(super) fn settled(
    connection: &Connection,
    seq: u64,
    intent: IntentId,
    how: &Settlement,
) -> Result<Option<String>, JournalError> {
    let open: Option<(i64, i64, String, String)> = connection
        .prepare_cached("SELECT run, shop, subject, what FROM intent WHERE intent = ?1")?
        .query_row([int(intent.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((run, shop, text, what)) = open else {
        return Ok(None);
    };
    let shop = ShopId(id(shop));
    let what: What = parse("what is meant", &what)?;
    match how {
        Settlement::Unknown { look_at } => {
            connection
                .prepare_cached("UPDATE intent SET look_at = ?2 WHERE intent = ?1")?
                .execute(params![int(intent.0), micros(*look_at)])?;
        }
        Settlement::Answered { look_at } => {
            let mut what = what.clone();
            if let What::Level { answered, .. } = &mut what {
                *answered = true;
            }
            connection
                .prepare_cached("UPDATE intent SET look_at = ?2, what = ?3 WHERE intent = ?1")?
                .execute(params![
                    int(intent.0),
                    micros(*look_at),
                    json("what is meant", &what)?
                ])?;
        }
        Settlement::Done { .. } | Settlement::NotApplied { .. } | Settlement::Moot => {
            connection
                .prepare_cached("DELETE FROM intent WHERE intent = ?1")?
                .execute([int(intent.0)])?;
        }
    }
    let state = match how {
        Settlement::Done { .. } => "done",
        Settlement::NotApplied { .. } => "not_applied",
        Settlement::Unknown { .. } | Settlement::Answered { .. } => "unknown",
        Settlement::Moot => "moot",
    };
    connection
        .prepare_cached(
            "UPDATE written SET settled_seq = ?3, state = ?4 WHERE run = ?1 AND intent = ?2",
        )?
        .execute(params![run, int(intent.0), int(seq), state])?;
    match subject_of(&text)? {
        Subject::Record(record) => {
            let last = !any_open(connection, &text, shop)?;
            catalogue::settled(connection, seq, record, shop, &what, how, last)?;
        }
        Subject::Level { stock, item } => {
            ledger::settled(connection, shop, stock, &item, &what, how)?;
        }
        Subject::Order(order) => orders::settled(connection, shop, &order, &what, how)?,
        Subject::Shop(_) | Subject::Levels | Subject::Catalogue => {}
    }
    Ok(Some(text))
}

fn any_open(connection: &Connection, subject: &str, shop: ShopId) -> Result<bool, JournalError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM intent WHERE subject = ?1 AND shop = ?2)")?
        .query_row(params![subject, int(shop.0)], |row| row.get(0))?)
}
