//! The three-way merge, field by field: ours, what each shop holds now, and what we knew it to hold.
//!
//! A shop has changed a field if it differs from that shop's own shadow. Comparing with the shadow, and not with our
//! record, is what keeps a shop that rounds or trims from looking like an editor for ever.

use super::Terms;
use crate::rules::Rules;
use lockstep_model::cases::{AtShop, StagedBody};
use lockstep_model::entry::{Conflict, Overruled, What};
use lockstep_model::settings::Policy;
use lockstep_model::{Fields, Path, ShopId, Value};
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

    fn is_there(&self) -> bool {
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
        let removed = held.keys().filter(|path| !fields.contains_key(path));
        moved.chain(removed).collect()
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
    pub conflicts: Vec<Conflict>,
}

/// Merges what the shops hold into our record.
pub fn merge(old: &Fields, sides: &[Side<'_>], rules: &Rules, terms: &Terms) -> MergeResult {
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
    };
    for path in paths {
        let Some(group) = path.group() else {
            continue;
        };
        if !rules.group_is_on(group) {
            if let Some(value) = old.get(path) {
                result.ours.insert(path.clone(), value.clone());
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
        let value = match rules.settings.policies.of(group) {
            Policy::Owner(owner) => match sides.iter().find(|side| side.shop == owner) {
                // The owner has the record: its word counts, silence included; and what it said while this group
                // was switched off.
                Some(side) if side.is_there() => read(side),
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
                for side in changes() {
                    values.insert(side.shop, read(side).unwrap_or(Value::Empty));
                }
                let mut distinct: Vec<&Value> = Vec::new();
                for value in values.values() {
                    if !distinct.contains(&value) {
                        distinct.push(value);
                    }
                }
                match distinct.as_slice() {
                    [] => old.get(path).cloned(),
                    [one] => Some((*one).clone()),
                    _ => {
                        result.conflicts.push(Conflict::ChangedInSeveral {
                            path: path.clone(),
                            values: values.clone(),
                        });
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
    result
}
