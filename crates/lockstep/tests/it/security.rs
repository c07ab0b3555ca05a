//! What an attack found, seen from outside: processes as an operator starts them.

use crate::world::{
    Coordinator, PracticeShop, Process, Scene, ShopPlan, command, eventually, seconds,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn worker(folder: &Path, url: &str, join: &str, configuration: &str) -> Process {
    let file = folder.join("worker.toml");
    std::fs::write(&file, configuration).expect("a configuration file");
    let mut command = command();
    command
        .args(["--json", "--config"])
        .arg(file)
        .args(["worker", "--coordinator", url, "--join", join, "--data"])
        .arg(folder.join("worker"));
    Process::start("worker", folder, command)
}

/// What "test connection" says of a shop that is not saved.
async fn checked(coordinator: &Coordinator, shop: &PracticeShop) -> Value {
    let shop = shop.client();
    let service = json!({
        "id": 1, "name": "Inside", "platform": "practice", "url": shop.url,
        "credentials": {"token": shop.token},
        "options": {"allowPrivate": true, "allowInsecure": true},
    });
    let request = json!({ "customer_id": null, "service": service });
    let (said, _) = eventually("a worker answers", seconds(30), async || {
        let path = "/api/v1/shops/check";
        let answer = coordinator
            .people
            .call(reqwest::Method::POST, path, Some(&request))
            .await;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(answer.body.to_string())
    })
    .await;
    said
}

#[tokio::test]
async fn s2_a_worker_calls_its_own_machine_only_if_its_operator_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shop = PracticeShop::start(folder.path(), "inside", "never", &[]).await;
    let coordinator = Coordinator::start(folder.path()).await;
    let join = coordinator.join_token().await;
    let mut process = worker(folder.path(), &coordinator.url, &join, "");
    let said = checked(&coordinator, &shop).await.to_string();
    assert!(said.contains("allow_addresses"), "{said}");
    process.kill();
    let opened = "[worker]\nallow_addresses = [\"loopback\"]\n";
    let _process = worker(folder.path(), &coordinator.url, &join, opened);
    let said = checked(&coordinator, &shop).await.to_string();
    assert!(!said.contains("allow_addresses"), "{said}");
    assert!(said.contains("identity"), "{said}");
}

#[tokio::test]
async fn s8_what_lies_on_the_disk_is_its_owners_alone() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let mut folders = vec![scene.coordinator.data.clone(), scene.worker.data.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let found = std::fs::metadata(&path).expect("what it is");
            let mode = found.permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{mode:o} {}", path.display());
            if found.is_dir() {
                folders.push(path);
            } else {
                files += 1;
            }
        }
        let mode = std::fs::metadata(&folder).expect("what it is");
        assert_eq!(mode.permissions().mode() & 0o777, 0o700);
    }
    assert!(files > 8, "{files}");
}
