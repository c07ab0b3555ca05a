//! Settings from people: a file for `customers apply`, a form. Unlike a newer coordinator's settings at
//! an older worker, a key that we do not know is a slip here, and is answered with the nearest known one.

use super::bounds::{self, PROBLEMS_MAX};
use super::validate::shortened;
use super::{
    ActiveShopVersion, Branch, CountryInto, Customer, CustomerHasService, CustomerSettings, Gate,
    PaymentMethod, PaymentTerm, Policies, PriceRule, Problem, RateInto, Rounding, Service, Shelf,
    ShippingMethod, ShopRole, ShopVersion, Stock, Tax, Way,
};
use crate::ids::{Currency, CustomerId, ShopId};
use crate::misread;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// The settings in this JSON, or everything that is wrong with its form. Does not validate.
pub fn read(json: &str) -> Result<CustomerSettings, Vec<Problem>> {
    bounds::count(json).map_err(|problem| vec![problem])?;
    let value: Value =
        serde_json::from_str(json).map_err(|error| vec![Problem::new("", misread(&error))])?;
    let mut problems = Vec::new();
    bounds::check_tree(&mut problems, "", &value);
    if !problems.is_empty() {
        return Err(shortened(problems));
    }
    unknown_keys(&mut problems, "", &value, &SHAPE);
    if let Some(sections) = value.as_object() {
        if let Some(customer) = sections.get("customer") {
            part::<Customer>(&mut problems, "customer", customer);
        }
        rows::<CustomerHasService>(&mut problems, sections, "customerHasServices");
        rows::<Branch>(&mut problems, sections, "branches");
        rows::<super::BranchServiceIdentifier>(&mut problems, sections, "branchServiceIdentifiers");
        rows::<Stock>(&mut problems, sections, "stocks");
        rows::<super::StockServiceIdentifier>(&mut problems, sections, "stockServiceIdentifiers");
        rows::<ShopVersion>(&mut problems, sections, "shopVersions");
        rows::<super::ShopVersionServiceIdentifier>(
            &mut problems,
            sections,
            "shopVersionServiceIdentifiers",
        );
        rows::<ActiveShopVersion>(&mut problems, sections, "activeShopVersions");
        rows::<ShippingMethod>(&mut problems, sections, "shippingMethods");
        rows::<super::ShippingMethodServiceIdentifier>(
            &mut problems,
            sections,
            "shippingMethodServiceIdentifiers",
        );
        rows::<PaymentTerm>(&mut problems, sections, "paymentTerms");
        rows::<super::PaymentTermServiceIdentifier>(
            &mut problems,
            sections,
            "paymentTermServiceIdentifiers",
        );
        rows::<PaymentMethod>(&mut problems, sections, "paymentMethods");
        rows::<super::PaymentMethodServiceIdentifier>(
            &mut problems,
            sections,
            "paymentMethodServiceIdentifiers",
        );
        rows::<Shelf>(&mut problems, sections, "shelves");
        rows::<super::ShelfServiceIdentifier>(&mut problems, sections, "shelfServiceIdentifiers");
        rows::<Service>(&mut problems, sections, "services");
        for (section, check) in [
            (
                "policies",
                part::<Policies> as fn(&mut Vec<Problem>, &str, &Value),
            ),
            ("schedules", part::<super::Schedules>),
        ] {
            if let Some(value) = sections.get(section) {
                check(&mut problems, section, value);
            }
        }
    }
    if !problems.is_empty() {
        return Err(shortened(problems));
    }
    serde_json::from_value(value).map_err(|error| vec![Problem::new("", misread(&error))])
}

fn rows<T: DeserializeOwned>(
    problems: &mut Vec<Problem>,
    sections: &Map<String, Value>,
    section: &str,
) {
    match sections.get(section) {
        None => {}
        Some(Value::Array(rows)) => {
            for (at, row) in rows.iter().enumerate() {
                part::<T>(problems, &format!("{section}[{at}]"), row);
            }
        }
        Some(_) => problems.push(Problem::new(section, "this section is a list: [ … ]")),
    }
}

