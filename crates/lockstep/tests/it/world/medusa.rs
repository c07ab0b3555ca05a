//! A real Medusa as its own people and its buyers use it: the admin API to read what is there, the store API to buy.

use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct Medusa {
    http: reqwest::Client,
    pub url: String,
    pub key: String,
    publishable_key: String,
    pub sales_channel: String,
    pub stock_location: String,
    pub region: String,
    pub shipping_profile: String,
    pub shipping_option: String,
}

/// A variant as this reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub variant: String,
    pub title: String,
    pub description: String,
    pub status: String,
    pub price: String,
    pub siblings: usize,
}

impl Medusa {
    /// As `cargo xtask test` gives it.
    pub fn given() -> Medusa {
        let setting = |name: &str| {
            let name = format!("LOCKSTEP_TEST_MEDUSA_{name}");
            std::env::var(&name)
                .unwrap_or_else(|_| panic!("{name} is not set; `cargo xtask test` sets it"))
        };
        Medusa {
            http: super::http(),
            url: setting("URL").trim_end_matches('/').to_owned(),
            key: setting("KEY"),
            publishable_key: setting("PUBLISHABLE_KEY"),
            sales_channel: setting("SALES_CHANNEL"),
            stock_location: setting("STOCK_LOCATION"),
            region: setting("REGION"),
            shipping_profile: setting("SHIPPING_PROFILE"),
            shipping_option: setting("SHIPPING_OPTION"),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url));
        request = if path.starts_with("/store/") {
            request.header("x-publishable-api-key", &self.publishable_key)
        } else {
            request.header("authorization", format!("Basic {}", self.key))
        };
        if let Some(body) = &body {
            request = request.json(body);
        }
        let reply = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        let status = reply.status();
        let text = reply.text().await.expect("the whole answer");
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"))
    }

    async fn all(&self, path: &str, list: &str) -> Vec<Value> {
        let mut found = Vec::new();
        loop {
            let page = self
                .call(
                    Method::GET,
                    &format!("{path}&limit=100&offset={}", found.len()),
                    None,
                )
                .await;
            let rows = page[list].as_array().expect("a list").clone();
            let total = page["count"].as_u64().unwrap_or_default();
            let end = rows.is_empty();
            found.extend(rows);
            if end || found.len() as u64 >= total {
                return found;
            }
        }
    }

    /// SKU → what stands there, of those that begin so.
    pub async fn items(&self, prefix: &str) -> BTreeMap<String, Item> {
        let fields = "id,title,description,status,*variants,*variants.prices";
        let mut items = BTreeMap::new();
        for product in self
            .all(&format!("/admin/products?fields={fields}"), "products")
            .await
        {
            let text = |key: &str| product[key].as_str().unwrap_or_default().to_owned();
            let variants = product["variants"].as_array().cloned().unwrap_or_default();
            for variant in &variants {
                let Some(sku) = variant["sku"]
                    .as_str()
                    .filter(|sku| sku.starts_with(prefix))
                else {
                    continue;
                };
                let prices = variant["prices"].as_array().into_iter().flatten();
                let euros = prices.filter(|price| price["currency_code"] == "eur");
                let amounts: Vec<String> = euros
                    .map(|price| format!("{:.2}", price["amount"].as_f64().unwrap_or(f64::NAN)))
                    .collect();
                let item = Item {
                    variant: variant["id"].as_str().unwrap_or_default().to_owned(),
                    title: text("title"),
                    description: text("description"),
                    status: text("status"),
                    price: amounts.join(" and "),
                    siblings: variants.len(),
                };
                let twice = items.insert(sku.to_owned(), item);
                assert!(twice.is_none(), "{sku} is there twice");
            }
        }
        items
    }

    /// SKU → stocked less reserved, at the location, of those that begin so.
    pub async fn levels(&self, prefix: &str) -> BTreeMap<String, i64> {
        let path = "/admin/inventory-items?fields=id,sku,*location_levels";
        let mut levels = BTreeMap::new();
        for item in self.all(path, "inventory_items").await {
            let Some(sku) = item["sku"].as_str().filter(|sku| sku.starts_with(prefix)) else {
                continue;
            };
            for level in item["location_levels"].as_array().into_iter().flatten() {
                if level["location_id"] == self.stock_location.as_str() {
                    let units = |key: &str| level[key].as_i64().unwrap_or_default();
                    let available = units("stocked_quantity") - units("reserved_quantity");
                    levels.insert(sku.to_owned(), available);
                }
            }
        }
        levels
    }

    /// Cart, address, shipping, payment, order: as a storefront does it. The order as the store shows it.
    pub async fn buy(&self, variant: &str, quantity: i64) -> Value {
        let post =
            async |path: String, body: Value| self.call(Method::POST, &path, Some(body)).await;
        let basket = json!({
            "region_id": self.region, "email": "buyer@example.com",
            "items": [{ "variant_id": variant, "quantity": quantity }],
        });
        let cart = post("/store/carts".into(), basket).await["cart"]["id"].clone();
        let cart = cart.as_str().expect("a cart");
        let address = json!({
            "first_name": "Bo", "last_name": "Yer", "address_1": "Street 1", "city": "Paris",
            "postal_code": "75001", "country_code": "fr",
        });
        post(
            format!("/store/carts/{cart}"),
            json!({ "shipping_address": address, "billing_address": address }),
        )
        .await;
        let option = json!({ "option_id": self.shipping_option });
        post(format!("/store/carts/{cart}/shipping-methods"), option).await;
        let payment = post(
            "/store/payment-collections".into(),
            json!({ "cart_id": cart }),
        )
        .await;
        let payment = payment["payment_collection"]["id"]
            .as_str()
            .expect("a payment")
            .to_owned();
        post(
            format!("/store/payment-collections/{payment}/payment-sessions"),
            json!({ "provider_id": "pp_system_default" }),
        )
        .await;
        let done = post(format!("/store/carts/{cart}/complete"), json!({})).await;
        assert!(
            done["order"]["id"].is_string(),
            "the cart became no order: {done}"
        );
        done["order"].clone()
    }
}
