//! Several stocks: an ERP that has two, a shop that sells from both and is told their sum, and one that sells from the
//! second alone.

use super::{StockDecision, Switch, close, evaluate};
use crate::fixture::{A, B, ERP, level, rules};
use crate::rules::Rules;
use jiff::Timestamp;
use lockstep_model::cases::{ClosingCase, LevelAt, LineCase, LineSide, StockCase};
use lockstep_model::entry::{Body, What};
use lockstep_model::settings::{RowId, StockId, StockServiceIdentifier};
use lockstep_model::{CustomerId, Level, Named, OrderKey, RunId, ShopId, Takes};
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

const MAIN: StockId = StockId(1);
const OUTLET: StockId = StockId(2);

#[derive(Debug, Clone, Copy)]
struct Order {
    origin: ShopId,
    units: i64,
    cancelled: bool,
    /// Where its copy took it in the ERP.
    copy: Option<StockId>,
}

struct World {
    rules: Rules,
    /// What can be sold, by shop and by the stock of ours that its level is compared with.
    available: BTreeMap<(ShopId, StockId), i64>,
    orders: BTreeMap<u64, Order>,
    bases: BTreeMap<StockId, Decimal>,
    shadows: BTreeMap<(ShopId, StockId), (Level, Decimal)>,
    erp_writes: usize,
}

fn our_rules() -> Rules {
    let mut rules = rules(Takes::Placement, Takes::Placement, Takes::Placement);
    let settings = Arc::make_mut(&mut rules.settings);
    settings.customer.stock_id = Some(MAIN);
    for (shop, stock, name) in [
        (ERP, MAIN, "main"),
        (ERP, OUTLET, "outlet"),
        (B, OUTLET, "b"),
    ] {
        let rows = &mut settings.stock_service_identifiers;
        rows.push(StockServiceIdentifier {
            id: RowId(rows.len() as u64 + 1),
            stock_id: stock,
            service_id: shop,
            identifier: name.into(),
        });
    }
    let a = settings.customer_has_services.iter_mut();
    for link in a.filter(|link| link.service_id == A) {
        link.sells_from = vec![MAIN, OUTLET];
    }
    let erp = rules.shops.get_mut(&ERP).unwrap();
    erp.identity.stocks = ["main", "outlet"]
        .map(|name| Named {
            id: name.into(),
            name: name.into(),
        })
        .into();
    rules
}

impl World {
    fn new(main: i64, outlet: i64) -> Self {
        let mut world = Self {
            rules: our_rules(),
            available: [
                ((ERP, MAIN), main),
                ((ERP, OUTLET), outlet),
                ((A, MAIN), 0),
                ((B, OUTLET), 0),
            ]
            .into(),
            orders: BTreeMap::new(),
            bases: BTreeMap::new(),
            shadows: BTreeMap::new(),
            erp_writes: 0,
        };
        world.sync();
        world
    }

    /// Where a shop's own orders lower what it shows.
    fn home(shop: ShopId) -> StockId {
        if shop == A { MAIN } else { OUTLET }
    }

    fn show(&mut self, shop: ShopId, stock: StockId) -> &mut i64 {
        self.available.get_mut(&(shop, stock)).unwrap()
    }

    fn buy(&mut self, origin: ShopId, units: i64) {
        *self.show(origin, Self::home(origin)) -= units;
        let order = Order {
            origin,
            units,
            cancelled: false,
            copy: None,
        };
        self.orders.insert(self.orders.len() as u64 + 1, order);
    }

    /// The ERP takes it from a stock of its own choice.
    fn import(&mut self, order: u64, stock: StockId) {
        let Some(held) = self.orders.get_mut(&order) else {
            return;
        };
        if held.copy.is_none() && !held.cancelled {
            held.copy = Some(stock);
            let units = held.units;
            *self.show(ERP, stock) -= units;
        }
    }

    /// Cancelled everywhere: each shop gives back what it took.
    fn cancel(&mut self, order: u64) {
        let Some(held) = self.orders.get_mut(&order) else {
            return;
        };
        if std::mem::replace(&mut held.cancelled, true) {
            return;
        }
        let Order {
            origin,
            units,
            copy,
            ..
        } = *held;
        *self.show(origin, Self::home(origin)) += units;
        if let Some(stock) = copy {
            *self.show(ERP, stock) += units;
        }
    }

