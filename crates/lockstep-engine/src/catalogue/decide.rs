//! From a cluster to a decision: one of our records, what was seen of it, and the smallest set of writes that puts
//! every shop in step.

use super::became::what_became_of;
use super::holds::{Answers, Held, Holding, missing_in_words, price_in_words};
use super::matching::{Group, Matching};
use super::merge::{MergeResult, Side, Times, merge};
use super::target::{Planned, Target, Withholds};
use super::undone::Undone;
use super::{Terms, items};
use crate::rules::Rules;
use crate::run::hangs_under_it_now;
use crate::write::{PlanLine, Write};
use jiff::Timestamp;
use lockstep_model::cases::{
    AtShop, Cluster, Consumed, OpenConflict, RootCategory, Staged, StagedBody,
};
use lockstep_model::entry::{
    Again, Awaited, Body, Conflict, Delta, Merged, Seen, Settlement, Subject, What,
};
use lockstep_model::{
    Category, Change, ConflictId, Field, FieldGroup, Fields, IntentId, Kind, Path, RecordId,
    RemoteId, RunId, ShopId, Status, Value, has_sku,
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
    /// Shops that want a write which something else holds up: an outcome that is looked up, a record that comes first.
    #[serde(default)]
    pub waiting: u32,
    /// What a person should see before it is written, and what is not made, in words.
    #[serde(default)]
    pub held: Vec<String>,
    /// Records that lack nothing but pictures in these shops, which are left to come behind everything else.
    #[serde(default)]
    pub only_pictures: Vec<(RecordId, ShopId)>,
}

impl Decision {
    /// Takes the writes of pictures out again. They stay due, behind everything else.
    pub fn leave_pictures(&mut self) {
        for write in &self.writes {
            if let (Subject::Record(record), true) = (&write.subject, is_picture(&write.what)) {
                self.only_pictures.push((*record, write.shop));
            }
        }
        self.writes.retain(|write| !is_picture(&write.what));
    }

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

fn is_picture(what: &What) -> bool {
    match what {
        What::AddPicture { .. } | What::RemovePicture { .. } => true,
        What::Set { set } => {
            let pictures = Path::new(&Field::Pictures);
            set.keys().eq([&pictures])
        }
        _ => false,
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

    pub(super) fn conflict(&mut self) -> ConflictId {
        let id = ConflictId(*self.conflict);
        *self.conflict += 1;
        id
    }
}

/// In which run it is decided, and what that run may do.
pub struct Deciding<'a> {
    pub run: RunId,
    pub now: Timestamp,
    /// When the last run began that read all of a shop's feed.
    pub looked: &'a BTreeMap<ShopId, Timestamp>,
    pub holding: Holding,
    pub withholds: Withholds,
}

pub fn decide(
    cluster: &Cluster,
    rules: &Rules,
    terms: &Terms,
    deciding: &Deciding<'_>,
    ids: &mut Ids<'_>,
) -> Decision {
    let context = Context {
        rules,
        terms,
        deciding,
        extent: Extent::All,
    };
    decide_within(cluster, &context, ids)
}

/// As `decide`, but nothing is written other than what an undo puts back.
pub(crate) fn put_back(
    cluster: &Cluster,
    rules: &Rules,
    terms: &Terms,
    run: RunId,
    ids: &mut Ids<'_>,
    now: Timestamp,
) -> Decision {
    // Which of two changes is later is not for an undo to say.
    let deciding = Deciding {
        run,
        now,
        looked: &BTreeMap::new(),
        holding: Holding::Asks,
        withholds: Withholds::default(),
    };
    let context = Context {
        rules,
        terms,
        deciding: &deciding,
        extent: Extent::PutBack,
    };
    decide_within(cluster, &context, ids)
}

/// What may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    /// Only what an undo puts back.
    PutBack,
}

/// What a decision goes by, beside what it is about.
struct Context<'a> {
    rules: &'a Rules,
    terms: &'a Terms,
    deciding: &'a Deciding<'a>,
    extent: Extent,
}

