//! The kit against a real Medusa, and what only this platform has. `cargo xtask test` starts one and says where; what
//! needs no shop runs everywhere.

use crate::http::{Direct, client};
use async_trait::async_trait;
use lockstep_connector::kit::{self, How, Seed, Seen, ShopUnderTest};
use lockstep_connector::{Account, Connector, Http, NoPictures, Platform};
use lockstep_connectors::Medusa;
use lockstep_model::{
    Change, Currency, Cursor, Field, Fulfilment, Kind, NaturalKey, Next, Order, OrderState,
    OrderStep, Outcome, Path, Payment, PullRequest, Record, RemoteId, Scope, ShopId, Sku, Value,
    VariantField,
};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const BUYER: &str = "bo.yer@example.com";

/// Where the Medusa is, or what stands for it where none is asked.
pub(crate) fn setting(name: &str) -> String {
    let full = format!("LOCKSTEP_TEST_MEDUSA_{name}");
    std::env::var(full).unwrap_or_else(|_| format!("{}_1", name.to_lowercase()))
}

pub(crate) struct Ground {
    client: reqwest::Client,
    url: String,
    key: String,
    began: u128,
    tags: AtomicU32,
    /// SKU → product and variant, of those that were spoiled.
    spoiled: Mutex<BTreeMap<Sku, (String, String)>>,
    how: How,
}

pub(crate) fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(crate) fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn decimal(value: &Json) -> Decimal {
    value.to_string().parse().unwrap_or_default()
}

impl Ground {
    /// Lines over cans need no shop.
    fn offline() -> Self {
        Self {
            url: "http://127.0.0.1:9".into(),
            key: "sk_0123456789abcdef".into(),
            how: How::Scripted,
            ..Self::at_settings()
        }
    }

    fn open() -> Self {
        let url = "LOCKSTEP_TEST_MEDUSA_URL";
        assert!(
            std::env::var_os(url).is_some(),
            "{url} says where a Medusa is: run `cargo xtask test`"
        );
        Self::at_settings()
    }

