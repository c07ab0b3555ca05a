//! `lockstep demo`: a coordinator, a worker, an ERP and two web shops in one process, over the same messages as on
//! several machines. The worker enrols and is confirmed, the customer is saved, the catalogue crosses; then it is
//! a newcomer's to buy.

use crate::arguments::Demo;
use crate::exit::Exit;
use crate::people::{self, Api};
use crate::print;
use anyhow::Context;
use jiff::Timestamp;
use lockstep_coordinator::{CoordinatorConfig, RunningCoordinator};
use lockstep_model::settings::{
    Assortment, Branch, BranchId, BranchServiceIdentifier, Customer, CustomerHasService,
    CustomerSettings, OnWire, PaymentMethod, PaymentMethodId, PaymentMethodServiceIdentifier,
    Policies, RowId, Secret, Service, ShippingMethod, ShippingMethodId,
    ShippingMethodServiceIdentifier, ShopRole, Stock, StockId, StockServiceIdentifier,
};
use lockstep_model::{CustomerId, Lane, ShopId};
use lockstep_practice::{RunningShop, Seed, Shop, ShopConfig, Takes};
use lockstep_protocol::auth::Bearer;
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::Page;
use lockstep_protocol::people::customers::{ApplyReply, ApplyRequest, CustomerRow};
use lockstep_protocol::people::login::{LoginReply, LoginRequest, Me};
use lockstep_protocol::people::runs::RunView;
use lockstep_protocol::people::workers::{ConfirmReply, ConfirmRequest, WorkerList};
use lockstep_worker::{Reach, RunningWorker, Trust, WorkerConfig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOGIN_FILE: &str = "demo-login.json";
const UNITS_EACH: i64 = 10;
const ENROL_WITHIN: Duration = Duration::from_secs(30);
const IN_STEP_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What waits so long after all runs have ended is not about to be done by the next.
const WAITS_FOR: Duration = Duration::from_secs(2);

/// One of the three shops, as the demo begins it.
struct Cast {
    name: &'static str,
    folder: &'static str,
    role: ShopRole,
    takes: Takes,
    seeded: bool,
}

const CAST: [Cast; 3] = [
    Cast {
        name: "ERP",
        folder: "erp",
        role: ShopRole::Erp,
        takes: Takes::Placement,
        seeded: true,
    },
    Cast {
        name: "Web shop 1",
        folder: "web-shop-1",
        role: ShopRole::Shop,
        takes: Takes::Payment,
        seeded: false,
    },
    Cast {
        name: "Web shop 2",
        folder: "web-shop-2",
        role: ShopRole::Shop,
        takes: Takes::Reserve,
        seeded: false,
    },
];

pub async fn run(arguments: Demo, as_json: bool) -> anyhow::Result<Exit> {
    // A folder of one's own stays, ports included; else all of it goes away at the end.
    let temporary = match &arguments.data {
        Some(_) => None,
        None => Some(TemporaryFolder::make()?),
    };
    let folder = match (&arguments.data, &temporary) {
        (Some(data), _) => data.clone(),
        (None, Some(temporary)) => temporary.0.clone(),
        (None, None) => anyhow::bail!("there is no folder to keep the demo in"),
    };
    let stage = Stage::set(&folder, &arguments).await?;
    let opening = stage.settle(&stage.api()?).await?;
    stage.announce(&opening, as_json)?;
    super::until_stopped().await;
    stage.strike().await;
    Ok(Exit::Done)
}

struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn make() -> anyhow::Result<Self> {
        let name = format!("lockstep-demo-{:016x}", rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)
            .with_context(|| format!("{} could not be made", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "the demo's folder stays behind");
        }
    }
}

/// Everything that the demo runs.
struct Stage {
    coordinator: RunningCoordinator,
    worker: RunningWorker,
    shops: Vec<RunningShop>,
    customer: CustomerId,
    login: Login,
    started_at: Timestamp,
    /// The folder had a customer already.
    reopened: bool,
}

/// How the shops stand when the demo is announced.
enum Opening {
    InStep,
    /// What waits, in words.
    Waits(String),
}

impl Opening {
    fn waits(&self) -> Option<&str> {
        match self {
            Opening::InStep => None,
            Opening::Waits(what) => Some(what),
        }
    }
}

/// Shown at the start that made it; a later start on the same folder knows it from a file beside the data.
#[derive(serde::Serialize, serde::Deserialize)]
struct Login {
    user: String,
    password: String,
    api_token: String,
}

