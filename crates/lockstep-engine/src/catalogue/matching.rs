//! Which record of ours a record of a shop is: by its link, else by its SKUs or its path. What must not be guessed is left
//! to a person, and holds up nothing but itself: neither the records that it could be, nor their other shops.
//!
//! ```text
//! one of ours bears its SKU            it is that one
//! none does                            it is a record of its own
//! two of ours bear SKUs of it          a person says which it is, or that it is none of them
//! one of ours bears its GTIN alone     a person says; most often a SKU is to be put right in one of the shops
//! two of one shop bear one SKU         both stand aside until the shop has put that right
//! one is gone and another bears its SKU  it was made again: the link moves to the other
//! ```

use super::decide::Ids;
use crate::rules::Rules;
use lockstep_model::cases::{Cluster, Known, Staged, StagedBody};
use lockstep_model::entry::{AsideSubject, Body, Conflict, Delta, MatchAnswer, Subject};
use lockstep_model::{
    Fault, FaultKind, Field, Kind, Path, RecordId, RemoteId, ShopId, Value, gtins_of, has_sku,
};
use std::collections::{BTreeMap, BTreeSet};

/// One of our records, or one that is to be, with what was read of it.
#[derive(Default)]
pub(super) struct Group<'a> {
    /// Under which it stands if nothing says better.
    pub key: String,
    pub known: Option<&'a Known>,
    pub rows: Vec<&'a Staged>,
    /// Shops where it is not made now.
    pub withheld: BTreeSet<ShopId>,
    /// Shops where something bears its SKU of which nobody knows yet whether it is this one.
    pub in_doubt: BTreeSet<ShopId>,
    /// Keys of other records that one of these rows bears too.
    pub foreign: BTreeSet<&'a str>,
    keys: BTreeSet<&'a str>,
    gtins: BTreeSet<&'a str>,
}

/// A row that could be of several groups, or that is not to be taken for any.
struct Doubtful<'a> {
    row: &'a Staged,
    groups: Vec<usize>,
    why: Why,
}

enum Why {
    Skus,
    Gtin(String),
    /// Another record of the same shop has this key.
    SameKey(String),
}

pub(super) struct Matching<'a> {
    pub groups: Vec<Group<'a>>,
    /// All that was read.
    rows: &'a [Staged],
    doubtful: Vec<Doubtful<'a>>,
    /// Rows that were in doubt and are no more.
    over: Vec<&'a Staged>,
}

impl<'a> Matching<'a> {
    /// All of it as one record, whatever it says.
    pub fn whole(cluster: &'a Cluster) -> Self {
        let group = Group {
            key: cluster.key.clone(),
            known: cluster.known.first(),
            rows: cluster.staged.iter().collect(),
            ..Group::default()
        };
        Self {
            groups: vec![group],
            rows: &cluster.staged,
            doubtful: Vec::new(),
            over: Vec::new(),
        }
    }

    pub fn of(cluster: &'a Cluster, rules: &Rules) -> Self {
        let groups = cluster.known.iter().map(|known| Group {
            known: Some(known),
            keys: known.keys.iter().map(String::as_str).collect(),
            gtins: gtins_of(&known.ours).collect(),
            ..Group::default()
        });
        let mut matching = Self {
            groups: groups.collect(),
            rows: &cluster.staged,
            doubtful: Vec::new(),
            over: Vec::new(),
        };
        // Links first, then the shop whose products the others are given: it says what there is.
        let owner = rules.catalogue_owner();
        let mut rows: Vec<&Staged> = cluster.staged.iter().collect();
        rows.sort_by_key(|row| (row.linked.is_none(), Some(row.shop) != owner));
        let shared = shared_in_one_shop(&cluster.staged);
        for row in rows {
            matching.place(row, shared.get(&(row.shop, row.id.as_str())));
        }
        matching.part_twins();
        matching.withhold();
        let is_alone = matching.groups.len() == 1;
        for group in &mut matching.groups {
            let first = group.rows.first();
            let row_key = || first.map(|row| format!("#{}/{}", row.shop, row.id));
            let key = group.keys.first().map(|key| (*key).to_owned());
            group.key = match key {
                Some(key) => key,
                None if is_alone => cluster.key.clone(),
                None => row_key().unwrap_or_default(),
            };
        }
        matching
    }

