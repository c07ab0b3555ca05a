//! A shop with a catalogue of its own is connected: it is read and matched, a person answers what is in doubt and
//! accepts, and only then it is written to.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const GTIN: &str = "6417700050008";

async fn add(shop: &ShopClient, title: &str, variants: &[(&str, Option<&str>)]) {
    let variants = variants.iter().map(|(sku, gtin)| {
        json!({ "sku": sku, "gtin": gtin, "price": "5.00", "options": { "Size": sku } })
    });
    let product = json!({
        "title": title, "status": "active", "options": ["Size"],
        "variants": variants.collect::<Vec<_>>(),
    });
    shop.post("/api/v1/products", product).await;
}

/// Title → its SKUs.
async fn catalogue(shop: &ShopClient) -> BTreeMap<String, Vec<String>> {
    let products = shop.products().await.into_iter().map(|product| {
        let variants = product["variants"].as_array().expect("variants").iter();
        let skus = variants.map(|variant| variant["sku"].as_str().expect("a SKU").to_owned());
        (
            product["title"].as_str().expect("a title").to_owned(),
            skus.collect(),
        )
    });
    products.collect()
}

/// Four products in the ERP; in web shop 1 two of them as one, and one under another SKU.
async fn strangers() -> Scene {
    let plan = ShopPlan {
        products: 0,
        enabled: false,
        ..ShopPlan::default()
    };
    let scene = Scene::set(plan).await;
    for (title, sku, gtin) in [
        ("Red", "M-1", None),
        ("Blue", "M-2", None),
        ("Green", "M-3", Some(GTIN)),
        ("White", "M-4", None),
    ] {
        add(&scene.erp, title, &[(sku, gtin)]).await;
    }
    add(&scene.web1, "Two in one", &[("M-1", None), ("M-2", None)]).await;
    add(&scene.web1, "Grün", &[("G-3", Some(GTIN))]).await;
    scene.web1.forget_requests().await;
    scene
        .edit(|settings| settings["customer"]["enableSyncing"] = json!(true))
        .await;
    scene
}

async fn questions(scene: &Scene, count: usize) -> Vec<Value> {
    let (list, _) = eventually("a person is asked", seconds(60), async || {
        let people = &scene.coordinator.people;
        let asked = people.types(&["--json", "conflicts", &scene.id()]).await;
        let list = asked.json().as_array().cloned().unwrap_or_default();
        if list.len() == count {
            Ok(list)
        } else {
            Err(format!("{list:?}"))
        }
    })
    .await;
    list
}

async fn accept(scene: &Scene, questions: &[Value]) {
    let meeting = questions
        .iter()
        .find(|question| question["choices"][0]["decision"]["decision"] == "accept")
        .expect("the question about the shop");
    let number = meeting["conflict"].to_string();
    let people = &scene.coordinator.people;
    people
        .does(&["decide", &scene.id(), &number, "--choice", "1"])
        .await;
}

async fn shows(shop: &ShopClient, want: &[(&str, &[&str])]) {
    let want: BTreeMap<String, Vec<String>> = want
        .iter()
        .map(|(title, skus)| {
            let skus = skus.iter().map(|sku| (*sku).to_owned());
            ((*title).to_owned(), skus.collect())
        })
        .collect();
    eventually(
        &format!("{} shows {want:?}", shop.name),
        seconds(60),
        async || {
            let there = catalogue(shop).await;
            if there == want {
                Ok(())
            } else {
                Err(format!("{there:?}"))
            }
        },
    )
    .await;
}

