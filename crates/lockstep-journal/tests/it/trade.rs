//! Orders and the stock ledger.

use crate::support::*;
use lockstep_journal::Journal;
use lockstep_model::cases::{Also, Consumed};
use lockstep_model::entry::{
    Again, AsideSubject, Body, Conflict, Hold, Movement, Personal, Settlement, StockMapping,
    Subject, What,
};
use lockstep_model::settings::StockId;
use lockstep_model::{
    ConflictId, Fault, FaultKind, Fulfilment, Kind, Level, LineLinks, Order, OrderAnswer, OrderKey,
    OrderLine, OrderStep, Payment, Person, Record, ShopId, ShopIdentity, Sku, StockSemantics,
    Takes,
};
use rust_decimal::Decimal;

fn world() -> Journal {
    let mut journal = journal();
    map_stocks(&mut journal);
    append(
        &mut journal,
        vec![
            level_seen(ERP, &level("A", 10), 0),
            level_seen(WEB, &level("A", 10), 0),
            Body::BaseMoved {
                item: "A".into(),
                stock: MAIN,
                delta: units(10),
                cause: Movement::Opening { shop: ERP },
            },
        ],
    );
    settle(&mut journal);
    journal
}

fn dirty(journal: &Journal) -> Vec<Sku> {
    let chunk = journal.load_stock(None, 100, false).unwrap();
    chunk.cases.into_iter().map(|case| case.sku).collect()
}

#[test]
fn a_sale_makes_its_sku_due_and_read_again_until_the_level_was() {
    let mut journal = world();
    assert!(dirty(&journal).is_empty());
    let o1 = key(WEB, "o1");
    append(
        &mut journal,
        vec![order_seen(WEB, &o1, state("o1", vec![line("A", 2, 2)]))],
    );
    assert_eq!(dirty(&journal), ["A".into()]);
    assert_eq!(
        journal.items_to_read(WEB, None, 10).unwrap(),
        ["A".into()],
        "the level may be older than the sale"
    );
    assert!(journal.items_to_read(ERP, None, 10).unwrap().is_empty());
    settle(&mut journal);
    assert_eq!(dirty(&journal), ["A".into()], "Σ taken has moved since");

    // Read again, and no different: staged all the same, since Σ taken differs.
    let page = vec![Record::Level(level("A", 10))];
    assert_eq!(journal.stage(WEB, page).unwrap().changed, 1);
    assert!(journal.items_to_read(WEB, None, 10).unwrap().is_empty());
    append(&mut journal, vec![level_seen(WEB, &level("A", 8), 2)]);
    journal.forget_staged(lockstep_model::Lane::Trade).unwrap();
    settle(&mut journal);
    assert!(dirty(&journal).is_empty());
    let head = journal.head().unwrap().seq;
    settle(&mut journal);
    assert_eq!(journal.head().unwrap().seq, head, "nothing to say twice");
}

#[test]
fn a_case_shows_every_side_of_a_line() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    let mut copy = state("s76", vec![line("A", 2, 0)]);
    copy.key = Some(o1.to_string());
    append(
        &mut journal,
        vec![
            order_seen(
                WEB,
                &o1,
                state("o1", vec![line("A", 1, 1), line("A", 1, 1)]),
            ),
            intended(1, ERP, Subject::Order(o1.clone()), What::CreateOrder),
        ],
    );
    let chunk = journal.load_stock(None, 10, false).unwrap();
    let case = &chunk.cases[0];
    assert_eq!(case.base, Some(units(10)));
    assert_eq!(case.levels[&WEB].taken, units(2));
    let line = &case.lines[0];
    assert_eq!(line.number, "#o1");
    assert!(line.accepted);
    assert_eq!(line.on_its_way, [ERP]);
    assert_eq!(line.sides[&WEB][&MAIN].wanted, units(2));
    assert!(!line.sides[&WEB][&MAIN].done);

    // Made, and not seen yet: still on its way.
    append(&mut journal, vec![settled(1, done("s76", None))]);
    let case = journal.load_orders(None, 10, at(0), &[]).unwrap().cases[0].clone();
    assert_eq!(case.copies[&ERP].as_str(), "s76");
    assert!(case.open.is_empty());
    let chunk = journal.load_stock(None, 10, false).unwrap();
    assert_eq!(chunk.cases[0].lines[0].on_its_way, [ERP]);

    append(&mut journal, vec![order_seen(ERP, &o1, copy)]);
    let chunk = journal.load_stock(None, 10, false).unwrap();
    let line = &chunk.cases[0].lines[0];
    assert!(line.on_its_way.is_empty());
    assert_eq!(line.sides.len(), 2);
}

