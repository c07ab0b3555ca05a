//! Orders.

use super::decide;
use crate::fixture::{A, ERP, rules};
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{OpenIntent, OrderCase};
use lockstep_model::entry::{Body, Hold, Subject, What};
use lockstep_model::{CustomerId, IntentId, OrderKey, RunId, Takes};
use std::collections::BTreeMap;

/// An order of A whose copy was meant to be made and may or may not be there.
fn in_doubt() -> OrderCase {
    let order = OrderKey {
        customer: CustomerId(1),
        shop: A,
        id: "o1".into(),
    };
    let open = OpenIntent {
        intent: IntentId(1),
        run: RunId(1),
        shop: ERP,
        subject: Subject::Order(order.clone()),
        what: What::CreateOrder,
        at: Timestamp::UNIX_EPOCH,
        look_at: None,
    };
    OrderCase {
        order,
        known: BTreeMap::new(),
        staged: BTreeMap::new(),
        copies: BTreeMap::new(),
        before_opening: false,
        held: None,
        open: vec![open],
        aside_until: BTreeMap::new(),
        tries: BTreeMap::new(),
        conflicts: vec![],
        settled_by_hand: false,
        items: BTreeMap::new(),
    }
}

#[test]
fn a_doubtful_copy_is_held_for_a_person_where_the_shop_cannot_be_asked() {
    let now = Timestamp::UNIX_EPOCH.checked_add(60.minutes()).unwrap();
    let mut rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    let asked = decide(&in_doubt(), &rules, &mut 1, now);
    assert_eq!(asked.look.len(), 1, "it is looked for by its key");
    let erp = rules.shops.get_mut(&ERP).unwrap();
    erp.abilities.order_search = false;
    erp.abilities.unique_order_key = false;
    let held = decide(&in_doubt(), &rules, &mut 1, now);
    assert!(held.look.is_empty() && held.writes.is_empty());
    assert!(matches!(
        held.bodies.as_slice(),
        [Body::OrderHeld {
            reason: Hold::InDoubt,
            ..
        }]
    ));
}
