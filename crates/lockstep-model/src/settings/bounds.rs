//! How much settings may hold: far more than a merchant has, and little enough that reading them costs a coordinator no
//! memory to speak of. What is sent is counted before anything is built of it.

use super::{CustomerSettings, Problem};
use serde_json::Value;

/// Shops of one customer.
pub const SHOPS_MAX: usize = 100;
/// Rows of any list.
pub const ROWS_MAX: usize = 10_000;
/// Values in the whole, lists and their members counted.
pub const VALUES_MAX: usize = 100_000;
/// A name, an identifier.
pub const TEXT_CHARS_MAX: usize = 255;
/// Any text: an option of a shop is the longest.
const LONG_TEXT_BYTES_MAX: usize = 256 * 1024;
/// A key of a shop; some are whole files.
const KEY_BYTES_MAX: usize = 16 * 1024;
/// Credentials or options of one shop.
const ENTRIES_MAX: usize = 100;
/// Problems that are said at once.
pub(super) const PROBLEMS_MAX: usize = 100;

/// By its punctuation alone: a value costs up to a hundred times its own bytes once it is a tree.
pub(super) fn count(json: &str) -> Result<(), Problem> {
    let (mut values, mut in_text, mut escaped) = (1usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    if values <= VALUES_MAX {
        return Ok(());
    }
    Err(Problem::new(
        "",
        format!(
            "these are {values} values, and settings of one customer have at most {VALUES_MAX}"
        ),
    ))
}

/// Lists and texts of what was sent, wherever they stand.
pub(super) fn check_tree(problems: &mut Vec<Problem>, path: &str, value: &Value) {
    if problems.len() >= PROBLEMS_MAX {
        return;
    }
    match value {
        Value::String(text) if text.len() > LONG_TEXT_BYTES_MAX => problems.push(Problem::new(
            path,
            format!("a text has at most {LONG_TEXT_BYTES_MAX} bytes"),
        )),
        Value::Array(rows) if rows.len() > ROWS_MAX => {
            problems.push(Problem::new(path, format!("more than {ROWS_MAX} rows")));
        }
        Value::Array(rows) => {
            for (at, row) in rows.iter().enumerate() {
                // Most rows are short: their path is made when it is needed.
                if holds_more(row) {
                    check_tree(problems, &format!("{path}[{at}]"), row);
                }
            }
        }
        Value::Object(fields) => {
            for (name, inner) in fields {
                if name.len() > TEXT_CHARS_MAX {
                    let message = format!("a key here has more than {TEXT_CHARS_MAX} bytes");
                    problems.push(Problem::new(path, message));
                } else if holds_more(inner) {
                    let path = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    check_tree(problems, &path, inner);
                }
            }
        }
        _ => {}
    }
}

fn holds_more(value: &Value) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) => true,
        Value::String(text) => text.len() > LONG_TEXT_BYTES_MAX,
        _ => false,
    }
}

