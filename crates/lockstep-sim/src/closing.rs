//! Settings that people change while everything goes on: a shop may only be read, a flow is switched off, the customer is
//! locked, and all is opened again. Nothing gets through what is closed.

use crate::dice::Dice;
use crate::scenario::WEB;
use crate::sim::Sim;
use lockstep_engine::Rules;
use lockstep_model::{Change, Flow, Revision, ShopId};
use std::sync::Arc;

/// In percent, after each act of a person.
const BEGINS: u64 = 10;
/// Of these, with the machine lost a moment later, its disk too.
const WITH_A_CRASH: u64 = 30;

/// May this be written there, by these rules?
pub fn is_open(rules: &Rules, shop: ShopId, change: &Change) -> bool {
    let flow = change.kind().flow();
    let mut shops = rules.shops.iter();
    rules.settings.customer.enable_syncing
        && !rules.settings.customer.locked
        && match flow {
            Flow::Orders => rules.settings.customer.sync_orders,
            Flow::Products => rules.settings.customer.sync_products,
            Flow::Categories | Flow::Pictures | Flow::Stock => true,
        }
        && shops.any(|(id, each)| *id == shop && !each.read_only)
}

/// By the dice, something is closed, or all is opened again: a moment after a person's act, when a run is on its way.
pub fn act(sim: &mut Sim, dice: &mut Dice) {
    if !dice.chance(BEGINS) {
        return;
    }
    let moment = dice.between(0, 400);
    sim.pass(moment);
    let mut rules = Rules::clone(&sim.opened);
    let mut settings = (*rules.settings).clone();
    match dice.below(6) {
        0 => settings.customer.sync_products = false,
        1 => settings.customer.locked = true,
        2 => read_only(&mut rules, WEB[0]),
        3 => read_only(&mut rules, WEB[1]),
        4 => settings.customer.sync_orders = false,
        _ => {}
    }
    rules.settings = Arc::new(settings);
    sim.change_settings(rules);
    if dice.chance(WITH_A_CRASH) {
        let moment = dice.between(20, 200);
        sim.pass(moment);
        sim.lose_a_machine();
    }
}

fn read_only(rules: &mut Rules, shop: ShopId) {
    if let Some(shop) = rules.shops.get_mut(&shop) {
        shop.read_only = true;
    }
}

/// Everything is open from now on.
pub fn open_all(sim: &mut Sim) {
    if sim.rules.revision != Revision(1) {
        sim.change_settings(Rules::clone(&sim.opened));
    }
}