#[test]
fn two_lines_of_one_sku_are_told_apart_once_it_is_known_which_is_which() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    let named = |name: &str, quantity: i64, taken: i64, shipped: i64| OrderLine {
        variant: None,
        item: None,
        id: name.into(),
        shipped: units(shipped),
        ..line("A", quantity, taken)
    };
    let origin = state("o1", vec![named("l1", 2, 2, 0), named("l2", 1, 1, 0)]);
    let mut copy = state("s76", vec![named("c1", 1, 1, 1), named("c2", 2, 0, 0)]);
    copy.key = Some(o1.to_string());
    append(
        &mut journal,
        vec![
            order_seen(WEB, &o1, origin),
            order_seen(ERP, &o1, copy.clone()),
        ],
    );
    let lines = |journal: &Journal| {
        let chunk = journal.load_stock(None, 10, false).unwrap();
        chunk.cases[0].lines.clone()
    };
    assert_eq!(lines(&journal).len(), 1, "nobody knows yet");
    let links = LineLinks {
        lines: [("c1".into(), "l2".into()), ("c2".into(), "l1".into())].into(),
        ..LineLinks::default()
    };
    append(
        &mut journal,
        vec![Body::LinesLinked {
            order: o1,
            copy: ERP,
            links,
        }],
    );
    let sides: Vec<[(Decimal, bool); 2]> = lines(&journal)
        .iter()
        .map(|line| [WEB, ERP].map(|shop| line.sides[&shop][&MAIN]))
        .map(|sides| sides.map(|side| (side.wanted, side.done)))
        .collect();
    assert_eq!(
        sides,
        [
            [(units(2), false), (units(2), false)],
            [(units(1), false), (units(1), true)]
        ]
    );
}

#[test]
fn what_came_back_and_cannot_be_sold_again_is_gone_though_its_shop_never_took_it() {
    let mut journal = world();
    let broken = OrderLine {
        shipped: units(3),
        returned: units(2),
        written_off: units(1),
        ..line("A", 3, 0)
    };
    append(
        &mut journal,
        vec![order_seen(WEB, &key(WEB, "o1"), state("o1", vec![broken]))],
    );
    let chunk = journal.load_stock(None, 10, false).unwrap();
    assert_eq!(chunk.cases[0].lines[0].sides[&WEB][&MAIN].wanted, units(2));
}

#[test]
fn a_copy_that_carries_our_key_is_known_by_it() {
    let mut journal = world();
    let mut copy = state("s76", vec![line("A", 1, 1)]);
    copy.key = Some(key(WEB, "o1").to_string());
    let mut foreign = state("s77", vec![]);
    foreign.key = Some("lockstep:99:2:o1".into());
    journal
        .stage(ERP, vec![order(copy), order(foreign)])
        .unwrap();
    let chunk = journal.load_orders(None, 10, at(0), &[]).unwrap();
    let orders: Vec<_> = chunk.cases.iter().map(|case| case.order.clone()).collect();
    assert_eq!(orders, [key(ERP, "s77"), key(WEB, "o1")]);
}

