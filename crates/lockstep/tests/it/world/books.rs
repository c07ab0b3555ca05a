//! The count of units, by a reader of its own: what was sown, less what buyers got, is what each shop must show.

use super::shop::ShopClient;
use std::collections::BTreeMap;

/// What there was before anybody bought.
pub struct Books {
    seeded: BTreeMap<String, i64>,
}

impl Books {
    pub async fn open(erp: &ShopClient) -> Books {
        Books {
            seeded: erp.levels().await,
        }
    }

    pub fn seeded(&self, sku: &str) -> i64 {
        self.seeded[sku]
    }

    /// SKU → units that no buyer has: the orders of the shops' own checkouts, less what was cancelled or came back.
    pub async fn expected(&self, shops: &[ShopClient]) -> BTreeMap<String, i64> {
        let mut left = self.seeded.clone();
        for shop in shops {
            for order in shop.orders().await {
                if !order["external_key"].is_null() {
                    continue;
                }
                for line in order["lines"].as_array().into_iter().flatten() {
                    let Some(sku) = line["sku"].as_str() else {
                        continue;
                    };
                    let units = |key: &str| line[key].as_i64().unwrap_or_default();
                    let got = units("quantity") - units("cancelled") - units("returned");
                    *left.entry(sku.to_owned()).or_default() -= got;
                }
            }
        }
        left
    }

    /// Every SKU in every shop; the first differences, if there are any.
    pub async fn check(&self, shops: &[ShopClient]) -> Result<(), String> {
        let expected = self.expected(shops).await;
        for shop in shops {
            let found = shop.levels().await;
            same_levels(&shop.name, &found, &expected)?;
        }
        Ok(())
    }

    /// Each order of a web shop's checkout that must cross stands in the ERP once, with the same units and total.
    pub async fn orders_crossed_once(
        &self,
        erp: &ShopClient,
        web_shops: &[ShopClient],
        wanted: usize,
    ) -> Result<(), String> {
        let copies = erp.orders().await;
        let mut by_key: BTreeMap<&str, u32> = BTreeMap::new();
        for copy in &copies {
            let key = copy["external_key"].as_str().unwrap_or_default();
            *by_key.entry(key).or_default() += 1;
        }
        if let Some((key, count)) = by_key.iter().find(|(_, count)| **count > 1) {
            return Err(format!("{count} copies with the key {key}"));
        }
        let mut origins = 0;
        for shop in web_shops {
            for order in shop.orders().await {
                if !order["external_key"].is_null() {
                    return Err(format!("{} was given an order: {order}", shop.name));
                }
                origins += 1;
                let id = order["id"].as_str().unwrap_or_default();
                let mine = |copy: &&serde_json::Value| {
                    let reference = copy["reference"].as_str().unwrap_or_default();
                    let number = order["number"].as_str().unwrap_or("?");
                    reference.contains(number)
                };
                let found: Vec<_> = copies.iter().filter(mine).collect();
                let [copy] = found.as_slice() else {
                    return Err(format!(
                        "order {id} of {} is {} times in the ERP",
                        shop.name,
                        found.len()
                    ));
                };
                for field in ["total", "currency"] {
                    if copy[field] != order[field] {
                        return Err(format!(
                            "{field} of order {id}: {} in {}, {} in the ERP",
                            order[field], shop.name, copy[field]
                        ));
                    }
                }
            }
        }
        if origins != wanted || copies.len() != wanted {
            return Err(format!(
                "{origins} orders were placed, {} are in the ERP, {wanted} were meant",
                copies.len()
            ));
        }
        Ok(())
    }
}

fn same_levels(
    name: &str,
    found: &BTreeMap<String, i64>,
    expected: &BTreeMap<String, i64>,
) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (sku, units) in expected {
        match found.get(sku) {
            Some(there) if there == units => {}
            Some(there) => wrong.push(format!("{sku}: {there}, not {units}")),
            None => wrong.push(format!("{sku} is missing")),
        }
    }
    for sku in found.keys().filter(|sku| !expected.contains_key(*sku)) {
        wrong.push(format!("{sku} is one too many"));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let count = wrong.len();
    wrong.truncate(5);
    Err(format!("{name}: {count} SKUs differ: {}", wrong.join("; ")))
}

/// Every shop shows the same SKUs and numbers.
pub async fn in_step(shops: &[ShopClient]) -> Result<(), String> {
    let Some((first, others)) = shops.split_first() else {
        return Ok(());
    };
    let expected = first.levels().await;
    for shop in others {
        same_levels(&shop.name, &shop.levels().await, &expected)?;
    }
    Ok(())
}