    fn place(&mut self, row: &'a Staged, shared: Option<&&'a str>) {
        let linked = self.linked(row);
        if let Some(shared) = shared {
            let mut groups = self.sharing(row);
            groups.extend(linked.filter(|linked| !groups.contains(linked)));
            self.doubt(row, groups, Why::SameKey((*shared).to_owned()));
            return;
        }
        if row.body == StagedBody::Gone {
            self.is_over(row);
            if let Some(group) = linked {
                self.groups[group].rows.push(row);
            }
            return;
        }
        let said = row.doubt.as_ref().and_then(|doubt| doubt.answer);
        let mut groups = self.sharing(row);
        if let Some(MatchAnswer::Is { record }) = said
            && let Some(group) = linked.or_else(|| self.group_of(record))
        {
            if groups.iter().all(|other| *other == group) {
                self.is_over(row);
            }
            // The SKUs of the others stay theirs.
            for other in groups.iter().filter(|other| **other != group) {
                let theirs = self.groups[*other].keys.clone();
                self.groups[group].foreign.extend(theirs);
            }
            self.groups[group].rows.push(row);
            return;
        }
        if said == Some(MatchAnswer::NoneOfOurs) && linked.is_none() && !groups.is_empty() {
            // It is left alone.
            return;
        }
        groups.extend(linked.filter(|linked| !groups.contains(linked)));
        match groups.as_slice() {
            [] => {
                let akin = self.akin(row);
                let is_asked = said != Some(MatchAnswer::NoneOfOurs);
                if let Some((akin, gtin)) = akin.filter(|_| is_asked) {
                    self.doubt(row, akin, Why::Gtin(gtin));
                    return;
                }
                if !is_another(row) {
                    self.is_over(row);
                }
                self.groups.push(Group::default());
                let group = self.groups.len() - 1;
                self.join(group, row);
            }
            [one] => {
                self.is_over(row);
                self.join(*one, row);
            }
            _ => self.doubt(row, groups, Why::Skus),
        }
    }

    fn join(&mut self, group: usize, row: &'a Staged) {
        let group = &mut self.groups[group];
        group.rows.push(row);
        group.keys.extend(row.keys.iter().map(String::as_str));
        if let StagedBody::Fields { fields, .. } = &row.body {
            group.gtins.extend(gtins_of(fields));
        }
    }

    fn is_over(&mut self, row: &'a Staged) {
        if row.doubt.is_some() {
            self.over.push(row);
        }
    }

    fn doubt(&mut self, row: &'a Staged, groups: Vec<usize>, why: Why) {
        self.doubtful.push(Doubtful { row, groups, why });
    }

    fn linked(&self, row: &Staged) -> Option<usize> {
        let mut groups = self.groups.iter();
        groups.position(|group| group.known.is_some_and(|known| is_link_of(row, known)))
    }

    fn group_of(&self, record: RecordId) -> Option<usize> {
        let mut groups = self.groups.iter();
        groups.position(|group| group.known.is_some_and(|known| known.record == record))
    }

