//! Every shop has each product once, as its owner has it and as far as the shop can hold it; what the owner does not
//! have is not on sale; and no id of a shop belongs to two records.

use crate::catalogue_acts::{PICKED, is_shown_only};
use crate::scenario::ERP;
use crate::shop::{SimShop, as_kept_by_a_lossy_shop};
use crate::sim::Sim;
use crate::stocks;
use crate::world::World;
use lockstep_model::{Product, RemoteId, ShopId, Sku, Status};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

pub fn in_step(sim: &Sim, world: &World) -> Vec<String> {
    let erp = &sim.shops[&ERP];
    let mut found = Vec::new();
    for (shop, state) in sim.shops.iter().filter(|(shop, _)| **shop != ERP) {
        for product in erp.products.values() {
            found.extend(as_in(erp, product, *shop, state, world));
        }
        found.extend(on_sale_by_itself(erp, *shop, state));
        found.extend(tree(erp, *shop, state));
    }
    found.extend(links(sim));
    found
}

/// One of the owner's products in one shop, field by field.
fn as_in(
    erp: &SimShop,
    product: &Product,
    shop: ShopId,
    state: &SimShop,
    world: &World,
) -> Vec<String> {
    let mut wanted = product.clone();
    if state.traits.lossy {
        as_kept_by_a_lossy_shop(&mut wanted);
    }
    let is_twin = |twin: &Product| {
        let mut theirs = twin.variants.iter();
        theirs.any(|theirs| wanted.variants.iter().any(|ours| ours.sku == theirs.sku))
    };
    let twins: Vec<&Product> = state
        .products
        .values()
        .filter(|twin| is_twin(twin))
        .collect();
    let skus: Vec<&str> = wanted.variants.iter().map(|v| v.sku.as_str()).collect();
    let name = format!("{} in shop {shop}", skus.join(","));
    let Some(twin) = twins.first() else {
        // What is no longer sold where it comes from, or was not picked, is not made.
        let (attribute, _) = PICKED;
        let is_picked = wanted.attributes.contains_key(attribute);
        let may_be_missing =
            wanted.status == Status::Archived || (world.picky == Some(shop) && !is_picked);
        return if may_be_missing {
            Vec::new()
        } else {
            vec![format!("{name} is not there")]
        };
    };
    let mut found = Vec::new();
    if twins.len() > 1 {
        found.push(format!("{name} is there {} times", twins.len()));
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut fields = vec![
        ("title", wanted.title.clone(), twin.title.clone()),
        (
            "status",
            wanted.status.as_str().to_owned(),
            twin.status.as_str().to_owned(),
        ),
        (
            "description",
            text(&wanted.description),
            text(&twin.description),
        ),
        ("texts", texts(&wanted), texts(twin)),
        (
            "attributes",
            format!("{:?}", wanted.attributes),
            format!("{:?}", twin.attributes),
        ),
        ("categories", paths(erp, &wanted), paths(state, twin)),
        ("pictures", pictures(&wanted, state), pictures(twin, state)),
        ("variants", variants(&wanted), variants(twin)),
    ];
    fields.retain(|(_, ours, theirs)| ours != theirs);
    for (field, ours, theirs) in fields {
        found.push(format!("{name}: {field} {ours:?} in the ERP, {theirs:?}"));
    }
    // Nobody buys these, so their levels follow from the owner's alone.
    for sku in wanted.variants.iter().map(|v| &v.sku) {
        let units = |shop: &SimShop| shop.levels.get(sku).map(|level| level.available());
        let beside = stocks::beside(shop, sku, erp, world);
        let right = units(erp).map(|units| match world.terms.buffers.get(&shop) {
            Some(buffer) => (units + beside - buffer).max(0),
            None => units + beside,
        });
        if is_shown_only(sku) && wanted.status == Status::Active && units(state) != right {
            let shown = units(state);
            found.push(format!(
                "{sku}: shop {shop} shows {shown:?}, {right:?} would be right"
            ));
        }
    }
    found
}

fn texts(product: &Product) -> String {
    let texts = product.texts.iter().flat_map(|(language, texts)| {
        let texts = texts.iter();
        texts.map(move |(name, text)| format!("{language} {name} {text}"))
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn variants(product: &Product) -> String {
    let variants = product.variants.iter().map(|variant| {
        let prices = |prices: &BTreeMap<_, Decimal>| -> String {
            let prices = prices.values().map(|price| price.normalize().to_string());
            prices.collect::<Vec<_>>().join(" ")
        };
        let (price, sale) = (prices(&variant.prices), prices(&variant.sale_prices));
        format!("{} at {price} ({sale})", variant.sku)
    });
    sorted(variants)
}

fn paths(shop: &SimShop, product: &Product) -> String {
    let ids = product.categories.iter().flatten();
    sorted(ids.map(|id| shop.path_of(id)))
}

/// By what they show, whatever the shop made of them, in their order.
fn pictures(product: &Product, shop: &SimShop) -> String {
    let own = format!("-made-by-{}", shop.id);
    let pictures = product.pictures.iter().flatten().map(|picture| {
        let digest = picture
            .digest
            .strip_prefix("of-")
            .unwrap_or(&picture.digest);
        digest
            .strip_suffix(own.as_str())
            .unwrap_or(digest)
            .to_owned()
    });
    pictures.collect::<Vec<_>>().join(" ")
}

fn sorted(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.join(", ")
}

/// What its owner has no more is not on sale.
fn on_sale_by_itself(erp: &SimShop, shop: ShopId, state: &SimShop) -> Vec<String> {
    let products = erp.products.values();
    let owned: BTreeSet<&Sku> = products
        .flat_map(|product| product.variants.iter().map(|v| &v.sku))
        .collect();
    let is_left = |product: &&Product| {
        product.status != Status::Archived
            && !product.variants.iter().any(|v| owned.contains(&v.sku))
    };
    let left = state.products.values().filter(is_left);
    let left = left.map(|product| {
        let skus: Vec<&str> = product.variants.iter().map(|v| v.sku.as_str()).collect();
        let (skus, status) = (skus.join(","), product.status.as_str());
        format!("{skus} in shop {shop} is {status}, and the ERP has it no more")
    });
    left.collect()
}

fn tree(erp: &SimShop, shop: ShopId, state: &SimShop) -> Vec<String> {
    let paths = |shop: &SimShop| sorted(shop.categories.keys().map(|id| shop.path_of(id)));
    let (there, here) = (paths(erp), paths(state));
    if there == here {
        return Vec::new();
    }
    vec![format!(
        "categories of shop {shop}: {there} in the ERP, {here}"
    )]
}

fn links(sim: &Sim) -> Vec<String> {
    if sim.journal().is_none() {
        return vec!["nobody works for the customer".into()];
    }
    let mut found = Vec::new();
    let mut owners: BTreeMap<(ShopId, RemoteId), Vec<String>> = BTreeMap::new();
    for view in sim.records() {
        for (shop, side) in view.shops {
            for variant in side.parts.variants.values().cloned().chain(side.id) {
                let owner = owners.entry((shop, variant)).or_default();
                owner.push(view.record.to_string());
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
