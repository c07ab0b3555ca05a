//! People of a selling shop delete a product there. It is asked about, and made again only by a person's word.

use crate::catalogue_acts::is_shown_only;
use crate::dice::Dice;
use crate::scenario::WEB;
use crate::sim::Sim;
use crate::world::World;
use lockstep_model::entry::Conflict;
use lockstep_model::{Flow, Product, RemoteId, Resolution, Sku};

/// In percent, after each act of a person.
const BEGINS: u64 = 6;

pub fn act(sim: &mut Sim, world: &mut World, dice: &mut Dice) {
    if !dice.chance(BEGINS) {
        return;
    }
    let Some(shop) = dice.pick(&WEB).copied() else {
        return;
    };
    let Some(state) = sim.shops.get_mut(&shop) else {
        return;
    };
    let is_shown = |product: &Product| product.variants.iter().any(|v| is_shown_only(&v.sku));
    let shown = state
        .products
        .iter()
        .filter(|(_, product)| is_shown(product));
    let shown: Vec<RemoteId> = shown.map(|(id, _)| id.clone()).collect();
    let Some(id) = dice.pick(&shown).cloned() else {
        return;
    };
    let skus: Vec<Sku> = state.products[&id]
        .variants
        .iter()
        .map(|v| v.sku.clone())
        .collect();
    state.delete_product(&id);
    sim.tell(|| format!("{id} ({skus:?}) is deleted in shop {shop}"));
    // What we made, and do not know yet to be there, we shall not find: it is made again, as what never was.
    if sim.is_linked(shop, &id) {
        let epoch = sim.coordinator.epoch;
        world.deleted_there.insert((shop, id), (skus, epoch));
    }
    sim.wake(shop, Flow::Products);
}

/// Whatever was deleted by people of a selling shop and is there again without anybody's word. Whoever has taken over since
/// may not know that it was there.
pub fn made_unasked(sim: &Sim, world: &World) -> Vec<String> {
    let is_back = |((shop, id), (skus, epoch)): (&(_, RemoteId), &(Vec<Sku>, u64))| {
        if *epoch != sim.coordinator.epoch {
            return None;
        }
        let mut there = sim.shops[shop].products.iter();
        let again = there.find(|(_, product)| {
            product
                .variants
                .iter()
                .any(|variant| skus.contains(&variant.sku))
        });
        let (again, _) = again?;
        Some(format!(
            "{id} was deleted in shop {shop}, and is there again as {again}"
        ))
    };
    world.deleted_there.iter().filter_map(is_back).collect()
}

/// Each question of these is answered: it is made again.
pub fn answer(sim: &mut Sim, world: &mut World) {
    for row in sim.conflicts() {
        if let Conflict::GoneThere { shop, id } = row.about
            && sim.answer(row.conflict, &Resolution::MakeAgain)
        {
            world.deleted_there.remove(&(shop, id));
        }
    }
}
