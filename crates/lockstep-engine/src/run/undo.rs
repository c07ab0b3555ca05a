//! Undoing a run: what it wrote to the shops' records is read anew, and what still stands as it was written is put
//! back. What has moved since is left and named.
//!
//! ```text
//! load what the run wrote → read those records → ask about each field (see catalogue/undone.rs) → put it back → …
//! ```
//!
//! Each field that is put back becomes an open question first: it holds the shop where it is until a person says what
//! counts, and an undo that dies on the way is carried on by the next run.

use super::{Phase, Run};
use crate::catalogue::{Ids, Terms, put_back};
use crate::customer::{Effect, Shared};
use crate::write::Write;
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{
    Also, CatalogueChunk, Cluster, OpenConflict, StagedBody, UndoCase, UndoChunk, WrittenField,
    WrittenThere,
};
use lockstep_model::entry::{Again, Body, Conflict, RunResult, Subject};
use lockstep_model::{
    ConflictId, Field, IntentId, Kind, Path, RecordId, RemoteId, RunId, ShopId, Status, Value,
    VariantField,
};
use std::collections::{BTreeMap, BTreeSet};

/// Writes of the undone run that are looked at together.
const CHUNK: usize = 200;
/// Lines that are kept to be shown; the counts are of all.
const LINES_MAX: usize = 1_000;
/// Names in the run's sentence.
const NAMES_MAX: usize = 5;

/// What becomes of one thing that the run wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The shop still holds it: it gets back what it held before.
    PutBack,
    /// The shop holds what it held before already.
    AsBefore,
    /// The shop holds something else by now.
    Moved,
    /// A later run has written it.
    WrittenSince(RunId),
    /// An earlier undo holds the field, and its question is open.
    Asked(ConflictId),
    /// The run made the record.
    Made,
    /// Which variants there are, and what is said of one that came or went.
    Variant,
    Picture,
    /// The settings say it, for all records.
    OfSettings,
    /// The shop has the record no more.
    Gone,
    /// The shop could not be read just now.
    NotRead,
    /// The shop is not written to, or its flow is switched off.
    NotWritten,
    /// The platform cannot be without it.
    CannotGo,
    /// What became of the run's own write is not known yet.
    Open,
    /// It is not clear which of our records it is.
    InDoubt,
    Level,
    Order,
}

impl Verdict {
    /// It is done with: nothing of the run is left there to undo.
    fn is_settled(self) -> bool {
        matches!(
            self,
            Verdict::PutBack | Verdict::AsBefore | Verdict::Asked(_)
        )
    }

    /// Why, for people.
    pub fn sentence(self) -> String {
        match self {
            Verdict::PutBack => "still as the run wrote it".into(),
            Verdict::AsBefore => "as it was before already".into(),
            Verdict::Moved => "moved since; left as it is".into(),
            Verdict::WrittenSince(run) => {
                format!("run {run} has written it since; undo that one first")
            }
            Verdict::Asked(conflict) => {
                format!("undone already: question {conflict} waits for an answer")
            }
            Verdict::Made => "made by this run: archive it in its owner".into(),
            Verdict::Variant => "a variant came or went: put it right in its owner".into(),
            Verdict::Picture => "pictures are not undone: put them right in their owner".into(),
            Verdict::OfSettings => "the settings say so: change them there".into(),
            Verdict::Gone => "the shop has the record no more".into(),
            Verdict::NotRead => "the shop could not be read; undo the run again when it can".into(),
            Verdict::NotWritten => "nothing is written there: read only, or switched off".into(),
            Verdict::CannotGo => "this platform cannot be without it".into(),
            Verdict::Open => {
                "what became of the run's write is not known yet; undo it again then".into()
            }
            Verdict::InDoubt => "it is not clear which record it is; see the conflicts".into(),
            Verdict::Level => {
                "stock is never put back: the ledger computes it anew, so count it in its owner"
                    .into()
            }
            Verdict::Order => "an order is never undone: cancel it in its shop".into(),
        }
    }
}