    fn at_settings() -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            client: client(),
            url: setting("URL").trim_end_matches('/').to_owned(),
            key: setting("KEY"),
            began: began.map(|began| began.as_millis()).unwrap_or_default(),
            tags: AtomicU32::new(0),
            spoiled: Mutex::default(),
            how: How::Live,
        }
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Json>,
    ) -> Result<Json, String> {
        let method: reqwest::Method = method.parse().map_err(|_| "no such method".to_owned())?;
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = if path.starts_with("/store/") {
            request.header("x-publishable-api-key", setting("PUBLISHABLE_KEY"))
        } else {
            request.basic_auth(&self.key, Some(""))
        };
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|e| e.to_string())?;
        let status = response.status();
        let text = response.text().await.map_err(|e| e.to_string())?;
        if !status.is_success() {
            return Err(format!("{path}: {status} {text}"));
        }
        serde_json::from_str(&text).map_err(|e| format!("{path}: {e}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Json, String> {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> Result<Json, String> {
        self.call("POST", path, Some(body)).await
    }

    async fn product(&self, sku: &Sku) -> Result<Option<Json>, String> {
        let sku = encode(sku.as_str());
        let path = format!(
            "/admin/products?variants[sku]={sku}&fields=*options,*options.values,*variants,*variants.prices,*variants.prices.price_rules,*variants.options,*variants.options.option"
        );
        let mut list = self.get(&path).await?;
        Ok(list["products"].as_array_mut().and_then(Vec::pop))
    }

    /// As a buyer there orders these, none of it paid.
    pub(crate) async fn order_of(
        &self,
        items: &[(&str, u32)],
        region: &str,
        country: &str,
    ) -> Result<RemoteId, String> {
        let mut lines = Vec::new();
        for (sku, units) in items {
            let (_, variant) = self.ids(&Sku::from(*sku)).await?;
            lines.push(json!({ "variant_id": variant, "quantity": units }));
        }
        self.check_out(json!(lines), region, country).await
    }

    async fn check_out(
        &self,
        items: Json,
        region: &str,
        country: &str,
    ) -> Result<RemoteId, String> {
        let address = json!({
            "first_name": "Bo", "last_name": "Yer", "address_1": "Street 1", "city": "Paris",
            "postal_code": "75001", "country_code": country,
        });
        let cart = json!({ "region_id": region, "email": BUYER, "items": items });
        let cart = self.post("/store/carts", cart).await?;
        let cart = text(&cart["cart"]["id"]);
        let addresses = json!({ "shipping_address": address, "billing_address": address });
        self.post(&format!("/store/carts/{cart}"), addresses)
            .await?;
        let option = json!({ "option_id": setting("SHIPPING_OPTION") });
        self.post(&format!("/store/carts/{cart}/shipping-methods"), option)
            .await?;
        let collection = self
            .post("/store/payment-collections", json!({ "cart_id": cart }))
            .await?;
        let collection = text(&collection["payment_collection"]["id"]);
        let provider = json!({ "provider_id": "pp_system_default" });
        let path = format!("/store/payment-collections/{collection}/payment-sessions");
        self.post(&path, provider).await?;
        let done = self
            .post(&format!("/store/carts/{cart}/complete"), json!({}))
            .await?;
        let id = text(&done["order"]["id"]);
        if id.is_empty() {
            return Err(format!("the cart became no order: {done}"));
        }
        Ok(RemoteId(id))
    }

    pub(crate) async fn ship_from(&self, order: &RemoteId, location: &str) -> Result<(), String> {
        let there = self.order(order).await?;
        let items = there["items"].as_array().into_iter().flatten();
        let items: Vec<Json> = items
            .map(|item| json!({ "id": item["id"], "quantity": item["quantity"] }))
            .collect();
        let path = format!("/admin/orders/{order}/fulfillments?fields=id,*fulfillments");
        let body = json!({ "items": items, "location_id": location });
        let packed = self.post(&path, body).await?;
        let fulfillment = text(&packed["order"]["fulfillments"][0]["id"]);
        let path = format!("/admin/orders/{order}/fulfillments/{fulfillment}/shipments");
        let body = json!({ "items": items });
        self.post(&path, body).await.map(|_| ())
    }

    /// Units of the first line come back and are for sale again.
    pub(crate) async fn take_back(&self, order: &RemoteId, units: u32) -> Result<(), String> {
        let there = self.order(order).await?;
        let body = json!({ "order_id": order, "location_id": setting("STOCK_LOCATION") });
        let begun = self.post("/admin/returns", body).await?;
        let path = format!("/admin/returns/{}", text(&begun["return"]["id"]));
        let items = json!({ "items": [{ "id": there["items"][0]["id"], "quantity": units }] });
        for (step, body) in [
            ("request-items", items.clone()),
            ("request", json!({})),
            ("receive", json!({})),
            ("receive-items", items),
            ("receive/confirm", json!({})),
        ] {
            self.post(&format!("{path}/{step}"), body).await?;
        }
        Ok(())
    }

    pub(crate) async fn set_level_at(
        &self,
        sku: &Sku,
        location: &str,
        units: u32,
    ) -> Result<(), String> {
        let item = text(&self.item(sku).await?["id"]);
        let path = format!("/admin/inventory-items/{item}/location-levels");
        let body = json!({ "location_id": location, "stocked_quantity": units });
        self.post(&path, body).await.map(|_| ())
    }

    /// A product that is made of other items' units.
    pub(crate) async fn add_kit(&self, sku: &Sku, parts: &[(&str, u32)]) -> Result<(), String> {
        let parts: Vec<Json> = parts
            .iter()
            .map(|(item, units)| json!({ "inventory_item_id": item, "required_quantity": units }))
            .collect();
        let body = json!({
            "title": sku, "status": "published", "shipping_profile_id": setting("SHIPPING_PROFILE"),
            "sales_channels": [{ "id": setting("SALES_CHANNEL") }],
            "options": [{ "title": "Default option", "values": ["Default option value"] }],
            "variants": [{
                "title": "Default", "sku": sku, "manage_inventory": true, "inventory_items": parts,
                "options": { "Default option": "Default option value" },
                "prices": [{ "currency_code": "eur", "amount": 35 }],
            }],
        });
        self.post("/admin/products", body).await.map(|_| ())
    }

    pub(crate) fn account_without(&self, names: &[&str]) -> Account {
        let mut account = self.account();
        account
            .options
            .retain(|name, _| !names.contains(&name.as_str()));
        account
    }

    /// The ids of the product and of the variant.
    pub(crate) async fn ids(&self, sku: &Sku) -> Result<(String, String), String> {
        let product = self.product(sku).await?.ok_or("no such product")?;
        let variants = product["variants"].as_array().into_iter().flatten();
        let mut variants = variants.filter(|variant| variant["sku"] == sku.as_str());
        let variant = variants.next().ok_or("no such variant")?;
        Ok((text(&product["id"]), text(&variant["id"])))
    }

    pub(crate) async fn item(&self, sku: &Sku) -> Result<Json, String> {
        let path = format!(
            "/admin/inventory-items?sku={}&fields=id,sku,*location_levels",
            encode(sku.as_str())
        );
        let list = self.get(&path).await?;
        let item = list["inventory_items"].get(0).cloned();
        item.ok_or_else(|| format!("no item {sku}"))
    }

    /// How many of a list, read to its end, bear this among their metadata.
    pub(crate) async fn with_metadata(&self, plural: &str, text: &str) -> Result<usize, String> {
        let path = plural.replace('_', "-");
        let (mut count, mut offset) = (0, 0);
        loop {
            let path =
                format!("/admin/{path}?limit=100&offset={offset}&order=id&fields=id,metadata");
            let list = self.get(&path).await?;
            let rows = list[plural].as_array().cloned().unwrap_or_default();
            let bears = |row: &&Json| {
                let mut metadata = row["metadata"].as_object().into_iter().flatten();
                metadata.any(|(_, value)| *value == text)
            };
            count += rows.iter().filter(bears).count();
            if rows.len() < 100 {
                return Ok(count);
            }
            offset += rows.len();
        }
    }

    pub(crate) async fn order(&self, id: &RemoteId) -> Result<Json, String> {
        let path = format!(
            "/admin/orders/{id}?fields=id,total,*items,*payment_collections.payments,*fulfillments"
        );
        Ok(self.get(&path).await?["order"].clone())
    }
}

