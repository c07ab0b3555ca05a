//! What buyers and the merchant's people do.

use crate::baskets::{basket, label};
use crate::catalogue_acts::{self, is_shown_only};
use crate::coordinator::later;
use crate::dice::Dice;
use crate::scenario::{ERP, UNITS, WEB, product, sku};
use crate::shop::Line;
use crate::sim::Sim;
use crate::stocks;
use crate::topics::Topic;
use crate::wiped;
use crate::world::{World, key_of};
use lockstep_engine::Rules;
use lockstep_model::{Flow, Payment, RemoteId, ShopId, Sku};
use rust_decimal::Decimal;
use std::sync::Arc;

/// Products that are added while everything goes on.
const PRODUCTS_MAX: usize = 6;

pub fn act(sim: &mut Sim, dice: &mut Dice, world: &mut World) {
    if world.more.chance(70) {
        act_on_parts(sim, world);
    }
    if world.more.chance(60) {
        catalogue_acts::act(sim, world);
    }
    let web = if dice.chance(50) { WEB[0] } else { WEB[1] };
    match dice.below(100) {
        0..=35 => buy(sim, dice, world, web, 60),
        36..=41 => buy(sim, dice, world, ERP, 100),
        42..=53 => with_order(sim, dice, web, |sim, shop, id| {
            sim.shops.get_mut(&shop)?.pay(id);
            Some(())
        }),
        // Shipped where it was sold, or from the ERP.
        54..=59 => {
            let label = label(world);
            with_order(sim, dice, web, |sim, shop, id| {
                let is_paid = sim.shops[&shop].orders[id].is_paid();
                let free = is_paid && !cancelled_elsewhere(sim, shop, id);
                free.then(|| ship(sim, shop, id, label))?
            });
        }
        60..=65 => {
            let label = label(world);
            with_order(sim, dice, ERP, |sim, shop, id| {
                let is_paid = sim.shops[&shop].orders[id].is_paid();
                let free = is_paid && !cancelled_elsewhere(sim, shop, id);
                free.then(|| ship(sim, shop, id, label))?
            });
        }
        66..=72 => with_order(sim, dice, web, |sim, shop, id| {
            let free = !shipped_elsewhere(sim, shop, id);
            free.then(|| sim.shops.get_mut(&shop).map(|shop| shop.cancel(id)))?
        }),
        73..=75 => with_order(sim, dice, ERP, |sim, shop, id| {
            let free = !shipped_elsewhere(sim, shop, id);
            free.then(|| sim.shops.get_mut(&shop).map(|shop| shop.cancel(id)))?
        }),
        // Nobody asks the other side.
        76 => with_order(sim, dice, web, |sim, shop, id| {
            sim.shops.get_mut(&shop)?.cancel(id);
            Some(())
        }),
        77..=80 => {
            let shop = if dice.chance(70) { web } else { ERP };
            let units = dice.between(1, 3);
            let nth = world.more.below(12) as usize;
            let unseen = !world.topics.has(Topic::BrokenUnseen);
            let put_back = !(world.topics.has(Topic::Broken) && world.more.chance(40));
            with_order(sim, dice, shop, |sim, shop, id| {
                let index = nth_line(sim, shop, id, nth, Line::away)?;
                let own = sim.shops[&shop].orders[id].key.clone();
                let key = own.unwrap_or_else(|| key_of(shop, id));
                world.taken_back.entry(key).or_default().insert(shop);
                let at = sim.shops.get_mut(&shop)?;
                let put_back = put_back || (unseen && at.orders[id].takes_late());
                at.take_back(id, index, units, put_back);
                Some(())
            });
        }
        81..=87 => {
            let sku = any_sku(sim, dice);
            // A receipt, or a count that finds less.
            let units = if dice.chance(75) {
                dice.between(1, 6)
            } else {
                dice.between(-2, -1)
            };
            if let Some(erp) = sim.shops.get_mut(&ERP) {
                erp.move_on_hand(&sku, units);
            }
            sim.tell(|| format!("{units} of {sku} come into the ERP"));
            *world.received.entry(sku.clone()).or_default() += units;
            *world.counted.entry((ERP, sku.clone())).or_default() += units.abs();
            let moved = world.moved_at.entry(sku).or_default();
            moved.push((sim.now, units));
            sim.wake(ERP, Flow::Stock);
        }
        // Somebody counts in a shop whose count decides nothing.
        88 => {
            let sku = any_sku(sim, dice);
            let units = dice.between(-2, 3);
            if let Some(shop) = sim.shops.get_mut(&web) {
                shop.move_on_hand(&sku, units);
            }
            sim.tell(|| format!("{units} of {sku} are counted into shop {web}"));
            *world.counted.entry((web, sku)).or_default() += units.abs();
            sim.wake(web, Flow::Stock);
        }
        89..=92 if world.titles_follow_edits => {
            let shop = if dice.chance(34) { ERP } else { web };
            edit_title(sim, dice, world, shop);
        }
        89..=92 => {
            let price = Decimal::new(dice.between(500, 2_000), 2);
            edit(sim, dice, ERP, |product| {
                for variant in &mut product.variants {
                    variant.prices = [("EUR".into(), price)].into();
                }
            });
        }
        93..=95 => edit_title(sim, dice, world, ERP),
        96..=98 => edit_title(sim, dice, world, web),
        _ => {
            let number = sold(sim);
            if number < PRODUCTS_MAX {
                let now = sim.now;
                let number = number as i64 + 1;
                if let Some(erp) = sim.shops.get_mut(&ERP) {
                    erp.add_product(product(number, world.topics), UNITS, now);
                }
                world.received.insert(sku(number), UNITS);
                sim.wake(ERP, Flow::Products);
            }
        }
    }
}

