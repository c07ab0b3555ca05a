//! A count of the stock's owner that finds nothing of anything, as an export that was cut short does: it is asked about before
//! shops are told, and what was there is there again in the end.

use crate::coordinator::later;
use crate::scenario::{ERP, WEB};
use crate::sim::Sim;
use crate::world::World;
use lockstep_model::entry::{Conflict, Subject};
use lockstep_model::{Flow, Sku};

/// So many may be told that nothing is left before it is seen that it is all of them.
const A_HANDFUL: usize = 10;
/// In which a count is read, whatever a shop's schedule is.
const UNTIL_ASKED_MS: i64 = 10 * 60_000;

/// Nothing is left of what people buy.
pub fn wipe(sim: &mut Sim, world: &mut World) {
    if !world.wiped.is_empty() {
        return;
    }
    let sold = world.received.keys();
    let units = |sku: &Sku| {
        sim.shops[&ERP]
            .levels
            .get(sku)
            .map_or(0, |at| at.available())
    };
    let there: Vec<(Sku, i64)> = sold
        .map(|sku| (sku.clone(), units(sku)))
        .filter(|(_, units)| *units > 0)
        .collect();
    sim.tell(|| "a count of the ERP leaves nothing of anything".into());
    for (sku, units) in &there {
        count(sim, world, sku, -units);
    }
    world.wiped = there.into_iter().collect();
    sim.wake(ERP, Flow::Stock);
}

fn count(sim: &mut Sim, world: &mut World, sku: &Sku, units: i64) {
    if let Some(erp) = sim.shops.get_mut(&ERP) {
        erp.move_on_hand(sku, units);
    }
    *world.received.entry(sku.clone()).or_default() += units;
    *world.counted.entry((ERP, sku.clone())).or_default() += units.abs();
    let moved = world.moved_at.entry(sku.clone()).or_default();
    moved.push((sim.now, units));
}

/// More shops' levels than a handful were told that nothing is left, unasked.
pub fn told_unasked(sim: &Sim, world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for shop in WEB {
        let kept = world.terms.buffers.get(&shop).copied().unwrap_or_default();
        // What came in since is no more than a few, and a shop from which as many are kept is rightly told of none.
        let is_wiped = |sku: &Sku| sim.shops[&ERP].levels[sku].available() <= 0;
        let wiped = world.wiped.iter();
        let wiped = wiped.filter(|(sku, units)| **units > kept && is_wiped(sku));
        let told = wiped.filter(|(sku, _)| {
            let level = sim.shops[&shop].levels.get(*sku);
            level.is_some_and(|level| level.available() <= 0)
        });
        let told = told.count();
        if told > A_HANDFUL {
            found.push(format!(
                "shop {shop} was told unasked that nothing is left of {told} items"
            ));
        }
    }
    found
}

/// A person is asked; then it is found again.
pub fn is_asked_about(sim: &mut Sim, world: &mut World) -> Vec<String> {
    if world.wiped.is_empty() {
        return Vec::new();
    }
    sim.run_until(later(sim.now, UNTIL_ASKED_MS));
    let mut found = told_unasked(sim, world);
    let is_asked = sim.conflicts().iter().any(|open| {
        open.subject == Subject::Levels && matches!(open.about, Conflict::ManySoldOut { .. })
    });
    if world.wiped.len() > A_HANDFUL && !is_asked {
        found.push("nobody is asked about a count that leaves nothing of anything".into());
    }
    for (sku, units) in std::mem::take(&mut world.wiped) {
        count(sim, world, &sku, units);
    }
    sim.wake(ERP, Flow::Stock);
    found
}