#[async_trait]
impl ShopUnderTest for Ground {
    fn how(&self) -> How {
        self.how
    }

    fn platform(&self) -> Arc<dyn Platform> {
        Arc::new(Medusa)
    }

    fn account(&self) -> Account {
        let options = [
            ("stock_location", "STOCK_LOCATION"),
            ("sales_channel", "SALES_CHANNEL"),
            ("region", "REGION"),
            ("shipping_profile", "SHIPPING_PROFILE"),
            ("shipping_option", "SHIPPING_OPTION"),
        ];
        let options = options.map(|(name, from)| (name.to_owned(), setting(from)));
        Account {
            shop: ShopId(4),
            name: "Medusa".into(),
            url: self.url.clone(),
            credentials: [("api_key".to_owned(), self.key.clone())].into(),
            options: options.into(),
        }
    }

    fn http(&self) -> Arc<dyn Http> {
        Direct::new()
    }

    fn tag(&self) -> String {
        let n = self.tags.fetch_add(1, Ordering::Relaxed);
        format!("M{}-{}-{n}", self.began, std::process::id())
    }

    fn currency(&self) -> Currency {
        "EUR".into()
    }

    fn stock(&self) -> RemoteId {
        setting("STOCK_LOCATION").into()
    }

    fn elsewhere(&self) -> Vec<Account> {
        let at = |url: String| Account {
            url,
            ..self.account()
        };
        vec![
            // Nobody listens on the discard port.
            at("http://127.0.0.1:9".into()),
            at(format!("{}/nowhere", self.url)),
        ]
    }

