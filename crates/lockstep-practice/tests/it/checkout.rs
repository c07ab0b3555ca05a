//! Buying, by the call that the storefront's form makes.

use lockstep_practice::Takes;
use serde_json::{Value, json};

use crate::caller::open;

#[tokio::test]
async fn a_buyer_gets_a_number_and_the_order_says_it_all() {
    let shop = open(Takes::Placement, 1).await;
    let body = json!({
        "lines": [{"sku": "P-00001", "quantity": 2}], "pay": true, "shipping_method": "post", "note": "Ring twice",
        "buyer": {"name": "Åke Öst", "email": "ake@example.com", "company": "Öst Ab", "language": "fi"},
        "shipping": {"name": "Åke Öst", "street": "Hamngatan 1", "postal_code": "00100", "city": "Helsinki", "country": "FI"},
    });
    let answer = shop
        .client
        .post(shop.url("/checkout"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let told: Value = answer.json().await.unwrap();
    let order = shop
        .get(&format!("/api/v1/orders/{}", told["id"].as_str().unwrap()))
        .await;
    assert_eq!(order["number"], told["number"]);
    assert!(told["number"].as_str().unwrap().starts_with("WS1-"));
    assert_eq!(
        (
            &order["payment"],
            &order["fulfilment"],
            &order["external_key"]
        ),
        (&json!("paid"), &json!("open"), &Value::Null)
    );
    assert_eq!(
        (&order["buyer"]["company"], &order["shop_version"]),
        (&json!("Öst Ab"), &json!("fi"))
    );
    assert_eq!(order["confirmation_mail"]["sent"], true);
    let cents =
        |value: &Value| (value.as_str().unwrap().parse::<f64>().unwrap() * 100.0).round() as i64;
    let (line, charge) = (&order["lines"][0], &order["charges"][0]);
    assert_eq!(cents(&line["gross"]), 2 * cents(&line["unit_price"]));
    assert_eq!(
        (&charge["method"], &charge["gross"]),
        (&json!("post"), &json!("4.90"))
    );
    assert_eq!(cents(&order["total"]), cents(&line["gross"]) + 490);
    let taxed: i64 = order["tax_by_rate"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sum| cents(&sum["net"]) + cents(&sum["tax"]))
        .sum();
    assert_eq!(taxed, cents(&order["total"]));
    assert_eq!(line["taken"], 2);
}

#[tokio::test]
async fn what_cannot_be_bought_is_refused_and_takes_nothing() {
    let shop = open(Takes::Placement, 2).await;
    let (status, problem) = shop.buy("P-00001", 11, true).await;
    assert_eq!(
        (status, &problem["code"], &problem["available"]),
        (409, &json!("sold_out"), &json!(10))
    );
    for (body, code) in [
        (
            json!({"lines": [], "buyer": {"name": "A", "email": "a@b"}}),
            "invalid",
        ),
        (
            json!({"lines": [{"sku": "P-00001", "quantity": 0}], "buyer": {"name": "A", "email": "a@b"}}),
            "invalid",
        ),
        (
            json!({"lines": [{"sku": "P-00001", "quantity": 1}], "buyer": {"name": "A", "email": "nobody"}}),
            "invalid",
        ),
        (
            json!({"lines": [{"sku": "none", "quantity": 1}], "buyer": {"name": "A", "email": "a@b"}}),
            "unknown_sku",
        ),
        (
            json!({"lines": [{"sku": "P-00002", "quantity": 6}, {"sku": "P-00002", "quantity": 6}], "buyer": {"name": "A", "email": "a@b"}}),
            "sold_out",
        ),
    ] {
        let answer = shop
            .client
            .post(shop.url("/checkout"))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.json::<Value>().await.unwrap()["code"],
            code,
            "{body}"
        );
    }
    assert_eq!(shop.level("P-00001").await, "10/0/10");
    assert!(shop.all("/api/v1/orders").await.0.is_empty());
}

#[tokio::test]
async fn twenty_buyers_of_ten_units_are_ten_orders() {
    for takes in [Takes::Placement, Takes::Reserve, Takes::Payment] {
        let shop = open(takes, 1).await;
        let answers =
            futures::future::join_all((0..20).map(|_| shop.buy("P-00001", 1, true))).await;
        let sold = answers.iter().filter(|(status, _)| *status == 201).count();
        let refused = answers.iter().filter(|(status, _)| *status == 409).count();
        assert_eq!((sold, refused), (10, 10), "{takes}");
        assert_eq!(shop.get("/api/v1/stock/P-00001").await["quantity"], 0);
    }
}
