//! The practice shop as its own people and its buyers use it.

use super::process::{Process, command};
use super::wait::seconds;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

#[derive(Clone)]
pub struct ShopClient {
    http: reqwest::Client,
    pub name: String,
    pub url: String,
    pub token: String,
}

/// An order as the buyer got it.
#[derive(Debug, Clone)]
pub struct Bought {
    pub id: String,
    pub number: String,
}

impl ShopClient {
    pub fn new(name: &str, url: &str, token: &str) -> Self {
        ShopClient {
            http: super::http(),
            name: name.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
        }
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{}: {method} {path}: {error:?}", self.name));
        let status = reply.status();
        let bytes = reply.bytes().await.expect("the whole answer");
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (status, value)
    }

    async fn must(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, value) = self.call(method.clone(), path, body).await;
        assert!(
            status.is_success(),
            "{}: {method} {path}: {status} {value}",
            self.name
        );
        value
    }

    pub async fn get(&self, path: &str) -> Value {
        self.must(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.must(Method::POST, path, Some(&body)).await
    }

    /// A picture of a product, by its bytes.
    pub async fn add_picture(&self, product: &str, svg: &str) {
        let reply = self
            .http
            .post(format!("{}/api/v1/products/{product}/pictures", self.url))
            .bearer_auth(&self.token)
            .header("content-type", "image/svg+xml")
            .body(svg.to_owned())
            .send()
            .await
            .expect("an answer");
        assert!(
            reply.status().is_success(),
            "{}: a picture: {}",
            self.name,
            reply.status()
        );
    }

    /// The product that has this SKU.
    pub async fn product_with(&self, sku: &str) -> Option<Value> {
        self.get(&format!("/api/v1/products?sku={sku}")).await["items"]
            .get(0)
            .cloned()
    }

    /// The price of a variant, as the shop writes it.
    pub async fn price(&self, sku: &str) -> Value {
        let product = self.product_with(sku).await.expect("the product");
        variant_of(&product, sku)["price"].clone()
    }

    pub async fn set_price(&self, sku: &str, price: &str) {
        let product = self.product_with(sku).await.expect("the product");
        let id = product["id"].as_str().expect("an id");
        let variant = variant_of(&product, sku)["id"].as_str().expect("an id");
        let change = json!({ "variants": [{ "id": variant, "sku": sku, "price": price }] });
        self.patch(&format!("/api/v1/products/{id}"), change).await;
    }

    pub async fn rename(&self, sku: &str, title: &str) {
        let product = self.product_with(sku).await.expect("the product");
        let id = product["id"].as_str().expect("an id");
        self.patch(&format!("/api/v1/products/{id}"), json!({ "title": title }))
            .await;
    }

    /// The copy here of an order that was placed elsewhere.
    pub async fn copy_of(&self, order: &Bought) -> Option<Value> {
        let orders = self.orders().await;
        orders.into_iter().find(|copy| {
            copy["external_key"]
                .as_str()
                .is_some_and(|key| key.ends_with(&format!(":{}", order.id)))
        })
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.must(Method::PATCH, path, Some(&body)).await
    }

    pub async fn delete(&self, path: &str) {
        self.must(Method::DELETE, path, None).await;
    }

    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.must(Method::PUT, path, Some(&body)).await
    }

    /// Every record of a list, page after page.
    pub async fn all(&self, list: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = match cursor.as_str() {
                "" => format!("/api/v1/{list}?limit=250"),
                cursor => format!("/api/v1/{list}?limit=250&cursor={cursor}"),
            };
            let page = self.get(&path).await;
            items.extend(page["items"].as_array().expect("a list").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return items,
            }
        }
    }

    /// SKU → available.
    pub async fn levels(&self) -> BTreeMap<String, i64> {
        let mut levels = BTreeMap::new();
        for item in self.all("stock").await {
            let sku = item["sku"].as_str().expect("a SKU").to_owned();
            *levels.entry(sku).or_default() +=
                item["quantity"].as_i64().expect("a number of units");
        }
        levels
    }

    pub async fn available(&self, sku: &str) -> i64 {
        self.get(&format!("/api/v1/stock/{sku}")).await["quantity"]
            .as_i64()
            .expect("a number of units")
    }

    pub async fn orders(&self) -> Vec<Value> {
        self.all("orders").await
    }

    pub async fn products(&self) -> Vec<Value> {
        self.all("products").await
    }

    /// As the storefront's form does it; no token.
    pub async fn buy(&self, sku: &str, quantity: i64, pay: bool) -> Bought {
        self.check_out(json!({
            "lines": [{ "sku": sku, "quantity": quantity }],
            "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
            "pay": pay,
        }))
        .await
    }

    pub async fn check_out(&self, basket: Value) -> Bought {
        let (status, answer) = self.call(Method::POST, "/checkout", Some(&basket)).await;
        assert_eq!(
            status,
            StatusCode::CREATED,
            "{}: checkout: {answer}",
            self.name
        );
        Bought {
            id: answer["id"].as_str().expect("an order's id").to_owned(),
            number: answer["number"]
                .as_str()
                .expect("an order's number")
                .to_owned(),
        }
    }

    pub async fn pay(&self, order: &Bought) {
        self.step(order, "pay").await;
    }

    pub async fn ship(&self, order: &Bought) {
        self.step(order, "ship").await;
    }

    pub async fn cancel(&self, order: &Bought) {
        self.step(order, "cancel").await;
    }

    async fn step(&self, order: &Bought, step: &str) {
        self.post(&format!("/api/v1/orders/{}/{step}", order.id), json!({}))
            .await;
    }

    pub async fn set_faults(&self, faults: Value) {
        self.put("/api/v1/faults", json!({ "faults": faults }))
            .await;
    }

    pub async fn clear_faults(&self) {
        self.must(Method::DELETE, "/api/v1/faults", None).await;
    }

    /// What is left of the faults, and how often each struck.
    pub async fn faults(&self) -> Value {
        self.get("/api/v1/faults").await
    }

    /// "METHOD path" → requests since the last reset.
    pub async fn requests(&self) -> BTreeMap<String, u64> {
        let counted = self.get("/api/v1/requests").await;
        counted["counts"]
            .as_object()
            .expect("counts")
            .iter()
            .map(|(call, count)| (call.clone(), count.as_u64().unwrap_or_default()))
            .collect()
    }

    pub async fn forget_requests(&self) {
        self.post("/api/v1/requests/reset", json!({})).await;
    }

    /// Calls that change this shop's levels other than by an order.
    pub async fn stock_writes(&self) -> u64 {
        self.writes()
            .await
            .into_iter()
            .filter(|(call, _)| call.contains("/stock"))
            .map(|(_, count)| count)
            .sum()
    }

    /// Calls of the API that change the shop.
    pub async fn writes(&self) -> BTreeMap<String, u64> {
        let mut requests = self.requests().await;
        requests.retain(|call, _| {
            !call.starts_with("GET ")
                && call.contains("/api/v1/")
                && !call.contains("/faults")
                && !call.contains("/requests")
                && !call.contains("/hooks")
        });
        requests
    }
}

