//! From a cluster to a decision: one of our records, what was seen of it, and the smallest set of writes that puts
//! every shop in step.

use super::Terms;
use super::merge::{MergeResult, Side, merge};
use crate::rules::{Rules, ShopRules};
use crate::run::hangs_under_it_now;
use crate::write::{PlanLine, Sign, Write};
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{
    AtShop, Cluster, Consumed, Known, OpenConflict, OpenIntent, RootCategory, Staged, StagedBody,
};
use lockstep_model::entry::{
    AsideSubject, Body, Conflict, Delta, Merged, Seen, Settlement, Subject, What,
};
use lockstep_model::{
    Category, Change, ConflictId, Fault, FaultKind, Field, FieldGroup, Fields, Flow, Kind, Path,
    PictureSource, Product, RecordId, RemoteId, RunId, ShopId, Sku, Status, Value, VariantField,
    has_variant, variants_of,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What to do about one cluster. A row of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub bodies: Vec<Body>,
    pub writes: Vec<Write>,
    pub consumed: Vec<Consumed>,
    pub lines: Vec<PlanLine>,
}

impl Decision {
    /// Takes the creates at these shops out again; they stay due.
    pub fn leave_out(&mut self, shops: impl Fn(ShopId) -> bool) {
        let writes = self.writes.iter();
        let out: BTreeSet<ShopId> = writes
            .filter(|write| matches!(write.what, What::Create { .. }) && shops(write.shop))
            .map(|write| write.shop)
            .collect();
        self.writes.retain(|write| !out.contains(&write.shop));
        self.lines.retain(|line| !out.contains(&line.shop));
    }
}

/// Hands out ids in order.
pub struct Ids<'a> {
    pub record: &'a mut u64,
    pub conflict: &'a mut u64,
}

impl Ids<'_> {
    fn record(&mut self) -> RecordId {
        let id = RecordId(*self.record);
        *self.record += 1;
        id
    }

    fn conflict(&mut self) -> ConflictId {
        let id = ConflictId(*self.conflict);
        *self.conflict += 1;
        id
    }
}