/// One line of an undo, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoLine {
    pub shop: ShopId,
    pub label: String,
    /// Empty for a whole record.
    pub field: String,
    pub now: String,
    pub back: String,
    pub verdict: Verdict,
}

/// What an undo would do, or has done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UndoShown {
    pub lines: Vec<UndoLine>,
    /// Of all, not only of those that are kept.
    pub put_back: u64,
    pub left: u64,
    pub as_before: u64,
}

impl UndoShown {
    fn add(&mut self, line: UndoLine) {
        match line.verdict {
            Verdict::PutBack => self.put_back += 1,
            verdict if verdict.is_settled() => self.as_before += 1,
            _ => self.left += 1,
        }
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        }
    }
}

/// A run that undoes another.
#[derive(Debug)]
pub(crate) struct Undo {
    undoes: RunId,
    cases: Vec<UndoCase>,
    next: Option<IntentId>,
    shown: UndoShown,
}

impl Undo {
    pub fn of(undoes: RunId) -> Self {
        Self {
            undoes,
            cases: Vec::new(),
            next: None,
            shown: UndoShown::default(),
        }
    }

    pub fn take_shown(&mut self) -> UndoShown {
        std::mem::take(&mut self.shown)
    }

    /// How it ended, with the sentence for people.
    pub fn result(&self, name: impl Fn(ShopId) -> String, failed: u64) -> (RunResult, String) {
        let shown = &self.shown;
        let undoes = self.undoes;
        let fields = |count: u64| match count {
            1 => "1 field".to_owned(),
            count => format!("{count} fields"),
        };
        let mut sentences = Vec::new();
        match (shown.put_back, shown.as_before, shown.left) {
            (0, 0, 0) => sentences.push(format!("Run {undoes} wrote nothing: there is nothing to undo.")),
            (0, 0, _) => sentences.push(format!("Nothing of run {undoes} was put back.")),
            (0, before, _) => sentences.push(format!(
                "Nothing to do: of run {undoes}, {} stood as before already.",
                fields(before)
            )),
            (put_back, _, _) => sentences.push(format!(
                "Of run {undoes}, {} got back what the shop held before; each is held there until a person says what \
                 counts.",
                fields(put_back)
            )),
        }
        if failed > 0 {
            sentences.push(format!(
                "{failed} could not be written and stand aside with the reason; they are tried again."
            ));
        }
        if shown.left > 0 {
            let left = shown.lines.iter().filter(|line| !line.verdict.is_settled());
            let names: Vec<String> = left
                .take(NAMES_MAX)
                .map(|line| {
                    let what = match line.field.as_str() {
                        "" => line.label.clone(),
                        field => format!("{} {field}", line.label),
                    };
                    format!(
                        "{what} at {} ({})",
                        name(line.shop),
                        line.verdict.sentence()
                    )
                })
                .collect();
            let more = if shown.left > names.len() as u64 {
                " …"
            } else {
                ""
            };
            sentences.push(format!("Left as they are: {}{more}.", names.join("; ")));
        }
        let result = if shown.put_back > 0 {
            RunResult::NeedsPerson
        } else if shown.left > 0 {
            RunResult::Partly
        } else {
            RunResult::Done
        };
        (result, sentences.join(" "))
    }
}

impl Run {
    /// This run undoes another, and does nothing else.
    pub fn undo(&mut self, undoes: RunId) {
        self.undo = Some(Undo::of(undoes));
    }

    pub(super) fn load_undo(&mut self, after: Option<IntentId>, out: &mut Vec<Effect>) {
        let Some(undo) = &self.undo else { return };
        self.phase = Phase::UndoLoad;
        self.loading = true;
        out.push(Effect::LoadUndo {
            run: undo.undoes,
            after,
            limit: CHUNK,
        });
    }

