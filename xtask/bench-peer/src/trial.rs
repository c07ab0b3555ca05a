//! A trial sync between two practice shops: lets a worker join, saves a customer of the two, counts what the
//! shops were asked, and reads afterwards, past every connector, whether all of it has crossed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use http::Method;
use lockstep_connector::{Manifest, StockWrite};
use lockstep_model::settings::{
    Assortment, Customer, CustomerHasService, CustomerSettings, OnWire, Policies, RowId, Secret,
    Service, ShopRole, Stock, StockId, StockServiceIdentifier,
};
use lockstep_model::{ChangeSort, CustomerId, Kind, ShopId};
use lockstep_protocol::auth::Bearer;
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::customers::{ApplyReply, ApplyRequest, CustomerView, OwnerRequest};
use lockstep_protocol::people::workers::{JoinTokenReply, JoinTokenRequest, WorkerList};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, Said};

const PLATFORM: &str = "practice";
const PAGE: u32 = 250;
/// A shop of more records than this is not a trial's.
const RECORDS_MAX: usize = 5_000_000;

/// The three servers of a trial, as each of them said itself.
#[derive(Deserialize)]
pub struct Servers {
    coordinator: Said,
    source: Said,
    target: Said,
}

#[derive(Serialize)]
pub struct Join {
    token: Bearer,
}

/// A token that lets one worker in without a person.
pub async fn join(coordinator: Said) -> Result<Join> {
    let request = JoinTokenRequest {
        label: "benchmark".to_owned(),
        uses_max: 1,
        lives_seconds: 600,
    };
    let operator = Client::of(coordinator).await?;
    let reply: JoinTokenReply = operator
        .send(Method::POST, paths::JOIN_TOKENS, &request)
        .await?;
    Ok(Join { token: reply.token })
}

#[derive(Serialize)]
pub struct Saved {
    customer: CustomerId,
}

/// Saves a customer whose catalogue and stock the source owns, and gives it to the worker that is there.
pub async fn customer(servers: Servers) -> Result<Saved> {
    let settings = settings(&servers)?;
    let operator = Client::of(servers.coordinator).await?;
    let reply: ApplyReply = operator
        .send(
            Method::POST,
            paths::CUSTOMERS,
            &ApplyRequest(OnWire(settings)),
        )
        .await?;
    let view: CustomerView = operator.get(&fill(paths::CUSTOMER, &[&reply.id])).await?;
    if view.row.owner.is_none() {
        let list: WorkerList = operator.get(paths::WORKERS).await?;
        let worker = list.workers.first().context("no worker has joined")?;
        let request = OwnerRequest {
            worker_id: worker.id,
            the_machine_is_gone: None,
        };
        let path = fill(paths::CUSTOMER_OWNER, &[&reply.id]);
        let _: Value = operator.send(Method::PUT, &path, &request).await?;
    }
    Ok(Saved { customer: reply.id })
}

fn settings(servers: &Servers) -> Result<CustomerSettings> {
    let id = CustomerId::default();
    let (source, target) = (ShopId(1), ShopId(2));
    let mut customer = Customer::new(id, "Benchmark");
    customer.stock_id = Some(StockId(1));
    // One by one by nature, so that they would hide what is measured; and there are no orders.
    customer.sync_pictures = false;
    customer.sync_orders = false;
    let mut settings = CustomerSettings::new(customer);
    settings.policies = Policies::owned_by(source);
    settings.stocks.push(Stock {
        id: StockId(1),
        name: "Main".to_owned(),
    });
    for (shop, name, role, said) in [
        (source, "Source", ShopRole::Erp, &servers.source),
        (target, "Target", ShopRole::Shop, &servers.target),
    ] {
        let token = said
            .api_token
            .as_ref()
            .with_context(|| format!("{name} said no api_token"))?;
        let url = said.url.to_string();
        settings.services.push(
            Service::new(shop, name, PLATFORM, url.trim_end_matches('/'))
                .with_credential("token", Secret::new(token.reveal())),
        );
        let mut link = CustomerHasService::new(RowId(shop.0), id, shop, role);
        link.assortment = Assortment::All;
        settings.customer_has_services.push(link);
        settings
            .stock_service_identifiers
            .push(StockServiceIdentifier {
                id: RowId(shop.0),
                stock_id: StockId(1),
                service_id: shop,
                identifier: "main".to_owned(),
            });
    }
    Ok(settings)
}

/// What a shop was asked since it was last asked this.
#[derive(Default, Serialize, Deserialize)]
pub struct Asked {
    total: u64,
    counts: BTreeMap<String, u64>,
    by_status: BTreeMap<String, u64>,
}

pub async fn asked(shop: Said) -> Result<Asked> {
    let shop = Client::of(shop).await?;
    let asked: Asked = shop.get("/api/v1/requests").await?;
    let reset = shop
        .call(
            Method::POST,
            "/api/v1/requests/reset",
            Default::default(),
            None::<&()>,
        )
        .await?;
    if !reset.status.is_success() {
        bail!("the shop's counters cannot be reset: {}", reset.refusal());
    }
    Ok(asked)
}

