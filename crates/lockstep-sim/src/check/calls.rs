//! What is refused is not tried without end: a bound on tries of one change an hour, and on what an hour at rest leaves in
//! the journal.

use crate::coordinator::later;
use crate::dice::Dice;
use crate::refusals::Refusal;
use crate::scenario::{ERP, WEB, product, sku};
use crate::sim::Sim;
use crate::world::World;
use jiff::Timestamp;
use lockstep_model::{FaultKind, Flow};

/// Tries of one change that its shop refuses: 2 s, 4 s … make nine in the first quarter of an hour, and four in each after.
const REFUSED_AN_HOUR: usize = 30;
const HOUR_MS: i64 = 3_600_000;
/// Runs by schedule, each with its beginning and its end, and the tries of what is refused.
const ENTRIES_AN_HOUR: u64 = 1_500;

pub fn are_bounded(sim: &Sim) -> Vec<String> {
    let within = later(sim.now, -HOUR_MS);
    let of_late = |times: &Vec<Timestamp>| times.iter().filter(|at| **at > within).count();
    let tries = sim.refused_pushes.iter();
    tries
        .filter(|(_, times)| of_late(times) > REFUSED_AN_HOUR)
        .map(|(push, times)| format!("refused {} times within an hour: {push}", of_late(times)))
        .collect()
}

/// A new product that a shop refuses for an hour, in which nothing else happens.
pub fn an_hour_of_refusal(sim: &mut Sim, world: &mut World, dice: &mut Dice) -> Vec<String> {
    let kinds = [
        FaultKind::Duplicate { existing: None },
        FaultKind::Invalid { field: None },
        FaultKind::Conflict,
        FaultKind::Forbidden,
        FaultKind::Unavailable,
    ];
    let until = later(sim.now, HOUR_MS);
    let number = sim.shops[&ERP].products.len() as i64 + 1;
    let refusal = Refusal {
        shop: WEB[0],
        sort: None,
        about: Some(sku(number).0),
        kind: dice.pick(&kinds).cloned().unwrap_or(FaultKind::Conflict),
        until,
        reads_too: false,
        dislikes: None,
    };
    sim.tell(|| format!("for an hour: {refusal:?}"));
    sim.refusals.push(refusal);
    let now = sim.now;
    if let Some(erp) = sim.shops.get_mut(&ERP) {
        erp.add_product(product(number, world.topics), crate::scenario::UNITS, now);
    }
    world.received.insert(sku(number), crate::scenario::UNITS);
    sim.wake(ERP, Flow::Products);
    let before = sim.entries();
    sim.run_until(until);
    let mut found = are_bounded(sim);
    let grown = sim.entries().saturating_sub(before);
    if grown > ENTRIES_AN_HOUR {
        found.push(format!(
            "the journal grew by {grown} entries in an hour at rest"
        ));
    }
    found
}
