//! The demo's story in a real browser, with screenshots in `target/screenshots`.

use crate::demo_story::{Demo, first_sku};
use crate::world::{Books, holds_for, seconds};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demo_story_in_a_browser() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let screenshots = here.join("../../target/screenshots");
    std::fs::create_dir_all(&screenshots).expect("a folder for screenshots");
    let demo = Demo::start().await;
    let [erp, web1, web2] = &demo.shops;
    let books = Books::open(erp).await;
    erp.forget_requests().await;
    let mut story = demo.said.clone();
    story["sku"] = json!(first_sku(erp).await);
    story["screenshots"] = json!(screenshots);

    let script = here.join("tests/browser/demo_story.mjs");
    let seen = tokio::task::spawn_blocking(move || play(&script, &story))
        .await
        .expect("a thread");
    println!("{seen}");

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
    let revision = demo
        .people
        .get(&format!("/api/v1/customers/{}", demo.customer))
        .await;
    assert_eq!(
        revision["settings"]["customer"]["email"],
        "kahvila@kahvila.example"
    );
}

fn play(script: &Path, story: &Value) -> String {
    for name in ["LOCKSTEP_TEST_CHROMIUM", "LOCKSTEP_TEST_PLAYWRIGHT"] {
        assert!(
            std::env::var_os(name).is_some(),
            "{name} is not set; `cargo xtask test` sets it"
        );
    }
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut input = node.stdin.take().expect("its standard input");
    input
        .write_all(story.to_string().as_bytes())
        .expect("the story is told");
    drop(input);
    let ended = node.wait_with_output().expect("node ends");
    assert!(
        ended.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8_lossy(&ended.stdout).into_owned()
}
