//! A customer with three practice shops, a coordinator and a worker: each a process, in one temporary folder.

use super::books::{Books, in_step};
use super::coordinator::Coordinator;
use super::settings;
use super::shop::{PracticeShop, ShopClient};
use super::wait::{eventually, seconds};
use super::worker::Worker;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// How the ERP begins.
#[derive(Clone, Copy)]
pub struct ShopPlan {
    pub products: u32,
    pub units: u32,
    pub movable: bool,
    /// `enableSyncing` at first.
    pub enabled: bool,
    /// That it sends to; any, if none is named.
    pub countries: &'static [&'static str],
    /// The ERP has a second stock, `outlet`.
    pub outlet: bool,
    /// Web shop 2 makes other bytes of the pictures that it is given.
    pub re_encodes: bool,
}

impl Default for ShopPlan {
    fn default() -> Self {
        ShopPlan {
            products: 4,
            units: 10,
            movable: true,
            enabled: true,
            countries: &[],
            outlet: false,
            re_encodes: false,
        }
    }
}

pub struct Scene {
    // In this order they end: the worker first.
    pub worker: Worker,
    pub coordinator: Coordinator,
    pub erp: PracticeShop,
    pub web1: PracticeShop,
    pub web2: PracticeShop,
    pub customer: u64,
    pub join: String,
    pub folder: TempDir,
}

impl Scene {
    /// All of it runs and the customer is saved; nothing is waited for.
    pub async fn set(plan: ShopPlan) -> Scene {
        Scene::set_dying(plan, None).await
    }

    /// As `set`, with a worker that dies at a named point.
    pub async fn set_dying(plan: ShopPlan, crash_at: Option<&str>) -> Scene {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (erp, web1, web2) = shops(folder.path(), plan).await;
        let coordinator = Coordinator::start(folder.path()).await;
        let join = coordinator.join_token().await;
        let worker = Worker::start_dying(
            folder.path(),
            "worker-1",
            &coordinator.url,
            Some(&join),
            crash_at,
        );
        let clients = [erp.client(), web1.client(), web2.client()];
        let mut settings = settings::of_practice_shops(0, "Kahvila Oy", plan.movable, &clients);
        settings["customer"]["enableSyncing"] = plan.enabled.into();
        let customer = coordinator.people.create(&settings).await;
        Scene {
            worker,
            coordinator,
            erp,
            web1,
            web2,
            customer,
            join,
            folder,
        }
    }

    /// … and the catalogue has crossed: everything is in all three shops.
    pub async fn set_in_step(plan: ShopPlan) -> Scene {
        let scene = Scene::set(plan).await;
        scene.until_in_step().await;
        scene
    }

    pub async fn until_in_step(&self) {
        let shops = self.shops();
        eventually("the catalogue is in all shops", seconds(60), async || {
            in_step(&shops).await
        })
        .await;
        self.until_at_rest().await;
    }

    /// What a person is asked, once there is a question; the only one.
    pub async fn the_question(&self) -> Value {
        let people = &self.coordinator.people;
        let (list, _) = eventually("a person is asked", seconds(30), async || {
            let asked = people.types(&["--json", "conflicts", &self.id()]).await;
            match asked.code {
                // Something else may wait already.
                3 if asked.json() != json!([]) => Ok(asked.json()),
                _ => Err(format!("{asked:?}")),
            }
        })
        .await;
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
        list[0].clone()
    }

    pub async fn nobody_is_asked(&self) {
        let people = &self.coordinator.people;
        let left = people.types(&["--json", "conflicts", &self.id()]).await;
        assert_eq!(left.json(), json!([]));
    }

    /// No run goes on, by what the coordinator was told.
    pub async fn until_at_rest(&self) {
        eventually("no run goes on", seconds(60), async || {
            let runs = self.coordinator.people.runs(self.customer).await;
            match runs.iter().find(|run| run["finished_at"].is_null()) {
                Some(run) => Err(run.to_string()),
                None if runs.is_empty() => Err("there was none yet".into()),
                None => Ok(()),
            }
        })
        .await;
    }

    /// Changes the settings and waits until the worker has them in force; the new revision.
    pub async fn edit(&self, edit: impl FnOnce(&mut Value)) -> u64 {
        let people = &self.coordinator.people;
        let mut settings = people.export(self.customer).await;
        edit(&mut settings);
        let revision = people.save(self.customer, &settings).await;
        eventually("the worker has applied the edit", seconds(20), async || {
            let view = people
                .get(&format!("/api/v1/customers/{}", self.customer))
                .await;
            let applied = &view["row"]["applied"];
            match applied["revision"].as_u64() {
                Some(there) if there >= revision => Ok(()),
                _ => Err(view["row"].to_string()),
            }
        })
        .await;
        revision
    }

    /// Until the runs of this customer say all of these words.
    pub async fn until_told(&self, words: &[&str]) -> String {
        let what = format!("the customer's runs say {words:?}");
        let (told, _) = eventually(&what, seconds(60), async || {
            let told = self.coordinator.people.told(self.customer).await;
            match words.iter().all(|word| told.contains(word)) {
                true => Ok(told),
                false => Err(told),
            }
        })
        .await;
        told
    }

    pub fn shops(&self) -> [ShopClient; 3] {
        [self.erp.client(), self.web1.client(), self.web2.client()]
    }

    pub fn web_shops(&self) -> [ShopClient; 2] {
        [self.web1.client(), self.web2.client()]
    }

    pub async fn books(&self) -> Books {
        Books::open(&self.erp).await
    }

    pub fn id(&self) -> String {
        self.customer.to_string()
    }

    /// Another worker of the same coordinator, let in already.
    pub fn hire(&self, name: &str, crash_at: Option<&str>) -> Worker {
        let folder = self.folder.path();
        Worker::start_dying(
            folder,
            name,
            &self.coordinator.url,
            Some(&self.join),
            crash_at,
        )
    }

    /// `lockstep sync`, until its runs have ended. Any exit code but "wrong use".
    pub async fn sync(&self) {
        let typed = self
            .coordinator
            .people
            .types(&["--json", "sync", &self.id()])
            .await;
        assert_ne!(typed.code, 2, "{typed:?}");
    }
}

/// An ERP that takes on import, a web shop that takes at payment and one that reserves.
async fn shops(folder: &Path, plan: ShopPlan) -> (PracticeShop, PracticeShop, PracticeShop) {
    let products = plan.products.to_string();
    let units = plan.units.to_string();
    let mut erp = vec!["--products", products.as_str(), "--units", units.as_str()];
    if plan.outlet {
        erp.extend(["--stock", "outlet=Outlet"]);
    }
    let countries = plan.countries.iter();
    erp.extend(countries.flat_map(|country| ["--country", *country]));
    let web2: &[&str] = if plan.re_encodes {
        &["--re-encodes-pictures"]
    } else {
        &[]
    };
    tokio::join!(
        PracticeShop::start(folder, "ERP", "placement", &erp),
        PracticeShop::start(folder, "Web shop 1", "payment", &[]),
        PracticeShop::start(folder, "Web shop 2", "reserve", web2),
    )
}
