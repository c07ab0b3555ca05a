//! What is done to an order on one side, line by line and cent by cent, is done on the other.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

/// An order that the web shop's till made: two lines of one SKU, a tip without any, a coupon.
async fn of_the_till(shop: &ShopClient, key: &str, sku: &str) -> String {
    let order = shop
        .post(
            "/api/v1/orders",
            json!({
                "external_key": key, "payment": "paid",
                "lines": [
                    { "sku": sku, "quantity": 2, "unit_price": "20.00", "tax_rate": "25.5" },
                    { "sku": sku, "quantity": 3, "unit_price": "10.00", "tax_rate": "25.5" },
                    { "sku": null, "title": "Tip", "quantity": 1, "unit_price": "2.00", "tax_rate": "0" },
                ],
                "discounts": [{ "title": "SUMMER", "amount": "5.00" }],
                "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
                "shipping": { "name": "Aino Virta", "street": "Vanha katu 1", "postal_code": "00100", "city": "Helsinki", "country": "FI" },
            }),
        )
        .await;
    order["id"].as_str().expect("an id").to_owned()
}

async fn copy_of(scene: &Scene, id: &str) -> Option<Value> {
    let mark = format!(":{id}");
    let orders = scene.erp.orders().await;
    orders.into_iter().find(|order| {
        let key = order["external_key"].as_str().unwrap_or_default();
        key.ends_with(&mark)
    })
}

/// Until what is read says `wanted`.
async fn until(what: &str, wanted: &Value, read: impl AsyncFn() -> Value) {
    eventually(what, seconds(40), async || match read().await {
        there if there == *wanted => Ok(()),
        there => Err(format!("{there}, not {wanted}")),
    })
    .await;
}

fn lines(order: &Value, fields: &[&str]) -> Value {
    let lines = order["lines"].as_array().into_iter().flatten();
    let lines = lines.map(|line| fields.iter().map(|field| line[*field].clone()).collect());
    Value::Array(lines.collect::<Vec<Value>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_of_an_order_name_lines_parcels_and_money() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let books = scene.books().await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let web = &scene.web1;
    let id = of_the_till(web, "till-1", &sku).await;
    let path = format!("/api/v1/orders/{id}");

    // O6, O8: the tip crosses, and so does what the coupon is called.
    let (copy, _) = eventually("the order crossed", seconds(40), async || {
        copy_of(&scene, &id).await.ok_or("no copy".to_owned())
    })
    .await;
    assert_eq!(
        lines(&copy, &["sku", "quantity", "gross"]),
        json!([[sku, 2, "40.00"], [sku, 3, "30.00"], [null, 1, "2.00"]])
    );
    assert_eq!(
        copy["discounts"],
        json!([{ "title": "SUMMER", "amount": "5.00" }])
    );
    assert_eq!(copy["total"], "72.00");
    let copy_path = format!("/api/v1/orders/{}", copy["id"].as_str().expect("an id"));
    let copy_now = async || scene.erp.get(&copy_path).await;

    // O4: another address reaches the copy.
    let moved = json!({ "shipping": { "name": "Aino Virta", "street": "Uusi katu 2", "postal_code": "00200", "city": "Helsinki", "country": "FI" } });
    web.patch(&path, moved).await;
    until(
        "the copy goes to the new address",
        &json!("Uusi katu 2"),
        async || copy_now().await["shipping"]["street"].clone(),
    )
    .await;
    // … and another price.
    let dearer = json!({ "lines": [{ "id": "2", "quantity": 3, "unit_price": "11.00", "tax_rate": "25.5" }] });
    web.patch(&path, dearer).await;
    until(
        "the copy costs what the order costs",
        &json!("75.00"),
        async || copy_now().await["total"].clone(),
    )
    .await;

    // O1, O5: two parcels, one of each line.
    for (line, units, tracking) in [("2", 2, "JJFI-A"), ("1", 1, "JJFI-B")] {
        let parcel = json!({ "lines": [{ "id": line, "quantity": units }], "tracking": tracking, "carrier": "Posti" });
        scene.erp.post(&format!("{copy_path}/ship"), parcel).await;
    }
    let parcels = async || {
        let order = web.get(&path).await;
        let parcels = order["parcels"].as_array().into_iter().flatten();
        let parcels = parcels.map(|parcel| json!([parcel["tracking"], parcel["lines"]]));
        Value::Array(parcels.collect())
    };
    let two = json!([
        ["JJFI-A", [{ "id": "2", "quantity": 2 }]],
        ["JJFI-B", [{ "id": "1", "quantity": 1 }]],
    ]);
    until("both parcels are in the web shop", &two, parcels).await;

    // O10, O2: the rest is cancelled, one unit of it broken.
    for (line, restock) in [("1", true), ("2", false)] {
        let cancel = json!({ "lines": [{ "id": line, "quantity": 1 }], "restock": restock });
        web.post(&format!("{path}/cancel"), cancel).await;
    }
    until(
        "the rest is cancelled in the ERP",
        &json!([[1, 1], [1, 1], [0, 0]]),
        async || {
            lines(&copy_now().await, &["cancelled", "shipped"])
                .as_array()
                .map(|lines| {
                    // Two of line 2 are shipped.
                    Value::Array(
                        lines
                            .iter()
                            .map(|line| json!([line[0], line[1].as_i64().map(|n| n.min(1))]))
                            .collect(),
                    )
                })
                .unwrap_or_default()
        },
    )
    .await;

    // O3: money alone.
    web.post(&format!("{path}/refund"), json!({ "amount": "5.00" }))
        .await;
    until(
        "the ERP has given it back too",
        &json!("5.00"),
        async || copy_now().await["refunded"].clone(),
    )
    .await;
    // The broken unit is one less everywhere: five were ordered, one is back.
    let left = books.seeded(&sku) - 4;
    for shop in scene.shops() {
        until(
            &format!("{} shows what is left", shop.name),
            &json!(left),
            async || json!(shop.available(&sku).await),
        )
        .await;
    }
    scene.nobody_is_asked().await;
}
