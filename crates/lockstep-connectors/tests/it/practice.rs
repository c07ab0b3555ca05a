//! The kit against a practice shop in this process, and what only this platform has: categories, pictures, further
//! languages, attributes.

use crate::http::{Direct, client};
use async_trait::async_trait;
use futures::StreamExt;
use lockstep_connector::kit::ports::Counting;
use lockstep_connector::kit::{self, How, Seed, Seen, ShopUnderTest};
use lockstep_connector::{Account, BodyStream, Connector, Http, NoPictures, Pictures, Platform};
use lockstep_connectors::Practice;
use lockstep_model::{
    Category, Change, Currency, Fault, FaultKind, Field, Fields, Fulfilment, Kind, NaturalKey,
    Next, OrderStep, Outcome, Path, Payment, PictureSource, Product, PullRequest, Receipt, Record,
    RemoteId, Scope, ShopId, Sku, Value as Held,
};
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

fn test(body: impl AsyncFnOnce(&Ground) -> Result<(), kit::Failure>) {
    block_on(async {
        let ground = Ground::open(Takes::Reserve).await;
        if let Err(failure) = body(&ground).await {
            panic!("{failure}");
        }
    });
}

async fn push(connector: &dyn Connector, change: Change) -> Result<Receipt, kit::Failure> {
    let outcomes = connector.push(&[change], &NoPictures).await?;
    receipt(outcomes)
}

fn receipt(outcomes: Vec<Outcome>) -> Result<Receipt, kit::Failure> {
    match outcomes.into_iter().next() {
        Some(Outcome::Done(receipt)) => Ok(receipt),
        other => Err(kit::Failure(format!("not done: {other:?}"))),
    }
}

async fn product(connector: &dyn Connector, sku: &str) -> Result<Product, kit::Failure> {
    let found = connector.find(&NaturalKey::Sku(sku.into())).await?;
    match found.into_iter().next() {
        Some(Record::Product(product)) => Ok(product),
        other => Err(kit::Failure(format!("{sku}: {other:?}"))),
    }
}

fn update(product: &Product, set: Fields) -> Change {
    let mut fields = product.fields();
    fields.extend(set.clone());
    let parts = product.parts();
    Change::UpdateProduct {
        id: product.id.clone(),
        product: Box::new(Product::from_fields(product.id.clone(), &fields, &parts)),
        set,
        parts,
    }
}

#[test]
fn the_table_has_no_failures() {
    block_on(async {
        let ground = Ground::open(Takes::Payment).await;
        let column = kit::run(&ground).await;
        let failures: Vec<_> = column
            .failures()
            .map(|(line, why)| format!("{}: {why}", line.name))
            .collect();
        println!("{}", kit::table(&[column]));
        assert!(failures.is_empty(), "{failures:#?}");
    });
}

#[test]
fn an_idle_look_costs_one_request_for_each_kind() {
    test(async |ground| {
        ground.add(&[Seed::new("A")]).await?;
        let http = Counting::new(ground.http());
        let connector = ground.connect(ground.account(), http.clone());
        for kind in [Kind::Category, Kind::Product, Kind::Level, Kind::Order] {
            let mut scope = Scope::Everything(None);
            for look in 0..3 {
                http.reset();
                let request = PullRequest {
                    kind,
                    scope,
                    limit: 250,
                };
                let page = connector.pull(&request).await?;
                let Next::End(Some(cursor)) = page.next else {
                    panic!("{kind:?}: {:?}", page.next);
                };
                assert_eq!(http.reads(), 1);
                assert!(look == 0 || page.records.is_empty());
                scope = Scope::Since(cursor);
            }
        }
        Ok(())
    });
}

