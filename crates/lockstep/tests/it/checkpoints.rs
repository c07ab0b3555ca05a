//! A take-over with a checkpoint: what is fetched, what a damaged one leads to, and a death in the middle of it.

use crate::world::{Books, Exchange, Process, Scene, ShopPlan, Wiretap, eventually, seconds};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// One with every segment.
const ALWAYS: &str = "[coordinator]\ncheckpoint_after_kib = 0\n";
const NEVER: &str = "[coordinator]\ncheckpoint_after_kib = 4000000\n";

struct Stage {
    scene: Scene,
    books: Books,
    /// The last segment of the checkpoint.
    upto: u64,
    placed: usize,
}

fn checkpoints(scene: &Scene) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(scene.coordinator.data.join("checkpoints")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("a file").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "checkpoint")
        })
        .collect();
    paths.sort_by_key(|path| sequence(path));
    paths
}

/// Files are called <customer>-<sequence>-<SHA-256>.checkpoint.
fn sequence(path: &std::path::Path) -> u64 {
    let name = path.file_name().expect("a name").to_string_lossy();
    let mut parts = name.split('-');
    let (_customer, sequence) = (parts.next(), parts.next());
    sequence.expect("a number").parse().expect("a number")
}

async fn one_order(scene: &Scene) {
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene.web1.buy(&sku, 1, true).await;
}

/// A customer with a checkpoint, some segments after it, and a worker whose journals are lost.
async fn stage() -> Stage {
    let mut scene = Scene::set_in_step(ShopPlan {
        products: 2,
        ..ShopPlan::default()
    })
    .await;
    let books = scene.books().await;
    scene.coordinator.start_again_configured(ALWAYS).await;
    one_order(&scene).await;
    crossed(&scene, &books, 1).await;
    scene.until_at_rest().await;
    eventually(
        "a checkpoint was made",
        seconds(20),
        async || match checkpoints(&scene).len() {
            0 => Err("there is none".to_owned()),
            _ => Ok(()),
        },
    )
    .await;
    // From now on none is made: what follows is after it.
    scene.coordinator.start_again_configured(NEVER).await;
    let newest = checkpoints(&scene).pop().expect("a checkpoint");
    let upto = sequence(&newest);
    one_order(&scene).await;
    crossed(&scene, &books, 2).await;
    scene.until_at_rest().await;
    scene.worker.lose_its_journals();
    Stage {
        scene,
        books,
        upto,
        placed: 2,
    }
}

async fn crossed(scene: &Scene, books: &Books, orders: usize) {
    let (shops, web) = (scene.shops(), scene.web_shops());
    eventually(
        "the orders are in the ERP, each once",
        seconds(60),
        async || {
            books.orders_crossed_once(&scene.erp, &web, orders).await?;
            books.check(&shops).await
        },
    )
    .await;
}

/// Numbers of the segments of one answer: frames of a length and a header as JSON, a length and a body.
fn frames(body: &[u8]) -> Vec<u64> {
    let mut rest = body;
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(part)
    };
    let mut sequences = Vec::new();
    while let (Some(header), Some(_body)) = (part(), part()) {
        let header: Value = serde_json::from_slice(header).expect("a header");
        sequences.push(header["sequence"].as_u64().expect("a number"));
    }
    sequences
}

struct Heard {
    checkpoints: Vec<Exchange>,
    segments: Vec<u64>,
}

impl Heard {
    /// Each once, in order, and more than one.
    fn are_all_from(&self, first: u64) {
        let wanted: Vec<u64> = (first..).take(self.segments.len()).collect();
        assert_eq!(self.segments, wanted);
        assert!(wanted.len() > 1, "something came after it");
    }
}

impl Stage {
    fn heard(&self, wire: &Wiretap) -> Heard {
        let path = format!("/worker/v1/journal/{}", self.scene.customer);
        let answers = wire.heard("GET", &path);
        Heard {
            checkpoints: wire.heard("GET", &format!("{path}/checkpoint")),
            segments: answers.iter().flat_map(|each| frames(&each.body)).collect(),
        }
    }