/// What both shops hold, and the least calls that a manifest permits for it.
#[derive(Serialize)]
pub struct Crossed {
    products: usize,
    categories: usize,
    levels: usize,
    /// SKUs that only one of the shops has, or with another number or price.
    different: usize,
    least_first: u64,
    least_unchanged: u64,
}

pub async fn crossed(servers: Servers) -> Result<Crossed> {
    let [source, target] = [
        Client::of(servers.source).await?,
        Client::of(servers.target).await?,
    ];
    let [ours, theirs] = [levels(&source).await?, levels(&target).await?];
    let different = differences(&ours, &theirs);
    let [(products, ours_cost), (there, theirs_cost)] =
        [prices(&source).await?, prices(&target).await?];
    let different = different + differences(&ours_cost, &theirs_cost);
    if there != products {
        bail!("the source has {products} products and the target {there}");
    }
    let categories = count(&source, "categories").await?;
    let platforms = lockstep_connectors::registry();
    let manifest = platforms
        .get(PLATFORM)
        .context("no practice platform")?
        .manifest();
    Ok(Crossed {
        products,
        categories,
        levels: ours.len(),
        different,
        least_first: least_first(manifest, products, categories, ours.len()),
        least_unchanged: least_unchanged(),
    })
}

/// What people have changed in the source, and how.
#[derive(Deserialize)]
pub struct Edit {
    #[serde(flatten)]
    servers: Servers,
    percent: usize,
}

#[derive(Serialize)]
pub struct Edited {
    /// Products with another price and another level.
    products: usize,
    /// Of a round that carries it across.
    least_calls: u64,
    /// Of the round after: what was written comes back in the target's feeds, and nothing follows from it.
    least_echo: u64,
}

/// Gives this part of the source's products another price, and a unit more.
pub async fn edit(edit: Edit) -> Result<Edited> {
    let source = Client::of(edit.servers.source).await?;
    let mut prices = Vec::new();
    let mut levels = Vec::new();
    let every = 100 / edit.percent.clamp(1, 100);
    let mut number = 0_usize;
    read_all(&source, "products", |product| {
        number += 1;
        if !number.is_multiple_of(every) {
            return Ok(());
        }
        let variant = &product["variants"][0];
        let price = variant["price"].as_str().context("no price")?;
        let price = price.parse::<Decimal>()? + Decimal::new(1, 2);
        prices.push(json!({
            "op": "update",
            "id": product["id"],
            "variants": [{ "id": variant["id"], "price": price.to_string() }],
        }));
        levels.push(json!({ "sku": variant["sku"], "stock": "main", "delta": 1 }));
        Ok(())
    })
    .await?;
    for (kind, members) in [("products", &prices), ("stock", &levels)] {
        for some in members.chunks(PAGE_OF_EDITS) {
            let path = format!("/api/v1/{kind}/batch");
            let said: Value = source
                .send(Method::POST, &path, &json!({ "items": some }))
                .await?;
            let items = said["items"].as_array().context("no items in the answer")?;
            if let Some(refused) = items
                .iter()
                .find(|item| item["status"].as_u64().is_none_or(|status| status >= 300))
            {
                bail!("an edit of {kind} was refused: {refused}");
            }
        }
    }
    let platforms = lockstep_connectors::registry();
    let manifest = platforms
        .get(PLATFORM)
        .context("no practice platform")?
        .manifest();
    Ok(Edited {
        products: prices.len(),
        least_calls: least_of_changes(manifest, prices.len()),
        least_echo: least_of_echo(manifest, prices.len()),
    })
}

const PAGE_OF_EDITS: usize = 100;

fn pages(manifest: &Manifest, kind: Kind, records: usize) -> u64 {
    let page = manifest.paging(kind).map_or(1, |paging| paging.page_max);
    (records as u64).div_ceil(u64::from(page.max(1))).max(1)
}

/// One look at each kind of each shop, of which the source's products and levels take as many pages as have changed;
/// the source's orders once more, since levels that moved are only believed with the orders after them; and each change
/// written in full batches. A compare-and-set is made from what the last answer said: it reads nothing.
fn least_of_changes(manifest: &Manifest, changed: usize) -> u64 {
    let looks = least_unchanged() - 2;
    let read = pages(manifest, Kind::Product, changed) + pages(manifest, Kind::Level, changed);
    let batches = |sort| (changed as u64).div_ceil(u64::from(manifest.batch_max(sort).max(1)));
    let written = batches(ChangeSort::UpdateProduct) + batches(ChangeSort::SetLevel);
    looks + read + 1 + written
}