pub fn decide(
    cluster: &Cluster,
    rules: &Rules,
    terms: &Terms,
    run: RunId,
    ids: &mut Ids<'_>,
    now: Timestamp,
) -> Decision {
    let consumed = cluster
        .staged
        .iter()
        .map(|staged| Consumed {
            shop: staged.shop,
            kind: staged.kind,
            id: staged.id.clone(),
            reading: staged.reading,
        })
        .collect();
    let mut decision = Decision {
        bodies: Vec::new(),
        writes: Vec::new(),
        consumed,
        lines: Vec::new(),
    };
    if let Some(bodies) = doubt(cluster, ids) {
        decision.bodies = bodies;
        return decision;
    }
    let is_root = cluster.key == RootCategory::KEY
        || cluster
            .known
            .iter()
            .any(|known| known.record == RecordId::ROOT_CATEGORY);
    let Some(kind) = cluster
        .known
        .first()
        .map(|known| known.kind)
        .or_else(|| cluster.staged.first().map(|staged| staged.kind))
        .or_else(|| is_root.then_some(Kind::Category))
    else {
        return decision;
    };
    let known = cluster.known.first();
    if !is_root
        && known.is_none()
        && cluster
            .staged
            .iter()
            .all(|row| row.body == StagedBody::Gone)
    {
        // Deleted before we ever met it.
        return decision;
    }
    let nothing = AtShop::default();
    let empty = Fields::new();
    let staged: BTreeMap<ShopId, &Staged> =
        cluster.staged.iter().map(|row| (row.shop, row)).collect();
    let shops: BTreeSet<ShopId> = known
        .iter()
        .flat_map(|known| known.shops.keys())
        .chain(staged.keys())
        .copied()
        .collect();
    let sides: Vec<Side<'_>> = shops
        .iter()
        .map(|shop| Side {
            shop: *shop,
            shadow: known
                .and_then(|known| known.shops.get(shop))
                .unwrap_or(&nothing),
            staged: staged.get(shop).map(|row| &row.body),
        })
        .collect();
    let old = known.map_or(&empty, |known| &known.ours);
    let open: &[OpenConflict] = known.map_or(&[], |known| &known.conflicts);
    let MergeResult {
        mut ours,
        overruled,
        conflicts,
        closed,
        asked,
    } = if is_root {
        root(old, rules)
    } else {
        merge(old, &sides, rules, terms, open)
    };
    archive_what_its_owner_dropped(&mut ours, &sides, rules, kind);

    let record = match known {
        Some(known) => known.record,
        None if is_root => RecordId::ROOT_CATEGORY,
        None => ids.record(),
    };
    // Which record it is was in doubt once, and is no more: the cluster has one of ours.
    let no_longer_in_doubt = open
        .iter()
        .filter(|open| matches!(open.about, Conflict::DoubtfulMatch { .. }))
        .map(|open| (open.conflict, "it fits one record alone by now"));
    for (conflict, why) in closed.into_iter().chain(no_longer_in_doubt) {
        decision.bodies.push(Body::ConflictClosed {
            conflict,
            decision: why.into(),
            by: None,
            ours: Delta::default(),
        });
    }
    for conflict in conflicts {
        decision.bodies.push(Body::ConflictOpened {
            conflict: ids.conflict(),
            subject: Subject::Record(record),
            about: conflict,
        });
    }

    let mut still_open = BTreeSet::new();
    for side in &sides {
        let settles_after_ms = rules
            .shops
            .get(&side.shop)
            .map_or(0, |shop| shop.abilities.settles_after_ms);
        for intent in &side.shadow.open {
            let row = staged.get(&side.shop).copied();
            match what_became_of(intent, row, settles_after_ms, now) {
                Some(how) => decision.bodies.push(Body::Settled {
                    intent: intent.intent,
                    how: Box::new(how),
                }),
                None => {
                    still_open.insert(side.shop);
                }
            }
        }
    }

    let mut due = Vec::new();
    let mut left_over = Vec::new();
    for (shop, shop_rules) in &rules.shops {
        let side = sides.iter().find(|side| side.shop == *shop);
        let target = Target {
            shop: *shop,
            staged_id: staged.get(shop).map(|row| &row.id),
            rules: shop_rules,
            side,
            kind,
            record,
            asked: &asked,
        };
        left_over.extend(target.left_over(&ours, rules, terms));
        let writes = target.writes(&ours, rules, terms, &sides);
        if writes.is_empty() {
            continue;
        }
        due.push(*shop);
        if target.may_write(now) && !still_open.contains(shop) {
            for (write, lines) in writes {
                // A parent that the shop does not have yet comes first; this one stays due.
                if let Change::CreateCategory { category } = &write.change
                    && category.parent.is_none()
                    && let Some(parent) = ours.get(&Path::new(&Field::Parent))
                    && let Some(parent) = parent.as_text()
                    && !terms.knows(*shop, parent)
                {
                    continue;
                }
                // So does the root of our own.
                if matches!(write.change, Change::CreateCategory { .. })
                    && target.waits_for_root(&ours, rules, terms)
                {
                    continue;
                }
                // It would be made without what a person is asked about: it waits, and stays due.
                let makes = matches!(write.what, What::Create { .. });
                if makes && !asked.is_empty() {
                    continue;
                }
                decision.lines.extend(lines);
                decision.writes.push(write);
            }
        }
    }

    let seen: BTreeMap<ShopId, Seen> = cluster
        .staged
        .iter()
        .filter_map(|row| {
            let shadow = known
                .and_then(|known| known.shops.get(&row.shop))
                .unwrap_or(&nothing);
            let seen = match &row.body {
                StagedBody::Fields { fields, parts } => Seen {
                    id: row.id.clone(),
                    parts: (shadow.parts != *parts).then(|| parts.clone()),
                    held: Delta::between(&shadow.held, fields),
                    gone: false,
                },
                StagedBody::Gone => Seen {
                    // Without a link there is nothing that could be gone.
                    id: shadow.id.clone()?,
                    parts: None,
                    held: Delta::default(),
                    gone: true,
                },
            };
            Some((row.shop, seen))
        })
        .collect();
    let ours_delta = Delta::between(old, &ours);
    let keys = if is_root {
        vec![RootCategory::KEY.to_owned()]
    } else {
        keys(kind, &cluster.key, known, &cluster.staged, &ours, &sides)
    };
    let is_news = known.is_none()
        || !ours_delta.is_empty()
        || !seen.is_empty()
        || known.is_some_and(|known| known.keys != keys);
    // The root is looked at each time, whether or not anything of it is due or was read.
    let is_asked_for = !is_root || !cluster.staged.is_empty() || rules.root_category().is_none();
    if is_news || (due.is_empty() && is_asked_for) {
        decision.bodies.push(Body::Merged(Merged {
            run,
            record,
            kind,
            title: title(&ours, &keys),
            keys,
            ours: ours_delta,
            seen,
            overruled,
            due,
        }));
        decision.bodies.extend(left_over);
    }
    if is_root {
        let found = sides.iter().filter(|side| {
            side.staged.is_some()
                && side.is_there()
                && (side.shadow.id.is_none() || side.shadow.gone)
        });
        decision
            .bodies
            .extend(found.map(|side| hangs_under_it_now(side.shop)));
    }
    decision
}

