//! What travels between the two sides of an order, line by line.

use super::tests::{crossed, decided, in_doubt, order_of, step_to};
use super::{OrderDecision, decide};
use crate::fixture::{A, ERP, rules};
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{OrderCase, StagedOrder};
use lockstep_model::entry::{Body, Conflict, Differing, Settlement, What};
use lockstep_model::{
    Fulfilment, OrderLine, OrderState, OrderStep, Parcel, Payment, Refund, RemoteId, Takes,
};
use rust_decimal::Decimal;

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// (line, units, price) of lines that all bear one SKU.
fn of_one_sku(id: &str, lines: &[(&str, i64, i64)]) -> OrderState {
    let mut order = order_of(id, 1);
    let line = order.lines.remove(0);
    order.lines = lines
        .iter()
        .map(|(id, units, price)| OrderLine {
            id: (*id).into(),
            quantity: (*units).into(),
            taken: (*units).into(),
            unit_price: (*price).into(),
            gross: (units * price).into(),
            ..line.clone()
        })
        .collect();
    order.total = order.lines.iter().map(|line| line.gross).sum();
    order
}

fn ship(order: &mut OrderState, line: &str, units: i64, parcel: &str) {
    let at = order
        .lines
        .iter_mut()
        .find(|there| there.id.as_str() == line);
    at.unwrap().shipped += Decimal::from(units);
    order.parcels.push(Parcel {
        id: parcel.into(),
        tracking: Some(format!("JJFI{parcel}")),
        lines: [(line.into(), units.into())].into(),
        ..Parcel::default()
    });
    let left: Decimal = order.lines.iter().map(OrderLine::open).sum();
    order.fulfilment = if left.is_zero() {
        Fulfilment::Shipped
    } else {
        Fulfilment::Partly
    };
}

fn step(origin: &OrderState, copy: &OrderState) -> Option<(lockstep_model::ShopId, OrderStep)> {
    step_to(&decided(
        &crossed(origin.clone(), copy.clone(), false),
        |_| {},
    ))
}

fn shipped(step: Option<(lockstep_model::ShopId, OrderStep)>) -> Vec<(String, Decimal)> {
    let Some((A, OrderStep::Ship { lines, .. })) = step else {
        panic!("{step:?}");
    };
    lines
        .into_iter()
        .map(|(line, units)| (line.0, units))
        .collect()
}

#[test]
fn o1_what_is_shipped_of_the_second_line_of_one_sku_is_shipped_of_the_second_line() {
    let origin = of_one_sku("o1", &[("1", 2, 20), ("2", 3, 10)]);
    let mut copy = of_one_sku("S-76", &[("7", 2, 20), ("8", 3, 10)]);
    ship(&mut copy, "8", 2, "p1");
    assert_eq!(shipped(step(&origin, &copy)), [("2".into(), 2.into())]);
    // The receiver may list them otherwise.
    copy.lines.reverse();
    assert_eq!(shipped(step(&origin, &copy)), [("2".into(), 2.into())]);
}

#[test]
fn o1_two_lines_of_one_sku_that_are_shipped_in_full_are_shipped_in_full() {
    let origin = of_one_sku("o1", &[("1", 2, 20), ("2", 3, 10)]);
    let mut copy = of_one_sku("S-76", &[("7", 2, 20), ("8", 3, 10)]);
    ship(&mut copy, "7", 2, "p1");
    copy.parcels[0].lines.insert("8".into(), 3.into());
    copy.lines[1].shipped = 3.into();
    copy.fulfilment = Fulfilment::Shipped;
    assert_eq!(
        shipped(step(&origin, &copy)),
        [("1".into(), 2.into()), ("2".into(), 3.into())]
    );
}

#[test]
fn o1_lines_alike_in_all_but_their_place_are_told_apart_by_what_they_were_made_of() {
    let origin = of_one_sku("o1", &[("1", 2, 10), ("2", 2, 10)]);
    let mut copy = of_one_sku("S-76", &[("7", 2, 10), ("8", 2, 10)]);
    copy.lines[0].of = Some("2".into());
    copy.lines[1].of = Some("1".into());
    ship(&mut copy, "7", 2, "p1");
    assert_eq!(shipped(step(&origin, &copy)), [("2".into(), 2.into())]);
}

