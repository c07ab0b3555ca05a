//! The three-way merge, field by field: ours, what each shop holds now, and what we knew it to hold.
//!
//! A shop has changed a field if it differs from that shop's own shadow. Comparing with the shadow, and not with our
//! record, is what keeps a shop that rounds or trims from looking like an editor for ever.
//!
//! What a shop had and no longer has was taken away there. In ours it stays as an empty value, so that it is carried to
//! the shops that cannot be written now; a field that its owner never had is not known, and says nothing.

use super::Terms;
use crate::rules::Rules;
use jiff::Timestamp;
use lockstep_model::cases::{AtShop, OpenConflict, OpenIntent, StagedBody};
use lockstep_model::entry::{Conflict, Overruled, What};
use lockstep_model::settings::Policy;
use lockstep_model::{
    ConflictId, Field, Fields, ItemId, Path, ShopId, Value, VariantField, has_sku, has_variant,
    variants_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// One shop's side: the shadow, and what was read now.
pub struct Side<'a> {
    pub shop: ShopId,
    pub shadow: &'a AtShop,
    pub staged: Option<&'a StagedBody>,
    /// Writes of ours of which nobody knows yet what became of them.
    pub unanswered: Vec<&'a What>,
}

impl Side<'_> {
    /// What the shop holds as far as we know.
    pub fn holds(&self) -> &Fields {
        match self.staged {
            Some(StagedBody::Fields { fields, .. }) => fields,
            Some(StagedBody::Gone) | None => &self.shadow.held,
        }
    }

    pub fn is_there(&self) -> bool {
        match self.staged {
            Some(StagedBody::Fields { .. }) => true,
            Some(StagedBody::Gone) => false,
            None => self.shadow.id.is_some() && !self.shadow.gone,
        }
    }

    /// The paths that the shop's own people (or another system) changed.
    fn changed(&self) -> BTreeSet<&Path> {
        let Some(StagedBody::Fields { fields, .. }) = self.staged else {
            return BTreeSet::new();
        };
        let held = &self.shadow.held;
        let moved = fields
            .iter()
            .filter(|(path, value)| held.get(path) != Some(value) && !self.is_own(path, value))
            .map(|(path, _)| path);
        let removed = held
            .keys()
            .filter(|path| self.took_away(path) && !self.is_own(path, &Value::Empty));
        moved.chain(removed).collect()
    }

    /// Did the shop have this and shows itself without it now? A reading that leaves out what every record has, or
    /// every variant, is not believed.
    fn took_away(&self, path: &Path) -> bool {
        let Some(StagedBody::Fields { fields, .. }) = self.staged else {
            return false;
        };
        if fields.contains_key(path) || !self.shadow.held.contains_key(path) {
            return false;
        }
        match path.field() {
            Some(Field::Variant {
                field: VariantField::Present,
                ..
            }) => variants_of(fields).next().is_some(),
            // With the variant goes all that is said of it.
            Some(field @ Field::Variant { .. }) => {
                let Field::Variant { item, .. } = &field else {
                    return false;
                };
                field.is_one_of_many() && has_variant(fields, item)
            }
            Some(field) => field.is_one_of_many(),
            None => false,
        }
    }

    /// What the owner of a field says of it. What it took away is empty; of what it never had it says nothing.
    fn owner_says(&self, path: &Path, old: Option<&Value>, terms: &Terms) -> Option<Value> {
        if let Some(value) = self.holds().get(path) {
            return Some(terms.to_ours(self.shop, path, value));
        }
        let is_waiting = || {
            let is_one_of_many = path.field().is_some_and(|field| field.is_one_of_many());
            old == Some(&Value::Empty) && is_one_of_many
        };
        (self.took_away(path) || is_waiting()).then_some(Value::Empty)
    }

    /// Did the shop hold our value, in its own way, when it was last known? What the settings say of a field, and what
    /// the shop has no word for, is never ours to be reached.
    fn had_ours(&self, path: &Path, ours: Option<&Value>, terms: &Terms) -> bool {
        let Some(ours) = ours else {
            return true;
        };
        if matches!(
            path.field(),
            Some(Field::Variant {
                field: VariantField::Backorder,
                ..
            })
        ) {
            return true;
        }
        let Some(want) = terms.to_theirs(self.shop, path, ours) else {
            return true;
        };
        let held = self.shadow.held.get(path);
        self.shadow.meant.get(path) == Some(&want)
            || self.is_made_with(path, &want)
            || match held {
                Some(held) => *held == want || terms.to_ours(self.shop, path, held) == *ours,
                None => *ours == Value::Empty,
            }
    }

    /// Is the record there by our own create, whose answer was never read? Then it began with our value.
    fn is_made_with(&self, path: &Path, value: &Value) -> bool {
        let is_create = |intent: &OpenIntent| match &intent.what {
            What::Create { set } => set.get(path) == Some(value),
            _ => false,
        };
        self.shadow.id.is_none() && self.shadow.open.iter().any(is_create)
    }

    /// Can this owner say nothing of the field, since it shows itself without the variant (or without any)?
    fn cannot_say(&self, item: &ItemId, field: &VariantField<'_>) -> bool {
        let holds = self.holds();
        if *field == VariantField::Present {
            variants_of(holds).next().is_none()
        } else {
            !has_variant(holds, item)
        }
    }

    /// Does the shop have something there, or may it come to have it by a write of ours that nobody has answered yet?
    fn may_have(&self, path: &Path) -> bool {
        let is_some = |value: Option<&Value>| value.is_some_and(|value| *value != Value::Empty);
        let is_on_its_way = || self.on_their_way().any(|set| is_some(set.get(path)));
        (self.is_there() && is_some(self.holds().get(path))) || is_on_its_way()
    }

    /// May a write of ours that nobody has answered yet make something with this SKU there?
    pub fn may_get(&self, sku: &str) -> bool {
        self.on_their_way().any(|set| has_sku(set, sku))
    }

    fn on_their_way(&self) -> impl Iterator<Item = &Fields> {
        self.unanswered.iter().filter_map(|what| what.fields())
    }

    /// A value equal to an open intent's is our own write coming back.
    fn is_own(&self, path: &Path, value: &Value) -> bool {
        let open = self.shadow.open.iter();
        open.filter_map(|intent| intent.what.fields())
            .any(|set| set.get(path) == Some(value))
    }
}

