//! Orders that wait for a person: shown by what they wait for, let go by one decision, each made once.

use crate::world::{Bought, Scene, ShopPlan, Typed, eventually, seconds};
use serde_json::{Value, json};

/// The settings do not say what the web shops call a bank transfer.
async fn without_bank_transfers() -> (Scene, String) {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene
        .edit(|settings| {
            let rows = settings["paymentMethodServiceIdentifiers"].as_array_mut();
            rows.expect("identifiers")
                .retain(|row| row["identifier"] != "bank" || row["serviceId"] == 1);
        })
        .await;
    (scene, sku)
}

async fn buy(scene: &Scene, sku: &str, method: &str) -> Bought {
    let basket = json!({
        "lines": [{ "sku": sku, "quantity": 1 }],
        "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
        "pay": true,
        "payment_method": method,
    });
    scene.web1.check_out(basket).await
}

async fn held(scene: &Scene) -> Typed {
    scene
        .coordinator
        .people
        .types(&["--json", "orders", &scene.id(), "--held"])
        .await
}

async fn until_held(scene: &Scene, count: u64) -> Value {
    let what = format!("{count} orders are held");
    let (view, _) = eventually(&what, seconds(30), async || {
        let typed = held(scene).await;
        let view = typed.json();
        match view["groups"][0]["count"].as_u64() {
            Some(there) if there == count => Ok(view),
            _ => Err(format!("{typed:?}")),
        }
    })
    .await;
    view
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_decision_lets_all_orders_go_that_wait_for_the_same_and_each_is_made_once() {
    let (scene, sku) = without_bank_transfers().await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(buy(&scene, &sku, "bank").await);
    }
    let known = buy(&scene, &sku, "card").await;
    let view = until_held(&scene, 3).await;
    let title = view["groups"][0]["title"].as_str().expect("a title");
    assert_eq!(
        title,
        "3 orders of Web shop 1 wait for the payment method \"Bank transfer (bank)\""
    );
    assert_eq!(view["groups"][0]["unmapped"]["into_name"], "ERP", "{view}");
    // The start page says it, and the others go on.
    let people = &scene.coordinator.people;
    eventually("the start page says it", seconds(20), async || {
        let overview = people.get("/api/v1/overview").await;
        let needs = overview["needs_person"].to_string();
        match needs.contains("3 orders of Web shop 1 wait") {
            true => Ok(()),
            false => Err(needs),
        }
    })
    .await;
    eventually("the other order crosses", seconds(30), async || {
        scene.erp.copy_of(&known).await.ok_or("not yet".to_owned())
    })
    .await;
    assert_eq!(scene.erp.orders().await.len(), 1);

    let id = scene.id();
    let of = ["--payment-method", "bank", "--of", "Web shop 1"];
    let map = |to: &'static str| [&["map", &id][..], &of[..], &["--to", to][..]].concat();
    let wrong = people.types(&map("cheque")).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.err.contains("invoice"),
        "it names those that are there: {wrong:?}"
    );
    people.does(&map("bank")).await;
    for order in &waiting {
        let (copy, _) = eventually("a released order crosses", seconds(30), async || {
            scene.erp.copy_of(order).await.ok_or("not yet".to_owned())
        })
        .await;
        assert_eq!(copy["payment_method"], "bank", "{copy}");
    }
    let books = scene.books().await;
    books
        .orders_crossed_once(&scene.erp, &scene.web_shops(), 4)
        .await
        .expect("exactly once");
    let (left, _) = eventually("nothing is held any more", seconds(20), async || {
        let typed = held(&scene).await;
        match typed.code {
            0 => Ok(typed.json()),
            _ => Err(format!("{typed:?}")),
        }
    })
    .await;
    assert_eq!(left["groups"], json!([]));
    // Said once is enough, and another word for it is an edit, not a hole to fill.
    people.does(&map("bank")).await;
    let other = people.types(&map("invoice")).await;
    assert_eq!(other.code, 1, "{other:?}");
    assert!(
        other.err.contains("is called bank there already"),
        "{other:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_the_terminal_says_that_orders_are_held_and_lists_them_by_name() {
    let (scene, sku) = without_bank_transfers().await;
    let order = buy(&scene, &sku, "bank").await;
    until_held(&scene, 1).await;
    let (people, id) = (&scene.coordinator.people, scene.id());
    let (waits, _) = eventually("it is said what waits", seconds(20), async || {
        let typed = people.types(&["conflicts", &id]).await;
        match typed.out.contains("1 order held") {
            true => Ok(typed),
            false => Err(format!("{typed:?}")),
        }
    })
    .await;
    assert_eq!(waits.code, 3, "{waits:?}");
    assert!(waits.out.contains("No question is open"), "{waits:?}");
    assert!(!waits.out.contains("Nothing waits"), "{waits:?}");
    let list = format!("lockstep orders {id} --held");
    assert!(waits.out.contains(&list), "what shows them: {waits:?}");
    let listed = people.types(&["orders", &id, "--held"]).await;
    assert_eq!(listed.code, 3, "{listed:?}");
    for words in ["Web shop 1", "Bank transfer", order.number.as_str()] {
        assert!(listed.out.contains(words), "{words}: {listed:?}");
    }
}

