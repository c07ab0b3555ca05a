//! The history of one subject, newest first, with what each entry moved from what to what.

use super::{Change, HistoryItem};
use crate::bounds::{HISTORY_LOOK_BACK_MAX, VIEW_ROWS_MAX};
use crate::columns::{id, int, subject_text};
use crate::items::called;
use crate::{Journal, JournalError};
use lockstep_model::entry::{Body, Cause, Delta, Entry, Settlement, Subject, What};
use lockstep_model::{Fields, IntentId, Level, OrderState, Path, RunId, ShopId, Value};
use rusqlite::params;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

impl Journal {
    /// Entries about a subject before this one, newest first.
    pub fn history(
        &self,
        subject: &Subject,
        before_seq: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryItem>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT e.seq, e.line FROM history h JOIN entry e ON e.seq = h.seq
             WHERE h.subject = ?1 AND h.seq < ?2 ORDER BY h.seq DESC LIMIT ?3",
        )?;
        // What a value was before stands in older entries.
        let mut rows = query.query(params![
            subject_text(subject),
            before_seq.map_or(i64::MAX, int),
            i64::try_from(HISTORY_LOOK_BACK_MAX).unwrap_or(i64::MAX)
        ])?;
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = id(row.get(0)?);
            let entry = serde_json::from_str(&row.get::<_, String>(1)?)
                .map_err(|source| JournalError::CorruptEntry { seq, source })?;
            entries.push(entry);
        }
        entries.reverse();
        let mut fold = Fold {
            base: (entries.len() < HISTORY_LOOK_BACK_MAX).then_some(Decimal::ZERO),
            ..Fold::default()
        };
        let mut items: Vec<HistoryItem> = entries
            .into_iter()
            .map(|entry| HistoryItem {
                seq: entry.seq,
                at: entry.at,
                run: run_of(&entry.body).or_else(|| fold.run_of(&entry.body)),
                causes: Vec::new(),
                changes: fold.changes(&entry.body),
                body: entry.body,
            })
            .collect();
        items.reverse();
        items.truncate(limit.min(VIEW_ROWS_MAX));
        let mut known: BTreeMap<RunId, Vec<Cause>> = BTreeMap::new();
        for item in &mut items {
            for change in &mut item.changes {
                change.path = called(&self.connection, &change.path)?;
            }
            let Some(run) = item.run else { continue };
            item.causes = match known.get(&run) {
                Some(causes) => causes.clone(),
                None => {
                    let causes = self.causes_of(run)?;
                    known.insert(run, causes.clone());
                    causes
                }
            };
        }
        Ok(items)
    }
}

fn run_of(body: &Body) -> Option<RunId> {
    match body {
        Body::RunStarted { run, .. }
        | Body::Pulled { run, .. }
        | Body::RunFinished { run, .. }
        | Body::Intended { run, .. }
        | Body::OrderSeen { run, .. }
        | Body::LevelSeen { run, .. } => Some(*run),
        Body::Merged(merged) => Some(merged.run),
        Body::Opened { .. }
        | Body::ShopSeen { .. }
        | Body::CursorMoved { .. }
        | Body::Settled { .. }
        | Body::BaseMoved { .. }
        | Body::LevelOverruled { .. }
        | Body::OrderHeld { .. }
        | Body::OrderReleased { .. }
        | Body::Aside { .. }
        | Body::ConflictOpened { .. }
        | Body::ConflictClosed { .. }
        | Body::StocksMapped(_)
        | Body::Done { .. }
        | Body::DueAgain { .. }
        | Body::ShopMet { .. }
        | Body::MatchDoubted { .. }
        | Body::MatchAnswered { .. }
        | Body::LinkForgotten { .. }
        | Body::OrderAnswered { .. }
        | Body::LinesLinked { .. }
        | Body::BuyersErased { .. } => None,
    }
}

/// What was known before each entry: the fields, ours (`None`) and each shop's; orders and levels as shops showed them.
#[derive(Default)]
struct Fold {
    fields: BTreeMap<Option<ShopId>, Fields>,
    meant: BTreeMap<IntentId, (RunId, ShopId, What)>,
    orders: BTreeMap<ShopId, OrderState>,
    available: BTreeMap<ShopId, Decimal>,
    /// `None`: older entries than were looked through have moved it.
    base: Option<Decimal>,
}