impl Stage {
    async fn set(folder: &Path, arguments: &Demo) -> anyhow::Result<Self> {
        let started_at = Timestamp::now();
        let mut shops = Vec::new();
        for cast in &CAST {
            let mut config = ShopConfig::new(folder.join(cast.folder));
            config.name = cast.name.into();
            config.takes = cast.takes;
            config.token = Some(kept_token(&folder.join(cast.folder))?.into());
            config.seed = cast.seeded.then(|| Seed {
                products: arguments.products,
                units_each: Some(UNITS_EACH),
                prefix: "KH".into(),
                ..Seed::default()
            });
            shops.push(Shop::start(config).await?);
        }
        let data = folder.join("coordinator");
        let mut config = CoordinatorConfig::local(&data, lockstep_connectors::registry());
        config.listen = arguments.listen;
        let coordinator = lockstep_coordinator::start(config).await?;
        let login = kept_login(&data, &coordinator)?;
        // Off loopback it shows a certificate of its own.
        let trust = match coordinator.fingerprint() {
            Some(fingerprint) => Trust::pinned(fingerprint)?,
            None => Trust::Web,
        };
        let (login, api) = still_good(login, &data, coordinator.url(), &trust).await?;
        let mut config = WorkerConfig::new(
            coordinator.url().parse()?,
            folder.join("worker"),
            lockstep_connectors::registry(),
        );
        config.name = "demo-worker".into();
        config.trust = trust;
        // Its three shops stand on this machine, and nothing else does that it has to call.
        config.reach = Reach::loopback();
        let worker = lockstep_worker::start(config).await?;
        confirm_worker(&api).await?;
        let (customer, reopened) = save_customer(&api, &shops).await?;
        let stage = Self {
            coordinator,
            worker,
            shops,
            customer,
            login,
            started_at,
            reopened,
        };
        Ok(stage)
    }

    /// Until every SKU of the ERP is in both web shops, with the same number left; or, on a folder that is opened again,
    /// until it is known what keeps them from being so. That is for people to see to, and no reason not to start.
    async fn settle(&self, api: &Api) -> anyhow::Result<Opening> {
        let client = reqwest::Client::new();
        let begun = Instant::now();
        let mut waiting_since = None;
        loop {
            let mut levels = Vec::new();
            for shop in &self.shops {
                levels.push(first_levels(&client, shop).await?);
            }
            let is_level = levels.windows(2).all(|pair| pair[0] == pair[1]);
            let standing = people::standing(api, self.customer).await?;
            let ended = !self.reopened || self.runs_have_ended(api).await?;
            if is_level && ended && (!self.reopened || standing.totals.waits() == 0) {
                return Ok(Opening::InStep);
            }
            let waits = self.reopened && ended && standing.totals.waits() > 0;
            let since = match waits {
                true => *waiting_since.get_or_insert_with(Instant::now),
                false => {
                    waiting_since = None;
                    Instant::now()
                }
            };
            if since.elapsed() > WAITS_FOR {
                return Ok(Opening::Waits(standing.totals.sentence()));
            }
            if begun.elapsed() > IN_STEP_WITHIN {
                return Ok(Opening::Waits(
                    "they are not in step yet; the console shows how far they are".into(),
                ));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Each lane has had a run since this start, and none goes on.
    async fn runs_have_ended(&self, api: &Api) -> anyhow::Result<bool> {
        let path = fill(paths::RUNS, &[&self.customer]);
        let runs: Page<RunView> = api.get(&path, &[]).await?;
        let ours = runs.items.iter();
        let ours: Vec<&RunView> = ours
            .filter(|run| run.started_at >= self.started_at)
            .collect();
        let had = |lane: &Lane| ours.iter().any(|run| run.lane == *lane);
        Ok(Lane::ALL.iter().all(had) && ours.iter().all(|run| !run.is_live()))
    }

    fn announce(&self, opening: &Opening, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            let shops: Vec<Value> = CAST
                .iter()
                .zip(&self.shops)
                .map(|(cast, shop)| {
                    json!({
                        "name": cast.name,
                        "role": cast.role,
                        "url": shop.url(),
                        "storefront_url": format!("{}/", shop.url()),
                        "api_token": shop.token(),
                    })
                })
                .collect();
            return print::json(&json!({
                "console_url": self.coordinator.url(),
                "user": self.login.user,
                "password": self.login.password,
                "api_token": self.login.api_token,
                "customer_id": self.customer,
                "waits": opening.waits(),
                "shops": shops,
            }));
        }
        match opening.waits() {
            None => print::line("Three shops are in step. Open these:"),
            Some(what) => print::line(&format!(
                "Three shops are there and not all in step: {what}. Open these:"
            )),
        }
        print::line("");
        print::line(&format!("  console     {}", self.coordinator.url()));
        print::line(&format!("    user      {}", self.login.user));
        print::line(&format!("    password  {}", self.login.password));
        for (cast, shop) in CAST.iter().zip(&self.shops) {
            let what = match cast.takes {
                Takes::Payment => "takes stock when an order is paid",
                Takes::Reserve => "reserves stock when an order is placed",
                _ => "owns products, prices and stock; orders come together here",
            };
            print::line(&format!("  {:<10}  {}/   {what}", cast.name, shop.url()));
        }
        print::line("");
        print::line(
            "Buy something in a web shop: its stock falls in the others, and the order arrives in the ERP.",
        );
        print::line(&format!(
            "From a terminal: LOCKSTEP_URL={} LOCKSTEP_TOKEN={} lockstep runs {}",
            self.coordinator.url(),
            self.login.api_token,
            self.customer
        ));
        print::line("Ctrl-C ends it.");
        Ok(())
    }

    fn api(&self) -> anyhow::Result<Api> {
        // Off loopback it shows a certificate of its own.
        let trust = match self.coordinator.fingerprint() {
            Some(fingerprint) => Trust::pinned(fingerprint)?,
            None => Trust::Web,
        };
        Api::new(
            self.coordinator.url(),
            self.login.api_token.as_str(),
            &trust,
        )
    }

    async fn strike(self) {
        if let Err(error) = self.worker.shutdown().await {
            tracing::warn!(%error, "the worker did not stop cleanly");
        }
        self.coordinator.shutdown().await;
        for shop in self.shops {
            shop.shutdown().await;
        }
    }
}

/// SKU and units left, of the first page: enough to see that the crossing ended.
async fn first_levels(
    client: &reqwest::Client,
    shop: &RunningShop,
) -> anyhow::Result<Vec<(String, i64)>> {
    let page: Value = client
        .get(format!("{}/api/v1/stock?limit=250", shop.url()))
        .bearer_auth(shop.token())
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let items = page["items"]
        .as_array()
        .context("the shop's stock is no list")?;
    let mut levels: Vec<(String, i64)> = items
        .iter()
        .filter_map(|item| Some((item["sku"].as_str()?.to_owned(), item["quantity"].as_i64()?)))
        .collect();
    levels.sort();
    Ok(levels)
}

/// A token that stays with the shop's folder.
fn kept_token(folder: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} could not be made", folder.display()))?;
    let file = folder.join("token");
    match std::fs::read_to_string(&file) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let token = format!("demo-{:032x}", rand::random::<u128>());
            write_private(&file, token.as_bytes())?;
            Ok(token)
        }
        Err(error) => Err(error).with_context(|| format!("{} could not be read", file.display())),
    }
}

