//! A shop for one test, and a caller of its API.

use lockstep_practice::{RunningShop, Seed, Shop, ShopConfig, Takes};
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Open {
    pub shop: RunningShop,
    pub client: reqwest::Client,
    pub folder: TempDir,
}

pub const TOKEN: &str = "a-token-for-tests";
pub const READ_TOKEN: &str = "a-token-that-reads";

pub fn config(folder: &TempDir, takes: Takes, seed: Seed) -> ShopConfig {
    ShopConfig {
        name: "Web shop 1".into(),
        token: Some(TOKEN.to_string().into()),
        read_token: Some(READ_TOKEN.to_string().into()),
        takes,
        seed: Some(seed),
        ..ShopConfig::new(folder.path())
    }
}

pub fn seed(products: u64) -> Seed {
    Seed {
        products,
        variants_per_product: Some(1),
        units_each: Some(10),
        ..Seed::default()
    }
}

pub async fn open(takes: Takes, products: u64) -> Open {
    open_with(takes, seed(products), |_| {}).await
}

pub async fn open_with(takes: Takes, seed: Seed, change: impl FnOnce(&mut ShopConfig)) -> Open {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, takes, seed);
    change(&mut config);
    let shop = Shop::start(config).await.unwrap();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    Open {
        shop,
        client,
        folder,
    }
}

/// A status and a body.
pub type Answer = (u16, Value);

impl Open {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.shop.url())
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method.parse().unwrap(), self.url(path))
            .bearer_auth(TOKEN)
    }

    pub async fn try_call(&self, method: &str, path: &str, body: Value) -> reqwest::Result<Answer> {
        let mut request = self.request(method, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await?;
        Ok((
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        ))
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.try_call(method, path, body).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.call("POST", path, body).await;
        assert!((200..300).contains(&status), "{path}: {body}");
        body
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.call("PATCH", path, body).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, body) = self.call(method, path, body).await;
        (
            status,
            body["code"].as_str().unwrap_or_default().to_string(),
        )
    }

    pub async fn set_faults(&self, faults: Value) {
        let (status, body) = self
            .call("PUT", "/api/v1/faults", json!({ "faults": faults }))
            .await;
        assert_eq!(status, 200, "{body}");
    }

    /// Every item of a list, page by page, and its `as_of`.
    pub async fn all(&self, path: &str) -> (Vec<Value>, String) {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let next = cursor
                .map(|cursor| format!("{separator}cursor={cursor}"))
                .unwrap_or_default();
            let mut page = self.get(&format!("{path}{next}")).await;
            items.append(page["items"].as_array_mut().unwrap());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_string()),
                None => return (items, page["as_of"].as_str().unwrap().to_string()),
            }
        }
    }

    /// `on_hand/reserved/available` of a SKU.
    pub async fn level(&self, sku: &str) -> String {
        let level = self.get(&format!("/api/v1/stock/{sku}")).await;
        format!(
            "{}/{}/{}",
            level["on_hand"], level["reserved"], level["quantity"]
        )
    }

    pub async fn buy(&self, sku: &str, quantity: i64, pay: bool) -> Answer {
        let body = json!({
            "lines": [{"sku": sku, "quantity": quantity}], "pay": pay,
            "buyer": {"name": "Aino Virta", "email": "aino@example.com"},
        });
        let answer = self
            .client
            .post(self.url("/checkout"))
            .json(&body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}