#[test]
fn an_order_is_due_until_it_was_looked_at_and_again_when_it_changes() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    let seen = |payment: Payment| {
        let mut state = state("o1", vec![line("A", 1, 0)]);
        state.payment = payment;
        state
    };
    append(
        &mut journal,
        vec![order_seen(WEB, &o1, seen(Payment::Pending))],
    );
    let due = |journal: &Journal| {
        journal
            .load_orders(None, 10, at(0), &[])
            .unwrap()
            .cases
            .len()
    };
    assert_eq!(due(&journal), 1);
    append(
        &mut journal,
        vec![Body::OrderHeld {
            order: o1.clone(),
            reason: Hold::Gate,
        }],
    );
    settle(&mut journal);
    assert_eq!(due(&journal), 0);
    assert!(dirty(&journal).is_empty());
    // Unchanged, so not staged; paid, so staged and, dealt with, due; its SKU too, though nothing was taken.
    let page = vec![order(seen(Payment::Pending))];
    assert_eq!(journal.stage(WEB, page).unwrap().changed, 0);
    let page = vec![order(seen(Payment::Paid))];
    assert_eq!(journal.stage(WEB, page).unwrap().changed, 1);
    let chunk = journal.load_orders(None, 10, at(0), &[]).unwrap();
    assert_eq!(chunk.cases[0].held, Some(Hold::Gate));
    append(
        &mut journal,
        vec![
            order_seen(WEB, &o1, seen(Payment::Paid)),
            Body::OrderReleased { order: o1.clone() },
        ],
    );
    assert_eq!(dirty(&journal), ["A".into()]);
    let view = journal.order_view(&o1).unwrap().unwrap();
    assert_eq!(view.row.held, None);
    journal.forget_staged(lockstep_model::Lane::Trade).unwrap();
    settle(&mut journal);
    assert_eq!(due(&journal), 0);
    journal.mark_due(at(0), Again::Orders).unwrap();
    assert_eq!(due(&journal), 1);
    // Also what was shipped while nothing was carried.
    let mut shipped = seen(Payment::Paid);
    shipped.lines[0].shipped = units(1);
    shipped.fulfilment = Fulfilment::Shipped;
    append(&mut journal, vec![order_seen(WEB, &o1, shipped)]);
    settle(&mut journal);
    assert_eq!(due(&journal), 0);
    journal.mark_due(at(0), Again::Orders).unwrap();
    assert_eq!(due(&journal), 1);
}

#[test]
fn a_write_in_doubt_brings_its_order_back_when_it_can_be_looked_at() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    append(
        &mut journal,
        vec![
            order_seen(WEB, &o1, state("o1", vec![line("A", 1, 1)])),
            intended(1, ERP, Subject::Order(o1.clone()), What::CreateOrder),
            settled(1, Settlement::Unknown { look_at: at(30) }),
        ],
    );
    settle(&mut journal);
    let cases = |seconds| {
        journal
            .load_orders(None, 10, at(seconds), &[])
            .unwrap()
            .cases
    };
    assert!(cases(29).is_empty());
    assert_eq!(cases(30)[0].open[0].look_at, Some(at(30)));
    let to_read = journal.orders_to_read(ERP, None, 10).unwrap();
    assert_eq!((&to_read[0].order, &to_read[0].id), (&o1, &None));
    assert!(journal.orders_to_read(WEB, None, 10).unwrap().is_empty());
    assert_eq!(journal.open_intents(None, 10).unwrap().len(), 1);
}

#[test]
fn the_items_of_a_receiver_come_from_links_or_levels() {
    let mut journal = world();
    let coffee = product("p1", &["B"], "Coffee", 1);
    append(&mut journal, vec![merged(1, &coffee, &[ERP], &[])]);
    let lines = vec![line("A", 1, 0), line("B", 1, 0), line("C", 1, 0)];
    journal.stage(WEB, vec![order(state("o1", lines))]).unwrap();
    let chunk = journal.load_orders(None, 10, at(0), &[ERP]).unwrap();
    let items = &chunk.cases[0].items[&ERP];
    assert_eq!(items[&"A".into()].sellable, [(MAIN, units(10))].into());
    assert_eq!(items[&"B".into()].sellable, [].into());
    assert!(!items.contains_key(&"C".into()));
}

fn write_level(intent: u64, target: i64) -> Body {
    let what = What::Level {
        on_hand: units(target),
        target: units(target),
        was_available: units(10),
        was_taken: units(0),
        answered: false,
    };
    let subject = Subject::Level {
        stock: MAIN,
        item: "A".into(),
    };
    intended(intent, WEB, subject, what)
}

fn answered(level: Level) -> Settlement {
    Settlement::Done {
        id: "A".into(),
        parts: None,
        held: None,
        level: Some((level, Decimal::ZERO)),
        partly: false,
    }
}

#[test]
fn a_write_that_met_moved_units_is_looked_at_again() {
    let mut journal = world();
    append(
        &mut journal,
        vec![write_level(1, 8), settled(1, answered(level("A", 11)))],
    );
    let explained = journal.ledger(&"A".into()).unwrap().unwrap();
    let side = explained.stocks[0].levels.iter().find(|l| l.shop == WEB);
    assert_eq!(side.unwrap().meant, None, "nothing says that it holds no 8");
    assert_eq!(dirty(&journal), ["A".into()]);
}

