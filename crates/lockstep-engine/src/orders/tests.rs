//! Orders.

use super::copy::compose;
use super::{OrderDecision, answer, decide};
use crate::fixture::{A, ERP, rules};
use crate::rules::Rules;
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{ItemThere, OpenConflict, OpenIntent, OrderCase};
use lockstep_model::entry::{Body, Conflict, Hold, Settlement, Subject, What};
use lockstep_model::settings::{
    CountryInto, Mappable, NamedAt, OrderPolicy, PaymentTerm, PaymentTermId,
    PaymentTermServiceIdentifier, RateInto, RowId, StockId,
};
use lockstep_model::{
    Address, ConflictId, CustomerId, Edits, Fulfilment, IntentId, LineLinks, Named, NewOrder,
    OrderAnswer, OrderKey, OrderLine, OrderState, OrderStep, Payment, Person, RunId, ShopId, Stage,
    Takes,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An order of A whose copy was meant to be made and may or may not be there.
pub(super) fn in_doubt() -> OrderCase {
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
        refused: BTreeMap::new(),
        tries: BTreeMap::new(),
        conflicts: vec![],
        settled: vec![],
        person: None,
        links: BTreeMap::new(),
        edits: Default::default(),
        buyer_erased: false,
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

/// An item as a shop has it: units by stock.
pub(super) fn there(sku: &str, units: &[(u64, i64)]) -> ItemThere {
    ItemThere {
        sku: sku.into(),
        variant: None,
        sellable: units
            .iter()
            .map(|(stock, units)| (StockId(*stock), (*units).into()))
            .collect(),
    }
}

pub(super) fn order_of(id: &str, units: i64) -> OrderState {
    let line = OrderLine {
        variant: None,
        item: None,
        id: "1".into(),
        of: None,
        sku: Some("KH-100".into()),
        title: "Coffee".into(),
        quantity: units.into(),
        unit_price: 10.into(),
        net: (units * 8).into(),
        tax: (units * 2).into(),
        gross: (units * 10).into(),
        tax_rate: 25.into(),
        discount: 0.into(),
        taken: units.into(),
        shipped: 0.into(),
        cancelled: 0.into(),
        returned: 0.into(),
        written_off: 0.into(),
        stock: None,
    };
    OrderState {
        id: id.into(),
        number: "1001".into(),
        key: None,
        stage: Stage::Placed,
        payment: Payment::Paid,
        fulfilment: Fulfilment::Open,
        cancelled: false,
        placed_at: Timestamp::UNIX_EPOCH,
        modified_at: None,
        currency: "EUR".into(),
        total: (units * 10).into(),
        tax_by_rate: BTreeMap::new(),
        charges: vec![],
        lines: vec![line],
        payment_method: None,
        shipping_method: None,
        payment_term: None,
        parcels: vec![],
        refunds: vec![],
        discounts: vec![],
    }
}

/// An order of A that crossed to the ERP, and what both show now.
pub(super) fn crossed(origin: OrderState, copy: OrderState, edited: bool) -> OrderCase {
    OrderCase {
        copies: [(ERP, copy.id.clone())].into(),
        known: [(A, origin), (ERP, copy)].into(),
        edits: Edits {
            lines: edited.then(|| "1".into()).into_iter().collect(),
            ..Edits::default()
        },
        open: vec![],
        ..in_doubt()
    }
}

pub(super) fn decided(case: &OrderCase, change: impl FnOnce(&mut Rules)) -> OrderDecision {
    let mut rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    change(&mut rules);
    decide(case, &rules, &mut 1, Timestamp::UNIX_EPOCH)
}

pub(super) fn step_to(decision: &OrderDecision) -> Option<(ShopId, OrderStep)> {
    decision.writes.first().map(|write| match &write.what {
        What::StepOrder { step } => (write.shop, step.clone()),
        other => panic!("{other:?}"),
    })
}

fn is_asked(decision: &OrderDecision) -> bool {
    decision.bodies.iter().any(|body| {
        matches!(
            body,
            Body::ConflictOpened {
                about: Conflict::OrderDiffers { .. },
                ..
            }
        )
    })
}

#[test]
fn an_edit_of_the_origin_reaches_the_copy_until_something_is_shipped() {
    let case = crossed(order_of("o1", 3), order_of("S-76", 2), true);
    let decision = decided(&case, |_| {});
    let Some((ERP, OrderStep::Edit { lines })) = step_to(&decision) else {
        panic!("{:?}", decision.writes);
    };
    assert_eq!(
        (&lines[0].line, lines[0].quantity),
        (&Some("1".into()), 3.into())
    );
    assert!(!is_asked(&decision));
    let mut shipped = order_of("S-76", 2);
    shipped.fulfilment = Fulfilment::Partly;
    let late = decided(&crossed(order_of("o1", 3), shipped, true), |_| {});
    assert!(late.writes.is_empty() && is_asked(&late));
    let rigid = decided(&case, |rules| {
        rules.shops.get_mut(&ERP).unwrap().abilities.order_steps = &[];
    });
    assert!(rigid.writes.is_empty() && is_asked(&rigid));
}

#[test]
fn an_item_that_the_origin_dropped_is_dropped_and_what_only_the_copy_has_is_left() {
    let mut gift = order_of("S-76", 2);
    let mut line = gift.lines[0].clone();
    line.sku = Some("GIFT".into());
    line.id = "2".into();
    gift.lines.push(line);
    let same = decided(&crossed(order_of("o1", 2), gift.clone(), false), |_| {});
    assert!(same.writes.is_empty() && !is_asked(&same));
    let mut dropped = order_of("o1", 2);
    dropped.lines[0].sku = Some("KH-200".into());
    dropped.lines[0].id = "2".into();
    let mut case = crossed(dropped, gift, true);
    case.edits.lines.insert("2".into());
    let links = LineLinks {
        lines: [("1".into(), "1".into())].into(),
        ..LineLinks::default()
    };
    case.links.insert(ERP, links);
    let Some((ERP, OrderStep::Edit { lines })) = step_to(&decided(&case, |_| {})) else {
        panic!("no edit");
    };
    let units: Vec<_> = lines
        .iter()
        .map(|line| (line.line.as_ref(), line.name(), line.quantity))
        .collect();
    let there = "1".into();
    assert_eq!(
        units,
        [
            (Some(&there), "KH-100", 0.into()),
            (None, "KH-200", 2.into())
        ]
    );
}

#[test]
fn units_that_were_changed_where_the_order_was_copied_to_are_asked_about_once_and_hold_up_nothing()
{
    let mut case = crossed(order_of("o1", 2), order_of("S-76", 1), false);
    let first = decided(&case, |_| {});
    assert!(is_asked(&first) && first.writes.is_empty());
    let about = first.bodies.iter().find_map(|body| match body {
        Body::ConflictOpened { about, .. } => Some(about.clone()),
        _ => None,
    });
    let open = OpenConflict {
        conflict: ConflictId(1),
        about: about.unwrap(),
        at: Timestamp::UNIX_EPOCH,
    };
    // It stands, and the rest goes on.
    case.conflicts.push(open.clone());
    let copy = case.known.get_mut(&ERP).unwrap();
    copy.fulfilment = Fulfilment::Shipped;
    copy.lines[0].shipped = 1.into();
    let meanwhile = decided(&case, |_| {});
    assert!(!is_asked(&meanwhile));
    assert!(matches!(
        step_to(&meanwhile),
        Some((A, OrderStep::Ship { .. }))
    ));
    // A person left it: it is not asked again while it is the same.
    case.conflicts.clear();
    case.settled = vec![open.about.clone()];
    assert!(!is_asked(&decided(&case, |_| {})));
    case.known.insert(A, order_of("o1", 3));
    assert!(is_asked(&decided(&case, |_| {})));
    // Put right in the shop it closes by itself.
    let mut right = crossed(order_of("o1", 2), order_of("S-76", 2), false);
    right.conflicts.push(open);
    let closed = decided(&right, |_| {});
    assert!(matches!(
        closed.bodies.as_slice(),
        [Body::ConflictClosed { by: None, .. }]
    ));
}

#[test]
fn promised_money_is_taken_once_the_goods_have_left_where_the_setting_says_so() {
    let mut origin = order_of("o1", 1);
    origin.payment = Payment::Authorized;
    origin.fulfilment = Fulfilment::Shipped;
    origin.lines[0].shipped = 1.into();
    let mut copy = origin.clone();
    copy.id = "S-76".into();
    let case = |origin: &OrderState| crossed(origin.clone(), copy.clone(), false);
    let captures = |rules: &mut Rules| {
        let mut settings = (*rules.settings).clone();
        settings.policies.orders.capture_on_shipment = true;
        rules.settings = Arc::new(settings);
    };
    assert_eq!(step_to(&decided(&case(&origin), |_| {})), None);
    let taken = decided(&case(&origin), captures);
    assert_eq!(step_to(&taken), Some((A, OrderStep::Pay)));
    origin.payment = Payment::Paid;
    let after = step_to(&decided(&case(&origin), captures));
    assert_eq!(after, Some((ERP, OrderStep::Pay)), "and the copy is told");
    for not_yet in [Payment::Pending, Payment::Accepted] {
        origin.payment = not_yet;
        assert_eq!(step_to(&decided(&case(&origin), captures)), None);
    }
}

fn with_policy(rules: &mut Rules, change: impl FnOnce(&mut OrderPolicy)) {
    let mut settings = (*rules.settings).clone();
    change(&mut settings.policies.orders);
    rules.settings = Arc::new(settings);
}

/// What is made of the order in the ERP, which has the items.
pub(super) fn copied(origin: &OrderState, person: Person, rules: &Rules) -> Result<NewOrder, Hold> {
    let items = [("KH-100".into(), there("KH-100", &[]))].into();
    compose(&in_doubt().order, origin, person, ERP, &items, rules)
}

#[test]
fn a_rate_that_the_receiver_lacks_holds_the_order_until_one_of_its_own_stands_for_it() {
    let mut rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    let (ours, theirs) = (Decimal::from(25), Decimal::new(255, 1));
    rules.shops.get_mut(&ERP).unwrap().identity.tax_rates = vec![theirs, Decimal::ZERO];
    let mut origin = order_of("o1", 2);
    origin.tax_by_rate = [(ours, 4.into())].into();
    let held = copied(&origin, Person::default(), &rules);
    assert_eq!(held, Err(Hold::UnknownTaxRate { rate: ours }));
    // Without a word by rate, its lines say it.
    origin.tax_by_rate.clear();
    assert!(copied(&origin, Person::default(), &rules).is_err());
    origin.tax_by_rate = [(ours, 4.into())].into();
    let row = |into| RateInto {
        shop: Some(A),
        rate: ours,
        into,
    };
    with_policy(&mut rules, |policy| policy.tax_rates = vec![row(theirs)]);
    let made = copied(&origin, Person::default(), &rules).unwrap();
    let (line, was) = (&made.order.state.lines[0], &origin.lines[0]);
    assert_eq!(line.tax_rate, theirs);
    assert_eq!(
        (line.net, line.tax, line.gross),
        (was.net, was.tax, was.gross)
    );
    assert_eq!(made.order.state.tax_by_rate, [(theirs, 4.into())].into());
    // What stands for it has to be there as well.
    with_policy(&mut rules, |policy| {
        policy.tax_rates = vec![row(Decimal::TEN)];
    });
    assert!(copied(&origin, Person::default(), &rules).is_err());
}

/// Ours are 1: 14 days, and 2: 30 days, which the ERP calls 14d and 30d and A calls net14 alone.
fn with_terms(rules: &mut Rules) {
    let mut settings = (*rules.settings).clone();
    let id = PaymentTermId;
    settings.payment_terms = [(1, 14), (2, 30)]
        .map(|(number, due_days)| PaymentTerm {
            id: id(number),
            name: format!("{due_days} days"),
            due_days,
        })
        .to_vec();
    let rows = [(ERP, 1, "14d"), (ERP, 2, "30d"), (A, 1, "net14")];
    settings.payment_term_service_identifiers = (1..)
        .zip(rows)
        .map(
            |(row, (shop, term, identifier))| PaymentTermServiceIdentifier {
                id: RowId(row),
                payment_term_id: id(term),
                service_id: shop,
                identifier: identifier.into(),
            },
        )
        .collect();
    rules.settings = Arc::new(settings);
    let listed = ["14d", "30d"].map(|id| Named {
        id: id.into(),
        name: String::new(),
    });
    rules.shops.get_mut(&ERP).unwrap().identity.payment_terms = listed.to_vec();
}

#[test]
fn an_order_s_own_term_is_said_in_the_receiver_s_word_and_holds_it_until_it_can_be() {
    let mut rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    with_terms(&mut rules);
    let mut origin = order_of("o1", 1);
    origin.payment = Payment::Accepted;
    let made = |origin: &OrderState, rules: &Rules| {
        let made = copied(origin, Person::default(), rules)?;
        assert_eq!(made.payment_term, made.order.state.payment_term);
        Ok((made.payment_term.map(|id| id.0), made.due_days))
    };
    let first = Ok((Some("14d".to_owned()), Some(14)));
    assert_eq!(made(&origin, &rules), first, "without a word of its own");
    origin.payment_term = Some("net14".into());
    assert_eq!(made(&origin, &rules), first);
    origin.payment_term = Some("net30".into());
    let held = Hold::UnmappedPaymentTerm { id: "net30".into() };
    assert_eq!(made(&origin, &rules), Err(held));
    let mut settings = (*rules.settings).clone();
    let at = |shop, id: &str| NamedAt {
        shop,
        id: id.into(),
    };
    settings
        .map(Mappable::PaymentTerm, &at(A, "net30"), &at(ERP, "30d"), "")
        .unwrap();
    rules.settings = Arc::new(settings);
    assert_eq!(made(&origin, &rules), Ok((Some("30d".into()), Some(30))));
    // Nothing is due of what is paid.
    origin.payment = Payment::Paid;
    origin.payment_term = Some("net60".into());
    assert_eq!(made(&origin, &rules), Ok((None, None)));
    // Where the receiver knows no terms, the origin's word stays.
    origin.payment = Payment::Accepted;
    rules.shops.get_mut(&ERP).unwrap().identity.payment_terms = vec![];
    assert_eq!(made(&origin, &rules), Ok((Some("net60".into()), None)));
}

#[test]
fn an_order_of_an_older_journal_names_no_term() {
    let mut stored = serde_json::to_value(order_of("o1", 1)).unwrap();
    stored.as_object_mut().unwrap().remove("payment_term");
    let read: OrderState = serde_json::from_value(stored).unwrap();
    assert_eq!(read, order_of("o1", 1));
}

fn who_lives_in(shipping: &str, billing: &str) -> Person {
    let address = |country: &str| {
        Some(Address {
            country: Some(country.into()),
            ..Address::default()
        })
    };
    Person {
        shipping: address(shipping),
        billing: address(billing),
        ..Person::default()
    }
}

#[test]
fn a_country_that_the_receiver_does_not_know_holds_the_order_until_one_of_its_own_stands_for_it() {
    let mut rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    let origin = order_of("o1", 1);
    let to_aland = || who_lives_in("AX", "SE");
    assert!(copied(&origin, to_aland(), &rules).is_ok(), "it knows any");
    rules.shops.get_mut(&ERP).unwrap().identity.countries = vec!["FI".into()];
    let held = Hold::UnmappedCountry {
        country: "AX".into(),
    };
    assert_eq!(copied(&origin, to_aland(), &rules), Err(held));
    assert!(copied(&origin, who_lives_in("FI", "AX"), &rules).is_ok());
    with_policy(&mut rules, |policy| {
        policy.countries.push(CountryInto {
            shop: Some(A),
            country: "AX".into(),
            into: "FI".into(),
        });
    });
    let made = copied(&origin, to_aland(), &rules).unwrap();
    assert_eq!(made.order.person, who_lives_in("FI", "SE"));
    // Without a delivery address the other counts.
    let pick_up = Person {
        shipping: None,
        ..who_lives_in("", "NO")
    };
    assert!(copied(&origin, pick_up, &rules).is_err());
}

#[test]
fn an_order_that_is_held_for_its_country_is_not_read_again_before_that_is_mapped() {
    let mut case = in_doubt();
    case.open.clear();
    case.known = [(A, order_of("o1", 1))].into();
    case.items = [(ERP, [("KH-100".into(), there("KH-100", &[]))].into())].into();
    case.held = Some(Hold::UnmappedCountry {
        country: "AX".into(),
    });
    let knows = |rules: &mut Rules, countries: &[&str]| {
        let countries = countries.iter().map(|country| (*country).to_owned());
        rules.shops.get_mut(&ERP).unwrap().identity.countries = countries.collect();
    };
    let waits = decided(&case, |rules| knows(rules, &["FI"]));
    assert!(!waits.read_again && waits.writes.is_empty() && waits.bodies.is_empty());
    let goes_on = decided(&case, |rules| knows(rules, &["FI", "AX"]));
    assert!(goes_on.read_again);
}

#[test]
fn a_line_that_an_edit_adds_bears_the_mapped_rate() {
    let case = crossed(order_of("o1", 3), order_of("S-76", 2), true);
    let decision = decided(&case, |rules| {
        with_policy(rules, |policy| {
            policy.tax_rates.push(RateInto {
                shop: None,
                rate: 25.into(),
                into: 24.into(),
            });
        });
    });
    let Some((ERP, OrderStep::Edit { lines })) = step_to(&decision) else {
        panic!("no edit");
    };
    assert_eq!(lines[0].tax_rate, 24.into());
}

#[test]
fn with_a_collective_buyer_the_receiver_gets_one_buyer_and_the_goods_still_find_the_person() {
    let person = Person {
        name: Some("Aino Virta".into()),
        email: Some("aino@example.com".into()),
        phone: Some("+358 40 1234567".into()),
        shipping: Some(Address {
            name: Some("Aino Virta".into()),
            ..Address::default()
        }),
        ..Person::default()
    };
    let mut rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    with_policy(&mut rules, |policy| policy.collective_buyer = true);
    let made = copied(&order_of("o1", 1), person, &rules).unwrap();
    let buyer = &made.order.person;
    assert_eq!(buyer.name.as_deref(), Some("Woo"));
    assert_eq!((&buyer.email, &buyer.phone), (&None, &None));
    let goes_to = buyer.shipping.as_ref().unwrap().name.as_deref();
    assert_eq!(goes_to, Some("Aino Virta"));
}