    /// A secret key may do everything.
    fn without_a_right(&self) -> Option<Account> {
        None
    }

    fn empty_reply(&self, kind: Kind) -> String {
        let plural = match kind {
            Kind::Product => "products",
            Kind::Level => "variants",
            Kind::Order => "orders",
            Kind::Category => "product_categories",
        };
        // Levels are read of the locations that there are.
        format!(r#"{{"{plural}":[],"stock_locations":[],"count":0,"offset":0,"limit":50}}"#)
    }

    async fn add(&self, products: &[Seed]) -> Result<(), String> {
        for some in products.chunks(50) {
            let creates: Vec<Json> = some
                .iter()
                .map(|seed| {
                    json!({
                        "title": seed.title, "description": "<p>As it was</p>", "status": "published",
                        "subtitle": "kept", "metadata": {"kept": "yes"},
                        "shipping_profile_id": setting("SHIPPING_PROFILE"),
                        "sales_channels": [{ "id": setting("SALES_CHANNEL") }],
                        "options": [{ "title": "Default option", "values": ["Default option value"] }],
                        "variants": [{
                            "title": "Default", "sku": seed.sku, "manage_inventory": true, "weight": 250,
                            "options": { "Default option": "Default option value" },
                            "prices": [
                                { "currency_code": "eur", "amount": seed.price.to_string().parse::<f64>().unwrap_or(0.0) },
                                { "currency_code": "usd", "amount": 30.5 },
                                { "currency_code": "eur", "amount": 9, "rules": { "region_id": setting("REGION") } },
                                { "currency_code": "eur", "amount": 8, "min_quantity": 10 },
                            ],
                        }],
                    })
                })
                .collect();
            self.post("/admin/products/batch", json!({ "create": creates }))
                .await?;
            let skus: Vec<String> = some
                .iter()
                .map(|seed| format!("sku[]={}", encode(seed.sku.as_str())))
                .collect();
            let path = format!(
                "/admin/inventory-items?limit=100&fields=id,sku&{}",
                skus.join("&")
            );
            let items = self.get(&path).await?;
            let items = items["inventory_items"].as_array().into_iter().flatten();
            let levels: Vec<Json> = items
                .filter_map(|item| {
                    let seed = some.iter().find(|seed| item["sku"] == seed.sku.as_str())?;
                    Some(json!({
                        "inventory_item_id": item["id"], "location_id": setting("STOCK_LOCATION"),
                        "stocked_quantity": seed.units,
                    }))
                })
                .collect();
            self.post(
                "/admin/inventory-items/location-levels/batch",
                json!({ "create": levels }),
            )
            .await?;
        }
        Ok(())
    }

    async fn spoil(&self, sku: &Sku) -> Result<(), String> {
        let (product, variant) = self.ids(sku).await?;
        let path = format!("/admin/products/{product}/variants/{variant}");
        self.post(&path, json!({ "sku": null })).await?;
        let mut spoiled = self.spoiled.lock().map_err(|e| e.to_string())?;
        spoiled.insert(sku.clone(), (product, variant));
        Ok(())
    }

    async fn mend(&self, sku: &Sku) -> Result<(), String> {
        let ids = {
            let mut spoiled = self.spoiled.lock().map_err(|e| e.to_string())?;
            spoiled.remove(sku).ok_or("not spoiled")?
        };
        let path = format!("/admin/products/{}/variants/{}", ids.0, ids.1);
        self.post(&path, json!({ "sku": sku })).await.map(|_| ())
    }

    async fn set_title(&self, sku: &Sku, title: &str) -> Result<(), String> {
        let (product, _) = self.ids(sku).await?;
        let path = format!("/admin/products/{product}");
        self.post(&path, json!({ "title": title }))
            .await
            .map(|_| ())
    }

    async fn set_price(&self, sku: &Sku, price: Decimal) -> Result<(), String> {
        let (product, variant) = self.ids(sku).await?;
        let path = format!("/admin/products/{product}/variants/{variant}");
        let amount: f64 = price.to_string().parse().map_err(|_| "no price")?;
        let prices = json!({ "prices": [{ "currency_code": "eur", "amount": amount }] });
        self.post(&path, prices).await.map(|_| ())
    }

    async fn set_on_hand(&self, sku: &Sku, units: u32) -> Result<(), String> {
        let item = self.item(sku).await?;
        let path = format!(
            "/admin/inventory-items/{}/location-levels/{}",
            text(&item["id"]),
            setting("STOCK_LOCATION")
        );
        self.post(&path, json!({ "stocked_quantity": units }))
            .await
            .map(|_| ())
    }

    async fn delete(&self, sku: &Sku) -> Result<(), String> {
        let (product, _) = self.ids(sku).await?;
        let path = format!("/admin/products/{product}");
        self.call("DELETE", &path, None).await.map(|_| ())
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
        let prices = own["prices"].as_array().into_iter().flatten();
        let prices = prices.filter(|price| {
            price["min_quantity"].is_null()
                && price["rules"].as_object().is_none_or(|r| r.is_empty())
        });
        let options = own["options"].as_array().into_iter().flatten();
        Ok(Some(Seen {
            title: text(&product["title"]),
            description: text(&product["description"]),
            for_sale: product["status"] == "published",
            skus,
            prices: prices
                .map(|price| {
                    let code = text(&price["currency_code"]).to_uppercase();
                    (Currency(code), decimal(&price["amount"]))
                })
                .collect(),
            gtin: own["ean"].as_str().map(str::to_owned),
            weight_g: own["weight"].as_number().map(|_| decimal(&own["weight"])),
            options: options
                .map(|option| (text(&option["option"]["title"]), text(&option["value"])))
                .collect(),
        }))
    }

    async fn raw(&self, sku: &Sku) -> Result<Json, String> {
        let mut product = self.product(sku).await?.ok_or("no such product")?;
        for variant in product["variants"].as_array_mut().into_iter().flatten() {
            // They come in no order.
            if let Some(prices) = variant["prices"].as_array_mut() {
                prices.sort_by_key(|price| text(&price["id"]));
            }
        }
        Ok(product)
    }

    fn moving(&self) -> &'static [&'static str] {
        &["updated_at"]
    }

