//! Products, variants, pictures and categories, as a connector reads and writes them.

use crate::fields::{Field, Fields, Path, Value, VariantField};
use crate::{Currency, ItemId, RemoteId, Sku};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A product with all its variants. The sellable item is the variant: it is matched, priced and stocked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Product {
    /// Empty in a product that is still to be created.
    pub id: RemoteId,
    /// The part of the address that names it, where the platform has one.
    pub handle: Option<String>,
    pub title: String,
    /// HTML, as the shop holds it. `None`: the platform, or this reply, has none.
    pub description: Option<String>,
    /// Language → name of the text → text, for languages beside the shop's own.
    pub texts: BTreeMap<String, BTreeMap<String, String>>,
    pub status: Status,
    /// The shop's own category ids.
    pub categories: Option<Vec<RemoteId>>,
    /// The shop's own ids of the versions that show it; empty: all. `None`: the platform, or this reply, has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop_versions: Option<Vec<RemoteId>>,
    /// The names of the axes on which variants differ, in order.
    pub options: Vec<String>,
    pub variants: Vec<Variant>,
    /// `None`: this shop's pictures are not read.
    pub pictures: Option<Vec<Picture>>,
    pub attributes: BTreeMap<String, String>,
    pub modified_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Active,
    Draft,
    Archived,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Draft => "draft",
            Status::Archived => "archived",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Status::Active, Status::Draft, Status::Archived]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Variant {
    /// Empty in a variant that is still to be created.
    pub id: RemoteId,
    /// Our own name of it; empty in what a connector has read, which does not know it.
    #[serde(default, skip_serializing_if = "ItemId::is_empty")]
    pub item: ItemId,
    /// Empty: it has none.
    pub sku: Sku,
    pub gtin: Option<String>,
    /// Major units (7.20 is seven euro twenty).
    pub prices: BTreeMap<Currency, Decimal>,
    pub sale_prices: BTreeMap<Currency, Decimal>,
    /// Axis → value.
    pub options: BTreeMap<String, String>,
    pub weight_g: Option<Decimal>,
    /// May be sold below zero. `None`: the platform has no such field.
    pub backorder: Option<bool>,
}

