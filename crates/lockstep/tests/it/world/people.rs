//! People: the coordinator's API with a token, and the commands as they are typed.

use super::process::command;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

#[derive(Clone)]
pub struct People {
    http: reqwest::Client,
    pub url: String,
    pub token: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    pub fn ok(self, what: &str) -> Value {
        assert!(
            self.status.is_success(),
            "{what}: {} {}",
            self.status,
            self.body
        );
        self.body
    }
}

/// A command that has run.
#[derive(Debug)]
pub struct Typed {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Typed {
    fn of(output: Output) -> Typed {
        Typed {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

impl People {
    pub fn new(url: &str, token: &str) -> People {
        People {
            http: super::http(),
            url: url.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
        }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        let status = reply.status();
        let bytes = reply.bytes().await.expect("the whole answer");
        let body = match serde_json::from_slice(&bytes) {
            Ok(value) => value,
            Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        };
        Answer { status, body }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.ok(path)
    }

    /// A page of the console, as its HTML.
    pub async fn page(&self, path: &str) -> String {
        let reply = self
            .http
            .get(format!("{}{path}", self.url))
            .header("cookie", format!("lockstep_session={}", self.token))
            .send()
            .await
            .unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = reply.status();
        let text = reply.text().await.expect("the whole page");
        assert!(status.is_success(), "{path}: {status} {text}");
        text
    }

    /// The worker of this name, once it is known.
    pub async fn worker_named(&self, name: &str) -> Option<Value> {
        let list = self.get("/api/v1/workers").await;
        let mut workers = list["workers"].as_array().into_iter().flatten();
        workers.rfind(|worker| worker["name"] == name).cloned()
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, Some(&body)).await.ok(path)
    }

    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.call(Method::PUT, path, Some(&body)).await.ok(path)
    }

    /// The newest runs of a customer, newest first.
    pub async fn runs(&self, customer: u64) -> Vec<Value> {
        let page = self
            .get(&format!("/api/v1/customers/{customer}/runs"))
            .await;
        page["items"].as_array().cloned().unwrap_or_default()
    }

    /// A run with its steps.
    pub async fn run(&self, customer: u64, run: u64) -> Value {
        self.get(&format!("/api/v1/customers/{customer}/runs/{run}"))
            .await
    }

    /// All that the newest runs say, for messages of faults.
    pub async fn told(&self, customer: u64) -> String {
        let mut told = String::new();
        for run in self.runs(customer).await.iter().take(12) {
            told.push_str(run["message"].as_str().unwrap_or_default());
            told.push('\n');
            let Some(id) = run["run"].as_u64() else {
                continue;
            };
            let detail = self.run(customer, id).await;
            for step in detail["steps"].as_array().into_iter().flatten() {
                for key in ["title", "detail"] {
                    told.push_str(step[key].as_str().unwrap_or_default());
                    told.push('\n');
                }
            }
        }
        told
    }

    pub async fn export(&self, customer: u64) -> Value {
        self.get(&format!("/api/v1/customers/{customer}/export"))
            .await
    }

    /// Saves settings; the new revision.
    pub async fn save(&self, customer: u64, settings: &Value) -> u64 {
        let reply = self
            .call(
                Method::PUT,
                &format!("/api/v1/customers/{customer}"),
                Some(settings),
            )
            .await
            .ok("save the customer");
        reply["revision"].as_u64().expect("a revision")
    }

    pub async fn create(&self, settings: &Value) -> u64 {
        let reply = self.post("/api/v1/customers", settings.clone()).await;
        reply["id"].as_u64().expect("a customer's id")
    }

    /// A command of the binary, in this person's name.
    pub async fn types(&self, arguments: &[&str]) -> Typed {
        let mut command = command();
        command
            .env("LOCKSTEP_URL", &self.url)
            .env("LOCKSTEP_TOKEN", &self.token)
            .env("LOCKSTEP_LOG", "warn")
            .args(arguments);
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        Typed::of(ran.expect("a thread").expect("the command runs"))
    }

    /// As `types`, and it must go well.
    pub async fn does(&self, arguments: &[&str]) -> Typed {
        let typed = self.types(arguments).await;
        assert_eq!(typed.code, 0, "lockstep {}: {typed:?}", arguments.join(" "));
        typed
    }

    /// `customers apply -f` of these settings.
    pub async fn apply_file(&self, folder: &Path, settings: &Value) -> Typed {
        let file = folder.join("customer.json");
        std::fs::write(&file, settings.to_string()).expect("a settings file");
        let path = file.to_str().expect("a path in UTF-8");
        self.does(&["--json", "customers", "apply", "-f", path])
            .await
    }
}