fn part<T: DeserializeOwned>(problems: &mut Vec<Problem>, path: &str, value: &Value) {
    if problems.len() > PROBLEMS_MAX {
        return;
    }
    if let Err(error) = T::deserialize(value) {
        problems.push(Problem::new(path, misread(&error)));
    }
}

/// One of everything, so that every key that may stand somewhere does stand there. An empty object here
/// means "any keys".
static SHAPE: LazyLock<Value> = LazyLock::new(|| {
    let mut whole = CustomerSettings::new(Customer::new(CustomerId(0), ""));
    whole.services.push(Service::new(ShopId(0), "", "", ""));
    let mut link =
        CustomerHasService::new(super::RowId(0), CustomerId(0), ShopId(0), ShopRole::Shop);
    link.transform.prices.push(PriceRule {
        from: Currency::default(),
        to: Currency::default(),
        factor: Decimal::ONE,
        tax: Tax::default(),
        round: Some(Rounding {
            step: Decimal::ONE,
            way: Way::default(),
            less: Decimal::ZERO,
        }),
    });
    whole.customer_has_services.push(link);
    whole.policies.orders.gates.push(Gate {
        shop: None,
        payment_method: None,
        states: Default::default(),
    });
    whole.policies.orders.tax_rates.push(RateInto {
        shop: None,
        rate: Decimal::ZERO,
        into: Decimal::ZERO,
    });
    whole.policies.orders.countries.push(CountryInto {
        shop: None,
        country: String::new(),
        into: String::new(),
    });
    let mut shape = serde_json::to_value(&whole).unwrap_or_default();
    let row = |keys: &[&str]| {
        let keys = keys.iter().map(|key| ((*key).to_owned(), Value::Null));
        Value::Array(vec![Value::Object(keys.collect())])
    };
    if let Some(sections) = shape.as_object_mut() {
        for (section, keys) in ROW_KEYS {
            sections.insert((*section).to_owned(), row(keys));
        }
        if let Some(customer) = sections.get_mut("customer").and_then(Value::as_object_mut) {
            customer.insert("slaveId".into(), Value::Null);
        }
    }
    shape
});

/// The keys of the rows that have no constructor; a test holds them against the types.
const ROW_KEYS: &[(&str, &[&str])] = &[
    ("branches", &["id", "name"]),
    (
        "branchServiceIdentifiers",
        &["id", "branchId", "serviceId", "identifier"],
    ),
    ("stocks", &["id", "name"]),
    (
        "stockServiceIdentifiers",
        &["id", "stockId", "serviceId", "identifier"],
    ),
    (
        "shopVersions",
        &["id", "name", "language", "currency", "hidden"],
    ),
    (
        "shopVersionServiceIdentifiers",
        &["id", "shopVersionId", "serviceId", "identifier"],
    ),
    ("activeShopVersions", &["id", "shopVersionId", "serviceId"]),
    ("shippingMethods", &["id", "name", "productId"]),
    (
        "shippingMethodServiceIdentifiers",
        &["id", "shippingMethodId", "serviceId", "identifier"],
    ),
    ("paymentTerms", &["id", "name", "dueDays"]),
    (
        "paymentTermServiceIdentifiers",
        &["id", "paymentTermId", "serviceId", "identifier"],
    ),
    ("paymentMethods", &["id", "name", "productId"]),
    (
        "paymentMethodServiceIdentifiers",
        &["id", "paymentMethodId", "serviceId", "identifier"],
    ),
    ("shelves", &["id", "name", "stockId"]),
    (
        "shelfServiceIdentifiers",
        &["id", "shelfId", "serviceId", "identifier"],
    ),
];