    fn sharing(&self, row: &Staged) -> Vec<usize> {
        let linked = self.linked(row);
        let groups = self.groups.iter().enumerate();
        groups
            .filter(|(number, group)| {
                let mut keys = row.keys.iter();
                keys.any(|key| {
                    group.keys.contains(key.as_str())
                        && !self.bears_it_no_more(group, row, key)
                        && (linked.is_none_or(|linked| linked == *number)
                            || !self.bore_it_before(row, key))
                })
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// What a linked one bore when it was last read is no news of it: another of ours is called so by now.
    fn bore_it_before(&self, row: &Staged, sku: &str) -> bool {
        let known = self.linked(row).and_then(|group| self.groups[group].known);
        let at = known.and_then(|known| known.shops.get(&row.shop));
        let at = at.filter(|at| at.id.as_ref() == Some(&row.id));
        at.is_some_and(|at| has_sku(&at.held, sku))
    }

    /// Two records of a shop that exchange their SKUs are what they were: a SKU that the other's link bears there no more
    /// says nothing of whoever bears it now. Of one that is linked neither does the SKU of one that is gone there.
    fn bears_it_no_more(&self, group: &Group<'_>, row: &Staged, sku: &str) -> bool {
        let Some(at) = group.known.and_then(|known| known.shops.get(&row.shop)) else {
            return false;
        };
        let Some(id) = at.id.as_ref().filter(|id| **id != row.id) else {
            return false;
        };
        let is_linked = self.linked(row).is_some();
        if at.gone {
            return is_linked;
        }
        let mut rows = self.rows.iter();
        match rows.find(|other| other.shop == row.shop && other.id == *id) {
            Some(Staged {
                body: StagedBody::Fields { fields, .. },
                ..
            }) => !has_sku(fields, sku),
            Some(_) => is_linked,
            None => !has_sku(&at.held, sku),
        }
    }

    /// Those that bear a GTIN of this row, and that GTIN.
    fn akin(&self, row: &Staged) -> Option<(Vec<usize>, String)> {
        let StagedBody::Fields { fields, .. } = &row.body else {
            return None;
        };
        let mut shared = None;
        let mut akin = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            // One shop may well sell the same thing twice.
            let is_there = group.rows.iter().any(|other| other.shop == row.shop)
                || group.known.is_some_and(|known| is_at(known, row.shop));
            let gtin = gtins_of(fields).find(|gtin| group.gtins.contains(gtin));
            if let Some(gtin) = gtin.filter(|_| !is_there) {
                shared.get_or_insert_with(|| gtin.to_owned());
                akin.push(number);
            }
        }
        Some((akin, shared?))
    }

    /// Two records of one shop cannot be one of ours.
    fn part_twins(&mut self) {
        for number in 0..self.groups.len() {
            let group = &mut self.groups[number];
            let left = leave_out_predecessors(group);
            let mut by_shop: BTreeMap<ShopId, usize> = BTreeMap::new();
            for row in &group.rows {
                *by_shop.entry(row.shop).or_default() += 1;
            }
            let known = group.known;
            let is_twin = |row: &&Staged| {
                let is_linked = known.is_some_and(|known| is_link_of(row, known));
                let is_linked_elsewhere = !is_linked
                    && row.body != StagedBody::Gone
                    && !left.contains(&row.shop)
                    && known.is_some_and(|known| {
                        let at = known.shops.get(&row.shop);
                        at.is_some_and(|at| {
                            !at.gone && at.id.as_ref().is_some_and(|id| *id != row.id)
                        })
                    });
                is_linked_elsewhere || (by_shop[&row.shop] > 1 && !is_linked)
            };
            let (twins, rows): (Vec<_>, Vec<_>) = group.rows.iter().copied().partition(is_twin);
            group.rows = rows;
            for row in twins {
                let key = row.keys.first().cloned().unwrap_or_default();
                self.over
                    .retain(|over| over.id != row.id || over.shop != row.shop);
                self.doubt(row, vec![number], Why::SameKey(key));
            }
        }
        // With the last row of a new record goes the record.
        let is_empty: Vec<bool> = self
            .groups
            .iter()
            .map(|group| group.known.is_none() && group.rows.is_empty())
            .collect();
        let mut number = 0;
        let new_number: Vec<Option<usize>> = is_empty
            .iter()
            .map(|is_empty| {
                (!is_empty).then(|| {
                    number += 1;
                    number - 1
                })
            })
            .collect();
        let mut is_empty = is_empty.into_iter();
        self.groups.retain(|_| !is_empty.next().unwrap_or_default());
        for doubtful in &mut self.doubtful {
            let groups = doubtful.groups.iter();
            doubtful.groups = groups.filter_map(|group| new_number[*group]).collect();
        }
    }

    fn withhold(&mut self) {
        let over: BTreeSet<(ShopId, &str)> = self
            .over
            .iter()
            .map(|row| (row.shop, row.id.as_str()))
            .collect();
        for group in &mut self.groups {
            let withheld = group.known.iter().flat_map(|known| &known.withheld);
            let still = |(shop, id): &&(ShopId, RemoteId)| !over.contains(&(*shop, id.as_str()));
            group.withheld = withheld.filter(still).map(|(shop, _)| *shop).collect();
            let in_doubt = group.known.iter().flat_map(|known| &known.in_doubt);
            group.in_doubt = in_doubt.filter(still).map(|(shop, _)| *shop).collect();
        }
        for doubtful in &self.doubtful {
            for group in &doubtful.groups {
                let group = &mut self.groups[*group];
                group.withheld.insert(doubtful.row.shop);
                if !matches!(doubtful.why, Why::Gtin(_)) {
                    group.in_doubt.insert(doubtful.row.shop);
                }
            }
        }
    }

    /// What is to be said of the rows that no group got. `records`: of the groups, in their order.
    pub fn bodies(
        &self,
        cluster: &Cluster,
        records: &[Option<RecordId>],
        ids: &mut Ids<'_>,
    ) -> Vec<Body> {
        let mut bodies = Vec::new();
        for row in &self.over {
            let why = match row.body {
                StagedBody::Gone => "the shop no longer has it",
                StagedBody::Fields { .. } => "it fits one record alone by now",
            };
            bodies.extend(over(row, cluster, why));
        }
        for Doubtful { row, groups, why } in &self.doubtful {
            let candidates: Vec<RecordId> = groups
                .iter()
                .filter_map(|group| *records.get(*group)?)
                .collect();
            if let Why::SameKey(key) = why {
                bodies.push(aside_for_same_key(row, key));
            }
            let Some(first) = candidates.first() else {
                continue;
            };
            let by_sku = !matches!(why, Why::Gtin(_));
            let is_new = row.doubt.as_ref().is_none_or(|doubt| {
                doubt.answer.is_some()
                    || doubt.by_sku != by_sku
                    || doubt.candidates != candidates.iter().copied().collect()
            });
            if !is_new {
                continue;
            }
            if row.doubt.is_some() {
                bodies.extend(over(
                    row,
                    cluster,
                    "what it could be has changed; it is asked anew",
                ));
            }
            bodies.push(Body::MatchDoubted {
                shop: row.shop,
                kind: row.kind,
                id: row.id.clone(),
                candidates: candidates.clone(),
                by_sku,
            });
            let gtin = match why {
                Why::SameKey(_) => continue,
                Why::Skus => None,
                Why::Gtin(gtin) => Some(gtin.clone()),
            };
            bodies.push(Body::ConflictOpened {
                conflict: ids.conflict(),
                subject: Subject::Record(*first),
                about: Conflict::DoubtfulMatch {
                    shop: row.shop,
                    id: row.id.clone(),
                    candidates,
                    title: title(row),
                    skus: match row.kind {
                        Kind::Product => row.keys.clone(),
                        Kind::Category | Kind::Level | Kind::Order => Vec::new(),
                    },
                    gtin,
                },
            });
        }
        bodies
    }
}

/// A record that a shop deleted and made again between two readings: what is there is what ours is in that shop now, and
/// what was there says nothing any more. Nor does one that was replaced before. Answers the shops where the linked one
/// is gone and another is there.
fn leave_out_predecessors(group: &mut Group<'_>) -> BTreeSet<ShopId> {
    let Some(known) = group.known else {
        return BTreeSet::new();
    };
    let there: BTreeSet<ShopId> = group
        .rows
        .iter()
        .filter(|row| row.body != StagedBody::Gone)
        .map(|row| row.shop)
        .collect();
    let mut replaced = BTreeSet::new();
    group.rows.retain(|row| {
        if row.body != StagedBody::Gone {
            return true;
        }
        let at = known.shops.get(&row.shop);
        let is_linked = at.is_none_or(|at| at.id.as_ref().is_none_or(|id| *id == row.id));
        let is_there = there.contains(&row.shop);
        if is_linked && is_there {
            replaced.insert(row.shop);
        }
        is_linked && !is_there
    });
    replaced
}

fn is_link_of(row: &Staged, known: &Known) -> bool {
    let at = known.shops.get(&row.shop);
    row.linked == Some(known.record) || at.is_some_and(|at| at.id.as_ref() == Some(&row.id))
}

/// Is the record in this shop, as far as we know?
fn is_at(known: &Known, shop: ShopId) -> bool {
    let at = known.shops.get(&shop);
    at.is_some_and(|at| at.id.is_some() && !at.gone)
}

/// A person has said that what bears the same GTIN is another thing: that is remembered.
fn is_another(row: &Staged) -> bool {
    row.doubt
        .as_ref()
        .is_some_and(|doubt| !doubt.by_sku && doubt.answer == Some(MatchAnswer::NoneOfOurs))
}

/// Keys that several records of one shop bear, by record.
fn shared_in_one_shop(rows: &[Staged]) -> BTreeMap<(ShopId, &str), &str> {
    let mut bearers: BTreeMap<(ShopId, &str), Vec<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.body != StagedBody::Gone) {
        for key in &row.keys {
            let bearers = bearers.entry((row.shop, key)).or_default();
            bearers.push(row.id.as_str());
        }
    }
    let several = bearers.into_iter().filter(|(_, ids)| ids.len() > 1);
    several
        .flat_map(|((shop, key), ids)| ids.into_iter().map(move |id| ((shop, id), key)))
        .collect()
}

/// The doubt is forgotten, and the question about it closed.
fn over(row: &Staged, cluster: &Cluster, why: &str) -> Vec<Body> {
    let mut bodies = vec![Body::MatchAnswered {
        shop: row.shop,
        kind: row.kind,
        id: row.id.clone(),
        answer: MatchAnswer::Over,
        by: None,
    }];
    let open = cluster.known.iter().flat_map(|known| &known.conflicts);
    bodies.extend(
        open.filter(|open| {
            matches!(&open.about, Conflict::DoubtfulMatch { shop, id, .. }
                if *shop == row.shop && *id == row.id)
        })
        .map(|open| Body::ConflictClosed {
            conflict: open.conflict,
            decision: why.to_owned(),
            by: None,
            ours: Delta::default(),
        }),
    );
    bodies
}

fn title(row: &Staged) -> String {
    let StagedBody::Fields { fields, .. } = &row.body else {
        return String::new();
    };
    let title = fields.get(&Path::new(&Field::Title));
    title
        .and_then(Value::as_text)
        .unwrap_or_default()
        .to_owned()
}

fn aside_for_same_key(row: &Staged, key: &str) -> Body {
    let message = format!(
        "two records of this shop bear the key \"{key}\" (one of them is its {}): neither is synced until one of \
         them has another key or is deleted in the shop",
        row.id
    );
    Body::Aside {
        shop: row.shop,
        subject: AsideSubject::Remote {
            kind: row.kind,
            id: Some(row.id.clone()),
        },
        fault: Fault::new(FaultKind::Invalid { field: None }, message)
            .about(key)
            .at(row.shop),
        retry_at: None,
        tries: 0,
        refused: Vec::new(),
    }
}