/// The root category of our own is nobody's word but the settings'.
fn root(old: &Fields, rules: &Rules) -> MergeResult {
    let ours = match rules.root_category() {
        Some(root) => Category {
            name: root.name,
            ..Category::default()
        }
        .fields(),
        None => old.clone(),
    };
    MergeResult {
        ours,
        overruled: Vec::new(),
        conflicts: Vec::new(),
        closed: Vec::new(),
        asked: BTreeSet::new(),
    }
}

/// What a reading says of an intent whose outcome nobody knew. `None`: nothing yet.
fn what_became_of(
    intent: &OpenIntent,
    row: Option<&Staged>,
    settles_after_ms: i64,
    now: Timestamp,
) -> Option<Settlement> {
    let row = row?;
    let StagedBody::Fields { fields, parts } = &row.body else {
        return Some(Settlement::NotApplied { fault: None });
    };
    let applied = match &intent.what {
        What::Create { .. } => true,
        What::Set { set } => set
            .iter()
            .all(|(path, value)| fields.get(path).unwrap_or(&Value::Empty) == value),
        What::AddPicture { digest } => parts.pictures.contains_key(digest),
        What::RemovePicture { digest } => !parts.pictures.contains_key(digest),
        What::Level { .. } | What::CreateOrder | What::StepOrder { .. } => false,
    };
    if applied {
        return Some(Settlement::Done {
            id: row.id.clone(),
            parts: Some(parts.clone()),
            held: Some(fields.clone()),
            level: None,
            partly: false,
        });
    }
    settled_by(intent, settles_after_ms, now).then_some(Settlement::NotApplied { fault: None })
}

/// Has so much time passed that a write which is not to be seen was not applied?
pub(crate) fn settled_by(intent: &OpenIntent, settles_after_ms: i64, now: Timestamp) -> bool {
    settles_at(intent, settles_after_ms) <= now
}

/// From then on a look at this write proves something.
pub(crate) fn settles_at(intent: &OpenIntent, settles_after_ms: i64) -> Timestamp {
    intent
        .look_at
        .or_else(|| intent.at.checked_add(settles_after_ms.milliseconds()).ok())
        .unwrap_or(Timestamp::MAX)
}

/// What must not be guessed: one record of a shop that could be several of ours, or the other way round.
fn doubt(cluster: &Cluster, ids: &mut Ids<'_>) -> Option<Vec<Body>> {
    let mut by_shop: BTreeMap<ShopId, Vec<&Staged>> = BTreeMap::new();
    for row in &cluster.staged {
        by_shop.entry(row.shop).or_default().push(row);
    }
    let mut bodies = Vec::new();
    for (shop, rows) in &by_shop {
        // Two rows of one shop, or one that is new while another record of that shop holds the link.
        let linked_elsewhere = cluster.known.iter().any(|known| {
            known.shops.get(shop).is_some_and(|at| {
                !at.gone
                    && at.id.as_ref().is_some_and(|id| {
                        rows.iter().any(|row| row.id != *id && row.linked.is_none())
                    })
            })
        });
        if rows.len() < 2 && !linked_elsewhere {
            continue;
        }
        let key = rows
            .first()
            .and_then(|row| row.keys.first())
            .cloned()
            .unwrap_or_default();
        for row in rows {
            bodies.push(aside_for_same_key(*shop, row, &key));
        }
    }
    if bodies.is_empty() && cluster.known.len() > 1 {
        let candidates: Vec<RecordId> = cluster.known.iter().map(|known| known.record).collect();
        let already = cluster
            .known
            .iter()
            .any(|known| !known.conflicts.is_empty());
        if !already && let (Some(first), Some(row)) = (candidates.first(), cluster.staged.first()) {
            bodies.push(Body::ConflictOpened {
                conflict: ids.conflict(),
                subject: Subject::Record(*first),
                about: Conflict::DoubtfulMatch {
                    shop: row.shop,
                    id: row.id.clone(),
                    candidates,
                },
            });
        }
        return Some(bodies);
    }
    (!bodies.is_empty()).then_some(bodies)
}

