//! What crosses when an order is copied, when it may, and what an edit of it does later.

use super::copy::compose;
use super::see;
use super::tests::{copied, crossed, decided, in_doubt, order_of, step_to, there};
use crate::fixture::{A, ERP, rules};
use crate::rules::Rules;
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{OrderCase, StagedOrder};
use lockstep_model::entry::{Body, Conflict, Differing, Hold};
use lockstep_model::settings::{StockId, StockServiceIdentifier};
use lockstep_model::{
    Address, ChargeKind, Discount, Fulfilment, Named, OrderLine, OrderState, OrderStep, Payment,
    Person, Refund, RunId, StepSort, Takes,
};
use rust_decimal::Decimal;
use std::sync::Arc;

fn of_rules() -> Rules {
    rules(Takes::Placement, Takes::Placement, Takes::Reserve)
}

fn with_tip(mut order: OrderState) -> OrderState {
    let tip = OrderLine {
        id: "2".into(),
        sku: None,
        title: "Tip".into(),
        quantity: 1.into(),
        unit_price: 3.into(),
        net: 3.into(),
        tax: 0.into(),
        gross: 3.into(),
        tax_rate: 0.into(),
        taken: 0.into(),
        ..order.lines[0].clone()
    };
    order.total += tip.gross;
    order.lines.push(tip);
    order
}

#[test]
fn o6_a_line_without_a_sku_crosses_as_a_line_without_stock() {
    let origin = with_tip(order_of("o1", 2));
    let made = copied(&origin, Person::default(), &of_rules()).unwrap();
    let lines: Vec<_> = made.order.state.lines.iter().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1].sku, lines[1].title.as_str()), (&None, "Tip"));
    assert_eq!(
        (lines[1].gross, made.order.state.total),
        (3.into(), 23.into())
    );
}

/// Units and money of a copy: of each line, of what stands beside them, and in all.
fn amounts(order: &OrderState) -> (Vec<(Decimal, Decimal)>, Vec<Decimal>, Decimal) {
    let lines = order.lines.iter().map(|line| (line.quantity, line.gross));
    let charges = order.charges.iter().map(|charge| charge.gross);
    let parts = order.lines.iter().map(|line| line.gross).sum::<Decimal>();
    let parts = parts
        + order
            .charges
            .iter()
            .map(|charge| charge.gross)
            .sum::<Decimal>();
    assert_eq!(parts, order.total);
    for line in &order.lines {
        assert_eq!(line.net + line.tax, line.gross);
    }
    (lines.collect(), charges.collect(), order.total)
}

#[test]
fn o8_units_that_were_cancelled_before_it_crossed_are_not_ordered() {
    let mut origin = order_of("o1", 3);
    origin.lines[0].cancelled = 1.into();
    let made = copied(&origin, Person::default(), &of_rules())
        .unwrap()
        .order
        .state;
    let (ten, twenty, thirty) = (Decimal::from(10), Decimal::from(20), Decimal::from(30));
    assert_eq!(
        amounts(&made),
        (vec![(2.into(), twenty)], vec![ten], thirty),
        "the money that was asked for stays until it is given back"
    );
    assert_eq!(made.lines[0].cancelled, Decimal::ZERO);
    let taxes: Decimal = made.lines.iter().map(|line| line.tax).sum();
    let taxes = taxes
        + made
            .charges
            .iter()
            .map(|charge| charge.tax)
            .sum::<Decimal>();
    assert_eq!(taxes, origin.lines[0].tax);
    assert_eq!(made.charges[0].kind, ChargeKind::Fee);
    // What is in step stays so: the two units are all that there ever were of it.
    let mut copy = made;
    copy.id = "S-76".into();
    let decision = decided(&crossed(origin.clone(), copy.clone(), false), |_| {});
    assert!(decision.writes.is_empty() && decision.bodies.is_empty());
    origin.lines[0].cancelled = 2.into();
    let Some((ERP, OrderStep::CancelUnits { lines, .. })) =
        step_to(&decided(&crossed(origin.clone(), copy, false), |_| {}))
    else {
        panic!("the second one is not cancelled");
    };
    assert_eq!(lines, [("1".into(), 1.into())].into());
    // A line of which nothing is left is none.
    let mut origin = with_tip(order_of("o1", 2));
    origin.lines[0].cancelled = 2.into();
    let made = copied(&origin, Person::default(), &of_rules())
        .unwrap()
        .order
        .state;
    assert_eq!(amounts(&made).0, [(1.into(), 3.into())]);
}

