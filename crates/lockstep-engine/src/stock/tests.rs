//! The ledger against a made-up world: shops that take stock at every possible step, buyers, an ERP that receives
//! goods, and a reader that sees all of it at once.

use super::{Ledger, StockDecision, Switch};
use crate::fixture::{A, B, ERP, level, rules};
use crate::rules::{LevelWrites, Rules};
use jiff::Timestamp;
use lockstep_model::cases::{LevelAt, LineCase, LineSide, OpenIntent, StockCase};
use lockstep_model::entry::{Body, Movement, Subject, What};
use lockstep_model::settings::{StockId, StockMode};
use lockstep_model::{CustomerId, IntentId, Level, OrderKey, RunId, ShopId, Takes};
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A shop's own side of one order.
#[derive(Debug, Clone, Copy)]
struct Held {
    quantity: i64,
    paid: bool,
    shipped: bool,
    cancelled: bool,
    taken: i64,
}

#[derive(Debug, Default)]
struct Shop {
    on_hand: i64,
    /// For its orders.
    reserved: i64,
    set_aside: i64,
    orders: BTreeMap<u64, Held>,
    writes: u32,
}

impl Shop {
    fn available(&self) -> i64 {
        self.on_hand - self.reserved - self.set_aside
    }

    fn take(&mut self, takes: Takes, order: u64, at: Takes) {
        let Some(held) = self.orders.get_mut(&order) else {
            return;
        };
        if takes != at || held.taken > 0 || held.cancelled {
            return;
        }
        held.taken = held.quantity;
        match takes {
            Takes::Reserve => self.reserved += held.quantity,
            _ => self.on_hand -= held.quantity,
        }
    }

    fn place(&mut self, takes: Takes, order: u64, quantity: i64, paid: bool) {
        self.orders.insert(
            order,
            Held {
                quantity,
                paid: false,
                shipped: false,
                cancelled: false,
                taken: 0,
            },
        );
        self.take(takes, order, Takes::Placement);
        self.take(takes, order, Takes::Reserve);
        if paid {
            self.pay(takes, order);
        }
    }

    fn pay(&mut self, takes: Takes, order: u64) {
        if let Some(held) = self.orders.get_mut(&order) {
            held.paid = true;
            self.take(takes, order, Takes::Payment);
        }
    }

    fn ship(&mut self, takes: Takes, order: u64) {
        self.take(takes, order, Takes::Shipment);
        let Some(held) = self.orders.get_mut(&order) else {
            return;
        };
        if held.cancelled || held.shipped {
            return;
        }
        held.shipped = true;
        if takes == Takes::Reserve {
            self.reserved -= held.quantity;
            self.on_hand -= held.quantity;
        }
    }

    fn cancel(&mut self, takes: Takes, order: u64) {
        let Some(held) = self.orders.get_mut(&order) else {
            return;
        };
        if held.cancelled || held.shipped {
            return;
        }
        held.cancelled = true;
        match takes {
            Takes::Reserve => self.reserved -= held.taken,
            _ => self.on_hand += held.taken,
        }
        held.taken = 0;
    }
}

struct World {
    rules: Rules,
    shops: BTreeMap<ShopId, Shop>,
    /// Order → its origin.
    origins: BTreeMap<u64, ShopId>,
    base: Option<Decimal>,
    shadows: BTreeMap<ShopId, (Level, Decimal)>,
    next_order: u64,
}

fn evaluate(
    case: &StockCase,
    rules: &Rules,
    run: RunId,
    next_conflict: &mut u64,
    now: Timestamp,
) -> StockDecision {
    super::evaluate(
        std::slice::from_ref(case),
        rules,
        run,
        next_conflict,
        now,
        Switch::Asked,
    )
    .pop()
    .unwrap()
}

fn key(order: u64, origin: ShopId) -> OrderKey {
    OrderKey {
        customer: CustomerId(1),
        shop: origin,
        id: format!("o{order}").into(),
    }
}

impl World {
    fn new(erp: Takes, a: Takes, b: Takes, units: i64) -> Self {
        let shop = || Shop {
            on_hand: units,
            ..Shop::default()
        };
        let mut world = World {
            rules: rules(erp, a, b),
            shops: [(ERP, shop()), (A, shop()), (B, shop())].into(),
            origins: BTreeMap::new(),
            base: None,
            shadows: BTreeMap::new(),
            next_order: 1,
        };
        world.sync();
        world
    }

    fn takes(&self, shop: ShopId) -> Takes {
        self.rules.shops[&shop].stock().takes
    }

