//! A process `lockstep coordinator`.

use super::people::People;
use super::process::{Process, command};
use super::wait::seconds;
use serde_json::json;
use std::path::{Path, PathBuf};

pub struct Coordinator {
    pub process: Process,
    pub people: People,
    pub url: String,
    pub data: PathBuf,
    folder: PathBuf,
    /// Beyond what it is called with: the text of a configuration file.
    configured: Option<String>,
}

impl Coordinator {
    pub async fn start(folder: &Path) -> Coordinator {
        let data = folder.join("coordinator");
        let mut process = spawn(folder, &data, "127.0.0.1:0", None);
        let said = process
            .json_line("where it is", seconds(30), |line| line["url"].is_string())
            .await;
        let text = |key: &str| said[key].as_str().expect(key).to_owned();
        let url = text("url").trim_end_matches('/').to_owned();
        Coordinator {
            people: People::new(&url, &text("api_token")),
            process,
            url,
            data,
            folder: folder.to_owned(),
            configured: None,
        }
    }

    /// … as this says from now on.
    pub async fn start_again_configured(&mut self, text: &str) {
        self.configured = Some(text.to_owned());
        self.start_again().await;
    }

    /// After a kill: the same folder, the same address.
    pub async fn start_again(&mut self) {
        self.process.kill();
        let address = self.url.trim_start_matches("http://").to_owned();
        let configured = self.configured.as_deref();
        self.process = spawn(&self.folder, &self.data, &address, configured);
        self.process
            .json_line("where it is", seconds(30), |line| line["url"].is_string())
            .await;
    }

    /// Lets workers in without a person.
    pub async fn join_token(&self) -> String {
        let request = json!({ "label": "test", "uses_max": 20, "lives_seconds": 3600 });
        let reply = self.people.post("/api/v1/join-tokens", request).await;
        reply["token"].as_str().expect("a join token").to_owned()
    }
}

fn spawn(folder: &Path, data: &Path, listen: &str, configured: Option<&str>) -> Process {
    let mut command = command();
    if let Some(text) = configured {
        let file = folder.join("coordinator.toml");
        std::fs::write(&file, text).expect("a configuration file");
        command.arg("--config").arg(file);
    }
    command
        .args(["--json", "coordinator", "--listen", listen, "--data"])
        .arg(data);
    Process::start("coordinator", folder, command)
}