#[test]
fn o8_units_that_were_cancelled_and_not_put_back_are_ordered_and_then_cancelled_there_too() {
    let mut origin = order_of("o1", 4);
    origin.lines[0].cancelled = 1.into();
    origin.lines[0].written_off = 1.into();
    let mut copy = copied(&origin, Person::default(), &of_rules())
        .unwrap()
        .order
        .state;
    assert_eq!(copy.lines[0].quantity, 4.into());
    copy.lines[0].cancelled = 0.into();
    copy.lines[0].written_off = 0.into();
    let decision = decided(&crossed(origin, copy, false), |_| {});
    let Some((ERP, OrderStep::CancelUnits { restock, .. })) = step_to(&decision) else {
        panic!("nobody misses the broken one");
    };
    assert!(!restock);
}

#[test]
fn o8_a_discount_keeps_its_title() {
    let mut origin = order_of("o1", 2);
    origin.discounts.push(Discount {
        title: "SUMMER".into(),
        amount: 5.into(),
    });
    let made = copied(&origin, Person::default(), &of_rules()).unwrap();
    assert_eq!(made.order.state.discounts, origin.discounts);
}

fn refund(order: &mut OrderState, amount: i64) {
    order.refunds.push(Refund {
        id: format!("r{}", order.refunds.len()).into(),
        amount: amount.into(),
        ..Refund::default()
    });
    order.payment = match order.refunded() >= order.total {
        true => Payment::Refunded,
        false => Payment::PartlyRefunded,
    };
}

/// An order of A that was read and has not crossed.
fn read(origin: OrderState) -> OrderCase {
    let staged = StagedOrder {
        state: origin.clone(),
        person: Some(Person::default()),
        reading: 1,
        left_at: jiff::Timestamp::MAX,
    };
    OrderCase {
        known: [(A, origin)].into(),
        staged: [(A, staged)].into(),
        items: [(ERP, [("KH-100".into(), there("KH-100", &[]))].into())].into(),
        open: vec![],
        ..in_doubt()
    }
}

#[test]
fn o3_an_order_that_was_refunded_in_full_before_anything_left_does_not_cross() {
    let mut origin = order_of("o1", 2);
    refund(&mut origin, 15);
    assert_eq!(decided(&read(origin.clone()), |_| {}).writes.len(), 1);
    refund(&mut origin, 5);
    let decision = decided(&read(origin.clone()), |_| {});
    assert!(decision.writes.is_empty());
    assert!(matches!(
        decision.bodies.as_slice(),
        [Body::OrderHeld {
            reason: Hold::Refunded,
            ..
        }]
    ));
    // What has left was sold.
    origin.lines[0].shipped = 1.into();
    assert_eq!(decided(&read(origin), |_| {}).writes.len(), 1);
}

#[test]
fn m9_an_order_of_which_some_was_refunded_crosses_with_its_refund() {
    let mut origin = order_of("o1", 2);
    refund(&mut origin, 10);
    let made = copied(&origin, Person::default(), &of_rules())
        .unwrap()
        .order
        .state;
    assert_eq!(made.total, 20.into());
    let mut copy = OrderState {
        id: "S-76".into(),
        refunds: vec![],
        payment: Payment::Paid,
        ..made
    };
    let case = crossed(origin, copy.clone(), false);
    let Some((ERP, OrderStep::Refund { amount, .. })) = step_to(&decided(&case, |_| {})) else {
        panic!("its refund does not follow");
    };
    assert_eq!(amount, 10.into());
    copy.payment = Payment::Pending;
    let case = OrderCase {
        known: [(A, case.known[&A].clone()), (ERP, copy)].into(),
        ..case
    };
    let decision = decided(&case, |_| {});
    assert_eq!(step_to(&decision), Some((ERP, OrderStep::Pay)));
    assert!(
        decision.bodies.is_empty(),
        "it is paid first, then refunded"
    );
}