fn any_sku(sim: &Sim, dice: &mut Dice) -> Sku {
    sku(dice.between(1, sold(sim) as i64))
}

/// How many products there are that people buy.
fn sold(sim: &Sim) -> usize {
    let products = sim.shops[&ERP].products.values();
    products
        .filter(|product| !product.variants.iter().any(|v| is_shown_only(&v.sku)))
        .count()
}

fn buy(sim: &mut Sim, dice: &mut Dice, world: &mut World, shop: ShopId, paid_percent: u64) {
    let sku = any_sku(sim, dice);
    let quantity = dice.between(1, 3);
    let paid = dice.chance(paid_percent);
    let basket = basket(sim, world, shop, sku, quantity, paid);
    let now = sim.now;
    let bought = sim
        .shops
        .get_mut(&shop)
        .and_then(|at| at.buy(basket.clone(), now));
    if let Some(id) = bought {
        sim.tell(|| {
            let lines = basket.lines.iter().map(|line| match &line.sku {
                Some(sku) => format!("{} of {sku}", line.quantity),
                None => "a tip".into(),
            });
            let lines: Vec<String> = lines.collect();
            let (lines, payment) = (lines.join(", "), basket.payment);
            format!("{lines} are bought in shop {shop} as {id}, {payment:?}")
        });
        world.bought.insert((shop, id));
        sim.wake(shop, Flow::Orders);
    }
}

fn with_order(
    sim: &mut Sim,
    dice: &mut Dice,
    shop: ShopId,
    act: impl FnOnce(&mut Sim, ShopId, &RemoteId) -> Option<()>,
) {
    let ids: Vec<RemoteId> = sim.shops[&shop].orders.keys().cloned().collect();
    let Some(id) = dice.pick(&ids) else {
        return;
    };
    let before = format!("{:?}", sim.shops[&shop].orders[id]);
    act(sim, shop, id);
    let after = format!("{:?}", sim.shops[&shop].orders[id]);
    if before != after {
        sim.tell(|| format!("somebody acts on {id} in shop {shop}: {after}"));
        sim.wake(shop, Flow::Orders);
    }
}

/// The other sides of an order.
fn elsewhere(
    sim: &Sim,
    shop: ShopId,
    id: &RemoteId,
    is_so: impl Fn(&crate::shop::Placed) -> bool,
) -> bool {
    let own = sim.shops[&shop].orders[id].key.clone();
    let key = own.unwrap_or_else(|| key_of(shop, id));
    sim.shops
        .iter()
        .filter(|(other, _)| **other != shop)
        .any(|(other, state)| {
            state.orders.iter().any(|(id, order)| {
                let theirs = order.key.clone().unwrap_or_else(|| key_of(*other, id));
                theirs == key && is_so(order)
            })
        })
}

fn cancelled_elsewhere(sim: &Sim, shop: ShopId, id: &RemoteId) -> bool {
    elsewhere(sim, shop, id, |order| order.cancelled)
}

fn shipped_elsewhere(sim: &Sim, shop: ShopId, id: &RemoteId) -> bool {
    elsewhere(sim, shop, id, crate::shop::Placed::any_shipped)
}