fn kept_login(data: &Path, coordinator: &RunningCoordinator) -> anyhow::Result<Login> {
    let file = data.join(LOGIN_FILE);
    if let Some(first) = coordinator.first_login() {
        let login = Login {
            user: first.user.clone(),
            password: first.password.clone(),
            api_token: first.api_token.clone(),
        };
        write_private(&file, &serde_json::to_vec(&login)?)?;
        return Ok(login);
    }
    let bytes = std::fs::read(&file).with_context(|| {
        format!(
            "{} is gone, and with it this demo's login: begin anew in another folder",
            file.display()
        )
    })?;
    serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{} is damaged: begin anew in another folder",
            file.display()
        )
    })
}

/// Tokens end; the password of a demo's folder does not.
async fn still_good(
    login: Login,
    data: &Path,
    url: &str,
    trust: &Trust,
) -> anyhow::Result<(Login, Api)> {
    let api = Api::new(url, login.api_token.as_str(), trust)?;
    let known: anyhow::Result<Me> = api.get(paths::ME, &[]).await;
    if known.is_ok() {
        return Ok((login, api));
    }
    let request = LoginRequest {
        name: login.user.clone(),
        password: Bearer::new(login.password.as_str()),
        label: "demo".into(),
    };
    let stranger = Api::new(url, "", trust)?;
    let reply: LoginReply = stranger.post(paths::LOGIN, &request).await?;
    let login = Login {
        api_token: reply.token.reveal().to_owned(),
        ..login
    };
    write_private(&data.join(LOGIN_FILE), &serde_json::to_vec(&login)?)?;
    let api = Api::new(url, login.api_token.as_str(), trust)?;
    Ok((login, api))
}

fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut written = options
        .open(file)
        .with_context(|| format!("{} could not be written", file.display()))?;
    written.write_all(bytes)?;
    written.sync_all()?;
    Ok(())
}

/// What a person does in the console: looks at the code and confirms.
async fn confirm_worker(api: &Api) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let list: WorkerList = api.get(paths::WORKERS, &[]).await?;
        if let Some(pending) = list.pending.first() {
            let path = fill(paths::ENROLMENT_CONFIRM, &[&pending.enrolment]);
            let request = ConfirmRequest {
                code: pending.code.to_string(),
            };
            let _: ConfirmReply = api.post(&path, &request).await?;
            return Ok(());
        }
        // A second start on the same folder: it is known already.
        if list.workers.iter().any(|worker| worker.online) {
            return Ok(());
        }
        anyhow::ensure!(
            begun.elapsed() < ENROL_WITHIN,
            "the demo's worker did not ask to be let in within {} s",
            ENROL_WITHIN.as_secs()
        );
        sleep(LOOK_EVERY).await;
    }
}