    async fn level(&self, sku: &Sku) -> Result<(Decimal, Decimal), String> {
        let item = self.item(sku).await?;
        let levels = item["location_levels"].as_array().into_iter().flatten();
        let mut levels = levels.filter(|l| l["location_id"] == setting("STOCK_LOCATION"));
        let level = levels.next().ok_or("no level there")?;
        Ok((
            decimal(&level["stocked_quantity"]),
            decimal(&level["reserved_quantity"]),
        ))
    }

    /// Through the store's API, as a storefront does it; the money is then taken in the admin's pages.
    async fn buy(&self, sku: &Sku, units: u32) -> Result<RemoteId, String> {
        let (_, variant) = self.ids(sku).await?;
        let items = json!([{ "variant_id": variant, "quantity": units }]);
        let id = self.check_out(items, &setting("REGION"), "fr").await?;
        let order = self.order(&id).await?;
        let payment = text(&order["payment_collections"][0]["payments"][0]["id"]);
        self.post(&format!("/admin/payments/{payment}/capture"), json!({}))
            .await?;
        Ok(id)
    }

    fn buyer_email(&self) -> &'static str {
        BUYER
    }

    async fn ship(&self, order: &RemoteId) -> Result<(), String> {
        self.ship_from(order, &setting("STOCK_LOCATION")).await
    }

    async fn cancel(&self, order: &RemoteId) -> Result<(), String> {
        let path = format!("/admin/orders/{order}/cancel");
        self.post(&path, json!({})).await.map(|_| ())
    }

    async fn orders_with_key(&self, key: &str) -> Result<usize, String> {
        self.with_metadata("orders", key).await
    }

    async fn registrations(&self) -> Result<Option<Vec<(String, Vec<String>, bool)>>, String> {
        Ok(None)
    }

    async fn switch_hook_off(&self, _: &str) -> Result<(), String> {
        Err("the platform has no hooks".into())
    }

    fn delivery(&self, _: &str) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
        None
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