fn edit(
    sim: &mut Sim,
    dice: &mut Dice,
    shop: ShopId,
    edit: impl FnOnce(&mut lockstep_model::Product),
) {
    let ids: Vec<RemoteId> = sim.shops[&shop].products.keys().cloned().collect();
    if let Some(id) = dice.pick(&ids)
        && let Some(at) = sim.shops.get_mut(&shop)
    {
        at.edit_product(id, edit);
        sim.tell(|| format!("product {id} is edited in shop {shop}"));
        sim.wake(shop, Flow::Products);
    }
}

/// Where every edit counts, each product has one shop in which its title is edited: two that edit at once are for a
/// person, and then there would be nothing to check.
fn edit_title(sim: &mut Sim, dice: &mut Dice, world: &World, shop: ShopId) {
    let words = ["!", " new", "  and  improved ", " \u{e4}\u{e4}"];
    let word = dice.pick(&words).copied().unwrap_or("!");
    let ids: Vec<RemoteId> = sim.shops[&shop]
        .products
        .iter()
        .filter(|(_, product)| {
            let number: u64 = product
                .variants
                .first()
                .and_then(|variant| variant.sku.0.strip_prefix("KH-")?.parse().ok())
                .unwrap_or_default();
            !world.titles_follow_edits || ShopId(number % 3 + 1) == shop
        })
        .map(|(id, _)| id.clone())
        .collect();
    if let Some(id) = dice.pick(&ids)
        && let Some(at) = sim.shops.get_mut(&shop)
    {
        at.edit_product(id, |product| product.title.push_str(word));
        sim.tell(|| format!("the title of {id} is edited in shop {shop}"));
        sim.wake(shop, Flow::Products);
    }
}

/// Every order is paid or cancelled in the end, so that nothing hangs between.
pub fn finish_orders(sim: &mut Sim, dice: &mut Dice) {
    for shop in WEB {
        let ids: Vec<RemoteId> = sim.shops[&shop].orders.keys().cloned().collect();
        for id in ids {
            let pays = dice.chance(70);
            if let Some(shop) = sim.shops.get_mut(&shop) {
                if pays {
                    shop.pay(&id);
                } else if !shop.orders[&id].is_paid() {
                    shop.cancel(&id);
                }
            }
        }
    }
}

/// Carrier and tracking number of a parcel.
type Label = (Option<String>, Option<String>);

fn ship(sim: &mut Sim, shop: ShopId, id: &RemoteId, label: Label) -> Option<()> {
    let (carrier, tracking) = label;
    let at = sim.shops.get_mut(&shop)?;
    at.ship(id, carrier.as_deref(), tracking.as_deref());
    Some(())
}

/// One of the lines that have such units.
fn nth_line(
    sim: &Sim,
    shop: ShopId,
    id: &RemoteId,
    nth: usize,
    units: impl Fn(&Line) -> i64,
) -> Option<usize> {
    let lines = &sim.shops[&shop].orders[id].lines;
    let indices: Vec<usize> = (0..lines.len())
        .filter(|index| units(&lines[*index]) > 0)
        .collect();
    indices.get(nth % indices.len().max(1)).copied()
}