    fn shop(&mut self, shop: ShopId) -> &mut Shop {
        self.shops.get_mut(&shop).unwrap()
    }

    fn buy(&mut self, shop: ShopId, quantity: i64, paid: bool) -> u64 {
        let order = self.next_order;
        self.next_order += 1;
        self.origins.insert(order, shop);
        let takes = self.takes(shop);
        self.shop(shop).place(takes, order, quantity, paid);
        order
    }

    /// Carries each order one step further: what the orders' flow does.
    fn carry(&mut self) {
        let erp_takes = self.takes(ERP);
        for (order, origin) in self.origins.clone() {
            let at_origin = self.shops[&origin].orders[&order];
            let at_erp = self.shops[&ERP].orders.get(&order).copied();
            match at_erp {
                None if at_origin.paid && !at_origin.cancelled => {
                    self.shop(ERP)
                        .place(erp_takes, order, at_origin.quantity, true);
                }
                None => {}
                Some(copy) => {
                    if at_origin.cancelled && !copy.cancelled {
                        self.shop(ERP).cancel(erp_takes, order);
                    }
                    if at_origin.shipped && !copy.shipped {
                        self.shop(ERP).ship(erp_takes, order);
                    }
                    if copy.shipped && !at_origin.shipped {
                        let takes = self.takes(origin);
                        self.shop(origin).ship(takes, order);
                    }
                }
            }
        }
    }

    fn case(&self) -> StockCase {
        let lines = self
            .origins
            .iter()
            .map(|(order, origin)| {
                let sides = self.shops.iter().filter_map(|(shop, state)| {
                    let held = state.orders.get(order)?;
                    let side = LineSide {
                        wanted: if held.cancelled { 0 } else { held.quantity }.into(),
                        taken: held.taken.into(),
                        done: held.shipped || held.cancelled,
                    };
                    Some((*shop, [(StockId::default(), side)].into()))
                });
                let held = self.shops[origin].orders[order];
                LineCase {
                    order: key(*order, *origin),
                    number: order.to_string(),
                    before_opening: false,
                    accepted: held.paid && !held.cancelled,
                    sides: sides.collect(),
                    on_its_way: vec![],
                }
            })
            .collect();
        let levels = self
            .shops
            .iter()
            .map(|(shop, state)| {
                let taken = state.orders.values().map(|held| held.taken).sum::<i64>();
                let level = Level {
                    reserved: (state.reserved + state.set_aside).into(),
                    set_aside: state.set_aside.into(),
                    ..level("KH-100", state.on_hand)
                };
                let at = LevelAt {
                    held: self.shadows.get(shop).cloned(),
                    staged: Some((level, 1)),
                    taken: taken.into(),
                    ..LevelAt::default()
                };
                (*shop, at)
            })
            .collect();
        StockCase {
            item: "KH-100".into(),
            sku: "KH-100".into(),
            stock: StockId::default(),
            status: None,
            base: self.base,
            counted_by: None,
            other_bases: BTreeMap::new(),
            emptied: Default::default(),
            levels,
            lines,
            conflicts: vec![],
        }
    }

    /// Reads all shops, evaluates, writes. Returns how many writes were made.
    fn sync(&mut self) -> usize {
        let case = self.case();
        let decision = evaluate(&case, &self.rules, RunId(1), &mut 1, Timestamp::UNIX_EPOCH);
        for body in decision.bodies {
            match body {
                Body::BaseMoved { delta, .. } => {
                    self.base = Some(self.base.unwrap_or_default() + delta);
                }
                Body::LevelSeen {
                    shop, level, taken, ..
                } => {
                    self.shadows.insert(shop, (level, taken));
                }
                _ => {}
            }
        }
        let count = decision.writes.len();
        for write in decision.writes {
            let What::Level {
                on_hand, was_taken, ..
            } = write.what
            else {
                panic!("{write:?}");
            };
            let shop = self.shops.get_mut(&write.shop).unwrap();
            shop.on_hand = on_hand.try_into().unwrap();
            shop.writes += 1;
            let shadow = self.shadows.get_mut(&write.shop).unwrap();
            shadow.0.on_hand = on_hand;
            shadow.1 = was_taken;
        }
        count
    }

    fn available(&self) -> [i64; 3] {
        [A, B, ERP].map(|shop| self.shops[&shop].available())
    }
}