/// A process `lockstep practice-shop`.
pub struct PracticeShop {
    /// Ended with this.
    _process: Process,
    client: ShopClient,
}

impl Deref for PracticeShop {
    type Target = ShopClient;

    fn deref(&self) -> &ShopClient {
        &self.client
    }
}

impl PracticeShop {
    pub async fn start(folder: &Path, name: &str, takes: &str, seed: &[&str]) -> PracticeShop {
        let folder_name = name.to_lowercase().replace(' ', "-");
        let data = folder.join(&folder_name);
        let token = format!("test-{:032x}", rand::random::<u128>());
        let mut command = command();
        command
            .args([
                "--json",
                "practice-shop",
                "--listen",
                "127.0.0.1:0",
                "--takes",
                takes,
            ])
            .args(["--name", name, "--token", &token, "--data"])
            .arg(&data)
            .args(seed);
        let mut process = Process::start(&folder_name, folder, command);
        let said = process
            .json_line("where it is", seconds(30), |line| line["url"].is_string())
            .await;
        let url = said["url"].as_str().expect("an address").to_owned();
        PracticeShop {
            _process: process,
            client: ShopClient::new(name, &url, &token),
        }
    }

    pub fn client(&self) -> ShopClient {
        self.client.clone()
    }
}

fn variant_of<'a>(product: &'a Value, sku: &str) -> &'a Value {
    let variants = product["variants"].as_array().expect("variants");
    let variant = variants.iter().find(|variant| variant["sku"] == sku);
    variant.expect("the variant")
}
