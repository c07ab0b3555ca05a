//! The checkers: they read shops and what buyers did, and call no engine code.

use crate::shop::SimShop;
use lockstep_model::{CustomerId, OrderKey, ShopId, Sku, Takes};
use std::collections::BTreeMap;

/// At rest: what is wrong, in words. Empty: nothing.
pub fn violations(
    shops: &BTreeMap<ShopId, SimShop>,
    erp: ShopId,
    received: &BTreeMap<Sku, i64>,
) -> Vec<String> {
    let mut found = Vec::new();
    let Some(owner) = shops.get(&erp) else {
        return vec!["there is no ERP".into()];
    };
    let mut sold: BTreeMap<Sku, i64> = BTreeMap::new();
    for (shop, state) in shops.iter().filter(|(shop, _)| **shop != erp) {
        for (id, order) in &state.orders {
            let key = OrderKey {
                customer: CustomerId(1),
                shop: *shop,
                id: id.clone(),
            }
            .to_string();
            let copies: Vec<_> = owner
                .orders
                .values()
                .filter(|copy| copy.key.as_ref() == Some(&key))
                .collect();
            // An order that was cancelled may or may not have crossed before.
            let (least, most) = match (order.paid, order.cancelled) {
                (true, false) => (1, 1),
                (_, true) => (0, 1),
                (false, false) => (0, 0),
            };
            if copies.len() < least || copies.len() > most {
                found.push(format!(
                    "order {id} of shop {shop} has {} copies in the ERP, and should have {least} to {most}",
                    copies.len()
                ));
            }
            for copy in copies {
                if copy.cancelled != order.cancelled {
                    found.push(format!(
                        "order {id} of shop {shop}: cancelled {} there, {} in the ERP",
                        order.cancelled, copy.cancelled
                    ));
                }
                if copy.shipped != order.shipped {
                    found.push(format!(
                        "order {id} of shop {shop}: shipped {} there, {} in the ERP",
                        order.shipped, copy.shipped
                    ));
                }
            }
            let counts = !order.cancelled && (order.paid || order.taken > 0);
            if counts {
                *sold.entry(order.sku.clone()).or_default() += order.quantity;
            }
        }
        if state.orders.values().any(|order| order.key.is_some()) {
            found.push(format!("a copy was made in shop {shop}, which gets none"));
        }
    }
    for (sku, received) in received {
        let left = received - sold.get(sku).copied().unwrap_or_default();
        for (shop, state) in shops {
            let Some(level) = state.levels.get(sku) else {
                found.push(format!("shop {shop} has no {sku}"));
                continue;
            };
            // What this shop holds, has not taken yet and will.
            let to_take: i64 = if state.takes == Takes::Never {
                0
            } else {
                let held = state.orders.values().filter(|order| order.sku == *sku);
                held.filter(|order| !order.cancelled && order.taken == 0 && order.paid)
                    .map(|order| order.quantity)
                    .sum()
            };
            // Reserved elsewhere by an order that has not crossed: the ERP is not corrected for it.
            let to_arrive: i64 = if *shop == erp && state.takes != Takes::Never {
                shops
                    .iter()
                    .filter(|(other, _)| **other != erp)
                    .flat_map(|(_, other)| other.orders.values())
                    .filter(|order| {
                        order.sku == *sku && !order.cancelled && !order.paid && order.taken > 0
                    })
                    .map(|order| order.quantity)
                    .sum()
            } else {
                0
            };
            let shown = level.available() - to_take - to_arrive;
            if shown != left {
                found.push(format!(
                    "{sku} in shop {shop} (takes at {:?}): {} available, {to_take} to take, {to_arrive} to arrive; \
                     {left} are left",
                    state.takes,
                    level.available()
                ));
            }
        }
    }
    for product in owner.products.values() {
        for (shop, state) in shops.iter().filter(|(shop, _)| **shop != erp) {
            for variant in &product.variants {
                let twins: Vec<_> = state
                    .products
                    .values()
                    .filter(|twin| twin.variants.iter().any(|v| v.sku == variant.sku))
                    .collect();
                match twins.as_slice() {
                    [twin] => {
                        let theirs = twin.variants.iter().find(|v| v.sku == variant.sku);
                        if twin.title != product.title
                            || theirs.map(|v| &v.prices) != Some(&variant.prices)
                        {
                            found.push(format!(
                                "{} in shop {shop} is not as in the ERP: \"{}\" and \"{}\"",
                                variant.sku, twin.title, product.title
                            ));
                        }
                    }
                    twins => found.push(format!(
                        "shop {shop} has {} products with SKU {}",
                        twins.len(),
                        variant.sku
                    )),
                }
            }
        }
    }
    found
}