#[test]
fn m13_what_a_shop_has_set_aside_by_hand_is_its_own_and_nobody_makes_up_for_it() {
    let mut world = World::new(Takes::Placement, Takes::Payment, Takes::Reserve, 20);
    world.shop(B).set_aside = 2;
    assert_eq!(world.sync(), 0);
    assert_eq!(world.available(), [20, 18, 20]);
    // Goods come and are sold: it stays two lower than the others.
    world.shop(ERP).on_hand += 5;
    assert_eq!(world.sync(), 2);
    assert_eq!(world.available(), [25, 23, 25]);
    world.buy(B, 3, true);
    assert_eq!(world.sync(), 1);
    world.carry();
    assert_eq!(world.sync(), 0);
    assert_eq!(world.available(), [22, 20, 22]);
    world.shop(B).set_aside = 0;
    assert_eq!(world.sync(), 0);
    assert_eq!(world.available(), [22, 22, 22]);
    assert_eq!(world.shops[&ERP].writes, 0);
}

#[test]
fn m13_what_the_owner_has_set_aside_nobody_sells() {
    let mut world = World::new(Takes::Reserve, Takes::Payment, Takes::Reserve, 20);
    world.shop(ERP).set_aside = 2;
    assert_eq!(world.sync(), 2);
    assert_eq!(world.available(), [18, 18, 18]);
    assert_eq!(world.shops[&ERP].writes, 0);
}

#[test]
fn m13_of_a_pooled_stock_what_one_shop_has_set_aside_nobody_sells() {
    let mut world = World::new(Takes::Placement, Takes::Payment, Takes::Reserve, 20);
    Arc::make_mut(&mut world.rules.settings).policies.stock.mode = StockMode::Pooled;
    world.shop(B).set_aside = 2;
    assert_eq!(world.sync(), 2);
    assert_eq!(world.available(), [18, 18, 18]);
}

#[test]
fn the_worked_example_of_the_rule_comes_out_step_by_step() {
    let mut world = World::new(Takes::Placement, Takes::Payment, Takes::Reserve, 10);
    let o1 = world.buy(A, 1, false);
    assert_eq!(world.sync(), 0, "an unpaid order takes nothing");
    world.shop(A).pay(Takes::Payment, o1);
    assert_eq!(world.sync(), 1, "B alone is written");
    assert_eq!(world.available(), [9, 9, 10]);
    let o2 = world.buy(B, 2, true);
    assert_eq!(world.sync(), 1, "A alone is written");
    assert_eq!(world.available(), [7, 7, 10]);
    world.carry();
    assert_eq!(
        world.sync(),
        0,
        "the arriving orders lower the ERP themselves"
    );
    assert_eq!(world.available(), [7, 7, 7]);
    world.shop(ERP).on_hand += 5;
    assert_eq!(world.sync(), 2);
    assert_eq!(world.available(), [12, 12, 12]);
    world.shop(B).ship(Takes::Reserve, o2);
    assert_eq!(world.sync(), 0, "shipping is not a sale");
    world.shop(A).cancel(Takes::Payment, o1);
    assert_eq!(world.sync(), 1, "the ERP still holds the unit");
    assert_eq!(world.available(), [12, 12, 12]);
    world.carry();
    assert_eq!(world.sync(), 2);
    assert_eq!(world.available(), [13, 13, 13]);
    assert_eq!(world.shops[&ERP].writes, 0, "the ERP was never corrected");
}

#[test]
fn an_owner_is_not_written_for_orders_that_wait_since_their_flow_is_off() {
    let mut world = World::new(Takes::Placement, Takes::Payment, Takes::Reserve, 10);
    world.buy(A, 1, true);
    world.sync();
    let switch = |world: &mut World, on: bool| {
        Arc::make_mut(&mut world.rules.settings)
            .customer
            .sync_orders = on;
    };
    switch(&mut world, false);
    assert_eq!(world.sync(), 0, "a switch moves no number");
    world.buy(B, 2, true);
    world.sync();
    assert_eq!(world.available(), [7, 7, 10]);
    switch(&mut world, true);
    assert_eq!(world.sync(), 0);
    world.carry();
    world.sync();
    assert_eq!(world.available(), [7, 7, 7]);
    assert_eq!(
        world.shops[&ERP].writes, 0,
        "its orders lower it themselves"
    );
}

/// One line of A's, with these units wanted and taken there, cancelled or not, and no copy anywhere.
fn line_at_a(wanted: i64, taken: i64, accepted: bool) -> LineCase {
    let side = LineSide {
        wanted: wanted.into(),
        taken: taken.into(),
        done: wanted == 0,
    };
    LineCase {
        order: key(1, A),
        number: "1".into(),
        before_opening: false,
        accepted,
        sides: [(A, [(StockId::default(), side)].into())].into(),
        on_its_way: vec![],
    }
}