    /// It works again: another order crosses, none a second time.
    async fn goes_on(&mut self) {
        one_order(&self.scene).await;
        self.placed += 1;
        crossed(&self.scene, &self.books, self.placed).await;
        let kept = std::fs::read_dir(self.scene.worker.data.join("customers"));
        let names = kept
            .expect("the journals")
            .map(|entry| entry.expect("a file").file_name());
        let left: Vec<String> = names
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| [".restor", ".old"].iter().any(|part| name.contains(part)))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_over_fetches_the_checkpoint_and_only_the_segments_after_it() {
    let mut stage = stage().await;
    let wire = Wiretap::before(&stage.scene.coordinator.url).await;
    stage.scene.worker.start_again_through(&wire.url);
    stage.goes_on().await;
    let heard = stage.heard(&wire);
    assert_eq!(heard.checkpoints.len(), 1);
    let told = &heard.checkpoints[0];
    assert_eq!(told.status, 200);
    assert_eq!(told.answered["lockstep-sequence"], stage.upto.to_string());
    // The checkpoint's own last one proves that it stands in the chain; then those that came after it.
    heard.are_all_from(stage.upto);
    println!(
        "{} segments; the checkpoint ends with {}",
        heard.segments.len(),
        stage.upto
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_damaged_on_the_coordinators_disk_leads_to_the_whole_replay() {
    let mut stage = stage().await;
    let damaged = checkpoints(&stage.scene);
    for path in &damaged {
        let mut bytes = std::fs::read(path).expect("a checkpoint");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).expect("a damaged one");
    }
    let wire = Wiretap::before(&stage.scene.coordinator.url).await;
    stage.scene.worker.start_again_through(&wire.url);
    stage.goes_on().await;
    let heard = stage.heard(&wire);
    assert_eq!(heard.checkpoints[0].status, 404);
    heard.are_all_from(1);
    assert!(heard.segments.last() > Some(&stage.upto));
    let log = stage.scene.coordinator.process.log();
    assert!(log.contains("a checkpoint is damaged"), "{log}");
    eventually("another one is made", seconds(20), async || {
        let there = checkpoints(&stage.scene);
        match there.iter().any(|path| sequence(path) > stage.upto) {
            true => Ok(()),
            false => Err(format!("{there:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_damaged_on_its_way_leads_to_the_whole_replay() {
    let mut stage = stage().await;
    let flip = |path: &str, mut body: Vec<u8>| {
        if path.ends_with("/checkpoint") {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
        body
    };
    let wire = Wiretap::changing(&stage.scene.coordinator.url, Arc::new(flip)).await;
    stage.scene.worker.start_again_through(&wire.url);
    stage.goes_on().await;
    let heard = stage.heard(&wire);
    assert_eq!(heard.checkpoints[0].status, 200);
    heard.are_all_from(1);
    assert!(heard.segments.last() > Some(&stage.upto));
    let log = stage.scene.worker.process.log();
    assert!(log.contains("the checkpoint is of no use"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dies_while_a_checkpoint_is_fetched_fetches_it_again() {
    let mut stage = stage().await;
    for _ in 0..2 {
        let worker = &mut stage.scene.worker;
        worker.start_again(Some("during_checkpoint"));
        let status = worker.process.until_it_ends(seconds(45)).await;
        assert!(
            Process::aborted(status),
            "{status}\n{}",
            worker.process.log()
        );
    }
    let wire = Wiretap::before(&stage.scene.coordinator.url).await;
    stage.scene.worker.start_again_through(&wire.url);
    stage.goes_on().await;
    let heard = stage.heard(&wire);
    assert_eq!(heard.checkpoints.len(), 1);
    assert_eq!(heard.checkpoints[0].status, 200);
    heard.are_all_from(stage.upto);
}