    /// What the run wrote is known: those records are read by name.
    pub fn undo_loaded(
        &mut self,
        chunk: UndoChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.loading = false;
        self.phase = Phase::UndoRead;
        let mut ids: BTreeMap<(ShopId, Kind), BTreeSet<RemoteId>> = BTreeMap::new();
        for (shop, there) in chunk.cases.iter().flat_map(|case| &case.shops) {
            if let (Some(kind), Some(id)) = (there.kind, &there.id) {
                ids.entry((*shop, kind)).or_default().insert(id.clone());
            }
        }
        if let Some(undo) = &mut self.undo {
            undo.cases = chunk.cases;
            undo.next = chunk.next;
        }
        for ((shop, kind), ids) in ids {
            if self.is_left_alone(shop, shared, now) {
                continue;
            }
            let ids: Vec<RemoteId> = ids.into_iter().collect();
            self.read_by_name(shop, kind, &ids, shared, now, out);
        }
        self.advance(shared, now, out);
    }

    /// The records were read: they are looked at together with what is known of them.
    pub(super) fn load_undone_records(&mut self, out: &mut Vec<Effect>) {
        let cases = self.undo.iter().flat_map(|undo| &undo.cases);
        let records = cases.filter_map(|case| match case.subject {
            Subject::Record(record) => Some(record),
            Subject::Level { .. }
            | Subject::Order(_)
            | Subject::Shop(_)
            | Subject::Levels
            | Subject::Catalogue => None,
        });
        self.phase = Phase::UndoJudge;
        self.loading = true;
        out.push(Effect::LoadRecords {
            records: records.collect(),
            root: self.rules.root_category(),
        });
    }

    /// Decides on each field, asks about those that are put back, and writes them.
    pub(super) fn undo_chunk(
        &mut self,
        chunk: CatalogueChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(undo) = self.undo.as_mut().filter(|_| self.cancelled.is_none()) else {
            return;
        };
        let (undoes, next) = (undo.undoes, undo.next);
        let cases = std::mem::take(&mut undo.cases);
        let terms = Terms::new(chunk.categories, &self.rules.settings);
        let mut of_record: BTreeMap<RecordId, Cluster> = BTreeMap::new();
        for cluster in chunk.clusters {
            if let [known] = cluster.known.as_slice() {
                of_record.insert(known.record, cluster);
            }
        }
        let mut bodies = Vec::new();
        let mut writes: Vec<Write> = Vec::new();
        let mut also = Also::default();
        for case in cases {
            let mut cluster = match case.subject {
                Subject::Record(record) => of_record.remove(&record),
                Subject::Level { .. }
                | Subject::Order(_)
                | Subject::Shop(_)
                | Subject::Levels
                | Subject::Catalogue => None,
            };
            let judged = self.judge(&case, cluster.as_ref());
            let asked = match &mut cluster {
                Some(cluster) => questions(undoes, &judged, cluster),
                None => Vec::new(),
            };
            if let Some(undo) = &mut self.undo {
                for judged in judged {
                    undo.shown.add(judged.line);
                }
            }
            let Some(mut cluster) = cluster.filter(|_| !asked.is_empty() && !self.dry) else {
                continue;
            };
            for about in asked {
                let conflict = shared.counters.conflict();
                self.counts.conflicts += 1;
                if let Some(known) = cluster.known.first_mut() {
                    bodies.push(Body::ConflictOpened {
                        conflict,
                        subject: Subject::Record(known.record),
                        about: about.clone(),
                    });
                    known.conflicts.push(OpenConflict {
                        conflict,
                        about,
                        at: now,
                    });
                }
            }
            let mut ids = Ids {
                record: &mut shared.counters.record,
                conflict: &mut shared.counters.conflict,
            };
            let decision = put_back(&cluster, &self.rules, &terms, self.id, &mut ids, now);
            bodies.extend(decision.bodies);
            also.consumed.extend(decision.consumed);
            writes.extend(decision.writes);
            if let Some(known) = cluster.known.first() {
                // What else is due of it, and what cannot be written now, is for the next run.
                bodies.push(Body::DueAgain {
                    what: Again::Record(known.record),
                });
            }
        }
        if !bodies.is_empty() {
            let soon = now
                .checked_add(500.milliseconds())
                .unwrap_or(Timestamp::MAX);
            shared.look_again(self.lane, soon);
        }
        self.phase = Phase::UndoNext { after: next };
        // What waits for its shop is put back by a later run: the question says what.
        let (writes, _) = self.admit(writes, shared, now);
        self.write(bodies, also, writes, shared, out);
    }

