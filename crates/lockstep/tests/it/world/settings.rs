//! Settings of a customer as the wire has them: all eighteen sections filled, for practice shops that are shop 1, 2, 3 …
//! in the order given, the first of them the ERP.

use super::shop::ShopClient;
use serde_json::{Value, json};

/// How often flows look by themselves in tests: not at all. What wakes them is what is tested.
fn only_when_woken() -> Value {
    let never = json!({ "pollSeconds": 0, "reconcileSeconds": 0 });
    json!({ "categories": never, "products": never, "pictures": never, "stock": never, "orders": never })
}

pub fn of_practice_shops(id: u64, name: &str, movable: bool, shops: &[ShopClient]) -> Value {
    let owner = json!({ "owner": 1 });
    let mut settings = json!({
        "customer": {
            "id": id, "name": name, "username": name.to_lowercase().replace(' ', "-"),
            "email": "office@kahvila.example", "branchId": 1, "stockId": 1, "movable": movable,
        },
        "customerHasServices": [],
        "branches": [{ "id": 1, "name": "Web" }, { "id": 2, "name": "Helsinki" }],
        "stocks": [{ "id": 1, "name": "Main warehouse" }],
        "shopVersions": [
            { "id": 1, "name": "English", "language": "en", "currency": "EUR", "hidden": false },
            { "id": 2, "name": "Suomi", "language": "fi", "currency": "EUR", "hidden": false },
        ],
        "activeShopVersions": [{ "id": 1, "shopVersionId": 1 }, { "id": 2, "shopVersionId": 2 }],
        "shippingMethods": [
            { "id": 1, "name": "Post" }, { "id": 2, "name": "Courier" }, { "id": 3, "name": "Pick-up" },
        ],
        "paymentTerms": [
            { "id": 1, "name": "14 days", "dueDays": 14 }, { "id": 2, "name": "30 days", "dueDays": 30 },
        ],
        "paymentMethods": [
            { "id": 1, "name": "Card" }, { "id": 2, "name": "Invoice" }, { "id": 3, "name": "Bank transfer" },
        ],
        "shelves": [{ "id": 1, "name": "Aisle A", "stockId": 1 }],
        "services": [],
        "policies": {
            "texts": owner, "prices": owner, "status": owner, "categories": owner, "pictures": owner,
            "variants": owner, "attributes": owner, "identifiers": owner,
            "stock": { "mode": { "owned": { "owner": 1 } }, "buffer": {} },
            "orders": { "into": 1, "states": ["paid"] },
        },
        "schedules": only_when_woken(),
    });
    for (at, shop) in shops.iter().enumerate() {
        let number = at as u64 + 1;
        push(
            &mut settings,
            "services",
            json!({
                "id": number, "name": shop.name, "platform": "practice", "url": shop.url,
                "credentials": { "token": shop.token },
            }),
        );
        push(
            &mut settings,
            "customerHasServices",
            json!({
                "id": number, "customerId": id, "serviceId": number,
                "role": if number == 1 { "erp" } else { "shop" }, "assortment": "all",
            }),
        );
        for (section, of, names) in [
            (
                "branchServiceIdentifiers",
                "branchId",
                &["web", "helsinki"][..],
            ),
            ("stockServiceIdentifiers", "stockId", &["main"]),
            (
                "shopVersionServiceIdentifiers",
                "shopVersionId",
                &["en", "fi"],
            ),
            (
                "shippingMethodServiceIdentifiers",
                "shippingMethodId",
                &["post", "courier", "pickup"],
            ),
            (
                "paymentTermServiceIdentifiers",
                "paymentTermId",
                &["net14", "net30"],
            ),
            (
                "paymentMethodServiceIdentifiers",
                "paymentMethodId",
                &["card", "invoice", "bank"],
            ),
            ("shelfServiceIdentifiers", "shelfId", &["A-1"]),
        ] {
            for (nth, name) in names.iter().enumerate() {
                let row = json!({
                    "id": number * 100 + nth as u64, of: nth + 1, "serviceId": number, "identifier": name,
                });
                push(&mut settings, section, row);
            }
        }
    }
    settings
}

/// Adds a row to a section, which is made if it is missing.
/// Another address: the key that is stored is not sent there, it is given anew.
pub fn moved(settings: &mut Value, at: usize, url: &str, token: &str) {
    settings["services"][at]["url"] = url.into();
    settings["services"][at]["credentials"]["token"] = token.into();
}

pub fn push(settings: &mut Value, section: &str, row: Value) {
    let rows = &mut settings[section];
    match rows.as_array_mut() {
        Some(rows) => rows.push(row),
        None => *rows = json!([row]),
    }
}