#[test]
fn a_write_beside_which_an_order_took_is_no_clamp_though_the_number_stayed() {
    let mut journal = world();
    let seen = Settlement::Done {
        id: "A".into(),
        parts: None,
        held: None,
        level: Some((level("A", 10), units(2))),
        partly: false,
    };
    append(&mut journal, vec![write_level(1, 12), settled(1, seen)]);
    let explained = journal.ledger(&"A".into()).unwrap().unwrap();
    let side = explained.stocks[0].levels.iter().find(|l| l.shop == WEB);
    assert_eq!(side.unwrap().meant, None);
    assert_eq!(dirty(&journal), ["A".into()]);
}

#[test]
fn a_write_that_the_shop_says_it_did_stays_open_until_it_is_read() {
    let mut journal = world();
    let said = Settlement::Answered { look_at: at(30) };
    append(&mut journal, vec![write_level(1, 8), settled(1, said)]);
    let open = journal.open_intents(None, 10).unwrap();
    assert!(matches!(open[0].what, What::Level { answered: true, .. }));
    assert_eq!(open[0].look_at, Some(at(30)));
}

#[test]
fn a_write_of_less_than_nothing_that_met_a_receipt_is_no_clamp() {
    let mut journal = world();
    append(
        &mut journal,
        vec![write_level(1, -1), settled(1, answered(level("A", 2)))],
    );
    let explained = journal.ledger(&"A".into()).unwrap().unwrap();
    let side = explained.stocks[0].levels.iter().find(|l| l.shop == WEB);
    assert_eq!(side.unwrap().meant, None);
    assert_eq!(dirty(&journal), ["A".into()]);
}

#[test]
fn a_clamped_level_keeps_what_was_meant_until_the_shop_moves() {
    let mut journal = world();
    append(
        &mut journal,
        vec![write_level(1, -2), settled(1, answered(level("A", 0)))],
    );
    let at_web = |journal: &Journal| {
        let explained = journal.ledger(&"A".into()).unwrap().unwrap();
        explained.stocks[0]
            .levels
            .iter()
            .find(|level| level.shop == WEB)
            .cloned()
            .unwrap()
    };
    let side = at_web(&journal);
    assert_eq!(side.meant, Some(units(-2)));
    assert_eq!(side.target, Some(units(-2)));
    assert_eq!(side.level.available(), units(0));
    assert!(dirty(&journal).is_empty());
    append(&mut journal, vec![level_seen(WEB, &level("A", 5), 0)]);
    assert_eq!(at_web(&journal).meant, None);
    assert_eq!(dirty(&journal), ["A".into()]);
}

#[test]
fn a_level_that_was_not_written_is_due_again_and_waits_for_its_next_try() {
    let mut journal = world();
    let subject = Subject::Level {
        stock: MAIN,
        item: "A".into(),
    };
    append(
        &mut journal,
        vec![
            write_level(1, 7),
            settled(1, Settlement::NotApplied { fault: None }),
            aside(
                subject,
                Fault::new(FaultKind::Unavailable, "the shop is away"),
                1,
            ),
        ],
    );
    let chunk = journal.load_stock(None, 10, false).unwrap();
    assert_eq!(chunk.cases[0].levels[&WEB].aside_until, Some(at(60)));
    append(
        &mut journal,
        vec![write_level(2, 7), settled(2, answered(level("A", 7)))],
    );
    settle(&mut journal);
    assert!(dirty(&journal).is_empty());
    assert!(journal.asides(10).unwrap().is_empty());
}

#[test]
fn a_level_that_waits_for_a_person_stands_aside_no_more() {
    let mut journal = world();
    let subject = Subject::Level {
        stock: MAIN,
        item: "A".into(),
    };
    append(
        &mut journal,
        vec![
            aside(subject.clone(), Fault::new(FaultKind::Protocol, "no"), 1),
            Body::ConflictOpened {
                conflict: ConflictId(1),
                subject,
                about: Conflict::LevelInDoubt {
                    shop: WEB,
                    was: units(10),
                    target: units(7),
                    found: units(8),
                },
            },
        ],
    );
    assert!(journal.asides(10).unwrap().is_empty());
}

