//! Plan and merge of a catalogue, past all shops and without a network: the engine and the journal as the worker
//! drives them, on a real file. Two shops have every product under the same SKU and differ in each price, so that each
//! record is matched, merged field by field, and planned as one write to the shop that does not own it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use lockstep_engine::{
    Abilities, Customer, Effect, Event, LevelWrites, Opened, PageSize, Rules, ShopRules,
};
use lockstep_journal::{Journal, PlanRow};
use lockstep_model::cases::Also;
use lockstep_model::entry::Body;
use lockstep_model::settings::{
    Assortment, Customer as Settings, CustomerHasService, CustomerSettings, FirstMeeting, Policies,
    RowId, Service, ShopRole,
};
use lockstep_model::{
    ChangeSort, Cursor, CustomerId, Epoch, Incarnation, Kind, Next, Page, Product, Record,
    RemoteId, Revision, ShopId, ShopIdentity, Sku, Variant,
};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::usage::{Stopwatch, Took, memory_peak_bytes};

pub const CUSTOMER: CustomerId = CustomerId(1);
const OWNER: ShopId = ShopId(1);
const OTHER: ShopId = ShopId(2);
const PAGE: u64 = 1_000;

#[derive(clap::Args)]
pub struct Options {
    /// The customer's file
    #[arg(long)]
    pub file: PathBuf,
    /// Products in either shop
    #[arg(long, default_value_t = 1_000_000)]
    pub records: u64,
}

#[derive(Serialize)]
pub struct Staged {
    pub rows: u64,
    #[serde(flatten)]
    pub took: Took,
}

/// Puts the products of both shops into the file, page by page, as the worker does with what it has read.
pub fn stage(options: &Options) -> Result<Staged> {
    let mut journal = Journal::open(&options.file, CUSTOMER)?;
    let opened = Body::Opened {
        customer: CUSTOMER,
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        worker: None,
    };
    journal.append(jiff::Timestamp::now(), vec![opened], Also::default())?;
    let watch = Stopwatch::start();
    let mut rows = 0;
    for shop in [OWNER, OTHER] {
        for first in (0..options.records).step_by(usize::try_from(PAGE)?) {
            let numbers = first..options.records.min(first + PAGE);
            let page = numbers.map(|number| Record::Product(product(shop, number)));
            rows += u64::from(journal.stage(shop, page.collect())?.changed);
        }
    }
    Ok(Staged {
        rows,
        took: watch.stop(),
    })
}

/// About as much as a product has in a shop: a few sentences, a price, some attributes.
pub fn product(shop: ShopId, number: u64) -> Product {
    let cents = 500 + i64::try_from(number % 20_000).unwrap_or_default();
    let price = Decimal::new(cents + if shop == OWNER { 0 } else { 5 }, 2);
    let sentence = "Made of what grows around here, and packed by hand on the day it leaves. ";
    Product {
        id: RemoteId(format!("p{shop}-{number}")),
        title: format!("Product {number}"),
        description: Some(format!("<p>Number {number}. {}</p>", sentence.repeat(4))),
        variants: vec![Variant {
            id: RemoteId(format!("v{shop}-{number}")),
            sku: Sku(format!("SKU-{number:08}")),
            prices: [("EUR".into(), price)].into(),
            ..Variant::default()
        }],
        attributes: [
            ("material".to_owned(), "linen".to_owned()),
            ("origin".to_owned(), format!("field {}", number % 97)),
        ]
        .into(),
        ..Product::default()
    }
}

