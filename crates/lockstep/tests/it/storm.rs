//! Everything at once: a worker that is killed every few seconds while buyers buy, pay and cancel, hooks that come twice,
//! replies that are lost, writes that are applied late, a coordinator that is away, and journals that are lost with
//! their disk. What the shops hold in the end is all that counts.
//!
//! 150 orders by default, with a lost reply in 10 writes; with `LOCKSTEP_TEST_LONG=1` 2,000, a minute without the
//! coordinator, and a lost reply in 50 writes.

use crate::world::{Books, Scene, ShopClient, ShopPlan, Worker, eventually, holds_for, seconds};
use serde_json::json;
use std::time::{Duration, Instant};

struct Plan {
    orders: usize,
    coordinator_away: Duration,
    kill_every: Duration,
    /// Of so many writes one is done and its answer lost; of twice as many, one is done later.
    lost_every: u64,
}

impl Plan {
    fn given() -> Plan {
        if std::env::var("LOCKSTEP_TEST_LONG").is_ok_and(|value| value == "1") {
            Plan {
                orders: 2_000,
                coordinator_away: seconds(60),
                kill_every: seconds(5),
                lost_every: 50,
            }
        } else {
            Plan {
                orders: 150,
                coordinator_away: seconds(5),
                kill_every: seconds(4),
                lost_every: 10,
            }
        }
    }
}

/// Some of our writes are done without an answer, some are done later, and every hook comes twice.
async fn set_faults(scene: &Scene, plan: &Plan) {
    for (shop, prefix) in [
        (scene.erp.client(), "/api/v1"),
        (scene.web1.client(), "/api/v1/stock"),
        (scene.web2.client(), "/api/v1/stock"),
    ] {
        shop.set_faults(json!([
            { "kind": "FailAfterWrite", "path_prefix": prefix, "every": plan.lost_every },
            { "kind": "ApplyLate", "ms": 800, "path_prefix": prefix, "every": 2 * plan.lost_every },
            { "kind": "DuplicateHooks" },
        ]))
        .await;
    }
}

/// One order: paid at once or a moment later, and now and then cancelled.
async fn buy(shop: &ShopClient, sku: &str, nth: usize) {
    let order = shop.buy(sku, 1, !nth.is_multiple_of(5)).await;
    if nth.is_multiple_of(5) {
        shop.pay(&order).await;
    }
    if nth.is_multiple_of(11) {
        // It may have crossed or not: both are right, and the unit is free again.
        shop.cancel(&order).await;
    }
}

/// Orders that must stand in the ERP: those that were paid and not cancelled.
async fn must_cross(shops: &[ShopClient]) -> usize {
    let mut count = 0;
    for shop in shops {
        let orders = shop.orders().await;
        count += orders
            .iter()
            .filter(|order| {
                order["external_key"].is_null()
                    && order["payment"] == "paid"
                    && order["cancelled"] != true
            })
            .count();
    }
    count
}

/// Each that must cross stands in the ERP once, and none that stands there stands twice.
async fn crossed(scene: &Scene) -> Result<usize, String> {
    let wanted = must_cross(&scene.web_shops()).await;
    let copies = scene.erp.orders().await;
    let mut keys: Vec<&str> = copies
        .iter()
        .filter_map(|copy| copy["external_key"].as_str())
        .collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{} is in the ERP twice", twice[0]));
    }
    let there = copies
        .iter()
        .filter(|copy| copy["cancelled"] != true)
        .count();
    if there == wanted {
        Ok(wanted)
    } else {
        Err(format!("{there} of {wanted} orders in the ERP"))
    }
}

struct Storm {
    kills: u32,
    last: Instant,
}

impl Storm {
    fn strike(&mut self, worker: &mut Worker, every: Duration) {
        if self.last.elapsed() >= every {
            worker.start_again(None);
            self.kills += 1;
            self.last = Instant::now();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_in_a_storm() {
    let plan = Plan::given();
    let mut scene = Scene::set_in_step(ShopPlan {
        products: 20,
        units: 1_000,
        ..ShopPlan::default()
    })
    .await;
    let books = Books::open(&scene.erp).await;
    let skus: Vec<String> = scene.erp.levels().await.into_keys().collect();
    let web = scene.web_shops();
    set_faults(&scene, &plan).await;
    let begun = Instant::now();
    let mut storm = Storm {
        kills: 0,
        last: Instant::now(),
    };
    let mut away_until = None;
    for nth in 0..plan.orders {
        buy(&web[nth % 2], &skus[nth % skus.len()], nth).await;
        storm.strike(&mut scene.worker, plan.kill_every);
        if nth == plan.orders / 3 {
            scene.coordinator.process.kill();
            away_until = Some(Instant::now() + plan.coordinator_away);
        }
        if nth == plan.orders * 2 / 3 {
            scene.worker.lose_its_journals();
            scene.worker.start_again(None);
            storm.kills += 1;
        }
        if away_until.is_some_and(|until| until <= Instant::now()) {
            scene.coordinator.start_again().await;
            away_until = None;
        }
        // Buyers take their time, so that the storm has some.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if let Some(until) = away_until {
        tokio::time::sleep_until(until.into()).await;
        scene.coordinator.start_again().await;
    }
    let bought_in = begun.elapsed();
    // The worker goes on being killed until all has crossed.
    let (crossed_orders, took) =
        eventually("every order is in the ERP once", seconds(420), async || {
            storm.strike(&mut scene.worker, plan.kill_every);
            crossed(&scene).await
        })
        .await;
    let (mut lost, mut late) = (0, 0);
    for shop in scene.shops() {
        let faults = shop.faults().await;
        let hits = |at: usize| faults["faults"][at]["hits"].as_u64().unwrap_or_default();
        lost += hits(0);
        late += hits(1);
        shop.clear_faults().await;
    }
    assert!(
        lost > 0 && late > 0,
        "no fault struck: {lost} lost, {late} late"
    );
    let shops = scene.shops();
    eventually(
        "units are conserved in every shop",
        seconds(180),
        async || books.check(&shops).await,
    )
    .await;
    holds_for("and it stays so", seconds(5), async || {
        crossed(&scene).await?;
        books.check(&shops).await
    })
    .await;
    println!(
        "{} orders in {} s, {} of them to cross; {} kills, {lost} replies lost, {late} writes late; all crossed {} s after the last: 0 lost, 0 doubled, no step by \
         hand, units conserved",
        plan.orders,
        bought_in.as_secs(),
        crossed_orders,
        storm.kills,
        took.as_secs()
    );
    let asked = scene
        .coordinator
        .people
        .types(&["--json", "conflicts", &scene.id()])
        .await;
    assert_eq!(asked.json(), json!([]), "nobody has to decide anything");
}
