//! The kit against a practice shop in this process, and what only this platform has: categories, pictures, further
//! languages, attributes.

use crate::http::{Direct, client};
use async_trait::async_trait;
use lockstep_connector::kit::{self, How, Seed, Seen, ShopUnderTest};
use lockstep_connector::{Account, Http, Platform};
use lockstep_connectors::Practice;
use lockstep_model::{Currency, Kind, RemoteId, ShopId, Sku};
use lockstep_practice::{RunningShop, Shop, ShopConfig, Takes};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const TOKEN: &str = "practice-token-0123456789";
const READ_TOKEN: &str = "practice-read-token-0123456789";

pub struct Ground {
    shop: RunningShop,
    client: reqwest::Client,
    tags: AtomicU32,
    takes: Takes,
    _data: tempfile::TempDir,
}

impl Ground {
    pub async fn open(takes: Takes) -> Self {
        let client = client();
        let data = tempfile::tempdir().expect("a temporary folder");
        let shop = Shop::start(ShopConfig {
            name: "Practice".into(),
            token: Some(TOKEN.to_owned().into()),
            read_token: Some(READ_TOKEN.to_owned().into()),
            takes,
            ..ShopConfig::new(data.path())
        })
        .await
        .expect("the shop opens");
        Self {
            shop,
            client,
            tags: AtomicU32::new(0),
            takes,
            _data: data,
        }
    }

    async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, String> {
        let url = format!("{}{path}", self.shop.url());
        let mut request = self.client.request(method, &url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|e| e.to_string())?;
        let status = response.status();
        let text = response.text().await.map_err(|e| e.to_string())?;
        if !status.is_success() {
            return Err(format!("{path}: {status} {text}"));
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|e| format!("{path}: {e}"))
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        self.call(reqwest::Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        self.call(reqwest::Method::POST, path, Some(body)).await
    }

    async fn batch(&self, path: &str, items: Vec<Value>) -> Result<(), String> {
        for some in items.chunks(100) {
            let answer = self.post(path, json!({ "items": some })).await?;
            for item in answer["items"].as_array().into_iter().flatten() {
                let status = item["status"].as_u64().unwrap_or(0);
                if !(200..300).contains(&status) {
                    return Err(format!("{path}: {item}"));
                }
            }
        }
        Ok(())
    }

    async fn product(&self, sku: &Sku) -> Result<Option<Value>, String> {
        let sku =
            percent_encoding::utf8_percent_encode(sku.as_str(), percent_encoding::NON_ALPHANUMERIC);
        let mut list = self.get(&format!("/api/v1/products?sku={sku}")).await?;
        Ok(list["items"].as_array_mut().and_then(Vec::pop))
    }

    async fn product_id(&self, sku: &Sku) -> Result<String, String> {
        let product = self.product(sku).await?.ok_or("no such product")?;
        Ok(product["id"].as_str().unwrap_or_default().to_owned())
    }

    async fn update(&self, sku: &Sku, fields: Value) -> Result<(), String> {
        let id = self.product_id(sku).await?;
        let path = format!("/api/v1/products/{id}");
        let answer = self.call(reqwest::Method::PATCH, &path, Some(fields)).await;
        answer.map(|_| ())
    }
}

fn decimal(value: &Value) -> Decimal {
    match value {
        Value::String(text) => text.parse().unwrap_or_default(),
        other => other.to_string().parse().unwrap_or_default(),
    }
}

#[async_trait]
impl ShopUnderTest for Ground {
    fn how(&self) -> How {
        How::Live
    }

    fn platform(&self) -> Arc<dyn Platform> {
        Arc::new(Practice)
    }

    fn account(&self) -> Account {
        Account {
            shop: ShopId(3),
            name: "Practice".into(),
            url: self.shop.url().to_owned(),
            credentials: [("token".to_owned(), TOKEN.to_owned())].into(),
            options: BTreeMap::new(),
        }
    }

    fn http(&self) -> Arc<dyn Http> {
        Direct::new()
    }

    fn tag(&self) -> String {
        format!("T{}", self.tags.fetch_add(1, Ordering::Relaxed))
    }

    fn currency(&self) -> Currency {
        "EUR".into()
    }

    fn stock(&self) -> RemoteId {
        "main".into()
    }