#[test]
fn o1_of_two_equal_lines_the_first_is_the_first_though_units_of_it_were_cancelled_before_it_was_read()
 {
    let origin = of_one_sku("o1", &[("1", 2, 10), ("2", 2, 10)]);
    let mut copy = of_one_sku("S-76", &[("7", 2, 10), ("8", 2, 10)]);
    copy.lines[0].cancelled = 1.into();
    let (shop, step) = step(&origin, &copy).expect("a step");
    assert_eq!(shop, A);
    let OrderStep::CancelUnits { lines, .. } = step else {
        panic!("{step:?}");
    };
    assert_eq!(lines, [("1".into(), 1.into())].into());
}

#[test]
fn o1_of_two_equal_lines_the_first_is_the_first_though_its_buyer_cancelled_units_before_the_copy_was_read()
 {
    let mut origin = of_one_sku("o1", &[("1", 2, 10), ("2", 2, 10)]);
    origin.lines[0].cancelled = 1.into();
    let copy = of_one_sku("S-76", &[("7", 2, 10), ("8", 2, 10)]);
    let (shop, step) = step(&origin, &copy).expect("a step");
    assert_eq!(shop, ERP);
    let OrderStep::CancelUnits { lines, .. } = step else {
        panic!("{step:?}");
    };
    assert_eq!(lines, [("7".into(), 1.into())].into());
}

#[test]
fn o1_a_line_without_a_sku_is_shipped_and_returned_like_any_other() {
    let tip = |order: &mut OrderState, id: &str| {
        let line = OrderLine {
            id: id.into(),
            sku: None,
            title: "Engraving".into(),
            quantity: 1.into(),
            taken: 0.into(),
            ..order.lines[0].clone()
        };
        order.lines.push(line);
    };
    let (mut origin, mut copy) = (order_of("o1", 2), order_of("S-76", 2));
    tip(&mut origin, "2");
    tip(&mut copy, "9");
    ship(&mut copy, "9", 1, "p1");
    assert_eq!(shipped(step(&origin, &copy)), [("2".into(), 1.into())]);
}

#[test]
fn o1_one_line_that_the_receiver_made_two_of_is_one_all_the_same() {
    let origin = of_one_sku("o1", &[("1", 3, 10)]);
    let mut copy = of_one_sku("S-76", &[("7", 2, 10), ("8", 1, 11)]);
    for line in &mut copy.lines {
        line.of = Some("1".into());
    }
    ship(&mut copy, "7", 2, "p1");
    assert_eq!(shipped(step(&origin, &copy)), [("1".into(), 2.into())]);
    ship(&mut copy, "8", 1, "p2");
    copy.parcels[0].of = Some("x".into());
    let mut there = origin.clone();
    ship(&mut there, "1", 3, "x");
    assert_eq!(step(&there, &copy), None, "nothing is left to say");
    // The other way round it is spread over both.
    let mut bare = of_one_sku("S-76", &[("7", 2, 10), ("8", 1, 11)]);
    for line in &mut bare.lines {
        line.of = Some("1".into());
    }
    let Some((ERP, OrderStep::Ship { lines, .. })) = step(&there, &bare) else {
        panic!("not shipped");
    };
    assert_eq!(
        lines,
        [("7".into(), 2.into()), ("8".into(), 1.into())].into()
    );
}

#[test]
fn o5_two_parcels_between_two_readings_are_two_with_their_tracking() {
    let origin = of_one_sku("o1", &[("1", 1, 20), ("2", 2, 10)]);
    let mut copy = of_one_sku("S-76", &[("7", 1, 20), ("8", 2, 10)]);
    ship(&mut copy, "7", 1, "a");
    ship(&mut copy, "8", 2, "b");
    let mut there = origin;
    for (parcel, line, units) in [("a", "1", 1), ("b", "2", 2)] {
        let Some((
            A,
            OrderStep::Ship {
                parcel: of,
                tracking,
                lines,
                ..
            },
        )) = step(&there, &copy)
        else {
            panic!("parcel {parcel} is not shipped");
        };
        assert_eq!(
            (of.as_str(), tracking),
            (parcel, Some(format!("JJFI{parcel}")))
        );
        assert_eq!(lines, [(line.into(), units.into())].into());
        ship(&mut there, line, units, &format!("w-{parcel}"));
        let made = there.parcels.last_mut().unwrap();
        made.of = Some(parcel.into());
        made.tracking = None;
    }
    assert_eq!(step(&there, &copy), None);
}