    fn lines(&self) -> Vec<LineCase> {
        let side = |order: &Order| LineSide {
            wanted: if order.cancelled { 0 } else { order.units }.into(),
            taken: if order.cancelled { 0 } else { order.units }.into(),
            done: order.cancelled,
        };
        self.orders
            .iter()
            .map(|(id, order)| {
                let at = |stock| BTreeMap::from([(stock, side(order))]);
                let mut sides = BTreeMap::from([(order.origin, at(Self::home(order.origin)))]);
                sides.extend(order.copy.map(|stock| (ERP, at(stock))));
                LineCase {
                    order: OrderKey {
                        customer: CustomerId(1),
                        shop: order.origin,
                        id: format!("o{id:03}").into(),
                    },
                    number: id.to_string(),
                    before_opening: false,
                    accepted: !order.cancelled,
                    sides,
                    on_its_way: vec![],
                }
            })
            .collect()
    }

    fn case(&self, stock: StockId) -> StockCase {
        let lines = self.lines();
        let levels = self.available.iter().filter(|((_, at), _)| *at == stock);
        let levels = levels.map(|((shop, _), available)| {
            let sides = lines
                .iter()
                .filter_map(|line| line.sides.get(shop)?.get(&stock));
            let at = LevelAt {
                held: self.shadows.get(&(*shop, stock)).cloned(),
                staged: Some((level("KH-100", *available), 1)),
                taken: sides.map(|side| side.taken).sum(),
                ..LevelAt::default()
            };
            (*shop, at)
        });
        let levels = levels.collect();
        let mut other_bases = self.bases.clone();
        StockCase {
            item: "KH-100".into(),
            sku: "KH-100".into(),
            stock,
            status: None,
            base: other_bases.remove(&stock),
            counted_by: Some(ERP),
            other_bases,
            emptied: Default::default(),
            levels,
            lines,
            conflicts: vec![],
        }
    }

    /// Reads all, decides, writes. Answers how many writes there were.
    fn sync(&mut self) -> usize {
        let cases = [MAIN, OUTLET].map(|stock| self.case(stock));
        let now = Timestamp::UNIX_EPOCH;
        let decisions = evaluate(&cases, &self.rules, RunId(1), &mut 1, now, Switch::Asked);
        let mut count = 0;
        for (stock, decision) in [MAIN, OUTLET].into_iter().zip(decisions) {
            count += decision.writes.len();
            self.carry_out(stock, decision);
        }
        count
    }

    fn carry_out(&mut self, stock: StockId, decision: StockDecision) {
        for body in decision.bodies {
            match body {
                Body::BaseMoved { stock, delta, .. } => {
                    *self.bases.entry(stock).or_default() += delta;
                }
                Body::LevelSeen {
                    shop, level, taken, ..
                } => {
                    self.shadows.insert((shop, stock), (level, taken));
                }
                _ => {}
            }
        }
        for write in decision.writes {
            let What::Level { on_hand, .. } = write.what else {
                panic!("{write:?}");
            };
            self.erp_writes += usize::from(write.shop == ERP);
            *self.show(write.shop, stock) = on_hand.try_into().unwrap();
            let shadow = self.shadows.get_mut(&(write.shop, stock)).unwrap();
            shadow.0.on_hand = on_hand;
        }
    }

    fn shown(&self) -> [i64; 4] {
        [(ERP, MAIN), (ERP, OUTLET), (A, MAIN), (B, OUTLET)].map(|at| self.available[&at])
    }
}

#[test]
fn a_shop_that_sells_from_two_stocks_is_told_their_sum() {
    let mut world = World::new(10, 5);
    assert_eq!(world.shown(), [10, 5, 15, 5]);
    world.buy(B, 2);
    assert_eq!(world.sync(), 1, "A alone is written");
    assert_eq!(world.shown(), [10, 5, 13, 3]);
    world.import(1, OUTLET);
    assert_eq!(world.sync(), 0, "the ERP lowers itself");
    *world.show(ERP, MAIN) -= 4;
    *world.show(ERP, OUTLET) += 4;
    assert_eq!(world.sync(), 1, "a move between stocks is nothing to a sum");
    assert_eq!(world.shown(), [6, 7, 13, 7]);
}

#[test]
fn what_the_erp_takes_from_another_stock_than_was_thought_counts_once() {
    let mut world = World::new(10, 5);
    world.buy(A, 3);
    assert_eq!(
        world.sync(),
        0,
        "the first stock has it, and B does not sell from there"
    );
    world.import(1, OUTLET);
    assert_eq!(world.sync(), 1);
    assert_eq!(world.shown(), [10, 2, 12, 2]);
    world.cancel(1);
    world.sync();
    assert_eq!(world.shown(), [10, 5, 15, 5]);
}

