//! A run is undone: what it wrote is put back where it still stands, what moved is named, and each field waits for a
//! person's word.

use crate::world::{Process, Scene, ShopClient, ShopPlan, eventually, seconds};
use reqwest::Method;
use serde_json::{Value, json};

async fn variant(shop: &ShopClient, sku: &str) -> (String, Value) {
    let product = shop.product_with(sku).await.expect("the product");
    let id = product["id"].as_str().expect("an id").to_owned();
    let variants = product["variants"].as_array().expect("variants");
    let variant = variants.iter().find(|variant| variant["sku"] == sku);
    (id, variant.expect("the variant").clone())
}

async fn price(shop: &ShopClient, sku: &str) -> String {
    let (_, variant) = variant(shop, sku).await;
    variant["price"].as_str().expect("a price").to_owned()
}

async fn set_price(shop: &ShopClient, sku: &str, price: &str) {
    let (product, variant) = variant(shop, sku).await;
    let change = json!({ "variants": [{ "id": variant["id"], "sku": sku, "price": price }] });
    shop.patch(&format!("/api/v1/products/{product}"), change)
        .await;
}

async fn until_price(shop: &ShopClient, sku: &str, wanted: &str) {
    let what = format!("{} says {wanted}", shop.name);
    eventually(&what, seconds(30), async || match price(shop, sku).await {
        there if there == wanted => Ok(()),
        there => Err(there),
    })
    .await;
}

/// The ERP's price has gone up, and a run has written it to both web shops.
struct Raised {
    scene: Scene,
    sku: String,
    old: String,
    new: String,
    /// As people name it.
    run: String,
}

async fn raised() -> Raised {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let old = price(&scene.erp, &sku).await;
    let number: f64 = old.parse().expect("a number");
    let new = format!("{:.2}", number * 1.1);
    let people = &scene.coordinator.people;
    let newest = |runs: &[Value]| runs.iter().filter_map(|run| run["run"].as_u64()).max();
    let before = newest(&people.runs(scene.customer).await);
    set_price(&scene.erp, &sku, &new).await;
    let (run, _) = eventually("a run has written it", seconds(30), async || {
        let runs = people.runs(scene.customer).await;
        let wrote = runs.iter().find(|run| {
            let is_new = run["run"].as_u64() > before && !run["finished_at"].is_null();
            is_new && run["lane"] == "catalogue" && run["counts"]["written"] == 2
        });
        wrote
            .map(|run| run["run"].clone())
            .ok_or_else(|| json!(runs).to_string())
    })
    .await;
    let run = format!("{}-{run}", scene.customer);
    for shop in scene.web_shops() {
        until_price(&shop, &sku, &new).await;
    }
    scene.until_at_rest().await;
    Raised {
        scene,
        sku,
        old,
        new,
        run,
    }
}

impl Raised {
    async fn undo(&self, more: &[&str]) -> Value {
        let asked = ["--json", "undo", self.run.as_str()];
        let asked: Vec<&str> = asked.iter().chain(more).copied().collect();
        let typed = self.scene.coordinator.people.types(&asked).await;
        assert!([0, 1, 3].contains(&typed.code), "{typed:?}");
        typed.json()
    }

    async fn questions(&self) -> Vec<Value> {
        let people = &self.scene.coordinator.people;
        let typed = people
            .types(&["--json", "conflicts", &self.scene.id()])
            .await;
        typed.json().as_array().expect("a list").clone()
    }

    async fn until_questions(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} questions are open");
        let (asked, _) = eventually(&what, seconds(30), async || {
            let asked = self.questions().await;
            match asked.len() {
                there if there == count => Ok(asked),
                _ => Err(json!(asked).to_string()),
            }
        })
        .await;
        asked
    }

    async fn answer(&self, question: &Value, words: &str) {
        let choices = question["choices"].as_array().expect("choices");
        let place = choices.iter().position(|choice| {
            let label = choice["label"].as_str();
            label.is_some_and(|label| label.contains(words))
        });
        let choice = (place.expect("that answer") + 1).to_string();
        let (id, number) = (self.scene.id(), question["conflict"].to_string());
        let people = &self.scene.coordinator.people;
        people
            .does(&["decide", &id, &number, "--choice", &choice])
            .await;
    }
}

