//! `lockstep demo`, as a newcomer uses it: buy in one shop, see the stock fall in the others and the order arrive in
//! the ERP.

use crate::world::{Books, People, Process, ShopClient, eventually, holds_for, in_step, seconds};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

/// A newcomer does not wait longer than this.
const CROSSES_WITHIN: Duration = Duration::from_secs(2);

pub struct Demo {
    // It ends before its folder goes away.
    _process: Process,
    pub said: Value,
    pub people: People,
    pub customer: u64,
    pub shops: [ShopClient; 3],
    _folder: TempDir,
}

impl Demo {
    pub async fn start() -> Demo {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (process, said) = start_in(&folder).await;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let shop = |at: usize| {
            let shop = &said["shops"][at];
            ShopClient::new(
                &text(&shop["name"]),
                &text(&shop["url"]),
                &text(&shop["api_token"]),
            )
        };
        Demo {
            people: People::new(&text(&said["console_url"]), &text(&said["api_token"])),
            customer: said["customer_id"].as_u64().expect("a customer"),
            shops: [shop(0), shop(1), shop(2)],
            _process: process,
            _folder: folder,
            said,
        }
    }

    /// The numbers left of a SKU are these, in all three shops; how long it took.
    pub async fn until_all_show(&self, sku: &str, units: i64, within: Duration) -> Duration {
        let what = format!("{sku} is at {units} in every shop");
        let (_, took) = eventually(&what, within, async || {
            let mut found = Vec::new();
            for shop in &self.shops {
                found.push(shop.available(sku).await);
            }
            if found.iter().all(|there| *there == units) {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        took
    }

    pub async fn until_orders_crossed(
        &self,
        books: &Books,
        orders: usize,
        within: Duration,
    ) -> Duration {
        let [erp, web @ ..] = &self.shops;
        let (_, took) = eventually("each order is in the ERP once", within, async || {
            books.orders_crossed_once(erp, web, orders).await
        })
        .await;
        took
    }
}

async fn start_in(folder: &TempDir) -> (Process, Value) {
    let mut command = crate::world::command();
    command
        .args(["--json", "demo", "--data"])
        .arg(folder.path().join("demo"));
    let mut process = Process::start("demo", folder.path(), command);
    let said = process
        .json_line("that it is ready", seconds(60), |line| {
            line["console_url"].is_string()
        })
        .await;
    (process, said)
}

/// A SKU with ten units that one can buy.
pub async fn first_sku(shop: &ShopClient) -> String {
    let levels = shop.levels().await;
    let found = levels.iter().find(|(_, units)| **units == 10);
    found.expect("a SKU with ten units").0.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_in_one_shop_lowers_the_others_and_arrives_in_the_erp() {
    let demo = Demo::start().await;
    let [erp, web1, web2] = &demo.shops;
    for (at, role) in ["erp", "shop", "shop"].into_iter().enumerate() {
        assert_eq!(demo.said["shops"][at]["role"], role);
        assert!(demo.said["shops"][at]["storefront_url"].is_string());
    }
    assert!(demo.said["user"].is_string() && demo.said["password"].is_string());
    in_step(&demo.shops)
        .await
        .expect("the demo is in step when it says that it is ready");
    let books = Books::open(erp).await;
    let sku = first_sku(erp).await;
    erp.forget_requests().await;

    // Unpaid at first: web shop 1 takes at payment, so nothing has moved anywhere.
    let first = web1.buy(&sku, 1, false).await;
    let second = web2.buy(&sku, 1, true).await;
    let took = demo.until_all_show(&sku, 9, CROSSES_WITHIN).await;
    println!("web shop 2 reserves → all at 9: {} ms", took.as_millis());
    web1.pay(&first).await;
    let took = demo.until_all_show(&sku, 8, CROSSES_WITHIN).await;
    println!("web shop 1 paid → all at 8: {} ms", took.as_millis());
    let took = demo.until_orders_crossed(&books, 2, CROSSES_WITHIN).await;
    println!(
        "… and both orders are in the ERP: {} ms later",
        took.as_millis()
    );

    // Shipping is not a sale.
    web1.ship(&first).await;
    eventually(
        "the copy in the ERP is shipped",
        CROSSES_WITHIN,
        async || {
            let copies = erp.orders().await;
            let shipped = copies
                .iter()
                .filter(|copy| copy["fulfilment"] == "shipped")
                .count();
            if shipped == 1 {
                Ok(())
            } else {
                Err(format!("{shipped} are"))
            }
        },
    )
    .await;
    demo.until_all_show(&sku, 8, CROSSES_WITHIN).await;
    web2.cancel(&second).await;
    let took = demo.until_all_show(&sku, 9, CROSSES_WITHIN).await;
    println!("web shop 2 cancelled → all at 9: {} ms", took.as_millis());

    holds_for(
        "units seeded − bought = level in every shop",
        seconds(5),
        async || books.check(&demo.shops).await,
    )
    .await;
    books
        .orders_crossed_once(erp, &[web1.clone(), web2.clone()], 2)
        .await
        .expect("exactly once");
    assert_eq!(erp.stock_writes().await, 0, "{:?}", erp.requests().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_hooks_blocked_nothing_is_lost_only_later() {
    let demo = Demo::start().await;
    let [erp, web1, web2] = &demo.shops;
    let books = Books::open(erp).await;
    let sku = first_sku(erp).await;
    erp.forget_requests().await;
    for shop in &demo.shops {
        shop.set_faults(json!([{ "kind": "BlockHooks", "drop": true }]))
            .await;
    }
    web1.buy(&sku, 1, true).await;
    web2.buy(&sku, 2, true).await;
    // Nobody told us; the person looks now.
    let customer = demo.customer.to_string();
    demo.people.types(&["--json", "sync", &customer]).await;
    let took = demo.until_all_show(&sku, 7, CROSSES_WITHIN).await;
    println!(
        "after the sync, without hooks → all at 7: {} ms",
        took.as_millis()
    );
    demo.until_orders_crossed(&books, 2, CROSSES_WITHIN).await;
    for shop in &demo.shops {
        shop.clear_faults().await;
    }
    holds_for(
        "units seeded − bought = level in every shop",
        seconds(5),
        async || books.check(&demo.shops).await,
    )
    .await;
    assert_eq!(erp.stock_writes().await, 0, "{:?}", erp.requests().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x7_a_folder_whose_shops_wait_for_an_answer_is_opened_all_the_same() {
    let Demo {
        people,
        customer,
        shops: [erp, ..],
        said,
        _process: process,
        _folder: folder,
    } = Demo::start().await;
    assert!(said["waits"].is_null(), "{said}");
    let customer = customer.to_string();
    // As many at once as nobody sells: a person is asked, and the web shops stay as they are.
    for sku in erp.levels().await.into_keys() {
        erp.put(&format!("/api/v1/stock/{sku}"), json!({ "on_hand": 0 }))
            .await;
    }
    eventually("a person is asked", seconds(30), async || {
        let asked = people.types(&["--json", "conflicts", &customer]).await;
        match asked.json().as_array().map(Vec::len) {
            Some(0) | None => Err(format!("{asked:?}")),
            Some(_) => Ok(()),
        }
    })
    .await;
    // What waits is said by every command that ends with it.
    let synced = people.types(&["sync", &customer]).await;
    assert_eq!(synced.code, 3, "{synced:?}");
    assert!(synced.out.contains("1 question"), "{synced:?}");
    let plan = people.types(&["--json", "plan", &customer]).await;
    assert_eq!(plan.code, 3, "{plan:?}");
    assert_eq!(plan.json()["totals"]["questions"], 1, "{plan:?}");
    drop(process);
    let (_again, said) = start_in(&folder).await;
    let waits = said["waits"].as_str().unwrap_or_default();
    assert!(waits.contains("1 question"), "{said}");
}