impl CustomerSettings {
    /// `false`: so much that what is wrong with it beside is not looked for.
    pub(super) fn check_bounds(&self, found: &mut Vec<Problem>) -> bool {
        let rows = [
            ("services", self.services.len(), SHOPS_MAX),
            (
                "customerHasServices",
                self.customer_has_services.len(),
                SHOPS_MAX,
            ),
            ("branches", self.branches.len(), ROWS_MAX),
            (
                "branchServiceIdentifiers",
                self.branch_service_identifiers.len(),
                ROWS_MAX,
            ),
            ("stocks", self.stocks.len(), ROWS_MAX),
            (
                "stockServiceIdentifiers",
                self.stock_service_identifiers.len(),
                ROWS_MAX,
            ),
            ("shopVersions", self.shop_versions.len(), ROWS_MAX),
            (
                "shopVersionServiceIdentifiers",
                self.shop_version_service_identifiers.len(),
                ROWS_MAX,
            ),
            (
                "activeShopVersions",
                self.active_shop_versions.len(),
                ROWS_MAX,
            ),
            ("shippingMethods", self.shipping_methods.len(), ROWS_MAX),
            (
                "shippingMethodServiceIdentifiers",
                self.shipping_method_service_identifiers.len(),
                ROWS_MAX,
            ),
            ("paymentTerms", self.payment_terms.len(), ROWS_MAX),
            (
                "paymentTermServiceIdentifiers",
                self.payment_term_service_identifiers.len(),
                ROWS_MAX,
            ),
            ("paymentMethods", self.payment_methods.len(), ROWS_MAX),
            (
                "paymentMethodServiceIdentifiers",
                self.payment_method_service_identifiers.len(),
                ROWS_MAX,
            ),
            ("shelves", self.shelves.len(), ROWS_MAX),
            (
                "shelfServiceIdentifiers",
                self.shelf_service_identifiers.len(),
                ROWS_MAX,
            ),
            ("policies.rank", self.policies.rank.len(), SHOPS_MAX),
            (
                "policies.stock.buffer",
                self.policies.stock.buffer.len(),
                SHOPS_MAX,
            ),
            (
                "policies.orders.gates",
                self.policies.orders.gates.len(),
                ROWS_MAX,
            ),
            (
                "policies.orders.taxRates",
                self.policies.orders.tax_rates.len(),
                ROWS_MAX,
            ),
            (
                "policies.orders.countries",
                self.policies.orders.countries.len(),
                ROWS_MAX,
            ),
        ];
        let before = found.len();
        for (path, rows, max) in rows {
            if rows > max {
                found.push(Problem::new(path, format!("{rows} rows; at most {max}")));
            }
        }
        if found.len() == before {
            self.check_shop_bounds(found);
            self.check_names(found);
        }
        found.len() == before
    }

    fn check_shop_bounds(&self, found: &mut Vec<Problem>) {
        for (at, service) in self.services.iter().enumerate() {
            let path = format!("services[{at}]");
            for (part, entries) in [
                ("credentials", service.credentials.len()),
                ("options", service.options.len()),
            ] {
                if entries > ENTRIES_MAX {
                    let message = format!("{entries} entries; at most {ENTRIES_MAX}");
                    found.push(Problem::new(format!("{path}.{part}"), message));
                }
            }
            let secrets = service.credentials.iter();
            let mut secrets: Vec<_> = secrets
                .filter_map(|(name, secret)| {
                    Some((format!("{path}.credentials.{name}"), secret.as_ref()?))
                })
                .collect();
            let hook = service.hook_secret.as_ref();
            secrets.extend(hook.map(|secret| (format!("{path}.hookSecret"), secret)));
            for (path, secret) in secrets {
                if secret.reveal().len() > KEY_BYTES_MAX {
                    let message = format!("a key has at most {KEY_BYTES_MAX} bytes");
                    found.push(Problem::new(path, message));
                }
            }
            for (name, value) in &service.options {
                check_tree(found, &format!("{path}.options.{name}"), value);
            }
        }
        for (at, link) in self.customer_has_services.iter().enumerate() {
            let path = format!("customerHasServices[{at}]");
            let lists = [
                ("picks.categories", link.picks.categories.len()),
                ("picks.shopVersions", link.picks.shop_versions.len()),
                ("picks.attributes", link.picks.attributes.len()),
                ("picks.skus", link.picks.skus.len()),
                ("sellsFrom", link.sells_from.len()),
                ("transform.prices", link.transform.prices.len()),
            ];
            for (list, rows) in lists {
                if rows > ROWS_MAX {
                    let message = format!("{rows} rows; at most {ROWS_MAX}");
                    found.push(Problem::new(format!("{path}.{list}"), message));
                }
            }
        }
    }