/// Which it is, and whether it was there already: then its settings stay as people left them.
async fn save_customer(api: &Api, shops: &[RunningShop]) -> anyhow::Result<(CustomerId, bool)> {
    let known: Page<CustomerRow> = api.get(paths::CUSTOMERS, &[]).await?;
    let Some(id) = known.items.first().map(|row| row.id) else {
        let settings = settings(CustomerId::default(), shops);
        let request = ApplyRequest(OnWire(settings));
        let reply: ApplyReply = api.post(paths::CUSTOMERS, &request).await?;
        return Ok((reply.id, false));
    };
    let path = fill(paths::CUSTOMER_EXPORT, &[&id]);
    let mut settings: CustomerSettings = api.get(&path, &[]).await?;
    // The shops may listen elsewhere now.
    for (index, shop) in shops.iter().enumerate() {
        let shop_id = ShopId(index as u64 + 1);
        let services = settings.services.iter_mut();
        for service in services.filter(|service| service.id == shop_id) {
            service.url = shop.url().to_owned();
            let token = Some(Secret::new(shop.token()));
            service.credentials.insert("token".into(), token);
        }
    }
    let request = ApplyRequest(OnWire(settings));
    let reply: ApplyReply = api.put(&fill(paths::CUSTOMER, &[&id]), &request).await?;
    Ok((reply.id, true))
}

/// The demo's customer: one stock, one branch, the methods of the practice shops, everything owned by the ERP.
fn settings(id: CustomerId, shops: &[RunningShop]) -> CustomerSettings {
    let mut customer = Customer::new(id, "Kahvila Oy");
    customer.username = "kahvila".into();
    customer.email = "office@kahvila.example".into();
    customer.branch_id = Some(BranchId(1));
    customer.stock_id = Some(StockId(1));
    let mut settings = CustomerSettings::new(customer);
    let erp = ShopId(1);
    settings.policies = Policies::owned_by(erp);
    settings.branches.push(Branch {
        id: BranchId(1),
        name: "Web".into(),
    });
    settings.stocks.push(Stock {
        id: StockId(1),
        name: "Main warehouse".into(),
    });
    let payments = ["card", "invoice", "bank"];
    let shippings = ["post", "pickup"];
    for (index, name) in payments.iter().enumerate() {
        settings.payment_methods.push(PaymentMethod {
            id: PaymentMethodId(index as u64 + 1),
            name: (*name).into(),
            product_id: None,
        });
    }
    for (index, name) in shippings.iter().enumerate() {
        settings.shipping_methods.push(ShippingMethod {
            id: ShippingMethodId(index as u64 + 1),
            name: (*name).into(),
            product_id: None,
        });
    }
    let mut row = 0;
    let mut next_row = || {
        row += 1;
        RowId(row)
    };
    for (index, (cast, shop)) in CAST.iter().zip(shops).enumerate() {
        let shop_id = ShopId(index as u64 + 1);
        let mut service = Service::new(shop_id, cast.name, "practice", shop.url())
            .with_credential("token", Secret::new(shop.token()));
        service.hook_secret = Some(Secret::new(format!("{:032x}", rand::random::<u128>())));
        settings.services.push(service);
        let mut link = CustomerHasService::new(next_row(), id, shop_id, cast.role);
        link.assortment = Assortment::All;
        settings.customer_has_services.push(link);
        settings
            .stock_service_identifiers
            .push(StockServiceIdentifier {
                id: next_row(),
                stock_id: StockId(1),
                service_id: shop_id,
                identifier: "main".into(),
            });
        settings
            .branch_service_identifiers
            .push(BranchServiceIdentifier {
                id: next_row(),
                branch_id: BranchId(1),
                service_id: shop_id,
                identifier: "web".into(),
            });
        for (index, name) in payments.iter().enumerate() {
            settings
                .payment_method_service_identifiers
                .push(PaymentMethodServiceIdentifier {
                    id: next_row(),
                    payment_method_id: PaymentMethodId(index as u64 + 1),
                    service_id: shop_id,
                    identifier: (*name).into(),
                });
        }
        for (index, name) in shippings.iter().enumerate() {
            settings
                .shipping_method_service_identifiers
                .push(ShippingMethodServiceIdentifier {
                    id: next_row(),
                    shipping_method_id: ShippingMethodId(index as u64 + 1),
                    service_id: shop_id,
                    identifier: (*name).into(),
                });
        }
    }
    settings
}
