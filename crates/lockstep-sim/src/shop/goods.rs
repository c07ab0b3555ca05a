//! Products and levels, as people handle them and as a lossy shop keeps them.

use super::{SimShop, Stocked};
use jiff::Timestamp;
use lockstep_model::{Category, Kind, Picture, Product, RemoteId, Sku};
use std::collections::BTreeSet;

/// A lossy shop cuts titles here.
const TITLE_MAX: usize = 24;

/// What a lossy shop makes of a product.
pub fn as_kept_by_a_lossy_shop(product: &mut Product) {
    let words: Vec<&str> = product.title.split_whitespace().collect();
    let title: String = words.join(" ").chars().take(TITLE_MAX).collect();
    product.title = title.trim_end().to_owned();
    for variant in &mut product.variants {
        for price in variant
            .prices
            .values_mut()
            .chain(variant.sale_prices.values_mut())
        {
            *price = price.round_dp(1);
        }
    }
}

impl SimShop {
    pub fn add_product(&mut self, mut product: Product, units: i64, now: Timestamp) -> RemoteId {
        let id = self.fresh("p");
        product.id = id.clone();
        for variant in &mut product.variants {
            variant.item = Default::default();
            variant.id = self.fresh("v");
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
            self.match_levels(id);
        }
    }

    /// Units go with the variant that they are of, whatever it is called.
    pub(super) fn carry_levels(&mut self, id: &RemoteId, after: &Product) {
        let Some(before) = self.products.get(id) else {
            return;
        };
        let renamed: Vec<(Sku, Sku)> = before
            .variants
            .iter()
            .filter_map(|variant| {
                let now = after.variants.iter().find(|now| now.id == variant.id)?;
                (now.sku != variant.sku).then(|| (variant.sku.clone(), now.sku.clone()))
            })
            .collect();
        for levels in [&mut self.levels, &mut self.outlet] {
            let moved: Vec<(Sku, Stocked)> = renamed
                .iter()
                .filter_map(|(from, to)| Some((to.clone(), levels.remove(from)?)))
                .collect();
            levels.extend(moved);
        }
        for (_, to) in renamed {
            self.touch_level(&to);
        }
    }

    /// A level comes and goes with its item.
    fn match_levels(&mut self, id: &RemoteId) {
        let mut new = Vec::new();
        if let Some(product) = self.products.get_mut(id) {
            for variant in &mut product.variants {
                if variant.id == RemoteId::default() {
                    self.next_id += 1;
                    variant.id = RemoteId(format!("v{}", self.next_id));
                }
                if !self.levels.contains_key(&variant.sku) {
                    new.push(variant.sku.clone());
                }
            }
        }
        for sku in new {
            self.levels.insert(sku.clone(), Stocked::default());
            self.touch_level(&sku);
        }
        let had: BTreeSet<&Sku> = self
            .products
            .values()
            .flat_map(|product| product.variants.iter().map(|variant| &variant.sku))
            .collect();
        self.levels.retain(|sku, _| had.contains(sku));
        self.outlet.retain(|sku, _| had.contains(sku));
    }

    pub fn delete_product(&mut self, id: &RemoteId) {
        if self.products.remove(id).is_some() {
            self.touch(Kind::Product, id.clone());
            self.match_levels(id);
        }
    }

    /// The item is the same, and its units are there.
    pub fn rename_sku(&mut self, id: &RemoteId, from: &Sku, to: &Sku) {
        let level = self.levels.get(from).cloned().unwrap_or_default();
        self.levels.insert(to.clone(), level);
        if let Some(level) = self.outlet.get(from).cloned() {
            self.outlet.insert(to.clone(), level);
        }
        self.edit_product(id, |product| {
            for variant in product
                .variants
                .iter_mut()
                .filter(|variant| variant.sku == *from)
            {
                variant.sku = to.clone();
            }
        });
        self.touch_level(to);
    }

    /// Two products of one variant each change their SKUs; their units go with the variants.
    pub fn swap_skus(&mut self, one: &RemoteId, other: &RemoteId) {
        let sku = |id: &RemoteId| {
            self.products
                .get(id)?
                .variants
                .first()
                .map(|v| v.sku.clone())
        };
        let (Some(first), Some(second)) = (sku(one), sku(other)) else {
            return;
        };
        for levels in [&mut self.levels, &mut self.outlet] {
            let (here, there) = (levels.remove(&first), levels.remove(&second));
            levels.extend(here.map(|level| (second.clone(), level)));
            levels.extend(there.map(|level| (first.clone(), level)));
        }
        self.touch_level(&first);
        self.touch_level(&second);
        for (id, sku) in [(one, second), (other, first)] {
            if let Some(variant) = self
                .products
                .get_mut(id)
                .and_then(|product| product.variants.first_mut())
            {
                variant.sku = sku;
            }
            self.touch(Kind::Product, id.clone());
        }
    }

    pub fn add_category(&mut self, mut category: Category) -> RemoteId {
        let id = self.fresh("g");
        category.id = id.clone();
        self.categories.insert(id.clone(), category);
        self.touch(Kind::Category, id.clone());
        id
    }

    pub fn edit_category(&mut self, id: &RemoteId, edit: impl FnOnce(&mut Category)) {
        if let Some(category) = self.categories.get_mut(id) {
            edit(category);
            self.touch(Kind::Category, id.clone());
        }
    }

    /// Its name, below those above it.
    pub fn path_of(&self, id: &RemoteId) -> String {
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some(category) = at.and_then(|id| self.categories.get(id)) {
            names.push(category.name.as_str());
            at = category.parent.as_ref();
            if names.len() > self.categories.len() {
                return format!("{id} is above itself");
            }
        }
        names.reverse();
        names.join(" / ")
    }

    pub fn add_picture(&mut self, id: &RemoteId, digest: &str, alt: &str) {
        let picture = Picture {
            id: self.fresh("i"),
            digest: if self.traits.reencodes {
                format!("of-{digest}-made-by-{}", self.id)
            } else {
                digest.to_owned()
            },
            alt: alt.to_owned(),
            url: format!("http://127.0.0.1:1/{digest}"),
        };
        self.edit_product(id, |product| {
            product.pictures.get_or_insert_default().push(picture);
        });
    }

    pub fn remove_picture(&mut self, id: &RemoteId, picture: &RemoteId) {
        self.edit_product(id, |product| {
            if let Some(pictures) = &mut product.pictures {
                pictures.retain(|known| known.id != *picture);
            }
        });
    }

    /// Units come into its second stock.
    pub fn receive_in_outlet(&mut self, sku: &Sku, units: i64) {
        self.outlet.entry(sku.clone()).or_default().on_hand += units;
        self.touch_level(sku);
    }

    /// A receipt, a count, a breakage: on hand moves and no order says why.
    pub fn move_on_hand(&mut self, sku: &Sku, units: i64) {
        if let Some(level) = self.levels.get_mut(sku) {
            level.on_hand += units;
            self.touch_level(sku);
        }
    }
}
