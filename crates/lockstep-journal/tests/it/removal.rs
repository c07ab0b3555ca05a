//! Items that go: what becomes of their levels.

use crate::support::*;
use lockstep_journal::Journal;
use lockstep_model::cases::LevelAt;
use lockstep_model::entry::{Again, Body, Delta, Merged, Seen, Settlement, Subject, What};
use lockstep_model::{Fault, FaultKind, Kind, Path, Product, Record, RecordId, Value};

/// A product with A and B in both shops, ten of each.
fn world() -> Journal {
    let mut journal = journal();
    map_stocks(&mut journal);
    let mut bodies = vec![merged(
        1,
        &product("p", &["A", "B"], "P", 1),
        &[ERP, WEB],
        &[],
    )];
    for shop in [ERP, WEB] {
        bodies.extend(["A", "B"].map(|sku| level_seen(shop, &level(sku, 10), 0)));
    }
    append(&mut journal, bodies);
    journal
}

fn at_web(journal: &mut Journal, sku: &str) -> LevelAt {
    journal.mark_due(at(0), Again::Levels).unwrap();
    let chunk = journal.load_stock(None, 100, false).unwrap();
    let case = chunk.cases.into_iter().find(|case| case.sku.0 == sku);
    case.unwrap().levels.remove(&WEB).unwrap()
}

/// We take B away at the web shop, and it answers with what it has now, or does not say.
fn remove_b(journal: &mut Journal, says: bool) {
    let set = [(Path::present(&"B".into()), Value::Empty)].into();
    let left = product("p", &["A"], "P", 1);
    let how = Settlement::Done {
        id: "p".into(),
        parts: says.then(|| left.parts()),
        held: says.then(|| left.fields()),
        level: None,
        partly: false,
    };
    let subject = Subject::Record(RecordId(1));
    append(
        journal,
        vec![
            intended(1, WEB, subject, What::Set { set }),
            settled(1, how),
        ],
    );
}

/// The web shop shows this product.
fn shown(record: u64, shown: &Product, gone: bool) -> Body {
    Body::Merged(Merged {
        run: RUN,
        record: RecordId(record),
        kind: Kind::Product,
        title: "P".into(),
        keys: shown.variants.iter().map(|v| v.sku.0.clone()).collect(),
        ours: Delta::default(),
        seen: [(
            WEB,
            Seen {
                gone,
                ..seen(shown)
            },
        )]
        .into(),
        overruled: vec![],
        due: vec![],
        awaits: Default::default(),
    })
}

#[test]
fn the_level_of_a_variant_that_we_removed_is_nobodys_to_write() {
    for says in [true, false] {
        let mut journal = world();
        remove_b(&mut journal, says);
        assert!(at_web(&mut journal, "B").gone);
        assert!(!at_web(&mut journal, "A").gone);
        let held = &journal
            .records_to_read(WEB, Kind::Product, None, 10)
            .unwrap();
        assert!(held.is_empty());
        // An order gives back what it took: there is no level to read for it.
        let sold = state("o", vec![line("B", 1, 1)]);
        append(&mut journal, vec![order_seen(WEB, &key(WEB, "o"), sold)]);
        assert!(journal.items_to_read(WEB, None, 10).unwrap().is_empty());
        // It is added again.
        append(
            &mut journal,
            vec![shown(1, &product("p", &["A", "B"], "P", 1), false)],
        );
        assert!(!at_web(&mut journal, "B").gone);
    }
}

#[test]
fn a_level_goes_with_its_product_and_comes_back_with_it() {
    let mut journal = world();
    let whole = product("p", &["A", "B"], "P", 1);
    append(&mut journal, vec![shown(1, &whole, true)]);
    assert!(at_web(&mut journal, "A").gone && at_web(&mut journal, "B").gone);
    settle(&mut journal);
    append(&mut journal, vec![shown(1, &whole, false)]);
    let due = journal.load_stock(None, 10, false).unwrap().cases;
    let due: Vec<&str> = due.iter().map(|case| case.sku.as_str()).collect();
    assert_eq!(
        due,
        ["A", "B"],
        "what it should show may have moved meanwhile"
    );
    assert!(!at_web(&mut journal, "A").gone && !at_web(&mut journal, "B").gone);
}

#[test]
fn an_item_that_moved_to_another_product_is_not_gone() {
    for new_first in [true, false] {
        let mut journal = world();
        let new = shown(2, &product("q", &["B"], "Q", 1), false);
        let old = shown(1, &product("p", &["A"], "P", 1), false);
        append(
            &mut journal,
            if new_first {
                vec![new, old]
            } else {
                vec![old, new]
            },
        );
        assert!(!at_web(&mut journal, "B").gone, "{new_first}");
    }
}

#[test]
fn a_level_that_the_shop_does_not_know_is_not_written_again_until_it_is_shown() {
    let mut journal = world();
    let subject = Subject::Level {
        stock: MAIN,
        item: "B".into(),
    };
    let what = What::Level {
        on_hand: units(9),
        target: units(9),
        was_available: units(10),
        was_taken: units(0),
        answered: false,
    };
    let fault = Fault::new(FaultKind::NotFound, "no such SKU");
    let how = Settlement::NotApplied { fault: Some(fault) };
    append(
        &mut journal,
        vec![intended(1, WEB, subject, what), settled(1, how)],
    );
    assert!(at_web(&mut journal, "B").gone);
    // The same level as before, but it is there.
    let page = vec![Record::Level(level("B", 10))];
    assert_eq!(journal.stage(WEB, page).unwrap().changed, 1);
    append(&mut journal, vec![level_seen(WEB, &level("B", 10), 0)]);
    assert!(!at_web(&mut journal, "B").gone);
}
