//! What one run wrote, record by record, and what was there before: what an undo of it goes by. Worked out from the
//! entries, the whole of a record's: what a shop held at some time stands nowhere else.

use super::catalogue::known;
use crate::bounds::VIEW_ROWS_MAX;
use crate::columns::{id, int, record_subject, subject_text};
use crate::{Journal, JournalError};
use lockstep_model::cases::{UndoCase, UndoChunk, WrittenField, WrittenThere};
use lockstep_model::entry::{Body, Delta, Entry, Settlement, Subject, What};
use lockstep_model::{Field, Fields, IntentId, Path, RecordId, RunId, ShopId, Value};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};

impl Journal {
    /// What a run wrote, after this intent. A record (level, order) stands where the run first wrote it, with all of it.
    pub fn load_undo(
        &self,
        run: RunId,
        after: Option<IntentId>,
        limit: usize,
    ) -> Result<UndoChunk, JournalError> {
        let limit = limit.clamp(1, VIEW_ROWS_MAX);
        let writes = self.run_writes(run, after, limit)?;
        let mut chunk = UndoChunk {
            next: writes
                .last()
                .filter(|_| writes.len() == limit)
                .map(|write| write.intent),
            cases: Vec::new(),
        };
        let mut seen: BTreeSet<Subject> = BTreeSet::new();
        for write in writes {
            if !seen.insert(write.subject.clone()) {
                continue;
            }
            let written = Written::by(&self.connection, run, &write.subject)?;
            if written.first == Some(write.intent) {
                chunk.cases.push(UndoCase {
                    label: label(&self.connection, &write.subject)?,
                    shops: placed(&self.connection, &write.subject, written.shops)?,
                    subject: write.subject,
                });
            }
        }
        Ok(chunk)
    }
}

/// Under which id each shop has the record now.
fn placed(
    connection: &Connection,
    subject: &Subject,
    mut shops: BTreeMap<ShopId, WrittenThere>,
) -> Result<BTreeMap<ShopId, WrittenThere>, JournalError> {
    if let Subject::Record(record) = subject
        && let Some(known) = known(connection, int(record.0))?
    {
        for (shop, there) in &mut shops {
            let at = known.shops.get(shop).filter(|at| !at.gone);
            there.id = at.and_then(|at| at.id.clone());
            there.kind = Some(known.kind);
        }
    }
    Ok(shops)
}

fn label(connection: &Connection, subject: &Subject) -> Result<String, JournalError> {
    Ok(match subject {
        Subject::Record(record) => record_label(connection, *record)?,
        Subject::Level { item, .. } => format!("stock of {item}"),
        Subject::Order(order) => format!("order {}", order.id),
        Subject::Shop(shop) => format!("shop {shop}"),
        Subject::Levels => "all levels".into(),
        Subject::Catalogue => "all records".into(),
    })
}

