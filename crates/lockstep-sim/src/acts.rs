//! What buyers and the merchant's people do.

use crate::dice::Dice;
use crate::scenario::{ERP, UNITS, WEB, product, sku};
use crate::sim::Sim;
use crate::world::{World, key_of};
use lockstep_model::{Flow, RemoteId, ShopId, Sku};
use rust_decimal::Decimal;

/// Products that are added while everything goes on.
const PRODUCTS_MAX: usize = 6;

pub fn act(sim: &mut Sim, dice: &mut Dice, world: &mut World) {
    let web = if dice.chance(50) { WEB[0] } else { WEB[1] };
    match dice.below(100) {
        0..=35 => buy(sim, dice, world, web, 60),
        36..=41 => buy(sim, dice, world, ERP, 100),
        42..=53 => with_order(sim, dice, web, |sim, shop, id| {
            sim.shops.get_mut(&shop)?.pay(id);
            Some(())
        }),
        // Shipped where it was sold, or from the ERP.
        54..=59 => with_order(sim, dice, web, |sim, shop, id| {
            let paid = sim.shops[&shop].orders[id].paid && !cancelled_elsewhere(sim, shop, id);
            paid.then(|| sim.shops.get_mut(&shop).map(|shop| shop.ship(id)))?
        }),
        60..=65 => with_order(sim, dice, ERP, |sim, shop, id| {
            let free = !cancelled_elsewhere(sim, shop, id);
            free.then(|| sim.shops.get_mut(&shop).map(|shop| shop.ship(id)))?
        }),
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
            with_order(sim, dice, shop, |sim, shop, id| {
                sim.shops.get_mut(&shop)?.take_back(id, units, true);
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
            let number = sim.shops[&ERP].products.len();
            if number < PRODUCTS_MAX {
                let now = sim.now;
                let number = number as i64 + 1;
                if let Some(erp) = sim.shops.get_mut(&ERP) {
                    erp.add_product(product(number), UNITS, now);
                }
                world.received.insert(sku(number), UNITS);
                sim.wake(ERP, Flow::Products);
            }
        }
    }
}

fn any_sku(sim: &Sim, dice: &mut Dice) -> Sku {
    sku(dice.between(1, sim.shops[&ERP].products.len() as i64))
}

fn buy(sim: &mut Sim, dice: &mut Dice, world: &mut World, shop: ShopId, paid_percent: u64) {
    let sku = any_sku(sim, dice);
    let quantity = dice.between(1, 3);
    let paid = dice.chance(paid_percent);
    let now = sim.now;
    let bought = sim
        .shops
        .get_mut(&shop)
        .and_then(|at| at.buy(&sku, quantity, paid, now));
    if let Some(id) = bought {
        sim.tell(|| format!("{quantity} of {sku} are bought in shop {shop} as {id}, paid {paid}"));
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
    elsewhere(sim, shop, id, |order| order.shipped)
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
                } else if !shop.orders[&id].paid {
                    shop.cancel(&id);
                }
            }
        }
    }
}