/// One look at each kind of each shop, of which the target's products and levels take as many pages as were written.
fn least_of_echo(manifest: &Manifest, changed: usize) -> u64 {
    let read = pages(manifest, Kind::Product, changed) + pages(manifest, Kind::Level, changed);
    least_unchanged() - 2 + read
}

/// What is looked at here. Orders too: what was sold belongs to a level.
const KINDS: [Kind; 4] = [Kind::Category, Kind::Product, Kind::Level, Kind::Order];
const SHOPS: u64 = 2;

/// Each record read once from the source in full pages, one look at each kind of the empty target, each record
/// written there in full batches, and one look at the orders of either shop. Where a write to a level compares with
/// what it replaces, the target's new levels are read once too.
fn least_first(manifest: &Manifest, products: usize, categories: usize, levels: usize) -> u64 {
    let batches = |sort, records: usize| {
        (records as u64).div_ceil(u64::from(manifest.batch_max(sort).max(1)))
    };
    let compared = match manifest.stock_write {
        StockWrite::CompareAndSet => levels,
        StockWrite::Relative | StockWrite::Absolute | StockWrite::None => 0,
    };
    [
        (Kind::Category, ChangeSort::CreateCategory, categories, 0),
        (Kind::Product, ChangeSort::CreateProduct, products, 0),
        (Kind::Level, ChangeSort::SetLevel, levels, compared),
    ]
    .map(|(kind, sort, records, in_target)| {
        pages(manifest, kind, records) + pages(manifest, kind, in_target) + batches(sort, records)
    })
    .iter()
    .sum::<u64>()
        + SHOPS
}

/// One look at each kind of each shop.
fn least_unchanged() -> u64 {
    KINDS.len() as u64 * SHOPS
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

async fn levels(shop: &Client) -> Result<BTreeMap<String, Value>> {
    let mut levels = BTreeMap::new();
    read_all(shop, "stock", |item| {
        let sku = item["sku"]
            .as_str()
            .context("a level without a SKU")?
            .to_owned();
        levels.insert(sku, item["quantity"].clone());
        Ok(())
    })
    .await?;
    Ok(levels)
}

/// How many products there are, and what each SKU costs.
async fn prices(shop: &Client) -> Result<(usize, BTreeMap<String, Value>)> {
    let mut count = 0;
    let mut prices = BTreeMap::new();
    read_all(shop, "products", |product| {
        count += 1;
        for variant in product["variants"].as_array().into_iter().flatten() {
            let sku = variant["sku"].as_str().context("a variant without a SKU")?;
            prices.insert(sku.to_owned(), variant["price"].clone());
        }
        Ok(())
    })
    .await?;
    Ok((count, prices))
}

fn differences(ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) -> usize {
    let missing = theirs.keys().filter(|sku| !ours.contains_key(*sku)).count();
    let others = ours
        .iter()
        .filter(|(sku, value)| theirs.get(*sku) != Some(value));
    missing + others.count()
}

async fn count(shop: &Client, kind: &str) -> Result<usize> {
    let mut count = 0;
    read_all(shop, kind, |_| {
        count += 1;
        Ok(())
    })
    .await?;
    Ok(count)
}

async fn read_all(
    shop: &Client,
    kind: &str,
    mut take: impl FnMut(&Value) -> Result<()>,
) -> Result<()> {
    let mut path = format!("/api/v1/{kind}?limit={PAGE}");
    let mut taken = 0;
    loop {
        let page: Page = shop.get(&path).await?;
        taken += page.items.len();
        if taken > RECORDS_MAX {
            bail!("the shop has more than {RECORDS_MAX} {kind}");
        }
        page.items.iter().try_for_each(&mut take)?;
        match page.next_cursor {
            Some(cursor) => {
                path = format!("/api/v1/{kind}?limit={PAGE}&cursor={}", encoded(&cursor))
            }
            None => return Ok(()),
        }
    }
}

/// A cursor is opaque: anything may be in it.
fn encoded(cursor: &str) -> String {
    let path = fill("{cursor}", &[&cursor]);
    path.trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_calls_follow_the_manifests_pages_and_batches() {
        let platforms = lockstep_connectors::registry();
        let manifest = platforms
            .get(PLATFORM)
            .expect("the practice platform")
            .manifest();
        let page = u64::from(
            manifest
                .paging(Kind::Product)
                .expect("products are read")
                .page_max,
        );
        let batch = u64::from(manifest.batch_max(ChangeSort::CreateProduct));
        let products = 10_000;
        // No category and no level: one look at each kind of either shop, and the products.
        let looks = 2 + 2 + 2 + 1;
        let expected = looks + (products as u64).div_ceil(page) + (products as u64).div_ceil(batch);
        assert_eq!(least_first(manifest, products, 0, 0), expected);
    }

    #[test]
    fn a_cursor_is_put_into_an_address_whole() {
        assert_eq!(encoded("a+b/c=&d"), "a%2Bb%2Fc%3D%26d");
    }
}