#[test]
fn a_cancelled_order_counts_for_nothing_though_its_shop_does_not_give_it_back() {
    let rules = rules(Takes::Placement, Takes::Placement, Takes::Reserve);
    let ledger = Ledger::of(&rules);
    let committed = |accepted: bool| {
        let lines = [line_at_a(0, 2, accepted)];
        let books = ledger.books(BTreeMap::new(), &lines);
        books.committed(StockId::default())
    };
    assert_eq!(committed(false), Decimal::ZERO);
    assert_eq!(
        committed(true),
        Decimal::TWO,
        "what came back and was not put back is gone"
    );
}

fn cannot_be_written_below_nothing(world: &mut World) {
    for shop in world.rules.shops.values_mut() {
        shop.identity.stock.negative = false;
    }
}

#[test]
fn o7_more_sold_than_there_is_is_told_to_no_owner() {
    for erp in [Takes::Placement, Takes::Reserve] {
        let mut world = World::new(erp, Takes::Placement, Takes::Reserve, 1);
        cannot_be_written_below_nothing(&mut world);
        let order = world.buy(A, 4, true);
        world.sync();
        assert_eq!(world.available(), [-3, 0, 1], "{erp:?}: it has not arrived");
        world.carry();
        assert_eq!(world.sync(), 0);
        assert_eq!(world.available(), [-3, 0, -3], "{erp:?}");
        assert_eq!(world.shops[&ERP].writes, 0, "{erp:?}");
        // Goods come: three are promised.
        world.shop(ERP).on_hand += 10;
        world.sync();
        assert_eq!(world.available(), [7, 7, 7], "{erp:?}");
        world.shop(ERP).ship(erp, order);
        world.carry();
        assert_eq!(world.sync(), 0, "{erp:?}");
        assert_eq!(world.shops[&ERP].writes, 0, "{erp:?}");
    }
}

#[test]
fn m3_back_orders_of_a_shop_that_reserves_move_no_owner_s_stock() {
    // The owner itself sells more than it has.
    let mut world = World::new(Takes::Reserve, Takes::Placement, Takes::Reserve, 2);
    cannot_be_written_below_nothing(&mut world);
    world.buy(ERP, 5, true);
    world.sync();
    assert_eq!(
        (world.shops[&ERP].on_hand, world.shops[&ERP].writes),
        (2, 0)
    );
    // Another one does.
    let mut world = World::new(Takes::Placement, Takes::Placement, Takes::Reserve, 2);
    cannot_be_written_below_nothing(&mut world);
    world.buy(B, 5, true);
    world.sync();
    let b = &world.shops[&B];
    assert_eq!((b.on_hand, b.writes), (2, 0), "what it holds is as it is");
    world.carry();
    world.sync();
    assert_eq!(world.available(), [0, -3, -3]);
    assert_eq!(world.shops[&ERP].writes, 0);
}

#[test]
fn o7_an_owner_whose_copies_take_nothing_is_told_what_was_sold_and_never_more_than_it_shows() {
    let mut world = World::new(Takes::Never, Takes::Placement, Takes::Reserve, 1);
    cannot_be_written_below_nothing(&mut world);
    world.buy(A, 4, true);
    world.sync();
    assert_eq!(world.available(), [-3, 0, 0]);
    assert_eq!(world.base, Some(1.into()), "the clamp is no receipt");
    assert_eq!(world.sync(), 0);
    world.shop(ERP).on_hand += 10;
    world.sync();
    assert_eq!(world.available(), [7, 7, 7]);
}

