//! Everything at once: a worker that is killed every few seconds while buyers buy baskets of several lines, pay, cancel a
//! part or all and get money back, hooks that come twice, replies that are lost, writes that are applied late or refused, a
//! coordinator that is away, and journals that are lost with their disk. What the shops hold in the end is all that counts.
//!
//! 150 orders by default, with a lost reply and a refusal in 10 writes; with `LOCKSTEP_TEST_LONG=1` 2,000, a minute without
//! the coordinator, and a lost reply and a refusal in 50 writes.

use crate::world::{Books, Scene, ShopClient, ShopPlan, Worker, eventually, holds_for, seconds};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

struct Plan {
    orders: usize,
    coordinator_away: Duration,
    kill_every: Duration,
    /// Of so many writes one is done and its answer lost; of twice as many, one is done later.
    lost_every: u64,
    /// Of so many writes one is refused: as a fault of the shop, of the key, or for coming too fast.
    refused_every: u64,
}

impl Plan {
    fn given() -> Plan {
        if std::env::var("LOCKSTEP_TEST_LONG").is_ok_and(|value| value == "1") {
            Plan {
                orders: 2_000,
                coordinator_away: seconds(60),
                kill_every: seconds(5),
                lost_every: 50,
                refused_every: 50,
            }
        } else {
            Plan {
                orders: 150,
                coordinator_away: seconds(5),
                kill_every: seconds(4),
                lost_every: 10,
                refused_every: 10,
            }
        }
    }
}

/// Some of our writes are done without an answer, some are done later, some are refused, and every hook comes twice.
async fn set_faults(scene: &Scene, plan: &Plan) {
    for (shop, prefix) in [
        (scene.erp.client(), "/api/v1"),
        (scene.web1.client(), "/api/v1/stock"),
        (scene.web2.client(), "/api/v1/stock"),
    ] {
        let refused = |status: u16| {
            json!({
                "kind": "Reject", "status": status, "method": "POST", "path_prefix": prefix,
                "every": 3 * plan.refused_every,
            })
        };
        shop.set_faults(json!([
            { "kind": "FailAfterWrite", "path_prefix": prefix, "every": plan.lost_every },
            { "kind": "ApplyLate", "ms": 800, "path_prefix": prefix, "every": 2 * plan.lost_every },
            refused(503), refused(403), refused(429),
            { "kind": "DuplicateHooks" },
        ]))
        .await;
    }
}

/// What becomes of an order, by its number in the storm.
enum Fate {
    Kept,
    Cancelled,
    /// One unit of its first line, before or after it has crossed.
    PartCancelled,
    /// One unit of its first line with its money; put back.
    UnitRefunded,
    /// Money alone.
    MoneyRefunded,
}

impl Fate {
    fn of(nth: usize) -> Fate {
        match nth % 22 {
            0 | 11 => Fate::Cancelled,
            4 | 14 => Fate::PartCancelled,
            7 => Fate::UnitRefunded,
            9 | 18 => Fate::MoneyRefunded,
            _ => Fate::Kept,
        }
    }
}

/// Two of one SKU in two lines, three items, or one item twice: no line has so few units that a part of the order is all.
fn basket(skus: &[String], nth: usize) -> Value {
    let line = |at: usize, quantity: u32| json!({ "sku": skus[(nth + at) % skus.len()], "quantity": quantity });
    match nth % 4 {
        0 => json!([line(0, 2), line(0, 1)]),
        1 => json!([line(0, 2), line(1, 1), line(2, 1)]),
        _ => json!([line(0, 2)]),
    }
}