fn decide_within(cluster: &Cluster, context: &Context<'_>, ids: &mut Ids<'_>) -> Decision {
    let is_root = cluster.key == RootCategory::KEY
        || cluster
            .known
            .iter()
            .any(|known| known.record == RecordId::ROOT_CATEGORY);
    let mut matching = if is_root {
        Matching::whole(cluster)
    } else {
        Matching::of(cluster, context.rules)
    };
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
        waiting: 0,
        held: Vec::new(),
        only_pictures: Vec::new(),
    };
    let renamed = items::renamed(&matching.groups);
    for (group, renamed) in matching.groups.iter_mut().zip(&renamed) {
        for (row, staged) in renamed {
            group.rows[*row] = staged;
        }
    }
    let mut records = Vec::new();
    for group in &matching.groups {
        records.push(decide_on(group, is_root, context, ids, &mut decision));
    }
    decision
        .bodies
        .extend(matching.bodies(cluster, &records, ids));
    decision
}

/// On one record; which it is.
fn decide_on(
    group: &Group<'_>,
    is_root: bool,
    context: &Context<'_>,
    ids: &mut Ids<'_>,
    decision: &mut Decision,
) -> Option<RecordId> {
    let Context {
        rules,
        terms,
        deciding,
        extent,
    } = *context;
    let Deciding {
        run,
        now,
        looked,
        holding,
        withholds,
    } = *deciding;
    let known = group.known;
    let kind = known
        .map(|known| known.kind)
        .or_else(|| group.rows.first().map(|row| row.kind))
        .or_else(|| is_root.then_some(Kind::Category))?;
    if !is_root && known.is_none() && group.rows.iter().all(|row| row.body == StagedBody::Gone) {
        // Deleted before we ever met it.
        return None;
    }
    let nothing = AtShop::default();
    let empty = Fields::new();
    let staged: BTreeMap<ShopId, &Staged> = group.rows.iter().map(|row| (row.shop, *row)).collect();
    let shops: BTreeSet<ShopId> = known
        .iter()
        .flat_map(|known| known.shops.keys())
        .chain(staged.keys())
        .copied()
        .collect();
    let mut became: BTreeMap<IntentId, Settlement> = BTreeMap::new();
    let sides: Vec<Side<'_>> = shops
        .iter()
        .map(|shop| {
            let row = staged.get(shop).copied();
            let shadow = known.and_then(|known| known.shops.get(shop));
            let shadow = shadow.unwrap_or(&nothing);
            let shop_rules = rules.shops.get(shop);
            let settles_after_ms = shop_rules.map_or(0, |shop| shop.abilities.settles_after_ms);
            let mut unanswered = Vec::new();
            for intent in &shadow.open {
                match what_became_of(intent, row, settles_after_ms) {
                    Some(how) => drop(became.insert(intent.intent, how)),
                    None => unanswered.push(&intent.what),
                }
            }
            Side {
                shop: *shop,
                shadow,
                staged: row.map(|row| &row.body),
                unanswered,
            }
        })
        .collect();
    let old = known.map_or(&empty, |known| &known.ours);
    let open: &[OpenConflict] = known.map_or(&[], |known| &known.conflicts);
    let MergeResult {
        mut ours,
        mut overruled,
        conflicts,
        closed,
        asked,
    } = if is_root {
        root(old, rules)
    } else {
        let times = Times {
            looked,
            changed_at: known.map(|known| known.changed_at),
        };
        merge(old, &sides, rules, terms, open, &times)
    };
    archive_what_its_owner_dropped(&mut ours, &sides, rules, kind, &group.in_doubt);
    let undone = if is_root {
        Undone::default()
    } else {
        Undone::follow(open, &mut ours, &sides, rules, terms)
    };
    overruled.retain(|overruled| !undone.holds(overruled.shop, &overruled.path));

    let record = match known {
        Some(known) => known.record,
        None if is_root => RecordId::ROOT_CATEGORY,
        None => ids.record(),
    };
    // Nothing of such a doubt is noted any more.
    let no_longer_in_doubt = open.iter().filter_map(|open| match &open.about {
        Conflict::DoubtfulMatch { shop, id, .. } => {
            let is_noted = known.is_some_and(|known| known.withheld.contains(&(*shop, id.clone())));
            (!is_noted).then_some((open.conflict, "it fits one record alone by now"))
        }
        _ => None,
    });
    for (conflict, why) in closed.into_iter().chain(no_longer_in_doubt) {
        decision.bodies.push(Body::ConflictClosed {
            conflict,
            decision: why.into(),
            by: None,
            ours: Delta::default(),
        });
    }
    for closed in &undone.closed {
        decision.bodies.push(Body::ConflictClosed {
            conflict: closed.conflict,
            decision: closed.decision.into(),
            by: closed.by.clone(),
            ours: Delta::default(),
        });
    }
    for conflict in conflicts.into_iter().chain(undone.asked_anew.clone()) {
        decision.bodies.push(Body::ConflictOpened {
            conflict: ids.conflict(),
            subject: Subject::Record(record),
            about: conflict,
        });
    }

    let settled = became.into_iter().map(|(intent, how)| Body::Settled {
        intent,
        how: Box::new(how),
    });
    decision.bodies.extend(settled);

    let keys = if is_root {
        vec![RootCategory::KEY.to_owned()]
    } else {
        keys(kind, group, &ours, &sides, rules)
    };
    let label = label(kind, &keys, &ours);
    let mut due = Vec::new();
    let mut left_over = Vec::new();
    let nothing_accepted = BTreeMap::new();
    let accepted = known.map_or(&nothing_accepted, |known| &known.accepted);
    let answers = Answers::new(open, accepted);
    let mut held = Held::default();
    for (shop, shop_rules) in &rules.shops {
        let side = sides.iter().find(|side| side.shop == *shop);
        let target = Target {
            shop: *shop,
            staged_id: staged.get(shop).map(|row| &row.id),
            rules: shop_rules,
            side,
            kind,
            record,
            label: &label,
            asked: &asked,
            undone: &undone,
            extent,
            before: old,
            answers: &answers,
            holding,
            withholds,
            withheld: group.withheld.contains(shop),
            now,
        };
        left_over.extend(target.left_over(&ours, rules, terms));
        let Planned {
            writes,
            held: prices,
            missing,
            gone,
            waits,
        } = target.plan(&ours, rules, terms, &sides);
        // A plan that is made meanwhile shows what a person would let through.
        let waits = waits || !prices.is_empty();
        for (path, price) in prices {
            let words = price_in_words(&label, &shop_rules.name, &price);
            decision.held.push(words);
            held.price(path, *shop, price);
        }
        if let Some(missing) = missing {
            let words = missing_in_words(&label, &shop_rules.name, &missing);
            decision.held.push(words);
            held.missing(*shop, missing);
        }
        let is_left =
            |id: &RemoteId| known.is_some_and(|known| known.left.contains(&(*shop, id.clone())));
        if let Some(id) = gone.filter(|id| !is_left(id)) {
            held.gone(*shop, id);
        }
        if writes.is_empty() {
            if waits {
                due.push(*shop);
            }
            continue;
        }
        due.push(*shop);
        let planned = decision.writes.len();
        // What stands aside is counted as that.
        let is_aside = side.is_some_and(|side| side.shadow.aside_until.is_some());
        let is_open = side.is_some_and(|side| !side.unanswered.is_empty());
        if target.may_write() && !is_open {
            for (mut write, lines) in writes {
                if target.stands_aside(&write) {
                    continue;
                }
                write.tries = target.tries_of(&write);
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
        if decision.writes.len() == planned && !is_aside {
            decision.waiting += 1;
        }
    }

    if extent == Extent::All && !is_root {
        let questions = held.questions(open, &ours, holding);
        for (conflict, why) in questions.closed {
            decision.bodies.push(Body::ConflictClosed {
                conflict,
                decision: why.into(),
                by: None,
                ours: Delta::default(),
            });
        }
        for about in questions.asked {
            decision.bodies.push(Body::ConflictOpened {
                conflict: ids.conflict(),
                subject: Subject::Record(record),
                about,
            });
        }
    }

    let seen: BTreeMap<ShopId, Seen> = group
        .rows
        .iter()
        .filter_map(|row| {
            let shadow = known
                .and_then(|known| known.shops.get(&row.shop))
                .unwrap_or(&nothing);
            let seen = match &row.body {
                StagedBody::Fields { fields, parts } => {
                    // Of one that was not linked before nothing is known.
                    let is_the_same = shadow.id.as_ref() == Some(&row.id);
                    let held = if is_the_same { &shadow.held } else { &empty };
                    Seen {
                        id: row.id.clone(),
                        parts: (!is_the_same || shadow.parts != *parts).then(|| parts.clone()),
                        held: Delta::between(held, fields),
                        anew: !is_the_same,
                        gone: false,
                    }
                }
                StagedBody::Gone => Seen {
                    // Without a link there is nothing that could be gone.
                    id: shadow.id.clone()?,
                    parts: None,
                    held: Delta::default(),
                    anew: false,
                    gone: true,
                },
            };
            Some((row.shop, seen))
        })
        .collect();
    let ours_delta = Delta::between(old, &ours);
    let awaits = if is_root {
        BTreeSet::new()
    } else {
        let creates = |write: &&Write| matches!(write.what, What::Create { .. });
        let made = decision.writes.iter().filter(creates);
        let made: BTreeSet<ShopId> = made.map(|write| write.shop).collect();
        awaits(&ours, &sides, &made, rules, terms)
    };
    let is_news = known.is_none()
        || !ours_delta.is_empty()
        || !seen.is_empty()
        || known.is_some_and(|known| known.keys != keys || known.awaits != awaits);
    // The root is looked at each time, whether or not anything of it is due or was read.
    let is_asked_for = !is_root || !group.rows.is_empty() || rules.root_category().is_none();
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
            awaits,
        }));
        decision.bodies.extend(left_over);
    }
    let is_moved = || {
        let parent = Path::new(&Field::Parent);
        old.get(&parent) != ours.get(&parent)
    };
    if kind == Kind::Category && known.is_some() && is_moved() {
        // What hangs under it may be picked now.
        let (kind, shops) = (Kind::Product, rules.shops_given_by_category());
        if !shops.is_empty() {
            decision.bodies.push(Body::DueAgain {
                what: Again::Records { kind, shops },
            });
        }
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
    Some(record)
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

/// A record that is gone in its owner shop is archived elsewhere, never deleted; not while something bears its SKU there
/// that may be the same, made again.
fn archive_what_its_owner_dropped(
    ours: &mut Fields,
    sides: &[Side<'_>],
    rules: &Rules,
    kind: Kind,
    in_doubt: &BTreeSet<ShopId>,
) {
    if kind != Kind::Product {
        return;
    }
    let Some(owner) = rules.catalogue_owner() else {
        return;
    };
    if in_doubt.contains(&owner) {
        return;
    }
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

/// Categories that it is in, or hangs under, and that have no link yet: in a shop whose word counts, and in those that have
/// the record or are given it now.
fn awaits(
    ours: &Fields,
    sides: &[Side<'_>],
    made: &BTreeSet<ShopId>,
    rules: &Rules,
    terms: &Terms,
) -> BTreeSet<Awaited> {
    let group = FieldGroup::Categories;
    let mut awaits = BTreeSet::new();
    if !rules.group_is_on(group) {
        return awaits;
    }
    let owner = rules.owner(group);
    let there = || sides.iter().filter(|side| side.is_there());
    for side in there().filter(|side| owner.is_none_or(|owner| owner == side.shop)) {
        let unknown = terms.unknown(side.shop, categories(side.holds()));
        awaits.extend(unknown.map(|id| Awaited::Theirs {
            shop: side.shop,
            id: id.into(),
        }));
    }
    let given = there().map(|side| side.shop).chain(made.iter().copied());
    for shop in given.filter(|shop| owner != Some(*shop)) {
        let missing = terms.missing(shop, categories(ours));
        awaits.extend(missing.map(|record| Awaited::Ours { shop, record }));
    }
    awaits
}

/// Those that a product is in, or the one that a category hangs under.
fn categories(fields: &Fields) -> impl Iterator<Item = &str> {
    let of = |field| fields.get(&Path::new(&field));
    let list = of(Field::Categories)
        .map(Value::as_list)
        .unwrap_or_default();
    let parent = of(Field::Parent).and_then(Value::as_text);
    list.iter().map(String::as_str).chain(parent)
}

/// The natural keys of a record. Products are called by the first.
fn keys(
    kind: Kind,
    group: &Group<'_>,
    ours: &Fields,
    sides: &[Side<'_>],
    rules: &Rules,
) -> Vec<String> {
    let keys = all_keys(kind, group, ours, sides);
    let owner = rules.catalogue_owner();
    let owner = sides.iter().find(|side| Some(side.shop) == owner);
    let is_owners = |key: &String| owner.is_some_and(|owner| has_sku(owner.holds(), key));
    let any_owners = keys.iter().any(is_owners);
    // What it is called does not change because a shop joins that has more of it.
    let main = group.known.and_then(|known| known.keys.first());
    let main = main.filter(|main| is_owners(main) || !any_owners).cloned();
    let mut keys: Vec<String> = keys.into_iter().collect();
    keys.sort_by_cached_key(|key| (Some(key) != main.as_ref(), !is_owners(key)));
    keys
}

fn all_keys(kind: Kind, group: &Group<'_>, ours: &Fields, sides: &[Side<'_>]) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = group
        .rows
        .iter()
        .filter(|row| row.body != StagedBody::Gone)
        .flat_map(|row| row.keys.iter().cloned())
        .filter(|key| !group.foreign.contains(key.as_str()))
        .collect();
    match (group.known, kind) {
        // A category that moved has a new path and no longer its old one, unless it may turn up there yet.
        (Some(known), Kind::Category)
            if keys.is_empty() || sides.iter().any(|side| !side.unanswered.is_empty()) =>
        {
            keys.extend(known.keys.clone());
        }
        (Some(_), Kind::Category) => {}
        // A SKU that no shop has any more, or is about to have, is free for another product.
        (Some(known), _) => {
            let is_had = |key: &&String| {
                let bears = |side: &Side<'_>| has_sku(side.holds(), key) || side.may_get(key);
                has_sku(ours, key) || sides.iter().any(bears)
            };
            let had: Vec<_> = known.keys.iter().filter(is_had).cloned().collect();
            keys.extend(had);
            if keys.is_empty() {
                keys.extend(known.keys.clone());
            }
        }
        (None, _) if keys.is_empty() => {
            keys.insert(group.key.clone());
        }
        (None, _) => {}
    }
    keys
}

/// What people call it: its main SKU and its title.
fn label(kind: Kind, keys: &[String], ours: &Fields) -> String {
    let title = ours.get(&Path::new(&Field::Title));
    let title = title.and_then(Value::as_text).unwrap_or_default();
    let main = keys
        .first()
        .filter(|key| kind == Kind::Product && !key.starts_with('#'));
    match main {
        Some(sku) if title.is_empty() => sku.clone(),
        Some(sku) => format!("{sku} {title}"),
        None => title.to_owned(),
    }
}

fn title(ours: &Fields, keys: &[String]) -> String {
    ours.get(&Path::new(&Field::Title))
        .and_then(Value::as_text)
        .map(str::to_owned)
        .or_else(|| keys.first().cloned())
        .unwrap_or_default()
}
