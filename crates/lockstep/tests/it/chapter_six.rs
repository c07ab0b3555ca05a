//! The source's chapter 6, step by step: an unknown worker becomes a known one, is given settings, and is let go.
//! Between the worker and its coordinator somebody listens, so that each answer on the wire is seen.

use crate::world::{
    Coordinator, Exchange, PracticeShop, Wiretap, Worker, eventually, holds_for, seconds, settings,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const SECTIONS: [&str; 18] = [
    "customer",
    "customerHasServices",
    "branches",
    "branchServiceIdentifiers",
    "stocks",
    "stockServiceIdentifiers",
    "shopVersions",
    "shopVersionServiceIdentifiers",
    "activeShopVersions",
    "shippingMethods",
    "shippingMethodServiceIdentifiers",
    "paymentTerms",
    "paymentTermServiceIdentifiers",
    "paymentMethods",
    "paymentMethodServiceIdentifiers",
    "shelves",
    "shelfServiceIdentifiers",
    "services",
];

/// Another code of the same form.
fn wrong(code: &str) -> String {
    let turn = |letter: char| match letter {
        'B' => 'C',
        '-' => '-',
        _ => 'B',
    };
    code.chars().map(turn).collect()
}

fn settings_replies(wire: &Wiretap, status: u16) -> Vec<Exchange> {
    let mut replies = wire.heard("GET", "/worker/v1/settings");
    replies.retain(|each| each.status == status);
    replies
}

fn upsert_of(replies: &[Exchange], customer: u64, revision: u64) -> Option<Value> {
    replies.iter().rev().map(Exchange::json).find(|reply| {
        let upserts = reply["upserts"].as_array().into_iter().flatten();
        let mut found = upserts.filter(|each| {
            each["customer_id"] == customer && each["revision"].as_u64() >= Some(revision)
        });
        found.next().is_some()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_worker_is_confirmed_fed_and_revoked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (erp, web) = tokio::join!(
        PracticeShop::start(
            folder.path(),
            "ERP",
            "placement",
            &["--products", "3", "--units", "10"]
        ),
        PracticeShop::start(folder.path(), "Web shop 1", "payment", &[]),
    );
    let coordinator = Coordinator::start(folder.path()).await;
    let people = &coordinator.people;
    let wire = Wiretap::before(&coordinator.url).await;

    // An unknown worker: 401, and it waits where people see it.
    let mut worker = Worker::start(folder.path(), "tampere-2", &wire.url, None);
    let pending = worker
        .process
        .json_line("that it waits", seconds(20), |line| {
            line["code"].as_str().is_some()
        })
        .await;
    let code = pending["code"].as_str().expect("a code").to_owned();
    let first = wire.heard("POST", "/worker/v1/auth");
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].status, 401);
    assert_eq!(first[0].json()["code"], "authorization_pending");
    let list = people.get("/api/v1/workers").await;
    let shown = &list["pending"][0];
    assert_eq!(shown["name"], "tampere-2", "{list}");
    assert_eq!(
        shown["code"],
        code.as_str(),
        "the worker and the coordinator show one code"
    );
    let address = shown["address"].as_str().expect("an address");
    assert!(address.starts_with("127.0.0.1"), "{address}");
    let page = people.page("/workers").await;
    for text in ["tampere-2", code.as_str(), address] {
        assert!(page.contains(text), "the console's page lacks {text}");
    }

    // It asks again: 401.
    eventually(
        "it has asked again and was told 401",
        seconds(20),
        async || {
            let asked = wire.heard("POST", "/worker/v1/auth/token");
            match asked.last() {
                Some(last)
                    if last.status == 401 && last.json()["code"] == "authorization_pending" =>
                {
                    Ok(())
                }
                last => Err(format!("{last:?}")),
            }
        },
    )
    .await;

    // A wrong code is refused.
    let refused = people
        .types(&["workers", "confirm", "tampere-2", "--code", &wrong(&code)])
        .await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("not the code"), "{refused:?}");
    assert_eq!(people.get("/api/v1/workers").await["workers"], json!([]));

    // Confirmed: a token, sent once, saved where only its owner reads it.
    people
        .does(&["workers", "confirm", "tampere-2", "--code", &code])
        .await;
    worker
        .process
        .json_line("that it is active", seconds(20), |line| {
            line["state"] == "active"
        })
        .await;
    let granted = wire.heard("POST", "/worker/v1/auth/token");
    let granted = granted
        .iter()
        .find(|each| each.status == 200)
        .expect("a token was given");
    assert_eq!(granted.answered["cache-control"], "no-store");
    let token = granted.json()["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    assert!(token.starts_with("lsw_"), "not a worker's token");
    let file = worker.data.join("worker.json");
    let kept = std::fs::read_to_string(&file).expect("worker.json");
    assert!(kept.contains(&token), "the token is on the worker's disk");
    let mode = std::fs::metadata(&file)
        .expect("worker.json")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let database = std::fs::read(coordinator.data.join("lockstep.sqlite"));
    if let Ok(bytes) = database {
        let secret = token.split('_').nth(2).expect("a secret part").as_bytes();
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret),
            "the coordinator keeps the token in clear"
        );
    }

    // Settings unchanged: 304.
    eventually(
        "the first settings, which are empty",
        seconds(10),
        async || match settings_replies(&wire, 200).first() {
            Some(reply) if reply.json()["upserts"] == json!([]) => Ok(()),
            reply => Err(format!("{reply:?}")),
        },
    )
    .await;
    eventually(
        "the worker has saved them",
        seconds(10),
        async || match worker.stored_settings() {
            Some(kept) if kept["held"]["etag"].is_string() => Ok(()),
            kept => Err(format!("{kept:?}")),
        },
    )
    .await;
    worker.start_again(None);
    eventually("settings unchanged: 304", seconds(20), async || {
        let unchanged = settings_replies(&wire, 304);
        let last = unchanged.last().ok_or("none yet")?;
        assert!(last.asked.contains_key("if-none-match"), "{last:?}");
        assert!(last.asked.contains_key("worker-instance"), "{last:?}");
        assert!(last.body.is_empty());
        Ok(())
    })
    .await;

    // An edit: a new revision; the delta carries the customer with its eighteen sections.
    let clients = [erp.client(), web.client()];
    let mut wanted = settings::of_practice_shops(0, "Kahvila Oy", true, &clients);
    let reply = people.apply_file(folder.path(), &wanted).await.json();
    let customer = reply["id"].as_u64().expect("a customer's id");
    let first_revision = reply["revision"].as_u64().expect("a revision");
    let (delta, _) = eventually("the delta brings the customer", seconds(10), async || {
        upsert_of(&settings_replies(&wire, 200), customer, first_revision).ok_or("not yet".into())
    })
    .await;
    let sent = &delta["upserts"][0]["settings"];
    for section in SECTIONS {
        let rows = &sent[section];
        let filled = match rows {
            Value::Array(rows) => !rows.is_empty(),
            other => other.is_object(),
        };
        assert!(filled, "the section {section} is not in the delta: {rows}");
    }
    assert!(
        delta["base"].is_string(),
        "it is a delta on what the worker has: {delta}"
    );
    assert_eq!(
        sent["services"][0]["credentials"]["token"],
        erp.token.as_str()
    );

    wanted = people.export(customer).await;
    wanted["customer"]["email"] = json!("new@kahvila.example");
    let second_revision = people.save(customer, &wanted).await;
    assert!(second_revision > first_revision);
    let (delta, _) = eventually("the edit is told", seconds(10), async || {
        upsert_of(&settings_replies(&wire, 200), customer, second_revision).ok_or("not yet".into())
    })
    .await;
    assert_eq!(
        delta["upserts"][0]["settings"]["customer"]["email"],
        "new@kahvila.example"
    );

    // The worker's stored revision equals the coordinator's, and it has said so.
    eventually(
        "the stored revision is the coordinator's",
        seconds(10),
        async || {
            let kept = worker.stored_settings().ok_or("no settings.json yet")?;
            let view = people.get(&format!("/api/v1/customers/{customer}")).await;
            let kept = &kept["held"]["customers"][customer.to_string()]["revision"];
            let row = &view["row"];
            let applied = &row["applied"];
            if *kept == row["revision"]
                && applied["revision"] == row["revision"]
                && applied["state"]
                    .as_str()
                    .is_some_and(|state| state.eq_ignore_ascii_case("applied"))
            {
                Ok(())
            } else {
                Err(format!("{kept} on the disk, {row}"))
            }
        },
    )
    .await;
    eventually("the catalogue crossed", seconds(30), async || {
        crate::world::in_step(&clients).await
    })
    .await;

    // Suspended: 401, and the worker stops writing.
    let id = people.worker_named("tampere-2").await.expect("the worker")["id"].clone();
    let state = format!("/api/v1/workers/{id}/state");
    people.put(&state, json!({ "state": "suspended" })).await;
    eventually(
        "the suspended worker is told 401, and its key gets no new token",
        seconds(10),
        async || {
            let refused = settings_replies(&wire, 401);
            let refused = refused.last().ok_or("it is not refused")?;
            if !["suspended", "bad_token"]
                .iter()
                .any(|code| refused.json()["code"] == *code)
            {
                return Err(format!("{refused:?}"));
            }
            match wire.heard("POST", "/worker/v1/auth/renew").last() {
                Some(reply) if reply.status == 401 && reply.json()["code"] == "suspended" => Ok(()),
                reply => Err(format!("{reply:?}")),
            }
        },
    )
    .await;
    web.forget_requests().await;
    let sku = erp.levels().await.into_keys().next().expect("a SKU");
    erp.put(&format!("/api/v1/stock/{sku}"), json!({ "on_hand": 77 }))
        .await;
    people
        .types(&["sync", &customer.to_string(), "--no-wait"])
        .await;
    holds_for(
        "nothing is written for a suspended worker's customer",
        seconds(3),
        async || {
            let writes = web.writes().await;
            if writes.is_empty() {
                Ok(())
            } else {
                Err(format!("{writes:?}"))
            }
        },
    )
    .await;
    assert_eq!(web.available(&sku).await, 10);

    // Back in force, it goes on by itself.
    people.put(&state, json!({ "state": "active" })).await;
    eventually("what waited is written", seconds(60), async || {
        match web.available(&sku).await {
            77 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;

    // Gone: the token is revoked, and the key gets no other.
    people
        .put(&state, json!({ "state": "gone", "name": "tampere-2" }))
        .await;
    eventually(
        "a worker that is gone is told 401, and 403 where it asks for a token",
        seconds(30),
        async || {
            let refused = settings_replies(&wire, 401);
            let refused = refused.last().ok_or("it is not refused")?;
            match wire.heard("POST", "/worker/v1/auth/renew").last() {
                Some(reply) if reply.status == 403 && reply.json()["code"] == "rejected" => {
                    assert_eq!(refused.json()["code"], "bad_token");
                    Ok(())
                }
                reply => Err(format!("{reply:?}")),
            }
        },
    )
    .await;
    web.forget_requests().await;
    erp.put(&format!("/api/v1/stock/{sku}"), json!({ "on_hand": 78 }))
        .await;
    holds_for(
        "nothing is written by a worker that is gone",
        seconds(2),
        async || {
            let writes = web.writes().await;
            if writes.is_empty() {
                Ok(())
            } else {
                Err(format!("{writes:?}"))
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_lost_all_but_its_key_comes_back_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let coordinator = Coordinator::start(folder.path()).await;
    let people = &coordinator.people;
    let join = coordinator.join_token().await;
    let mut worker = Worker::start(folder.path(), "tampere-2", &coordinator.url, Some(&join));
    let active = |line: &Value| line["state"] == "active";
    worker
        .process
        .json_line("that it is active", seconds(20), active)
        .await;
    let id = people.worker_named("tampere-2").await.expect("the worker")["id"].clone();

    worker.process.kill();
    for lost in ["worker.json", "settings.json"] {
        // It may have had no settings yet.
        let _gone = std::fs::remove_file(worker.data.join(lost));
    }
    worker.start_again(None);
    worker
        .process
        .json_line("that it is active again", seconds(20), active)
        .await;
    let list = people.get("/api/v1/workers").await;
    assert_eq!(list["pending"], json!([]), "no person was asked");
    assert_eq!(list["workers"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list["workers"][0]["id"], id);

    // Suspended meanwhile: its key is known, and it is told so.
    worker.process.kill();
    std::fs::remove_file(worker.data.join("worker.json")).expect("the id and the token are lost");
    let state = format!("/api/v1/workers/{id}/state");
    people.put(&state, json!({ "state": "suspended" })).await;
    worker.start_again(None);
    worker
        .process
        .json_line("that it is refused", seconds(20), |line| {
            line["state"] == "refused"
        })
        .await;
    assert!(!worker.data.join("worker.json").exists());
}