impl Variant {
    /// Our own name of it, or its SKU ([`ItemId::or_named_after`]).
    pub fn item(&self) -> ItemId {
        self.item.or_named_after(&self.sku)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Picture {
    pub id: RemoteId,
    /// What identifies the content: its SHA-256 in lower-case hex where the platform tells it.
    pub digest: String,
    pub alt: String,
    /// Where the bytes can be read from by the shop's own connector.
    pub url: String,
}

/// The ids inside a product at one shop: needed to write to its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parts {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<ItemId, RemoteId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pictures: BTreeMap<String, PicturePart>,
    /// Items that this shop calls by a SKU of its own: they were linked otherwise, and are not renamed with the others.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub own_skus: BTreeSet<ItemId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PicturePart {
    pub id: RemoteId,
    pub url: String,
    pub alt: String,
}

impl Product {
    /// The product as fields, in this shop's own terms (category ids are the shop's).
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        let mut set = |field: Field<'_>, value: Value| {
            fields.insert(Path::new(&field), value);
        };
        set(Field::Title, Value::text(self.title.as_str()));
        set(Field::Status, Value::text(self.status.as_str()));
        if let Some(description) = &self.description {
            set(Field::Description, Value::text(description.as_str()));
        }
        if let Some(handle) = &self.handle {
            set(Field::Handle, Value::text(handle.as_str()));
        }
        if let Some(categories) = &self.categories {
            let mut ids: Vec<_> = categories.iter().map(|id| id.0.clone()).collect();
            ids.sort();
            set(Field::Categories, Value::list(ids));
        }
        if let Some(versions) = &self.shop_versions {
            let mut ids: Vec<_> = versions.iter().map(|id| id.0.clone()).collect();
            ids.sort();
            set(Field::ShopVersions, Value::list(ids));
        }
        set(Field::Options, Value::list(self.options.iter().cloned()));
        for (language, texts) in &self.texts {
            for (name, text) in texts {
                let (language, name) = (language.into(), name.into());
                set(Field::Text { language, name }, Value::text(text.as_str()));
            }
        }
        for (name, value) in &self.attributes {
            set(Field::Attribute(name.into()), Value::text(value.as_str()));
        }
        if let Some(pictures) = &self.pictures {
            let digests = pictures.iter().map(|picture| picture.digest.clone());
            set(Field::Pictures, Value::list(digests));
        }
        for variant in &self.variants {
            let mut set = |field: VariantField<'_>, value: Value| {
                let item = variant.item();
                fields.insert(Path::new(&Field::Variant { item, field }), value);
            };
            set(VariantField::Present, Value::Flag(true));
            set(VariantField::Sku, Value::text(variant.sku.as_str()));
            if let Some(gtin) = &variant.gtin {
                set(VariantField::Gtin, Value::text(gtin.as_str()));
            }
            if variant.weight_g.is_some() {
                set(
                    VariantField::WeightG,
                    Value::optional_number(variant.weight_g),
                );
            }
            if let Some(backorder) = variant.backorder {
                set(VariantField::Backorder, Value::Flag(backorder));
            }
            for (currency, price) in &variant.prices {
                set(VariantField::Price(currency.clone()), Value::number(*price));
            }
            for (currency, price) in &variant.sale_prices {
                set(
                    VariantField::SalePrice(currency.clone()),
                    Value::number(*price),
                );
            }
            for (name, value) in &variant.options {
                set(
                    VariantField::Option(name.into()),
                    Value::text(value.as_str()),
                );
            }
        }
        fields
    }

    /// The product that these fields describe. Fields of a newer version are left out.
    pub fn from_fields(id: RemoteId, fields: &Fields, parts: &Parts) -> Self {
        let mut product = Product {
            id,
            ..Product::default()
        };
        let mut variants: BTreeMap<ItemId, Variant> = BTreeMap::new();
        for (path, value) in fields {
            let text = || value.as_text().unwrap_or_default().to_owned();
            match path.field() {
                Some(Field::Title) => product.title = text(),
                Some(Field::Description) => product.description = Some(text()),
                Some(Field::Handle) => product.handle = value.as_text().map(str::to_owned),
                Some(Field::Status) => {
                    product.status = value.as_text().and_then(Status::parse).unwrap_or_default();
                }
                Some(Field::Categories) => {
                    let ids = value.as_list().iter().map(|id| id.as_str().into());
                    product.categories = Some(ids.collect());
                }
                Some(Field::ShopVersions) => {
                    let ids = value.as_list().iter().map(|id| id.as_str().into());
                    product.shop_versions = Some(ids.collect());
                }
                Some(Field::Options) => product.options = value.as_list().to_vec(),
                // Taken away.
                Some(Field::Text { .. } | Field::Attribute(_)) if *value == Value::Empty => {}
                Some(Field::Text { language, name }) => {
                    product
                        .texts
                        .entry(language.into_owned())
                        .or_default()
                        .insert(name.into_owned(), text());
                }
                Some(Field::Attribute(name)) => {
                    product.attributes.insert(name.into_owned(), text());
                }
                Some(Field::Pictures) => {
                    let pictures = value.as_list().iter().map(|digest| {
                        let part = parts.pictures.get(digest).cloned().unwrap_or_default();
                        Picture {
                            id: part.id,
                            digest: digest.clone(),
                            alt: part.alt,
                            url: part.url,
                        }
                    });
                    product.pictures = Some(pictures.collect());
                }
                Some(Field::Variant { item, field }) => {
                    let variant = variants.entry(item).or_default();
                    match field {
                        VariantField::Present | VariantField::Sku => {}
                        VariantField::Gtin => variant.gtin = value.as_text().map(str::to_owned),
                        VariantField::WeightG => variant.weight_g = value.as_number(),
                        VariantField::Backorder => variant.backorder = value.as_flag(),
                        VariantField::Price(currency) => {
                            if let Some(price) = value.as_number() {
                                variant.prices.insert(currency, price);
                            }
                        }
                        VariantField::SalePrice(currency) => {
                            if let Some(price) = value.as_number() {
                                variant.sale_prices.insert(currency, price);
                            }
                        }
                        VariantField::Option(name) => {
                            if let Some(value) = value.as_text() {
                                variant.options.insert(name.into_owned(), value.to_owned());
                            }
                        }
                    }
                }
                Some(Field::Parent | Field::Position) | None => {}
            }
        }
        product.variants = variants
            .into_iter()
            .filter(|(item, _)| has_variant(fields, item))
            .map(|(item, variant)| Variant {
                id: parts.variants.get(&item).cloned().unwrap_or_default(),
                sku: sku_of(fields, &item).unwrap_or_default().into(),
                item,
                ..variant
            })
            .collect();
        product
    }

    pub fn parts(&self) -> Parts {
        let variants = self.variants.iter();
        let pictures = self.pictures.iter().flatten();
        Parts {
            variants: variants.map(|v| (v.item(), v.id.clone())).collect(),
            pictures: pictures
                .map(|picture| {
                    let part = PicturePart {
                        id: picture.id.clone(),
                        url: picture.url.clone(),
                        alt: picture.alt.clone(),
                    };
                    (picture.digest.clone(), part)
                })
                .collect(),
            own_skus: BTreeSet::new(),
        }
    }
}

