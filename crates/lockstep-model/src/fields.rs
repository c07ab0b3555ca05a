//! A catalogue record as a flat map of fields: what merge, plan and shadows work on.
//!
//! A path is text of the form `title`, `text/fi/description`, `variant/KH-100/price/EUR` (by our own name of the item); the
//! parts are percent-encoded where they contain `/` or `%`. A field that is missing in a map is *not known there*; a field
//! that is known and empty is [`Value::Empty`].

use crate::{Currency, ItemId};
use rust_decimal::Decimal;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

pub type Fields = BTreeMap<Path, Value>;

/// The name of one field of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(String);

/// A path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<'a> {
    Title,
    Description,
    Handle,
    Status,
    /// The product's categories, as our record ids.
    Categories,
    /// The shop versions that show the product, as our ids; empty: all.
    ShopVersions,
    /// The names of the axes that variants differ on, in order.
    Options,
    /// A category's parent, as our record id.
    Parent,
    Position,
    /// A text in a further language.
    Text {
        language: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    Attribute(Cow<'a, str>),
    /// The pictures, as content digests in order.
    Pictures,
    Variant {
        item: ItemId,
        field: VariantField<'a>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariantField<'a> {
    /// The variant exists.
    Present,
    /// What its people call it.
    Sku,
    Gtin,
    WeightG,
    Backorder,
    Price(Currency),
    SalePrice(Currency),
    Option(Cow<'a, str>),
}

/// Fields are owned in groups: a policy says whose word counts for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FieldGroup {
    Texts,
    Prices,
    Status,
    Categories,
    Pictures,
    /// Which variants a product has, and along which options they differ.
    Variants,
    Attributes,
    /// SKU, GTIN, weight, handle.
    Identifiers,
}

impl FieldGroup {
    pub const ALL: [FieldGroup; 8] = [
        FieldGroup::Texts,
        FieldGroup::Prices,
        FieldGroup::Status,
        FieldGroup::Categories,
        FieldGroup::Pictures,
        FieldGroup::Variants,
        FieldGroup::Attributes,
        FieldGroup::Identifiers,
    ];
}

impl Field<'_> {
    /// A record has any number of these: a reading that lacks one it had says that it was taken away. Of every other
    /// field a reading that lacks it says nothing: the platform, or this reply, has none.
    pub fn is_one_of_many(&self) -> bool {
        match self {
            Field::Text { .. } | Field::Attribute(_) => true,
            Field::Variant { field, .. } => match field {
                VariantField::Present
                | VariantField::Price(_)
                | VariantField::SalePrice(_)
                | VariantField::Option(_)
                | VariantField::WeightG => true,
                VariantField::Sku | VariantField::Gtin | VariantField::Backorder => false,
            },
            Field::Title
            | Field::Description
            | Field::Handle
            | Field::Status
            | Field::Categories
            | Field::ShopVersions
            | Field::Options
            | Field::Parent
            | Field::Position
            | Field::Pictures => false,
        }
    }
}

fn encode(part: &str) -> Cow<'_, str> {
    if part.contains(['/', '%']) {
        Cow::Owned(part.replace('%', "%25").replace('/', "%2F"))
    } else {
        Cow::Borrowed(part)
    }
}

fn decode(part: &str) -> Cow<'_, str> {
    if part.contains('%') {
        Cow::Owned(part.replace("%2F", "/").replace("%25", "%"))
    } else {
        Cow::Borrowed(part)
    }
}

impl Path {
    pub fn new(field: &Field<'_>) -> Self {
        Self(match field {
            Field::Title => "title".into(),
            Field::Description => "description".into(),
            Field::Handle => "handle".into(),
            Field::Status => "status".into(),
            Field::Categories => "categories".into(),
            Field::ShopVersions => "shop_versions".into(),
            Field::Options => "options".into(),
            Field::Parent => "parent".into(),
            Field::Position => "position".into(),
            Field::Pictures => "pictures".into(),
            Field::Text { language, name } => {
                format!("text/{}/{}", encode(language), encode(name))
            }
            Field::Attribute(name) => format!("attribute/{}", encode(name)),
            Field::Variant { item, field } => {
                let item = encode(item.as_str());
                match field {
                    VariantField::Present => format!("variant/{item}/present"),
                    VariantField::Sku => format!("variant/{item}/sku"),
                    VariantField::Gtin => format!("variant/{item}/gtin"),
                    VariantField::WeightG => format!("variant/{item}/weight_g"),
                    VariantField::Backorder => format!("variant/{item}/backorder"),
                    VariantField::Price(currency) => format!("variant/{item}/price/{currency}"),
                    VariantField::SalePrice(currency) => {
                        format!("variant/{item}/sale_price/{currency}")
                    }
                    VariantField::Option(name) => format!("variant/{item}/option/{}", encode(name)),
                }
            }
        })
    }

    /// Of the field that says that a variant is there.
    pub fn present(item: &ItemId) -> Self {
        Self::new(&Field::Variant {
            item: item.clone(),
            field: VariantField::Present,
        })
    }

    /// Of the field that says what its people call a variant.
    pub fn sku(item: &ItemId) -> Self {
        Self::new(&Field::Variant {
            item: item.clone(),
            field: VariantField::Sku,
        })
    }