pub struct MergeResult {
    pub ours: Fields,
    pub overruled: Vec<Overruled>,
    /// Questions that are asked now.
    pub conflicts: Vec<Conflict>,
    /// Questions that there is nothing left to decide in, with the reason.
    pub closed: Vec<(ConflictId, &'static str)>,
    /// Fields about which a person is asked, now or still: no shop is written over.
    pub asked: BTreeSet<Path>,
}

/// When fields were changed, as far as the readings around it tell.
pub struct Times<'a> {
    /// When the last run began that read all of a shop's feed: what is new since was changed after it.
    pub looked: &'a BTreeMap<ShopId, Timestamp>,
    /// When our record last changed; `None`: there is none yet.
    pub changed_at: Option<Timestamp>,
}

/// A person was asked which shop's value counts.
struct Question<'a> {
    conflict: ConflictId,
    at: Timestamp,
    values: &'a BTreeMap<ShopId, Value>,
}

impl MergeResult {
    fn close(&mut self, question: Option<&Question<'_>>, why: &'static str) {
        self.closed
            .extend(question.map(|question| (question.conflict, why)));
    }

    /// Asks, unless the question stands as it was put.
    fn ask(
        &mut self,
        path: &Path,
        question: Option<&Question<'_>>,
        values: BTreeMap<ShopId, Value>,
    ) {
        self.asked.insert(path.clone());
        if question.is_some_and(|question| *question.values == values) {
            return;
        }
        self.close(question, "the values have changed; it is asked anew");
        self.conflicts.push(Conflict::ChangedInSeveral {
            path: path.clone(),
            values,
        });
    }

    /// Says that a shop's change gives way. A first meeting is not an edit, and what says the same needs no word.
    fn overrule(&mut self, side: &Side<'_>, path: &Path, theirs: &Value, ours: &Value) {
        if side.shadow.id.is_some() && theirs != ours {
            self.overruled.push(Overruled {
                shop: side.shop,
                path: path.clone(),
                theirs: theirs.clone(),
                ours: ours.clone(),
            });
        }
    }
}

fn distinct<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

