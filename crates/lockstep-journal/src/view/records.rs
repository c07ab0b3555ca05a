//! Search, and one record across shops.

use super::{AsideRow, ConflictRow, Found, RecordView, ShopSide, WriteRow, WriteState};
use crate::bounds::VIEW_ROWS_MAX;
use crate::columns::{aside_of, id, int, kind_code, kind_of, parse, record_subject, time};
use crate::load::{intents_of, known};
use crate::{Journal, JournalError};
use lockstep_model::cases::OpenIntent;
use lockstep_model::{ConflictId, Kind, RecordId, ShopId};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

impl Journal {
    /// Records whose title or key contains the text, in the order of our ids. An empty text finds all.
    pub fn search(
        &self,
        text: &str,
        kind: Option<Kind>,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<Found>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT t.record, t.kind, t.title, r.keys FROM record_text t JOIN record r ON r.record = t.record
             WHERE t.record > ?1 AND (?2 IS NULL OR t.kind = ?2) AND (?3 = '' OR instr(t.needle, ?3) > 0)
             ORDER BY t.record LIMIT ?4",
        )?;
        let mut links = self.connection.prepare_cached(
            "SELECT DISTINCT shop FROM link WHERE record = ?1 AND gone = 0 ORDER BY shop",
        )?;
        let mut rows = query.query(params![
            after.map_or(i64::MIN, |after| int(after.0)),
            kind.map(kind_code),
            text.trim().to_lowercase(),
            i64::try_from(limit.min(VIEW_ROWS_MAX)).unwrap_or(i64::MAX)
        ])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let record: i64 = row.get(0)?;
            let shops = links
                .query_map([record], |row| Ok(ShopId(id(row.get(0)?))))?
                .collect::<Result<_, _>>()?;
            found.push(Found {
                record: RecordId(id(record)),
                kind: kind_of(row.get(1)?)?,
                title: row.get(2)?,
                keys: parse("a record's keys", &row.get::<_, String>(3)?)?,
                shops,
            });
        }
        Ok(found)
    }

    /// The record with exactly this key: a SKU first, else the path of a category.
    pub fn record_by_key(&self, key: &str) -> Result<Option<RecordId>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT record FROM record_key WHERE kind = ?1 AND key = ?2 ORDER BY record LIMIT 1",
        )?;
        for kind in [Kind::Product, Kind::Category] {
            let record: Option<i64> = query
                .query_row(params![kind_code(kind), key], |row| row.get(0))
                .optional()?;
            if let Some(record) = record {
                return Ok(Some(RecordId(id(record))));
            }
        }
        Ok(None)
    }

    pub fn record_view(&self, record: RecordId) -> Result<Option<RecordView>, JournalError> {
        let key = int(record.0);
        let Some(known) = known(&self.connection, key)? else {
            return Ok(None);
        };
        let title: String = self
            .connection
            .prepare_cached("SELECT title FROM record_text WHERE record = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        let due: Vec<ShopId> = self
            .connection
            .prepare_cached("SELECT shop FROM due WHERE record = ?1")?
            .query_map([key], |row| Ok(ShopId(id(row.get(0)?))))?
            .collect::<Result<_, _>>()?;
        let subject = record_subject(key);
        let mut asides: BTreeMap<ShopId, AsideRow> = asides_about(&self.connection, &subject)?
            .into_iter()
            .map(|aside| (aside.shop, aside))
            .collect();
        let mut shops: BTreeMap<ShopId, ShopSide> = known
            .shops
            .into_iter()
            .map(|(shop, at)| {
                let side = ShopSide {
                    id: at.id,
                    parts: at.parts,
                    held: at.held,
                    meant: at.meant,
                    gone: at.gone,
                    due: false,
                    open: at.open.into_iter().map(open_write).collect(),
                    aside: asides.remove(&shop),
                };
                (shop, side)
            })
            .collect();
        for shop in due {
            shops.entry(shop).or_insert_with(ShopSide::nothing).due = true;
        }
        Ok(Some(RecordView {
            record,
            kind: known.kind,
            title,
            keys: known.keys,
            ours: known.ours,
            shops,
            conflicts: conflicts_about(&self.connection, &subject)?,
        }))
    }
}

impl ShopSide {
    /// It is not there.
    fn nothing() -> Self {
        ShopSide {
            id: None,
            parts: Default::default(),
            held: Default::default(),
            meant: Default::default(),
            gone: false,
            due: false,
            open: Vec::new(),
            aside: None,
        }
    }
}

pub(super) fn open_write(intent: OpenIntent) -> WriteRow {
    WriteRow {
        intent: intent.intent,
        run: intent.run,
        shop: intent.shop,
        subject: intent.subject,
        what: intent.what,
        at: intent.at,
        state: match intent.look_at {
            Some(_) => WriteState::Unknown,
            None => WriteState::Open,
        },
    }
}

pub(super) fn open_writes(
    connection: &Connection,
    subject: &str,
) -> Result<Vec<WriteRow>, JournalError> {
    Ok(intents_of(connection, subject)?
        .into_iter()
        .map(open_write)
        .collect())
}

pub(super) fn asides_about(
    connection: &Connection,
    subject: &str,
) -> Result<Vec<AsideRow>, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT shop, fault, retry_at, tries, at FROM aside WHERE subject = ?1 ORDER BY shop",
    )?;
    let mut rows = query.query([subject])?;
    let mut asides = Vec::new();
    while let Some(row) = rows.next()? {
        let retry_at: i64 = row.get(2)?;
        asides.push(AsideRow {
            shop: ShopId(id(row.get(0)?)),
            subject: aside_of(subject)?,
            fault: parse("why a record stands aside", &row.get::<_, String>(1)?)?,
            retry_at: (retry_at != i64::MAX).then(|| time(retry_at)).transpose()?,
            tries: row.get(3)?,
            at: time(row.get(4)?)?,
        });
    }
    Ok(asides)
}

pub(super) fn conflicts_about(
    connection: &Connection,
    subject: &str,
) -> Result<Vec<ConflictRow>, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT conflict, about, at FROM conflict WHERE subject = ?1 AND closed_at IS NULL ORDER BY conflict",
    )?;
    let mut rows = query.query([subject])?;
    let mut conflicts = Vec::new();
    while let Some(row) = rows.next()? {
        conflicts.push(ConflictRow {
            conflict: ConflictId(id(row.get(0)?)),
            subject: crate::columns::subject_of(subject)?,
            about: parse("a conflict", &row.get::<_, String>(1)?)?,
            at: time(row.get(2)?)?,
        });
    }
    Ok(conflicts)
}
