//! A change that a shop refused for what it says, told apart: everything else of the record is written, and what is refused
//! waits alone.
//!
//! Which field it was the shop names, or it is found by halves. All that is remembered is which changes were refused; the
//! next part follows from them and from what is still to be written:
//!
//! ```text
//! title price gtin weight   refused
//! title price               taken
//!             gtin weight   refused
//!             gtin          taken
//!                  weight   refused: it stands aside, alone
//! ```

use crate::write::of_what;
use lockstep_model::entry::What;
use lockstep_model::{
    Fault, FaultKind, Field, Fields, Fingerprint, ItemId, Path, REFUSED_MAX, Value, VariantField,
    has_variant, variants_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// Fields that are written together or not at all.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    /// The axes, where variants stand on them, and which there are; one that comes has its prices.
    Variants,
    /// A price and the sale price below it.
    Prices(ItemId),
    Field(Path),
}

fn units(set: &Fields) -> Vec<Fields> {
    let comes_or_goes = |item: &ItemId| set.contains_key(&Path::present(item));
    let mut units: BTreeMap<Unit, Fields> = BTreeMap::new();
    for (path, value) in set {
        let unit = match path.field() {
            Some(Field::Options) => Unit::Variants,
            Some(Field::Variant { item, field }) => match field {
                VariantField::Present | VariantField::Option(_) => Unit::Variants,
                VariantField::Sku | VariantField::Price(_) | VariantField::SalePrice(_)
                    if comes_or_goes(&item) =>
                {
                    Unit::Variants
                }
                VariantField::Price(_) | VariantField::SalePrice(_) => Unit::Prices(item),
                VariantField::Sku
                | VariantField::Gtin
                | VariantField::WeightG
                | VariantField::Backorder => Unit::Field(path.clone()),
            },
            _ => Unit::Field(path.clone()),
        };
        let fields = units.entry(unit).or_default();
        fields.insert(path.clone(), value.clone());
    }
    units.into_values().collect()
}

fn of_set(set: Fields) -> Fingerprint {
    of_what(&What::Set { set })
}

/// Stands among refused changes of which the parts are tried. Not all are: a conflict is no word about a field.
fn mark() -> Fingerprint {
    Fingerprint::of(&["told apart"])
}

/// What is remembered of a refused change beside itself, so that its parts are tried. Nothing: it has none, or it was not
/// refused for what it says.
pub(crate) fn told_apart(what: &What, fault: &Fault) -> Vec<Fingerprint> {
    let (set, is_of_a_field) = match what {
        What::Set { set } => {
            let says = matches!(
                fault.kind,
                FaultKind::Invalid { .. } | FaultKind::Duplicate { .. }
            );
            (set, says)
        }
        // Of a create the latter says that it is there already.
        What::Create { set } => (set, matches!(fault.kind, FaultKind::Invalid { .. })),
        What::AddPicture { .. }
        | What::RemovePicture { .. }
        | What::Level { .. }
        | What::CreateOrder
        | What::StepOrder { .. } => return Vec::new(),
    };
    let units = units(set);
    if !is_of_a_field || units.len() < 2 {
        return Vec::new();
    }
    let mut refused = vec![mark()];
    if let FaultKind::Invalid { field: Some(name) } = &fault.kind {
        let mut named = units.into_iter().filter(|unit| bears(unit, name));
        // Several may: which of them it was the shop did not say.
        if let (Some(unit), None) = (named.next(), named.next()) {
            refused.push(of_set(unit));
        }
    }
    refused
}

fn bears(unit: &Fields, name: &str) -> bool {
    let mut paths = unit.keys();
    paths.any(|path| path.as_str().split('/').any(|part| part == name))
}

/// May the parts of what was refused be tried? After so many refusals the record waits as a whole.
fn is_told_apart(refused: &BTreeSet<Fingerprint>) -> bool {
    refused.contains(&mark()) && refused.len() < REFUSED_MAX
}

/// The part of a change that is to be tried. `None`: the whole of it.
pub(super) fn part_of(set: &Fields, refused: &BTreeSet<Fingerprint>) -> Option<Fields> {
    if !is_told_apart(refused) {
        return None;
    }
    let mut units = units(set);
    units.retain(|unit| !refused.contains(&of_set(unit.clone())));
    // What a variant has is written with it or after it.
    let coming: BTreeSet<ItemId> = variants_of(set).collect();
    let is_open = |part: &Fields| {
        let stands = part.keys().all(|path| match path.field() {
            Some(Field::Variant { item, .. }) if coming.contains(&item) => has_variant(part, &item),
            _ => true,
        });
        stands && !refused.contains(&of_set(part.clone()))
    };
    let part = first_open(&units, &is_open)?;
    (part != *set).then_some(part)
}

fn first_open(units: &[Fields], is_open: &impl Fn(&Fields) -> bool) -> Option<Fields> {
    let whole: Fields = units.iter().flatten().map(owned).collect();
    if whole.is_empty() || is_open(&whole) {
        return Some(whole).filter(|whole| !whole.is_empty());
    }
    if units.len() < 2 {
        return None;
    }
    let (first, second) = units.split_at(units.len() / 2);
    first_open(first, is_open).or_else(|| first_open(second, is_open))
}

fn owned((path, value): (&Path, &Value)) -> (Path, Value) {
    (path.clone(), value.clone())
}

/// What a record is to be made with, after it was refused with all: everything but what the shop named, else only what
/// nothing can be sold without. The rest is written once it is there. `None`: all of it.
pub(super) fn makeable(set: &Fields, refused: &BTreeSet<Fingerprint>) -> Option<Fields> {
    if !is_told_apart(refused) {
        return None;
    }
    let without = |leave_out: &dyn Fn(&Fields) -> bool| -> Fields {
        let units = units(set).into_iter();
        let left = units.filter(|unit| is_needed(unit) || !leave_out(unit));
        left.flatten().collect()
    };
    let named = without(&|unit| refused.contains(&of_set(unit.clone())));
    let bare = without(&|_| true);
    [named, bare].into_iter().find(|part| {
        let create = What::Create { set: part.clone() };
        part != set && !refused.contains(&of_what(&create))
    })
}

/// Nothing is made without its name, its state, its place and what it is sold as and for.
fn is_needed(unit: &Fields) -> bool {
    unit.keys().any(|path| match path.field() {
        Some(Field::Title | Field::Status | Field::Options | Field::Parent) => true,
        Some(Field::Variant { field, .. }) => match field {
            VariantField::Present
            | VariantField::Price(_)
            | VariantField::SalePrice(_)
            | VariantField::Option(_)
            | VariantField::Sku => true,
            VariantField::Gtin | VariantField::WeightG | VariantField::Backorder => false,
        },
        _ => false,
    })
}