/// Is this variant among the fields of a product?
pub fn has_variant(fields: &Fields, item: &ItemId) -> bool {
    fields.get(&Path::present(item)) == Some(&Value::Flag(true))
}

/// What its people call a variant, by the fields of its product. One of which nobody has said it bears the SKU that it is
/// named after. `None`: it has none.
pub fn sku_of<'a>(fields: &'a Fields, item: &'a ItemId) -> Option<&'a str> {
    match fields.get(&Path::sku(item)) {
        Some(sku) => sku.as_text(),
        None => Some(item.as_str()),
    }
}

/// A path as people read it: with the SKU that a variant bears by these fields, in the place of our own name of it.
pub fn called(path: &Path, fields: &Fields) -> Path {
    match path.field() {
        Some(Field::Variant { item, field }) => match sku_of(fields, &item) {
            Some(sku) if sku != item.as_str() => {
                let item = sku.into();
                Path::new(&Field::Variant { item, field })
            }
            _ => path.clone(),
        },
        _ => path.clone(),
    }
}

/// Does a variant of a product bear this SKU?
pub fn has_sku(fields: &Fields, sku: &str) -> bool {
    variants_of(fields).any(|item| sku_of(fields, &item) == Some(sku))
}

/// GTINs of its variants that can be told from a number somebody made up: 8, 12, 13 or 14 digits of which the last is
/// right (GS1 General Specifications, 7.9), not all of them zero.
pub fn gtins_of(fields: &Fields) -> impl Iterator<Item = &str> {
    fields.iter().filter_map(|(path, value)| {
        // Most paths are none, and are told from it without being taken apart. An option may be called "gtin", too.
        let is_likely = path.as_str().ends_with("/gtin");
        let is_one = is_likely
            && matches!(
                path.field(),
                Some(Field::Variant {
                    field: VariantField::Gtin,
                    ..
                })
            );
        let gtin = value.as_text().filter(|_| is_one);
        gtin.filter(|gtin| is_gtin(gtin))
    })
}

/// A variant's GTIN, by the fields of its product, if it can be one.
pub fn gtin_of<'a>(fields: &'a Fields, item: &ItemId) -> Option<&'a str> {
    let (item, field) = (item.clone(), VariantField::Gtin);
    let gtin = fields.get(&Path::new(&Field::Variant { item, field }))?;
    gtin.as_text().filter(|gtin| is_gtin(gtin))
}

fn is_gtin(text: &str) -> bool {
    let digits: Option<Vec<u32>> = text.chars().map(|char| char.to_digit(10)).collect();
    let Some(digits) = digits.filter(|digits| matches!(digits.len(), 8 | 12 | 13 | 14)) else {
        return false;
    };
    // From the right: once, three times, once …
    let weighed = digits.iter().rev().zip([1, 3].iter().cycle());
    let sum: u32 = weighed.map(|(digit, weight)| digit * weight).sum();
    sum > 0 && sum.is_multiple_of(10)
}