const ALL: [(&str, &[&str]); 4] = [
    ("Red", &["M-1"]),
    ("Blue", &["M-2"]),
    ("Green", &["M-3"]),
    ("White", &["M-4"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_shop_is_matched_and_not_written_to_before_a_person_has_answered_and_accepted() {
    let scene = strangers().await;
    let people = &scene.coordinator.people;
    // The empty one has everything at once.
    shows(&scene.web2, &ALL).await;
    let asked = questions(&scene, 3).await;
    scene.sync().await;
    scene.until_at_rest().await;
    assert_eq!(scene.web1.writes().await, BTreeMap::new());
    // What would be: White alone fits nothing there and is not in doubt.
    let plan = people.types(&["--json", "plan", &scene.id()]).await.json();
    let rows = plan["rows"].as_array().expect("rows").iter();
    let made: Vec<&Value> = rows
        .filter(|row| row["shop"] == 2 && row["sign"] == "create")
        .map(|row| &row["key"])
        .collect();
    assert_eq!(made, [&json!("M-4 White")], "{plan}");

    let table = people.types(&["matches", &scene.id()]).await;
    assert_eq!(table.code, 3, "{table:?}");
    let answered: Vec<String> = table
        .out
        .lines()
        .map(|line| {
            if line.contains("Two in one") {
                let blue = line.split('|').find(|part| part.contains("Blue"));
                let record = blue.and_then(|part| part.split(':').next()).expect("Blue");
                format!("{line}{}", record.trim())
            } else if line.contains(GTIN) {
                format!("{line}none")
            } else {
                line.to_owned()
            }
        })
        .collect();
    let file = scene.folder.path().join("matches.csv");
    std::fs::write(&file, answered.join("\n")).expect("the table");
    let file = file.to_string_lossy();
    let taken = people
        .does(&["--json", "matches", &scene.id(), "--answer", &file])
        .await;
    assert_eq!(
        taken.json(),
        json!({ "answered": 2, "left": 0, "refused": [] })
    );
    scene.until_at_rest().await;
    assert_eq!(
        scene.web1.writes().await,
        BTreeMap::new(),
        "not accepted yet"
    );

    accept(&scene, &asked).await;
    // Two in one is Blue by a person's word: Red is not made beside it, for its SKU is there.
    let want: [(&str, &[&str]); 4] = [
        ("Blue", &["M-1", "M-2"]),
        ("Green", &["M-3"]),
        ("Grün", &["G-3"]),
        ("White", &["M-4"]),
    ];
    shows(&scene.web1, &want).await;
    questions(&scene, 0).await;
    // The same answers once more: each is refused by its line, and nothing moves.
    let again = people
        .types(&["matches", &scene.id(), "--answer", &file])
        .await;
    assert_eq!(again.code, 3, "{again:?}");
    assert!(
        again
            .out
            .contains("line 2: the question is not open any more"),
        "{again:?}"
    );
    scene.until_at_rest().await;
    shows(&scene.web1, &want).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_doubt_is_linked_or_made_once_the_shop_has_put_it_right() {
    let scene = strangers().await;
    let asked = questions(&scene, 3).await;
    accept(&scene, &asked).await;
    // The shop parts them, and gives the other the SKU that it has everywhere.
    let both = scene.web1.product_with("M-1").await.expect("two in one");
    let id = both["id"].as_str().expect("an id");
    scene.web1.delete(&format!("/api/v1/products/{id}")).await;
    let green = scene.web1.product_with("G-3").await.expect("the green one");
    let (id, variant) = (&green["id"], &green["variants"][0]["id"]);
    let path = format!("/api/v1/products/{}", id.as_str().expect("an id"));
    scene
        .web1
        .patch(
            &path,
            json!({ "variants": [{ "id": variant, "sku": "M-3" }] }),
        )
        .await;
    shows(&scene.web1, &ALL).await;
    questions(&scene, 0).await;
    let linked = scene.web1.product_with("M-3").await.expect("the green one");
    assert_eq!(&linked["id"], id, "linked, not made anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_in_its_first_sync_does_not_take_what_it_made_for_the_shop_s_own() {
    let plan = ShopPlan {
        enabled: true,
        ..ShopPlan::default()
    };
    let mut scene = Scene::set_dying(plan, Some("after_send")).await;
    let status = scene.worker.process.until_it_ends(seconds(60)).await;
    assert!(!status.success());
    scene.worker.start_again(None);
    scene.until_in_step().await;
    questions(&scene, 0).await;
}