/// Two orders with a tax rate, two with a payment term and one to a country that the ERP does not know.
async fn in_words_of_its_own(scene: &Scene, sku: &str) -> [Vec<Bought>; 3] {
    let buyer = json!({ "name": "Aino Virta", "email": "aino@example.com" });
    let mut at_an_old_rate = Vec::new();
    for till in ["till-1", "till-2"] {
        let order = json!({
            "external_key": till, "payment": "paid", "payment_method": "card", "buyer": buyer,
            "lines": [{ "sku": sku, "quantity": 1, "unit_price": "12.40", "tax_rate": "24" }],
        });
        let made = scene.web1.post("/api/v1/orders", order).await;
        at_an_old_rate.push(Bought {
            id: made["id"].as_str().expect("an id").to_owned(),
            number: made["number"].as_str().expect("a number").to_owned(),
        });
    }
    let mut on_account = Vec::new();
    for _ in 0..2 {
        let basket = json!({
            "lines": [{ "sku": sku, "quantity": 1 }], "buyer": buyer, "pay": false, "payment_method": "invoice",
        });
        on_account.push(scene.web1.check_out(basket).await);
    }
    let address = json!({
        "name": "Aino Virta", "street": "Torggatan 1", "postal_code": "22100", "city": "Mariehamn", "country": "AX",
    });
    let basket = json!({
        "lines": [{ "sku": sku, "quantity": 1 }], "buyer": buyer, "pay": true, "payment_method": "card",
        "shipping": address,
    });
    let to_aland = scene.web1.check_out(basket).await;
    [at_an_old_rate, on_account, vec![to_aland]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_a_term_and_a_country_that_the_receiver_lacks_are_mapped_by_one_decision_each() {
    let plan = ShopPlan {
        countries: &["FI", "SE"],
        ..ShopPlan::default()
    };
    let scene = Scene::set_in_step(plan).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene
        .edit(|settings| {
            let gate = json!({ "paymentMethod": "invoice", "states": ["accepted"] });
            settings["policies"]["orders"]["gates"] = json!([gate]);
            let rows = settings["paymentTermServiceIdentifiers"].as_array_mut();
            rows.expect("identifiers")
                .retain(|row| row["identifier"] != "net14" || row["serviceId"] == 1);
        })
        .await;
    let orders = in_words_of_its_own(&scene, &sku).await;
    let wanted = [
        (
            "2 orders of Web shop 1 wait for a tax rate of 24 %",
            "tax_rate",
            "24",
        ),
        (
            "2 orders of Web shop 1 wait for the payment term \"14 days net (net14)\"",
            "payment_term",
            "net14",
        ),
        (
            "1 order of Web shop 1 waits for the country AX",
            "country",
            "AX",
        ),
    ];
    let (view, _) = eventually("all five are held", seconds(60), async || {
        let view = held(&scene).await.json();
        let groups = view["groups"].as_array().cloned().unwrap_or_default();
        let is_held = |title: &str| groups.iter().any(|group| group["title"] == title);
        match wanted.iter().all(|(title, ..)| is_held(title)) {
            true => Ok(view),
            false => Err(view.to_string()),
        }
    })
    .await;
    for (title, what, id) in wanted {
        let groups = view["groups"].as_array().expect("groups");
        let group = groups.iter().find(|group| group["title"] == title);
        let unmapped = &group.expect("a group")["unmapped"];
        assert_eq!(unmapped["method"], what, "{view}");
        assert_eq!(unmapped["from"]["id"], id, "{view}");
    }
    assert_eq!(scene.erp.orders().await.len(), 0);
    // The console offers what the ERP has.
    let people = &scene.coordinator.people;
    let id = scene.id();
    let page = people
        .page(&format!("/customers/{id}/orders?state=held"))
        .await;
    for choice in ["value=\"25.5\"", "value=\"net30\"", "value=\"SE\""] {
        assert!(page.contains(choice), "{choice}: {page}");
    }

    let map = |option: &'static str, from: &'static str, to: &'static str| {
        ["map", &id, option, from, "--of", "Web shop 1", "--to", to].map(str::to_owned)
    };
    let words = [
        (
            map("--tax-rate", "24", "12"),
            map("--tax-rate", "24", "25.5"),
        ),
        (
            map("--payment-term", "net14", "net7"),
            map("--payment-term", "net14", "net30"),
        ),
        (map("--country", "AX", "NO"), map("--country", "AX", "FI")),
    ];
    for (wrong, right) in &words {
        let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
        let typed = people.types(&wrong).await;
        assert_eq!(typed.code, 2, "{typed:?}");
        assert!(
            typed.err.contains("it has"),
            "it names those that are there: {typed:?}"
        );
        let right: Vec<&str> = right.iter().map(String::as_str).collect();
        people.does(&right).await;
        // Said once is enough.
        people.does(&right).await;
    }
    let [at_an_old_rate, on_account, to_aland] = &orders;
    let copy = async |order: &Bought| {
        let crossed = eventually("a released order crosses", seconds(60), async || {
            scene.erp.copy_of(order).await.ok_or("not yet".to_owned())
        });
        crossed.await.0
    };
    for order in at_an_old_rate {
        let copy = copy(order).await;
        let line = &copy["lines"][0];
        assert_eq!(
            (&line["tax_rate"], &line["tax"]),
            (&json!("25.5"), &json!("2.40")),
            "{copy}"
        );
        assert_eq!(
            (&line["net"], &copy["total"]),
            (&json!("10.00"), &json!("12.40")),
            "{copy}"
        );
    }
    for order in on_account {
        let copy = copy(order).await;
        assert_eq!(copy["payment_term"], "net30", "{copy}");
    }
    let there = copy(&to_aland[0]).await;
    assert_eq!(there["shipping"]["country"], "FI", "{there}");
    assert_eq!(there["shipping"]["city"], "Mariehamn", "{there}");
    scene.until_at_rest().await;
    assert_eq!(scene.erp.orders().await.len(), 5, "each is made once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_fit_an_order_changes_nothing() {
    let (scene, sku) = without_bank_transfers().await;
    let order = buy(&scene, &sku, "bank").await;
    until_held(&scene, 1).await;
    let people = &scene.coordinator.people;
    let id = scene.id();
    for word in [&["--not-there"][..], &["--there", "4711"][..]] {
        let arguments = [&["answer", &id, &order.number][..], word].concat();
        let refused = people.types(&arguments).await;
        assert_eq!(refused.code, 1, "{refused:?}");
    }
    // To try again what nobody has mended is harmless.
    people
        .does(&["answer", &scene.id(), &order.number, "--again"])
        .await;
    scene.sync().await;
    until_held(&scene, 1).await;
    assert_eq!(scene.erp.orders().await.len(), 0);
}