/// The variants of a product, by its fields.
pub fn variants_of(fields: &Fields) -> impl Iterator<Item = ItemId> {
    fields
        .iter()
        .filter_map(|(path, value)| match path.field() {
            Some(Field::Variant {
                item,
                field: VariantField::Present,
            }) if *value == Value::Flag(true) => Some(item),
            _ => None,
        })
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Category {
    /// Empty in a category that is still to be created.
    pub id: RemoteId,
    pub name: String,
    /// The shop's own id of the parent; `None` for a root.
    pub parent: Option<RemoteId>,
    pub position: Option<i64>,
    pub modified_at: Option<Timestamp>,
}

impl Category {
    /// The category as fields, in this shop's own terms (the parent is the shop's id).
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.insert(Path::new(&Field::Title), Value::text(self.name.as_str()));
        fields.insert(
            Path::new(&Field::Parent),
            Value::optional_text(self.parent.as_ref().map(RemoteId::as_str)),
        );
        if let Some(position) = self.position {
            fields.insert(Path::new(&Field::Position), Value::number(position.into()));
        }
        fields
    }

    pub fn from_fields(id: RemoteId, fields: &Fields) -> Self {
        let get = |field: Field<'_>| fields.get(&Path::new(&field));
        let text = |field| get(field).and_then(Value::as_text);
        Category {
            id,
            name: text(Field::Title).unwrap_or_default().to_owned(),
            parent: text(Field::Parent).map(RemoteId::from),
            position: get(Field::Position)
                .and_then(Value::as_number)
                .and_then(|n| n.try_into().ok()),
            modified_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coffee() -> Product {
        Product {
            id: "p1".into(),
            handle: Some("coffee".into()),
            title: "Coffee".into(),
            description: Some("<p>Dark ☕</p>".into()),
            texts: [(
                "sv".to_owned(),
                [("title".to_owned(), "Kaffe".to_owned())].into(),
            )]
            .into(),
            status: Status::Draft,
            categories: Some(vec!["c1".into(), "c2".into()]),
            shop_versions: Some(vec!["en".into()]),
            options: vec!["Size".into()],
            variants: vec![Variant {
                id: "v1".into(),
                item: "KH/100".into(),
                sku: "KH/100".into(),
                gtin: Some("6400000000000".into()),
                prices: [("EUR".into(), Decimal::new(720, 2).normalize())].into(),
                sale_prices: BTreeMap::new(),
                options: [("Size".to_owned(), "500 g".to_owned())].into(),
                weight_g: Some(Decimal::new(500, 0)),
                backorder: Some(false),
            }],
            pictures: Some(vec![Picture {
                id: "i1".into(),
                digest: "ab".into(),
                alt: "A bag".into(),
                url: "http://127.0.0.1/p".into(),
            }]),
            attributes: [("roast".to_owned(), "dark".to_owned())].into(),
            modified_at: None,
        }
    }

    #[test]
    fn a_product_survives_its_fields() {
        let product = coffee();
        let back = Product::from_fields("p1".into(), &product.fields(), &product.parts());
        assert_eq!(back, product);
    }

    #[test]
    fn c12_an_option_that_is_called_gtin_is_none() {
        let gtin = |field| {
            let item = "KH-100".into();
            let path = Path::new(&Field::Variant { item, field });
            Fields::from([(path, Value::text("6400000000002"))])
        };
        let axis = gtin(VariantField::Option("gtin".into()));
        assert_eq!(gtins_of(&axis).next(), None);
        let named = gtin(VariantField::Gtin);
        assert_eq!(gtins_of(&named).next(), Some("6400000000002"));
    }

    #[test]
    fn a_category_survives_its_fields() {
        let category = Category {
            id: "c".into(),
            name: "Tea".into(),
            parent: Some("b".into()),
            position: Some(3),
            modified_at: None,
        };
        assert_eq!(
            Category::from_fields("c".into(), &category.fields()),
            category
        );
    }
}