fn rules() -> Rules {
    let mut settings = CustomerSettings::new(Settings::new(CUSTOMER, "Benchmark"));
    settings.policies = Policies::owned_by(OWNER);
    let mut shops = BTreeMap::new();
    for (shop, role) in [(OWNER, ShopRole::Erp), (OTHER, ShopRole::Shop)] {
        let mut link = CustomerHasService::new(RowId(shop.0), CUSTOMER, shop, role);
        link.assortment = Assortment::All;
        // Else the other lane wakes as soon as the empty shop is met.
        link.first_meeting = FirstMeeting::Go;
        let name = format!("shop {shop}");
        settings.customer_has_services.push(link.clone());
        let service = Service::new(shop, name.as_str(), "none", "http://127.0.0.1:1");
        settings.services.push(service);
        let page = PageSize {
            records: 250,
            ids: 100,
            since: true,
        };
        let abilities = Abilities {
            // Of nothing but products, so that no other lane runs beside.
            pages: [(Kind::Product, page)].into(),
            batches: [
                (ChangeSort::CreateProduct, 100),
                (ChangeSort::UpdateProduct, 100),
            ]
            .into(),
            settles_after_ms: 10_000,
            unique_order_key: true,
            order_steps: &[],
            order_search: true,
            level_writes: LevelWrites::CompareAndSet,
            holds: |_| true,
            removes: |_| true,
        };
        let shop_rules = ShopRules {
            name,
            link,
            read_only: false,
            account: 0,
            abilities,
            identity: ShopIdentity {
                currency: "EUR".into(),
                ..ShopIdentity::default()
            },
        };
        shops.insert(shop, shop_rules);
    }
    Rules {
        revision: Revision(1),
        settings: Arc::new(settings),
        shops,
    }
}

#[derive(Serialize)]
pub struct Merged {
    pub records: u64,
    pub writes: u64,
    pub chunks: u64,
    #[serde(flatten)]
    pub took: Took,
    pub memory_peak_bytes: u64,
}

/// A run from its first chunk to the moment in which its plan lies whole on the disk.
pub fn plan(options: &Options) -> Result<Merged> {
    let mut journal = Journal::open(&options.file, CUSTOMER)?;
    let counters = journal.counters()?;
    let opened = Opened {
        next_run: counters.run,
        next_record: counters.record,
        next_intent: counters.intent,
        next_conflict: counters.conflict,
        ..Opened::default()
    };
    let mut customer = Customer::new(opened, rules());
    let mut queue = VecDeque::from([Event::WritesUntil(None)]);
    let mut watch = None;
    let (mut records, mut chunks) = (0, 0);
    while let Some(event) = queue.pop_front() {
        let now = jiff::Timestamp::now();
        for effect in customer.on(event, now) {
            match effect {
                // What the shops have was staged before.
                Effect::Pull { call, .. } => queue.push_back(Event::Pulled {
                    call,
                    result: Ok(Page {
                        records: Vec::new(),
                        next: Next::End(Some(Cursor("1".to_owned()))),
                    }),
                }),
                Effect::Stage {
                    lane,
                    shop,
                    records,
                    ..
                } => {
                    let changed = journal.stage(shop, records)?.changed;
                    queue.push_back(Event::Staged {
                        lane,
                        shop,
                        changed,
                    });
                }
                Effect::ReadAgainList {
                    lane,
                    shop,
                    kind,
                    limit,
                } => {
                    let ids = journal.records_to_read(shop, kind, None, limit)?;
                    queue.push_back(Event::ReadAgain {
                        lane,
                        shop,
                        kind,
                        ids,
                    });
                }
                Effect::LoadCatalogue {
                    kind,
                    share,
                    after,
                    limit,
                    ..
                } => {
                    if kind == Kind::Product {
                        watch.get_or_insert_with(Stopwatch::start);
                    }
                    let chunk = journal.load_share(kind, share, after.as_deref(), limit, now)?;
                    records += chunk.clusters.len() as u64;
                    chunks += 1;
                    queue.push_back(Event::CatalogueLoaded(chunk));
                }
                Effect::SavePlan { run, rows } => {
                    let rows: Vec<PlanRow> = rows
                        .into_iter()
                        .map(|(ord, decision)| {
                            serde_json::to_string(&decision).map(|body| PlanRow { ord, body })
                        })
                        .collect::<Result<_, _>>()?;
                    journal.save_plan(run, &rows)?;
                }
                Effect::LoadPlan { .. } => {
                    let took = watch.context("nothing was planned")?.stop();
                    let progress = customer.progress();
                    let expected = progress.first().and_then(|progress| progress.expected);
                    return Ok(Merged {
                        records,
                        writes: expected.context("the plan says no number of writes")?,
                        chunks,
                        took,
                        memory_peak_bytes: memory_peak_bytes()?,
                    });
                }
                Effect::Append { bodies, .. } => {
                    journal.append(now, bodies, Also::default())?;
                }
                Effect::WaitUntil(_) => {}
                Effect::Finished { message, .. } => {
                    bail!("the run was over before its plan was: {message}")
                }
                other => bail!("a plan that writes nothing does not ask for {other:?}"),
            }
        }
    }
    bail!("the run stopped before its plan was whole")
}
