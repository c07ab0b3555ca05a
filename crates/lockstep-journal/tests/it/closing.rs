//! Orders that are over leave the sums, and none that is not.

use crate::support::*;
use jiff::Timestamp;
use lockstep_journal::Journal;
use lockstep_model::entry::{Body, Conflict, Hold, Subject, What};
use lockstep_model::{ConflictId, ItemId, OrderKey, OrderLine, ShopId};

fn shipped(units_: i64) -> OrderLine {
    OrderLine {
        shipped: units(units_),
        ..line("A", units_, units_)
    }
}

/// An order of two units, shipped in the web shop, and its copy.
fn shipped_order(order: &OrderKey, at_erp: OrderLine) -> Vec<Body> {
    let mut copy = state(&format!("s-{}", order.id), vec![at_erp]);
    copy.key = Some(order.to_string());
    vec![
        order_seen(WEB, order, state(order.id.as_str(), vec![shipped(2)])),
        order_seen(ERP, order, copy),
        level_seen(WEB, &level("A", 8), 2),
    ]
}

fn world(order: &OrderKey, at_erp: OrderLine) -> Journal {
    let mut journal = journal();
    map_stocks(&mut journal);
    append(&mut journal, shipped_order(order, at_erp));
    settle(&mut journal);
    journal
}

fn over(journal: &Journal, before: Timestamp) -> Vec<(ItemId, Vec<OrderKey>)> {
    let chunk = journal.load_closing(None, before, 10).unwrap();
    assert_eq!(chunk.next, None);
    let cases = chunk.cases.into_iter();
    cases
        .map(|case| (case.item, case.over.into_iter().collect()))
        .collect()
}

#[test]
fn an_order_that_is_final_everywhere_is_over_once_nothing_moves_any_more() {
    let o1 = key(WEB, "o1");
    let journal = world(&o1, shipped(2));
    assert_eq!(over(&journal, at(0)), [], "not for long enough");
    assert_eq!(over(&journal, at(60)), [("A".into(), vec![o1])]);
}

#[test]
fn an_order_that_one_shop_is_not_done_with_is_not_over() {
    let journal = world(&key(WEB, "o1"), line("A", 2, 2));
    assert_eq!(over(&journal, at(60)), []);
}

#[test]
fn what_is_open_or_asked_keeps_an_order_in_the_sums() {
    let o1 = key(WEB, "o1");
    let of_order = Subject::Order(o1.clone());
    let of_level = Subject::Level {
        stock: MAIN,
        item: "A".into(),
    };
    let level_write = What::Level {
        on_hand: units(9),
        target: units(9),
        was_available: units(8),
        was_taken: units(2),
        answered: false,
    };
    let asked = Body::ConflictOpened {
        conflict: ConflictId(1),
        subject: of_order.clone(),
        about: Conflict::ShippedAndCancelled {
            shipped: ERP,
            cancelled: WEB,
        },
    };
    let held = Body::OrderHeld {
        order: o1.clone(),
        reason: Hold::Gate,
    };
    for body in [
        intended(1, ERP, of_order, What::CreateOrder),
        intended(1, WEB, of_level, level_write),
        asked,
        held,
    ] {
        let mut journal = world(&o1, shipped(2));
        append(&mut journal, vec![body.clone()]);
        assert_eq!(over(&journal, at(60)), [], "{body:?}");
    }
}

#[test]
fn orders_are_gone_through_in_pieces() {
    let mut journal = journal();
    map_stocks(&mut journal);
    for nth in 0..5 {
        let order = key(WEB, &format!("o{nth}"));
        append(&mut journal, shipped_order(&order, shipped(2)));
    }
    settle(&mut journal);
    let mut after = None;
    let mut found = Vec::new();
    loop {
        let chunk = journal.load_closing(after.as_ref(), at(60), 2).unwrap();
        found.extend(chunk.cases.into_iter().flat_map(|case| case.over));
        after = chunk.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|order| order.shop == ShopId(2)));
}
