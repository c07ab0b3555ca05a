//! Every shop has each product once, as its owner has it and as far as the shop can hold it; and no id of a shop
//! belongs to two records.

use crate::scenario::ERP;
use crate::shop::as_kept_by_a_lossy_shop;
use crate::sim::Sim;
use lockstep_model::{RemoteId, ShopId};
use std::collections::BTreeMap;

pub fn in_step(sim: &Sim) -> Vec<String> {
    let mut found = Vec::new();
    for product in sim.shops[&ERP].products.values() {
        for (shop, state) in sim.shops.iter().filter(|(shop, _)| **shop != ERP) {
            let mut wanted = product.clone();
            if state.traits.lossy {
                as_kept_by_a_lossy_shop(&mut wanted);
            }
            for variant in &wanted.variants {
                let twins: Vec<_> = state
                    .products
                    .values()
                    .filter(|twin| twin.variants.iter().any(|v| v.sku == variant.sku))
                    .collect();
                let [twin] = twins.as_slice() else {
                    found.push(format!(
                        "shop {shop} has {} products with SKU {}",
                        twins.len(),
                        variant.sku
                    ));
                    continue;
                };
                let theirs = twin.variants.iter().find(|v| v.sku == variant.sku);
                if twin.title != wanted.title || theirs.map(|v| &v.prices) != Some(&variant.prices)
                {
                    found.push(format!(
                        "{} in shop {shop} is not as in the ERP: \"{}\" {:?} and \"{}\" {:?}",
                        variant.sku,
                        twin.title,
                        theirs.map(|v| &v.prices),
                        wanted.title,
                        variant.prices
                    ));
                }
            }
        }
    }
    found.extend(links(sim));
    found
}

fn links(sim: &Sim) -> Vec<String> {
    let Some(journal) = sim.journal() else {
        return vec!["nobody works for the customer".into()];
    };
    let mut found = Vec::new();
    let mut owners: BTreeMap<(ShopId, RemoteId), Vec<String>> = BTreeMap::new();
    for record in journal.search("", None, None, 100).expect("a search") {
        let Some(view) = journal.record_view(record.record).expect("a record") else {
            continue;
        };
        for (shop, side) in view.shops {
            for variant in side.parts.variants.values().cloned().chain(side.id) {
                let owner = owners.entry((shop, variant)).or_default();
                owner.push(record.record.to_string());
            }
        }
    }
    for ((shop, id), owners) in owners {
        if owners.len() > 1 {
            found.push(format!(
                "id {id} of shop {shop} belongs to records {}",
                owners.join(", ")
            ));
        }
    }
    found
}
