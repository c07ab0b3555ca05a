//! Handles and SKUs that records of a shop exchange, or that several pass round: each is refused as long as the other has it.
//! One of them goes over a third value, and to its own once that is free.

use crate::catalogue::Decision;
use crate::write::{PlanLine, Write};
use lockstep_model::entry::{Subject, What};
use lockstep_model::{Change, Field, Path, ShopId, Value, VariantField, called};
use std::collections::BTreeMap;

/// What no two of a shop may bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Handle,
    Sku,
}

fn name_of(path: &Path) -> Option<Name> {
    match path.field()? {
        Field::Handle => Some(Name::Handle),
        Field::Variant {
            field: VariantField::Sku,
            ..
        } => Some(Name::Sku),
        _ => None,
    }
}

/// Of one plan: in each shop, the name that a record or an item has → the one that it is to get.
#[derive(Debug, Default)]
pub(super) struct Moves {
    to: BTreeMap<(ShopId, Name), BTreeMap<String, String>>,
}

impl Moves {
    /// Notes the moves of a decision. One that closes a ring is turned to a third value, alone: what the shop says to that is
    /// said of no other field.
    pub fn turn(&mut self, decision: &mut Decision) {
        for write in &mut decision.writes {
            let What::Set { set } = &write.what else {
                continue;
            };
            let paths: Vec<(Name, Path)> = set
                .keys()
                .filter_map(|path| Some((name_of(path)?, path.clone())))
                .collect();
            for (name, path) in paths {
                self.turn_one(write, name, &path, &mut decision.lines);
            }
        }
    }

    fn turn_one(&mut self, write: &mut Write, name: Name, path: &Path, lines: &mut Vec<PlanLine>) {
        let shop = write.shop;
        let shown = shown(write, path);
        let is_its = |line: &PlanLine| line.shop == shop && line.field == shown.as_str();
        let (What::Set { set }, Some(line)) =
            (&write.what, lines.iter_mut().find(|line| is_its(line)))
        else {
            return;
        };
        let Some(to) = set.get(path).and_then(Value::as_text) else {
            return;
        };
        let (from, to) = (line.from.clone(), to.to_owned());
        let moves = self.to.entry((shop, name)).or_default();
        if !closes_a_ring(moves, &from, &to) {
            moves.insert(from, to);
            return;
        }
        let others = |path: &Path| set.keys().any(|other| other != path);
        if name == Name::Handle && others(path) {
            lines.retain(|line| !is_its(line));
            leave_for_later(write, path);
            return;
        }
        let third = third_value(write, path);
        line.to.clone_from(&third);
        line.why = format!("makes way: another gets what it is called, then it gets {to}");
        moves.insert(from, third.clone());
        // The rest comes once that is written, the other items of the product that pass it round as well.
        let others: Vec<Path> = set.keys().filter(|other| *other != path).cloned().collect();
        for other in &others {
            let shown = self::shown(write, other);
            let is_others = |line: &&PlanLine| line.shop == shop && line.field == shown.as_str();
            if let Some(line) = lines.iter().find(is_others) {
                stays(write, other, &line.from);
            }
        }
        lines.retain(|line| line.shop != shop || line.field == shown.as_str());
        set_alone(write, path, &third);
    }
}

/// A path as the lines of a plan have it.
fn shown(write: &Write, path: &Path) -> Path {
    match &write.change {
        Change::UpdateProduct { product, .. } => called(path, &product.fields()),
        _ => path.clone(),
    }
}

/// No ring is ever closed, so each way ends.
fn closes_a_ring(moves: &BTreeMap<String, String>, from: &str, to: &str) -> bool {
    let mut at = to;
    while let Some(next) = moves.get(at) {
        if next == from {
            return true;
        }
        at = next;
    }
    false
}

/// It comes once the rest is written.
fn leave_for_later(write: &mut Write, handle: &Path) {
    if let What::Set { set } = &mut write.what {
        set.remove(handle);
    }
    if let Change::UpdateProduct { set, .. } = &mut write.change {
        set.remove(handle);
    }
    write.again = true;
}

/// That nothing else bears.
fn third_value(write: &Write, path: &Path) -> String {
    match (path.field(), &write.subject) {
        (Some(Field::Variant { item, .. }), _) => format!("moving-{item}"),
        (_, Subject::Record(record)) => format!("moving-{record}"),
        _ => "moving".into(),
    }
}

/// What of the whole is not written now is as it was.
fn stays(write: &mut Write, path: &Path, from: &str) {
    if let (Change::UpdateProduct { product, .. }, Some(Name::Sku), Some(field)) =
        (&mut write.change, name_of(path), path.field())
        && let Field::Variant { item, .. } = field
        && let Some(variant) = product.variants.iter_mut().find(|v| v.item() == item)
    {
        variant.sku = from.into();
    }
}

