//! Products, variants, categories and pictures.

use lockstep_practice::Takes;
use serde_json::{Value, json};

use crate::caller::{Open, TOKEN, open};

fn scarf() -> Value {
    json!({
        "title": "Nordic scarf 🧣", "description": "<p>Warm</p>", "texts": {"fi": {"title": "Huivi", "description": "Lämmin"}},
        "options": ["Size"], "attributes": {"material": "wool"}, "tax_rate": "reduced",
        "variants": [
            {"sku": "SC-M", "price": "24.90", "cost": "11.2", "options": {"Size": "M"}, "gtin": "4006381333931", "weight_g": 180},
            {"sku": "SC L ", "price": "26.905", "options": {"Size": "L"}, "backorder": true},
        ],
    })
}

#[tokio::test]
async fn a_product_goes_round_field_by_field() {
    let shop = open(Takes::Placement, 0).await;
    let made = shop.post("/api/v1/products", scarf()).await;
    let read = shop
        .get(&format!(
            "/api/v1/products/{}",
            made["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(made, read);
    assert_eq!(read["title"], "Nordic scarf 🧣");
    assert_eq!(read["handle"], "nordic-scarf");
    assert_eq!(read["texts"]["fi"]["title"], "Huivi");
    assert_eq!(read["tax_rate"], "reduced");
    assert_eq!(read["rev"], 1);
    let variants = read["variants"].as_array().unwrap();
    assert_eq!(variants[0]["price"], "24.90");
    assert_eq!(variants[0]["cost"], "11.20");
    assert_eq!(variants[1]["price"], "26.905");
    assert_eq!(variants[1]["sku"], "SC L ");
    assert_eq!(variants[1]["backorder"], true);
    assert_eq!(shop.level("SC-M").await, "0/0/0");
}

#[tokio::test]
async fn an_update_touches_only_what_it_says_and_nothing_when_it_says_nothing_new() {
    let shop = open(Takes::Placement, 0).await;
    let made = shop.post("/api/v1/products", scarf()).await;
    let path = format!("/api/v1/products/{}", made["id"].as_str().unwrap());
    let same = shop
        .patch(
            &path,
            json!({"title": "Nordic scarf 🧣", "variants": [{"sku": "SC-M", "price": "24.9"}]}),
        )
        .await;
    assert_eq!(same, made, "an echo is no change");
    let mut expected = made.clone();
    expected["variants"][0]["price"] = json!("22.00");
    let mut after = shop
        .patch(
            &path,
            json!({"variants": [{"sku": "SC-M", "price": "22.00"}]}),
        )
        .await;
    assert_eq!(after["rev"], 2);
    assert!(after["modified_at"].as_str() > made["modified_at"].as_str());
    for moved in ["rev", "modified_at"] {
        after[moved] = made[moved].clone();
    }
    assert_eq!(after, expected);
    let grown = shop.patch(&path, json!({"variants": [{"sku": "SC-S", "price": "20.00", "options": {"Size": "S"}, "position": 0}]})).await;
    assert_eq!(grown["variants"].as_array().unwrap().len(), 3);
    assert_eq!(shop.level("SC-S").await, "0/0/0");
}

#[tokio::test]
async fn a_write_against_an_old_revision_is_refused_with_the_current_record() {
    let shop = open(Takes::Placement, 0).await;
    let made = shop.post("/api/v1/products", scarf()).await;
    let path = format!("/api/v1/products/{}", made["id"].as_str().unwrap());
    let (status, _) = shop
        .call("PATCH", &path, json!({"if_rev": 1, "title": "Two"}))
        .await;
    assert_eq!(status, 200);
    let (status, body) = shop
        .call("PATCH", &path, json!({"if_rev": 1, "title": "Three"}))
        .await;
    assert_eq!((status, &body["code"]), (409, &json!("stale")));
    assert_eq!(body["current"]["title"], "Two");
    assert_eq!(
        shop.refused("DELETE", &format!("{path}?if_rev=1"), Value::Null)
            .await,
        (409, "stale".into())
    );
    assert_eq!(
        shop.call("DELETE", &format!("{path}?if_rev=2"), Value::Null)
            .await
            .0,
        204
    );
    assert_eq!(
        shop.refused("DELETE", &path, Value::Null).await,
        (404, "not_found".into())
    );
}

#[tokio::test]
async fn a_sku_belongs_to_one_product() {
    let shop = open(Takes::Placement, 0).await;
    let made = shop.post("/api/v1/products", scarf()).await;
    let body = json!({"title": "Other", "variants": [{"sku": "SC-M", "price": "1.00"}]});
    let (status, problem) = shop.call("POST", "/api/v1/products", body).await;
    assert_eq!((status, &problem["code"]), (409, &json!("duplicate_sku")));
    assert_eq!(problem["existing"], made["id"]);
    // Case and spaces tell SKUs apart.
    shop.post(
        "/api/v1/products",
        json!({"title": "Other", "variants": [{"sku": "sc-m", "price": "1.00"}]}),
    )
    .await;
}

#[tokio::test]
async fn skus_can_be_exchanged_and_their_levels_go_along() {
    let shop = open(Takes::Placement, 0).await;
    let made = shop.post("/api/v1/products", scarf()).await;
    shop.post(
        "/api/v1/stock/batch",
        json!({"items": [{"sku": "SC-M", "on_hand": 3}, {"sku": "SC L ", "on_hand": 8}]}),
    )
    .await;
    let (_, as_of) = shop.all("/api/v1/stock").await;
    let (one, other) = (&made["variants"][0]["id"], &made["variants"][1]["id"]);
    let path = format!("/api/v1/products/{}", made["id"].as_str().unwrap());
    let swap = json!({"variants": [{"id": one, "sku": "SC L "}, {"id": other, "sku": "SC-M"}]});
    // Matched by id, so that both names may cross.
    shop.patch(&path, json!({"variants": [{"id": one, "sku": "aside"}]}))
        .await;
    shop.patch(&path, swap).await;
    assert_eq!(shop.level("SC-M").await, "8/0/8");
    let (changed, _) = shop
        .all(&format!("/api/v1/stock?modified_since={as_of}"))
        .await;
    assert!(
        changed
            .iter()
            .any(|item| item["sku"] == "aside" && item["deleted_at"].is_string())
    );
}

#[tokio::test]
async fn a_bad_member_of_a_batch_fails_alone() {
    let shop = open(Takes::Placement, 0).await;
    let made = shop.post("/api/v1/products", scarf()).await;
    let answer = shop
        .post(
            "/api/v1/products/batch",
            json!({"items": [
                {"op": "create", "title": "Good", "variants": [{"sku": "G", "price": "1.00"}]},
                {"op": "create", "title": "Doubled", "variants": [{"sku": "D", "price": "1.00"}, {"sku": "SC-M", "price": "1.00"}]},
                {"op": "update", "id": made["id"], "titel": "x"},
                {"op": "update", "id": "p1", "title": "x"},
                {"op": "explode"},
                7,
                {"op": "delete", "id": made["id"]},
            ]}),
        )
        .await;
    let places: Vec<String> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|place| {
            format!(
                "{} {}",
                place["status"],
                place["error"]["code"].as_str().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            "201 -",
            "409 duplicate_sku",
            "422 unknown_field",
            "404 not_found",
            "422 invalid",
            "422 invalid",
            "204 -"
        ]
    );
    // Nothing of the doubled one stayed.
    assert_eq!(shop.all("/api/v1/products").await.0.len(), 1);
    assert!(
        shop.get("/api/v1/stock?sku=D").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let too_many = vec![json!({"op": "delete", "id": "p1"}); 101];
    assert_eq!(
        shop.refused("POST", "/api/v1/products/batch", json!({"items": too_many}))
            .await,
        (413, "too_large".into())
    );
}

#[tokio::test]
async fn a_tree_is_made_moved_and_kept_whole() {
    let shop = open(Takes::Placement, 0).await;
    let mut parent = Value::Null;
    let mut made = Vec::new();
    for name in ["Home", "Kitchen", "Cups", "Large"] {
        let category = shop
            .post(
                "/api/v1/categories",
                json!({"name": name, "parent_id": parent}),
            )
            .await;
        parent = category["id"].clone();
        made.push(category["id"].as_str().unwrap().to_string());
    }
    let path = |at: usize| format!("/api/v1/categories/{}", made[at]);
    assert_eq!(
        shop.refused("PATCH", &path(0), json!({"parent_id": made[3]}))
            .await,
        (422, "invalid".into())
    );
    assert_eq!(
        shop.refused("PATCH", &path(0), json!({"parent_id": "c1"}))
            .await,
        (422, "unknown_reference".into())
    );
    assert_eq!(
        shop.refused("DELETE", &path(1), Value::Null).await,
        (409, "in_use".into())
    );
    let moved = shop
        .patch(
            &path(2),
            json!({"parent_id": null, "name": "Cups and mugs"}),
        )
        .await;
    assert_eq!(
        (&moved["parent_id"], &moved["rev"]),
        (&Value::Null, &json!(2))
    );
    let product = shop
        .post(
            "/api/v1/products",
            json!({"title": "Cup", "category_ids": [made[3], made[0]]}),
        )
        .await;
    assert_eq!(product["category_ids"], json!([made[3], made[0]]));
    assert_eq!(shop.call("DELETE", &path(3), Value::Null).await.0, 204);
    let product = shop
        .get(&format!(
            "/api/v1/products/{}",
            product["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(
        (&product["category_ids"], &product["rev"]),
        (&json!([made[0]]), &json!(2))
    );
}

async fn upload(
    shop: &Open,
    product: &str,
    query: &str,
    content_type: &str,
    bytes: &'static [u8],
) -> (u16, Value) {
    let answer = shop
        .client
        .post(shop.url(&format!("/api/v1/products/{product}/pictures{query}")))
        .bearer_auth(TOKEN)
        .header("content-type", content_type)
        .body(bytes)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_picture_is_kept_once_and_stands_where_it_is_put() {
    let shop = open(Takes::Placement, 0).await;
    let made = shop.post("/api/v1/products", scarf()).await;
    let id = made["id"].as_str().unwrap();
    let (status, first) = upload(&shop, id, "?alt=Front", "image/png", b"first").await;
    assert_eq!((status, &first["position"]), (201, &json!(0)));
    let (status, again) = upload(&shop, id, "", "image/png", b"first").await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    let (_, second) = upload(&shop, id, "?position=0", "image/webp", b"second").await;
    let product = shop.get(&format!("/api/v1/products/{id}")).await;
    let order: Vec<&Value> = product["pictures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|picture| &picture["id"])
        .collect();
    assert_eq!(order, [&second["id"], &first["id"]]);
    assert_eq!(product["rev"], 3);
    let bytes = shop
        .client
        .get(first["url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(bytes.headers()["content-type"], "image/png");
    assert_eq!(bytes.bytes().await.unwrap(), &b"first"[..]);
    assert_eq!(upload(&shop, id, "", "text/html", b"<b>").await.0, 415);
    assert_eq!(upload(&shop, "p1", "", "image/png", b"x").await.0, 404);
    let path = format!(
        "/api/v1/products/{id}/pictures/{}",
        first["id"].as_str().unwrap()
    );
    assert_eq!(
        shop.patch(&path, json!({"alt": "Back"})).await["alt"],
        "Back"
    );
    assert_eq!(shop.call("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(
        shop.client
            .get(first["url"].as_str().unwrap())
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
}

#[tokio::test]
async fn bodies_that_are_wrong_say_how() {
    let shop = open(Takes::Placement, 0).await;
    for (body, status, code, field) in [
        (
            json!({"title": "A", "colour": "red"}),
            422,
            "unknown_field",
            json!("colour"),
        ),
        (json!({"title": 7}), 422, "invalid", json!("body")),
        (json!({}), 422, "invalid", json!("title")),
        (
            json!({"title": "A", "variants": [{"sku": "A", "price": 7.2}]}),
            422,
            "invalid",
            json!("body"),
        ),
        (
            json!({"title": "A", "description": "x".repeat(70_000)}),
            422,
            "invalid",
            json!("description"),
        ),
    ] {
        let (got, problem) = shop.call("POST", "/api/v1/products", body).await;
        assert_eq!(
            (got, &problem["code"], &problem["field"]),
            (status, &json!(code), &field)
        );
    }
    let raw = shop
        .request("POST", "/api/v1/products")
        .body("{\"title\":")
        .send()
        .await
        .unwrap();
    assert_eq!(raw.status(), 400);
    let large = shop
        .request("POST", "/api/v1/products")
        .body(vec![b' '; 3 * 1024 * 1024])
        .send()
        .await
        .unwrap();
    assert_eq!(large.status(), 413);
}
