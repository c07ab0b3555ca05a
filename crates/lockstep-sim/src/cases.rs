//! Histories that were seen in use, played once more against made-up shops: each stands for a kind.

use crate::check::{at_rest, waiting};
use crate::closing::open_all;
use crate::coordinator::later;
use crate::dice::Dice;
use crate::refusals::Refusal;
use crate::scenario::{ERP, UNITS, WEB, product, rules, sku};
use crate::shop::{Basket, LevelWrites, Line, OrderKeys, SimShop, Traits};
use crate::sim::Sim;
use crate::topics::Topics;
use crate::world::{Terms, World};
use jiff::Timestamp;
use lockstep_engine::Rules;
use lockstep_model::{ChangeSort, FaultKind, Flow, Payment, Product, RemoteId, ShopId, Takes};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// An ERP and two web shops that are in step, and nothing goes wrong.
fn quiet() -> (Sim, World) {
    let now = Timestamp::from_second(1_772_000_000).unwrap();
    let traits = Traits {
        takes: Takes::Placement,
        copies_take: Takes::Placement,
        gives_back: true,
        level_writes: LevelWrites::Relative,
        order_keys: OrderKeys::Unique,
        cancels_units: false,
        readdresses: false,
        keeps_links: true,
        lossy: false,
        reencodes: false,
        search_lag_ms: 0,
    };
    let mut world = World {
        topics: Topics::NONE,
        terms: Terms::default(),
        more: Dice::new(1),
        parcels: 0,
        named: 0,
        closes_at_once: false,
        picky: None,
        received: BTreeMap::new(),
        moved_at: BTreeMap::new(),
        counted: BTreeMap::new(),
        bought: BTreeSet::new(),
        paid_back: BTreeMap::new(),
        taken_back: BTreeMap::new(),
        wiped: BTreeMap::new(),
        deleted_there: BTreeMap::new(),
        sell_both: BTreeSet::new(),
        titles_follow_edits: false,
    };
    let mut shops: BTreeMap<ShopId, SimShop> = [ERP, WEB[0], WEB[1]]
        .map(|shop| (shop, SimShop::new(shop, traits.clone())))
        .into();
    for number in 1..=6 {
        let erp = shops.get_mut(&ERP).unwrap();
        erp.add_product(product(number, Topics::NONE), UNITS, now);
        world.received.insert(sku(number), UNITS);
    }
    let rules = rules(&shops, false, false, &world);
    let mut sim = Sim::new(shops, rules, Dice::new(1), None, now);
    sim.pass(90_000);
    assert_eq!(
        wrong(&sim, &world),
        Vec::<String>::new(),
        "it begins in step"
    );
    (sim, world)
}

fn wrong(sim: &Sim, world: &World) -> Vec<String> {
    let mut found = sim.unexplained.clone();
    found.extend(at_rest(sim, world, &waiting(sim, world)));
    found
}

fn refuse(sim: &mut Sim, shop: ShopId, kind: FaultKind, seconds: i64) -> &mut Refusal {
    sim.refusals.push(Refusal {
        shop,
        sort: None,
        about: None,
        kind,
        until: later(sim.now, seconds * 1_000),
        reads_too: false,
        dislikes: None,
    });
    sim.refusals.last_mut().unwrap()
}

fn asides(sim: &Sim) -> usize {
    sim.journal().unwrap().asides(100).unwrap().len()
}

fn edit(sim: &mut Sim, number: i64, edit: impl FnOnce(&mut Product)) {
    let erp = sim.shops.get_mut(&ERP).unwrap();
    let known = erp.products.iter().find(|(_, product)| {
        let mut variants = product.variants.iter();
        variants.any(|variant| variant.sku == sku(number))
    });
    let id: RemoteId = known.map(|(id, _)| id.clone()).unwrap();
    erp.edit_product(&id, edit);
    sim.wake(ERP, Flow::Products);
}

fn price(product: &mut Product, cents: i64) {
    for variant in &mut product.variants {
        variant.prices = [("EUR".into(), Decimal::new(cents, 2))].into();
    }
}

fn shown(sim: &Sim, shop: ShopId, number: i64) -> &Product {
    let mut products = sim.shops[&shop].products.values();
    let found = products.find(|product| product.variants.iter().any(|v| v.sku == sku(number)));
    found.unwrap()
}

fn receive(sim: &mut Sim, world: &mut World, number: i64, units: i64) {
    sim.shops
        .get_mut(&ERP)
        .unwrap()
        .move_on_hand(&sku(number), units);
    *world.received.entry(sku(number)).or_default() += units;
    *world.counted.entry((ERP, sku(number))).or_default() += units.abs();
    let moved = world.moved_at.entry(sku(number)).or_default();
    moved.push((sim.now, units));
    sim.wake(ERP, Flow::Stock);
}