impl Fold {
    fn changes(&mut self, body: &Body) -> Vec<Change> {
        let mut changes = Vec::new();
        match body {
            Body::Merged(merged) => {
                self.apply(None, &merged.ours, &mut changes);
                for (shop, seen) in &merged.seen {
                    self.apply(Some(*shop), &seen.held, &mut changes);
                }
            }
            Body::ConflictClosed { ours, .. } => self.apply(None, ours, &mut changes),
            Body::Intended {
                intent,
                run,
                shop,
                what,
                ..
            } => {
                self.meant.insert(*intent, (*run, *shop, what.clone()));
            }
            Body::OrderSeen { shop, state, .. } => self.order(*shop, state, &mut changes),
            Body::LevelSeen { shop, level, .. } => self.level(*shop, level, &mut changes),
            Body::BaseMoved { delta, .. } => {
                if let Some(base) = &mut self.base {
                    let from = Value::number(*base);
                    *base += *delta;
                    changes.push(Change {
                        shop: None,
                        path: Path::from_stored("base".into()),
                        from: Some(from),
                        to: Some(Value::number(*base)),
                    });
                }
            }
            Body::Settled { intent, how } => {
                let meant = match how.closes() {
                    true => self.meant.remove(intent),
                    false => None,
                };
                if let (Some((_, shop, what)), Settlement::Done { held, level, .. }) =
                    (meant, &**how)
                {
                    if let Some((level, _)) = level {
                        self.level(shop, level, &mut changes);
                    }
                    let before = self.fields.entry(Some(shop)).or_default();
                    let delta = match (held, what) {
                        (Some(held), what) => {
                            Delta::between(before, &what.held_after(before, held))
                        }
                        (None, What::Create { set } | What::Set { set }) => Delta {
                            set,
                            unset: Vec::new(),
                        },
                        (None, _) => Delta::default(),
                    };
                    self.apply(Some(shop), &delta, &mut changes);
                }
            }
            _ => {}
        }
        changes
    }

    /// Of an answer: the run whose write it answers.
    fn run_of(&self, body: &Body) -> Option<RunId> {
        match body {
            Body::Settled { intent, .. } => self.meant.get(intent).map(|(run, ..)| *run),
            _ => None,
        }
    }

    fn order(&mut self, shop: ShopId, state: &OrderState, changes: &mut Vec<Change>) {
        if let Some(before) = self.orders.insert(shop, state.clone()) {
            for (name, from, to) in [
                ("payment", word(&before.payment), word(&state.payment)),
                (
                    "fulfilment",
                    word(&before.fulfilment),
                    word(&state.fulfilment),
                ),
                (
                    "cancelled",
                    Value::Flag(before.cancelled),
                    Value::Flag(state.cancelled),
                ),
            ] {
                if from != to {
                    changes.push(Change {
                        shop: Some(shop),
                        path: Path::from_stored(name.into()),
                        from: Some(from),
                        to: Some(to),
                    });
                }
            }
        }
    }

    fn level(&mut self, shop: ShopId, level: &Level, changes: &mut Vec<Change>) {
        let available = level.available();
        let before = self.available.insert(shop, available);
        if before != Some(available) {
            changes.push(Change {
                shop: Some(shop),
                path: Path::from_stored("available".into()),
                from: before.map(Value::number),
                to: Some(Value::number(available)),
            });
        }
    }

    fn apply(&mut self, shop: Option<ShopId>, delta: &Delta, changes: &mut Vec<Change>) {
        let fields = self.fields.entry(shop).or_default();
        let moved = delta
            .set
            .iter()
            .map(|(path, to)| (path, Some(to)))
            .chain(delta.unset.iter().map(|path| (path, None)));
        for (path, to) in moved {
            let from = fields.get(path);
            if from != to {
                changes.push(Change {
                    shop,
                    path: path.clone(),
                    from: from.cloned(),
                    to: to.cloned(),
                });
            }
        }
        delta.apply(fields);
    }
}

/// A state as the wire spells it.
fn word(state: &impl Serialize) -> Value {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => Value::text(word),
        Ok(_) | Err(_) => Value::Empty,
    }
}
