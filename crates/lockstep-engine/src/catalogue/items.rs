//! Which of our items each variant of a reading is. A variant that is linked is its item whatever it is called there; one that
//! is not is found by its SKU among the items of the record, else by its GTIN, else it is an item of its own.
//!
//! ```text
//! ours           shop shows            it is
//! A (SKU KH-1)   v1 = A, SKU KH-9      A: it was renamed
//! A (SKU KH-1)   v5, SKU KH-1          A: it was made again
//! A (SKU KH-1)   v5, SKU OUT-1, GTIN   A, by a SKU that is the shop's own
//! ```

use super::matching::Group;
use super::pictures;
use lockstep_model::cases::{AtShop, Known, Staged, StagedBody};
use lockstep_model::entry::What;
use lockstep_model::{
    Field, Fields, ItemId, Parts, Path, ShopId, Value, VariantField, gtin_of, has_variant, sku_of,
    variants_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// By what an item of the record is found.
#[derive(Default)]
struct Bearers {
    skus: BTreeMap<String, ItemId>,
    gtins: BTreeMap<String, ItemId>,
}

impl Bearers {
    /// Whoever speaks later is believed.
    fn note(&mut self, fields: &Fields, item: &ItemId) {
        if let Some(sku) = sku_of(fields, item) {
            self.skus.insert(sku.to_owned(), item.clone());
        }
        if let Some(gtin) = gtin_of(fields, item) {
            self.gtins.insert(gtin.to_owned(), item.clone());
        }
    }

    fn of(known: Option<&Known>) -> Self {
        let mut bearers = Self::default();
        let Some(known) = known else {
            return bearers;
        };
        let there = known.shops.values().filter(|at| !at.gone);
        for fields in there.map(|at| &at.held).chain([&known.ours]) {
            for item in variants_of(fields) {
                bearers.note(fields, &item);
            }
        }
        bearers
    }
}

/// Items by the shop that has them.
type There = BTreeMap<ShopId, BTreeSet<ItemId>>;

/// The rows, by group, in which variants are other items than they were taken for when they were read.
pub(super) fn renamed(groups: &[Group<'_>]) -> Vec<BTreeMap<usize, Staged>> {
    if groups.iter().all(is_plain) {
        return Vec::new();
    }
    let there: Vec<There> = groups.iter().map(held).collect();
    let groups = groups.iter().enumerate();
    groups
        .map(|(number, group)| {
            let others = there.iter().enumerate();
            let others = others.filter(|(other, _)| *other != number);
            let others: Vec<&There> = others.map(|(_, there)| there).collect();
            renamed_in(group, &others)
        })
        .collect()
}

/// What each shop has of a record that we know.
fn held(group: &Group<'_>) -> There {
    let Some(known) = group.known else {
        return There::new();
    };
    let there = known.shops.iter().filter(|(_, at)| !at.gone);
    there
        .map(|(shop, at)| {
            let row = group.rows.iter().find(|row| row.shop == *shop);
            let items = match row.map(|row| &row.body) {
                Some(StagedBody::Fields { fields, .. }) => variants_of(fields).collect(),
                Some(StagedBody::Gone) => BTreeSet::new(),
                None => variants_of(&at.held).collect(),
            };
            (*shop, items)
        })
        .collect()
}

/// Nearly all readings: what is linked is in it, and nothing else.
fn is_plain(group: &Group<'_>) -> bool {
    group.rows.iter().all(|row| {
        let StagedBody::Fields { parts, .. } = &row.body else {
            return true;
        };
        let there = group.known.and_then(|known| known.shops.get(&row.shop));
        there.is_some_and(|at| {
            let mut open = at.open.iter();
            at.id.as_ref() == Some(&row.id)
                && at.parts.own_skus.is_empty()
                && !open.any(|intent| matches!(intent.what, What::AddPicture { .. }))
                && parts
                    .variants
                    .iter()
                    .all(|(item, variant)| at.parts.variants.get(item) == Some(variant))
        })
    })
}

fn renamed_in(group: &Group<'_>, others: &[&There]) -> BTreeMap<usize, Staged> {
    let mut bearers = Bearers::of(group.known);
    let mut renamed = BTreeMap::new();
    for (number, row) in group.rows.iter().enumerate() {
        let StagedBody::Fields { fields, parts } = &row.body else {
            continue;
        };
        let is_elsewhere = |item: &ItemId| {
            let mut others = others.iter();
            others.any(|other| {
                other
                    .get(&row.shop)
                    .is_some_and(|items| items.contains(item))
            })
        };
        let names = names(group, row, (fields, parts), &is_elsewhere, &mut bearers);
        let there = group.known.and_then(|known| known.shops.get(&row.shop));
        let pictured = pictures::named(there, fields, parts);
        if names.is_plain() && pictured.is_none() {
            continue;
        }
        let (fields, parts) = match &pictured {
            Some((fields, parts)) => (fields, parts),
            None => (fields, parts),
        };
        let (fields, mut parts) = called(fields, parts, &names.other);
        parts.own_skus = names.own_skus;
        let body = StagedBody::Fields { fields, parts };
        renamed.insert(
            number,
            Staged {
                body,
                ..(*row).clone()
            },
        );
    }
    renamed
}

#[derive(Default)]
struct Names {
    /// What it was taken for → what it is.
    other: BTreeMap<ItemId, ItemId>,
    /// Items that this shop calls otherwise than the others do.
    own_skus: BTreeSet<ItemId>,
}

impl Names {
    fn is_plain(&self) -> bool {
        self.other.is_empty() && self.own_skus.is_empty()
    }
}

fn names(
    group: &Group<'_>,
    row: &Staged,
    (fields, parts): (&Fields, &Parts),
    is_elsewhere: &dyn Fn(&ItemId) -> bool,
    bearers: &mut Bearers,
) -> Names {
    let there = group.known.and_then(|known| known.shops.get(&row.shop));
    let shadow = there.filter(|at| at.id.as_ref() == Some(&row.id));
    let ours = group.known.map(|known| &known.ours);
    let is_linked = |item: &&ItemId| {
        let id = parts.variants.get(*item);
        id.is_some() && shadow.is_some_and(|at| at.parts.variants.get(*item) == id)
    };
    let variants: Vec<ItemId> = variants_of(fields).collect();
    let (linked, strangers): (Vec<&ItemId>, Vec<&ItemId>) = variants.iter().partition(is_linked);
    let mut names = Names::default();
    for item in &linked {
        bearers.note(fields, item);
        let was_own = shadow.is_some_and(|at| at.parts.own_skus.contains(*item));
        if was_own && ours.and_then(|ours| sku_of(ours, item)) != sku_of(fields, item) {
            names.own_skus.insert((*item).clone());
        }
    }
    let mut taken: BTreeSet<ItemId> = linked.into_iter().cloned().collect();
    for item in strangers {
        let sku = sku_of(fields, item);
        let is_foreign = sku.is_some_and(|sku| group.foreign.contains(sku));
        let by_sku = sku
            .filter(|_| !is_foreign)
            .and_then(|sku| bearers.skus.get(sku));
        // What we sent there, and nobody has answered, it may bear though we call it otherwise by now.
        let sent = sku.and_then(|sku| sent_as(there?, sku));
        let by_sku = sent.or_else(|| by_sku.cloned());
        let by_sku = by_sku.filter(|found| !taken.contains(found));
        let gtin = gtin_of(fields, item);
        let by_gtin = || {
            let found = bearers.gtins.get(gtin?)?;
            (!taken.contains(found)).then(|| found.clone())
        };
        // An item of its own goes by the name that was free for it, unless that is another's.
        let is = match (by_sku, by_gtin()) {
            (Some(found), _) => found,
            (None, Some(found)) => {
                let ours_calls_it = ours.and_then(|ours| sku_of(ours, &found));
                if sku.is_some() && ours_calls_it.is_some() {
                    names.own_skus.insert(found.clone());
                }
                found
            }
            (None, None)
                if is_foreign
                    || is_elsewhere(item)
                    || taken.contains(item)
                    || ours.is_some_and(|ours| has_variant(ours, item)) =>
            {
                ItemId(format!("{item}~{}/{}", row.shop, row.id))
            }
            (None, None) => item.clone(),
        };
        if let (Some(sku), false) = (sku, names.own_skus.contains(&is)) {
            bearers.skus.insert(sku.to_owned(), is.clone());
        }
        if let Some(gtin) = gtin {
            bearers.gtins.insert(gtin.to_owned(), is.clone());
        }
        taken.insert(is.clone());
        if is != *item {
            names.other.insert(item.clone(), is);
        }
    }
    names
}

fn sent_as(there: &AtShop, sku: &str) -> Option<ItemId> {
    let mut open = there.open.iter().filter_map(|intent| intent.what.fields());
    open.find_map(|set| {
        let mut skus = set.iter().filter(|(_, value)| value.as_text() == Some(sku));
        skus.find_map(|(path, _)| match path.field() {
            Some(Field::Variant {
                item,
                field: VariantField::Sku,
            }) => Some(item),
            _ => None,
        })
    })
}

/// The same reading with other names in it.
fn called(fields: &Fields, parts: &Parts, other: &BTreeMap<ItemId, ItemId>) -> (Fields, Parts) {
    let fields = fields.iter().map(|(path, value)| {
        let path = match path.field() {
            Some(Field::Variant { item, field }) => match other.get(&item) {
                Some(item) => {
                    let item = item.clone();
                    Path::new(&Field::Variant { item, field })
                }
                None => path.clone(),
            },
            _ => path.clone(),
        };
        (path, value.clone())
    });
    let variants = parts.variants.iter();
    let variants = variants.map(|(item, id)| (other.get(item).unwrap_or(item).clone(), id.clone()));
    let parts = Parts {
        variants: variants.collect(),
        ..parts.clone()
    };
    (fields.collect(), parts)
}

/// What its people call an item is theirs alone in this shop.
pub(super) fn is_own_sku(field: &Field<'_>, parts: &Parts) -> bool {
    match field {
        Field::Variant {
            item,
            field: VariantField::Sku,
        } => parts.own_skus.contains(item),
        _ => false,
    }
}

/// Is this the field by which an item is called, and has the shop none of it?
pub(super) fn is_nameless(field: &Field<'_>, value: &Value) -> bool {
    let is_sku = matches!(
        field,
        Field::Variant {
            field: VariantField::Sku,
            ..
        }
    );
    is_sku && *value == Value::Empty
}
