//! A coordinator that was started for one test, and the person who operates it.

use crate::platform::registry;
use lockstep_coordinator::{CoordinatorConfig, Login, RunningCoordinator, start};
use lockstep_model::{
    CustomerId, ShopId,
    settings::{
        Customer, CustomerHasService, CustomerSettings, OnWire, RowId, Secret, Service, ShopRole,
        Stock, StockId,
    },
};
use lockstep_protocol::{
    Problem,
    paths::{fill, people},
    people::customers::ApplyReply,
};
use reqwest::{Client, Method, RequestBuilder};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, sync::Once};
use tempfile::TempDir;

pub struct World {
    pub coordinator: RunningCoordinator,
    pub client: Client,
    pub login: Login,
    pub folder: TempDir,
}

pub fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Another test of this process may have been first.
        let _there_already = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().build().unwrap()
}

pub async fn coordinator_in(folder: &Path) -> RunningCoordinator {
    start(CoordinatorConfig::local(folder, registry()))
        .await
        .unwrap()
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let coordinator = coordinator_in(folder.path()).await;
        let login = coordinator.first_login().unwrap().clone();
        World {
            coordinator,
            client: client(),
            login,
            folder,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.coordinator.url())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, self.url(path))
            .bearer_auth(&self.login.api_token)
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        if_match: Option<u64>,
    ) -> Result<T, Problem> {
        let mut request = self.request(Method::PUT, path).json(body);
        if let Some(revision) = if_match {
            request = request.header("if-match", format!("\"{revision}\""));
        }
        answer(request).await
    }

    pub async fn apply(&self, settings: &CustomerSettings) -> ApplyReply {
        let path = fill(people::CUSTOMER, &[&settings.id()]);
        self.put(&path, &OnWire(settings.clone()), None)
            .await
            .unwrap()
    }
}

pub async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Problem> {
    let response = request.send().await.unwrap();
    let status = response.status();
    let bytes = response.bytes().await.unwrap();
    let json: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
    if status.is_success() {
        return Ok(serde_json::from_slice(json).unwrap());
    }
    let problem: Problem = serde_json::from_slice(json)
        .unwrap_or_else(|_| panic!("{status}: {}", String::from_utf8_lossy(&bytes)));
    assert_eq!(problem.status, status.as_u16());
    Err(problem)
}

/// A customer with one shop that can call us.
pub fn kahvila(id: u64) -> CustomerSettings {
    let id = CustomerId(id);
    let mut customer = Customer::new(id, format!("Kahvila {id}"));
    customer.stock_id = Some(StockId(1));
    let mut settings = CustomerSettings::new(customer);
    settings.stocks.push(Stock {
        id: StockId(1),
        name: "Main".into(),
    });
    let mut service = Service::new(ShopId(1), "ERP", "practice", "http://127.0.0.1:9")
        .with_credential("token", Secret::new("s3cret-of-the-shop"));
    service.hook_secret = Some(Secret::new("hook-secret"));
    settings.services.push(service);
    settings.customer_has_services.push(CustomerHasService::new(
        RowId(1),
        id,
        ShopId(1),
        ShopRole::Erp,
    ));
    settings
}