#[test]
fn a_sale_during_a_write_makes_the_sku_due() {
    let mut journal = world();
    append(&mut journal, vec![write_level(1, 7)]);
    let o1 = key(WEB, "o1");
    append(
        &mut journal,
        vec![order_seen(WEB, &o1, state("o1", vec![line("A", 1, 1)]))],
    );
    append(&mut journal, vec![settled(1, answered(level("A", 7)))]);
    settle(&mut journal);
    assert_eq!(dirty(&journal), ["A".into()]);
}

#[test]
fn closing_takes_a_line_out_of_the_sums_and_the_shadow_alike() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    append(
        &mut journal,
        vec![
            order_seen(WEB, &o1, state("o1", vec![line("A", 3, 3)])),
            level_seen(WEB, &level("A", 7), 3),
            Body::BaseMoved {
                item: "A".into(),
                stock: MAIN,
                delta: units(-3),
                cause: Movement::Closing { order: o1.clone() },
            },
        ],
    );
    journal.mark_due(at(0), Again::Levels).unwrap();
    let chunk = journal.load_stock(None, 10, false).unwrap();
    let case = &chunk.cases[0];
    assert_eq!(case.base, Some(units(7)));
    assert!(case.lines.is_empty());
    assert_eq!(case.levels[&WEB].taken, units(0));
    assert_eq!(case.levels[&WEB].held.as_ref().unwrap().1, units(0));
    settle(&mut journal);
    assert!(dirty(&journal).is_empty());
    // Given back after all: not explained by any order any more.
    append(
        &mut journal,
        vec![order_seen(WEB, &o1, state("o1", vec![line("A", 3, 0)]))],
    );
    let chunk = journal.load_stock(None, 10, false).unwrap();
    assert!(chunk.cases.iter().all(|case| case.lines.is_empty()));
}

#[test]
fn another_mapping_of_stocks_moves_the_lines() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    append(
        &mut journal,
        vec![order_seen(WEB, &o1, state("o1", vec![line("A", 2, 2)]))],
    );
    let other = StockId(9);
    let mapping = StockMapping {
        default: Some(other),
        ..StockMapping::default()
    };
    journal.map_stocks(at(0), mapping).unwrap();
    let explained = journal.ledger(&"A".into()).unwrap().unwrap();
    let of = |stock: StockId| {
        explained
            .stocks
            .iter()
            .find(|explained| explained.stock == stock)
            .unwrap()
    };
    assert!(of(MAIN).levels.is_empty() && of(other).dirty);
    let line = &explained.lines[0].line;
    assert_eq!(line.sides[&WEB].keys().collect::<Vec<_>>(), [&other]);
}

#[test]
fn a_sku_is_explained() {
    let mut journal = world();
    let identity = |takes: Takes| ShopIdentity {
        stock: StockSemantics {
            takes,
            ..StockSemantics::default()
        },
        ..ShopIdentity::default()
    };
    let (o1, o2, o3) = (key(WEB, "o1"), key(WEB, "o2"), key(ShopId(3), "o3"));
    let mut copy = state("s76", vec![line("A", 1, 1)]);
    copy.key = Some(o1.to_string());
    append(
        &mut journal,
        vec![
            Body::ShopSeen {
                shop: ShopId(3),
                identity: Box::new(identity(Takes::Shipment)),
            },
            merged(1, &product("p1", &["A"], "Coffee", 1), &[ERP], &[]),
            Body::BaseMoved {
                item: "A".into(),
                stock: MAIN,
                delta: units(5),
                cause: Movement::Unexplained {
                    shop: ERP,
                    emptied: false,
                },
            },
            order_seen(WEB, &o1, state("o1", vec![line("A", 1, 1)])),
            order_seen(ERP, &o1, copy),
            order_seen(WEB, &o2, state("o2", vec![line("A", 2, 2)])),
            // Takes at shipment: it counts from acceptance.
            order_seen(ShopId(3), &o3, state("o3", vec![line("A", 4, 0)])),
        ],
    );
    let explained = journal.ledger(&"A".into()).unwrap().unwrap();
    assert_eq!(explained.record.unwrap().0, 1);
    assert_eq!(explained.bases, [(MAIN, units(15))].into());
    let stock = &explained.stocks[0];
    assert_eq!(stock.movements.len(), 2);
    assert_eq!(stock.movements_before, units(0));
    let orders: Vec<&OrderKey> = explained
        .lines
        .iter()
        .map(|line| &line.line.order)
        .collect();
    assert_eq!(orders, [&o1, &o2, &o3]);
    let taken = |shop: ShopId| explained.lines[0].line.sides[&shop][&MAIN].taken;
    assert_eq!((taken(WEB), taken(ERP)), (units(1), units(1)));
    assert_eq!(explained.lines[0].copies, [(ERP, "#s76".into())].into());
    assert!(
        serde_json::to_string(&explained)
            .unwrap()
            .contains("opening")
    );
    assert_eq!(journal.ledger(&"Z".into()).unwrap(), None);
}