    /// `None` for a path of a newer version than this: it is kept, and merged by nobody.
    pub fn field(&self) -> Option<Field<'_>> {
        let mut parts = self.0.splitn(4, '/');
        let first = parts.next()?;
        let field = match first {
            "title" => Field::Title,
            "description" => Field::Description,
            "handle" => Field::Handle,
            "status" => Field::Status,
            "categories" => Field::Categories,
            "shop_versions" => Field::ShopVersions,
            "options" => Field::Options,
            "parent" => Field::Parent,
            "position" => Field::Position,
            "pictures" => Field::Pictures,
            "text" => Field::Text {
                language: decode(parts.next()?),
                name: decode(parts.next()?),
            },
            "attribute" => Field::Attribute(decode(parts.next()?)),
            "variant" => {
                let item = ItemId(decode(parts.next()?).into_owned());
                let field = match (parts.next()?, parts.next()) {
                    ("present", None) => VariantField::Present,
                    ("sku", None) => VariantField::Sku,
                    ("gtin", None) => VariantField::Gtin,
                    ("weight_g", None) => VariantField::WeightG,
                    ("backorder", None) => VariantField::Backorder,
                    ("price", Some(currency)) => VariantField::Price(currency.into()),
                    ("sale_price", Some(currency)) => VariantField::SalePrice(currency.into()),
                    ("option", Some(name)) => VariantField::Option(decode(name)),
                    _ => return None,
                };
                Field::Variant { item, field }
            }
            _ => return None,
        };
        Some(field)
    }

    pub fn group(&self) -> Option<FieldGroup> {
        Some(match self.field()? {
            Field::Title | Field::Description | Field::Text { .. } => FieldGroup::Texts,
            Field::Status | Field::ShopVersions => FieldGroup::Status,
            Field::Categories | Field::Parent | Field::Position => FieldGroup::Categories,
            Field::Pictures => FieldGroup::Pictures,
            Field::Attribute(_) => FieldGroup::Attributes,
            Field::Handle => FieldGroup::Identifiers,
            Field::Options => FieldGroup::Variants,
            Field::Variant { field, .. } => match field {
                VariantField::Price(_) | VariantField::SalePrice(_) => FieldGroup::Prices,
                VariantField::Present | VariantField::Option(_) | VariantField::Backorder => {
                    FieldGroup::Variants
                }
                VariantField::Sku | VariantField::Gtin | VariantField::WeightG => {
                    FieldGroup::Identifiers
                }
            },
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For paths that come back from storage.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of one field.
///
/// JSON: `null`, a boolean, `{"n":"7.20"}`, a string, a list of strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    Empty,
    Flag(bool),
    List(Vec<String>),
    Number(Number),
    Text(String),
}

/// A decimal; equal whatever its trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    n: Decimal,
}

/// By what stands there. Serde's own way tries one variant after the other and writes a sentence about each that it is
/// not, and there is nothing that is read more often.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number as {\"n\":\"7.20\"}, a string or a list of strings")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Empty)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Empty)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(Value::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Value, A::Error> {
        Number::deserialize(MapAccessDeserializer::new(members)).map(Value::Number)
    }
}

impl Value {
    pub fn number(n: Decimal) -> Self {
        Value::Number(Number { n: n.normalize() })
    }

    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() {
            Value::Empty
        } else {
            Value::Text(text)
        }
    }

    pub fn optional_number(n: Option<Decimal>) -> Self {
        n.map_or(Value::Empty, Value::number)
    }

    pub fn optional_text(text: Option<&str>) -> Self {
        text.map_or(Value::Empty, Value::text)
    }

    pub fn list(items: impl IntoIterator<Item = String>) -> Self {
        let items: Vec<_> = items.into_iter().collect();
        if items.is_empty() {
            Value::Empty
        } else {
            Value::List(items)
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<Decimal> {
        match self {
            Value::Number(number) => Some(number.n),
            _ => None,
        }
    }

    pub fn as_flag(&self) -> Option<bool> {
        match self {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub fn as_list(&self) -> &[String] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }
}

impl fmt::Display for Value {
    /// For people: `—` for empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Empty => f.write_str("—"),
            Value::Flag(true) => f.write_str("yes"),
            Value::Flag(false) => f.write_str("no"),
            Value::Number(number) => number.n.fmt(f),
            Value::Text(text) => f.write_str(text),
            Value::List(items) => f.write_str(&items.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_its_text_whatever_the_sku() {
        for sku in ["KH-100", "a/b", "50%2F", "50%", " x ", "Ä/€"] {
            let field = Field::Variant {
                item: sku.into(),
                field: VariantField::Price("EUR".into()),
            };
            let path = Path::new(&field);
            assert_eq!(path.field(), Some(field), "{path}");
            assert_eq!(path.group(), Some(FieldGroup::Prices));
        }
    }

    #[test]
    fn a_value_is_read_by_what_stands_there_and_nothing_else() {
        let read = |json: &str| serde_json::from_str::<Value>(json).ok();
        assert_eq!(read("null"), Some(Value::Empty));
        assert_eq!(read("[]"), Some(Value::List(vec![])));
        assert_eq!(read("\"\""), Some(Value::Text(String::new())));
        assert_eq!(
            read(r#"{"n":"7.20","later":1}"#),
            Some(Value::number(Decimal::new(72, 1)))
        );
        for foreign in ["7.2", "{}", r#"{"n":true}"#, "[1]", r#"[["a"]]"#] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn values_survive_json_and_numbers_ignore_trailing_zeros() {
        for value in [
            Value::Empty,
            Value::Flag(true),
            Value::number(Decimal::new(720, 2)),
            Value::text("7.2"),
            Value::list(["a".to_owned()]),
            Value::list(["16".to_owned()]),
        ] {
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(
                serde_json::from_str::<Value>(&json).unwrap(),
                value,
                "{json}"
            );
        }
        assert_eq!(
            Value::number(Decimal::new(720, 2)),
            Value::number(Decimal::new(72, 1))
        );
    }
}
