//! The checkers. They read shops, buyers and people's acts; the journal only for what it must explain. None calls
//! engine code.

mod catalogue;
mod orders;
mod runs;
mod stock;

use crate::sim::Sim;
use crate::world::{World, lives};
use lockstep_model::Sku;
use std::collections::BTreeSet;

pub use runs::{Waiting, waiting};

/// What holds at any time.
pub fn always(sim: &Sim) -> Vec<String> {
    let mut found = sim.unexplained.clone();
    found.extend(sim.coordinator.violations.clone());
    found.extend(orders::never_doubled(&lives(&sim.shops)));
    found
}

/// What holds at rest; what waits for a person with a good reason is left out.
pub fn at_rest(sim: &Sim, world: &World, waiting: &Waiting) -> Vec<String> {
    let lives = lives(&sim.shops);
    let mut found = orders::states(&lives, sim, world, waiting);
    let contradictory: BTreeSet<&Sku> = lives
        .iter()
        .filter(|life| life.is_contradictory())
        .map(|life| &life.origin.sku)
        .collect();
    for sku in world.received.keys() {
        if !contradictory.contains(sku) && !waiting.levels.contains(sku) {
            found.extend(stock::left(&lives, sim, world, sku));
        }
    }
    found.extend(stock::erp_books(sim, world));
    found.extend(catalogue::in_step(sim));
    found.extend(runs::ended(sim));
    found
}