#[test]
fn the_status_behind_a_level_is_our_own_records() {
    let mut journal = world();
    let mut draft = product("p1", &["A"], "Coffee", 1);
    draft.status = lockstep_model::Status::Draft;
    append(&mut journal, vec![merged(1, &draft, &[ERP], &[])]);
    journal.mark_due(at(0), Again::Levels).unwrap();
    let chunk = journal.load_stock(None, 10, false).unwrap();
    assert_eq!(chunk.cases[0].status, Some(lockstep_model::Status::Draft));
}

#[test]
fn a_level_is_decided_on_again_once_its_product_is_on_sale_or_no_longer() {
    let mut journal = world();
    settle(&mut journal);
    let due = |journal: &Journal| journal.load_stock(None, 10, false).unwrap().cases.len();
    assert_eq!(due(&journal), 0);
    let mut draft = product("p1", &["A"], "Coffee", 1);
    draft.status = lockstep_model::Status::Draft;
    append(&mut journal, vec![merged(1, &draft, &[ERP], &[])]);
    assert_eq!(due(&journal), 1);
}

#[test]
fn stock_is_paged_by_sku() {
    let mut journal = journal();
    map_stocks(&mut journal);
    let page = (0..25)
        .map(|n| Record::Level(level(&format!("S{n:02}"), n)))
        .collect();
    journal.stage(WEB, page).unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let chunk = journal.load_stock(after.as_ref(), 10, false).unwrap();
        for case in &chunk.cases {
            let (_, reading) = case.levels[&WEB].staged.clone().unwrap();
            seen.push(case.sku.0.clone());
            let also = Also {
                consumed: vec![Consumed {
                    shop: WEB,
                    kind: Kind::Level,
                    id: case.sku.0.as_str().into(),
                    reading,
                }],
                ..Also::default()
            };
            journal.append(at(0), vec![], also).unwrap();
        }
        after = chunk.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(
        journal
            .load_stock(None, 10, false)
            .unwrap()
            .cases
            .is_empty()
    );
}

fn held(journal: &mut Journal, id: &str, reason: Hold) {
    let order = key(WEB, id);
    let seen = order_seen(WEB, &order, state(id, vec![line("A", 1, 0)]));
    append(journal, vec![seen, Body::OrderHeld { order, reason }]);
}

#[test]
fn held_orders_stand_together_by_what_they_wait_for() {
    let mut journal = world();
    let klarna = || Hold::UnmappedPaymentMethod {
        id: "klarna".into(),
    };
    let sums = |parts| Hold::Sums {
        total: units(10),
        parts: units(parts),
    };
    held(&mut journal, "o1", klarna());
    held(&mut journal, "o2", sums(8));
    held(&mut journal, "o3", klarna());
    held(&mut journal, "o4", Hold::Gate);
    held(&mut journal, "o5", sums(7));
    let groups = journal.held_orders().unwrap();
    let told: Vec<_> = groups
        .iter()
        .map(|group| (group.origin, group.hold.clone(), group.count))
        .collect();
    assert_eq!(told, [(WEB, klarna(), 2), (WEB, sums(8), 2)]);
    assert_eq!(groups[1].first[1], (key(WEB, "o5"), sums(7)));
    append(
        &mut journal,
        vec![Body::OrderReleased {
            order: key(WEB, "o1"),
        }],
    );
    assert_eq!(journal.held_orders().unwrap()[1].count, 1);
}