fn prove(ground: &Ground, name: &str) {
    let line = kit::line(name).expect("a line of the kit");
    block_on(async {
        if let Err(failure) = (line.run)(ground).await {
            panic!("{} {name}: {failure}", line.number);
        }
    });
}

fn run(name: &str) {
    prove(&Ground::open(), name);
}

pub(crate) fn test(body: impl AsyncFnOnce(&Ground) -> Result<(), kit::Failure>) {
    block_on(async {
        if let Err(failure) = body(&Ground::open()).await {
            panic!("{failure}");
        }
    });
}

/// All pages of a look, and where the next begins.
pub(crate) async fn look(
    connector: &dyn Connector,
    kind: Kind,
    scope: Scope,
) -> Result<(Vec<Record>, Cursor), kit::Failure> {
    let is_feed = matches!(scope, Scope::Since(_));
    let (mut scope, mut records) = (scope, Vec::new());
    loop {
        let request = PullRequest {
            kind,
            scope,
            limit: 50,
        };
        let page = connector.pull(&request).await?;
        records.extend(page.records.into_iter().flatten());
        scope = match page.next {
            Next::End(Some(cursor)) => return Ok((records, cursor)),
            Next::More(cursor) if is_feed => Scope::Since(cursor),
            Next::More(cursor) => Scope::Everything(Some(cursor)),
            other => return Err(kit::Failure(format!("{other:?}"))),
        };
    }
}

/// The lines that run over cans, whether or not there is a Medusa.
mod kit_scripted {
    macro_rules! lines {
        ($($name:ident)*) => {$(
            #[test]
            fn $name() {
                super::prove(&super::Ground::offline(), stringify!($name));
            }
        )*};
    }

    lines! {
        an_empty_shop_is_an_empty_page
        a_failed_page_is_a_fault_not_an_empty_page
        throttling_is_told_and_learned_from
        every_broken_answer_is_its_fault
        secrets_are_never_in_faults
        hooks_are_registered_listed_removed_and_enabled_again
        a_signature_is_checked_on_the_raw_bytes
        duplicates_and_disorder_are_harmless
    }
}

mod on_medusa {
    use super::*;

    mod kit_live {
        lockstep_connector::kit_tests!(super::super::run);
    }

    /// The connector, and a product of ten units in the shop.
    async fn with_product(ground: &Ground) -> Result<(Box<dyn Connector>, Sku), kit::Failure> {
        let sku = Sku(ground.tag());
        ground.add(&[Seed::new(sku.0.clone())]).await?;
        Ok((ground.connector(), sku))
    }

    async fn order(connector: &dyn Connector, id: &RemoteId) -> Result<Order, kit::Failure> {
        let request = PullRequest {
            kind: Kind::Order,
            scope: Scope::Ids(vec![id.clone()]),
            limit: 10,
        };
        let page = connector.pull(&request).await?;
        match page.records.into_iter().next() {
            Some(Ok(Record::Order(order))) => Ok(*order),
            other => Err(kit::Failure(format!("{id}: {other:?}"))),
        }
    }

    async fn step(
        connector: &dyn Connector,
        id: &RemoteId,
        step: OrderStep,
    ) -> Result<OrderState, kit::Failure> {
        let change = Change::StepOrder {
            id: id.clone(),
            step,
            person: None,
        };
        let outcomes = connector.push(&[change], &NoPictures).await?;
        match outcomes.into_iter().next() {
            Some(Outcome::Done(receipt)) => match receipt.record {
                Some(Record::Order(order)) => Ok(order.state),
                other => Err(kit::Failure(format!("the receipt holds {other:?}"))),
            },
            other => Err(kit::Failure(format!("the step ends as {other:?}"))),
        }
    }

