//! A product as the wire has it, and what a write does to it. Pure: rows are read and written next door.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::text::{check_handle, check_label, check_name, check_text};
use crate::bounds;
use crate::clock;
use crate::config::ShopConfig;
use crate::ids::Kind;
use crate::money::Money;
use crate::problem::{Code, Problem};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Active,
    Draft,
    Archived,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draft => "draft",
            Self::Archived => "archived",
        }
    }

    pub fn parse(word: &str) -> Self {
        match word {
            "draft" => Self::Draft,
            "archived" => Self::Archived,
            _ => Self::Active,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Text {
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub description: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Product {
    pub id: String,
    pub handle: String,
    pub title: String,
    pub description: String,
    pub texts: BTreeMap<String, Text>,
    pub status: Status,
    pub category_ids: Vec<String>,
    pub shop_versions: Vec<String>,
    pub tax_rate: String,
    pub options: Vec<String>,
    pub variants: Vec<Variant>,
    pub pictures: Vec<Picture>,
    pub attributes: Map<String, Value>,
    pub rev: i64,
    pub created_at: String,
    pub modified_at: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variant {
    pub id: String,
    pub sku: String,
    pub gtin: Option<String>,
    pub price: Money,
    pub sale_price: Option<Money>,
    pub sale_from: Option<String>,
    pub sale_until: Option<String>,
    pub cost: Option<Money>,
    pub currency: String,
    pub options: BTreeMap<String, String>,
    pub weight_g: Option<i64>,
    pub backorder: bool,
    pub position: i64,
    pub status: Status,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    pub id: String,
    pub url: String,
    pub alt: String,
    pub sha256: String,
    pub content_type: String,
    pub position: i64,
    pub variant_id: Option<String>,
}

/// What a caller says of a product: a field that is not said is not touched.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProductInput {
    pub if_rev: Option<i64>,
    pub handle: Option<String>,
    pub title: Option<String>,
    #[serde(deserialize_with = "said")]
    pub description: Option<Option<String>>,
    pub texts: Option<BTreeMap<String, Option<TextInput>>>,
    pub status: Option<Status>,
    pub category_ids: Option<Vec<String>>,
    pub shop_versions: Option<Vec<String>>,
    pub tax_rate: Option<String>,
    pub options: Option<Vec<String>>,
    pub variants: Option<Vec<VariantInput>>,
    pub attributes: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextInput {
    pub title: Option<String>,
    pub description: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VariantInput {
    pub id: Option<String>,
    pub sku: Option<String>,
    #[serde(deserialize_with = "said")]
    pub gtin: Option<Option<String>>,
    pub price: Option<Money>,
    #[serde(deserialize_with = "said")]
    pub sale_price: Option<Option<Money>>,
    #[serde(deserialize_with = "said")]
    pub sale_from: Option<Option<String>>,
    #[serde(deserialize_with = "said")]
    pub sale_until: Option<Option<String>>,
    #[serde(deserialize_with = "said")]
    pub cost: Option<Option<Money>>,
    pub currency: Option<String>,
    pub options: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "said")]
    pub weight_g: Option<Option<i64>>,
    pub backorder: Option<bool>,
    pub position: Option<i64>,
    pub status: Option<Status>,
}

/// Tells `null` (empty it) from a field that is not there (leave it).
pub fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

impl Product {
    /// A product before its first write.
    pub fn blank(config: &ShopConfig) -> Self {
        Self {
            id: String::new(),
            handle: String::new(),
            title: String::new(),
            description: String::new(),
            texts: BTreeMap::new(),
            status: Status::Active,
            category_ids: Vec::new(),
            shop_versions: Vec::new(),
            tax_rate: config.tax_rates[0].id.clone(),
            options: Vec::new(),
            variants: Vec::new(),
            pictures: Vec::new(),
            attributes: Map::new(),
            rev: 0,
            created_at: String::new(),
            modified_at: String::new(),
        }
    }

    /// Makes this product what `input` says, touching only what it says.
    pub fn take(&mut self, input: ProductInput, config: &ShopConfig) -> Result<(), Problem> {
        if let Some(handle) = input.handle {
            check_handle(&handle)?;
            self.handle = handle;
        }
        if let Some(title) = input.title {
            check_name("title", &title)?;
            self.title = title;
        }
        if let Some(description) = input.description {
            let description = description.unwrap_or_default();
            check_text("description", &description)?;
            self.description = description;
        }
        for (language, text) in input.texts.unwrap_or_default() {
            self.take_text(language, text, config)?;
        }
        if let Some(status) = input.status {
            self.status = status;
        }
        if let Some(ids) = input.category_ids {
            self.category_ids = without_repeats(ids);
            if self.category_ids.len() > 100 {
                return Err(Problem::invalid(
                    "category_ids",
                    "A product is in at most 100 categories.",
                ));
            }
        }
        if let Some(versions) = input.shop_versions {
            for id in &versions {
                if !config.shop_versions.iter().any(|version| version.id == *id) {
                    return Err(unknown_reference("shop_versions", id));
                }
            }
            self.shop_versions = without_repeats(versions);
        }
        if let Some(class) = input.tax_rate {
            if config.rate_of(&class).is_none() {
                return Err(unknown_reference("tax_rate", &class));
            }
            self.tax_rate = class;
        }
        if let Some(options) = input.options {
            if options.len() > 5 {
                return Err(Problem::invalid("options", "At most 5 options."));
            }
            for option in &options {
                check_name("options", option)?;
            }
            self.options = without_repeats(options);
        }
        for variant in input.variants.unwrap_or_default() {
            self.take_variant(variant, config)?;
        }
        if self.variants.len() > bounds::VARIANTS_MAX {
            return Err(Problem::invalid(
                "variants",
                format!("A product has at most {} variants.", bounds::VARIANTS_MAX),
            ));
        }
        for (name, value) in input.attributes.unwrap_or_default() {
            check_name("attributes", &name)?;
            if value.is_null() {
                self.attributes.remove(&name);
            } else {
                self.attributes.insert(name, value);
            }
        }
        if serde_json::to_string(&self.attributes)?.len() > bounds::TEXT_BYTES_MAX {
            return Err(Problem::invalid(
                "attributes",
                "The attributes are longer than 64 KiB.",
            ));
        }
        self.check_variants()
    }

    fn take_text(
        &mut self,
        language: String,
        text: Option<TextInput>,
        config: &ShopConfig,
    ) -> Result<(), Problem> {
        if !config.languages.contains(&language) {
            return Err(unknown_reference("texts", &language));
        }
        if config.languages[0] == language {
            return Err(Problem::invalid(
                "texts",
                format!(
                    "“{language}” is the shop's own language: say it in title and description."
                ),
            ));
        }
        let Some(said) = text else {
            self.texts.remove(&language);
            return Ok(());
        };
        let kept = self.texts.entry(language).or_default();
        if let Some(title) = said.title {
            check_label("texts", &title)?;
            kept.title = title;
        }
        if let Some(description) = said.description {
            check_text("texts", &description)?;
            kept.description = description;
        }
        Ok(())
    }

    fn take_variant(&mut self, input: VariantInput, config: &ShopConfig) -> Result<(), Problem> {
        if let Some(currency) = &input.currency
            && *currency != config.currency
        {
            return Err(Problem::invalid(
                "currency",
                format!("This shop sells in {}, not in {currency}.", config.currency),
            ));
        }
        let at = match (&input.id, &input.sku) {
            (Some(id), _) => Some(
                self.variants
                    .iter()
                    .position(|variant| variant.id == *id)
                    .ok_or_else(|| unknown_reference("variants", id))?,
            ),
            (None, Some(sku)) => self.variants.iter().position(|variant| variant.sku == *sku),
            (None, None) => {
                return Err(Problem::invalid(
                    "sku",
                    "A variant is named by its id or its sku.",
                ));
            }
        };
        let at = match at {
            Some(at) => at,
            None => {
                let price = input
                    .price
                    .ok_or_else(|| Problem::invalid("price", "A new variant needs a price."))?;
                let position = self
                    .variants
                    .iter()
                    .map(|v| v.position + 1)
                    .max()
                    .unwrap_or(0);
                self.variants.push(Variant {
                    id: String::new(),
                    sku: String::new(),
                    gtin: None,
                    price,
                    sale_price: None,
                    sale_from: None,
                    sale_until: None,
                    cost: None,
                    currency: config.currency.clone(),
                    options: BTreeMap::new(),
                    weight_g: None,
                    backorder: false,
                    position,
                    status: Status::Active,
                });
                self.variants.len() - 1
            }
        };
        self.variants[at].take(input)
    }

    fn check_variants(&self) -> Result<(), Problem> {
        for (at, variant) in self.variants.iter().enumerate() {
            for option in variant.options.keys() {
                if !self.options.contains(option) {
                    return Err(Problem::invalid(
                        "options",
                        format!(
                            "The variant {} has “{option}”, which is no option of the product.",
                            variant.sku
                        ),
                    ));
                }
            }
            if self.variants[..at]
                .iter()
                .any(|other| other.sku == variant.sku)
            {
                return Err(Problem::new(
                    Code::DuplicateSku,
                    format!("The SKU “{}” stands twice in this product.", variant.sku),
                )
                .with("field", "sku")
                .with("existing", self.id.as_str()));
            }
        }
        Ok(())
    }

    pub fn id_row(&self) -> Option<i64> {
        Kind::Product.parse(&self.id)
    }

    /// 409 for a caller that wrote against another revision.
    pub fn check_rev(&self, if_rev: Option<i64>) -> Result<(), Problem> {
        match if_rev {
            Some(rev) if rev != self.rev => Err(Problem::new(
                Code::Stale,
                format!(
                    "The product {} is at revision {}, not {rev}.",
                    self.id, self.rev
                ),
            )
            .with("current", json!(self))),
            Some(_) | None => Ok(()),
        }
    }
}

impl Variant {
    fn take(&mut self, input: VariantInput) -> Result<(), Problem> {
        if let Some(sku) = input.sku {
            check_name("sku", &sku)?;
            self.sku = sku;
        }
        if let Some(gtin) = input.gtin {
            if let Some(gtin) = &gtin {
                check_gtin(gtin)?;
            }
            self.gtin = gtin;
        }
        if let Some(price) = input.price {
            self.price = not_negative("price", price)?;
        }
        if let Some(price) = input.sale_price {
            self.sale_price = price
                .map(|price| not_negative("sale_price", price))
                .transpose()?;
        }
        if let Some(cost) = input.cost {
            self.cost = cost.map(|cost| not_negative("cost", cost)).transpose()?;
        }
        if let Some(from) = input.sale_from {
            self.sale_from = from
                .map(|time| in_our_form("sale_from", &time))
                .transpose()?;
        }
        if let Some(until) = input.sale_until {
            self.sale_until = until
                .map(|time| in_our_form("sale_until", &time))
                .transpose()?;
        }
        if let Some(options) = input.options {
            for (name, value) in &options {
                check_name("options", name)?;
                check_name("options", value)?;
            }
            self.options = options;
        }
        if let Some(weight) = input.weight_g {
            if weight.is_some_and(|grams| !(0..=bounds::QUANTITY_MAX).contains(&grams)) {
                return Err(Problem::invalid("weight_g", "A weight is 0 g or more."));
            }
            self.weight_g = weight;
        }
        if let Some(backorder) = input.backorder {
            self.backorder = backorder;
        }
        if let Some(position) = input.position {
            if !(0..=10_000).contains(&position) {
                return Err(Problem::invalid("position", "A position is 0 to 10,000."));
            }
            self.position = position;
        }
        if let Some(status) = input.status {
            if status == Status::Draft {
                return Err(Problem::invalid(
                    "status",
                    "A variant is active or archived.",
                ));
            }
            self.status = status;
        }
        Ok(())
    }

    /// What a buyer pays for one at this moment.
    pub fn price_now(&self, now: clock::Stamp) -> Money {
        let begun = self
            .sale_from
            .as_deref()
            .and_then(clock::parse)
            .is_none_or(|from| from <= now);
        let over = self
            .sale_until
            .as_deref()
            .and_then(clock::parse)
            .is_some_and(|until| until <= now);
        match self.sale_price {
            Some(price) if begun && !over => price,
            Some(_) | None => self.price,
        }
    }

    /// "M, red", or nothing.
    pub fn label(&self, options: &[String]) -> String {
        let values: Vec<&str> = options
            .iter()
            .filter_map(|name| self.options.get(name))
            .map(String::as_str)
            .collect();
        values.join(", ")
    }
}

pub fn unknown_reference(field: &str, id: &str) -> Problem {
    Problem::new(
        Code::UnknownReference,
        format!("“{id}” is not known to this shop ({field})."),
    )
    .with("field", field)
}

fn not_negative(field: &str, price: Money) -> Result<Money, Problem> {
    if price < Money::ZERO {
        return Err(Problem::invalid(
            field,
            format!("“{field}” must not be negative."),
        ));
    }
    Ok(price)
}

fn in_our_form(field: &str, time: &str) -> Result<String, Problem> {
    clock::parse(time).map(clock::show).ok_or_else(|| {
        Problem::invalid(
            field,
            format!("“{time}” is no RFC 3339 time with an offset."),
        )
    })
}

fn without_repeats(list: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(list.len());
    for member in list {
        if !kept.contains(&member) {
            kept.push(member);
        }
    }
    kept
}

/// 8, 12, 13 or 14 digits, the last of which checks the others.
fn check_gtin(gtin: &str) -> Result<(), Problem> {
    let shaped = matches!(gtin.len(), 8 | 12 | 13 | 14) && gtin.bytes().all(|b| b.is_ascii_digit());
    if !shaped || check_digit(&gtin[..gtin.len() - 1]) != gtin.as_bytes()[gtin.len() - 1] - b'0' {
        return Err(Problem::invalid(
            "gtin",
            format!("“{gtin}” is no GTIN: 8, 12, 13 or 14 digits with a true check digit."),
        ));
    }
    Ok(())
}

/// GS1: from the right, weights 3 and 1 in turn.
pub fn check_digit(digits: &str) -> u8 {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, byte)| u32::from(byte - b'0') * if at % 2 == 0 { 3 } else { 1 })
        .sum();
    ((10 - sum % 10) % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(body: Value) -> Result<Product, Problem> {
        let config = ShopConfig::new("x");
        let mut product = Product::blank(&config);
        let input: ProductInput =
            serde_json::from_value(body).map_err(|e| Problem::invalid("body", e.to_string()))?;
        product.take(input, &config)?;
        Ok(product)
    }

    fn patched(mut product: Product, body: Value) -> Product {
        product
            .take(serde_json::from_value(body).unwrap(), &ShopConfig::new("x"))
            .unwrap();
        product
    }

    fn scarf() -> Product {
        product(json!({
            "title": "Scarf", "options": ["Size"], "attributes": {"a": 1, "b": 2},
            "texts": {"fi": {"title": "Huivi", "description": "pehmeä"}},
            "variants": [
                {"sku": "S-M", "price": "24.90", "options": {"Size": "M"}, "cost": "10.00"},
                {"sku": "S-L", "price": "26.90", "options": {"Size": "L"}},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn a_patch_touches_only_what_it_says() {
        let before = scarf();
        let after = patched(
            before.clone(),
            json!({"variants": [{"sku": "S-L", "price": "27.90"}], "attributes": {"a": null, "c": 3},
                   "texts": {"fi": {"title": "Villahuivi"}}}),
        );
        assert_eq!(after.variants[0], before.variants[0]);
        assert_eq!(after.variants[1].price.to_string(), "27.90");
        assert_eq!(after.variants[1].options, before.variants[1].options);
        assert_eq!(Value::Object(after.attributes), json!({"b": 2, "c": 3}));
        assert_eq!(after.texts["fi"].title, "Villahuivi");
        assert_eq!(after.texts["fi"].description, "pehmeä");
        assert_eq!(after.title, "Scarf");
    }

    #[test]
    fn null_empties_and_absence_leaves() {
        let after = patched(scarf(), json!({"variants": [{"sku": "S-M", "cost": null}]}));
        assert_eq!(after.variants[0].cost, None);
        let after = patched(scarf(), json!({"variants": [{"sku": "S-M"}]}));
        assert!(after.variants[0].cost.is_some());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, field) in [
            (json!({"title": " "}), "title"),
            (json!({"title": "A", "handle": "A b"}), "handle"),
            (json!({"title": "A", "variants": [{"sku": "A"}]}), "price"),
            (
                json!({"title": "A", "variants": [{"price": "1.00"}]}),
                "sku",
            ),
            (
                json!({"title": "A", "variants": [{"sku": "A", "price": "-1.00"}]}),
                "price",
            ),
            (
                json!({"title": "A", "variants": [{"sku": "A", "price": "1", "gtin": "123"}]}),
                "gtin",
            ),
            (
                json!({"title": "A", "variants": [{"sku": "A", "price": "1", "options": {"Size": "M"}}]}),
                "options",
            ),
            (json!({"title": "A", "tax_rate": "luxury"}), "tax_rate"),
            (
                json!({"title": "A", "texts": {"sv": {"title": "x"}}}),
                "texts",
            ),
            (
                json!({"title": "A", "variants": [{"sku": "A", "price": "1"}, {"id": "v9", "price": "1"}]}),
                "variants",
            ),
        ] {
            let problem = product(body).unwrap_err();
            assert_eq!(problem.member("field"), Some(&json!(field)), "{problem}");
        }
    }

    #[test]
    fn a_sale_price_counts_within_its_dates() {
        let with = |from: Value, until: Value| {
            patched(
                scarf(),
                json!({"variants": [{"sku": "S-M", "sale_price": "20.00", "sale_from": from, "sale_until": until}]}),
            )
            .variants[0]
                .price_now(clock::parse("2026-03-01T00:00:00Z").unwrap())
                .to_string()
        };
        assert_eq!(with(Value::Null, Value::Null), "20.00");
        assert_eq!(with(json!("2026-03-02T00:00:00Z"), Value::Null), "24.90");
        assert_eq!(with(Value::Null, json!("2026-03-01T00:00:00Z")), "24.90");
    }

    #[test]
    fn check_digits_are_those_of_gs1() {
        for gtin in ["4006381333931", "73513537", "036000291452"] {
            assert!(check_gtin(gtin).is_ok(), "{gtin}");
        }
        assert!(check_gtin("4006381333932").is_err());
    }
}
