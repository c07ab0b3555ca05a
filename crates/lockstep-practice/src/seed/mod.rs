//! A plausible catalogue, made of words and a number: the same seed gives the same catalogue in every shop.

mod art;
mod words;

use std::collections::HashMap;

use rusqlite::params;
use serde_json::json;

use crate::catalogue::picture_rows;
use crate::catalogue::product::check_digit;
use crate::catalogue::text::handle_of;
use crate::config::ShopConfig;
use crate::database::Writing;
use crate::problem::Problem;
use words::{ADJECTIVES, COLOURS, Noun, TREE, nouns};

/// More is not meant.
const PRODUCTS_MAX: u64 = 5_000_000;

/// What is sown into an empty shop.
#[derive(Debug, Clone)]
pub struct Seed {
    pub products: u64,
    /// As many as the kind of product suggests (1 to 4) where missing; at most 100.
    pub variants_per_product: Option<u32>,
    /// Before the number in every SKU.
    pub prefix: String,
    /// Units on hand of every SKU in the first stock. Plausible ones (0 to 60) where missing.
    pub units_each: Option<i64>,
    /// One picture for each product; there are about a hundred different ones.
    pub pictures: bool,
    /// Another number gives another catalogue, with the same SKUs.
    pub number: u64,
}

impl Default for Seed {
    fn default() -> Self {
        Self {
            products: 100,
            variants_per_product: None,
            prefix: "P".into(),
            units_each: None,
            pictures: true,
            number: 1,
        }
    }
}

/// A product of the seed, before it is in a shop.
#[derive(Debug, PartialEq)]
struct Sown {
    title: String,
    title_fi: String,
    description: String,
    description_fi: String,
    category: usize,
    tax_class: &'static str,
    option: Option<&'static str>,
    shape: usize,
    colour: usize,
    material: &'static str,
    variants: Vec<SownVariant>,
}

#[derive(Debug, PartialEq)]
struct SownVariant {
    sku: String,
    gtin: String,
    value: Option<String>,
    price_cents: i64,
    cost_cents: i64,
    weight_g: i64,
    units: i64,
}