    #[test]
    fn a_price_change_keeps_other_currencies_rules_and_steps() {
        test(async |ground| {
            let (connector, sku) = with_product(ground).await?;
            let before = connector.find(&NaturalKey::Sku(sku.clone())).await?;
            let Some(Record::Product(product)) = before.into_iter().next() else {
                panic!("the product is not found");
            };
            let path = Path::new(&Field::Variant {
                item: (&sku).into(),
                field: VariantField::Price("EUR".into()),
            });
            let change = Change::UpdateProduct {
                id: product.id.clone(),
                set: [(path, Value::number(Decimal::new(2149, 2)))].into(),
                parts: product.parts(),
                product: Box::new(product),
            };
            let outcomes = connector.push(&[change], &NoPictures).await?;
            assert!(matches!(outcomes[0], Outcome::Done(_)), "{outcomes:?}");
            let raw = ground.raw(&sku).await?;
            let prices = raw["variants"][0]["prices"]
                .as_array()
                .into_iter()
                .flatten();
            let mut prices: Vec<String> = prices
                .map(|price| {
                    let rules = price["rules"].as_object().map_or(0, |rules| rules.len());
                    format!(
                        "{} {} {} {rules}",
                        text(&price["currency_code"]),
                        price["amount"],
                        price["min_quantity"]
                    )
                })
                .collect();
            prices.sort();
            let wanted = [
                "eur 21.49 null 0",
                "eur 8 10 0",
                "eur 9 null 1",
                "usd 30.5 null 0",
            ];
            assert_eq!(prices, wanted);
            Ok(())
        });
    }

    #[test]
    fn a_copy_is_paid_shipped_in_two_parcels_and_no_step_happens_twice() {
        test(async |ground| {
            let (connector, sku) = with_product(ground).await?;
            let connector = connector.as_ref();
            let new = kit::copy(ground, &sku, sku.as_str());
            let change = Change::CreateOrder {
                order: Box::new(new),
            };
            let outcomes = connector.push(&[change], &NoPictures).await?;
            let Some(Outcome::Done(made)) = outcomes.into_iter().next() else {
                panic!("the copy is not made");
            };
            let id = made.id;
            let state = order(connector, &id).await?.state;
            assert_eq!(state.payment, Payment::Pending);
            for _ in 0..2 {
                let state = step(connector, &id, OrderStep::Pay).await?;
                assert_eq!(state.payment, Payment::Paid);
            }
            let line = state.lines[0].id.clone();
            for (parcel, units, wanted) in [
                ("p1", 1, Fulfilment::Partly),
                ("p2", 2, Fulfilment::Shipped),
            ] {
                for _ in 0..2 {
                    let ship = OrderStep::Ship {
                        parcel: parcel.into(),
                        carrier: Some("Posti".into()),
                        tracking: Some(format!("JJFI-{parcel}")),
                        lines: [(line.clone(), Decimal::from(units))].into(),
                    };
                    let state = step(connector, &id, ship).await?;
                    assert_eq!(state.fulfilment, wanted, "{parcel}");
                }
            }
            let state = order(connector, &id).await?.state;
            let mut tracking: Vec<_> = state
                .parcels
                .iter()
                .filter_map(|p| p.tracking.clone())
                .collect();
            tracking.sort();
            assert_eq!(tracking, ["JJFI-p1", "JJFI-p2"]);
            let taken: Decimal = state.lines.iter().map(|line| line.taken).sum();
            assert_eq!(taken, Decimal::from(3));
            let (on_hand, reserved) = ground.level(&sku).await?;
            assert_eq!((on_hand, reserved), (Decimal::from(7), Decimal::ZERO));
            Ok(())
        });
    }