    fn elsewhere(&self) -> Vec<Account> {
        let at = |url: String| Account {
            url,
            ..self.account()
        };
        vec![
            // Nobody listens on the discard port.
            at("http://127.0.0.1:9".into()),
            at(format!("{}/pictures", self.shop.url())),
        ]
    }

    fn without_a_right(&self) -> Option<Account> {
        let mut account = self.account();
        let token = READ_TOKEN.to_owned();
        account.credentials.insert("token".into(), token);
        Some(account)
    }

    fn empty_reply(&self, _: Kind) -> String {
        r#"{"items":[],"next_cursor":null,"as_of":"2026-03-01T09:02:11.000123Z"}"#.into()
    }

    async fn add(&self, products: &[Seed]) -> Result<(), String> {
        let creates = products.iter().map(|seed| {
            json!({
                "op": "create", "title": seed.title, "description": "<p>As it was</p>",
                "attributes": {"material": "wool"},
                "texts": {"fi": {"title": "Tuote", "description": ""}},
                "variants": [{
                    "sku": seed.sku, "price": format!("{:.2}", seed.price), "gtin": null, "weight_g": 250,
                }],
            })
        });
        self.batch("/api/v1/products/batch", creates.collect())
            .await?;
        let levels = products
            .iter()
            .map(|seed| json!({ "sku": seed.sku, "on_hand": seed.units }));
        self.batch("/api/v1/stock/batch", levels.collect()).await
    }

    async fn spoil(&self, sku: &Sku) -> Result<(), String> {
        let id = self.product_id(sku).await?;
        let faults = json!({ "faults": [{ "kind": "BadRecord", "id": id }] });
        let method = reqwest::Method::PUT;
        self.call(method, "/api/v1/faults", Some(faults))
            .await
            .map(|_| ())
    }

    async fn mend(&self, _: &Sku) -> Result<(), String> {
        let method = reqwest::Method::DELETE;
        self.call(method, "/api/v1/faults", None).await.map(|_| ())
    }

    async fn set_title(&self, sku: &Sku, title: &str) -> Result<(), String> {
        self.update(sku, json!({ "title": title })).await
    }

    async fn set_price(&self, sku: &Sku, price: Decimal) -> Result<(), String> {
        let price = format!("{price:.2}");
        self.update(sku, json!({ "variants": [{ "sku": sku, "price": price }] }))
            .await
    }

    async fn set_on_hand(&self, sku: &Sku, units: u32) -> Result<(), String> {
        let level = json!({ "sku": sku, "on_hand": units });
        self.batch("/api/v1/stock/batch", vec![level]).await
    }

    async fn delete(&self, sku: &Sku) -> Result<(), String> {
        let path = format!("/api/v1/products/{}", self.product_id(sku).await?);
        let answer = self.call(reqwest::Method::DELETE, &path, None).await;
        answer.map(|_| ())
    }

    async fn look(&self, sku: &Sku) -> Result<Option<Seen>, String> {
        let Some(product) = self.product(sku).await? else {
            return Ok(None);
        };
        let variants = product["variants"].as_array().cloned().unwrap_or_default();
        let skus = variants.iter().filter_map(|v| v["sku"].as_str());
        let skus = skus.map(Sku::from).collect();
        let Some(own) = variants.iter().find(|v| v["sku"] == sku.as_str()) else {
            return Ok(None);
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let options = own["options"].as_object().into_iter().flatten();
        Ok(Some(Seen {
            title: text(&product["title"]),
            description: text(&product["description"]),
            for_sale: product["status"] == "active",
            skus,
            prices: [(Currency(text(&own["currency"])), decimal(&own["price"]))].into(),
            gtin: own["gtin"].as_str().map(str::to_owned),
            weight_g: own["weight_g"].as_i64().map(Decimal::from),
            options: options
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        }))
    }

    async fn raw(&self, sku: &Sku) -> Result<Value, String> {
        self.product(sku).await?.ok_or("no such product".into())
    }

    fn moving(&self) -> &'static [&'static str] {
        &["rev", "modified_at"]
    }

    async fn level(&self, sku: &Sku) -> Result<(Decimal, Decimal), String> {
        let sku =
            percent_encoding::utf8_percent_encode(sku.as_str(), percent_encoding::NON_ALPHANUMERIC);
        let list = self.get(&format!("/api/v1/stock?sku={sku}")).await?;
        let level = &list["items"][0];
        Ok((decimal(&level["on_hand"]), decimal(&level["reserved"])))
    }