/// A part of an order is shipped or cancelled, or money is promised for it.
fn act_on_parts(sim: &mut Sim, world: &mut World) {
    let mut dice = world.more.clone();
    let shop = [WEB[0], WEB[1], ERP][dice.below(3) as usize];
    let topics = world.topics;
    match dice.below(8) {
        0 if topics.has(Topic::Parts) => {
            let label = label(world);
            let (nth, most) = (dice.below(12) as usize, dice.between(1, 2));
            let more = dice.chance(40);
            with_order(sim, &mut dice, shop, |sim, shop, id| {
                let order = &sim.shops[&shop].orders[id];
                if !order.is_paid() || cancelled_elsewhere(sim, shop, id) {
                    return None;
                }
                let first = nth_line(sim, shop, id, nth, Line::open)?;
                let mut units = vec![(first, most)];
                if more {
                    let others = order.open_units().into_iter();
                    units.extend(others.filter(|(index, _)| *index != first));
                }
                let (carrier, tracking) = label;
                let at = sim.shops.get_mut(&shop)?;
                at.ship_units(id, &units, carrier.as_deref(), tracking.as_deref(), None);
                Some(())
            });
        }
        1 if topics.has(Topic::PartCancels) => {
            let nth = dice.below(12) as usize;
            with_order(sim, &mut dice, shop, |sim, shop, id| {
                // Before it has crossed it is another order: its buyer changed their mind.
                let has_crossed = elsewhere(sim, shop, id, |_| true);
                if !has_crossed || shipped_elsewhere(sim, shop, id) {
                    return None;
                }
                let index = nth_line(sim, shop, id, nth, Line::open)?;
                let order = &sim.shops[&shop].orders[id];
                let wanted: i64 = order.lines.iter().map(Line::wanted).sum();
                if order.any_shipped() || wanted < 2 {
                    return None;
                }
                sim.shops.get_mut(&shop)?.cancel_units(id, index, 1, true);
                Some(())
            });
        }
        2 if topics.has(Topic::Authorised) && shop != ERP => {
            let payment = [Payment::Accepted, Payment::Authorized][dice.below(2) as usize];
            with_order(sim, &mut dice, shop, |sim, shop, id| {
                sim.shops.get_mut(&shop)?.promise(id, payment);
                Some(())
            });
        }
        3 if topics.has(Topic::Refunds) => {
            let cents = dice.between(50, 300);
            with_order(sim, &mut dice, shop, |sim, shop, id| {
                let order = &sim.shops[&shop].orders[id];
                let amount = Decimal::new(cents, 2);
                // Never all of it: then it would not have to be shipped.
                let is_part = order.refunded() + amount < order.total / Decimal::TWO;
                if order.is_paid() && !order.cancelled && is_part {
                    let at = sim.shops.get_mut(&shop)?;
                    at.refund(id, amount, Decimal::ZERO, None);
                }
                Some(())
            });
        }
        4 if topics.has(Topic::FullRefunds) && shop != ERP => {
            give_all_back(sim, &mut dice, world, shop)
        }
        5 if topics.has(Topic::Readdressed) && shop != ERP => {
            world.named += 1;
            let address = world.named;
            with_order(sim, &mut dice, shop, |sim, shop, id| {
                let free = !sim.shops[&shop].orders[id].cancelled;
                free.then(|| sim.shops.get_mut(&shop).map(|at| at.readdress(id, address)))?
            });
        }
        6 if topics.has(Topic::OpeningMoved) && shop != ERP => move_opening(sim, world, shop),
        7 if topics.has(Topic::Stocks) => stocks::receive(sim, world, &mut dice),
        // With a second stock something is left of everything.
        7 if topics.has(Topic::Wiped) && dice.chance(25) => wiped::wipe(sim, world),
        _ => {}
    }
    world.more = dice;
}

/// All money of an order, before anything of it has left.
fn give_all_back(sim: &mut Sim, dice: &mut Dice, world: &mut World, shop: ShopId) {
    with_order(sim, dice, shop, |sim, shop, id| {
        let order = &sim.shops[&shop].orders[id];
        let is_over = order.cancelled || order.any_shipped() || shipped_elsewhere(sim, shop, id);
        let left = order.total - order.refunded();
        if is_over || !order.is_paid() || left <= Decimal::ZERO {
            return None;
        }
        if !elsewhere(sim, shop, id, |_| true) {
            world.paid_back.insert((shop, id.clone()), sim.now);
        }
        let at = sim.shops.get_mut(&shop)?;
        at.refund(id, left, Decimal::ZERO, None);
        Some(())
    });
}

/// From now on only orders cross that are younger than the ones which have crossed until now.
fn move_opening(sim: &mut Sim, world: &World, shop: ShopId) {
    let mut orders: Vec<(&RemoteId, &crate::shop::Placed)> =
        sim.shops[&shop].orders.iter().collect();
    orders.sort_by_key(|(_, order)| order.placed_at);
    let is_decided = |(id, order): &(&RemoteId, &crate::shop::Placed)| {
        world.terms.is_before_opening(shop, order) || elsewhere(sim, shop, id, |_| true)
    };
    let decided = orders.iter().take_while(|order| is_decided(order)).count();
    let Some((_, last)) = orders[..decided].last() else {
        return;
    };
    let from = later(last.placed_at, 1);
    let is_clear = orders
        .get(decided)
        .is_none_or(|(_, next)| next.placed_at >= from);
    let known = sim
        .opened
        .shops
        .get(&shop)
        .and_then(|at| at.link.orders_from);
    if !is_clear || known.is_some_and(|known| known >= from) {
        return;
    }
    sim.tell(|| format!("orders of shop {shop} cross from {from} on"));
    let moved = |rules: &Rules| {
        let mut rules = Rules::clone(rules);
        let links = &mut Arc::make_mut(&mut rules.settings).customer_has_services;
        let of_shops = rules.shops.values_mut().map(|at| &mut at.link);
        for link in links.iter_mut().chain(of_shops) {
            if link.service_id == shop {
                link.orders_from = Some(from);
            }
        }
        rules
    };
    let (opened, rules) = (moved(&sim.opened), moved(&sim.rules));
    sim.opened = opened;
    sim.change_settings(rules);
}
