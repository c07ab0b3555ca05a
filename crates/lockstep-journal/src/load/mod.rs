//! What the engine is shown, chunk by chunk: everything to decide on some records, orders or levels, and nothing else.

mod catalogue;
mod closing;
mod conflicts;
mod orders;
mod stock;
mod undo;

pub(crate) use catalogue::known;
pub(crate) use orders::{copies, is_final_since, known_states};
pub(crate) use stock::{bases, lines};

use crate::bounds::CHUNK_MAX;
use crate::columns::{id, parse, subject_of, time};
use crate::{JournalError, projection};
use jiff::Timestamp;
use lockstep_model::cases::{OpenConflict, OpenIntent};
use lockstep_model::{ConflictId, Fingerprint, IntentId, RunId, ShopId};
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const INTENT_COLUMNS: &str = "intent, run, shop, subject, what, at, look_at";

pub(crate) fn read_intent(row: &Row<'_>) -> Result<OpenIntent, JournalError> {
    Ok(OpenIntent {
        intent: IntentId(id(row.get(0)?)),
        run: RunId(id(row.get(1)?)),
        shop: ShopId(id(row.get(2)?)),
        subject: subject_of(&row.get::<_, String>(3)?)?,
        what: parse("what is meant", &row.get::<_, String>(4)?)?,
        at: time(row.get(5)?)?,
        look_at: row.get::<_, Option<i64>>(6)?.map(time).transpose()?,
    })
}

/// What is open about a subject, in order.
pub(crate) fn intents_of(
    connection: &Connection,
    subject: &str,
) -> Result<Vec<OpenIntent>, JournalError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {INTENT_COLUMNS} FROM intent WHERE subject = ?1 ORDER BY intent"
    ))?;
    let mut rows = query.query([subject])?;
    let mut intents = Vec::new();
    while let Some(row) = rows.next()? {
        intents.push(read_intent(row)?);
    }
    Ok(intents)
}

/// What a subject stands aside with in one shop.
pub(crate) struct Aside {
    pub until: Timestamp,
    pub tries: u32,
    pub refused: BTreeSet<Fingerprint>,
}

pub(crate) fn asides_of(
    connection: &Connection,
    subject: &str,
) -> Result<BTreeMap<ShopId, Aside>, JournalError> {
    let mut query = connection
        .prepare_cached("SELECT shop, retry_at, tries, refused FROM aside WHERE subject = ?1")?;
    let mut rows = query.query([subject])?;
    let mut asides = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let aside = Aside {
            until: time(row.get(1)?)?,
            tries: row.get(2)?,
            refused: parse(projection::REFUSED, &row.get::<_, String>(3)?)?,
        };
        asides.insert(ShopId(id(row.get(0)?)), aside);
    }
    Ok(asides)
}

pub(crate) fn conflicts_of(
    connection: &Connection,
    subject: &str,
) -> Result<Vec<OpenConflict>, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT conflict, about, at FROM conflict WHERE subject = ?1 AND closed_at IS NULL ORDER BY conflict",
    )?;
    let mut rows = query.query([subject])?;
    let mut conflicts = Vec::new();
    while let Some(row) = rows.next()? {
        conflicts.push(OpenConflict {
            conflict: ConflictId(id(row.get(0)?)),
            about: parse("a conflict", &row.get::<_, String>(1)?)?,
            at: time(row.get(2)?)?,
        });
    }
    Ok(conflicts)
}

fn bounded(limit: usize) -> usize {
    limit.clamp(1, CHUNK_MAX)
}
