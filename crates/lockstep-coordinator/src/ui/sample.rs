//! A people's API with plausible answers, for the tests of the pages and for looking at them.

use super::{
    Console,
    orders::{ORDER, ORDERS, OrderLineRow, OrderPage, OrderRow, OrderSide},
    router,
};
use axum::{
    Json, Router,
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use jiff::{SignedDuration, Timestamp};
use lockstep_connector::{
    Account, Connector, Credential, Hint, HookDelivery, HookScheme, Http, Manifest, OrderCreation,
    Platform, Registry, StockWrite,
};
use lockstep_model::{
    ConflictId, CustomerId, Epoch, Fault, FaultKind, Flow, Fulfilment, Lane, Named, Payment,
    RecordId, Resolution, Revision, RunId, ShopId, ShopIdentity, WorkerId,
    entry::{Counts, Hold, RunResult},
    settings::{
        Customer, CustomerHasService, CustomerSettings, Mappable, NamedAt, Policies, RowId, Secret,
        Service, ShopRole, Stock, StockId, StockServiceIdentifier,
    },
};
use lockstep_protocol::{
    Code, EnrolmentId, Nonce, Problem, PublicKey, UserCode,
    auth::{Bearer, Facts},
    paths::people,
    people::{
        CallRate, Lag, Need, NeedKind, Overview, Page,
        asides::AsideView,
        buyers::ErasureView,
        customers::{ApplyReply, CustomerRow, CustomerView, Owner, ShopView},
        login::{LoginReply, LoginRow, MadeLogin, Me, Role, TokenRow},
        orders::{HeldGroup, HeldOrder, HeldView, Unmapped},
        plan::{
            ApplyPlanReply, Closed, ClosedShop, Plan, PlanCounts, PlanField, PlanRow, Preview, Sign,
        },
        records::{
            Choice, ConflictView, FieldRow, HistoryRow, LevelRow, MovementRow, RecordRow,
            RecordView, ShopColumn, StockExplained, StockLedger,
        },
        runs::{RunDetail, RunStep, RunView, SyncReply},
        search::SearchHitView,
        shops::{CheckReply, HookRow, HooksView, ListsReply},
        standing::{Health, Mood, Totals},
        undo::{UndoPreview, UndoReply, UndoRow},
        workers::{
            Applied, ConfirmReply, JoinTokenReply, PendingView, WorkerCustomer, WorkerList,
            WorkerState, WorkerView,
        },
    },
    status::{ApplyState, Phase},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

pub const TOKEN: &str = "lockstep_test_token";
pub const VIEWER: &str = "lockstep_test_viewer";
const KAHVILA: CustomerId = CustomerId(7);
const ERP: ShopId = ShopId(1);
const WOO: ShopId = ShopId(2);
const WEB: ShopId = ShopId(3);

struct Practice;

static MANIFEST: Manifest = Manifest {
    platform: "practice",
    name: "Practice shop",
    credentials: &[Credential {
        name: "token",
        label: "API token",
        secret: true,
    }],
    paging: &[],
    batches: &[],
    stock_write: StockWrite::CompareAndSet,
    orders: OrderCreation::UniqueKey,
    order_steps: lockstep_model::StepSort::ALL,
    settles_after: std::time::Duration::from_secs(10),
    hooks: HookScheme::Topics(&["product.updated", "order.placed", "stock.updated"]),
    holds: Manifest::holds_all,
    removes: Manifest::removes_all,
};

static OTHER: Manifest = Manifest {
    platform: "medusa",
    name: "Medusa",
    credentials: &[
        Credential {
            name: "api_key",
            label: "Secret API key",
            secret: true,
        },
        Credential {
            name: "sales_channel",
            label: "Sales channel",
            secret: false,
        },
    ],
    hooks: HookScheme::None,
    ..MANIFEST
};

impl Platform for Practice {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn connect(&self, _: Account, _: Arc<dyn Http>) -> Box<dyn Connector> {
        unreachable!("the console calls no shop")
    }

    fn hint(&self, _: HookDelivery<'_>) -> Hint {
        Hint::Refused
    }
}

struct Medusa;

impl Platform for Medusa {
    fn manifest(&self) -> &'static Manifest {
        &OTHER
    }

    fn connect(&self, _: Account, _: Arc<dyn Http>) -> Box<dyn Connector> {
        unreachable!("the console calls no shop")
    }

    fn hint(&self, _: HookDelivery<'_>) -> Hint {
        Hint::Refused
    }
}

/// What was sent to the API, as (call, body).
pub type Sent = Arc<Mutex<Vec<(String, Value)>>>;

pub struct Sample {
    pub sent: Sent,
    pub router: Router,
}

/// The console over an API that is full, or over one where nothing was set up yet.
pub fn console(full: bool) -> Sample {
    let sent = Sent::default();
    let router = router(Console {
        api: api(full, sent.clone()),
        platforms: Registry::new(vec![Arc::new(Practice), Arc::new(Medusa)]),
        secure: false,
    });
    Sample { sent, router }
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

fn refusal(code: Code, detail: &str) -> Response {
    (code.status(), Json(Problem::new(code, detail))).into_response()
}

fn me(headers: &HeaderMap) -> Response {
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let role = match bearer.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(TOKEN) => Role::Operator,
        Some(VIEWER) => Role::Viewer,
        _ => return refusal(Code::LoginRequired, "Log in first."),
    };
    Json(Me {
        name: "maija".into(),
        role,
        customer_id: None,
    })
    .into_response()
}

fn enrolment() -> EnrolmentId {
    EnrolmentId("e5f0c1".into())
}

pub fn code() -> UserCode {
    UserCode::new(&PublicKey([1; 32]), &enrolment(), &Nonce([1; 16]))
}

fn facts(host: &str) -> Facts {
    Facts {
        host: host.into(),
        os: "Debian 13".into(),
        arch: "x86_64".into(),
        other: BTreeMap::from([("memory".into(), "3.8 GiB".into())]),
    }
}

fn worker(id: u64, name: &str, state: WorkerState, online: bool) -> WorkerView {
    WorkerView {
        id: WorkerId(id),
        name: name.into(),
        state,
        online,
        fingerprint: "SHA256:mWq2x0F1r8Qd9bq4HkJtY7c3vNzP5sLe6uAaBcDeFgH".into(),
        build: "0.1.0 (467eeae)".into(),
        platforms: vec!["practice".into(), "medusa".into()],
        facts: facts(name),
        last_seen_at: Some(ago(if online { 3 } else { 4_000 })),
        token_expires_at: Some(Timestamp::now() + SignedDuration::from_hours(24 * 21)),
        customers: if id == 1 {
            vec![
                WorkerCustomer {
                    id: KAHVILA,
                    name: "Kahvila Oy".into(),
                    epoch: Epoch(3),
                    revision: Revision(12),
                    applied: Some(Applied {
                        revision: Revision(12),
                        state: ApplyState::Applied,
                        error: None,
                    }),
                },
                WorkerCustomer {
                    id: CustomerId(8),
                    name: "Lumo".into(),
                    epoch: Epoch(1),
                    revision: Revision(4),
                    applied: Some(Applied {
                        revision: Revision(4),
                        state: ApplyState::Failed,
                        error: Some(
                            "This build does not speak the platform \"woocommerce\".".into(),
                        ),
                    }),
                },
            ]
        } else {
            vec![]
        },
    }
}

fn workers(full: bool) -> WorkerList {
    if !full {
        return WorkerList {
            workers: vec![],
            pending: vec![],
        };
    }
    WorkerList {
        workers: vec![
            worker(1, "tampere-1", WorkerState::Active, true),
            worker(2, "oulu-1", WorkerState::Draining, true),
            worker(3, "old-laptop", WorkerState::Active, false),
        ],
        pending: vec![PendingView {
            enrolment: enrolment(),
            name: "tampere-2".into(),
            code: code(),
            fingerprint: "SHA256:Zk3x0F1r8Qd9bq4HkJtY7c3vNzP5sLe6uAaBcDeFgH1".into(),
            address: "10.0.4.7".into(),
            build: "0.1.0 (467eeae)".into(),
            platforms: vec!["practice".into(), "medusa".into()],
            facts: facts("tampere-2"),
            asked_at: ago(125),
            expires_at: Timestamp::now() + SignedDuration::from_secs(775),
        }],
    }
}

fn totals() -> Totals {
    Totals {
        writes: 0,
        blocked: 212,
        aside: 2,
        questions: 4,
        held: 1,
        outside: 40,
    }
}

fn overview(full: bool) -> Overview {
    let need = |kind, title: &str, detail: &str, href: &str, seconds| Need {
        kind,
        title: title.into(),
        detail: detail.into(),
        href: href.into(),
        since: Some(ago(seconds)),
        action: match kind {
            NeedKind::ShopFailed => "Replace the key".into(),
            NeedKind::Conflict => "Decide".into(),
            _ => String::new(),
        },
        times: if kind == NeedKind::ShopFailed { 14 } else { 0 },
        again: (kind == NeedKind::ShopFailed).then_some((CustomerId(8), ShopId(2))),
    };
    Overview {
        needs_person: if full {
            vec![
                need(
                    NeedKind::WorkerPending,
                    "worker \"tampere-2\" waits",
                    "",
                    "/workers",
                    125,
                ),
                need(
                    NeedKind::Conflict,
                    "price of KH-100 changed in two shops",
                    "Kahvila Oy: ERP says 7.20, Web shop says 6.50. The field stays as it is in each until you decide.",
                    "/customers/7/conflicts#conflict-31",
                    900,
                ),
                need(
                    NeedKind::ShopFailed,
                    "WooCommerce at Lumo refuses our key (401)",
                    "212 changes wait and nothing is lost. Replace the key, then they are written.",
                    "/customers/8/shops/2",
                    22_000,
                ),
                need(
                    NeedKind::OrderHeld,
                    "order 1043 of Web shop is held",
                    "The receiving shop has no payment method for \"mobilepay\". Name it once and all orders that wait for the same are let go.",
                    "/customers/7/orders/lockstep%3A7%3A2%3A5003",
                    3_000,
                ),
            ]
        } else {
            vec![]
        },
        customers: if full { 312 } else { 0 },
        records: if full { 1_204_551 } else { 0 },
        workers_active: if full { 2 } else { 0 },
        workers_pending: u64::from(full),
        runs_live: u64::from(full),
        records_apart: if full { 241 } else { 0 },
        totals: if full { totals() } else { Totals::default() },
        lag: full.then_some(Lag {
            p50_ms: 840,
            p99_ms: 4_120,
            writes: 1_312,
            minutes: 15,
        }),
        calls: full.then_some(CallRate {
            calls: 2_460,
            seconds: 60,
            allowed_per_second: Some(220.0),
        }),
    }
}

pub fn settings() -> CustomerSettings {
    let mut customer = Customer::new(KAHVILA, "Kahvila Oy");
    customer.email = "ostot@kahvila.example".into();
    customer.stock_id = Some(StockId(1));
    let mut settings = CustomerSettings::new(customer);
    for (id, name, role) in [
        (ERP, "ERP", ShopRole::Erp),
        (WOO, "Web shop", ShopRole::Shop),
        (WEB, "B2B shop", ShopRole::Shop),
    ] {
        let url = format!(
            "https://{}.kahvila.example",
            name.to_lowercase().replace(' ', "-")
        );
        settings.services.push(
            Service::new(id, name, "practice", url).with_credential("token", Secret::new("s3cret")),
        );
        settings.customer_has_services.push(CustomerHasService::new(
            RowId(id.0),
            KAHVILA,
            id,
            role,
        ));
    }
    settings.services[2].read_only = true;
    settings.stocks.push(Stock {
        id: StockId(1),
        name: "Main warehouse".into(),
    });
    settings.stocks.push(Stock {
        id: StockId(2),
        name: "Café".into(),
    });
    for (row, shop, identifier) in [(1, ERP, "WH1"), (2, WOO, "main")] {
        settings
            .stock_service_identifiers
            .push(StockServiceIdentifier {
                id: RowId(row),
                stock_id: StockId(1),
                service_id: shop,
                identifier: identifier.into(),
            });
    }
    settings.policies = Policies::owned_by(ERP);
    settings.policies.stock.buffer.insert(WEB, Decimal::from(2));
    settings
}

fn customer_row(id: u64, name: &str) -> CustomerRow {
    CustomerRow {
        id: CustomerId(id),
        name: name.into(),
        email: format!("ostot@{}.example", name.to_lowercase().replace(' ', "-")),
        revision: Revision(12),
        enabled: id != 9,
        records: if id == 9 { 0 } else { 4_812 },
        records_apart: if id == 8 { 212 } else { 0 },
        totals: if id == 9 { Totals::default() } else { totals() },
        health: match id {
            7 => Health::new(Mood::Good, "in step"),
            8 => Health::new(Mood::Failed, "a shop fails").because("401 from WooCommerce"),
            _ => Health::new(Mood::Idle, "switched off"),
        },
        locked: false,
        movable: id != 8,
        shops: 3,
        owner: (id != 9).then(|| Owner {
            worker_id: WorkerId(1),
            worker_name: "tampere-1".into(),
            epoch: Epoch(3),
        }),
        applied: match id {
            7 => Some(Applied {
                revision: Revision(12),
                state: ApplyState::Applied,
                error: None,
            }),
            8 => Some(Applied {
                revision: Revision(11),
                state: ApplyState::Failed,
                error: Some("This build does not speak the platform \"woocommerce\".".into()),
            }),
            _ => None,
        },
    }
}

fn hooks(shop: u64) -> HooksView {
    let row = |topic: &str, flow, active| HookRow {
        flow,
        topic: topic.into(),
        url: "https://sync.example/hooks/v1/7/2/…".into(),
        active,
    };
    HooksView {
        possible: shop != 3,
        hooks: vec![
            row("product.updated", Flow::Products, true),
            row("order.placed", Flow::Orders, false),
        ],
        registered_at: Some(ago(7_000)),
        mended: None,
        problem: (shop == 1).then(|| "the shop answers 403".to_owned()),
        delivered_at: Some(ago(40)),
        since: ago(90_000),
    }
}

fn customers(full: bool) -> Page<CustomerRow> {
    if !full {
        return Page::whole(vec![]);
    }
    let mut page = Page::whole(vec![
        customer_row(7, "Kahvila Oy"),
        customer_row(8, "Lumo"),
        customer_row(9, "Pyörä & Puu <Oy>"),
    ]);
    page.next = Some("c9".into());
    page
}

fn customer(id: u64) -> Response {
    let row = match id {
        7 => customer_row(7, "Kahvila Oy"),
        8 => customer_row(8, "Lumo"),
        9 => customer_row(9, "Pyörä & Puu <Oy>"),
        _ => return refusal(Code::NotFound, "There is no customer with this id."),
    };
    let settings = if id == 9 {
        let mut customer = Customer::new(CustomerId(9), &row.name);
        customer.enable_syncing = false;
        CustomerSettings::new(customer)
    } else {
        settings()
    };
    Json(CustomerView {
        row,
        settings,
        updated_at: ago(7_300),
        shops: vec![
            ShopView {
                shop: ERP,
                health: Health::new(Mood::Good, "answers").since(Some(ago(12))),
                answered_at: Some(ago(12)),
            },
            ShopView {
                shop: WOO,
                health: Health::new(Mood::Failed, "refuses our key")
                    .because("401 from Web shop")
                    .since(Some(ago(900))),
                answered_at: Some(ago(901)),
            },
        ],
    })
    .into_response()
}

fn run(id: u64) -> RunView {
    let live = id == 8_813;
    let (result, message, counts) = match id {
        8_813 => (
            None,
            "",
            Counts {
                pulled: 4_250,
                changed: 312,
                calls: 18,
                ..Counts::default()
            },
        ),
        8_811 => (
            Some(RunResult::Partly),
            "2 records stand aside: Web shop refuses their price.",
            Counts {
                pulled: 250,
                changed: 12,
                written: 22,
                failed: 2,
                calls: 9,
                ..Counts::default()
            },
        ),
        8_810 => (
            Some(RunResult::Failed),
            "ERP did not answer within 30 s. Nothing was written; the run begins again in 1 min.",
            Counts {
                calls: 3,
                ..Counts::default()
            },
        ),
        _ => (
            Some(RunResult::Done),
            "",
            Counts {
                pulled: 250,
                changed: 3,
                written: 4,
                calls: 7,
                conflicts: u64::from(id == 8_809),
                ..Counts::default()
            },
        ),
    };
    RunView {
        customer_id: KAHVILA,
        customer_name: "Kahvila Oy".into(),
        run: RunId(id),
        lane: if id.is_multiple_of(2) {
            Lane::Trade
        } else {
            Lane::Catalogue
        },
        worker_id: WorkerId(1),
        revision: Revision(12),
        cause: if live {
            "webhook of Web shop".into()
        } else {
            "schedule".into()
        },
        phase: if live { Phase::Pull } else { Phase::Finished },
        counts,
        expected: live.then_some(10_000),
        message: message.into(),
        started_at: ago(((8_814 - id) * 40).cast_signed()),
        finished_at: (!live).then(|| ago(((8_814 - id) * 40).cast_signed() - 6)),
        result,
        why: None,
        heard_at: ago(2),
    }
}

fn runs() -> Page<RunView> {
    Page::whole((8_806..=8_813).rev().map(run).collect())
}

fn run_detail(id: u64) -> RunDetail {
    let step = |seq, shop, title: &str, detail: &str| RunStep {
        at: ago(40),
        seq,
        shop,
        title: title.into(),
        detail: detail.into(),
    };
    RunDetail {
        run: run(id),
        steps: vec![
            step(
                90_101,
                Some(ERP),
                "250 products read",
                "12 changed, none unreadable",
            ),
            step(
                90_102,
                None,
                "KH-100 Coffee 500 g: price 6.90 → 7.20",
                "changed in ERP",
            ),
            step(
                90_103,
                Some(WOO),
                "price of KH-100 is about to be written",
                "6.90 → 7.20",
            ),
            step(
                90_104,
                Some(WOO),
                "price of KH-100 was written",
                "the shop holds 7.20",
            ),
            step(
                90_105,
                Some(WOO),
                "KH-220 stands aside",
                "Web shop refuses the price: \"regular_price must be a decimal\". Tried 3 times; next try in 4 min. Mend the price in ERP, or wait.",
            ),
        ],
        next: Some("90105".into()),
    }
}

fn record_row(id: u64, key: &str, title: &str) -> RecordRow {
    RecordRow {
        record: RecordId(id),
        kind: "product".into(),
        key: key.into(),
        title: title.into(),
    }
}

fn conflict() -> ConflictView {
    ConflictView {
        conflict: ConflictId(31),
        customer_id: KAHVILA,
        opened_at: ago(900),
        record: Some(record_row(100, "KH-100", "Coffee 500 g")),
        title: "price of KH-100 changed in two shops".into(),
        detail: "ERP changed it to 7.20 and Web shop to 6.50 within the same minute; before it was 6.90.".into(),
        choices: vec![
            Choice { label: "Use ERP's 7.20".into(), decision: Resolution::UseShop { shop_id: ERP } },
            Choice { label: "Use Web shop's 6.50".into(), decision: Resolution::UseShop { shop_id: WOO } },
            Choice { label: "Another value".into(), decision: Resolution::UseValue { value: lockstep_model::Value::Empty } },
        ],
    }
}

fn history() -> Vec<HistoryRow> {
    let row = |seconds, seq, run, what: &str, why: &str| HistoryRow {
        at: ago(seconds),
        seq,
        run,
        what: what.into(),
        why: why.into(),
        who: "Lockstep".into(),
        moved: None,
        cause: String::new(),
        times: 1,
        first_at: None,
    };
    vec![
        row(
            40,
            90_104,
            Some(RunId(8_812)),
            "price 6.90 → 7.20",
            "pushed to Web shop, B2B shop by run 8812",
        ),
        row(
            42,
            90_102,
            Some(RunId(8_812)),
            "price 6.90 → 7.20",
            "changed in ERP",
        ),
        row(
            90_000,
            81_200,
            Some(RunId(7_700)),
            "linked",
            "Web shop's product 511 has the same SKU",
        ),
        row(90_001, 81_199, None, "first read", "from ERP"),
    ]
}

fn record() -> RecordView {
    let long = "Dark roast from Antigua, Guatemala: chocolate, almond, a little orange. Whole beans, 500 g, roasted in Tampere every Tuesday.";
    let field = |path: &str, values: &[(ShopId, &str)], ours: &str, decides: &str| FieldRow {
        path: path.into(),
        values: values
            .iter()
            .map(|(shop, value)| (*shop, (*value).to_owned()))
            .collect(),
        ours: Some(ours.into()),
        decides: decides.into(),
    };
    RecordView {
        customer_id: KAHVILA,
        row: record_row(100, "KH-100", "Coffee 500 g"),
        shops: vec![
            ShopColumn {
                shop: ERP,
                name: "ERP".into(),
                id: Some("P-100".into()),
            },
            ShopColumn {
                shop: WOO,
                name: "Web shop".into(),
                id: Some("511".into()),
            },
            ShopColumn {
                shop: WEB,
                name: "B2B shop".into(),
                id: None,
            },
        ],
        fields: vec![
            field(
                "title",
                &[(ERP, "Coffee 500 g"), (WOO, "Coffee 500 g")],
                "Coffee 500 g",
                "ERP",
            ),
            field("description", &[(ERP, ""), (WOO, long)], long, "newest"),
            field(
                "text/fi/description",
                &[(WOO, "Tummapaahto")],
                "Tummapaahto",
                "newest",
            ),
            field(
                "variant/KH-100/price/EUR",
                &[(ERP, "7.20"), (WOO, "6.50")],
                "7.20",
                "ERP",
            ),
            field(
                "variant/KH-100/gtin",
                &[(ERP, "6430012345670"), (WOO, "6430012345670")],
                "6430012345670",
                "ERP",
            ),
            field(
                "variant/KH-100-1K/price/EUR",
                &[(ERP, "12.90"), (WOO, "12.90")],
                "12.90",
                "ERP",
            ),
        ],
        history: history(),
        conflicts: vec![conflict()],
        as_of: Some(ago(2)),
    }
}

fn explained(sku: &str) -> StockExplained {
    let level =
        |shop, name: &str, on_hand: i64, reserved: i64, taken: i64, pending: i64, target: i64| {
            LevelRow {
                shop,
                name: name.into(),
                on_hand: on_hand.into(),
                reserved: reserved.into(),
                available: (on_hand - reserved).into(),
                taken: taken.into(),
                sells_from: vec![],
                pending: pending.into(),
                target: target.into(),
                clamped: false,
            }
        };
    let moved = |seconds, units: i64, what: &str, order: Option<&str>| MovementRow {
        at: ago(seconds),
        units: units.into(),
        what: what.into(),
        order: order.map(Into::into),
    };
    StockExplained {
        customer_id: KAHVILA,
        sku: sku.into(),
        stocks: vec![StockLedger {
            stock: StockId(1),
            stock_name: "Main warehouse".into(),
            base: Decimal::from(15),
            committed: Decimal::from(3),
            pool: Decimal::from(12),
            levels: vec![
                level(ERP, "ERP", 12, 0, 3, 0, 12),
                level(WOO, "Web shop", 7, 0, 1, 0, 12),
                level(WEB, "B2B shop", 14, 2, 2, 0, 12),
            ],
            movements: vec![
                moved(9_000, 10, "opening", None),
                moved(
                    7_000,
                    -1,
                    "sold",
                    Some("Web shop 1041; its copy in ERP, S-76, is the same order"),
                ),
                moved(
                    6_000,
                    -2,
                    "sold",
                    Some("B2B shop 2007; its copy in ERP, S-77, is the same order"),
                ),
                moved(5_000, 5, "receipt (ERP)", None),
            ],
        }],
        as_of: Some(ago(2)),
    }
}

fn order_row(id: &str, number: &str, held: bool) -> OrderRow {
    OrderRow {
        key: format!("lockstep:7:2:{id}"),
        number: number.into(),
        origin: WOO,
        origin_name: "Web shop".into(),
        placed_at: ago(7_000),
        currency: "EUR".into(),
        total: Decimal::new(2490, 2),
        payment: if held {
            Payment::Pending
        } else {
            Payment::Paid
        },
        fulfilment: if number == "1041" {
            Fulfilment::Shipped
        } else {
            Fulfilment::Open
        },
        cancelled: number == "1040",
        copies: if held {
            vec![]
        } else {
            vec![side(ERP, "ERP", "S-76")]
        },
        held: held.then(|| "ERP has no payment method for \"mobilepay\".".into()),
    }
}

fn side(shop: ShopId, name: &str, number: &str) -> OrderSide {
    OrderSide {
        shop,
        name: name.into(),
        id: format!("id-{number}"),
        number: number.into(),
        payment: Payment::Paid,
        fulfilment: Fulfilment::Shipped,
        cancelled: false,
        taken: Decimal::ONE,
    }
}

fn unmapped_payment() -> Hold {
    Hold::UnmappedPaymentMethod {
        id: "mobilepay".into(),
    }
}

fn held_order(number: &str, why: &str) -> HeldOrder {
    HeldOrder {
        key: format!("lockstep:7:2:{number}"),
        number: number.into(),
        placed_at: None,
        why: why.into(),
    }
}

fn held_orders() -> HeldView {
    let group =
        |title: &str, reason: Hold, unmapped: Option<Unmapped>, order: HeldOrder| HeldGroup {
            title: title.into(),
            detail: "Say once what ERP calls it.".into(),
            reason,
            origin: WOO,
            origin_name: "Web shop".into(),
            count: 12,
            orders: vec![order],
            unmapped,
        };
    let unmapped = Unmapped {
        what: Mappable::PaymentMethod,
        from: NamedAt {
            shop: WOO,
            id: "mobilepay".into(),
        },
        into: ERP,
        into_name: "ERP".into(),
    };
    HeldView {
        groups: vec![
            group(
                "12 orders of Web shop wait for the payment method \"mobilepay\"",
                unmapped_payment(),
                Some(unmapped),
                held_order("1043", "no identifier"),
            ),
            group(
                "An order of Web shop may have been made already",
                Hold::InDoubt,
                None,
                held_order("1044", "look whether it is there"),
            ),
            group(
                "An order of Web shop does not add up",
                Hold::Sums {
                    total: Decimal::TEN,
                    parts: Decimal::ONE,
                },
                None,
                held_order("1045", "its parts add up to 1, not to 10"),
            ),
        ],
        as_of: None,
    }
}

fn order(key: &str) -> OrderPage {
    let held = key.ends_with("5003");
    let row = order_row("5001", if held { "1043" } else { "1041" }, held);
    let mut sides = vec![side(WOO, "Web shop", &row.number)];
    sides.extend(row.copies.clone());
    OrderPage {
        row,
        sides,
        lines: vec![
            OrderLineRow {
                sku: Some("KH-100".into()),
                title: "Coffee 500 g".into(),
                quantity: Some(Decimal::from(2)),
                gross: Decimal::new(1440, 2),
                tax: Decimal::new(171, 2),
                tax_rate: Decimal::new(135, 1),
                shipped: Decimal::ONE,
                cancelled: Decimal::ZERO,
                returned: Decimal::ZERO,
            },
            OrderLineRow {
                sku: None,
                title: "Shipping".into(),
                quantity: None,
                gross: Decimal::new(1050, 2),
                tax: Decimal::new(213, 2),
                tax_rate: Decimal::new(255, 1),
                shipped: Decimal::ZERO,
                cancelled: Decimal::ZERO,
                returned: Decimal::ZERO,
            },
        ],
        history: history(),
        as_of: Some(ago(2)),
        erased_at: None,
        erased_by: None,
        hold: held.then(unmapped_payment),
    }
}

fn undo() -> UndoPreview {
    let row = |shop, field: Option<&str>, put_back, why: &str| UndoRow {
        shop,
        key: "KH-100 Coffee 500 g".into(),
        field: field.map(str::to_owned),
        now: field.map(|_| "7.20".into()),
        back: field.map(|_| "6.90".into()),
        put_back,
        why: why.into(),
    };
    UndoPreview {
        customer_id: CustomerId(7),
        run: RunId(8_807),
        made_at: ago(2),
        put_back: 1,
        as_before: 0,
        left: 1,
        rows: vec![
            row(
                WOO,
                Some("variant/KH-100/price/EUR"),
                true,
                "still as the run wrote it",
            ),
            row(
                ERP,
                None,
                false,
                "made by this run: archive it in its owner",
            ),
        ],
        cut: false,
    }
}

fn plan() -> Plan {
    let field = |path: &str, from: Option<&str>, to: Option<&str>, why: &str| PlanField {
        path: path.into(),
        from: from.map(Into::into),
        to: to.map(Into::into),
        why: why.into(),
    };
    let row = |sign, shop, kind: &str, key: &str, title: &str, fields| PlanRow {
        sign,
        shop,
        kind: kind.into(),
        key: key.into(),
        title: title.into(),
        fields,
    };
    Plan {
        id: "p-8814".into(),
        customer_id: KAHVILA,
        revision: Revision(12),
        made_at: Timestamp::now(),
        counts: PlanCounts {
            create: 12,
            update: 240,
            archive: 1,
            remove: 0,
            stock: 31,
            orders: 2,
        },
        totals: Totals {
            writes: 269,
            blocked: 17,
            aside: 2,
            questions: 4,
            held: 1,
            outside: 40,
        },
        closed: vec![ClosedShop {
            shop: WEB,
            name: "B2B shop".into(),
            why: Closed::ReadOnly,
            writes: 17,
        }],
        unread: vec![],
        rows: vec![
            row(
                Sign::Create,
                WEB,
                "product",
                "KH-410",
                "Oat drink 1 l",
                vec![
                    field("title", None, Some("Oat drink 1 l"), "owner: ERP"),
                    field("price EUR", None, Some("2.10"), "owner: ERP"),
                ],
            ),
            row(
                Sign::Update,
                WOO,
                "product",
                "KH-100",
                "Coffee 500 g",
                vec![field(
                    "price EUR",
                    Some("6.90"),
                    Some("7.20"),
                    "owner: ERP, changed 09:02",
                )],
            ),
            row(
                Sign::Update,
                WEB,
                "level",
                "KH-100",
                "Coffee 500 g",
                vec![field(
                    "stock",
                    Some("12"),
                    Some("9"),
                    "sold: 2 in Web shop 1041, 1 at the counter (ERP S-77)",
                )],
            ),
            row(
                Sign::Archive,
                WOO,
                "product",
                "KH-007",
                "Filter papers",
                vec![field(
                    "status",
                    Some("active"),
                    None,
                    "gone in ERP since 08:40",
                )],
            ),
            row(
                Sign::Ask,
                WOO,
                "order",
                "1043",
                "",
                vec![field(
                    "payment method",
                    Some("mobilepay"),
                    None,
                    "ERP has no such method",
                )],
            ),
        ],
        cut: true,
        stopped_by: vec![
            "21 % of the products of Web shop would be archived; the limit is 10 %.".into(),
        ],
    }
}

fn logins() -> Page<LoginRow> {
    let login = |name: &str, role, customer_id, disabled| LoginRow {
        me: Me {
            name: name.into(),
            role,
            customer_id,
        },
        disabled,
    };
    Page::whole(vec![
        login("maija", Role::Operator, None, false),
        login("Maija <script>", Role::Editor, Some(KAHVILA), false),
        login("former", Role::Viewer, None, true),
    ])
}

fn tokens() -> Page<TokenRow> {
    let open = |id, label: &str, browser, expires_at| TokenRow {
        id,
        name: "maija".into(),
        label: label.into(),
        browser,
        created_at: ago(3_600),
        expires_at,
    };
    Page::whole(vec![
        open(11, "console", true, Some(ago(-86_400))),
        open(12, "nightly report", false, None),
    ])
}

/// Without pictures something follows, whatever else is sent nothing.
fn preview(settings: &Value) -> Preview {
    let plan = plan();
    let moves = settings["customer"]["syncPictures"] == false;
    let before = Totals {
        outside: 40,
        held: 3,
        ..Totals::default()
    };
    let after = Totals {
        writes: 5,
        held: 0,
        ..before
    };
    Preview {
        customer_id: KAHVILA,
        made_at: Timestamp::now(),
        before,
        after: if moves { after } else { before },
        counts: if moves {
            plan.counts
        } else {
            PlanCounts::default()
        },
        rows: if moves { plan.rows } else { Vec::new() },
        dropped: 0,
        cut: false,
        stopped_by: Vec::new(),
        closed: Vec::new(),
        untold: Vec::new(),
    }
}

fn identity() -> ShopIdentity {
    let named = |rows: &[(&str, &str)]| -> Vec<Named> {
        rows.iter()
            .map(|(id, name)| Named {
                id: (*id).into(),
                name: (*name).into(),
            })
            .collect()
    };
    ShopIdentity {
        name: "Kahvila web".into(),
        platform_version: Some("1.0".into()),
        currency: "EUR".into(),
        time_zone: Some("Europe/Helsinki".into()),
        languages: vec!["fi".into(), "en".into()],
        prices_include_tax: true,
        stocks: named(&[("main", "Main"), ("WH1", "Warehouse 1"), ("cafe", "Café")]),
        payment_methods: named(&[("card", "Card"), ("invoice", "Invoice")]),
        shipping_methods: named(&[("post", "Post"), ("pickup", "Pick-up")]),
        choices: vec![lockstep_model::Choice {
            setting: "sales_channel".into(),
            label: "sales channel".into(),
            rows: named(&[("sc_1", "Web"), ("sc_2", "Marketplace")]),
            is_needed: true,
            is_of_stocks: false,
        }],
        ..ShopIdentity::default()
    }
}

fn api(full: bool, sent: Sent) -> Router {
    let note = move |call: &str, body: &Value| {
        sent.lock().unwrap().push((call.to_owned(), body.clone()));
    };
    let noted = |call: &'static str, answer: fn(&Value) -> Response| {
        let note = note.clone();
        move |Json(body): Json<Value>| async move {
            note(call, &body);
            answer(&body)
        }
    };
    Router::new()
        .route(people::LOGIN, post(|Json(asked): Json<Value>| async move {
            if asked["password"] != "coffee" && asked["password"] != "a password of mine" {
                return refusal(Code::LoginRequired, "The name or the password is wrong.");
            }
            let me = Me { name: "maija".into(), role: Role::Operator, customer_id: None };
            Json(LoginReply { token: Bearer::new(TOKEN), me, expires_at: None }).into_response()
        }))
        .route(people::LOGOUT, post(|| async { StatusCode::NO_CONTENT }))
        .route(people::ME, get(|headers: HeaderMap| async move { me(&headers) }))
        .route(people::OVERVIEW, get(move || async move { Json(overview(full)) }))
        .route(people::LOGINS, get(|| async { Json(logins()) }))
        .route(people::LOGIN_STATE, put(noted("login state", |_| Json(logins().items.remove(1)).into_response())))
        .route(people::LOGIN_OF, delete(noted("login delete", |_| StatusCode::NO_CONTENT.into_response())))
        .route(people::LOGIN_PASSWORD, post(noted("password", |body| match body["old_password"].as_str() {
            Some("the old one") => Json(MadeLogin { me: logins().items.remove(0).me, password: None }).into_response(),
            _ => refusal(Code::Forbidden, "the old password is wrong; nothing was changed"),
        })))
        .route(people::TOKENS, get(|| async { Json(tokens()) }))
        .route(people::TOKEN, delete(noted("token end", |_| StatusCode::NO_CONTENT.into_response())))
        .route(people::EVENTS, get(|| async { ([("content-type", "text/event-stream")], "data: {}\n\n") }))
        .route(people::WORKERS, get(move || async move { Json(workers(full)) }))
        .route(people::WORKER, get(|Path(id): Path<u64>| async move {
            match workers(true).workers.into_iter().find(|worker| worker.id.0 == id) {
                Some(worker) => Json(worker).into_response(),
                None => refusal(Code::NotFound, "There is no worker with this id."),
            }
        }))
        .route(people::WORKER_STATE, post(noted("state", |_| StatusCode::NO_CONTENT.into_response())))
        .route(people::ENROLMENT_CONFIRM, post(noted("confirm", |body| {
            if body["code"] != code().as_str() {
                return refusal(Code::WrongCode, "This is not the code that the worker shows. Nothing was handed out; look at its screen again.");
            }
            Json(ConfirmReply { worker_id: WorkerId(1), name: "tampere-2".into() }).into_response()
        })))
        .route(people::ENROLMENT_REJECT, post(noted("reject", |_| StatusCode::NO_CONTENT.into_response())))
        .route(people::JOIN_TOKENS, post(noted("join", |_| Json(JoinTokenReply {
            token: Bearer::new("join_secret"),
            expires_at: Timestamp::now() + SignedDuration::from_hours(1),
            join_line: "lockstep worker --coordinator https://sync.example --join join_secret".into(),
        }).into_response())))
        .route(people::CUSTOMERS, get(move || async move { Json(customers(full)) }).post(noted("create", |_| {
            Json(ApplyReply { id: CustomerId(9), revision: Revision(1), changed: true }).into_response()
        })))
        .route(people::CUSTOMER, get(|Path(id): Path<u64>| async move { customer(id) }).merge(put(noted("apply", |body| {
            // As the API does it: form first, then what must be true of a whole.
            let read = lockstep_model::settings::read(&body.to_string());
            match read.and_then(|settings| settings.validate().map(|()| settings)) {
                Ok(_) => Json(ApplyReply { id: KAHVILA, revision: Revision(13), changed: true }).into_response(),
                Err(problems) => {
                    let mut problem = Problem::new(Code::InvalidSettings, "The settings are not sound.");
                    problem.problems = problems;
                    (StatusCode::UNPROCESSABLE_ENTITY, Json(problem)).into_response()
                }
            }
        }))))
        .route(people::CUSTOMER_OWNER, post(noted("owner", |_| StatusCode::NO_CONTENT.into_response())))
        .route(people::SHOP_CHECK, post(noted("check", |body| {
            let url = body["service"]["url"].as_str().unwrap_or_default();
            if url.contains("wrong") {
                let fault = Fault::new(FaultKind::Auth, "Web shop answers, but refuses our key (401).");
                return Json(CheckReply::Fails { fault }).into_response();
            }
            Json(CheckReply::Works { identity: Box::new(identity()) }).into_response()
        })))
        .route(people::SHOP_LISTS, get(|Path((_, shop)): Path<(u64, u64)>| async move {
            if shop == 3 {
                return refusal(Code::ShopFailed, "B2B shop did not answer within 10 s.");
            }
            Json(ListsReply { identity: identity() }).into_response()
        }))
        .route(people::SHOP_HOOKS, get(|Path((_, shop)): Path<(u64, u64)>| async move { Json(hooks(shop)) }).merge(post(
            noted("hooks", |_| Json(hooks(2)).into_response()),
        )))
        .route(people::SYNC, post(noted("sync", |_| Json(SyncReply { wakes: vec![], runs_after: Some(RunId(8_813)) }).into_response())))
        .route(people::PLAN, post(noted("plan", |_| Json(plan()).into_response())))
        .route(people::PREVIEW, post(noted("preview", |body| Json(preview(body)).into_response())))
        .route(people::RUN_UNDO_PREVIEW, post(noted("undo preview", |_| Json(undo()).into_response())))
        .route(people::RUN_UNDO, post(noted("undo", |_| Json(UndoReply { run: RunId(8_815) }).into_response())))
        .route(people::PLAN_APPLY, post(noted("plan apply", |_| Json(ApplyPlanReply { run: RunId(8_814) }).into_response())))
        .route(people::RUNS_OF_ALL, get({
            let note = note.clone();
            move |RawQuery(query): RawQuery| async move {
                let query = query.unwrap_or_default();
                note("runs", &json!(query));
                Json(if full && !query.contains("customer=9") { runs() } else { Page::whole(vec![]) })
            }
        }))
        .route(people::RUN, get(|Path((_, id)): Path<(u64, u64)>| async move { Json(run_detail(id)) }))
        .route(people::RUN_CANCEL, post(noted("cancel", |_| StatusCode::NO_CONTENT.into_response())))
        .route(people::RECORDS, get(|Path(id): Path<u64>| async move {
            Json(Page::whole(if id == 7 {
                vec![record_row(100, "KH-100", "Coffee 500 g"), record_row(101, "KH-220", "Tea, \"green\" & black"), record_row(102, "KH 300/1", "Cup")]
            } else {
                vec![]
            }))
        }))
        .route(people::RECORD, get(|Path((_, id)): Path<(u64, u64)>| async move {
            if id == 100 { Json(record()).into_response() } else { refusal(Code::NotFound, "There is no record with this id.") }
        }))
        .route(people::SEARCH, get(|| async {
            let hit = |kind: &str, key: &str, title: &str, order: Option<&str>| SearchHitView {
                customer_id: KAHVILA,
                customer_name: "Kahvila Oy".into(),
                kind: kind.into(),
                key: key.into(),
                title: title.into(),
                record: order.is_none().then_some(RecordId(100)),
                order: order.map(Into::into),
            };
            Json(Page::whole(vec![
                hit("product", "KH-100", "Coffee 500 g", None),
                hit("order", "KH1041", "", Some("lockstep:7:2:5001")),
            ]))
        }))
        .route(people::EXPLAIN, get(|Path((_, sku)): Path<(u64, String)>| async move { Json(explained(&sku)) }))
        .route(people::CONFLICTS, get(|Path(id): Path<u64>| async move { Json(Page::whole(if id == 7 { vec![conflict()] } else { vec![] })) }))
        .route(people::CONFLICT_DECIDE, post(noted("decide", |_| StatusCode::NO_CONTENT.into_response())))
        .route(people::ASIDES, get(|Path(id): Path<u64>| async move {
            let aside = AsideView {
                shop: WOO,
                shop_name: "Web shop".into(),
                what: "KH-220 Tea".into(),
                record: Some(RecordId(100)),
                sku: None,
                order: None,
                kind: FaultKind::Invalid { field: Some("price".into()) },
                why: "Web shop refuses the price: \"regular_price must be a decimal\".".into(),
                retry_at: Some(Timestamp::now() + SignedDuration::from_secs(240)),
                advice: "Mend the field where it is decided, or the rule in the shop.".into(),
                tries: 3,
                at: ago(900),
            };
            Json(Page::whole(if id == 7 { vec![aside] } else { vec![] }))
        }))
        .route(ORDERS, get(|Path(id): Path<u64>| async move {
            Json(Page::whole(if id == 7 {
                vec![order_row("5003", "1043", true), order_row("5001", "1041", false), order_row("5000", "1040", false)]
            } else {
                vec![]
            }))
        }))
        .route(people::ORDERS_HELD, get(|Path(id): Path<u64>| async move {
            Json(if id == 7 { held_orders() } else { HeldView { groups: vec![], as_of: None } })
        }))
        .route(people::ORDERS_MAP, post(noted("map", |_| Json(ApplyReply { id: KAHVILA, revision: Revision(12), changed: true }).into_response())))
        .route(people::BUYERS_ERASE, post(noted("erase", |_| Json(ErasureView { id: 1, by: "operator".into(), asked_at: ago(1), done_at: Some(ago(1)), orders: 1, unreadable: 0 }).into_response())))
        .route(people::ORDER_ANSWER, post(noted("answer", |_| StatusCode::NO_CONTENT.into_response())))
        .route(ORDER, get(|Path((_, key)): Path<(u64, String)>| async move { Json(order(&key)) }))
        .route("/api/v1/broken", get(|| async { json!({}).to_string() }))
}
