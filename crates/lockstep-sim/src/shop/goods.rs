//! Products and levels, as people handle them and as a lossy shop keeps them.

use super::{SimShop, Stocked};
use jiff::Timestamp;
use lockstep_model::{Kind, Product, RemoteId, Sku};

/// A lossy shop cuts titles here.
const TITLE_MAX: usize = 24;

/// What a lossy shop makes of a product.
pub fn as_kept_by_a_lossy_shop(product: &mut Product) {
    let words: Vec<&str> = product.title.split_whitespace().collect();
    let title: String = words.join(" ").chars().take(TITLE_MAX).collect();
    product.title = title.trim_end().to_owned();
    for variant in &mut product.variants {
        for price in variant.prices.values_mut() {
            *price = price.round_dp(1);
        }
    }
}

impl SimShop {
    pub fn add_product(&mut self, mut product: Product, units: i64, now: Timestamp) -> RemoteId {
        let id = self.fresh("p");
        product.id = id.clone();
        for variant in &mut product.variants {
            variant.id = RemoteId(format!("v-{}-{}", self.id, variant.sku));
            self.levels.insert(
                variant.sku.clone(),
                Stocked {
                    on_hand: units,
                    ..Stocked::default()
                },
            );
        }
        if self.traits.lossy {
            as_kept_by_a_lossy_shop(&mut product);
        }
        let skus: Vec<Sku> = product.variants.iter().map(|v| v.sku.clone()).collect();
        self.products.insert(id.clone(), product);
        self.product_hidden_until
            .insert(id.clone(), self.found_from(now));
        self.touch(Kind::Product, id.clone());
        for sku in skus {
            self.touch_level(&sku);
        }
        id
    }

    pub fn edit_product(&mut self, id: &RemoteId, edit: impl FnOnce(&mut Product)) {
        let lossy = self.traits.lossy;
        if let Some(product) = self.products.get_mut(id) {
            edit(product);
            if lossy {
                as_kept_by_a_lossy_shop(product);
            }
            self.touch(Kind::Product, id.clone());
        }
    }

    /// A receipt, a count, a breakage: on hand moves and no order says why.
    pub fn move_on_hand(&mut self, sku: &Sku, units: i64) {
        if let Some(level) = self.levels.get_mut(sku) {
            level.on_hand += units;
            self.touch_level(sku);
        }
    }
}