/// The ERP writes absolutely; a write to it from `was` to `target` is open, `answered` or not, and it is read with
/// this many available and taken. Answers how the base moves, and whether a person is asked.
fn after_an_open_write(
    takes: Takes,
    was: i64,
    target: i64,
    answered: bool,
    available: i64,
    taken: i64,
) -> (Decimal, bool) {
    let mut rules = rules(takes, Takes::Placement, Takes::Reserve);
    let erp = rules.shops.get_mut(&ERP).unwrap();
    erp.abilities.level_writes = LevelWrites::Absolute;
    let level = |units: i64| level("KH-100", units);
    let open = OpenIntent {
        intent: IntentId(1),
        run: RunId(1),
        shop: ERP,
        subject: Subject::Level {
            stock: StockId::default(),
            item: "KH-100".into(),
        },
        what: What::Level {
            on_hand: target.into(),
            target: target.into(),
            was_available: was.into(),
            was_taken: Decimal::ZERO,
            answered,
        },
        at: Timestamp::UNIX_EPOCH,
        look_at: Some(Timestamp::UNIX_EPOCH),
    };
    let at = LevelAt {
        held: Some((level(was), Decimal::ZERO)),
        staged: Some((level(available), 1)),
        taken: taken.into(),
        open: vec![open],
        left_at: Some(Timestamp::UNIX_EPOCH),
        ..LevelAt::default()
    };
    let case = StockCase {
        item: "KH-100".into(),
        sku: "KH-100".into(),
        stock: StockId::default(),
        status: None,
        base: Some(was.into()),
        counted_by: None,
        other_bases: BTreeMap::new(),
        emptied: Default::default(),
        levels: [(ERP, at)].into(),
        lines: vec![],
        conflicts: vec![],
    };
    let decision = evaluate(&case, &rules, RunId(2), &mut 1, Timestamp::UNIX_EPOCH);
    let moved = decision.bodies.iter().map(|body| match body {
        Body::BaseMoved { delta, .. } => *delta,
        _ => Decimal::ZERO,
    });
    let asks = |body: &Body| matches!(body, Body::ConflictOpened { .. });
    (moved.sum(), decision.bodies.iter().any(asks))
}