    fn judge(&self, case: &UndoCase, cluster: Option<&Cluster>) -> Vec<Judged> {
        let mut judged = Vec::new();
        for (shop, there) in &case.shops {
            let line = |field: String, now: &Value, back: &Value, verdict| UndoLine {
                shop: *shop,
                label: case.label.clone(),
                field,
                now: now.to_string(),
                back: back.to_string(),
                verdict,
            };
            let whole = |verdict| Judged {
                shop: *shop,
                field: None,
                line: line(String::new(), &Value::Empty, &Value::Empty, verdict),
            };
            match case.subject {
                Subject::Shop(_) | Subject::Levels | Subject::Catalogue => {}
                Subject::Level { .. } => judged.push(whole(Verdict::Level)),
                Subject::Order(_) => judged.push(whole(Verdict::Order)),
                Subject::Record(RecordId::ROOT_CATEGORY) => {
                    judged.push(whole(Verdict::OfSettings));
                }
                Subject::Record(_) => {
                    if there.made {
                        let path = Path::new(&Field::Status);
                        judged.push(match archived(there, &path) {
                            Some(field) => {
                                let held = held(cluster, *shop, &path);
                                let verdict = self.verdict(*shop, there, &path, &field, cluster);
                                Judged {
                                    shop: *shop,
                                    line: line(path.to_string(), held, &field.was, verdict),
                                    field: Some((path, field)),
                                }
                            }
                            None => whole(Verdict::Made),
                        });
                    }
                    if there.pictures {
                        judged.push(whole(Verdict::Picture));
                    }
                    if there.open {
                        judged.push(whole(Verdict::Open));
                    }
                    // What a record was made with goes with it.
                    for (path, field) in there.fields.iter().filter(|_| !there.made) {
                        let held = held(cluster, *shop, path);
                        let verdict = self.verdict(*shop, there, path, field, cluster);
                        judged.push(Judged {
                            shop: *shop,
                            field: Some((path.clone(), field.clone())),
                            line: line(path.to_string(), held, &field.was, verdict),
                        });
                    }
                }
            }
        }
        judged
    }