    fn check_names(&self, found: &mut Vec<Problem>) {
        let mut name = |section: &str, at: usize, field: &str, text: &str| {
            if text.chars().count() > TEXT_CHARS_MAX {
                let message = format!("longer than {TEXT_CHARS_MAX} characters");
                found.push(Problem::new(format!("{section}[{at}].{field}"), message));
            }
        };
        for (at, service) in self.services.iter().enumerate() {
            name("services", at, "name", &service.name);
            name("services", at, "platform", &service.platform);
        }
        macro_rules! names {
            ($($section:literal $rows:ident),+ $(,)?) => {$(
                for (at, row) in self.$rows.iter().enumerate() {
                    name($section, at, "name", &row.name);
                }
            )+};
        }
        names!(
            "branches" branches,
            "stocks" stocks,
            "shopVersions" shop_versions,
            "shippingMethods" shipping_methods,
            "paymentTerms" payment_terms,
            "paymentMethods" payment_methods,
            "shelves" shelves,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;
    use crate::ids::{CustomerId, ShopId};

    #[test]
    fn s3_more_shops_than_anybody_has_are_refused_at_once() {
        let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        for id in 1..=SHOPS_MAX as u64 + 1 {
            let (shop, url) = (ShopId(id), "https://shop.example");
            settings
                .services
                .push(Service::new(shop, format!("Shop {id}"), "practice", url));
        }
        let problems = settings.validate().unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].path, "services");
        settings.services.pop();
        settings.validate().unwrap();
    }

    #[test]
    fn s3_what_a_merchant_has_is_far_below() {
        let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        settings.services.push(Service::new(
            ShopId(1),
            "Web",
            "practice",
            "https://a.example",
        ));
        let mut link = CustomerHasService::new(RowId(1), CustomerId(1), ShopId(1), ShopRole::Shop);
        link.assortment = Assortment::Picked;
        link.picks.skus = (0..5_000)
            .map(|n| format!("KH-{n}").as_str().into())
            .collect();
        settings.customer_has_services.push(link);
        for id in 1..=2_000 {
            settings.payment_methods.push(PaymentMethod {
                id: PaymentMethodId(id),
                name: format!("Method {id}"),
                product_id: None,
            });
            settings
                .payment_method_service_identifiers
                .push(PaymentMethodServiceIdentifier {
                    id: RowId(id),
                    payment_method_id: PaymentMethodId(id),
                    service_id: ShopId(1),
                    identifier: format!("method_{id}"),
                });
        }
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(read(&json).unwrap(), settings);
        settings.validate().unwrap();
    }

    #[test]
    fn s3_many_small_values_are_counted_before_they_are_built() {
        let body = format!("{{\"stocks\": [{}0]}}", "{\"a\":1},".repeat(VALUES_MAX / 2));
        let problems = read(&body).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("values"), "{problems:?}");
        // What stands in a text is no value.
        let text = format!("{{\"x\": \"{}\"}}", "[\\\"{,".repeat(100));
        assert!(count(&text).is_ok());
    }

    #[test]
    fn s3_long_texts_and_lists_are_refused_by_their_place() {
        let long = "x".repeat(LONG_TEXT_BYTES_MAX + 1);
        let body = serde_json::json!({
            "customer": {"id": 1, "name": "K"},
            "services": [{"id": 1, "name": "a", "platform": "p", "url": "u", "credentials": {"token": long}}],
        });
        let problems = read(&body.to_string()).unwrap_err();
        assert_eq!(problems[0].path, "services[0].credentials.token");
        assert!(!problems[0].message.contains("xxx"));
        let rows: Vec<u64> = (0..=ROWS_MAX as u64).collect();
        let body = serde_json::json!({
            "customer": {"id": 1, "name": "K"},
            "policies": {"rank": rows},
        });
        let problems = read(&body.to_string()).unwrap_err();
        assert_eq!(problems[0].path, "policies.rank");
    }

    #[test]
    fn s3_not_more_is_said_than_a_person_reads() {
        let rows: Vec<_> = (0..5_000).map(|_| serde_json::json!({"idd": 1})).collect();
        let body = serde_json::json!({"customer": {"id": 1, "name": "K"}, "stocks": rows});
        assert!(read(&body.to_string()).unwrap_err().len() <= PROBLEMS_MAX + 1);
        let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        for _ in 0..5_000 {
            settings.stocks.push(Stock {
                id: StockId(1),
                name: "x".into(),
            });
        }
        assert!(settings.validate().unwrap_err().len() <= PROBLEMS_MAX + 1);
    }
}