/// The question about the price at this shop.
fn about<'a>(questions: &'a [Value], shop: &str) -> &'a Value {
    let mut questions = questions.iter();
    let found = questions.find(|question| {
        let title = question["title"].as_str();
        title.is_some_and(|title| title.ends_with(&format!("undone at {shop}")))
    });
    found.expect("a question about that shop")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undone_price_is_held_until_a_person_releases_it() {
    let undone = raised().await;
    let Raised {
        scene,
        sku,
        old,
        new,
        ..
    } = &undone;
    // It is shown first, and nothing is written.
    let shown = undone.undo(&["--dry-run"]).await;
    assert_eq!(shown["put_back"], 2, "{shown}");
    assert_eq!(price(&scene.web1, sku).await, *new);
    assert_eq!(undone.questions().await, [] as [Value; 0]);
    let run = undone.undo(&[]).await;
    assert_eq!(run["result"], "needs_person", "{run}");
    assert_eq!(run["counts"]["written"], 2, "{run}");
    for shop in scene.web_shops() {
        assert_eq!(price(&shop, sku).await, *old, "{}", shop.name);
    }
    assert_eq!(price(&scene.erp, sku).await, *new, "the source is left");
    let asked = undone.until_questions(2).await;
    let detail = about(&asked, "Web shop 1")["detail"].as_str();
    let detail = detail.expect("words");
    assert!(
        detail.contains("ERP says") && detail.contains("held at"),
        "{detail}"
    );
    // A run does not write it again, and undoing it twice does nothing and says so.
    scene.sync().await;
    scene.until_at_rest().await;
    let again = undone.undo(&[]).await;
    assert_eq!(again["counts"]["written"], 0, "{again}");
    let message = again["message"].as_str().expect("words");
    assert!(message.contains("Nothing to do"), "{again}");
    for shop in scene.web_shops() {
        assert_eq!(price(&shop, sku).await, *old, "{}", shop.name);
    }
    // One is released, the other stays.
    undone.answer(about(&asked, "Web shop 1"), "release").await;
    until_price(&scene.web1, sku, new).await;
    undone.until_questions(1).await;
    assert_eq!(price(&scene.web2, sku).await, *old);
    // What a later run wrote is not this run's any more.
    scene.until_at_rest().await;
    let shown = undone.undo(&["--dry-run"]).await;
    assert_eq!(shown["put_back"], 0, "{shown}");
    assert!(
        shown["rows"].to_string().contains("has written it since"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undone_price_that_is_restored_goes_to_its_source_and_to_every_shop() {
    let undone = raised().await;
    undone.undo(&[]).await;
    let asked = undone.until_questions(2).await;
    undone.answer(about(&asked, "Web shop 2"), "restore").await;
    until_price(&undone.scene.erp, &undone.sku, &undone.old).await;
    // By then the source says what both are held at.
    undone.until_questions(0).await;
    undone.scene.sync().await;
    for shop in undone.scene.shops() {
        assert_eq!(price(&shop, &undone.sku).await, undone.old, "{}", shop.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_moved_meanwhile_is_named_and_left() {
    let undone = raised().await;
    let Raised {
        scene, sku, old, ..
    } = &undone;
    // So far off that no run writes it over by itself.
    set_price(&scene.web2, sku, "0.50").await;
    scene.until_told(&["more than the limit"]).await;
    scene.until_at_rest().await;
    let run = undone.undo(&[]).await;
    let message = run["message"].as_str().expect("words");
    assert!(
        message.contains("at Web shop 2 (moved since"),
        "what was left is named: {run}"
    );
    assert_eq!(run["counts"]["written"], 1, "{run}");
    assert_eq!(price(&scene.web1, sku).await, *old);
    assert_eq!(price(&scene.web2, sku).await, "0.50");
    // The one about the undone price, and the one about what web shop 2 would be given.
    let asked = undone.until_questions(2).await;
    about(&asked, "Web shop 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e5_what_a_run_made_would_be_archived_and_orders_and_levels_are_named_and_never_undone() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene.web1.buy(&sku, 1, true).await;
    let people = &scene.coordinator.people;
    let wanted = [
        "\"back\":\"archived\"",
        "an order is never undone",
        "stock is never put back",
    ];
    eventually("all of it is named", seconds(60), async || {
        let mut named = String::new();
        for run in people.runs(scene.customer).await {
            if run["counts"]["written"].as_u64() == Some(0) || run["finished_at"].is_null() {
                continue;
            }
            let run = format!("{}-{}", scene.customer, run["run"]);
            let shown = people.does(&["--json", "undo", &run, "--dry-run"]).await;
            let shown = shown.json();
            named.push_str(&shown["rows"].to_string());
        }
        match wanted.iter().find(|words| !named.contains(*words)) {
            None => Ok(()),
            Some(missing) => Err(format!("{missing} is not in {named}")),
        }
    })
    .await;
    let nobody = format!("{}-999999", scene.customer);
    let refused = people.types(&["undo", &nobody]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("no run 999999"), "{refused:?}");
    let wrong = people.types(&["undo", "999999"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

async fn product_writes(shop: &ShopClient) -> u64 {
    let writes = shop.writes().await.into_iter();
    let products = writes.filter(|(call, _)| call.contains("/products"));
    products.map(|(_, count)| count).sum()
}

/// The worker dies in the middle of the undo, and is started again on its disk.
async fn dies(point: &str) {
    let mut undone = raised().await;
    undone.scene.worker.start_again(Some(point));
    let scene = &undone.scene;
    eventually("the worker is back", seconds(30), async || {
        let typed = scene
            .coordinator
            .people
            .types(&["--json", "undo", &undone.run, "--dry-run"])
            .await;
        match typed.code {
            0 => Ok(()),
            _ => Err(format!("{typed:?}")),
        }
    })
    .await;
    for shop in scene.web_shops() {
        shop.forget_requests().await;
    }
    // It ends with its worker: what is said of it comes later, or too late.
    let people = scene.coordinator.people.clone();
    let number = undone.run.rsplit('-').next().expect("a number");
    let path = format!("/api/v1/customers/{}/runs/{number}/undo", scene.customer);
    let asked = tokio::spawn(async move { people.call(Method::POST, &path, None).await });
    let status = undone.scene.worker.process.until_it_ends(seconds(45)).await;
    assert!(Process::aborted(status), "{status} and not at {point}");
    undone.scene.worker.start_again(None);
    let scene = &undone.scene;
    for shop in scene.web_shops() {
        until_price(&shop, &undone.sku, &undone.old).await;
    }
    undone.until_questions(2).await;
    scene.until_at_rest().await;
    scene.sync().await;
    for shop in scene.web_shops() {
        assert_eq!(price(&shop, &undone.sku).await, undone.old, "{}", shop.name);
        assert_eq!(product_writes(&shop).await, 1, "{}: once", shop.name);
    }
    asked.await.expect("it was answered");
    // For the rest, if there were any: there is none.
    let again = undone.undo(&[]).await;
    assert_eq!(again["counts"]["written"], 0, "{again}");
}

mod the_worker_dies {
    macro_rules! at {
        ($($point:ident)+) => {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $point() {
                    super::dies(stringify!($point)).await;
                }
            )+
        };
    }
    at! { after_intent after_acknowledgement after_send before_outcome }
}
