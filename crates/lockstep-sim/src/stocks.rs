//! A second stock of the ERP, from which nobody buys: a shop that sells from both is told their sum, the others of the first
//! alone.

use crate::dice::Dice;
use crate::scenario::{ERP, WEB};
use crate::shop::{MAIN, OUTLET, SimShop};
use crate::sim::Sim;
use crate::world::World;
use lockstep_model::settings::{CustomerSettings, RowId, Stock, StockId, StockServiceIdentifier};
use lockstep_model::{Flow, Named, ShopId, Sku};
use std::collections::BTreeMap;

/// In the order in which a shop sells from them.
pub const BOTH: [StockId; 2] = [StockId(1), StockId(2)];

/// Both of ours, and which of the ERP's they are.
pub fn of_the_erp(settings: &mut CustomerSettings) {
    settings.customer.stock_id = Some(BOTH[0]);
    for (stock, name) in BOTH.into_iter().zip([MAIN, OUTLET]) {
        settings.stocks.push(Stock {
            id: stock,
            name: name.into(),
        });
        settings
            .stock_service_identifiers
            .push(StockServiceIdentifier {
                id: RowId(stock.0),
                stock_id: stock,
                service_id: ERP,
                identifier: name.into(),
            });
    }
}

pub fn of(shop: &SimShop) -> Vec<Named> {
    let names = [MAIN, OUTLET].into_iter();
    let has = names.filter(|name| *name == MAIN || !shop.outlet.is_empty());
    has.map(|name| Named {
        id: name.into(),
        name: name.into(),
    })
    .collect()
}

/// Some units of each item are in the second stock from the beginning.
pub fn begin(shops: &mut BTreeMap<ShopId, SimShop>, world: &mut World, dice: &mut Dice) {
    if let Some(erp) = shops.get_mut(&ERP) {
        for sku in world.received.keys() {
            erp.receive_in_outlet(sku, dice.between(0, 6));
        }
    }
    let both = WEB.into_iter().filter(|_| dice.chance(60));
    world.sell_both = both.collect();
}

/// Units come in, or a count finds less.
pub fn receive(sim: &mut Sim, world: &mut World, dice: &mut Dice) {
    let Some(erp) = sim.shops.get_mut(&ERP) else {
        return;
    };
    let skus: Vec<Sku> = erp.outlet.keys().cloned().collect();
    let Some(sku) = dice.pick(&skus).cloned() else {
        return;
    };
    let there = erp.outlet[&sku].available();
    let units = dice.between(-there.min(2), 5);
    erp.receive_in_outlet(&sku, units);
    sim.tell(|| format!("{units} of {sku} come into the ERP's outlet"));
    *world.counted.entry((ERP, sku)).or_default() += units.abs();
    sim.wake(ERP, Flow::Stock);
}

/// Units beside those of the first stock that a shop is told of.
pub fn beside(shop: ShopId, sku: &Sku, erp: &SimShop, world: &World) -> i64 {
    match erp.outlet.get(sku) {
        Some(level) if world.sell_both.contains(&shop) => level.available(),
        _ => 0,
    }
}
