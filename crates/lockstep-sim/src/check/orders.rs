//! No order lost, none doubled, both sides in the same state.

use super::Waiting;
use crate::scenario::ERP;
use crate::sim::Sim;
use crate::world::{Life, World, key_of};

/// At any time.
pub fn never_doubled(lives: &[Life<'_>]) -> Vec<String> {
    lives
        .iter()
        .filter(|life| life.copies.len() > 1)
        .map(|life| {
            format!(
                "order {} of shop {} has {} copies",
                life.id,
                life.shop,
                life.copies.len()
            )
        })
        .collect()
}

pub fn states(lives: &[Life<'_>], sim: &Sim, world: &World, waiting: &Waiting) -> Vec<String> {
    let mut found = Vec::new();
    for (shop, state) in &sim.shops {
        for (id, order) in &state.orders {
            match &order.key {
                None if !world.bought.contains(&(*shop, id.clone())) => {
                    found.push(format!("nobody bought order {id} in shop {shop}"));
                }
                Some(_) if *shop != ERP => {
                    found.push(format!("a copy was made in shop {shop}, which gets none"));
                }
                _ => {}
            }
        }
    }
    let known: Vec<String> = lives
        .iter()
        .map(|life| key_of(life.shop, life.id))
        .collect();
    for (id, copy) in &sim.shops[&ERP].orders {
        if let Some(key) = &copy.key
            && !known.contains(key)
        {
            found.push(format!(
                "copy {id} in the ERP is of order {key}, which nobody placed"
            ));
        }
    }
    for life in lives.iter().filter(|life| life.shop != ERP) {
        let name = format!("order {} of shop {}", life.id, life.shop);
        let (origin, key) = (life.origin, key_of(life.shop, life.id));
        // Cancelled, it may or may not have crossed before; in doubt where nobody can tell, a person has to say.
        let may_be_missing = origin.cancelled || waiting.doubtful.contains(&key);
        if origin.paid && life.copies.is_empty() && !may_be_missing {
            found.push(format!("{name} is paid and has no copy in the ERP"));
        }
        if !origin.paid && !life.copies.is_empty() && !origin.cancelled {
            found.push(format!("{name} is not paid and has a copy in the ERP"));
        }
        if life.is_contradictory() {
            continue;
        }
        for copy in &life.copies {
            let sides = [
                ("cancelled", origin.cancelled, copy.cancelled),
                ("shipped", origin.shipped, copy.shipped),
                ("paid", origin.paid, copy.paid),
            ];
            for (what, there, here) in sides {
                if there != here {
                    found.push(format!("{name}: {what} {there} there, {here} in the ERP"));
                }
            }
            if origin.returned != copy.returned {
                found.push(format!(
                    "{name}: {} returned there, {} in the ERP",
                    origin.returned, copy.returned
                ));
            }
        }
    }
    found
}