#[test]
fn o5_a_parcel_that_bears_no_number_is_known_by_what_is_in_it() {
    let mut origin = order_of("o1", 3);
    let mut copy = order_of("S-76", 3);
    ship(&mut copy, "1", 1, "a");
    ship(&mut copy, "1", 2, "b");
    ship(&mut origin, "1", 2, "of-it-nothing-is-kept");
    for order in [&mut origin, &mut copy] {
        for parcel in &mut order.parcels {
            parcel.tracking = None;
        }
    }
    let Some((A, OrderStep::Ship { parcel, lines, .. })) = step(&origin, &copy) else {
        panic!("the first parcel is not shipped");
    };
    assert_eq!(
        (parcel.as_str(), lines),
        ("a", [("1".into(), 1.into())].into())
    );
}

#[test]
fn o5_units_that_no_parcel_holds_are_shipped_all_the_same_and_not_twice() {
    let origin = order_of("o1", 3);
    let mut copy = order_of("S-76", 3);
    ship(&mut copy, "1", 1, "a");
    copy.lines[0].shipped = 3.into();
    copy.fulfilment = Fulfilment::Shipped;
    assert_eq!(shipped(step(&origin, &copy)), [("1".into(), 1.into())]);
    let mut there = origin;
    ship(&mut there, "1", 1, "a");
    let Some((
        A,
        OrderStep::Ship {
            tracking, lines, ..
        },
    )) = step(&there, &copy)
    else {
        panic!("the rest is not shipped");
    };
    assert_eq!((tracking, lines), (None, [("1".into(), 2.into())].into()));
}

fn refund(order: &mut OrderState, id: &str, amount: &str) {
    order.refunds.push(Refund {
        id: id.into(),
        amount: dec(amount),
        ..Refund::default()
    });
    order.payment = if order.refunded() >= order.total {
        Payment::Refunded
    } else {
        Payment::PartlyRefunded
    };
}

fn refunded(
    step: Option<(lockstep_model::ShopId, OrderStep)>,
) -> (lockstep_model::ShopId, Decimal, usize) {
    let Some((shop, OrderStep::Refund { amount, lines, .. })) = step else {
        panic!("{step:?}");
    };
    (shop, amount, lines.len())
}

fn asked_about_money(case: &OrderCase) -> Option<(Decimal, Decimal)> {
    let decision = decided(case, |_| {});
    decision.bodies.into_iter().find_map(|body| match body {
        Body::ConflictOpened {
            about:
                Conflict::OrderDiffers {
                    differs: Differing::Refunded { origin, copy },
                    ..
                },
            ..
        } => Some((origin, copy)),
        _ => None,
    })
}

#[test]
fn o3_money_alone_that_is_given_back_is_given_back_on_the_other_side() {
    let (mut origin, copy) = (order_of("o1", 3), order_of("S-76", 3));
    refund(&mut origin, "r1", "5");
    assert_eq!(refunded(step(&origin, &copy)), (ERP, 5.into(), 0));
    assert_eq!(refunded(step(&copy, &origin)), (A, 5.into(), 0), "and back");
    let mut there = copy;
    refund(&mut there, "s1", "5");
    assert_eq!(step(&origin, &there), None, "it is done");
    refund(&mut origin, "r2", "2.50");
    assert_eq!(refunded(step(&origin, &there)), (ERP, dec("2.50"), 0));
}

#[test]
fn o3_money_that_both_sides_gave_back_otherwise_is_asked_about() {
    let (mut origin, mut copy) = (order_of("o1", 3), order_of("S-76", 3));
    refund(&mut origin, "r1", "5");
    refund(&mut copy, "s1", "7");
    let case = crossed(origin.clone(), copy.clone(), false);
    assert_eq!(asked_about_money(&case), Some((5.into(), 7.into())));
    assert_eq!(step(&origin, &copy), None);
    // The same entered by hand on both sides is the same.
    let mut same = order_of("S-76", 3);
    refund(&mut same, "s1", "5");
    let case = crossed(origin, same, false);
    assert_eq!(asked_about_money(&case), None);
}

#[test]
fn o3_where_a_platform_takes_no_refund_it_is_asked_about() {
    let (mut origin, copy) = (order_of("o1", 3), order_of("S-76", 3));
    refund(&mut origin, "r1", "5");
    let case = crossed(origin, copy, false);
    let decision = decided(&case, |rules| {
        rules.shops.get_mut(&ERP).unwrap().abilities.order_steps = &[
            lockstep_model::StepSort::Ship,
            lockstep_model::StepSort::Pay,
        ];
    });
    assert!(decision.writes.is_empty());
    assert!(matches!(
        decision.bodies.as_slice(),
        [Body::ConflictOpened {
            about: Conflict::OrderDiffers {
                differs: Differing::Refunded { .. },
                ..
            },
            ..
        }]
    ));
}

