//! Bad input and faults: each has a clear message at the customer's run, the rest goes on, nothing is lost and nothing
//! is doubled.

use crate::world::{
    Books, Scene, ShopPlan, Wiretap, eventually, holds_for, in_step, seconds, settings,
};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("its address"))
}

/// One of web shop 1's calls goes wrong; an order in web shop 2 crosses all the same.
async fn the_rest_goes_on(scene: &Scene, sku: &str) {
    let order = scene.web2.buy(sku, 1, true).await;
    eventually("the other shop's order crosses", seconds(60), async || {
        let copies = scene.erp.orders().await;
        let found = copies.iter().any(|copy| {
            copy["reference"]
                .as_str()
                .is_some_and(|reference| reference.ends_with(&order.number))
        });
        if found {
            Ok(())
        } else {
            Err(format!("{} orders there", copies.len()))
        }
    })
    .await;
}

/// After the repair: all orders are in the ERP once, every unit is where it belongs, and stays there.
async fn nothing_is_lost_or_doubled(scene: &Scene, books: &Books, orders: usize) {
    let (shops, web) = (scene.shops(), scene.web_shops());
    eventually("all orders are in the ERP once", seconds(90), async || {
        books.orders_crossed_once(&scene.erp, &web, orders).await?;
        books.check(&shops).await
    })
    .await;
    holds_for("units are conserved", seconds(3), async || {
        books.check(&shops).await
    })
    .await;
    books
        .orders_crossed_once(&scene.erp, &web, orders)
        .await
        .expect("exactly once");
}

/// Web shop 1's API does this to every call.
async fn web_shop_1_answers(fault: Value, words: &[&str]) -> Scene {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let books = scene.books().await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene.web1.set_faults(json!([fault])).await;
    scene.web1.buy(&sku, 1, true).await;
    the_rest_goes_on(&scene, &sku).await;
    let mut all = vec!["Web shop 1"];
    all.extend(words);
    scene.until_told(&all).await;
    scene.web1.clear_faults().await;
    nothing_is_lost_or_doubled(&scene, &books, 2).await;
    scene
}