#[test]
fn o9_whether_an_order_crosses_is_decided_once_and_never_against_one_that_has_a_copy() {
    let mut rules = of_rules();
    let later = Timestamp::UNIX_EPOCH.checked_add(60.minutes()).unwrap();
    let from = |rules: &mut Rules, from| {
        rules.shops.get_mut(&A).unwrap().link.orders_from = from;
    };
    let decided = |case: &OrderCase, rules: &Rules| {
        let mut case = case.clone();
        case.staged.get_mut(&A).unwrap().state.number = "1001b".into();
        let bodies = see(&case, rules, RunId(1)).bodies;
        bodies.into_iter().find_map(|body| match body {
            Body::OrderSeen { before_opening, .. } => Some(before_opening),
            _ => None,
        })
    };
    let mut new = read(order_of("o1", 1));
    new.known.clear();
    from(&mut rules, Some(later));
    assert_eq!(decided(&new, &rules), Some(true));
    from(&mut rules, Some(Timestamp::UNIX_EPOCH));
    assert_eq!(decided(&new, &rules), Some(false));
    // The date moves past what is known.
    let mut known = read(order_of("o1", 1));
    from(&mut rules, Some(later));
    assert_eq!(decided(&known, &rules), Some(false));
    known.before_opening = true;
    from(&mut rules, None);
    assert_eq!(decided(&known, &rules), Some(true));
    // The journal was lost; the copy is found by its key.
    from(&mut rules, Some(later));
    let copy = StagedOrder {
        state: order_of("S-76", 1),
        person: None,
        reading: 2,
        left_at: jiff::Timestamp::MAX,
    };
    new.staged.insert(ERP, copy);
    assert_eq!(decided(&new, &rules), Some(false));
}

fn lives_at(street: &str) -> Person {
    Person {
        shipping: Some(Address {
            street: Some(street.into()),
            ..Address::default()
        }),
        ..Person::default()
    }
}

/// An order that crossed, whose buyer has moved since.
fn moved() -> OrderCase {
    let origin = order_of("o1", 2);
    let mut case = crossed(origin.clone(), order_of("S-76", 2), false);
    case.person = Some(lives_at("Old Street 1"));
    let staged = StagedOrder {
        state: origin,
        person: Some(lives_at("New Street 2")),
        reading: 1,
        left_at: jiff::Timestamp::MAX,
    };
    case.staged.insert(A, staged);
    case
}

#[test]
fn o4_another_address_is_seen_though_nothing_else_of_the_order_changed() {
    let seen = |case: &OrderCase| {
        let bodies = see(case, &of_rules(), RunId(1)).bodies;
        bodies.into_iter().find_map(|body| match body {
            Body::OrderSeen { readdressed, .. } => Some(readdressed),
            _ => None,
        })
    };
    let mut case = moved();
    assert_eq!(seen(&case), Some(true));
    case.known.remove(&ERP);
    case.copies.clear();
    assert_eq!(seen(&case), Some(false), "it crosses with the new one");
    let mut same = moved();
    same.person = Some(lives_at("New Street 2"));
    assert_eq!(seen(&same), None);
}

#[test]
fn o4_another_address_is_carried_until_something_is_shipped_and_then_asked_about() {
    let mut case = moved();
    case.edits.address = true;
    let decision = decided(&case, |_| {});
    assert_eq!(step_to(&decision), Some((ERP, OrderStep::Readdress)));
    let lockstep_model::Change::StepOrder { person, .. } = &decision.writes[0].change else {
        panic!("{:?}", decision.writes);
    };
    assert_eq!(person.as_deref(), Some(&lives_at("New Street 2")));
    let asked = |decision: super::OrderDecision| {
        assert!(step_to(&decision).is_none_or(|(_, step)| step != OrderStep::Readdress));
        decision.bodies.iter().any(|body| {
            matches!(
                body,
                Body::ConflictOpened {
                    about: Conflict::OrderDiffers {
                        differs: Differing::Address,
                        ..
                    },
                    ..
                }
            )
        })
    };
    let mut shipped = case.clone();
    shipped.known.get_mut(&ERP).unwrap().fulfilment = Fulfilment::Partly;
    assert!(asked(decided(&shipped, |_| {})));
    let rigid = decided(&case, |rules| {
        rules.shops.get_mut(&ERP).unwrap().abilities.order_steps = &[StepSort::Edit];
    });
    assert!(asked(rigid));
    // Its buyer is not at hand, and was not forgotten.
    case.staged.clear();
    case.person = None;
    assert!(decided(&case, |_| {}).read_again);
}