/// One order: paid at once or a moment later, and then whatever its fate is.
async fn buy(shop: &ShopClient, skus: &[String], nth: usize) {
    let pays_later = nth.is_multiple_of(5);
    let mut order = json!({
        "lines": basket(skus, nth),
        "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
        "pay": !pays_later,
    });
    if nth.is_multiple_of(3) {
        order["shipping_method"] = "post".into();
    }
    let order = shop.check_out(order).await;
    if pays_later {
        shop.pay(&order).await;
    }
    let part = json!([{ "id": "1", "quantity": 1 }]);
    let step = match Fate::of(nth) {
        Fate::Kept => return,
        // It may have crossed or not: both are right, and the unit is free again.
        Fate::Cancelled => return shop.cancel(&order).await,
        Fate::PartCancelled => ("cancel", json!({ "lines": part, "key": "part" })),
        Fate::UnitRefunded => (
            "refund",
            json!({ "lines": part, "restock": true, "key": "unit" }),
        ),
        Fate::MoneyRefunded => ("refund", json!({ "amount": "1.00", "key": "money" })),
    };
    let (step, body) = step;
    shop.post(&format!("/api/v1/orders/{}/{step}", order.id), body)
        .await;
}

/// Orders that must stand in the ERP: those that were paid and not cancelled.
async fn must_cross(shops: &[ShopClient]) -> Vec<Value> {
    let mut wanted = Vec::new();
    for shop in shops {
        let orders = shop.orders().await;
        wanted.extend(orders.into_iter().filter(|order| {
            order["external_key"].is_null()
                && ["paid", "partly_refunded"]
                    .map(Value::from)
                    .contains(&order["payment"])
                && order["cancelled"] != true
        }));
    }
    wanted
}

/// (SKU, units that the buyer gets) of each line that has any, in order.
fn lines_of(order: &Value) -> Vec<(String, i64)> {
    let lines = order["lines"].as_array().into_iter().flatten();
    let mut got: Vec<(String, i64)> = lines
        .map(|line| {
            let units = |key: &str| line[key].as_i64().expect("units");
            let sku = line["sku"].as_str().unwrap_or_default().to_owned();
            let got = units("quantity") - units("cancelled") - units("returned");
            (sku, got)
        })
        .filter(|(_, units)| *units != 0)
        .collect();
    got.sort();
    got
}

/// Each that must cross stands in the ERP once, with its lines and with the money that went back; none that stands there
/// stands twice.
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
    if there != wanted.len() {
        return Err(format!("{there} of {} orders in the ERP", wanted.len()));
    }
    for order in &wanted {
        let number = order["number"].as_str().expect("a number");
        let copy = copies.iter().find(|copy| {
            let reference = copy["reference"].as_str().unwrap_or_default();
            reference.ends_with(number)
        });
        let Some(copy) = copy else {
            return Err(format!("{number} is not in the ERP"));
        };
        if lines_of(order) != lines_of(copy) {
            return Err(format!(
                "{number} is {:?}, its copy {:?}",
                lines_of(order),
                lines_of(copy)
            ));
        }
        if order["refunded"] != copy["refunded"] {
            return Err(format!(
                "{} of {number} were refunded, {} of its copy",
                order["refunded"], copy["refunded"]
            ));
        }
        let is_whole = |order: &Value| {
            let lines = order["lines"].as_array().into_iter().flatten();
            lines
                .map(|line| &line["cancelled"])
                .all(|units| *units == 0)
        };
        if is_whole(order) && order["total"] != copy["total"] {
            return Err(format!(
                "{number} is of {}, its copy of {}",
                order["total"], copy["total"]
            ));
        }
    }
    Ok(wanted.len())
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
        buy(&web[nth % 2], &skus, nth).await;
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
    let (mut lost, mut late, mut refused) = (0, 0, 0);
    for shop in scene.shops() {
        let faults = shop.faults().await;
        let hits = |at: usize| faults["faults"][at]["hits"].as_u64().unwrap_or_default();
        lost += hits(0);
        late += hits(1);
        refused += hits(2) + hits(3) + hits(4);
        shop.clear_faults().await;
    }
    assert!(
        lost > 0 && late > 0 && refused > 0,
        "a fault never struck: {lost} lost, {late} late, {refused} refused"
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
        "{} orders in {} s, {} of them to cross; {} kills, {lost} replies lost, {late} writes late, {refused} refused; all crossed {} s after the last: 0 lost, \
         0 doubled, no step by hand, units conserved, refunded sums equal",
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