/// The shop whose change is later than all the other values, if the readings prove it: those were known before the
/// reading that did not show the change yet. Changes that are seen together can have been made in any order.
///
/// ```text
/// B read, unchanged ──┬── A's change read (`known_by`) ──┬── B read, unchanged (`looked`) ── B's change ── B read
///                     └ B's change could be here, too: a person decides, or the rank
/// ```
fn later(
    changers: &[&Side<'_>],
    values: &BTreeMap<ShopId, Value>,
    known_by: Option<Timestamp>,
    times: &Times<'_>,
) -> Option<ShopId> {
    let known_by = known_by?;
    let changed = changers.iter().filter_map(|side| values.get(&side.shop));
    if distinct(changed).len() != 1 {
        return None;
    }
    let mut shops = changers.iter().map(|side| side.shop);
    shops.find(|shop| times.looked.get(shop).is_some_and(|at| *at >= known_by))
}

/// Merges what the shops hold into our record. `open`: what a person has been asked about it.
pub fn merge(
    old: &Fields,
    sides: &[Side<'_>],
    rules: &Rules,
    terms: &Terms,
    open: &[OpenConflict],
    times: &Times<'_>,
) -> MergeResult {
    let questions: BTreeMap<&Path, Question<'_>> = open
        .iter()
        .filter_map(|open| match &open.about {
            Conflict::ChangedInSeveral { path, values } => {
                let question = Question {
                    conflict: open.conflict,
                    at: open.at,
                    values,
                };
                Some((path, question))
            }
            _ => None,
        })
        .collect();
    let changed: BTreeMap<ShopId, BTreeSet<&Path>> = sides
        .iter()
        .map(|side| (side.shop, side.changed()))
        .collect();
    let mut paths: BTreeSet<&Path> = old.keys().collect();
    for side in sides {
        paths.extend(side.holds().keys());
    }
    let mut result = MergeResult {
        ours: Fields::new(),
        overruled: Vec::new(),
        conflicts: Vec::new(),
        closed: Vec::new(),
        asked: BTreeSet::new(),
    };
    for path in paths {
        let Some(group) = path.group() else {
            continue;
        };
        if !rules.group_is_on(group) {
            if let Some(value) = old.get(path) {
                result.ours.insert(path.clone(), value.clone());
            }
            if questions.contains_key(path) {
                result.asked.insert(path.clone());
            }
            continue;
        }
        let read = |side: &Side<'_>| {
            let value = side.holds().get(path)?;
            Some(terms.to_ours(side.shop, path, value))
        };
        // What a shop's own people keep says nothing to the others.
        let speaks = |side: &&Side<'_>| !rules.keeps(side.shop, group);
        let changes = || {
            let speaking = sides.iter().filter(speaks);
            speaking.filter(|side| changed[&side.shop].contains(path))
        };
        let policy = rules.settings.policies.of(group);
        let question = questions.get(path);
        if matches!(policy, Policy::Owner(_) | Policy::FirstNotEmpty) {
            result.close(question, "the policy decides it by now");
        }
        let value = match policy {
            Policy::Owner(owner) => match sides.iter().find(|side| side.shop == owner) {
                // The owner has the record: its word counts, silence included; and what it said while this group
                // was switched off.
                Some(side) if side.is_there() => side.owner_says(path, old.get(path), terms),
                // It once had it: what it last said stays.
                Some(side) if side.shadow.id.is_some() => old.get(path).cloned(),
                // It never had it: whoever shows the record is all we know of it.
                _ => changes()
                    .next()
                    .map(read)
                    .unwrap_or_else(|| old.get(path).cloned()),
            },
            Policy::FirstNotEmpty => sides
                .iter()
                .filter(speaks)
                .filter(|side| side.is_there())
                .filter_map(|side| Some((side.shop, read(side)?)))
                .filter(|(_, value)| *value != Value::Empty)
                .min_by_key(|(shop, _)| rules.settings.policies.place_of(*shop))
                .map(|(_, value)| value)
                .or_else(|| old.get(path).cloned()),
            Policy::Newest | Policy::Ask => {
                let changers: Vec<&Side<'_>> = changes().collect();
                let mut values: BTreeMap<ShopId, Value> = BTreeMap::new();
                let is_asked_about = |side: &&Side<'_>| {
                    question.is_some_and(|asked| asked.values.contains_key(&side.shop))
                };
                let asked_about = sides.iter().filter(is_asked_about);
                let asked_about = asked_about.filter(|side| side.is_there());
                for side in asked_about.chain(changers.iter().copied()) {
                    values.insert(side.shop, read(side).unwrap_or(Value::Empty));
                }
                // Whoever changed a value that ours had not reached yet did not know of ours: both are changes.
                let is_blind = |side: &&Side<'_>| !side.had_ours(path, old.get(path), terms);
                if question.is_none() && changers.iter().any(is_blind) {
                    let says_ours = sides.iter().filter(speaks).find(|side| {
                        let is_a_changer = changers.iter().any(|other| other.shop == side.shop);
                        !is_a_changer && side.is_there() && read(side).as_ref() == old.get(path)
                    });
                    if let (Some(side), Some(ours)) = (says_ours, old.get(path)) {
                        values.insert(side.shop, ours.clone());
                    }
                }
                match distinct(values.values()).as_slice() {
                    // Nobody it was asked about is there any more, or nobody changed it.
                    [] => {
                        result.close(question, "no shop has the record any more");
                        old.get(path).cloned()
                    }
                    [one] => {
                        result.close(question, "the shops agree on it by now");
                        Some((*one).clone())
                    }
                    _ => {
                        let known_by = question.map_or(times.changed_at, |asked| Some(asked.at));
                        let shop = if policy == Policy::Newest {
                            later(&changers, &values, known_by, times)
                                .or_else(|| rules.first_in_rank(values.keys().copied()))
                        } else {
                            None
                        };
                        match shop.and_then(|shop| values.get(&shop)) {
                            Some(value) => {
                                result.close(question, "the policy decides it by now");
                                for side in &changers {
                                    result.overrule(side, path, &values[&side.shop], value);
                                }
                                Some(value.clone())
                            }
                            None => {
                                result.ask(path, question, values);
                                old.get(path).cloned()
                            }
                        }
                    }
                }
            }
        };
        if let Some(owner) = rules.owner(group) {
            for side in changes().filter(|side| side.shop != owner) {
                let theirs = read(side).unwrap_or(Value::Empty);
                let ours = value.as_ref().unwrap_or(&Value::Empty);
                result.overrule(side, path, &theirs, ours);
            }
        }
        if let Some(value) = value {
            result.ours.insert(path.clone(), value);
        }
    }
    keep_what_an_owner_cannot_say(old, sides, rules, &mut result.ours);
    forget_what_removed_variants_had(&mut result.ours);
    forget_what_is_removed_everywhere(sides, &mut result.ours);
    result
}