    fn verdict(
        &self,
        shop: ShopId,
        there: &WrittenThere,
        path: &Path,
        written: &WrittenField,
        cluster: Option<&Cluster>,
    ) -> Verdict {
        let Some(rules) = self.rules.shops.get(&shop) else {
            return Verdict::NotWritten;
        };
        let Some(field) = path.field() else {
            return Verdict::NotWritten;
        };
        match &field {
            Field::Variant {
                field: VariantField::Present,
                ..
            } => return Verdict::Variant,
            Field::Variant {
                field: VariantField::Backorder,
                ..
            } => return Verdict::OfSettings,
            Field::Variant { item, .. } if there.fields.contains_key(&Path::present(item)) => {
                return Verdict::Variant;
            }
            Field::Pictures => return Verdict::Picture,
            _ => {}
        }
        if there.id.is_none() {
            return Verdict::Gone;
        }
        if self.failed.contains_key(&shop) {
            return Verdict::NotRead;
        }
        let Some(cluster) = cluster else {
            return Verdict::InDoubt;
        };
        let Some(known) = cluster.known.first() else {
            return Verdict::InDoubt;
        };
        if is_gone(cluster, shop) {
            return Verdict::Gone;
        }
        let asked = known.conflicts.iter().find(|open| {
            matches!(&open.about, Conflict::Undone { path: about, shop: at, .. }
                if about == path && *at == shop)
        });
        let now = held(Some(cluster), shop, path);
        if let Some(open) = asked {
            return Verdict::Asked(open.conflict);
        }
        if *now == written.was {
            return Verdict::AsBefore;
        }
        if let Some(run) = written.since {
            return Verdict::WrittenSince(run);
        }
        let shadow = known.shops.get(&shop).and_then(|at| at.held.get(path));
        if *now != written.wrote || shadow.unwrap_or(&Value::Empty) != now {
            return Verdict::Moved;
        }
        let group_is_on = path
            .group()
            .is_some_and(|group| self.rules.group_is_on(group));
        let update = match known.kind {
            Kind::Category => lockstep_model::ChangeSort::UpdateCategory,
            Kind::Product | Kind::Level | Kind::Order => lockstep_model::ChangeSort::UpdateProduct,
        };
        let is_written = !rules.read_only
            && group_is_on
            && self.rules.flow_is_on(known.kind.flow())
            && (rules.abilities.holds)(&field)
            && rules.abilities.batches.contains_key(&update);
        if !is_written {
            return Verdict::NotWritten;
        }
        let goes = written.was == Value::Empty && field.is_one_of_many();
        if goes && !(rules.abilities.removes)(&field) {
            return Verdict::CannotGo;
        }
        Verdict::PutBack
    }
}

/// What a run made is taken off sale where it made it: nothing is deleted. `None`: it has no status there.
fn archived(there: &WrittenThere, path: &Path) -> Option<WrittenField> {
    let made = there.fields.get(path)?;
    Some(WrittenField {
        was: Value::text(Status::Archived.as_str()),
        ..made.clone()
    })
}

struct Judged {
    shop: ShopId,
    field: Option<(Path, WrittenField)>,
    line: UndoLine,
}

/// What is asked about the fields that are put back.
fn questions(undoes: RunId, judged: &[Judged], cluster: &Cluster) -> Vec<Conflict> {
    let Some(known) = cluster.known.first() else {
        return Vec::new();
    };
    let put_back = judged
        .iter()
        .filter(|judged| judged.line.verdict == Verdict::PutBack);
    put_back
        .filter_map(|judged| {
            let (path, field) = judged.field.as_ref()?;
            Some(Conflict::Undone {
                path: path.clone(),
                shop: judged.shop,
                run: undoes,
                wrote: field.wrote.clone(),
                held: field.was.clone(),
                ours: known.ours.get(path).cloned().unwrap_or(Value::Empty),
                restoring: None,
            })
        })
        .collect()
}

/// What the shop shows now: as it was read, or as it is known where the reading told nothing new.
fn held<'a>(cluster: Option<&'a Cluster>, shop: ShopId, path: &Path) -> &'a Value {
    let fields = cluster.and_then(|cluster| {
        let mut rows = cluster.staged.iter();
        match rows.find(|row| row.shop == shop).map(|row| &row.body) {
            Some(StagedBody::Fields { fields, .. }) => Some(fields),
            Some(StagedBody::Gone) => None,
            None => Some(&cluster.known.first()?.shops.get(&shop)?.held),
        }
    });
    fields
        .and_then(|fields| fields.get(path))
        .unwrap_or(&Value::Empty)
}

fn is_gone(cluster: &Cluster, shop: ShopId) -> bool {
    let mut rows = cluster.staged.iter();
    match rows.find(|row| row.shop == shop).map(|row| &row.body) {
        Some(body) => *body == StagedBody::Gone,
        None => cluster
            .known
            .first()
            .and_then(|known| known.shops.get(&shop))
            .is_none_or(|at| at.gone || at.id.is_none()),
    }
}
