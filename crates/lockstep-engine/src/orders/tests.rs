//! Orders.

use super::{answer, decide};
use crate::fixture::{A, ERP, rules};
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{OpenIntent, OrderCase};
use lockstep_model::entry::{Body, Hold, Settlement, Subject, What};
use lockstep_model::{CustomerId, IntentId, OrderAnswer, OrderKey, RunId, Takes};
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
        buyer_erased: false,
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

fn held_in_doubt() -> OrderCase {
    OrderCase {
        held: Some(Hold::InDoubt),
        ..in_doubt()
    }
}

#[test]
fn a_person_s_word_settles_the_doubtful_write_and_lets_the_order_go() {
    let there = OrderAnswer::ItIsThere { id: "S-76".into() };
    for (said, applied) in [(there, true), (OrderAnswer::ItIsNotThere, false)] {
        let bodies = answer(&held_in_doubt(), ERP, &said, "operator").unwrap();
        let [
            Body::OrderAnswered { by, .. },
            Body::Settled { intent, how },
            Body::OrderReleased { .. },
        ] = bodies.as_slice()
        else {
            panic!("{bodies:?}");
        };
        assert_eq!((by.as_str(), *intent), ("operator", IntentId(1)));
        assert_eq!(matches!(**how, Settlement::Done { .. }), applied);
        assert!(how.closes());
    }
}

#[test]
fn a_word_that_comes_too_late_is_refused() {
    let mut answered = held_in_doubt();
    answered.open.clear();
    answered.held = None;
    let mut found = held_in_doubt();
    found.copies = [(ERP, "S-75".into())].into();
    let there = OrderAnswer::ItIsThere { id: "S-76".into() };
    for case in [answered, found, in_doubt()] {
        for said in [&there, &OrderAnswer::ItIsNotThere] {
            assert!(answer(&case, ERP, said, "operator").is_err(), "{case:?}");
        }
    }
}

#[test]
fn what_was_mended_is_tried_again_and_what_is_in_doubt_is_not() {
    let mut case = in_doubt();
    case.open.clear();
    let again = |held| {
        let case = OrderCase {
            held,
            ..case.clone()
        };
        answer(&case, ERP, &OrderAnswer::TryAgain, "operator")
    };
    let message = "no".to_owned();
    assert_eq!(again(Some(Hold::Refused { message })).unwrap().len(), 1);
    assert!(again(Some(Hold::InDoubt)).is_err(), "it may be there");
    assert!(again(Some(Hold::Gate)).is_err(), "it opens by itself");
    assert!(again(None).is_err(), "nothing holds it");
}