/// The feed goes on from the *start* of a scan: what was edited behind its back is told again.
#[test]
fn an_edit_during_the_first_scan_is_in_the_feed_after_it() {
    test(async |ground| {
        let seeds: Vec<Seed> = (0..5).map(|n| Seed::new(format!("S{n}"))).collect();
        ground.add(&seeds).await?;
        let connector = ground.connector();
        let mut scope = Scope::Everything(None);
        let mut pages = 0;
        let cursor = loop {
            let request = PullRequest {
                kind: Kind::Product,
                scope,
                limit: 2,
            };
            let page = connector.pull(&request).await?;
            pages += 1;
            if pages == 2 {
                ground.set_title(&seeds[0].sku, "Edited behind").await?;
                ground.add(&[Seed::new("NEW")]).await?;
            }
            match page.next {
                Next::More(cursor) => scope = Scope::Everything(Some(cursor)),
                Next::End(Some(cursor)) => break cursor,
                other => panic!("{other:?}"),
            }
        };
        let request = PullRequest {
            kind: Kind::Product,
            scope: Scope::Since(cursor),
            limit: 100,
        };
        let page = connector.pull(&request).await?;
        let titles: Vec<_> = page
            .records
            .iter()
            .flatten()
            .filter_map(|record| match record {
                Record::Product(product) => Some(product.title.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(titles, ["Edited behind", "Product NEW"]);
        Ok(())
    });
}

#[test]
fn categories_are_made_moved_renamed_and_found_by_their_path() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let mut parent: Option<RemoteId> = None;
        let mut ids = Vec::new();
        for name in ["Clothes", "Winter", "Scarves", "Wool"] {
            let category = Category {
                name: name.into(),
                parent: parent.clone(),
                position: Some(1),
                ..Category::default()
            };
            let made = push(connector, Change::CreateCategory { category }).await?;
            parent = Some(made.id.clone());
            ids.push(made.id);
        }
        let under = |parent: &RemoteId, name: &str| NaturalKey::Category {
            parent: Some(parent.clone()),
            name: name.into(),
        };
        let deep = under(&ids[2], "Wool");
        let found = connector.find(&deep).await?;
        assert!(matches!(&found[..], [Record::Category(c)] if c.id == ids[3]));
        assert!(connector.find(&under(&ids[0], "Wool")).await?.is_empty());
        let set: Fields = [
            (Path::new(&Field::Title), Held::text("Woollen")),
            (Path::new(&Field::Parent), Held::text(ids[1].as_str())),
        ]
        .into();
        let change = Change::UpdateCategory {
            id: ids[3].clone(),
            category: Category::from_fields(ids[3].clone(), &set),
            set,
        };
        let moved = push(connector, change).await?;
        let Some(Record::Category(moved)) = moved.record else {
            panic!("no category in the receipt");
        };
        assert_eq!((moved.name.as_str(), moved.position), ("Woollen", Some(1)));
        assert_eq!(moved.parent, Some(ids[1].clone()));
        let found = connector.find(&under(&ids[1], "Woollen")).await?;
        assert_eq!(found.len(), 1);
        Ok(())
    });
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand then some";
const SVG: &[u8] = b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>";

/// Another shop's pictures, by address.
struct Gallery;

#[async_trait]
impl Pictures for Gallery {
    async fn open(&self, source: &PictureSource) -> Result<BodyStream, Fault> {
        let bytes = match source.url.as_str() {
            "png" => PNG,
            "svg" => SVG,
            _ => b"no picture at all",
        };
        // In pieces, as the network has it.
        let pieces: Vec<_> = bytes.chunks(7).map(|piece| Ok(piece.into())).collect();
        Ok(futures::stream::iter(pieces).boxed())
    }
}

fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[test]
fn pictures_are_there_once_in_their_order_and_can_be_read_and_removed() {
    test(async |ground| {
        ground.add(&[Seed::new("A")]).await?;
        let connector = ground.connector();
        let connector = connector.as_ref();
        let id = product(connector, "A").await?.id;
        let add = |url: &str, bytes: &[u8], position: u32| Change::AddPicture {
            product: id.clone(),
            digest: digest(bytes),
            alt: format!("A {url} & more"),
            position,
            source: PictureSource {
                shop: ShopId(1),
                id: "x".into(),
                url: url.into(),
            },
        };
        let mut held = Vec::new();
        for _ in 0..2 {
            let changes = [add("png", PNG, 0), add("svg", SVG, 1), add("text", b"", 2)];
            let outcomes = connector.push(&changes, &Gallery).await?;
            assert!(matches!(outcomes[0], Outcome::Done(_)), "{outcomes:?}");
            let Outcome::Failed(fault) = &outcomes[2] else {
                panic!("what is no picture was taken");
            };
            assert!(matches!(fault.kind, FaultKind::Invalid { .. }), "{fault:?}");
            let receipt = receipt(outcomes)?;
            assert_eq!(receipt.id, id);
            let Some(Record::Product(product)) = receipt.record else {
                panic!("no product in the receipt");
            };
            held = product.pictures.unwrap_or_default();
            let digests: Vec<_> = held.iter().map(|picture| picture.digest.clone()).collect();
            assert_eq!(digests, [digest(PNG), digest(SVG)]);
            assert_eq!(held[0].alt, "A png & more");
        }
        let source = PictureSource {
            shop: ShopId(3),
            id: held[0].id.clone(),
            url: held[0].url.clone(),
        };
        let mut bytes = Vec::new();
        let mut stream = connector.picture(&source).await?;
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        assert_eq!(bytes, PNG);
        let order = Held::list([digest(SVG), digest(PNG)]);
        let before = product(connector, "A").await?;
        let set = [(Path::new(&Field::Pictures), order)].into();
        push(connector, update(&before, set)).await?;
        let held = product(connector, "A").await?.pictures.unwrap_or_default();
        assert_eq!(held[0].digest, digest(SVG));
        for _ in 0..2 {
            let change = Change::RemovePicture {
                product: id.clone(),
                picture: held[0].id.clone(),
            };
            push(connector, change).await?;
        }
        let held = product(connector, "A").await?.pictures.unwrap_or_default();
        assert_eq!(held.len(), 1);
        Ok(())
    });
}

#[test]
fn texts_and_attributes_are_set_emptied_and_left_alone() {
    test(async |ground| {
        ground.add(&[Seed::new("A")]).await?;
        let connector = ground.connector();
        let connector = connector.as_ref();
        let before = product(connector, "A").await?;
        let text = |name: &'static str| {
            Path::new(&Field::Text {
                language: "fi".into(),
                name: name.into(),
            })
        };
        let attribute = |name: &'static str| Path::new(&Field::Attribute(name.into()));
        let set = [
            (text("description"), Held::text("<p>Lämmin ☕</p>")),
            (attribute("colour"), Held::text("red")),
            (attribute("material"), Held::Empty),
        ];
        push(connector, update(&before, set.into())).await?;
        let after = product(connector, "A").await?;
        assert_eq!(after.texts["fi"]["title"], "Tuote");
        assert_eq!(after.texts["fi"]["description"], "<p>Lämmin ☕</p>");
        let attributes = [("colour".to_owned(), "red".to_owned())];
        assert_eq!(after.attributes, attributes.into());
        let set = [(text("title"), Held::Empty)];
        push(connector, update(&after, set.into())).await?;
        assert_eq!(product(connector, "A").await?.texts["fi"]["title"], "");
        Ok(())
    });
}