#[test]
fn o4_another_price_is_carried_until_something_is_shipped_and_then_asked_about() {
    let mut origin = order_of("o1", 2);
    let copy = order_of("S-76", 2);
    let line = &mut origin.lines[0];
    line.unit_price = 8.into();
    (line.net, line.tax, line.gross) = (13.into(), 3.into(), 16.into());
    origin.total = 16.into();
    let mut case = crossed(origin, copy, true);
    case.edits.total = true;
    let Some((ERP, OrderStep::Edit { lines })) = step_to(&decided(&case, |_| {})) else {
        panic!("it is not carried");
    };
    assert_eq!((lines[0].unit_price, lines[0].gross), (8.into(), 16.into()));
    case.known.get_mut(&ERP).unwrap().fulfilment = Fulfilment::Partly;
    let late = decided(&case, |_| {});
    assert!(late.writes.is_empty());
    let asked = late.bodies.iter().find_map(|body| match body {
        Body::ConflictOpened {
            about: Conflict::OrderDiffers { differs, .. },
            ..
        } => Some(differs.clone()),
        _ => None,
    });
    let total = Differing::Total {
        origin: 16.into(),
        copy: 20.into(),
    };
    assert_eq!(asked, Some(total));
}

/// A has two stocks of its own, which are ours of these numbers.
fn with_two_stocks(rules: &mut Rules) {
    let named = |id: &str| Named {
        id: id.into(),
        name: String::new(),
    };
    for shop in [A, ERP] {
        let shop = rules.shops.get_mut(&shop).unwrap();
        shop.identity.stocks = vec![named("main"), named("outlet")];
    }
    let mut settings = (*rules.settings).clone();
    let rows = [A, ERP]
        .into_iter()
        .flat_map(|shop| [("main", 1), ("outlet", 2)].map(|(name, stock)| (shop, name, stock)));
    settings.stock_service_identifiers = (1..)
        .zip(rows)
        .map(|(row, (shop, name, stock))| StockServiceIdentifier {
            id: lockstep_model::settings::RowId(row),
            stock_id: StockId(stock),
            service_id: shop,
            identifier: name.into(),
        })
        .collect();
    let link = settings
        .customer_has_services
        .iter_mut()
        .find(|link| link.service_id == A)
        .unwrap();
    link.sells_from = vec![StockId(1), StockId(2)];
    rules.shops.get_mut(&A).unwrap().link = link.clone();
    rules.settings = Arc::new(settings);
}

#[test]
fn m8_what_was_reserved_at_a_stock_is_ordered_from_it() {
    let mut rules = of_rules();
    with_two_stocks(&mut rules);
    // Enough of it everywhere.
    let items = [("KH-100".into(), there("KH-100", &[(1, 20), (2, 9)]))].into();
    let made = |origin: &OrderState| {
        compose(
            &in_doubt().order,
            origin,
            Person::default(),
            ERP,
            &items,
            &rules,
        )
        .unwrap()
    };
    let mut origin = order_of("o1", 5);
    origin.lines[0].stock = Some("outlet".into());
    assert_eq!(made(&origin).stock, Some("outlet".into()));
    let mut origin = with_tip(origin);
    assert_eq!(
        made(&origin).stock,
        Some("outlet".into()),
        "a tip lies nowhere"
    );
    let mut second = origin.lines[0].clone();
    second.id = "3".into();
    second.stock = Some("main".into());
    origin.total += second.gross;
    origin.lines.push(second);
    let stocks: Vec<_> = made(&origin)
        .order
        .state
        .lines
        .iter()
        .map(|line| line.stock.clone())
        .collect();
    assert_eq!(
        (&stocks[0], &stocks[2]),
        (&Some("outlet".into()), &Some("main".into()))
    );
}