#[test]
fn an_open_absolute_write_is_told_by_its_value_and_the_orders_around_it() {
    let zero = (Decimal::ZERO, false);
    for (name, open, expected) in [
        ("applied", (10, 8, false, 8, 0), zero),
        ("applied, then one sold", (10, 8, false, 7, 1), zero),
        (
            "applied over one that was just sold",
            (10, 8, true, 8, 1),
            zero,
        ),
        (
            "applied over one that was just given back",
            (10, 8, true, 8, -1),
            zero,
        ),
        ("not applied", (10, 8, false, 10, 0), zero),
        (
            "answered, then three received",
            (10, 8, true, 11, 0),
            (3.into(), false),
        ),
        (
            "answered, then moved back by hand",
            (10, 8, true, 10, 0),
            (2.into(), false),
        ),
        (
            "unanswered, and neither",
            (10, 8, false, 11, 0),
            (Decimal::ZERO, true),
        ),
    ] {
        let (was, target, answered, available, taken) = open;
        let found = after_an_open_write(Takes::Placement, was, target, answered, available, taken);
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_was_sold_and_shipped_before_an_absolute_write_is_lost_by_it_and_no_receipt() {
    for answered in [false, true] {
        let found = after_an_open_write(Takes::Reserve, 40, 38, answered, 38, 3);
        assert_eq!(found, (Decimal::ZERO, false), "answered: {answered}");
    }
}

const TAKES: [Takes; 5] = [
    Takes::Placement,
    Takes::Payment,
    Takes::Reserve,
    Takes::Shipment,
    Takes::Never,
];

#[derive(Debug, Clone, Copy)]
enum Act {
    Buy(bool, i64, bool),
    Pay(usize),
    Ship(usize),
    ShipInErp(usize),
    Cancel(usize),
    Receive(usize, i64),
    Carry,
    Sync,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (any::<bool>(), 1_i64..4, any::<bool>()).prop_map(|(a, n, paid)| Act::Buy(a, n, paid)),
        2 => (0_usize..8).prop_map(Act::Pay),
        1 => (0_usize..8).prop_map(Act::Ship),
        1 => (0_usize..8).prop_map(Act::ShipInErp),
        1 => (0_usize..8).prop_map(Act::Cancel),
        1 => (0_usize..3, -3_i64..6).prop_map(|(shop, n)| Act::Receive(shop, n)),
        2 => Just(Act::Carry),
        4 => Just(Act::Sync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Whoever takes stock when, and whether one shop's count or every shop's counts: at rest each shop that can show it shows what is left, counted by a reader that
    /// knows only what was received and what was bought; and a last sync writes nothing.
    #[test]
    fn at_rest_every_shop_shows_the_units_that_are_left(
        erp in prop::sample::select(&TAKES[..]),
        a in prop::sample::select(&TAKES[..]),
        b in prop::sample::select(&TAKES[..]),
        pooled: bool,
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let mut world = World::new(erp, a, b, 50);
        if pooled {
            Arc::make_mut(&mut world.rules.settings).policies.stock.mode = StockMode::Pooled;
        }
        let mut received = 50;
        for act in acts {
            let orders: Vec<u64> = world.origins.keys().copied().collect();
            let pick = |index: usize| orders.get(index % orders.len().max(1)).copied();
            match act {
                Act::Buy(at_a, quantity, paid) => {
                    world.buy(if at_a { A } else { B }, quantity, paid);
                }
                Act::Pay(index) => if let Some(order) = pick(index) {
                    let origin = world.origins[&order];
                    let takes = world.takes(origin);
                    if !world.shops[&origin].orders[&order].cancelled {
                        world.shop(origin).pay(takes, order);
                    }
                },
                Act::Ship(index) => if let Some(order) = pick(index) {
                    let origin = world.origins[&order];
                    let takes = world.takes(origin);
                    if world.shops[&origin].orders[&order].paid {
                        world.shop(origin).ship(takes, order);
                    }
                },
                Act::ShipInErp(index) => if let Some(order) = pick(index) {
                    let origin = world.origins[&order];
                    if !world.shops[&origin].orders[&order].cancelled {
                        world.shop(ERP).ship(erp, order);
                    }
                },
                Act::Cancel(index) => if let Some(order) = pick(index) {
                    let origin = world.origins[&order];
                    let takes = world.takes(origin);
                    // What one side shipped and the other cancels waits for a person: not this property.
                    let shipped = world.shops[&ERP].orders.get(&order).is_some_and(|held| held.shipped);
                    if !shipped {
                        world.shop(origin).cancel(takes, order);
                    }
                },
                Act::Receive(shop, units) => {
                    let counts = if pooled { [ERP, A, B][shop] } else { ERP };
                    world.shop(counts).on_hand += units;
                    received += units;
                }
                Act::Carry => world.carry(),
                Act::Sync => { world.sync(); }
            }
        }
        // All is paid or cancelled, carried, and read.
        for (order, origin) in world.origins.clone() {
            let takes = world.takes(origin);
            if !world.shops[&origin].orders[&order].cancelled {
                world.shop(origin).pay(takes, order);
            }
        }
        for _ in 0..4 {
            world.carry();
            world.sync();
        }
        prop_assert_eq!(world.sync(), 0, "a last sync writes nothing");
        let sold: i64 = world.origins.iter().map(|(order, origin)| {
            let held = world.shops[origin].orders[order];
            if held.cancelled { 0 } else { held.quantity }
        }).sum();
        let left = received - sold;
        for (shop, state) in &world.shops {
            // Orders that this shop holds and has yet to take (it takes at shipment) still show as available.
            let takes = world.takes(*shop);
            let to_take: i64 = state.orders.values()
                .filter(|held| takes == Takes::Shipment && !held.cancelled && !held.shipped)
                .map(|held| held.quantity)
                .sum();
            prop_assert_eq!(state.available() - to_take, left, "shop {} takes at {:?}", shop, takes);
        }
    }
}

#[test]
fn a_shop_that_lost_the_item_is_not_written_and_holds_nobody_up() {
    let rules = rules(Takes::Placement, Takes::Payment, Takes::Reserve);
    // Its order was cancelled since: no level will ever be read together with that.
    let at = |units: i64, gone: bool| LevelAt {
        held: Some((level("X", units), i64::from(gone).into())),
        gone,
        ..LevelAt::default()
    };
    for lost_by in [ERP, A] {
        let levels = [(ERP, 10), (A, 7), (B, 7)];
        let case = StockCase {
            item: "X".into(),
            sku: "X".into(),
            stock: StockId(1),
            status: None,
            base: Some(Decimal::TEN),
            counted_by: None,
            other_bases: BTreeMap::new(),
            emptied: Default::default(),
            levels: levels
                .map(|(shop, units)| (shop, at(units, shop == lost_by)))
                .into(),
            lines: vec![],
            conflicts: vec![],
        };
        let now = Timestamp::UNIX_EPOCH;
        let decision = evaluate(&case, &rules, RunId(1), &mut 1, now);
        let written: Vec<ShopId> = decision.writes.iter().map(|write| write.shop).collect();
        let wanted: Vec<ShopId> = [A, B].into_iter().filter(|shop| *shop != lost_by).collect();
        assert_eq!(written, wanted);
        assert!(decision.done);
    }
}

/// A opened the ledger with ten, and the ERP owns the stock now.
fn owned_by_another(shown_by_the_erp: i64, switch: Switch) -> StockDecision {
    let rules = rules(Takes::Placement, Takes::Placement, Takes::Placement);
    let level = |units: i64| level("X", units);
    let levels = [(ERP, shown_by_the_erp), (A, 10), (B, 10)].map(|(shop, units)| {
        let at = LevelAt {
            held: Some((level(10), Decimal::ZERO)),
            staged: Some((level(units), 1)),
            ..LevelAt::default()
        };
        (shop, at)
    });
    let case = StockCase {
        item: "X".into(),
        sku: "X".into(),
        stock: StockId::default(),
        status: None,
        base: Some(Decimal::TEN),
        counted_by: Some(A),
        other_bases: BTreeMap::new(),
        emptied: Default::default(),
        levels: levels.into(),
        lines: vec![],
        conflicts: vec![],
    };
    let now = Timestamp::UNIX_EPOCH;
    let cases = std::slice::from_ref(&case);
    super::evaluate(cases, &rules, RunId(1), &mut 1, now, switch)
        .pop()
        .unwrap()
}

#[test]
fn what_another_owner_shows_counts_once_a_person_has_accepted_it() {
    let moved = |decision: &StockDecision| -> Vec<(Decimal, Movement)> {
        let bodies = decision.bodies.iter();
        bodies
            .filter_map(|body| match body {
                Body::BaseMoved { delta, cause, .. } => Some((*delta, cause.clone())),
                _ => None,
            })
            .collect()
    };
    let to_erp = Movement::Switched { shop: ERP };
    let asked = owned_by_another(7, Switch::Asked);
    assert!(asked.is_switched && !asked.done);
    assert!(asked.writes.is_empty() && moved(&asked).is_empty());
    let accepted = owned_by_another(7, Switch::Accepted);
    assert_eq!(moved(&accepted), [(Decimal::from(-3), to_erp.clone())]);
    let written: Vec<ShopId> = accepted.writes.iter().map(|write| write.shop).collect();
    assert_eq!(written, [A, B]);
    let shown = owned_by_another(7, Switch::Shown);
    assert_eq!(shown.lines, accepted.lines);
    assert!(moved(&shown).is_empty());
    // Where it shows what the others were told there is nothing to ask.
    let in_step = owned_by_another(10, Switch::Asked);
    assert_eq!(moved(&in_step), [(Decimal::ZERO, to_erp)]);
    assert!(in_step.done && in_step.writes.is_empty());
}

#[test]
fn what_buyers_bought_out_is_told_apart_from_what_is_counted_no_more() {
    let emptied = |act: fn(&mut World)| {
        let mut world = World::new(Takes::Placement, Takes::Placement, Takes::Reserve, 3);
        act(&mut world);
        let case = world.case();
        let decision = evaluate(&case, &world.rules, RunId(1), &mut 1, Timestamp::UNIX_EPOCH);
        assert!(!decision.writes.is_empty());
        decision.emptied
    };
    let bought = emptied(|world| {
        world.buy(A, 3, true);
    });
    assert_eq!(bought, [].into());
    let gone = emptied(|world| world.shop(ERP).on_hand = 0);
    assert_eq!(gone, [A, B].into());
}

#[test]
fn c11_what_a_count_leaves_to_a_shop_s_buffer_alone_is_emptied_there_and_in_no_other() {
    let mut world = World::new(Takes::Placement, Takes::Placement, Takes::Reserve, 10);
    let settings = Arc::make_mut(&mut world.rules.settings);
    settings.policies.stock.buffer = [(B, 4.into())].into();
    world.sync();
    assert_eq!(world.shop(B).on_hand, 6);
    world.shop(ERP).on_hand = 3;
    let case = world.case();
    let decision = evaluate(&case, &world.rules, RunId(1), &mut 1, Timestamp::UNIX_EPOCH);
    assert_eq!(decision.emptied, [B].into());
}

/// Four of ten were sold in A, and all shops were told; shipped or not.
fn four_of_ten_sold(is_shipped: bool) -> World {
    let mut world = World::new(Takes::Placement, Takes::Placement, Takes::Reserve, 10);
    let order = world.buy(A, 4, true);
    world.sync();
    world.carry();
    world.sync();
    if is_shipped {
        world.shop(ERP).ship(Takes::Placement, order);
        world.carry();
        world.sync();
    }
    assert_eq!(world.sync(), 0, "in step");
    assert_eq!(world.shop(B).on_hand, 6);
    world
}

#[test]
fn c11_what_a_count_empties_after_sales_is_seen_as_what_it_is_now_and_later() {
    for is_shipped in [true, false] {
        let mut world = four_of_ten_sold(is_shipped);
        world.shop(ERP).on_hand = 0;
        let case = world.case();
        let decision = evaluate(&case, &world.rules, RunId(1), &mut 1, Timestamp::UNIX_EPOCH);
        assert_eq!(decision.emptied, [A, B].into(), "shipped: {is_shipped}");
        // The count was taken in, and nobody has answered: a later run knows it by the movement.
        let cause = decision.bodies.iter().find_map(|body| match body {
            Body::BaseMoved { cause, .. } => Some(cause.clone()),
            _ => None,
        });
        let by_count = Movement::Unexplained {
            shop: ERP,
            emptied: true,
        };
        assert_eq!(cause, Some(by_count));
        let mut later = world.case();
        later.base = Some(4.into());
        later.emptied = [later.stock].into();
        let at = later.levels.get_mut(&ERP).unwrap();
        at.held = at.staged.take().map(|(level, _)| (level, at.taken));
        let decision = evaluate(
            &later,
            &world.rules,
            RunId(2),
            &mut 1,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(decision.emptied, [A, B].into(), "shipped: {is_shipped}");
        // Counted anew it is over.
        let at = later.levels.get_mut(&ERP).unwrap();
        at.staged = Some((level("KH-100", 6), 2));
        let decision = evaluate(
            &later,
            &world.rules,
            RunId(3),
            &mut 1,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(decision.emptied, [].into());
    }
}

#[test]
fn c11_what_buyers_bought_and_was_shipped_at_once_is_no_count() {
    let mut world = World::new(Takes::Placement, Takes::Placement, Takes::Reserve, 4);
    let order = world.buy(A, 4, true);
    world.carry();
    world.shop(ERP).ship(Takes::Placement, order);
    world.carry();
    let case = world.case();
    let decision = evaluate(&case, &world.rules, RunId(1), &mut 1, Timestamp::UNIX_EPOCH);
    assert_eq!(decision.writes.len(), 1, "B is told");
    assert_eq!(decision.emptied, [].into());
}

/// One level of A that is to become 7, after a write of it that was lost or refused.
fn at_a(at: LevelAt, now: Timestamp) -> StockDecision {
    let rules = rules(Takes::Placement, Takes::Payment, Takes::Reserve);
    let erp = LevelAt {
        held: Some((level("KH-100", 7), Decimal::ZERO)),
        ..LevelAt::default()
    };
    let case = StockCase {
        item: "KH-100".into(),
        sku: "KH-100".into(),
        stock: StockId::default(),
        status: None,
        base: Some(7.into()),
        counted_by: None,
        emptied: Default::default(),
        other_bases: BTreeMap::new(),
        levels: [(ERP, erp), (A, at)].into(),
        lines: vec![],
        conflicts: vec![],
    };
    evaluate(&case, &rules, RunId(2), &mut 1, now)
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn x3_a_level_is_judged_by_when_its_reading_left_not_by_when_it_came() {
    let lost = OpenIntent {
        intent: IntentId(1),
        run: RunId(1),
        shop: A,
        subject: Subject::Level {
            stock: StockId::default(),
            item: "KH-100".into(),
        },
        what: What::Level {
            on_hand: 7.into(),
            target: 7.into(),
            was_available: 9.into(),
            was_taken: Decimal::ZERO,
            answered: false,
        },
        at: second(10),
        look_at: Some(second(15)),
    };
    let read = |left: i64, units: i64| LevelAt {
        held: Some((level("KH-100", 9), Decimal::ZERO)),
        staged: Some((level("KH-100", units), 1)),
        left_at: Some(second(left)),
        open: vec![lost.clone()],
        ..LevelAt::default()
    };
    // It left before the write could be told of, and took a minute: it proves nothing, and nothing is written by it.
    for (left, units) in [(5, 9), (5, 7), (14, 9)] {
        let decision = at_a(read(left, units), second(75));
        let settles = |body: &Body| matches!(body, Body::Settled { .. } | Body::LevelSeen { .. });
        assert!(!decision.bodies.iter().any(settles), "{left}: {decision:?}");
        assert!(decision.writes.is_empty() && !decision.done);
    }
    let proves = at_a(read(15, 9), second(75));
    assert!(proves.bodies.contains(&Body::Settled {
        intent: IntentId(1),
        how: Box::new(lockstep_model::entry::Settlement::NotApplied { fault: None }),
    }));
    assert_eq!(proves.writes.len(), 1);
}

#[test]
fn x2_a_level_refused_at_one_target_is_written_at_another() {
    let aside = |refused: i64| LevelAt {
        held: Some((level("KH-100", 20), Decimal::ZERO)),
        aside_until: Some(Timestamp::MAX),
        refused: [crate::write::of_level(refused.into(), refused.into())].into(),
        tries: 5,
        ..LevelAt::default()
    };
    let same = at_a(aside(7), second(0));
    assert!(same.writes.is_empty() && !same.done);
    let other = at_a(aside(8), second(0));
    assert_eq!(other.writes.len(), 1);
    assert_eq!(
        other.writes[0].tries, 0,
        "another change has not failed yet"
    );
}