#[test]
fn steps_of_an_order_are_taken_once() {
    test(async |ground| {
        ground.add(&[Seed::new("A")]).await?;
        let connector = ground.connector();
        let connector = connector.as_ref();
        let mut new = kit::copy(ground, &"A".into(), "7");
        new.order.state.payment = Payment::Pending;
        let new_units = new.order.state.lines[0].quantity;
        let change = Change::CreateOrder {
            order: Box::new(new),
        };
        let id = push(connector, change).await?.id;
        let step = async |step: OrderStep| {
            let change = Change::StepOrder {
                id: id.clone(),
                step,
                person: None,
            };
            match push(connector, change).await?.record {
                Some(Record::Order(order)) => Ok::<_, kit::Failure>(order.state),
                other => Err(kit::Failure(format!("the receipt holds {other:?}"))),
            }
        };
        for _ in 0..2 {
            assert_eq!(step(OrderStep::Pay).await?.payment, Payment::Paid);
        }
        for _ in 0..2 {
            let state = step(OrderStep::Ship {
                parcel: "p1".into(),
                carrier: Some("Posti".into()),
                tracking: Some("JJFI1".into()),
                lines: [("1".into(), Decimal::ONE)].into(),
            })
            .await?;
            assert_eq!(state.parcels[0].of, Some("p1".into()));
            assert_eq!(state.fulfilment, Fulfilment::Partly);
            assert_eq!(state.parcels.len(), 1);
            assert_eq!(state.parcels[0].tracking.as_deref(), Some("JJFI1"));
            assert_eq!(state.lines[0].shipped, Decimal::ONE);
        }
        let left = new_units - Decimal::ONE;
        let state = step(OrderStep::Ship {
            parcel: "p2".into(),
            carrier: None,
            tracking: None,
            lines: [("1".into(), left)].into(),
        })
        .await?;
        assert_eq!(state.fulfilment, Fulfilment::Shipped);
        for _ in 0..2 {
            let state = step(OrderStep::Refund {
                key: "r1".into(),
                amount: Decimal::new(250, 2),
                charges: Decimal::ZERO,
                lines: [("1".into(), Decimal::ONE)].into(),
                restock: true,
            })
            .await?;
            assert_eq!(state.payment, Payment::PartlyRefunded);
            assert_eq!(state.refunded(), Decimal::new(250, 2));
            assert_eq!(state.refunds[0].of, Some("r1".into()));
            assert_eq!(state.lines[0].returned, Decimal::ONE);
            assert_eq!(state.lines[0].taken, left);
        }
        for _ in 0..2 {
            let charges = Decimal::new(50, 2);
            let state = step(OrderStep::Refund {
                key: "shipping".into(),
                amount: charges,
                charges,
                lines: BTreeMap::new(),
                restock: false,
            })
            .await?;
            let told: Vec<Decimal> = state.refunds.iter().map(|refund| refund.charges).collect();
            assert_eq!(
                told,
                [Decimal::ZERO, charges],
                "what is of shipping is told as that"
            );
        }
        // Units alone, and they are not put back.
        let state = step(OrderStep::Refund {
            key: "returned-2".into(),
            amount: Decimal::ZERO,
            charges: Decimal::ZERO,
            lines: [("1".into(), Decimal::ONE)].into(),
            restock: false,
        })
        .await?;
        assert_eq!(state.refunded(), Decimal::new(300, 2));
        assert_eq!(state.lines[0].taken, left);
        assert_eq!(state.lines[0].written_off, Decimal::ONE);

        let new = kit::copy(ground, &"A".into(), "8");
        let change = Change::CreateOrder {
            order: Box::new(new),
        };
        let id = push(connector, change).await?.id;
        for _ in 0..2 {
            let change = Change::StepOrder {
                id: id.clone(),
                step: OrderStep::Cancel,
                person: None,
            };
            match push(connector, change).await?.record {
                Some(Record::Order(order)) => assert!(order.state.cancelled),
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    });
}

/// The shop's own fault: the order is made, the reply never comes.
#[test]
fn a_write_that_the_shop_did_and_did_not_answer_is_in_doubt() {
    test(async |ground| {
        ground.add(&[Seed::new("A")]).await?;
        let connector = ground.connector();
        let faults = json!({ "faults": [
            { "kind": "FailAfterWrite", "method": "POST", "path_prefix": "/api/v1/orders", "times": 1 },
        ] });
        let method = reqwest::Method::PUT;
        ground.call(method, "/api/v1/faults", Some(faults)).await?;
        let new = kit::copy(ground, &"A".into(), "9");
        let change = Change::CreateOrder {
            order: Box::new(new.clone()),
        };
        let outcomes = connector.push(&[change], &NoPictures).await?;
        let Outcome::Failed(fault) = &outcomes[0] else {
            panic!("{outcomes:?}");
        };
        assert_eq!(fault.kind, FaultKind::UnknownOutcome);
        let key = NaturalKey::Order {
            key: new.key.clone(),
            not_before: new.order.state.placed_at,
        };
        assert_eq!(connector.find(&key).await?.len(), 1);
        Ok(())
    });
}
