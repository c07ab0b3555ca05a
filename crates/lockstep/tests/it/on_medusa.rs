//! A real Medusa beside two practice shops: the catalogue crosses to it, its orders cross to the ERP through lost replies,
//! late writes and killed workers, and what is in step is left alone.

use crate::world::{
    Coordinator, Medusa, PracticeShop, ShopClient, Wiretap, Worker, eventually, holds_for, seconds,
    settings,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PRODUCTS: usize = 200;
const ORDERS: usize = 20;

/// Two hundred products, every third of them in three sizes, and their units.
async fn stock_the_erp(erp: &ShopClient, prefix: &str) {
    let sizes: [&[&str]; 2] = [&[""], &["S", "M", "L"]];
    let mut products = Vec::new();
    let mut levels = Vec::new();
    for nth in 0..PRODUCTS {
        let sizes = sizes[usize::from(nth % 3 == 0)];
        let several = sizes.len() > 1;
        let variants: Vec<Value> = sizes
            .iter()
            .enumerate()
            .map(|(at, size)| {
                let sku = format!("{prefix}-{nth:03}{size}");
                levels.push(json!({ "sku": sku, "on_hand": 10 + (nth % 7) as i64 }));
                let price = format!("{}.{:02}", 5 + nth % 40, (nth * 7 + at * 50) % 100);
                let options = if several {
                    json!({ "Size": size })
                } else {
                    json!({})
                };
                json!({ "sku": sku, "price": price, "options": options })
            })
            .collect();
        products.push(json!({
            "op": "create", "title": format!("{prefix} product {nth} – ä€😀"),
            "description": format!("<p>Number {nth} &amp; more.</p>"), "status": "active",
            "options": if several { json!(["Size"]) } else { json!([]) }, "variants": variants,
        }));
    }
    for chunk in products.chunks(100) {
        all_well(
            erp.post("/api/v1/products/batch", json!({ "items": chunk }))
                .await,
        );
    }
    for chunk in levels.chunks(100) {
        all_well(
            erp.post("/api/v1/stock/batch", json!({ "items": chunk }))
                .await,
        );
    }
}

fn all_well(answer: Value) {
    for item in answer["items"].as_array().expect("a batch's answer") {
        assert!(item["status"].as_u64() < Some(300), "{item}");
    }
}

fn with_medusa(mut all: Value, medusa: &Medusa, url: &str) -> Value {
    settings::push(
        &mut all,
        "services",
        json!({
            "id": 3, "name": "Medusa", "platform": "medusa", "url": url,
            "credentials": { "api_key": medusa.key },
            "options": {
                "stock_location": medusa.stock_location, "sales_channel": medusa.sales_channel, "region": medusa.region,
                "shipping_profile": medusa.shipping_profile, "shipping_option": medusa.shipping_option,
            },
        }),
    );
    settings::push(
        &mut all,
        "customerHasServices",
        json!({
            "id": 3, "customerId": 0, "serviceId": 3, "role": "shop", "assortment": "all",
            // It has products of its own, which stay there.
            "firstMeeting": "go",
        }),
    );
    for (section, of, identifier) in [
        (
            "stockServiceIdentifiers",
            "stockId",
            medusa.stock_location.as_str(),
        ),
        (
            "shippingMethodServiceIdentifiers",
            "shippingMethodId",
            medusa.shipping_option.as_str(),
        ),
        (
            "paymentMethodServiceIdentifiers",
            "paymentMethodId",
            "pp_system_default",
        ),
    ] {
        let row = json!({ "id": 900, of: 1, "serviceId": 3, "identifier": identifier });
        settings::push(&mut all, section, row);
    }
    all["policies"]["orders"]["gates"] =
        json!([{ "shop": 3, "states": ["placed", "accepted", "paid"] }]);
    for flow in ["orders", "stock"] {
        all["schedules"][flow]["pollSeconds"] = json!(2);
    }
    all
}

/// Every product of the ERP stands in Medusa as it is, by readers that know nothing of the connector.
async fn compare(erp: &ShopClient, medusa: &Medusa, prefix: &str) -> Result<usize, String> {
    let there = medusa.items(prefix).await;
    let levels = medusa.levels(prefix).await;
    let units = erp.levels().await;
    let mut compared = 0;
    for product in erp.products().await {
        let variants = product["variants"].as_array().expect("variants");
        for variant in variants {
            let sku = variant["sku"].as_str().expect("a SKU");
            let found = there.get(sku).ok_or(format!("{sku} is not in Medusa"))?;
            for (what, ours, theirs) in [
                ("title", &product["title"], json!(found.title)),
                (
                    "description",
                    &product["description"],
                    json!(found.description),
                ),
                ("price", &variant["price"], json!(found.price)),
                (
                    "number of variants",
                    &json!(variants.len()),
                    json!(found.siblings),
                ),
                ("status", &json!("published"), json!(found.status)),
                ("units", &json!(units.get(sku)), json!(levels.get(sku))),
            ] {
                if *ours != theirs {
                    return Err(format!(
                        "{what} of {sku}: {ours} in the ERP, {theirs} in Medusa"
                    ));
                }
            }
            compared += 1;
        }
    }
    if there.len() != compared {
        return Err(format!(
            "{} SKUs in Medusa, {compared} in the ERP",
            there.len()
        ));
    }
    Ok(compared)
}

/// Each order of Medusa stands in the ERP once, with its units and its total.
async fn crossed_once(erp: &ShopClient, placed: &[(Value, String, i64)]) -> Result<(), String> {
    let copies = erp.orders().await;
    for (order, sku, units) in placed {
        let id = order["id"].as_str().unwrap_or("?");
        let mine = |copy: &&Value| {
            copy["external_key"]
                .as_str()
                .is_some_and(|key| key.ends_with(id))
        };
        let found: Vec<&Value> = copies.iter().filter(mine).collect();
        let [copy] = found.as_slice() else {
            return Err(format!("order {id} is {} times in the ERP", found.len()));
        };
        let line = &copy["lines"][0];
        let total: f64 = copy["total"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN);
        let paid = order["total"].as_f64().unwrap_or(f64::NAN);
        if line["sku"] != sku.as_str() || line["quantity"] != *units || (total - paid).abs() > 0.004
        {
            return Err(format!(
                "order {id}: {paid} for {units} × {sku} became {copy}"
            ));
        }
    }
    if copies.len() != placed.len() {
        return Err(format!(
            "{} orders in the ERP, {} were placed",
            copies.len(),
            placed.len()
        ));
    }
    Ok(())
}

async fn conserved(
    seeded: &BTreeMap<String, i64>,
    placed: &[(Value, String, i64)],
    shops: &[ShopClient; 2],
    medusa: &Medusa,
    prefix: &str,
) -> Result<(), String> {
    let mut expected = seeded.clone();
    for (_, sku, units) in placed {
        *expected.entry(sku.clone()).or_default() -= units;
    }
    for shop in shops {
        differ(&shop.name, &expected, &shop.levels().await)?;
    }
    differ("Medusa", &expected, &medusa.levels(prefix).await)
}

fn differ(
    name: &str,
    expected: &BTreeMap<String, i64>,
    found: &BTreeMap<String, i64>,
) -> Result<(), String> {
    for (sku, units) in expected {
        if found.get(sku) != Some(units) {
            return Err(format!(
                "{sku} in {name}: {:?}, not {units}",
                found.get(sku)
            ));
        }
    }
    Ok(())
}

fn writes_of(wire: &Wiretap) -> Vec<String> {
    let all = wire.all();
    let writes = all.iter().filter(|each| each.method != "GET");
    writes
        .map(|each| format!("{} {}", each.method, each.path))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_products_and_twenty_orders() {
    let medusa = Medusa::given();
    let prefix = format!("E{:08x}", rand::random::<u32>());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (erp, web) = tokio::join!(
        PracticeShop::start(folder.path(), "ERP", "placement", &[]),
        PracticeShop::start(folder.path(), "Web shop 1", "payment", &[]),
    );
    stock_the_erp(&erp, &prefix).await;
    let seeded = erp.levels().await;
    let coordinator = Coordinator::start(folder.path()).await;
    let people = &coordinator.people;
    let wire = Wiretap::before(&medusa.url).await;
    let join = coordinator.join_token().await;
    let mut worker = Worker::start(folder.path(), "worker-1", &coordinator.url, Some(&join));
    let practice = [erp.client(), web.client()];
    let all = settings::of_practice_shops(0, "Kahvila Oy", true, &practice);
    let customer = people.create(&with_medusa(all, &medusa, &wire.url)).await;

    // The catalogue crosses completely.
    let (compared, took) = eventually(
        "every product is in Medusa as it is",
        seconds(300),
        async || compare(&erp, &medusa, &prefix).await,
    )
    .await;
    println!(
        "{PRODUCTS} products, {compared} variants with prices and stock in Medusa: {} s",
        took.as_secs()
    );
    eventually("and in the practice shop", seconds(30), async || {
        crate::world::in_step(&practice).await
    })
    .await;

    // Twenty orders the other way: five replies lost after the write, two writes applied late, three kills.
    erp.set_faults(json!([
        { "kind": "FailAfterWrite", "method": "POST", "path_prefix": "/api/v1/orders", "times": 5 },
        { "kind": "ApplyLate", "ms": 2_000, "method": "POST", "path_prefix": "/api/v1/orders", "times": 2 },
    ]))
    .await;
    let items = medusa.items(&prefix).await;
    let mut placed = Vec::new();
    for (nth, (sku, item)) in items.iter().step_by(7).take(ORDERS).enumerate() {
        let units = 1 + (nth % 3) as i64;
        let order = medusa.buy(&item.variant, units).await;
        placed.push((order, sku.clone(), units));
        if [4, 9, 14].contains(&nth) {
            worker.start_again(None);
        }
    }
    assert_eq!(placed.len(), ORDERS);
    let (_, took) = eventually("each order is in the ERP once", seconds(240), async || {
        crossed_once(&erp, &placed).await
    })
    .await;
    println!(
        "{ORDERS} orders in the ERP {} s after the last was placed; faults: {}",
        took.as_secs(),
        erp.faults().await
    );
    erp.clear_faults().await;
    eventually(
        "units seeded − bought = level in every shop",
        seconds(120),
        async || conserved(&seeded, &placed, &practice, &medusa, &prefix).await,
    )
    .await;
    holds_for("and it stays so", seconds(5), async || {
        crossed_once(&erp, &placed).await?;
        conserved(&seeded, &placed, &practice, &medusa, &prefix).await
    })
    .await;

    // In step: another sync writes nothing, and so does a reading of everything.
    let quiet = async |what: &str| {
        for shop in &practice {
            assert_eq!(
                shop.writes().await,
                BTreeMap::new(),
                "{what}: {}",
                shop.name
            );
        }
        assert_eq!(writes_of(&wire), Vec::<String>::new(), "{what}: Medusa");
        println!("{what}: ERP {:?}", erp.requests().await);
        println!("{what}: Web shop 1 {:?}", web.requests().await);
        println!("{what}: Medusa {} requests", wire.all().len());
    };
    let forget = async || {
        for shop in &practice {
            shop.forget_requests().await;
        }
        wire.forget();
    };
    people
        .types(&["--json", "sync", &customer.to_string()])
        .await;
    forget().await;
    let typed = people
        .types(&["--json", "sync", &customer.to_string()])
        .await;
    assert_eq!(typed.code, 0, "{typed:?}");
    quiet("a second sync").await;

    // From now on nothing is looked at but by reading everything, each second.
    let mut edited = people.export(customer).await;
    for flow in ["products", "categories", "stock", "orders"] {
        edited["schedules"][flow] = json!({ "pollSeconds": 0, "reconcileSeconds": 1 });
    }
    forget().await;
    people.save(customer, &edited).await;
    eventually(
        "every shop is read from its beginning",
        seconds(120),
        async || {
            for shop in &practice {
                let asked = shop.requests().await;
                for path in ["products", "stock"] {
                    if asked.get(&format!("GET /api/v1/{path}")) < Some(&2) {
                        return Err(format!("{path} of {}: {asked:?}", shop.name));
                    }
                }
            }
            for path in ["/admin/products", "/admin/product-variants"] {
                let lists = wire.heard("GET", path);
                let begun = lists.iter().filter(|list| {
                    !list.path.contains("updated_at[") && list.path.contains("offset=0")
                });
                if begun.count() < 2 {
                    let paths: Vec<&str> = lists.iter().map(|list| list.path.as_str()).collect();
                    return Err(format!("{path} of Medusa: {paths:?}"));
                }
            }
            Ok(())
        },
    )
    .await;
    quiet("a full reconcile").await;
    assert_eq!(compare(&erp, &medusa, &prefix).await, Ok(compared));
}
