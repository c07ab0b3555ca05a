//! Handles that two records of a shop exchange, or that several pass round: each is refused as long as the other has it. One
//! of them goes over a third value, and to its own once that is free.

use crate::catalogue::Decision;
use crate::write::{PlanLine, Write};
use lockstep_model::entry::{Subject, What};
use lockstep_model::{Change, Field, Path, ShopId, Value};
use std::collections::BTreeMap;

/// Of one plan: in each shop, the handle that a record has → the one that it is to get.
#[derive(Debug, Default)]
pub(super) struct HandleMoves {
    to: BTreeMap<ShopId, BTreeMap<String, String>>,
}

impl HandleMoves {
    /// Notes the moves of a decision. One that closes a ring is turned to a third value, alone: what the shop says to that is
    /// said of no other field.
    pub fn turn(&mut self, decision: &mut Decision) {
        let handle = Path::new(&Field::Handle);
        for write in &mut decision.writes {
            let shop = write.shop;
            let is_its = |line: &&mut PlanLine| line.shop == shop && line.field == handle.as_str();
            let (What::Set { set }, Some(line)) =
                (&write.what, decision.lines.iter_mut().find(is_its))
            else {
                continue;
            };
            let Some(to) = set.get(&handle).and_then(Value::as_text) else {
                continue;
            };
            let (from, to) = (line.from.clone(), to.to_owned());
            let moves = self.to.entry(shop).or_default();
            if closes_a_ring(moves, &from, &to) {
                if set.len() > 1 {
                    let field = line.field.clone();
                    decision
                        .lines
                        .retain(|line| line.shop != shop || line.field != field);
                    leave_for_later(write, &handle);
                    continue;
                }
                let third = third_value(write);
                set_handle(write, &handle, &third);
                line.to.clone_from(&third);
                line.why = format!("makes way: another record gets its handle, then it gets {to}");
                moves.insert(from, third);
            } else {
                moves.insert(from, to);
            }
        }
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

/// That no other record has.
fn third_value(write: &Write) -> String {
    match write.subject {
        Subject::Record(record) => format!("moving-{record}"),
        _ => "moving".into(),
    }
}

fn set_handle(write: &mut Write, handle: &Path, third: &str) {
    let value = Value::text(third);
    if let What::Set { set } = &mut write.what {
        set.insert(handle.clone(), value.clone());
    }
    if let Change::UpdateProduct { set, product, .. } = &mut write.change {
        set.insert(handle.clone(), value);
        product.handle = Some(third.to_owned());
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
        let mut plan = HandleMoves::default();
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
        let mut plan = HandleMoves::default();
        let mut last = moves(8, "moving-8", "a");
        plan.turn(&mut last);
        assert_eq!(written(&last), ["a", "a"]);
    }

    #[test]
    fn c6_a_ring_of_three_has_one_way_out_and_a_row_needs_none() {
        let mut plan = HandleMoves::default();
        let mut ring = [("a", "b"), ("b", "c"), ("c", "a")].map(|(from, to)| moves(7, from, to));
        ring.iter_mut().for_each(|decision| plan.turn(decision));
        let turned = ring.iter().map(|decision| written(decision).remove(0));
        assert_eq!(turned.collect::<Vec<_>>(), ["b", "c", "moving-7"]);
        let mut plan = HandleMoves::default();
        let mut row = [("a", "b"), ("b", "c"), ("c", "d")].map(|(from, to)| moves(7, from, to));
        row.iter_mut().for_each(|decision| plan.turn(decision));
        let kept = row.iter().map(|decision| written(decision).remove(0));
        assert_eq!(kept.collect::<Vec<_>>(), ["b", "c", "d"]);
    }

    /// A refusal of the third value is no word about the title.
    #[test]
    fn c6_a_handle_that_makes_way_is_written_once_the_rest_is() {
        let mut plan = HandleMoves::default();
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