fn aside_for_same_key(shop: ShopId, row: &Staged, key: &str) -> Body {
    let message = format!(
        "two records of this shop bear the key \"{key}\" (one of them is its {}): neither is synced until one of \
         them has another key or is deleted in the shop",
        row.id
    );
    Body::Aside {
        shop,
        subject: AsideSubject::Remote {
            kind: row.kind,
            id: Some(row.id.clone()),
        },
        fault: Fault::new(FaultKind::Invalid { field: None }, message)
            .about(key)
            .at(shop),
        retry_at: None,
        tries: 0,
    }
}

/// A record that is gone in its owner shop is archived elsewhere, never deleted.
fn archive_what_its_owner_dropped(
    ours: &mut Fields,
    sides: &[Side<'_>],
    rules: &Rules,
    kind: Kind,
) {
    if kind != Kind::Product {
        return;
    }
    let Some(owner) = rules.catalogue_owner() else {
        return;
    };
    let gone = sides.iter().any(|side| {
        side.shop == owner
            && match side.staged {
                Some(StagedBody::Gone) => true,
                Some(StagedBody::Fields { .. }) => false,
                None => side.shadow.gone,
            }
    });
    if gone {
        ours.insert(
            Path::new(&Field::Status),
            Value::text(Status::Archived.as_str()),
        );
    }
}

fn keys(
    kind: Kind,
    cluster_key: &str,
    known: Option<&Known>,
    staged: &[Staged],
    ours: &Fields,
    sides: &[Side<'_>],
) -> Vec<String> {
    let mut keys: BTreeSet<String> = staged
        .iter()
        .filter(|row| row.body != StagedBody::Gone)
        .flat_map(|row| row.keys.iter().cloned())
        .collect();
    match (known, kind) {
        // A category that moved has a new path and no longer its old one.
        (Some(known), Kind::Category) if keys.is_empty() => keys.extend(known.keys.clone()),
        (Some(_), Kind::Category) => {}
        // A SKU that no shop has any more is free for another product.
        (Some(known), _) => {
            let is_had = |key: &&String| {
                let sku = Sku((*key).clone());
                let mut shops = sides.iter();
                has_variant(ours, &sku) || shops.any(|side| has_variant(side.holds(), &sku))
            };
            let had: Vec<_> = known.keys.iter().filter(is_had).cloned().collect();
            keys.extend(had);
            if keys.is_empty() {
                keys.extend(known.keys.clone());
            }
        }
        (None, _) if keys.is_empty() => {
            keys.insert(cluster_key.to_owned());
        }
        (None, _) => {}
    }
    keys.into_iter().collect()
}

fn title(ours: &Fields, keys: &[String]) -> String {
    ours.get(&Path::new(&Field::Title))
        .and_then(Value::as_text)
        .map(str::to_owned)
        .or_else(|| keys.first().cloned())
        .unwrap_or_default()
}

/// One shop, as something to be written to.
struct Target<'a> {
    shop: ShopId,
    staged_id: Option<&'a RemoteId>,
    rules: &'a ShopRules,
    side: Option<&'a Side<'a>>,
    kind: Kind,
    record: RecordId,
    /// What a person is asked about is not written over until it is decided.
    asked: &'a BTreeSet<Path>,
}

impl Target<'_> {
    /// Now? A record whose last write is in doubt, or that failed a moment ago, gets no other.
    fn may_write(&self, now: Timestamp) -> bool {
        let Some(side) = self.side else {
            return !self.rules.read_only;
        };
        !self.rules.read_only && side.shadow.aside_until.is_none_or(|until| until <= now)
    }

    fn writes(
        &self,
        ours: &Fields,
        rules: &Rules,
        terms: &Terms,
        sides: &[Side<'_>],
    ) -> Vec<(Write, Vec<PlanLine>)> {
        let flow = self.kind.flow();
        if !rules.flow_is_on(flow) {
            return Vec::new();
        }
        let there = self.side.is_some_and(|side| match side.staged {
            Some(StagedBody::Fields { .. }) => true,
            Some(StagedBody::Gone) => false,
            None => side.shadow.id.is_some() && !side.shadow.gone,
        });
        let once_there = self.side.is_some_and(|side| side.shadow.id.is_some());
        let is_root = self.record == RecordId::ROOT_CATEGORY;
        if is_root && !rules.gets_a_root(self.shop) {
            return Vec::new();
        }
        let wanted = if is_root {
            ours.clone()
        } else {
            self.wanted(ours, rules, terms)
        };
        if there {
            // Named by this reading, or by the link.
            let Some(id) = self
                .staged_id
                .or_else(|| self.side.and_then(|side| side.shadow.id.as_ref()))
            else {
                return Vec::new();
            };
            return self.updates(id, wanted, rules, ours, sides);
        }
        if is_root {
            // Also where a person removed it: without it the tree would have no place.
            return self.create(wanted).into_iter().collect();
        }
        let owner_has_it = rules.catalogue_owner().is_some_and(|owner| {
            owner != self.shop
                && sides.iter().any(|side| {
                    side.shop == owner
                        && match side.staged {
                            Some(StagedBody::Fields { .. }) => true,
                            Some(StagedBody::Gone) => false,
                            None => side.shadow.id.is_some() && !side.shadow.gone,
                        }
                })
        });
        // What a person removed from this shop is not made again.
        if once_there || !owner_has_it || !rules.gets_everything(self.shop) {
            return Vec::new();
        }
        let archived = wanted
            .get(&Path::new(&Field::Status))
            .and_then(Value::as_text)
            == Some(Status::Archived.as_str());
        if archived {
            return Vec::new();
        }
        self.create(wanted).into_iter().collect()
    }

    /// A category of the top, where the root of our own is still to be made.
    fn waits_for_root(&self, ours: &Fields, rules: &Rules, terms: &Terms) -> bool {
        self.record != RecordId::ROOT_CATEGORY
            && rules.gets_a_root(self.shop)
            && terms.root(self.shop).is_none()
            && ours
                .get(&Path::new(&Field::Parent))
                .is_none_or(|parent| *parent == Value::Empty)
    }

    fn tries(&self) -> u32 {
        self.side.map_or(0, |side| side.shadow.tries)
    }

    /// What the shop should hold, in its own terms: the fields that it can hold and that others own.
    fn wanted(&self, ours: &Fields, rules: &Rules, terms: &Terms) -> Fields {
        let variants = variants_of(ours).count();
        let customer = &rules.settings.customer;
        let backorder = if variants > 1 {
            customer.variation_back_order_enabled
        } else {
            customer.product_back_order_enabled
        };
        let mut wanted = Fields::new();
        for (path, value) in ours {
            let (Some(field), Some(group)) = (path.field(), path.group()) else {
                continue;
            };
            if !(self.rules.abilities.holds)(&field)
                || !rules.group_is_on(group)
                || rules.owner(group) == Some(self.shop)
                || self.asked.contains(path)
            {
                continue;
            }
            let value = match &field {
                Field::Variant {
                    field: VariantField::Price(currency) | VariantField::SalePrice(currency),
                    ..
                } if currency != self.rules.currency() => continue,
                Field::Variant {
                    field: VariantField::Backorder,
                    ..
                } => Value::Flag(backorder),
                Field::Parent if *value == Value::Empty && rules.gets_a_root(self.shop) => {
                    match terms.root(self.shop) {
                        Some(root) => Value::text(root.as_str()),
                        // It stays where it is until the root was made.
                        None => continue,
                    }
                }
                Field::Parent if *value == Value::Empty => {
                    Value::optional_text(customer.root_category_id.as_deref())
                }
                _ => terms.to_theirs(self.shop, path, value),
            };
            wanted.insert(path.clone(), value);
        }
        wanted
    }

    fn create(&self, wanted: Fields) -> Option<(Write, Vec<PlanLine>)> {
        let mut set = wanted;
        // Pictures are added to what exists.
        set.remove(&Path::new(&Field::Pictures));
        set.retain(|path, value| !takes_away(path, value));
        let change = match self.kind {
            Kind::Category => Change::CreateCategory {
                category: Category::from_fields(RemoteId::default(), &set),
            },
            Kind::Product => {
                let product = Product::from_fields(RemoteId::default(), &set, &Default::default());
                if product.variants.is_empty() {
                    return None;
                }
                Change::CreateProduct {
                    product: Box::new(product),
                }
            }
            Kind::Level | Kind::Order => return None,
        };
        if !self.rules.can(&change) {
            return None;
        }
        let label = label(&set);
        let line = PlanLine {
            shop: self.shop,
            sign: Sign::Create,
            label: label.clone(),
            field: String::new(),
            from: String::new(),
            to: String::new(),
            why: "its owner has it and this shop does not".into(),
        };
        let write = Write {
            shop: self.shop,
            subject: Subject::Record(self.record),
            change,
            what: What::Create { set },
            label,
            tries: self.tries(),
        };
        Some((write, vec![line]))
    }

    fn updates(
        &self,
        id: &RemoteId,
        wanted: Fields,
        rules: &Rules,
        ours: &Fields,
        sides: &[Side<'_>],
    ) -> Vec<(Write, Vec<PlanLine>)> {
        let Some(side) = self.side else {
            return Vec::new();
        };
        let holds = side.holds();
        let shadow = side.shadow;
        let parts = match side.staged {
            Some(StagedBody::Fields { parts, .. }) => parts,
            _ => &shadow.parts,
        };
        let set: Fields = wanted
            .into_iter()
            .filter(|(path, want)| !self.cannot_take_away(path, want))
            .filter(|(path, want)| {
                // What we last meant stands, as long as the shop has not moved since.
                let untouched = holds.get(path) == shadow.held.get(path);
                let meant = shadow.meant.get(path).filter(|_| untouched);
                match meant.or_else(|| holds.get(path)) {
                    Some(value) => value != want,
                    None => *want != Value::Empty,
                }
            })
            .collect();
        let mut writes = Vec::new();
        let pictures = Path::new(&Field::Pictures);
        let (picture_sets, set): (Fields, Fields) =
            set.into_iter().partition(|(path, _)| *path == pictures);
        if !set.is_empty() {
            let mut whole = holds.clone();
            whole.extend(set.clone());
            let change = match self.kind {
                Kind::Category => Change::UpdateCategory {
                    id: id.clone(),
                    set: set.clone(),
                    category: Category::from_fields(id.clone(), &whole),
                },
                _ => Change::UpdateProduct {
                    id: id.clone(),
                    set: set.clone(),
                    product: Box::new(Product::from_fields(id.clone(), &whole, parts)),
                    parts: parts.clone(),
                },
            };
            if self.rules.can(&change) {
                let label = label(&whole);
                let lines = set
                    .iter()
                    .map(|(path, to)| self.line(&label, path, holds.get(path), to, rules))
                    .collect();
                let write = Write {
                    shop: self.shop,
                    subject: Subject::Record(self.record),
                    change,
                    what: What::Set { set },
                    label,
                    tries: self.tries(),
                };
                writes.push((write, lines));
            }
        }
        // A picture is its own write; one at a time, since an open write blocks the next of its record.
        if writes.is_empty()
            && let Some(want) = picture_sets.get(&pictures)
            && rules.flow_is_on(Flow::Pictures)
        {
            let have = holds.get(&pictures).unwrap_or(&Value::Empty);
            writes.extend(self.picture_write(id, have, want, parts, rules, ours, sides));
        }
        writes
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one caller; they are the merge's whole context"
    )]
    fn picture_write(
        &self,
        id: &RemoteId,
        have: &Value,
        want: &Value,
        parts: &lockstep_model::Parts,
        rules: &Rules,
        ours: &Fields,
        sides: &[Side<'_>],
    ) -> Option<(Write, Vec<PlanLine>)> {
        let owner = rules.owner(FieldGroup::Pictures)?;
        let label = label(ours);
        let missing = want
            .as_list()
            .iter()
            .enumerate()
            .find(|(_, digest)| !have.as_list().contains(digest));
        let (change, what, to) = if let Some((position, digest)) = missing {
            let from = sides.iter().find(|side| side.shop == owner)?;
            let parts = match from.staged {
                Some(StagedBody::Fields { parts, .. }) => parts,
                _ => &from.shadow.parts,
            };
            let part = parts.pictures.get(digest)?;
            let change = Change::AddPicture {
                product: id.clone(),
                digest: digest.clone(),
                alt: part.alt.clone(),
                position: position.try_into().unwrap_or(u32::MAX),
                source: PictureSource {
                    shop: owner,
                    id: part.id.clone(),
                    url: part.url.clone(),
                },
            };
            let what = What::AddPicture {
                digest: digest.clone(),
            };
            (change, what, "added")
        } else {
            let extra = have
                .as_list()
                .iter()
                .find(|digest| !want.as_list().contains(digest))?;
            let part = parts.pictures.get(extra)?;
            let change = Change::RemovePicture {
                product: id.clone(),
                picture: part.id.clone(),
            };
            let what = What::RemovePicture {
                digest: extra.clone(),
            };
            (change, what, "removed")
        };
        if !self.rules.can(&change) {
            return None;
        }
        let line = PlanLine {
            shop: self.shop,
            sign: Sign::Update,
            label: label.clone(),
            field: "picture".into(),
            from: String::new(),
            to: to.into(),
            why: self.why(FieldGroup::Pictures, rules),
        };
        let write = Write {
            shop: self.shop,
            subject: Subject::Record(self.record),
            change,
            what,
            label,
            tries: self.tries(),
        };
        Some((write, vec![line]))
    }

    fn cannot_take_away(&self, path: &Path, want: &Value) -> bool {
        takes_away(path, want)
            && path
                .field()
                .is_some_and(|field| !(self.rules.abilities.removes)(&field))
    }

    /// What its owner took away and this shop has and cannot be rid of. It stays; people are told.
    fn left_over(&self, ours: &Fields, rules: &Rules, terms: &Terms) -> Option<Body> {
        let side = self.side.filter(|side| side.is_there())?;
        let id = self.staged_id.or(side.shadow.id.as_ref())?;
        let left: Vec<String> = self
            .wanted(ours, rules, terms)
            .iter()
            .filter(|(path, want)| {
                let held = side.holds().get(path);
                self.cannot_take_away(path, want) && held.is_some_and(|held| *held != Value::Empty)
            })
            .map(|(path, _)| path.to_string())
            .collect();
        if left.is_empty() {
            return None;
        }
        let label = label(ours);
        let message = format!(
            "was taken away where it comes from, and this platform cannot be without it: {}. It stays as it is until \
             somebody removes it in the shop",
            left.join(", ")
        );
        Some(Body::Aside {
            shop: self.shop,
            subject: AsideSubject::Remote {
                kind: self.kind,
                id: Some(id.clone()),
            },
            fault: Fault::new(FaultKind::Invalid { field: None }, message)
                .about(label)
                .at(self.shop),
            retry_at: None,
            tries: 0,
        })
    }

    fn line(
        &self,
        label: &str,
        path: &Path,
        from: Option<&Value>,
        to: &Value,
        rules: &Rules,
    ) -> PlanLine {
        let archives =
            path.field() == Some(Field::Status) && to.as_text() == Some(Status::Archived.as_str());
        let removes = to != &Value::Flag(true)
            && matches!(
                path.field(),
                Some(Field::Variant {
                    field: VariantField::Present,
                    ..
                })
            );
        PlanLine {
            shop: self.shop,
            sign: match (archives, removes) {
                (true, _) => Sign::Archive,
                (false, true) => Sign::Remove,
                (false, false) => Sign::Update,
            },
            label: label.to_owned(),
            field: path.to_string(),
            from: from.unwrap_or(&Value::Empty).to_string(),
            to: to.to_string(),
            why: path
                .group()
                .map(|group| self.why(group, rules))
                .unwrap_or_default(),
        }
    }

    fn why(&self, group: FieldGroup, rules: &Rules) -> String {
        match rules.owner(group).and_then(|owner| rules.shops.get(&owner)) {
            Some(owner) => format!("owner: {}", owner.name),
            None => "changed elsewhere".into(),
        }
    }
}

/// Its owner had this field and has it no more.
fn takes_away(path: &Path, want: &Value) -> bool {
    *want == Value::Empty && path.field().is_some_and(|field| field.is_one_of_many())
}

/// What people call it: its first SKU and its title.
fn label(fields: &Fields) -> String {
    let title = fields
        .get(&Path::new(&Field::Title))
        .and_then(Value::as_text)
        .unwrap_or_default();
    let sku: Option<Sku> = variants_of(fields).next();
    match sku {
        Some(sku) if title.is_empty() => sku.0,
        Some(sku) => format!("{sku} {title}"),
        None => title.to_owned(),
    }
}