#[test]
fn where_no_order_crosses_a_sale_is_booked_to_the_first_stock_that_has_it() {
    let mut world = World::new(2, 5);
    Arc::make_mut(&mut world.rules.settings)
        .policies
        .orders
        .into = None;
    world.buy(A, 3);
    world.sync();
    assert_eq!(world.shown(), [2, 2, 4, 2]);
    world.buy(A, 2);
    world.sync();
    assert_eq!(world.shown(), [0, 2, 2, 2]);
    assert_eq!(world.sync(), 0);
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Buy(bool, i64),
    Import(u64, bool),
    Cancel(u64),
    Receive(bool, i64),
    Move(i64),
    Sync,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<bool>(), 1_i64..4).prop_map(|(a, units)| Act::Buy(a, units)),
        3 => (1_u64..9, any::<bool>()).prop_map(|(order, main)| Act::Import(order, main)),
        1 => (1_u64..9).prop_map(Act::Cancel),
        1 => (any::<bool>(), -3_i64..6).prop_map(|(main, units)| Act::Receive(main, units)),
        1 => (-4_i64..4).prop_map(Act::Move),
        4 => Just(Act::Sync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Wherever the ERP takes what was sold: at rest each shop shows what is left in the stocks that it sells from, and
    /// the ERP was never corrected.
    #[test]
    fn at_rest_each_shop_shows_what_is_left_in_its_stocks(acts in prop::collection::vec(act(), 1..40)) {
        let mut world = World::new(40, 30);
        let mut received = 70;
        let stock = |main: bool| if main { MAIN } else { OUTLET };
        for act in acts {
            match act {
                Act::Buy(a, units) => world.buy(if a { A } else { B }, units),
                Act::Import(order, main) => world.import(order, stock(main)),
                Act::Cancel(order) => world.cancel(order),
                Act::Receive(main, units) => {
                    *world.show(ERP, stock(main)) += units;
                    received += units;
                }
                Act::Move(units) => {
                    *world.show(ERP, MAIN) -= units;
                    *world.show(ERP, OUTLET) += units;
                }
                Act::Sync => { world.sync(); }
            }
        }
        for order in 1..=world.orders.len() as u64 {
            world.import(order, stock(order % 2 == 0));
        }
        for _ in 0..3 {
            world.sync();
        }
        prop_assert_eq!(world.sync(), 0, "a last sync writes nothing");
        let sold = world.orders.values().filter(|order| !order.cancelled);
        let left = received - sold.map(|order| order.units).sum::<i64>();
        let [main, outlet, a, b] = world.shown();
        prop_assert_eq!(main + outlet, left);
        prop_assert_eq!((a, b), (left, outlet));
        prop_assert_eq!(world.erp_writes, 0);
    }
}

#[test]
fn an_order_that_is_over_leaves_the_base_where_it_counted_and_no_number_moves() {
    let mut world = World::new(10, 5);
    world.buy(A, 3);
    world.import(1, OUTLET);
    world.sync();
    let mut lines = world.lines();
    for side in lines[0].sides.values_mut().flat_map(BTreeMap::values_mut) {
        side.done = true;
    }
    let case = |over: bool| ClosingCase {
        item: "KH-100".into(),
        bases: world.bases.clone(),
        lines: lines.clone(),
        over: over.then(|| lines[0].order.clone()).into_iter().collect(),
    };
    assert_eq!(close(&case(false), &world.rules), []);
    let moved: Vec<(StockId, Decimal)> = close(&case(true), &world.rules)
        .into_iter()
        .map(|body| match body {
            Body::BaseMoved { stock, delta, .. } => (stock, delta),
            body => panic!("{body:?}"),
        })
        .collect();
    // The first stock held what the web shop says of it: it goes as well, and takes nothing along.
    assert_eq!(moved, [(OUTLET, Decimal::from(-3)), (MAIN, Decimal::ZERO)]);
    let mut not_done = case(true);
    for side in not_done.lines[0].sides.get_mut(&A).unwrap().values_mut() {
        side.done = false;
    }
    assert_eq!(close(&not_done, &world.rules), []);
    // A second line of the SKU goes with it, or holds it up.
    let mut twins = case(true);
    twins.lines.push(lines[0].clone());
    let moved = close(&twins, &world.rules);
    assert!(matches!(moved[0], Body::BaseMoved { delta, .. } if delta == Decimal::from(-6)));
    twins.lines.push(not_done.lines[0].clone());
    assert_eq!(close(&twins, &world.rules), []);
    // Money that was given back on one side travels once the orders' flow is on again.
    let over = case(true);
    Arc::make_mut(&mut world.rules.settings)
        .customer
        .sync_orders = false;
    assert_eq!(close(&over, &world.rules), []);
}