fn unknown_keys(problems: &mut Vec<Problem>, path: &str, value: &Value, shape: &Value) {
    if problems.len() > PROBLEMS_MAX {
        return;
    }
    match (value, shape) {
        (Value::Object(fields), Value::Object(known)) if !known.is_empty() => {
            for (key, inner) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                match known.get(key) {
                    Some(shape) => unknown_keys(problems, &path, inner, shape),
                    None => problems.push(Problem::new(path, unknown(key, known))),
                }
            }
        }
        (Value::Array(rows), Value::Array(shapes)) => {
            if let Some(shape) = shapes.first() {
                for (at, row) in rows.iter().enumerate() {
                    unknown_keys(problems, &format!("{path}[{at}]"), row, shape);
                }
            }
        }
        _ => {}
    }
}

fn unknown(key: &str, known: &Map<String, Value>) -> String {
    let nearest = known
        .keys()
        .map(|name| {
            (
                strsim::jaro_winkler(&key.to_lowercase(), &name.to_lowercase()),
                name,
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness > 0.7 => {
            format!("there is no \"{key}\" here; did you mean \"{name}\"?")
        }
        _ => {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            format!("there is no \"{key}\" here; there is {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        read(json)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_slip_of_the_pen_is_answered_with_the_nearest_key() {
        assert_eq!(
            problems(
                r#"{"customer": {"id": 1, "name": "K", "enableSynching": true}, "stokcs": []}"#
            ),
            [
                "customer.enableSynching: there is no \"enableSynching\" here; did you mean \"enableSyncing\"?",
                "stokcs: there is no \"stokcs\" here; did you mean \"stocks\"?",
            ]
        );
    }

    #[test]
    fn a_wrong_value_names_its_row() {
        let found = problems(
            r#"{"customer": {"id": 1, "name": "K"}, "stocks": [{"id": 1, "name": "a"}, {"id": "x", "name": "b"}]}"#,
        );
        assert_eq!(
            found,
            ["stocks[1]: a wrong kind of value (string), expected u64"]
        );
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        let found = problems(
            r#"{"customer": {"id": 1, "name": "K"},
                "services": [{"id": 1, "name": "a", "platform": "p", "url": "u", "credentials": "hunter2"}]}"#,
        );
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }

    #[test]
    fn the_sources_names_and_numbers_are_read() {
        let settings = read(
            r#"{"customer": {"id": 1, "name": "K", "slaveId": 4, "discountProductId": 12, "rootCategoryId": ""},
                "branches": [{"id": 1, "name": "a"}],
                "branchServiceIdentifiers": [{"id": 1, "branchId": 1, "serviceId": 2, "identifier": 77}]}"#,
        )
        .unwrap();
        assert_eq!(settings.customer.worker_id.map(|id| id.0), Some(4));
        assert_eq!(settings.customer.discount_product_id.as_deref(), Some("12"));
        assert_eq!(settings.customer.root_category_id, None);
        assert_eq!(settings.branch_service_identifiers[0].identifier, "77");
    }

    #[test]
    fn the_table_of_row_keys_is_that_of_the_types() {
        // Rows with each key of the table read, and what they serialise to has these keys and no other.
        let mut json = Map::new();
        json.insert("customer".into(), serde_json::json!({"id": 1, "name": "K"}));
        for (section, keys) in ROW_KEYS {
            let value = |key: &str| match key {
                "name" | "identifier" => Value::from("x"),
                "language" | "currency" | "productId" => Value::Null,
                "hidden" => Value::from(false),
                _ => Value::from(1),
            };
            let row: Map<_, _> = keys
                .iter()
                .map(|key| ((*key).to_owned(), value(key)))
                .collect();
            json.insert(
                (*section).to_owned(),
                Value::Array(vec![Value::Object(row)]),
            );
        }
        let settings = read(&Value::Object(json.clone()).to_string()).unwrap();
        let again = serde_json::to_value(&settings).unwrap();
        for (section, _) in ROW_KEYS {
            assert_eq!(again[section], json[*section], "{section}");
        }
    }
}