#[test]
fn o3_the_money_of_a_cancelled_order_travels_too() {
    let (mut origin, mut copy) = (order_of("o1", 3), order_of("S-76", 3));
    refund(&mut origin, "r1", "30");
    origin.cancelled = true;
    origin.lines[0].cancelled = 3.into();
    assert_eq!(step(&origin, &copy), Some((ERP, OrderStep::Cancel)));
    copy.cancelled = true;
    copy.lines[0].cancelled = 3.into();
    assert_eq!(refunded(step(&origin, &copy)), (ERP, 30.into(), 0));
    // A platform that gives a copy's money back when it is cancelled says nothing of the buyer's.
    origin.refunds.clear();
    origin.payment = Payment::Paid;
    refund(&mut copy, "s1", "30");
    assert_eq!(step(&origin, &copy), None);
    let case = crossed(origin, copy, false);
    assert_eq!(asked_about_money(&case), Some((0.into(), 30.into())));
}

/// Of line 1: units cancelled, units returned, units of both that were not put back.
fn went_back(order: &mut OrderState, cancelled: i64, returned: i64, written_off: i64) {
    let line = &mut order.lines[0];
    line.cancelled = cancelled.into();
    line.returned = returned.into();
    line.written_off = written_off.into();
}

#[test]
fn o2_what_is_cancelled_is_put_back_or_not_as_it_was_on_the_other_side() {
    let (mut origin, mut copy) = (order_of("o1", 4), order_of("S-76", 4));
    went_back(&mut origin, 2, 0, 1);
    let cancelled = |step| match step {
        Some((ERP, OrderStep::CancelUnits { lines, restock, .. })) => {
            (lines.into_values().sum::<Decimal>(), restock)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(cancelled(step(&origin, &copy)), (1.into(), true));
    went_back(&mut copy, 1, 0, 0);
    assert_eq!(cancelled(step(&origin, &copy)), (1.into(), false));
    went_back(&mut copy, 2, 0, 1);
    assert_eq!(step(&origin, &copy), None);
    // All of it, and broken.
    let (mut origin, copy) = (order_of("o1", 4), order_of("S-76", 4));
    went_back(&mut origin, 4, 0, 4);
    origin.cancelled = true;
    assert_eq!(cancelled(step(&origin, &copy)), (4.into(), false));
}

#[test]
fn o2_a_line_that_takes_nothing_hides_no_broken_unit_of_another() {
    let with_service = |id: &str| {
        let mut order = of_one_sku(id, &[("1", 1, 10), ("2", 1, 10)]);
        order.lines[1].sku = Some("SERVICE".into());
        order.lines[1].taken = 0.into();
        ship(&mut order, "1", 1, "p");
        ship(&mut order, "2", 1, "q");
        for parcel in &mut order.parcels {
            parcel.of = Some(parcel.id.clone());
        }
        order
    };
    let (mut origin, mut copy) = (with_service("o1"), with_service("S-76"));
    origin.lines[0].returned = 1.into();
    origin.lines[0].written_off = 1.into();
    origin.lines[1].returned = 1.into();
    let Some((ERP, OrderStep::Refund { lines, restock, .. })) = step(&origin, &copy) else {
        panic!("nothing came back");
    };
    assert_eq!((lines, restock), ([("2".into(), 1.into())].into(), true));
    copy.lines[1].returned = 1.into();
    let Some((ERP, OrderStep::Refund { lines, restock, .. })) = step(&origin, &copy) else {
        panic!("the broken one did not come back");
    };
    assert_eq!((lines, restock), ([("1".into(), 1.into())].into(), false));
}

#[test]
fn o10_the_rest_of_what_was_shipped_in_part_is_cancelled_on_the_other_side() {
    for back in [false, true] {
        let (mut one, mut other) = (order_of("o1", 5), order_of("o1", 5));
        for order in [&mut one, &mut other] {
            ship(order, "1", 3, "p1");
        }
        went_back(&mut one, 2, 0, 0);
        one.fulfilment = Fulfilment::Shipped;
        let (origin, copy, to) = match back {
            false => (one, other, ERP),
            true => (other, one, A),
        };
        let decision = decided(&crossed(origin, copy, false), |_| {});
        assert!(decision.bodies.is_empty(), "nobody is asked");
        let lines: std::collections::BTreeMap<RemoteId, Decimal> = [("1".into(), 2.into())].into();
        assert_eq!(
            step_to(&decision),
            Some((
                to,
                OrderStep::CancelUnits {
                    key: "cancelled-2".into(),
                    lines,
                    restock: true
                }
            ))
        );
    }
}

#[test]
fn o10_units_that_one_side_cancelled_and_the_other_has_shipped_are_asked_about() {
    let (mut origin, mut copy) = (order_of("o1", 5), order_of("S-76", 5));
    ship(&mut origin, "1", 3, "p1");
    ship(&mut copy, "1", 4, "p1");
    copy.parcels[0].of = Some("p1".into());
    went_back(&mut origin, 2, 0, 0);
    let decision = decided(&crossed(origin, copy, false), |_| {});
    assert!(decision.writes.is_empty(), "{:?}", decision.writes);
    assert!(matches!(
        decision.bodies.as_slice(),
        [Body::ConflictOpened {
            about: Conflict::OrderDiffers {
                differs: Differing::Units { .. },
                ..
            },
            ..
        }]
    ));
}

#[test]
fn x2_a_step_that_was_refused_and_was_mended_at_its_source_is_made_at_once() {
    let origin = order_of("o1", 2);
    let mut copy = order_of("S-76", 2);
    ship(&mut copy, "1", 2, "p1");
    let mut case = crossed(origin, copy.clone(), false);
    let refused = decided(&case, |_| {}).writes.remove(0);
    case.aside_until = [(A, Timestamp::MAX)].into();
    case.refused = [(A, refused.fingerprints().into_iter().collect())].into();
    case.tries = [(A, 7)].into();
    let waits = decided(&case, |_| {});
    assert!(waits.writes.is_empty() && !waits.done, "it stays due");
    copy.parcels[0].tracking = Some("JJFI-corrected".into());
    case.known.insert(ERP, copy);
    let mended = decided(&case, |_| {});
    assert!(matches!(
        step_to(&mended),
        Some((A, OrderStep::Ship { tracking: Some(tracking), .. })) if tracking == "JJFI-corrected"
    ));
    assert_eq!(mended.writes[0].tries, 0, "nobody has refused this one");
}

/// The copy as it was read by a request that left then, while this write of ours was open.
/// A page that took its time: what left at `left_at` is decided on a while later.
fn read_while_open(what: What, left_at: Timestamp) -> OrderDecision {
    decide_while_open(what, left_at, left_at + 14.seconds())
}

fn decide_while_open(what: What, left_at: Timestamp, now: Timestamp) -> OrderDecision {
    let mut copy = order_of("S-76", 2);
    copy.payment = Payment::Pending;
    let mut case = in_doubt();
    case.open[0].what = what.clone();
    case.known.insert(A, order_of("o1", 2));
    if what != What::CreateOrder {
        case.copies.insert(ERP, copy.id.clone());
        case.known.insert(ERP, copy.clone());
        let staged = StagedOrder {
            state: copy,
            person: None,
            reading: 1,
            left_at,
        };
        case.staged.insert(ERP, staged);
    }
    let rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    decide(&case, &rules, &mut 1, now)
}

fn judged(decision: &OrderDecision) -> Vec<bool> {
    let settled = decision.bodies.iter().filter_map(|body| match body {
        Body::Settled { how, .. } => Some(matches!(**how, Settlement::Done { .. })),
        _ => None,
    });
    settled.collect()
}

#[test]
fn x3_a_reading_that_left_before_a_step_had_settled_does_not_judge_it() {
    let rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    let settles = rules.shops[&ERP].abilities.settles_after_ms.milliseconds();
    let pay = || What::StepOrder {
        step: OrderStep::Pay,
    };
    let meant_at = Timestamp::UNIX_EPOCH;
    for left_at in [meant_at, meant_at + settles - 1.millisecond()] {
        let decision = read_while_open(pay(), left_at);
        assert_eq!(judged(&decision), [] as [bool; 0]);
        assert!(decision.writes.is_empty() && !decision.done);
    }
    let settled = read_while_open(pay(), meant_at + settles);
    assert_eq!(judged(&settled), [false], "now it is known not to be there");
}

#[test]
fn x3_that_no_copy_was_read_says_nothing_of_a_create_until_it_is_looked_for() {
    let rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    let settles = rules.shops[&ERP].abilities.settles_after_ms.milliseconds();
    let meant_at = Timestamp::UNIX_EPOCH;
    let at = |now| decide_while_open(What::CreateOrder, now, now);
    let early = at(meant_at + settles - 1.millisecond());
    assert_eq!((judged(&early), early.look.len()), (vec![], 0));
    let late = at(meant_at + settles);
    assert_eq!((judged(&late), late.look.len()), (vec![], 1));
    assert!(early.writes.is_empty() && late.writes.is_empty());
}