    async fn buy(&self, sku: &Sku, units: u32) -> Result<RemoteId, String> {
        let body = json!({
            "lines": [{ "sku": sku, "quantity": units }], "pay": true, "shipping_method": "post",
            "buyer": { "name": "Bo Yer", "email": self.buyer_email() },
        });
        let answer = self.post("/checkout", body).await?;
        Ok(answer["id"].as_str().unwrap_or_default().into())
    }

    fn buyer_email(&self) -> &'static str {
        "bo.yer@example.com"
    }

    async fn ship(&self, order: &RemoteId) -> Result<(), String> {
        let path = format!("/api/v1/orders/{order}/ship");
        self.post(&path, json!({ "tracking": "JJFI1" }))
            .await
            .map(|_| ())
    }

    async fn cancel(&self, order: &RemoteId) -> Result<(), String> {
        let path = format!("/api/v1/orders/{order}/cancel");
        self.post(&path, json!({})).await.map(|_| ())
    }

    async fn orders_with_key(&self, key: &str) -> Result<usize, String> {
        // Counted through the whole list: a look-up by key could not show two.
        let mut count = 0;
        let mut cursor = String::new();
        loop {
            let list = self
                .get(&format!("/api/v1/orders?limit=250{cursor}"))
                .await?;
            let orders = list["items"].as_array().into_iter().flatten();
            count += orders.filter(|order| order["external_key"] == key).count();
            match list["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(count),
            }
        }
    }

    async fn registrations(&self) -> Result<Option<Vec<(String, Vec<String>, bool)>>, String> {
        let list = self.get("/api/v1/hooks").await?;
        let rows = list["items"].as_array().into_iter().flatten();
        let rows = rows.map(|row| {
            let topics = row["topics"].as_array().into_iter().flatten();
            let topics = topics.filter_map(|topic| topic.as_str().map(str::to_owned));
            let url = row["url"].as_str().unwrap_or_default().to_owned();
            (url, topics.collect(), row["enabled"] == true)
        });
        Ok(Some(rows.collect()))
    }

    async fn switch_hook_off(&self, url: &str) -> Result<(), String> {
        let list = self.get("/api/v1/hooks").await?;
        for row in list["items"].as_array().into_iter().flatten() {
            if row["url"] == url {
                let path = format!("/api/v1/hooks/{}", row["id"].as_str().unwrap_or_default());
                let body = json!({ "enabled": false });
                self.call(reqwest::Method::PUT, &path, Some(body)).await?;
            }
        }
        Ok(())
    }

    fn delivery(&self, secret: &str) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
        use hmac::{Hmac, KeyInit, Mac};
        let body = br#"{"delivery":"0198f2","topic":"stock.changed","shop":"practice-5f0c","id":"P-1","sku":"P-1","at":"2026-03-01T09:02:11.000123Z"}"#.to_vec();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(&body);
        let hex = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        let headers = [
            ("x-practice-topic".to_owned(), "stock.changed".to_owned()),
            ("x-practice-signature".to_owned(), format!("sha256={hex}")),
        ];
        Some((headers.into(), body))
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

fn run(name: &str) {
    let line = kit::line(name).expect("a line of the kit");
    block_on(async {
        let ground = Ground::open(Takes::Payment).await;
        let told = (line.run)(&ground).await;
        if let Err(failure) = told {
            panic!("{} {name}: {failure}", line.number);
        }
    });
}

mod kit_in_process {
    lockstep_connector::kit_tests!(super::run);
}

/// `available` and `taken` agree whenever the shop takes.
#[test]
fn every_way_of_taking_agrees() {
    block_on(async {
        for takes in [
            Takes::Placement,
            Takes::Payment,
            Takes::Reserve,
            Takes::Shipment,
            Takes::Never,
        ] {
            let ground = Ground::open(takes).await;
            for name in [
                "available_and_taken_agree_with_the_platform",
                "check_names_the_shop",
            ] {
                let line = kit::line(name).expect("a line");
                if let Err(failure) = (line.run)(&ground).await {
                    panic!("{name} with {:?}: {failure}", ground.takes);
                }
            }
        }
    });
}
