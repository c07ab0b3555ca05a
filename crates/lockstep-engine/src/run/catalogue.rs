//! The catalogue lane: categories before products, products before their pictures; each kind is planned whole, held
//! against the limits, and then applied.

use super::approved::fingerprints;
use super::names::Moves;
use super::{CHUNK, Phase, Run};
use crate::catalogue::{Deciding, Decision, Ids, Terms, decide};
use crate::customer::{Effect, Shared};
use crate::write::Write;
use jiff::Timestamp;
use lockstep_model::cases::{Also, CatalogueChunk, Cluster, RootCategory, Share};
use lockstep_model::entry::{Body, What};
use lockstep_model::{
    Field, Fields, Flow, ItemId, Kind, NaturalKey, Path, RemoteId, ShopId, Sku, Value,
    VariantField, sku_of, variants_of,
};

/// A tree of categories is made level by level, pictures one by one: each pass does what the one before made possible.
const PASSES_MAX: u8 = 24;
/// Rows of a plan that are carried out under one acknowledgement.
const APPLY_ROWS: usize = 200;
/// Records whose pictures are written before the run looks whether somebody waits for it: so many are some seconds' work.
const PICTURES_AT_ONCE: usize = 20;

impl Run {
    /// Enters the next phase. True: something is outstanding now, or the run is over.
    pub(super) fn advance_catalogue(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> bool {
        if self.at_pictures && self.makes_way {
            // The next run begins at once, with what changed meanwhile, and goes on with the pictures behind that.
            self.has_left_some = true;
            shared.look_again(self.lane, now);
            self.finish(shared, now, out);
            return true;
        }
        match self.phase.clone() {
            Phase::Look if self.undo.is_some() => {
                self.load_undo(None, out);
                true
            }
            Phase::UndoRead => {
                self.load_undone_records(out);
                true
            }
            Phase::UndoNext { after: Some(after) } => {
                self.load_undo(Some(after), out);
                true
            }
            Phase::Look => {
                self.phase = Phase::ReadCatalogue;
                for (shop, flow) in self.cause.flows() {
                    let kind = match flow {
                        Flow::Categories => Kind::Category,
                        Flow::Products | Flow::Pictures => Kind::Product,
                        Flow::Stock | Flow::Orders => continue,
                    };
                    self.read_feed(shop, kind, shared, now, out);
                }
                // What a person said of a record is carried out by the reading of it.
                for shop in self.all_shops(Kind::Product) {
                    self.list_again(shop, Kind::Product, out);
                }
                false
            }
            Phase::ReadCatalogue => {
                self.meet(shared, out);
                self.take_accepted_limits(shared, now);
                self.plan(Kind::Category, 0, out);
                true
            }
            // The last chunk was planned.
            Phase::Plan {
                kind,
                pass,
                rows,
                writes,
            } => {
                self.expected = Some(writes);
                if kind == Kind::Product && !self.at_pictures && self.goes_beyond_limits() {
                    out.push(Effect::DropPlan { run: self.id });
                    self.counts = self.counts_before;
                    self.plan_from(kind, pass, None, out);
                    return true;
                }
                if kind == Kind::Product && pass == 0 && !self.at_pictures {
                    self.ask_about_limits(shared, out);
                }
                if rows > 0 && !self.dry {
                    self.phase = Phase::Apply {
                        kind,
                        pass,
                        after: None,
                    };
                    self.pass_writes += writes;
                    self.load_plan(None, out);
                } else if let Some(next) = self.plan_after.take() {
                    self.load_catalogue(kind, Some(next), out);
                } else {
                    self.next_kind(kind, shared, now, out);
                }
                true
            }
            Phase::Apply { kind, pass, after } => {
                match after {
                    Some(after) => self.load_plan(Some(after), out),
                    None if self.plan_after.is_some() => {
                        let next = self.plan_after.take();
                        self.plan_from(kind, pass, next, out);
                    }
                    None if self.pass_writes > 0 && pass + 1 < PASSES_MAX => {
                        self.plan(kind, pass + 1, out);
                    }
                    None => self.next_kind(kind, shared, now, out),
                }
                true
            }
            Phase::ReadOrders { .. }
            | Phase::SeeOrders { .. }
            | Phase::ReadLevels { .. }
            | Phase::ReadTouched { .. }
            | Phase::Close { .. }
            | Phase::Weigh
            | Phase::Stock
            | Phase::Orders { .. }
            | Phase::UndoLoad
            | Phase::UndoJudge
            | Phase::UndoNext { after: None }
            | Phase::Over => {
                self.finish(shared, now, out);
                true
            }
        }
    }

    fn next_kind(
        &mut self,
        kind: Kind,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        match kind {
            Kind::Category => self.plan(Kind::Product, 0, out),
            Kind::Product if self.leaves_pictures() => {
                self.at_pictures = true;
                self.plan(Kind::Product, 0, out);
            }
            Kind::Product | Kind::Level | Kind::Order => self.finish(shared, now, out),
        }
    }

    /// A plan that is shown, and one that is applied as it was shown, are whole.
    fn is_whole(&self) -> bool {
        self.dry || self.approved.is_some()
    }

    /// Pictures come behind everything else.
    fn leaves_pictures(&self) -> bool {
        !self.is_whole() && !self.at_pictures
    }

    fn plan(&mut self, kind: Kind, pass: u8, out: &mut Vec<Effect>) {
        self.pass_writes = 0;
        self.plan_from(kind, pass, None, out);
    }

    fn plan_from(&mut self, kind: Kind, pass: u8, after: Option<String>, out: &mut Vec<Effect>) {
        self.phase = Phase::Plan {
            kind,
            pass,
            rows: 0,
            writes: 0,
        };
        self.begin_to_count();
        self.names = Moves::default();
        self.counts_before = self.counts;
        self.load_catalogue(kind, after, out);
    }

    fn load_catalogue(&mut self, kind: Kind, after: Option<String>, out: &mut Vec<Effect>) {
        self.loading = true;
        let share = match kind {
            _ if self.is_whole() => Share::All,
            Kind::Product if self.at_pictures => Share::Pictures,
            Kind::Product => Share::Fields,
            Kind::Category | Kind::Level | Kind::Order => Share::All,
        };
        out.push(Effect::LoadCatalogue {
            kind,
            share,
            after,
            limit: if self.at_pictures {
                PICTURES_AT_ONCE
            } else {
                CHUNK
            },
            root: match kind {
                Kind::Category => self.rules.root_category(),
                Kind::Product | Kind::Level | Kind::Order => None,
            },
        });
    }

    /// What is there already is found before it is made: not before the shop's categories were read once.
    fn has_read_categories(&self, shop: ShopId, shared: &Shared) -> bool {
        let place = (shop, Kind::Category);
        shared.cursors.contains_key(&place) || self.reads.has_ended(shop, Kind::Category)
    }

    fn load_plan(&mut self, after: Option<u64>, out: &mut Vec<Effect>) {
        self.loading = true;
        out.push(Effect::LoadPlan {
            run: self.id,
            after,
            limit: APPLY_ROWS,
        });
    }

    pub(super) fn plan_chunk(
        &mut self,
        chunk: CatalogueChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Phase::Plan {
            kind,
            pass,
            mut rows,
            mut writes,
        } = self.phase
        else {
            return;
        };
        let terms = Terms::new(chunk.categories, &self.rules.settings);
        let mut decisions = Vec::with_capacity(chunk.clusters.len());
        for cluster in &chunk.clusters {
            let mut ids = Ids {
                record: &mut shared.counters.record,
                conflict: &mut shared.counters.conflict,
            };
            let deciding = Deciding {
                run: self.id,
                now,
                looked: &chunk.looked,
                holding: self.holding(),
                withholds: self.withholds(),
            };
            let mut decision = decide(cluster, &self.rules, &terms, &deciding, &mut ids);
            self.names.turn(&mut decision);
            if cluster.key == RootCategory::KEY {
                decision.leave_out(|shop| !self.has_read_categories(shop, shared));
            }
            self.blocked += u64::from(decision.waiting);
            if let Some(approved) = &mut self.approved {
                approved.hold_to(&mut decision, pass == 0);
            }
            if self.leaves_pictures() {
                decision.leave_pictures();
            }
            if !self.dry {
                // What waits for its shop stays due.
                decision
                    .writes
                    .retain(|write| !self.waits_for_shop(write, shared, now));
                self.note_early_rows(cluster, shared, now);
            }
            let nothing = decision.bodies.is_empty()
                && decision.writes.is_empty()
                && decision.consumed.is_empty()
                && decision.only_pictures.is_empty();
            if nothing {
                continue;
            }
            self.count_conflicts(&decision.bodies);
            self.count_against_limits(&decision, chunk.total, chunk.items);
            writes += decision.writes.len() as u64;
            if self.dry && !decision.writes.is_empty() {
                self.shown.extend(fingerprints(&decision));
                let makes = |write: &&Write| matches!(write.what, What::Create { .. });
                for write in decision.writes.iter().filter(makes) {
                    let made = u64::from(kind == Kind::Product);
                    *self.shown_made.entry(write.shop).or_default() += made;
                }
            }
            self.show(decision.lines.iter().cloned());
            decisions.push((rows, decision));
            rows += 1;
        }
        self.phase = Phase::Plan {
            kind,
            pass,
            rows,
            writes,
        };
        if !decisions.is_empty() && !self.dry {
            out.push(Effect::SavePlan {
                run: self.id,
                rows: decisions,
            });
        }
        match chunk.next {
            // A chunk of categories is one level of the tree: it is made before its children are looked at, for they
            // are known by their parents.
            Some(next) if kind == Kind::Category || self.at_pictures => {
                self.plan_after = Some(next);
            }
            Some(next) => self.load_catalogue(kind, Some(next), out),
            None => {}
        }
    }

    /// A reading that left too early to tell what became of a write, though it could be told by now: it is read once more.
    fn note_early_rows(&self, cluster: &Cluster, shared: &mut Shared, now: Timestamp) {
        for row in &cluster.staged {
            let known = cluster.known.iter();
            let open = known.filter_map(|known| known.shops.get(&row.shop));
            if open
                .into_iter()
                .any(|at| self.could_be_told(&at.open, row.left_at, now))
            {
                shared.look_again(self.lane, super::writing::soon(now));
            }
        }
    }

    pub fn plan_loaded(
        &mut self,
        rows: Vec<(u64, Decision)>,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.loading = false;
        if let Phase::Apply { kind, pass, .. } = self.phase {
            let full = rows.len() == APPLY_ROWS;
            let after = rows.last().map(|(row, _)| *row).filter(|_| full);
            self.phase = Phase::Apply { kind, pass, after };
            let mut bodies = Vec::new();
            let mut writes = Vec::new();
            let mut also = Also::default();
            for (row, decision) in rows {
                also.plan_done.push((self.id, row));
                shared.stale.extend(called_otherwise(&decision.bodies));
                bodies.extend(decision.bodies);
                also.consumed.extend(decision.consumed);
                also.only_pictures.extend(decision.only_pictures);
                writes.extend(decision.writes);
            }
            let (writes, _) = self.admit(writes, shared, now);
            self.write(bodies, also, writes, shared, out);
        }
        self.advance(shared, now, out);
    }
}

/// Items that a shop is seen to call otherwise than they are named. A level that was read before that was known may have been
/// taken for another's: it is read again.
fn called_otherwise(bodies: &[Body]) -> Vec<(ShopId, ItemId)> {
    let merged = bodies.iter().filter_map(|body| match body {
        Body::Merged(merged) => Some(merged),
        _ => None,
    });
    let seen = merged.flat_map(|merged| &merged.seen);
    let called = seen.flat_map(|(shop, seen)| {
        let items = items_called_otherwise(&seen.held.set);
        items.map(|item| (*shop, item))
    });
    called.collect()
}

pub(super) fn items_called_otherwise(fields: &Fields) -> impl Iterator<Item = ItemId> {
    fields
        .iter()
        .filter_map(|(path, value)| match path.field() {
            Some(Field::Variant {
                item,
                field: VariantField::Sku,
            }) if value.as_text() != Some(item.as_str()) => Some(item),
            _ => None,
        })
}

/// By what a record that was to be made can be looked for.
pub(super) fn natural_key(set: &Fields) -> Option<NaturalKey> {
    let mut skus = variants_of(set).filter_map(|item| Some(Sku::from(sku_of(set, &item)?)));
    skus.next().map(NaturalKey::Sku).or_else(|| {
        let text = |field| set.get(&Path::new(&field)).and_then(Value::as_text);
        Some(NaturalKey::Category {
            parent: text(Field::Parent).map(RemoteId::from),
            name: text(Field::Title)?.to_owned(),
        })
    })
}
