//! The pages that people see.

use lockstep_practice::Takes;
use serde_json::Value;

use crate::caller::{Open, open};

async fn page(shop: &Open, path: &str) -> (u16, String) {
    let answer = shop.client.get(shop.url(path)).send().await.unwrap();
    let headers = answer.headers();
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn send(shop: &Open, path: &str, fields: &[(&str, &str)]) -> reqwest::Response {
    shop.client
        .post(shop.url(path))
        .form(fields)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_person_looks_searches_and_turns_the_page() {
    let shop = open(Takes::Placement, 60).await;
    let (status, html) = page(&shop, "/").await;
    assert_eq!(status, 200);
    assert_eq!(html.matches("class=\"card\"").count(), 24);
    let product = shop.get("/api/v1/products?sku=P-00042").await["items"][0].clone();
    let (_, found) = page(&shop, "/?q=P-00042").await;
    assert_eq!(found.matches("class=\"card\"").count(), 1);
    assert!(found.contains(product["handle"].as_str().unwrap()));
    let next = html
        .split("rel=\"next\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&")
        .replace("&#38;", "&");
    let (_, second) = page(&shop, &next).await;
    assert_eq!(second.matches("class=\"card\"").count(), 24);
    let (_, empty) = page(&shop, "/?q=%3Cscript%3E").await;
    assert!(!empty.contains("<script>") && empty.contains("Nothing is called that"));
    let top = shop.all("/api/v1/categories").await.0[0].clone();
    let (status, below) = page(
        &shop,
        &format!("/?category={}", top["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(status, 200);
    let cards = below.matches("class=\"card\"").count();
    assert!(
        cards > 0 && cards < 24,
        "{cards} cards below {}",
        top["name"]
    );
}

#[tokio::test]
async fn a_person_buys_pays_later_and_sees_the_order() {
    let shop = open(Takes::Payment, 1).await;
    let handle = shop.all("/api/v1/products").await.0[0]["handle"]
        .as_str()
        .unwrap()
        .to_string();
    let (_, html) = page(&shop, &format!("/products/{handle}")).await;
    assert!(html.contains("10 available") && html.contains("action=\"/checkout\""));
    let fields = [
        ("sku", "P-00001"),
        ("quantity", "2"),
        ("name", "Aino <b>Virta"),
        ("email", "aino@example.com"),
        ("pay", "later"),
    ];
    let bought = send(&shop, "/checkout", &fields).await;
    assert_eq!(bought.status(), 303);
    let at = bought.headers()["location"].to_str().unwrap().to_string();
    let (status, html) = page(&shop, &at).await;
    assert_eq!(status, 200);
    assert!(
        html.contains("Not paid yet")
            && html.contains("Thank you, Aino ")
            && !html.contains("<b>Virta")
    );
    assert_eq!(shop.level("P-00001").await, "10/0/10");
    let (path, key) = at.split_once("?key=").unwrap();
    assert_eq!(page(&shop, path).await.0, 404, "the key is needed");
    assert_eq!(page(&shop, &format!("{path}?key=0000")).await.0, 404);
    let paid = send(&shop, &format!("{path}/pay"), &[("key", key)]).await;
    assert_eq!(paid.status(), 303);
    let (_, html) = page(&shop, &at).await;
    assert!(html.contains(">Paid<") && !html.contains("/pay\""));
    assert_eq!(shop.level("P-00001").await, "8/0/8");
}

#[tokio::test]
async fn what_is_gone_by_the_time_of_paying_is_told_and_not_taken() {
    let shop = open(Takes::Payment, 1).await;
    let fields = [
        ("sku", "P-00001"),
        ("quantity", "6"),
        ("name", "A"),
        ("email", "a@example.com"),
        ("pay", "later"),
    ];
    let first = send(&shop, "/checkout", &fields).await.headers()["location"]
        .to_str()
        .unwrap()
        .to_string();
    let (status, _) = shop.buy("P-00001", 6, true).await;
    assert_eq!(status, 201);
    let (path, key) = first.split_once("?key=").unwrap();
    let refused = send(&shop, &format!("{path}/pay"), &[("key", key)]).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("Only 4"));
    assert_eq!(shop.level("P-00001").await, "4/0/4");
}

#[tokio::test]
async fn a_form_that_cannot_be_right_is_answered_with_a_page() {
    let shop = open(Takes::Placement, 1).await;
    for (fields, status) in [
        (
            vec![
                ("sku", "P-00001"),
                ("quantity", "99"),
                ("name", "A"),
                ("email", "a@b.c"),
            ],
            409,
        ),
        (
            vec![
                ("sku", "P-00001"),
                ("quantity", "1"),
                ("name", ""),
                ("email", "a@b.c"),
            ],
            422,
        ),
        (vec![("quantity", "1")], 422),
    ] {
        let answer = send(&shop, "/checkout", &fields).await;
        assert_eq!(answer.status(), status);
        assert!(answer.text().await.unwrap().contains("<!doctype html>"));
    }
    assert_eq!(page(&shop, "/products/nothing").await.0, 404);
    assert_eq!(page(&shop, "/nothing").await.0, 404);
    let other = shop
        .client
        .post(shop.url("/checkout"))
        .header("content-type", "text/plain")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), 415);
    assert!(other.json::<Value>().await.unwrap()["code"].is_string());
}