#[test]
fn x1_what_a_shop_refused_for_a_minute_goes_on_by_itself_when_it_answers() {
    for kind in [
        FaultKind::Forbidden,
        FaultKind::Auth,
        FaultKind::Unavailable,
        FaultKind::Protocol,
    ] {
        let (mut sim, mut world) = quiet();
        refuse(&mut sim, WEB[0], kind.clone(), 60);
        refuse(&mut sim, ERP, kind.clone(), 60);
        for number in 1..=3 {
            edit(&mut sim, number, |product| price(product, 900 + number));
            receive(&mut sim, &mut world, number, 5);
        }
        let now = sim.now;
        let basket = Basket {
            lines: vec![Line::new(Some(sku(4)), 2, Decimal::TEN, Decimal::ZERO)],
            charges: vec![],
            payment: Payment::Paid,
            payment_method: None,
            address: 0,
        };
        let web = sim.shops.get_mut(&WEB[1]).unwrap();
        let order = web.buy(basket, now).unwrap();
        world.bought.insert((WEB[1], order));
        sim.wake(WEB[1], Flow::Orders);
        for _ in 0..12 {
            sim.pass(5_000);
            assert_eq!(asides(&sim), 0, "{kind:?} is never the record's");
        }
        assert!(!wrong(&sim, &world).is_empty(), "it was refused");
        sim.pass(5 * 60_000);
        assert_eq!(wrong(&sim, &world), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn x2_a_record_that_was_refused_is_written_once_it_is_corrected_at_its_source() {
    let (mut sim, world) = quiet();
    let kind = FaultKind::Invalid { field: None };
    refuse(&mut sim, WEB[0], kind, 86_400).dislikes = Some("forbidden word".into());
    edit(&mut sim, 1, |product| {
        product.title = "a forbidden word".into();
        price(product, 1_100);
    });
    sim.pass(5_000);
    assert_eq!(asides(&sim), 1);
    edit(&mut sim, 1, |product| {
        product.title = "a fine word".into();
        price(product, 1_200);
    });
    sim.pass(5_000);
    assert_eq!(shown(&sim, WEB[0], 1).title, "a fine word");
    assert_eq!(wrong(&sim, &world), Vec::<String>::new());
}

#[test]
fn x2_a_level_that_was_refused_is_written_once_its_target_is_another() {
    let (mut sim, mut world) = quiet();
    let kind = FaultKind::Invalid { field: None };
    let dislikes = (UNITS + 1).to_string();
    refuse(&mut sim, WEB[0], kind, 86_400).dislikes = Some(dislikes);
    receive(&mut sim, &mut world, 1, 1);
    sim.pass(10_000);
    assert_eq!(asides(&sim), 1);
    receive(&mut sim, &mut world, 1, 1);
    sim.pass(10_000);
    assert_eq!(wrong(&sim, &world), Vec::<String>::new());
}

#[test]
fn x4_a_create_that_is_refused_stands_aside_with_the_shop_s_own_words_and_is_seldom_tried() {
    let (mut sim, mut world) = quiet();
    let kind = FaultKind::Duplicate { existing: None };
    refuse(&mut sim, WEB[0], kind, 3_600).about = Some(sku(7).0);
    let (now, before) = (sim.now, sim.entries());
    let erp = sim.shops.get_mut(&ERP).unwrap();
    erp.add_product(product(7, Topics::NONE), UNITS, now);
    world.received.insert(sku(7), UNITS);
    sim.wake(ERP, Flow::Products);
    sim.pass(60_000);
    let aside = sim.journal().unwrap().asides(10).unwrap();
    assert_eq!(aside.len(), 1);
    assert_eq!(aside[0].fault.message, "it is refused, for a while");
    sim.pass(3_540_000);
    let tries = sim.refused_pushes.values().map(Vec::len).max();
    assert!(
        tries.is_some_and(|tries| (2..20).contains(&tries)),
        "{tries:?}"
    );
    let grown = sim.entries() - before;
    assert!(grown < 1_500, "{grown} entries in an hour");
    sim.pass(20 * 60_000);
    assert_eq!(wrong(&sim, &world), Vec::<String>::new());
}

#[test]
fn x5_read_only_in_mid_run_lets_nothing_further_through() {
    let (mut sim, world) = quiet();
    sim.calls_per_second = Some(2.0);
    for number in 1..=6 {
        edit(&mut sim, number, |product| price(product, 1_500 + number));
    }
    let before = sim.pushes;
    while sim.pushes == before {
        sim.pass(20);
    }
    let mut closed = Rules::clone(&sim.opened);
    closed.shops.get_mut(&WEB[0]).unwrap().read_only = true;
    closed.shops.get_mut(&WEB[1]).unwrap().read_only = true;
    sim.change_settings(closed);
    let written = sim.pushes;
    sim.pass(60_000);
    assert_eq!((sim.pushes, sim.unexplained.len()), (written, 0));
    open_all(&mut sim);
    sim.pass(120_000);
    // A look by schedule may be under way at this very moment.
    for _ in 0..100 {
        if sim.is_at_rest() {
            break;
        }
        sim.pass(100);
    }
    assert_eq!(wrong(&sim, &world), Vec::<String>::new());
}

#[test]
fn a_right_that_is_missing_for_one_sort_of_write_holds_up_no_other() {
    let (mut sim, mut world) = quiet();
    refuse(&mut sim, WEB[0], FaultKind::Forbidden, 86_400).sort = Some(ChangeSort::SetLevel);
    receive(&mut sim, &mut world, 1, 5);
    sim.pass(5_000);
    edit(&mut sim, 2, |product| price(product, 1_300));
    sim.pass(5_000);
    let price = &shown(&sim, WEB[0], 2).variants[0].prices;
    assert_eq!(price, &[("EUR".into(), Decimal::new(1_300, 2))].into());
}
