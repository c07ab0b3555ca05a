//! How fields and their values are called where people read them: "price EUR of KH-100: 18.90".

use lockstep_model::{Field, Path, Value, VariantField};
use rust_decimal::Decimal;

/// "price EUR", with its variant's SKU apart.
pub fn label(path: &Path) -> (Option<String>, String) {
    let plain = || path.as_str().replace('/', " ");
    match path.field() {
        Some(Field::Variant { item, field }) => {
            let label = match field {
                VariantField::Present => "exists".into(),
                VariantField::Sku => "SKU".into(),
                VariantField::Gtin => "GTIN".into(),
                VariantField::WeightG => "weight, g".into(),
                VariantField::Backorder => "may be sold below zero".into(),
                VariantField::Price(currency) => format!("price {currency}"),
                VariantField::SalePrice(currency) => format!("sale price {currency}"),
                VariantField::Option(name) => format!("option {name}"),
            };
            (Some(item.0), label)
        }
        Some(Field::Text { language, name }) => (None, format!("{name} ({language})")),
        Some(Field::Attribute(name)) => (None, name.into_owned()),
        Some(_) | None => (None, plain()),
    }
}

/// "price EUR of KH-100-M", "title".
pub fn name(path: &Path) -> String {
    match label(path) {
        (Some(sku), label) => format!("{label} of {sku}"),
        (None, label) => label,
    }
}

/// "price EUR of KH-100-M", "title of KH-100": a variant names its product well enough.
pub fn of(path: &Path, subject: &str) -> String {
    match label(path) {
        (Some(_), _) => name(path),
        (None, label) => format!("{label} of {subject}"),
    }
}

pub fn value_text(value: &Value) -> String {
    match value {
        Value::Empty => String::new(),
        Value::Flag(true) => "yes".into(),
        Value::Flag(false) => "no".into(),
        Value::Number(_) => value
            .as_number()
            .map(|n| n.normalize().to_string())
            .unwrap_or_default(),
        Value::Text(text) => text.clone(),
        Value::List(items) => items.join(", "),
    }
}

/// A price with its cents, all else as it is.
pub fn with_cents(path: &Path, text: String) -> String {
    let is_price = matches!(
        path.field(),
        Some(Field::Variant {
            field: VariantField::Price(_) | VariantField::SalePrice(_),
            ..
        })
    );
    match text.parse::<Decimal>() {
        Ok(mut price) if is_price && price.scale() < 2 => {
            price.rescale(2);
            price.to_string()
        }
        _ => text,
    }
}

const VALUE_CHARS_MAX: usize = 120;

/// As it stands in a sentence: a missing one and an empty one are said, and a long one is cut.
pub fn shown(path: &Path, value: Option<&Value>) -> String {
    let text = match value {
        None => return "—".into(),
        Some(value) => with_cents(path, value_text(value)),
    };
    if text.is_empty() {
        return "(empty)".into();
    }
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let cut: String = text.chars().take(VALUE_CHARS_MAX).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(stored: &str) -> Path {
        Path::from_stored(stored.to_owned())
    }

    #[test]
    fn a_path_reads_as_a_field() {
        let label = |stored: &str| super::label(&path(stored));
        assert_eq!(
            label("variant/KH-100/price/EUR"),
            (Some("KH-100".into()), "price EUR".into())
        );
        assert_eq!(
            label("text/fi/description"),
            (None, "description (fi)".into())
        );
        assert_eq!(label("title"), (None, "title".into()));
        assert_eq!(label("something/newer"), (None, "something newer".into()));
    }

    #[test]
    fn m12_a_field_is_named_and_not_its_path() {
        let of = |stored: &str| super::of(&path(stored), "KH-100");
        assert_eq!(of("variant/KH-100-M/price/EUR"), "price EUR of KH-100-M");
        assert_eq!(of("text/fi/title"), "title (fi) of KH-100");
        assert_eq!(name(&path("text/fi/title")), "title (fi)");
    }

    #[test]
    fn prices_have_cents_and_long_texts_are_cut() {
        let price = Value::number(Decimal::new(189, 1));
        assert_eq!(
            shown(&path("variant/KH-100/price/EUR"), Some(&price)),
            "18.90"
        );
        assert_eq!(
            shown(&path("variant/KH-100/weight_g"), Some(&price)),
            "18.9"
        );
        assert_eq!(shown(&path("title"), Some(&Value::Empty)), "(empty)");
        assert_eq!(shown(&path("title"), None), "—");
        let long = Value::Text("x".repeat(121));
        assert!(shown(&path("title"), Some(&long)).ends_with("x…"));
    }
}