    #[test]
    fn a_copy_is_cancelled_and_gives_back() {
        test(async |ground| {
            let (connector, sku) = with_product(ground).await?;
            let connector = connector.as_ref();
            let new = kit::copy(ground, &sku, sku.as_str());
            let change = Change::CreateOrder {
                order: Box::new(new),
            };
            let outcomes = connector.push(&[change], &NoPictures).await?;
            let Some(Outcome::Done(made)) = outcomes.into_iter().next() else {
                panic!("the copy is not made");
            };
            for _ in 0..2 {
                let state = step(connector, &made.id, OrderStep::Cancel).await?;
                assert!(state.cancelled);
            }
            let (on_hand, reserved) = ground.level(&sku).await?;
            assert_eq!((on_hand, reserved), (Decimal::from(10), Decimal::ZERO));
            Ok(())
        });
    }

    /// A capture leaves the order's own time as it was: it is found by the payment's.
    #[test]
    fn a_capture_and_a_shipment_are_seen() {
        test(async |ground| {
            let (connector, sku) = with_product(ground).await?;
            let connector = connector.as_ref();
            let new = kit::copy(ground, &sku, sku.as_str());
            let change = Change::CreateOrder {
                order: Box::new(new),
            };
            let outcomes = connector.push(&[change], &NoPictures).await?;
            let Some(Outcome::Done(made)) = outcomes.into_iter().next() else {
                panic!("the copy is not made");
            };
            let id = made.id;
            let (_, cursor) = look(connector, Kind::Order, Scope::Everything(None)).await?;
            let (_, cursor) = look(connector, Kind::Order, Scope::Since(cursor)).await?;
            let (idle, cursor) = look(connector, Kind::Order, Scope::Since(cursor)).await?;
            assert!(idle.is_empty(), "{} orders are told again", idle.len());
            let told = |records: &[Record]| {
                let orders = records.iter().filter_map(|record| match record {
                    Record::Order(order) if order.state.id == id => Some(order.state.clone()),
                    _ => None,
                });
                orders.collect::<Vec<_>>()
            };
            step(connector, &id, OrderStep::Pay).await?;
            let (records, cursor) = look(connector, Kind::Order, Scope::Since(cursor)).await?;
            let seen = told(&records);
            assert_eq!(seen.len(), 1);
            assert_eq!(seen[0].payment, Payment::Paid);
            ground.ship(&id).await?;
            let (records, cursor) = look(connector, Kind::Order, Scope::Since(cursor)).await?;
            let seen = told(&records);
            assert_eq!(seen.len(), 1);
            assert_eq!(seen[0].fulfilment, Fulfilment::Shipped);
            let (records, _) = look(connector, Kind::Order, Scope::Since(cursor)).await?;
            assert!(told(&records).is_empty());
            Ok(())
        });
    }

    /// Deletes while a scan is on shift the rest to the front; none is passed over.
    #[test]
    fn deletes_during_a_scan_hide_nothing() {
        test(async |ground| {
            let tag = ground.tag();
            let seeds: Vec<Seed> = (0..12)
                .map(|n| Seed::new(format!("{tag}-{n:02}")))
                .collect();
            ground.add(&seeds).await?;
            let connector = ground.connector();
            let (mut scope, mut seen, mut deleted) = (Scope::Everything(None), Vec::new(), 0);
            loop {
                let request = PullRequest {
                    kind: Kind::Product,
                    scope,
                    limit: 5,
                };
                let page = connector.pull(&request).await?;
                for record in page.records.into_iter().flatten() {
                    if let Record::Product(product) = record {
                        let ours = product
                            .variants
                            .iter()
                            .filter(|v| v.sku.0.starts_with(&tag));
                        seen.extend(ours.map(|variant| variant.sku.clone()));
                    }
                }
                if seen.len() > deleted && deleted < 4 {
                    ground.delete(&seen[deleted]).await?;
                    deleted += 1;
                }
                match page.next {
                    Next::More(cursor) => scope = Scope::Everything(Some(cursor)),
                    _ => break,
                }
            }
            let mut all: Vec<Sku> = seeds.iter().map(|seed| seed.sku.clone()).collect();
            seen.sort();
            all.sort();
            assert_eq!(seen, all);
            assert!(deleted > 0);
            Ok(())
        });
    }
}