#[test]
fn a5_an_order_that_is_still_to_be_made_is_counted_until_it_was_looked_at() {
    let mut journal = world();
    let not_written = |journal: &Journal| journal.standing(&[WEB, ERP], &[]).unwrap().not_written;
    let before = not_written(&journal);
    let order = key(WEB, "o9");
    let seen = order_seen(WEB, &order, state("o9", vec![line("A", 1, 0)]));
    append(&mut journal, vec![seen]);
    assert_eq!(not_written(&journal), before + 1);
    let held = Body::OrderHeld {
        order: order.clone(),
        reason: Hold::Gate,
    };
    append(&mut journal, vec![held]);
    assert_eq!(not_written(&journal), before, "it waits for its payment");
}

/// An order whose copy may have been made, and what the receiver shows without our key.
fn in_doubt() -> Journal {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    append(
        &mut journal,
        vec![
            order_seen(WEB, &o1, state("o1", vec![line("A", 1, 1)])),
            intended(7, ERP, Subject::Order(o1.clone()), What::CreateOrder),
            Body::OrderHeld {
                order: o1,
                reason: Hold::InDoubt,
            },
            order_seen(ERP, &key(ERP, "s76"), state("s76", vec![line("A", 1, 1)])),
        ],
    );
    settle(&mut journal);
    journal
}

#[test]
fn a_copy_that_a_person_has_found_is_no_order_of_its_own_any_more() {
    let mut journal = in_doubt();
    let (o1, s76) = (key(WEB, "o1"), key(ERP, "s76"));
    assert_eq!(
        journal.orders_numbered(ERP, "#s76").unwrap(),
        ["s76".into()]
    );
    let taken = |journal: &Journal| {
        let cases = journal.load_stock(None, 10, false).unwrap().cases;
        let case = cases.into_iter().find(|case| case.sku == "A".into());
        let lines = case.expect("it is due").lines;
        let orders: Vec<_> = lines.iter().map(|line| line.order.clone()).collect();
        orders
    };
    append(
        &mut journal,
        vec![
            Body::OrderAnswered {
                order: o1.clone(),
                into: ERP,
                answer: OrderAnswer::ItIsThere { id: "s76".into() },
                by: "operator".into(),
            },
            settled(7, done("s76", None)),
            Body::OrderReleased { order: o1.clone() },
        ],
    );
    assert!(journal.order_view(&s76).unwrap().is_none());
    let case = journal.order_case(&o1).unwrap().unwrap();
    assert_eq!((case.held, case.open.len()), (None, 0));
    assert_eq!(case.copies[&ERP], "s76".into());
    assert_eq!(case.known[&ERP].id, "s76".into());
    assert!(taken(&journal).iter().all(|order| *order == o1));
    assert_eq!(
        journal.copied_from(ERP, &"s76".into()).unwrap(),
        Some(o1.clone())
    );
    // Read again it is what it was linked to, though it carries nobody's key.
    let mut paid = state("s76", vec![line("A", 1, 1)]);
    paid.payment = Payment::Paid;
    paid.number = "N2".into();
    journal.stage(ERP, vec![order(paid)]).unwrap();
    let cases = journal.load_orders(None, 10, at(0), &[]).unwrap().cases;
    assert_eq!(cases.len(), 1);
    assert!(cases[0].staged.contains_key(&ERP));
}

#[test]
fn an_order_that_is_tried_again_stands_aside_no_more() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    held(
        &mut journal,
        "o1",
        Hold::Refused {
            message: "no".into(),
        },
    );
    append(
        &mut journal,
        vec![Body::Aside {
            shop: ERP,
            subject: AsideSubject::Subject(Subject::Order(o1.clone())),
            fault: Fault::new(FaultKind::Invalid { field: None }, "no"),
            retry_at: None,
            tries: 3,
            refused: Vec::new(),
        }],
    );
    append(
        &mut journal,
        vec![Body::OrderAnswered {
            order: o1.clone(),
            into: ERP,
            answer: OrderAnswer::TryAgain,
            by: "operator".into(),
        }],
    );
    let cases = journal.load_orders(None, 10, at(0), &[]).unwrap().cases;
    assert_eq!(cases[0].order, o1);
    assert!(cases[0].aside_until.is_empty() && cases[0].tries.is_empty());
}

