//! Units: what is left by a god's-eye count, and what each shop shows of it.

use crate::scenario::ERP;
use crate::sim::Sim;
use crate::world::{Life, World};
use lockstep_model::{Sku, Takes};

/// Every shop shows what is left, and what it holds and has yet to take.
pub fn left(lives: &[Life<'_>], sim: &Sim, world: &World, sku: &Sku) -> Vec<String> {
    let erp = &sim.shops[&ERP];
    let of_sku: Vec<&Life<'_>> = lives
        .iter()
        .filter(|life| life.origin.sku == *sku)
        .collect();
    let gone: i64 = of_sku.iter().map(|life| life.gone(erp)).sum();
    let left = world.received[sku] - gone;
    let mut found = Vec::new();
    for (shop, state) in &sim.shops {
        let Some(level) = state.levels.get(sku) else {
            found.push(format!("{sku}: shop {shop} does not have it"));
            continue;
        };
        let to_take: i64 = of_sku
            .iter()
            .map(|life| {
                let (side, takes) = if life.shop == *shop {
                    (Some(life.origin), state.traits.takes)
                } else if *shop == ERP && life.comes_to_erp() {
                    (life.copies.first().copied(), state.traits.copies_take)
                } else {
                    return 0;
                };
                let done = side.is_some_and(|side| side.is_done());
                if takes == Takes::Never || done {
                    return 0;
                }
                (life.gone(erp) - side.map_or(0, |side| side.taken)).max(0)
            })
            .sum();
        let shown = level.available() - to_take;
        if shown != left {
            found.push(format!(
                "{sku}: shop {shop} (takes at {:?}, gives back {}) shows {}, of which {to_take} are yet to be taken; \
                 {left} are left of {}",
                state.traits.takes,
                state.traits.gives_back,
                level.available(),
                world.received[sku]
            ));
        }
    }
    // Where nobody writes anything off, goods alone decide: what came in, less what went out, less what is promised.
    let shops = sim.shops.values();
    let all_give_back = shops.clone().all(|shop| shop.traits.gives_back);
    let promised_or_out: i64 = of_sku
        .iter()
        .filter(|life| life.origin.paid)
        .map(|life| life.origin.wanted())
        .sum();
    if all_give_back && world.received[sku] - promised_or_out != left {
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
        let orders = erp.orders.values().filter(|order| order.sku == *sku);
        let taken: i64 = orders.map(|order| order.taken).sum();
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
