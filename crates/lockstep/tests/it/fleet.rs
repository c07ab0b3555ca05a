//! Several workers: who gets which customer, what is told when nobody serves one, and that a worker that dies, lets go
//! late or stands on a restored coordinator leaves nobody waiting. Each is a process of its own.

use crate::world::{
    Books, Coordinator, People, PracticeShop, Scene, ShopClient, ShopPlan, Worker, eventually,
    holds_for, in_step, seconds, settings,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// A merchant with an ERP and a web shop.
struct Merchant {
    customer: u64,
    erp: PracticeShop,
    web: PracticeShop,
    books: Books,
    bought: usize,
}

impl Merchant {
    async fn new(folder: &Path, people: &People, number: u64, edit: impl Fn(&mut Value)) -> Self {
        let names = (format!("ERP {number}"), format!("Web shop {number}"));
        let seed = ["--products", "2", "--units", "50"];
        let (erp, web) = tokio::join!(
            PracticeShop::start(folder, &names.0, "placement", &seed),
            PracticeShop::start(folder, &names.1, "payment", &[]),
        );
        let clients = [erp.client(), web.client()];
        let name = format!("Kahvila {number}");
        let mut settings = settings::of_practice_shops(0, &name, true, &clients);
        edit(&mut settings);
        let books = Books::open(&erp).await;
        Merchant {
            customer: people.create(&settings).await,
            erp,
            web,
            books,
            bought: 0,
        }
    }

    fn shops(&self) -> [ShopClient; 2] {
        [self.erp.client(), self.web.client()]
    }

    async fn until_in_step(&self) {
        let what = format!("the catalogue of customer {} crosses", self.customer);
        eventually(&what, seconds(90), async || in_step(&self.shops()).await).await;
    }

    /// An order in the web shop crosses to the ERP, once.
    async fn is_served(&mut self, why: &str, within: u64) {
        let sku = self.erp.levels().await.into_keys().next().expect("a SKU");
        self.web.buy(&sku, 1, true).await;
        self.bought += 1;
        let what = format!("{why}: customer {} is served", self.customer);
        eventually(&what, seconds(within), async || self.is_right().await).await;
    }

    async fn is_right(&self) -> Result<(), String> {
        let web = [self.web.client()];
        self.books
            .orders_crossed_once(&self.erp, &web, self.bought)
            .await?;
        self.books.check(&self.shops()).await
    }
}

/// A coordinator, and workers that were let in and are there.
struct Fleet {
    workers: Vec<Worker>,
    coordinator: Coordinator,
    folder: TempDir,
}

impl Fleet {
    async fn of(names: &[&str]) -> Fleet {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let coordinator = Coordinator::start(folder.path()).await;
        let join = coordinator.join_token().await;
        let workers = names
            .iter()
            .map(|name| Worker::start(folder.path(), name, &coordinator.url, Some(&join)))
            .collect();
        let fleet = Fleet {
            workers,
            coordinator,
            folder,
        };
        for name in names {
            fleet.until_online(name).await;
        }
        fleet
    }

    async fn until_online(&self, name: &str) {
        let what = format!("{name} is there");
        eventually(&what, seconds(30), async || {
            match self.people().worker_named(name).await {
                Some(worker) if worker["online"] == true => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    fn people(&self) -> &People {
        &self.coordinator.people
    }

    async fn owner(&self, customer: u64) -> String {
        let path = format!("/api/v1/customers/{customer}");
        let view = self.people().get(&path).await;
        let owner = &view["row"]["owner"]["worker_name"];
        owner.as_str().unwrap_or_default().to_owned()
    }

    async fn give(&self, customer: u64, to: &str) {
        let customer = customer.to_string();
        self.people()
            .does(&["customers", "give", &customer, "--to", to])
            .await;
    }

    fn worker(&mut self, name: &str) -> &mut Worker {
        let mut workers = self.workers.iter_mut();
        workers.find(|worker| worker.name == name).expect(name)
    }

    /// What the overview says first is that customers are not served.
    async fn first_need(&self) -> Option<Value> {
        let overview = self.people().get("/api/v1/overview").await;
        let first = overview["needs_person"].as_array()?.first()?.clone();
        (first["kind"] == "not_served").then_some(first)
    }

    async fn until_nobody_waits(&self) {
        eventually("nobody is told to wait", seconds(40), async || {
            match self.first_need().await {
                None => Ok(()),
                Some(need) => Err(need.to_string()),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_two_workers_share_four_customers_and_whoever_is_not_served_is_told_of() {
    let mut fleet = Fleet::of(&["worker-1", "worker-2"]).await;
    let mut merchants = Vec::new();
    for number in 1..=4 {
        let (folder, people) = (fleet.folder.path(), fleet.people());
        merchants.push(Merchant::new(folder, people, number, |_| ()).await);
    }
    let mut load: BTreeMap<String, usize> = BTreeMap::new();
    for merchant in &merchants {
        let what = "a customer is given to a worker by itself";
        let (owner, _) = eventually(what, seconds(10), async || {
            let owner = fleet.owner(merchant.customer).await;
            if owner.is_empty() {
                Err("nobody has it".to_owned())
            } else {
                Ok(owner)
            }
        })
        .await;
        *load.entry(owner).or_default() += 1;
    }
    assert_eq!(load.into_values().collect::<Vec<_>>(), [2, 2]);
    for merchant in &mut merchants {
        merchant.until_in_step().await;
        merchant.is_served("at first", 60).await;
    }
    fleet.until_nobody_waits().await;

    // Given away and back at once.
    let first = merchants[0].customer;
    let at_first = fleet.owner(first).await;
    let other = match at_first.as_str() {
        "worker-1" => "worker-2",
        _ => "worker-1",
    };
    fleet.give(first, other).await;
    fleet.give(first, &at_first).await;
    merchants[0].is_served("given away and back", 40).await;

    // An owner that is killed is told of, and the way out with it.
    fleet.worker("worker-1").process.kill();
    let (need, took) = eventually("it is told", seconds(30), async || {
        let need = fleet.first_need().await.ok_or("nothing")?;
        // It was seen last for both within a moment of each other.
        match need.to_string() {
            told if told.contains("2 customers are not served") => Ok(need),
            told => Err(told),
        }
    })
    .await;
    println!("an owner that was killed was told of after {took:?}");
    let told = need.to_string();
    assert!(told.contains("worker-1 is away"), "{told}");
    assert!(!need["action"].as_str().unwrap_or_default().is_empty());
    let page = fleet.people().page("/").await;
    assert!(page.contains("2 customers are not served"), "{page}");
    fleet.worker("worker-1").start_again(None);
    fleet.until_nobody_waits().await;
    for merchant in &mut merchants {
        merchant.is_served("after it came back", 40).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_an_owner_that_was_killed_and_is_back_before_its_lease_was_over_lets_its_customer_go() {
    let mut fleet = Fleet::of(&["worker-1"]).await;
    let (folder, people) = (fleet.folder.path(), fleet.people());
    let mut merchant = Merchant::new(folder, people, 1, |_| ()).await;
    merchant.until_in_step().await;
    let join = fleet.coordinator.join_token().await;
    let second = Worker::start(folder, "worker-2", &fleet.coordinator.url, Some(&join));
    fleet.workers.push(second);
    fleet.until_online("worker-2").await;

    fleet.worker("worker-1").process.kill();
    fleet.give(merchant.customer, "worker-2").await;
    fleet.worker("worker-1").start_again(None);
    let what = "the other worker has it";
    let (_, took) = eventually(what, seconds(30), async || {
        match fleet.owner(merchant.customer).await.as_str() {
            "worker-2" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    println!("the other worker had it after {took:?}");
    merchant.is_served("after the move", 40).await;

    // The same once more, with a disk that knows nothing of what it let go of.
    fleet.worker("worker-2").process.kill();
    fleet.give(merchant.customer, "worker-1").await;
    let data = fleet.worker("worker-2").data.clone();
    std::fs::remove_file(data.join("settings.json")).expect("its settings go away");
    fleet.worker("worker-2").start_again(None);
    eventually("the first worker has it", seconds(30), async || match fleet
        .owner(merchant.customer)
        .await
        .as_str()
    {
        "worker-1" => Ok(()),
        other => Err(other.to_owned()),
    })
    .await;
    merchant.is_served("after the move back", 40).await;
    fleet.until_nobody_waits().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_a_customer_without_any_worker_is_told_of_and_goes_to_the_first_that_comes() {
    let mut fleet = Fleet::of(&[]).await;
    let (folder, people) = (fleet.folder.path(), fleet.people());
    let mut merchant = Merchant::new(folder, people, 1, |_| ()).await;
    let (need, _) = eventually("it is told", seconds(30), async || {
        fleet.first_need().await.ok_or_else(|| "nothing".to_owned())
    })
    .await;
    assert!(need.to_string().contains("no worker is there"), "{need}");
    let join = fleet.coordinator.join_token().await;
    let worker = Worker::start(folder, "worker-1", &fleet.coordinator.url, Some(&join));
    fleet.workers.push(worker);
    merchant.until_in_step().await;
    merchant.is_served("by the first that came", 40).await;
    fleet.until_nobody_waits().await;
}

/// A copy of a folder whose processes do not run.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file is copied");
        }
    }
}

async fn served_again_after_a_restore(movable: bool) {
    let plan = ShopPlan {
        movable,
        ..ShopPlan::default()
    };
    let mut scene = Scene::set_in_step(plan).await;
    let (shops, web, books) = (scene.shops(), scene.web_shops(), scene.books().await);
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let (data, backup) = (
        scene.coordinator.data.clone(),
        scene.folder.path().join("backup"),
    );
    scene.coordinator.process.kill();
    copy(&data, &backup);
    scene.coordinator.start_again().await;

    // What is done now is not in the backup.
    for (nth, shop) in web.iter().enumerate() {
        shop.buy(&sku, 1, true).await;
        eventually("the order crosses", seconds(40), async || {
            books.orders_crossed_once(&scene.erp, &web, nth + 1).await?;
            books.check(&shops).await
        })
        .await;
    }
    scene
        .edit(|settings| settings["customer"]["email"] = json!("new@kahvila.example"))
        .await;

    // The backup is restored beneath the worker, which runs on.
    scene.coordinator.process.kill();
    std::fs::remove_dir_all(&data).expect("the folder goes away");
    copy(&backup, &data);
    scene.coordinator.start_again().await;
    scene.web1.buy(&sku, 1, true).await;
    let (_, took) = eventually("it is served again", seconds(60), async || {
        books.orders_crossed_once(&scene.erp, &web, 3).await?;
        books.check(&shops).await
    })
    .await;
    println!("movable: {movable}: served again {took:?} after the coordinator was back");
    let people = &scene.coordinator.people;
    eventually(
        "the console says what became of it",
        seconds(30),
        async || {
            let overview = people.get("/api/v1/overview").await;
            let told = overview["needs_person"].to_string();
            let all = [
                "restored from an older backup",
                "goes on where it was before",
            ];
            match all.iter().all(|words| told.contains(words)) {
                true => Ok(()),
                false => Err(told),
            }
        },
    )
    .await;
    holds_for("nothing is done twice", seconds(5), async || {
        books.orders_crossed_once(&scene.erp, &web, 3).await?;
        books.check(&shops).await
    })
    .await;
    // The console's copy has the whole journal again.
    let path = format!("/api/v1/customers/{}/explain/{sku}", scene.customer);
    eventually(
        "the coordinator knows all three orders",
        seconds(40),
        async || {
            let answer = people.call(reqwest::Method::GET, &path, None).await;
            let pool = answer.body["stocks"][0]["pool"].as_str().map(str::to_owned);
            let known = pool.as_deref().and_then(|pool| pool.parse::<f64>().ok());
            match known == Some((books.seeded(&sku) - 3) as f64) {
                true => Ok(()),
                false => Err(answer.body.to_string()),
            }
        },
    )
    .await;
    // Wakes and questions count anew, below what the worker has seen, and are heard all the same.
    scene.sync().await;
    let plan = people.types(&["--json", "plan", &scene.id()]).await;
    assert_eq!(plan.code, 0, "{plan:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_a_backup_restored_beneath_a_running_worker_is_served_again_and_nothing_doubled() {
    served_again_after_a_restore(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_a_backup_restored_beneath_a_worker_that_keeps_its_customer() {
    served_again_after_a_restore(false).await;
}
