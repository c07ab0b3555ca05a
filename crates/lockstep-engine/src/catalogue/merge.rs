//! The three-way merge, field by field: ours, what each shop holds now, and what we knew it to hold.
//!
//! A shop has changed a field if it differs from that shop's own shadow. Comparing with the shadow, and not with our
//! record, is what keeps a shop that rounds or trims from looking like an editor for ever.
//!
//! What a shop had and no longer has was taken away there. In ours it stays as an empty value, so that it is carried to
//! the shops that cannot be written now; a field that its owner never had is not known, and says nothing.

use super::Terms;
use crate::rules::Rules;
use lockstep_model::cases::{AtShop, OpenConflict, StagedBody};
use lockstep_model::entry::{Conflict, Overruled, What};
use lockstep_model::settings::Policy;
use lockstep_model::{
    ConflictId, Field, Fields, Path, ShopId, Sku, Value, VariantField, has_variant, variants_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// One shop's side: the shadow, and what was read now.
pub struct Side<'a> {
    pub shop: ShopId,
    pub shadow: &'a AtShop,
    pub staged: Option<&'a StagedBody>,
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
        let removed = held.keys().filter(|path| self.took_away(path));
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
                let Field::Variant { sku, .. } = &field else {
                    return false;
                };
                field.is_one_of_many() && has_variant(fields, sku)
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

    /// Can this owner say nothing of the field, since it shows itself without the variant (or without any)?
    fn cannot_say(&self, sku: &Sku, field: &VariantField<'_>) -> bool {
        let holds = self.holds();
        if *field == VariantField::Present {
            variants_of(holds).next().is_none()
        } else {
            !has_variant(holds, sku)
        }
    }

    /// A value equal to an open intent's is our own write coming back.
    fn is_own(&self, path: &Path, value: &Value) -> bool {
        self.shadow.open.iter().any(|intent| match &intent.what {
            What::Create { set } | What::Set { set } => set.get(path) == Some(value),
            What::AddPicture { .. }
            | What::RemovePicture { .. }
            | What::Level { .. }
            | What::CreateOrder
            | What::StepOrder { .. } => false,
        })
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

/// Merges what the shops hold into our record. `open`: what a person has been asked about it.
pub fn merge(
    old: &Fields,
    sides: &[Side<'_>],
    rules: &Rules,
    terms: &Terms,
    open: &[OpenConflict],
) -> MergeResult {
    let questions: BTreeMap<&Path, (ConflictId, &BTreeMap<ShopId, Value>)> = open
        .iter()
        .filter_map(|open| match &open.about {
            Conflict::ChangedInSeveral { path, values } => Some((path, (open.conflict, values))),
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
        let changes = || {
            sides
                .iter()
                .filter(|side| changed[&side.shop].contains(path))
        };
        let policy = rules.settings.policies.of(group);
        let question = questions.get(path);
        if let (Some((conflict, _)), Policy::Owner(_) | Policy::FirstNotEmpty) = (question, &policy)
        {
            result
                .closed
                .push((*conflict, "the policy decides it by now"));
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
                .filter(|side| side.is_there())
                .filter_map(read)
                .find(|value| *value != Value::Empty)
                .or_else(|| old.get(path).cloned()),
            // The intervals in which two changes happened overlap unless they were read in different runs, and then
            // only one of them is a change: so both policies take a lone change and ask about several.
            Policy::Newest | Policy::Ask => {
                let mut values: BTreeMap<ShopId, Value> = BTreeMap::new();
                let is_asked_about = |side: &&Side<'_>| {
                    question.is_some_and(|(_, values)| values.contains_key(&side.shop))
                };
                let asked_about = sides.iter().filter(is_asked_about);
                for side in asked_about.filter(|side| side.is_there()).chain(changes()) {
                    values.insert(side.shop, read(side).unwrap_or(Value::Empty));
                }
                let mut distinct: Vec<&Value> = Vec::new();
                for value in values.values() {
                    if !distinct.contains(&value) {
                        distinct.push(value);
                    }
                }
                match distinct.as_slice() {
                    // Nobody it was asked about is there any more, or nobody changed it.
                    [] => {
                        if let Some((conflict, _)) = question {
                            result
                                .closed
                                .push((*conflict, "no shop has the record any more"));
                        }
                        old.get(path).cloned()
                    }
                    [one] => {
                        if let Some((conflict, _)) = question {
                            result
                                .closed
                                .push((*conflict, "the shops agree on it by now"));
                        }
                        Some((*one).clone())
                    }
                    _ => {
                        result.asked.insert(path.clone());
                        // The question stands as it was put, unless the values have moved since.
                        let stands = question.is_some_and(|(_, asked)| **asked == values);
                        if !stands {
                            if let Some((conflict, _)) = question {
                                result
                                    .closed
                                    .push((*conflict, "the values have changed; it is asked anew"));
                            }
                            result.conflicts.push(Conflict::ChangedInSeveral {
                                path: path.clone(),
                                values: values.clone(),
                            });
                        }
                        old.get(path).cloned()
                    }
                }
            }
        };
        if let Some(owner) = rules.owner(group) {
            for side in changes().filter(|side| side.shop != owner) {
                let theirs = read(side).unwrap_or(Value::Empty);
                let ours = value.clone().unwrap_or(Value::Empty);
                // A first meeting is not an edit, and what says the same needs no word.
                if side.shadow.id.is_some() && theirs != ours {
                    result.overruled.push(Overruled {
                        shop: side.shop,
                        path: path.clone(),
                        theirs,
                        ours,
                    });
                }
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
        let Some(Field::Variant { sku, field }) = path.field() else {
            continue;
        };
        if ours.contains_key(path) {
            continue;
        }
        let owner = path.group().and_then(|group| rules.owner(group));
        let owner = sides.iter().find(|side| Some(side.shop) == owner);
        if owner.is_some_and(|side| side.is_there() && side.cannot_say(&sku, &field)) {
            kept.push((sku, path, value));
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
    for (sku, path, value) in kept {
        if *path == Path::present(&sku) || has_variant(ours, &sku) {
            ours.insert(path.clone(), value.clone());
        }
    }
}

/// Of a variant that was taken away nothing is left to say but that.
fn forget_what_removed_variants_had(ours: &mut Fields) {
    let removed: BTreeSet<Sku> = ours
        .iter()
        .filter_map(|(path, value)| match path.field() {
            Some(Field::Variant {
                sku,
                field: VariantField::Present,
            }) if *value == Value::Empty => Some(sku),
            _ => None,
        })
        .collect();
    if removed.is_empty() {
        return;
    }
    ours.retain(|path, _| match path.field() {
        Some(Field::Variant { sku, field }) => {
            field == VariantField::Present || !removed.contains(&sku)
        }
        _ => true,
    });
}

/// What was taken away is remembered as long as a shop still has it. A shop that shows it later has it of its own.
fn forget_what_is_removed_everywhere(sides: &[Side<'_>], ours: &mut Fields) {
    ours.retain(|path, value| {
        let is_removed =
            *value == Value::Empty && path.field().is_some_and(|field| field.is_one_of_many());
        let is_held = || {
            sides.iter().any(|side| {
                let held = side.holds().get(path);
                side.is_there() && held.is_some_and(|held| *held != Value::Empty)
            })
        };
        !is_removed || is_held()
    });
}