/// Its first SKU and its title; a category's title.
fn record_label(connection: &Connection, record: RecordId) -> Result<String, JournalError> {
    let row: Option<(String, String)> = connection
        .prepare_cached(
            "SELECT t.title, coalesce(r.keys ->> '$[0]', '') FROM record_text t JOIN record r ON r.record = t.record
             WHERE t.record = ?1",
        )?
        .query_row([int(record.0)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match row {
        None => record_subject(int(record.0)),
        Some((title, key)) if key.is_empty() || key.contains('\u{1f}') || key == title => title,
        Some((title, key)) => format!("{key} {title}"),
    })
}

/// A write that is meant and not answered.
struct Meant {
    run: RunId,
    shop: ShopId,
    what: What,
    /// What the shop held of the fields when it was meant.
    before: Fields,
}

/// Follows the entries of one subject.
struct Written {
    run: RunId,
    /// The run's first write of it.
    first: Option<IntentId>,
    shops: BTreeMap<ShopId, WrittenThere>,
    held: BTreeMap<ShopId, Fields>,
    meant: BTreeMap<IntentId, Meant>,
}

impl Written {
    fn by(connection: &Connection, run: RunId, subject: &Subject) -> Result<Self, JournalError> {
        let mut written = Written {
            run,
            first: None,
            shops: BTreeMap::new(),
            held: BTreeMap::new(),
            meant: BTreeMap::new(),
        };
        let mut query = connection.prepare_cached(
            "SELECT e.seq, e.line FROM history h JOIN entry e ON e.seq = h.seq WHERE h.subject = ?1 ORDER BY h.seq",
        )?;
        let mut rows = query.query(params![subject_text(subject)])?;
        while let Some(row) = rows.next()? {
            let seq = id(row.get(0)?);
            let entry: Entry = serde_json::from_str(&row.get::<_, String>(1)?)
                .map_err(|source| JournalError::CorruptEntry { seq, source })?;
            written.follow(entry.body);
        }
        for meant in written.meant.into_values().filter(|meant| meant.run == run) {
            written.shops.entry(meant.shop).or_default().open = true;
        }
        written.meant = BTreeMap::new();
        Ok(written)
    }

    fn follow(&mut self, body: Body) {
        match body {
            Body::Merged(merged) => {
                for (shop, seen) in merged.seen {
                    seen.held.apply(self.held.entry(shop).or_default());
                }
            }
            Body::Intended {
                intent,
                run,
                shop,
                what,
                ..
            } => {
                if run == self.run {
                    self.first.get_or_insert(intent);
                    self.shops.entry(shop).or_default();
                }
                let before = match &what {
                    What::Set { set } => {
                        let held = self.held.entry(shop).or_default();
                        let of = set.keys().filter_map(|path| held.get_key_value(path));
                        of.map(|(path, value)| (path.clone(), value.clone()))
                            .collect()
                    }
                    _ => Fields::new(),
                };
                let meant = Meant {
                    run,
                    shop,
                    what,
                    before,
                };
                self.meant.insert(intent, meant);
            }
            Body::Settled { intent, how } if how.closes() => {
                if let Some(meant) = self.meant.remove(&intent)
                    && let Settlement::Done { held, partly, .. } = *how
                {
                    self.done(meant, held, partly);
                }
            }
            _ => {}
        }
    }

    fn done(&mut self, meant: Meant, answered: Option<Fields>, partly: bool) {
        let Meant {
            run,
            shop,
            what,
            before,
        } = meant;
        let held = self.held.entry(shop).or_default();
        match (answered, &what) {
            (Some(answered), what) => *held = what.held_after(held, &answered),
            // Which part of it was done nobody said.
            (None, _) if partly => {}
            (None, What::Create { set } | What::Set { set }) => Delta {
                set: set.clone(),
                unset: Vec::new(),
            }
            .apply(held),
            (None, _) => {}
        }
        let there = self.shops.entry(shop);
        if run != self.run {
            if let (What::Create { set } | What::Set { set }, Slot::Occupied(mut there)) =
                (&what, there)
            {
                let fields = &mut there.get_mut().fields;
                for path in set.keys() {
                    if let Some(field) = fields.get_mut(path) {
                        field.since = Some(run);
                    }
                }
            }
            return;
        }
        let there = there.or_default();
        match what {
            What::Create { set } => {
                there.made = true;
                // An undo takes it off sale, as long as nobody else has said something of that since.
                let path = Path::new(&Field::Status);
                if let Some(value) = set.get(&path) {
                    let wrote = held.get(&path).unwrap_or(value).clone();
                    note(&mut there.fields, &before, path, wrote);
                }
            }
            What::AddPicture { .. } | What::RemovePicture { .. } => there.pictures = true,
            What::Set { set } => {
                for (path, value) in set {
                    let wrote = held.get(&path).cloned().unwrap_or(match partly {
                        true => value,
                        false => Value::Empty,
                    });
                    note(&mut there.fields, &before, path, wrote);
                }
            }
            What::Level { .. } | What::CreateOrder | What::StepOrder { .. } => {}
        }
    }
}

/// Of several writes of a field by one run: what was before the first, and what the last wrote.
fn note(fields: &mut BTreeMap<Path, WrittenField>, before: &Fields, path: Path, wrote: Value) {
    let was = before.get(&path).cloned().unwrap_or(Value::Empty);
    let field = fields.entry(path).or_insert_with(|| WrittenField {
        was,
        wrote: Value::Empty,
        since: None,
    });
    field.wrote = wrote;
    field.since = None;
}