/// splitmix64: plausible numbers from an index, alike everywhere.
fn mixed(seed: u64, index: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(index.wrapping_add(1).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn product(seed: &Seed, nouns: &[Noun], index: u64) -> Sown {
    let combinations = (nouns.len() * ADJECTIVES.len() * COLOURS.len()) as u64;
    // A prime step goes through all combinations before one comes again, and its remainder mixes the kinds.
    let combination = (index
        .wrapping_mul(7_937)
        .wrapping_add(seed.number.wrapping_mul(31)))
        % combinations;
    let series = index / combinations;
    let noun = &nouns[(combination % nouns.len() as u64) as usize];
    let rest = combination / nouns.len() as u64;
    let (adjective, adjective_fi) = ADJECTIVES[(rest % ADJECTIVES.len() as u64) as usize];
    let colour = (rest / ADJECTIVES.len() as u64) as usize;
    let (colour_en, colour_fi, _) = COLOURS[colour];
    let dice = mixed(seed.number, index);
    let suffix = if series == 0 {
        String::new()
    } else {
        format!(" No. {}", series + 1)
    };
    let values: Vec<Option<String>> = match seed.variants_per_product {
        None if noun.values.is_empty() => vec![None],
        None => noun
            .values
            .iter()
            .map(|value| Some((*value).to_string()))
            .collect(),
        Some(0 | 1) => vec![None],
        Some(many) => (0..many.min(100) as usize)
            .map(|at| {
                Some(
                    noun.values
                        .get(at)
                        .map_or_else(|| format!("No. {}", at + 1), |value| (*value).to_string()),
                )
            })
            .collect(),
    };
    let base_cents = noun.price_cents + (dice % 12) as i64 * noun.price_cents / 20;
    let variants = values
        .into_iter()
        .enumerate()
        .map(|(at, value)| {
            let price = (base_cents + at as i64 * noun.price_cents / 25) / 100 * 100 + 90;
            let code: String = value
                .iter()
                .flat_map(|value| value.chars())
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>()
                .to_uppercase();
            let number = index + 1;
            let digits = format!("20{:010}", (number * 100 + at as u64) % 10_000_000_000);
            SownVariant {
                sku: if code.is_empty() {
                    format!("{}-{number:05}", seed.prefix)
                } else {
                    format!("{}-{number:05}-{code}", seed.prefix)
                },
                gtin: format!("{digits}{}", check_digit(&digits)),
                value,
                price_cents: price,
                cost_cents: price * 45 / 100,
                weight_g: noun.weight_g + at as i64 * (noun.weight_g / 10),
                units: seed
                    .units_each
                    .unwrap_or_else(|| (mixed(dice, at as u64) % 61) as i64),
            }
        })
        .collect();
    Sown {
        title: format!(
            "{adjective} {} {}, {colour_en}{suffix}",
            noun.material.0, noun.en
        ),
        title_fi: format!(
            "{adjective_fi} {}{}, {colour_fi}{suffix}",
            noun.material.1, noun.fi
        ),
        description: format!(
            "<p>{adjective} {} in {colour_en}, made of {}. {}</p>",
            noun.en, noun.material.0, noun.story
        ),
        description_fi: format!("<p>{adjective_fi} {}, väri {colour_fi}.</p>", noun.fi),
        category: noun.category,
        tax_class: noun.tax_class,
        option: if seed.variants_per_product.is_some_and(|many| many < 2)
            || (noun.values.is_empty() && seed.variants_per_product.is_none())
        {
            None
        } else {
            Some(noun.option)
        },
        shape: noun.shape,
        colour,
        material: noun.material.0,
        variants,
    }
}

/// Sows all of it, in the transaction that it is given.
pub fn sow(w: &mut Writing<'_>, seed: &Seed, config: &ShopConfig) -> Result<(), Problem> {
    if seed.products > PRODUCTS_MAX {
        return Err(Problem::invalid(
            "products",
            format!("A seed has at most {PRODUCTS_MAX} products."),
        ));
    }
    if seed.products == 0 {
        return Ok(());
    }
    let english =
        config.languages[0] == "en" || !config.languages.iter().any(|language| language == "fi");
    let both = config.languages.iter().any(|language| language == "en")
        && config.languages.iter().any(|language| language == "fi");
    let categories = sow_categories(w, english, both)?;
    let nouns = nouns();
    let classes: HashMap<&str, &str> = ["standard", "reduced", "low"]
        .into_iter()
        .map(|class| {
            (
                class,
                if config.rate_of(class).is_some() {
                    class
                } else {
                    config.tax_rates[0].id.as_str()
                },
            )
        })
        .collect();
    let mut art_kept: HashMap<(usize, usize), String> = HashMap::new();
    for index in 0..seed.products {
        let sown = product(seed, &nouns, index);
        let (title, description, other) = if english {
            let other = json!({"fi": {"title": sown.title_fi, "description": sown.description_fi}});
            (&sown.title, &sown.description, other)
        } else {
            let other = json!({"en": {"title": sown.title, "description": sown.description}});
            (&sown.title_fi, &sown.description_fi, other)
        };
        let texts = if both { other } else { json!({}) };
        let stamp = w.stamp();
        // The number keeps handles apart where two titles give one.
        let handle = format!("{}-{}", handle_of(&sown.title), index + 1);
        w.prepare_cached(
            "INSERT INTO product (handle, title, description, texts, status, shop_versions, tax_rate, options, attributes, rev, changed, created) \
             VALUES (?1, ?2, ?3, ?4, 'active', '[]', ?5, ?6, ?7, 1, ?8, ?8)",
        )?
        .execute(params![
            handle,
            title,
            description,
            texts.to_string(),
            classes.get(sown.tax_class).copied().unwrap_or(config.tax_rates[0].id.as_str()),
            json!(sown.option.into_iter().collect::<Vec<_>>()).to_string(),
            json!({"material": sown.material}).to_string(),
            stamp
        ])?;
        let product = w.last_insert_rowid();
        w.prepare_cached(
            "INSERT INTO product_category (product_id, category_id, position) VALUES (?1, ?2, 0)",
        )?
        .execute([product, categories[sown.category]])?;
        let shelf = config
            .shelves
            .get(index as usize % config.shelves.len().max(1))
            .map(|shelf| shelf.id.as_str());
        for (position, variant) in sown.variants.iter().enumerate() {
            sow_variant(
                w,
                product,
                position as i64,
                variant,
                sown.option,
                shelf,
                config,
            )?;
        }
        if seed.pictures {
            let key = (sown.shape, sown.colour);
            let sha256 = match art_kept.get(&key) {
                Some(sha256) => sha256.clone(),
                None => {
                    let drawing = art::draw(sown.shape, COLOURS[sown.colour].2);
                    let sha256 = picture_rows::keep(w, "image/svg+xml", drawing.as_bytes())?;
                    art_kept.insert(key, sha256.clone());
                    sha256
                }
            };
            w.prepare_cached(
                "INSERT INTO picture (product_id, sha256, alt, position) VALUES (?1, ?2, ?3, 0)",
            )?
            .execute(params![product, sha256, title])?;
        }
    }
    Ok(())
}

fn sow_variant(
    w: &mut Writing<'_>,
    product: i64,
    position: i64,
    variant: &SownVariant,
    option: Option<&str>,
    shelf: Option<&str>,
    config: &ShopConfig,
) -> Result<(), Problem> {
    let options = match (option, &variant.value) {
        (Some(option), Some(value)) => json!({ option: value }),
        _ => json!({}),
    };
    w.prepare_cached(
        "INSERT INTO variant (product_id, sku, gtin, price, cost, options, weight_g, backorder, position, status) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, 'active')",
    )?
    .execute(params![
        product,
        variant.sku,
        variant.gtin,
        cents(variant.price_cents),
        cents(variant.cost_cents),
        options.to_string(),
        variant.weight_g,
        position
    ])?;
    let row = w.last_insert_rowid();
    for (at, stock) in config.stocks.iter().enumerate() {
        let stamp = w.stamp();
        w.prepare_cached(
            "INSERT INTO level (variant_id, stock_id, on_hand, reserved, location, rev, changed) VALUES (?1, ?2, ?3, 0, ?4, 1, ?5)",
        )?
        .execute(params![row, stock.id, if at == 0 { variant.units } else { 0 }, shelf, stamp])?;
    }
    Ok(())
}

fn cents(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// The whole tree; gives the row of each of its nodes.
fn sow_categories(w: &mut Writing<'_>, english: bool, both: bool) -> Result<Vec<i64>, Problem> {
    let mut rows: Vec<i64> = Vec::with_capacity(TREE.len());
    for (position, (en, fi, parent)) in TREE.iter().enumerate() {
        let (name, names) = if english {
            (en, json!({ "fi": fi }))
        } else {
            (fi, json!({ "en": en }))
        };
        let stamp = w.stamp();
        w.prepare_cached("INSERT INTO category (name, names, parent_id, position, rev, changed, created) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5)")?
            .execute(params![
                name,
                if both { names } else { json!({}) }.to_string(),
                parent.map(|at: usize| rows[at]),
                position as i64,
                stamp
            ])?;
        rows.push(w.last_insert_rowid());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_product() {
        let (seed, nouns) = (Seed::default(), nouns());
        assert_eq!(product(&seed, &nouns, 41), product(&seed, &nouns, 41));
        let other = Seed {
            number: 2,
            ..seed.clone()
        };
        assert_ne!(
            product(&seed, &nouns, 41).title,
            product(&other, &nouns, 41).title
        );
    }

    #[test]
    fn skus_gtins_and_titles_do_not_repeat() {
        let (seed, nouns) = (Seed::default(), nouns());
        let (mut skus, mut gtins, mut titles) = (HashSet::new(), HashSet::new(), HashSet::new());
        for index in 0..30_000 {
            let sown = product(&seed, &nouns, index);
            assert!(titles.insert(sown.title.clone()), "{}", sown.title);
            for variant in sown.variants {
                assert!(gtins.insert(variant.gtin.clone()), "{}", variant.gtin);
                assert!(skus.insert(variant.sku.clone()), "{}", variant.sku);
                assert_eq!(
                    check_digit(&variant.gtin[..12]),
                    variant.gtin.as_bytes()[12] - b'0'
                );
            }
        }
    }

    #[test]
    fn variants_and_units_are_as_many_as_were_asked_for() {
        let seed = Seed {
            variants_per_product: Some(7),
            units_each: Some(10),
            ..Seed::default()
        };
        let sown = product(&seed, &nouns(), 3);
        assert_eq!(sown.variants.len(), 7);
        assert!(sown.variants.iter().all(|variant| variant.units == 10));
        let seed = Seed {
            variants_per_product: Some(1),
            ..Seed::default()
        };
        for index in 0..50 {
            let sown = product(&seed, &nouns(), index);
            assert_eq!((sown.variants.len(), sown.option), (1, None));
        }
    }

    #[test]
    fn every_leaf_of_the_tree_lies_below_another_category() {
        for noun in nouns() {
            assert!(TREE[noun.category].2.is_some(), "{}", noun.en);
        }
    }
}