fn on_every_call(mut fault: Value) -> Value {
    fault["path_prefix"] = json!("/api/v1");
    fault
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn html_instead_of_json() {
    web_shop_1_answers(
        on_every_call(json!({ "kind": "Html" })),
        &["a web page instead of data"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_json() {
    web_shop_1_answers(
        on_every_call(json!({ "kind": "HalfJson" })),
        &["cut off half way"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes() {
    let scene = web_shop_1_answers(on_every_call(json!({ "kind": "Huge" })), &["MiB"]).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", scene.worker.process.id()));
    let status = status.expect("the worker's status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kib: u64 = peak
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .expect("the worker's peak memory");
    println!("the worker's peak memory: {} MiB", peak_kib / 1024);
    assert!(
        peak_kib < 200 * 1024,
        "{peak_kib} KiB for an answer that is refused"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_never_answers() {
    let fault = json!({ "kind": "HoldResponse", "ms": 600_000, "method": "GET", "path_prefix": "/api/v1/orders" });
    web_shop_1_answers(fault, &["did not answer"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_address() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let books = scene.books().await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let right = scene.web1.url.clone();
    let wrong = nobody();
    scene
        .edit(|settings| settings::moved(settings, 1, &wrong, &scene.web1.token))
        .await;
    scene.web1.buy(&sku, 1, true).await;
    the_rest_goes_on(&scene, &sku).await;
    scene.until_told(&["Web shop 1", "reached"]).await;
    scene
        .edit(|settings| settings::moved(settings, 1, &right, &scene.web1.token))
        .await;
    nothing_is_lost_or_doubled(&scene, &books, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let books = scene.books().await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let right = scene.web1.url.clone();
    let expired = expired_https();
    scene
        .edit(|settings| settings::moved(settings, 1, &expired, &scene.web1.token))
        .await;
    scene.web1.buy(&sku, 1, true).await;
    the_rest_goes_on(&scene, &sku).await;
    scene.until_told(&["Web shop 1", "certificate"]).await;
    scene
        .edit(|settings| settings::moved(settings, 1, &right, &scene.web1.token))
        .await;
    nothing_is_lost_or_doubled(&scene, &books, 2).await;
}

/// Shakes hands with a certificate of the year 2001.
fn expired_https() -> String {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut form = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a form");
    form.not_before = rcgen::date_time_ymd(2000, 1, 1);
    form.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let certificate = form.self_signed(&key).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a TLS server");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = config.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                if let Ok(mut tls) = rustls::ServerConnection::new(config) {
                    // The caller hangs up in the middle of it: that is the point.
                    let _refused = tls.complete_io(&mut stream);
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let books = scene.books().await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let token = scene.web1.token.clone();
    let unauthorised = on_every_call(json!({ "kind": "Reject", "status": 401 }));
    scene.web1.set_faults(json!([unauthorised])).await;
    scene.web1.buy(&sku, 1, true).await;
    the_rest_goes_on(&scene, &sku).await;
    let told = scene.until_told(&["Web shop 1", "key"]).await;
    assert!(!told.contains(&token), "a token in a message");
    eventually("a person is told", seconds(20), async || {
        let overview = scene.coordinator.people.get("/api/v1/overview").await;
        match overview["needs_person"].to_string() {
            needs if needs.contains("Web shop 1") => Ok(()),
            needs => Err(needs),
        }
    })
    .await;
    // A new key is given: it goes on at once.
    scene.web1.clear_faults().await;
    scene
        .edit(|settings| settings["services"][1]["credentials"]["token"] = json!(token))
        .await;
    scene.sync().await;
    nothing_is_lost_or_doubled(&scene, &books, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_record_in_a_page_of_good_ones() {
    let plan = ShopPlan {
        enabled: false,
        ..ShopPlan::default()
    };
    let scene = Scene::set(plan).await;
    let products = scene.erp.products().await;
    let bad = products[1]["id"].as_str().expect("an id").to_owned();
    scene
        .erp
        .set_faults(json!([{ "kind": "BadRecord", "id": bad, "path_prefix": "/api/v1/products" }]))
        .await;
    scene
        .edit(|settings| settings["customer"]["enableSyncing"] = json!(true))
        .await;
    let wanted = products.len() - 1;
    for shop in scene.web_shops() {
        eventually("the good ones cross", seconds(40), async || {
            match shop.products().await.len() {
                there if there == wanted => Ok(()),
                there => Err(format!("{there} of {wanted} in {}", shop.name)),
            }
        })
        .await;
    }
    let asides = format!("/api/v1/customers/{}/asides", scene.customer);
    eventually(
        "the bad one stands aside with its reason",
        seconds(20),
        async || {
            let rows = scene.coordinator.people.get(&asides).await;
            if rows.to_string().contains(&bad) {
                Ok(())
            } else {
                Err(rows.to_string())
            }
        },
    )
    .await;
    scene.until_told(&["ERP", "could not be read"]).await;
    // M12: the terminal says that it waits, and lists it.
    let (people, id) = (&scene.coordinator.people, scene.id());
    let waits = people.types(&["conflicts", &id]).await;
    assert_eq!(waits.code, 3, "{waits:?}");
    assert!(waits.out.contains("1 set aside"), "{waits:?}");
    assert!(!waits.out.contains("Nothing waits"), "{waits:?}");
    let listed = people.types(&["asides", &id]).await;
    assert_eq!(listed.code, 3, "{listed:?}");
    assert!(
        listed.out.contains("ERP") && listed.out.contains(&bad),
        "{listed:?}"
    );
    // It is corrected at its source: it crosses.
    scene.erp.clear_faults().await;
    scene
        .erp
        .patch(
            &format!("/api/v1/products/{bad}"),
            json!({ "title": "As it should be" }),
        )
        .await;
    let shops = scene.shops();
    eventually("all of it is in all shops", seconds(40), async || {
        in_step(&shops).await
    })
    .await;
    eventually("nothing stands aside any more", seconds(20), async || {
        let rows = scene.coordinator.people.get(&asides).await;
        if rows["items"] == json!([]) {
            Ok(())
        } else {
            Err(rows.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_products_with_one_sku() {
    let plan = ShopPlan {
        enabled: false,
        ..ShopPlan::default()
    };
    let scene = Scene::set(plan).await;
    let products = scene.erp.products().await;
    let sku_of = |at: usize| {
        products[at]["variants"][0]["sku"]
            .as_str()
            .expect("a SKU")
            .to_owned()
    };
    let (kept, lost) = (sku_of(0), sku_of(1));
    let (from, to) = (format!("\"sku\":\"{lost}\""), format!("\"sku\":\"{kept}\""));
    let wire = Wiretap::changing(
        &scene.erp.url,
        Arc::new(move |path, body| {
            if !path.starts_with("/api/v1/products") {
                return body;
            }
            match String::from_utf8(body) {
                Ok(text) => text.replace(&from, &to).into_bytes(),
                Err(other) => other.into_bytes(),
            }
        }),
    )
    .await;
    scene
        .edit(|settings| {
            settings::moved(settings, 0, &wire.url, &scene.erp.token);
            settings["customer"]["enableSyncing"] = json!(true);
        })
        .await;
    // The others cross; of the two no more than one, and a person is asked.
    let others = products.len() - 2;
    for shop in scene.web_shops() {
        eventually("the others cross", seconds(40), async || {
            let there = shop.products().await;
            let good = there
                .iter()
                .filter(|product| !product.to_string().contains(&format!("\"{kept}\"")))
                .count();
            if good == others {
                Ok(())
            } else {
                Err(format!("{good} of {others}"))
            }
        })
        .await;
    }
    eventually(
        "a person is told which SKU it is",
        seconds(20),
        async || {
            let people = &scene.coordinator.people;
            let customer = scene.customer;
            let conflicts = people
                .get(&format!("/api/v1/customers/{customer}/conflicts"))
                .await;
            let asides = people
                .get(&format!("/api/v1/customers/{customer}/asides"))
                .await;
            let told = format!("{conflicts} {asides}");
            if told.contains(&kept) {
                Ok(())
            } else {
                Err(told)
            }
        },
    )
    .await;
    scene.until_at_rest().await;
    for shop in scene.web_shops() {
        let twice = shop.products().await;
        let bearing = twice
            .iter()
            .filter(|each| each.to_string().contains(&format!("\"{kept}\"")))
            .count();
        assert!(bearing <= 1, "{kept} is {bearing} times in {}", shop.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_is_away_for_a_while() {
    let mut scene = Scene::set_in_step(ShopPlan::default()).await;
    let books = scene.books().await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene.coordinator.process.kill();
    scene.web1.buy(&sku, 1, true).await;
    scene.web2.buy(&sku, 2, true).await;
    // A movable customer's writes wait for the coordinator: nothing crosses, nothing is half done.
    holds_for(
        "nothing is written without an acknowledgement",
        seconds(15),
        async || match scene.erp.orders().await.len() {
            0 => Ok(()),
            there => Err(format!("{there} orders")),
        },
    )
    .await;
    scene.coordinator.start_again().await;
    nothing_is_lost_or_doubled(&scene, &books, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_died_before_a_shop_knew_where_to_call_tells_it_when_it_is_back() {
    let mut scene = Scene::set_in_step(ShopPlan::default()).await;
    let books = scene.books().await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let hooks = scene.web1.get("/api/v1/hooks").await;
    for hook in hooks["items"].as_array().expect("hooks") {
        let id = hook["id"].as_str().expect("an id");
        scene.web1.delete(&format!("/api/v1/hooks/{id}")).await;
    }
    let fault = json!({ "kind": "Reject", "status": 503, "path_prefix": "/api/v1/hooks" });
    scene.web1.set_faults(json!([fault])).await;
    scene
        .edit(|settings| settings["customer"]["name"] = json!("Kahvila Toinen"))
        .await;
    let path = {
        let settings = scene.coordinator.people.export(scene.customer).await;
        let shop = &settings["services"][1]["id"];
        format!("/api/v1/customers/{}/shops/{shop}/hooks", scene.customer)
    };
    eventually("the shop cannot be told", seconds(60), async || {
        let heard = scene.coordinator.people.get(&path).await;
        match heard["problem"].as_str() {
            Some(_) => Ok(()),
            None => Err(heard.to_string()),
        }
    })
    .await;
    scene.until_at_rest().await;
    scene.web1.clear_faults().await;
    let mut told = (Instant::now(), Vec::new());
    eventually("the worker has no news any more", seconds(60), async || {
        let runs = scene.coordinator.people.runs(scene.customer).await;
        if runs != told.1 {
            told = (Instant::now(), runs);
        }
        match told.0.elapsed() > seconds(1) {
            true => Ok(()),
            false => Err("its runs changed a moment ago".into()),
        }
    })
    .await;
    scene.coordinator.start_again().await;
    scene.web1.buy(&sku, 1, true).await;
    nothing_is_lost_or_doubled(&scene, &books, 1).await;
}

/// Another product of the web shop's own has the address that two of the ERP's are to get.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c6_a_handle_that_is_taken_waits_alone_and_the_product_is_made_and_kept_in_step() {
    let scene = Scene::set_in_step(ShopPlan {
        products: 2,
        ..ShopPlan::default()
    })
    .await;
    let product = |sku: &str, title: &str, handle: &str| json!({ "title": title, "handle": handle, "status": "active", "variants": [{ "sku": sku, "price": "4.00" }] });
    let own = product("OWN-1", "Our own", "espresso");
    scene.web1.post("/api/v1/products", own).await;
    let new = product("NEW-1", "Espresso", "espresso");
    let made = scene.erp.post("/api/v1/products", new).await;
    let shown = async |title: &str, handle: Option<&str>| {
        let what = format!("web shop 1 shows {title}");
        eventually(&what, seconds(30), async || {
            let there = scene.web1.product_with("NEW-1").await.unwrap_or_default();
            let is_it = there["title"] == title
                && there["variants"][0]["price"] == "4.00"
                && handle.is_none_or(|handle| there["handle"] == handle);
            is_it.then_some(()).ok_or_else(|| there.to_string())
        })
        .await;
    };
    shown("Espresso", None).await;
    scene.until_told(&["Web shop 1", "espresso"]).await;
    let path = format!("/api/v1/products/{}", made["id"].as_str().expect("an id"));
    scene
        .erp
        .patch(&path, json!({ "title": "Espresso, dark" }))
        .await;
    shown("Espresso, dark", None).await;
    // Another one is tried at once.
    scene
        .erp
        .patch(&path, json!({ "handle": "dark-espresso" }))
        .await;
    shown("Espresso, dark", Some("dark-espresso")).await;
    let own = scene.web1.product_with("OWN-1").await.unwrap_or_default();
    assert_eq!(own["handle"], "espresso");
}