#[test]
fn orders_that_two_shops_have_under_one_key_do_not_cut_a_chunk_short() {
    let mut journal = journal();
    map_stocks(&mut journal);
    let ids = ["o1", "o2", "o3", "o4"];
    let origins = ids.map(|id| order(state(id, vec![line("A", 1, 1)])));
    let copies = ids.map(|id| {
        let mut copy = state(&format!("c{id}"), vec![line("A", 1, 0)]);
        copy.key = Some(key(WEB, id).to_string());
        order(copy)
    });
    journal.stage(WEB, origins.into()).unwrap();
    journal.stage(ERP, copies.into()).unwrap();
    let first = journal.load_orders(None, 3, at(0), &[]).unwrap();
    assert_eq!(first.cases.len(), 3);
    let after = first.next.expect("one is left");
    let rest = journal.load_orders(Some(&after), 3, at(0), &[]).unwrap();
    assert_eq!(rest.cases.len(), 1);
    assert_eq!(rest.cases[0].order, key(WEB, "o4"));
    assert_eq!(rest.next, None);
}

#[test]
fn an_edit_of_the_origin_is_told_from_one_of_the_copy() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    let id = line("A", 1, 1).id;
    let copy = |units| {
        let mut copy = state("s76", vec![line("A", units, 1)]);
        copy.key = Some(key(WEB, "o1").to_string());
        order_seen(ERP, &key(WEB, "o1"), copy)
    };
    let origin = |units| order_seen(WEB, &key(WEB, "o1"), state("o1", vec![line("A", units, 1)]));
    let edited = |journal: &Journal| journal.order_case(&o1).unwrap().unwrap().edits.lines;
    append(&mut journal, vec![origin(2), copy(2)]);
    let links = LineLinks {
        lines: [(id.clone(), id.clone())].into(),
        ..LineLinks::default()
    };
    let linked = Body::LinesLinked {
        order: o1.clone(),
        copy: ERP,
        links: links.clone(),
    };
    append(&mut journal, vec![linked]);
    let case = journal.order_case(&o1).unwrap().unwrap();
    assert_eq!(case.links[&ERP], links);
    assert!(edited(&journal).is_empty());
    append(&mut journal, vec![origin(3)]);
    append(&mut journal, vec![origin(4)]);
    assert_eq!(edited(&journal), [id.clone()].into());
    append(&mut journal, vec![copy(4)]);
    assert!(edited(&journal).is_empty(), "it has arrived");
    append(&mut journal, vec![copy(1)]);
    append(&mut journal, vec![origin(5)]);
    assert!(
        edited(&journal).is_empty(),
        "the copy was not as the origin was"
    );
}

#[test]
fn o4_another_address_alone_is_told_and_noted_until_it_was_carried() {
    let mut journal = world();
    let o1 = key(WEB, "o1");
    let origin = || state("o1", vec![line("A", 1, 1)]);
    let mut copy = state("s76", vec![line("A", 1, 1)]);
    copy.key = Some(o1.to_string());
    append(
        &mut journal,
        vec![order_seen(WEB, &o1, origin()), order_seen(ERP, &o1, copy)],
    );
    settle(&mut journal);
    let told = |journal: &mut Journal, person: Person| {
        let order = Order {
            state: origin(),
            person,
        };
        let order = Record::Order(Box::new(order));
        journal.stage(WEB, vec![order]).unwrap();
        journal.load_orders(None, 10, at(0), &[]).unwrap().cases
    };
    assert!(told(&mut journal, person()).is_empty());
    let moved = Person {
        note: Some("Leave it at the door".into()),
        ..person()
    };
    let cases = told(&mut journal, moved.clone());
    assert_eq!(cases[0].person, Some(person()));
    assert_eq!(cases[0].staged[&WEB].person, Some(moved.clone()));
    let mut seen = order_seen(WEB, &o1, origin());
    if let Body::OrderSeen {
        person,
        readdressed,
        ..
    } = &mut seen
    {
        *person = Personal::Clear(Box::new(moved.clone()));
        *readdressed = true;
    }
    append(&mut journal, vec![seen]);
    let case = |journal: &Journal| journal.order_case(&o1).unwrap().unwrap();
    assert!(case(&journal).edits.address);
    assert_eq!(case(&journal).person, Some(moved));
    let what = What::StepOrder {
        step: OrderStep::Readdress,
    };
    append(
        &mut journal,
        vec![
            intended(7, ERP, Subject::Order(o1.clone()), what),
            settled(7, done("s76", None)),
        ],
    );
    assert!(!case(&journal).edits.address);
}
