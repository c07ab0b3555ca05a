//! Units: what is left by a god's-eye count, and what each shop shows of it.

use super::Waiting;
use crate::catalogue_acts::is_shown_only;
use crate::scenario::ERP;
use crate::shop::LevelWrites;
use crate::sim::Sim;
use crate::stocks;
use crate::world::{Life, World};
use lockstep_model::{Sku, Takes};
use rust_decimal::Decimal;

/// Every shop shows what is left, and what it holds and has yet to take.
pub fn left(lives: &[Life<'_>], sim: &Sim, world: &World, sku: &Sku) -> Vec<String> {
    let erp = &sim.shops[&ERP];
    let gone: i64 = lives.iter().map(|life| life.gone(sku, erp, world)).sum();
    let left = world.received[sku] - gone;
    let mut found = Vec::new();
    for (shop, state) in &sim.shops {
        let Some(level) = state.levels.get(sku) else {
            found.push(format!("{sku}: shop {shop} does not have it"));
            continue;
        };
        let to_take: i64 = lives
            .iter()
            .map(|life| life.to_take(sku, state, erp, world))
            .sum();
        let beside = stocks::beside(*shop, sku, erp, world);
        // The owner of the stock knows of all.
        let (shown, kept) = match world.terms.buffers.get(shop) {
            Some(buffer) if *shop != ERP => ((left + beside + to_take - buffer).max(0), *buffer),
            _ => (left + beside + to_take, 0),
        };
        if level.available() != shown {
            found.push(format!(
                "{sku}: shop {shop} (takes at {:?}, gives back {}) shows {}, and {shown} would be right: {left} are left \
                 of {}, {beside} in the other stock, {to_take} are yet to be taken, {kept} are kept from it",
                state.traits.takes,
                state.traits.gives_back,
                level.available(),
                world.received[sku]
            ));
        }
    }
    // Where nobody writes anything off, goods alone decide: what came in, less what went out, less what is promised.
    let all_give_back = sim.shops.values().all(|shop| shop.traits.gives_back);
    let promised_or_out: i64 = lives
        .iter()
        .filter(|life| life.origin.is_paid() && !life.origin.cancelled)
        .filter(|life| !world.terms.is_before_opening(life.shop, life.origin))
        .flat_map(|life| {
            let lines = life.origin.lines_of(sku);
            lines.map(|line| line.wanted() + life.broken(line))
        })
        .sum();
    let is_sure = !lives
        .iter()
        .any(|life| life.origin.lines_of(sku).next().is_some() && life.is_taken_back_twice(world));
    if all_give_back && is_sure && world.received[sku] - promised_or_out != left {
        found.push(format!(
            "{sku}: {left} are left by the shops' books, {} by the goods",
            world.received[sku] - promised_or_out
        ));
    }
    found
}

/// An ERP whose orders lower its stock by themselves is never written: it would be corrected for what is on its way.
pub fn erp_books(sim: &Sim, world: &World) -> Vec<String> {
    let erp = &sim.shops[&ERP];
    if erp.traits.copies_take == Takes::Never {
        return Vec::new();
    }
    let mut found = Vec::new();
    if !sim.erp_writes.is_empty() {
        found.push(format!(
            "the ERP's levels were written {} times, and its own orders move them",
            sim.erp_writes.len()
        ));
    }
    for (sku, received) in &world.received {
        let lines = erp.orders.values().flat_map(|order| order.lines_of(sku));
        let taken: i64 = lines.map(|line| line.taken).sum();
        let Some(level) = erp.levels.get(sku) else {
            continue;
        };
        if level.available() != received - taken {
            found.push(format!(
                "{sku}: the ERP shows {}, received {received} and took {taken} for its orders",
                level.available()
            ));
        }
    }
    found
}

/// What no order explains is what people moved: no more is ever told of. A level that is read without the orders around
/// it looks as if somebody had counted, first down and then up, and shops are told numbers that were never true.
pub fn movements(sim: &Sim, world: &World, waiting: &Waiting) -> Vec<String> {
    let mut found = Vec::new();
    if world.closes_at_once {
        return found;
    }
    for ((shop, sku), told) in &sim.coordinator.unexplained {
        // A write that cannot compare takes back what was sold before it came.
        if sim.shops[shop].traits.level_writes == LevelWrites::Absolute {
            continue;
        }
        // Items that are renamed or made again take their units along.
        if is_shown_only(sku) {
            continue;
        }
        let key = (*shop, sku.clone());
        let counted = world.counted.get(&key).copied().unwrap_or_default();
        if *told > Decimal::from(counted) && !waiting.levels.contains(sku) {
            found.push(format!(
                "{sku}: {told} units moved in shop {shop} that no order explains, and people counted {counted}"
            ));
        }
    }
    found
}
