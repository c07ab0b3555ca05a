//! The checkers. They read shops, buyers and people's acts; the journal only for what it must explain. None calls
//! engine code.

mod asides;
pub mod calls;
mod catalogue;
mod orders;
mod runs;
mod stock;

use crate::deleted_there;
use crate::sim::Sim;
use crate::wiped;
use crate::world::{World, key_of, lives};
use lockstep_model::Sku;
use std::collections::BTreeSet;

pub use runs::{Waiting, waiting};

/// What holds at any time.
pub fn always(sim: &Sim, world: &World) -> Vec<String> {
    let mut found = sim.unexplained.clone();
    found.extend(sim.coordinator.violations.clone());
    found.extend(calls::are_bounded(sim));
    found.extend(wiped::told_unasked(sim, world));
    found.extend(deleted_there::made_unasked(sim, world));
    let lives = lives(&sim.shops);
    found.extend(orders::never_doubled(&lives));
    found.extend(orders::crossed_too_early(&lives, world));
    found
}

/// What holds at rest; what waits for a person with a good reason is left out.
pub fn at_rest(sim: &Sim, world: &World, waiting: &Waiting) -> Vec<String> {
    let lives = lives(&sim.shops);
    let mut found = orders::states(&lives, sim, world, waiting);
    let in_question: BTreeSet<&Sku> = lives
        .iter()
        // What a person is asked about is theirs to say.
        .filter(|life| {
            life.is_contradictory() || waiting.asked.contains(&key_of(life.shop, life.id))
        })
        .flat_map(|life| {
            life.origin
                .lines
                .iter()
                .filter_map(|line| line.sku.as_ref())
        })
        .collect();
    for sku in world.received.keys() {
        if !in_question.contains(sku) && !waiting.levels.contains(sku) {
            found.extend(stock::left(&lives, sim, world, sku));
        }
    }
    found.extend(stock::erp_books(sim, world));
    found.extend(stock::movements(sim, world, waiting));
    found.extend(catalogue::in_step(sim, world));
    found.extend(runs::ended(sim));
    found.extend(asides::none_left(sim));
    found
}