fn set_alone(write: &mut Write, path: &Path, third: &str) {
    let alone = [(path.clone(), Value::text(third))];
    if let What::Set { set } = &mut write.what {
        *set = alone.clone().into();
    }
    if let Change::UpdateProduct { set, product, .. } = &mut write.change {
        *set = alone.into();
        match path.field() {
            Some(Field::Variant { item, .. }) => {
                let mut variants = product.variants.iter_mut();
                if let Some(variant) = variants.find(|variant| variant.item() == item) {
                    variant.sku = third.into();
                }
            }
            _ => product.handle = Some(third.to_owned()),
        }
    }
    write.is_part = false;
    // It is not done with that.
    write.again = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::{coffee, decide_on, in_step, our_rules, shadow, staged};
    use crate::fixture::{A, B, ERP};
    use lockstep_model::{Product, RecordId};

    fn with_handle(shop: ShopId, handle: &str, title: &str) -> Product {
        Product {
            handle: Some(handle.into()),
            ..coffee(shop, title, "6.90")
        }
    }

    /// What is decided on a record whose handle its owner changes.
    fn moves(record: u64, from: &str, to: &str) -> Decision {
        renames(record, from, to, "Coffee")
    }

    fn renames(record: u64, from: &str, to: &str, title: &str) -> Decision {
        let mut known = in_step("Coffee", "6.90");
        known.record = RecordId(record);
        known.ours = with_handle(ERP, from, "Coffee").fields();
        known.shops = [ERP, A, B]
            .map(|shop| (shop, shadow(&with_handle(shop, from, "Coffee"))))
            .into();
        decide_on(
            vec![known],
            vec![staged(ERP, &with_handle(ERP, to, title))],
            &our_rules(),
        )
    }

    fn written(decision: &Decision) -> Vec<String> {
        let writes = decision.writes.iter();
        writes
            .map(|write| match &write.change {
                Change::UpdateProduct { set, product, .. } => {
                    let handle = set[&Path::new(&Field::Handle)].to_string();
                    assert_eq!(product.handle.as_ref(), Some(&handle));
                    handle
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn c6_a_swap_of_handles_goes_over_a_third_value() {
        let mut plan = Moves::default();
        let mut first = moves(7, "a", "b");
        let mut second = moves(8, "b", "a");
        plan.turn(&mut first);
        plan.turn(&mut second);
        assert_eq!(written(&first), ["b", "b"]);
        assert_eq!(written(&second), ["moving-8", "moving-8"]);
        assert!(
            second.writes.iter().all(|write| write.again),
            "it is not done with that"
        );
        assert_eq!(second.lines[0].to, "moving-8");
        // What is left once b is free.
        let mut plan = Moves::default();
        let mut last = moves(8, "moving-8", "a");
        plan.turn(&mut last);
        assert_eq!(written(&last), ["a", "a"]);
    }

    #[test]
    fn c6_a_ring_of_three_has_one_way_out_and_a_row_needs_none() {
        let mut plan = Moves::default();
        let mut ring = [("a", "b"), ("b", "c"), ("c", "a")].map(|(from, to)| moves(7, from, to));
        ring.iter_mut().for_each(|decision| plan.turn(decision));
        let turned = ring.iter().map(|decision| written(decision).remove(0));
        assert_eq!(turned.collect::<Vec<_>>(), ["b", "c", "moving-7"]);
        let mut plan = Moves::default();
        let mut row = [("a", "b"), ("b", "c"), ("c", "d")].map(|(from, to)| moves(7, from, to));
        row.iter_mut().for_each(|decision| plan.turn(decision));
        let kept = row.iter().map(|decision| written(decision).remove(0));
        assert_eq!(kept.collect::<Vec<_>>(), ["b", "c", "d"]);
    }

    /// A refusal of the third value is no word about the title.
    #[test]
    fn c6_a_handle_that_makes_way_is_written_once_the_rest_is() {
        let mut plan = Moves::default();
        plan.turn(&mut moves(7, "a", "b"));
        let mut second = renames(8, "b", "a", "Tea");
        plan.turn(&mut second);
        for write in &second.writes {
            let Change::UpdateProduct { set, .. } = &write.change else {
                panic!("{write:?}");
            };
            let paths: Vec<&str> = set.keys().map(Path::as_str).collect();
            assert_eq!(paths, ["title"]);
            assert_eq!(write.what, What::Set { set: set.clone() });
            assert!(write.again, "it is not done with that");
        }
        assert!(second.lines.iter().all(|line| line.field == "title"));
    }
}