/// Prices may be owned by a shop that does not have the variant, or no longer: what it last said of it stays. A product
/// that is shown without any variant was not read whole.
fn keep_what_an_owner_cannot_say(
    old: &Fields,
    sides: &[Side<'_>],
    rules: &Rules,
    ours: &mut Fields,
) {
    let mut kept = Vec::new();
    for (path, value) in old {
        let Some(Field::Variant { item, field }) = path.field() else {
            continue;
        };
        if ours.contains_key(path) {
            continue;
        }
        let owner = path.group().and_then(|group| rules.owner(group));
        let owner = sides.iter().find(|side| Some(side.shop) == owner);
        if owner.is_some_and(|side| side.is_there() && side.cannot_say(&item, &field)) {
            kept.push((item, path, value));
        }
    }
    // First the variants themselves.
    kept.sort_by_key(|(_, path, _)| {
        !matches!(
            path.field(),
            Some(Field::Variant {
                field: VariantField::Present,
                ..
            })
        )
    });
    for (item, path, value) in kept {
        if *path == Path::present(&item) || has_variant(ours, &item) {
            ours.insert(path.clone(), value.clone());
        }
    }
}

/// Of a variant that was taken away nothing is left to say but that.
fn forget_what_removed_variants_had(ours: &mut Fields) {
    let removed: BTreeSet<ItemId> = ours
        .iter()
        .filter_map(|(path, value)| match path.field() {
            Some(Field::Variant {
                item,
                field: VariantField::Present,
            }) if *value == Value::Empty => Some(item),
            _ => None,
        })
        .collect();
    if removed.is_empty() {
        return;
    }
    ours.retain(|path, _| match path.field() {
        Some(Field::Variant { item, field }) => {
            field == VariantField::Present || !removed.contains(&item)
        }
        _ => true,
    });
}

/// What was taken away is remembered as long as a shop still has it. A shop that shows it later has it of its own.
fn forget_what_is_removed_everywhere(sides: &[Side<'_>], ours: &mut Fields) {
    ours.retain(|path, value| {
        let is_removed =
            *value == Value::Empty && path.field().is_some_and(|field| field.is_one_of_many());
        !is_removed || sides.iter().any(|side| side.may_have(path))
    });
}
