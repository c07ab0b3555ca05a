//! The practice shop: what is called, and in which order.
//!
//! Its change feed loses nothing and costs one request when nothing changed: the first page of every read fixes
//! `as_of`, and the next read begins there. So a full scan ends with the place in the feed at which it *began*, and
//! an edit during the scan is seen again.

mod api;
mod hints;
mod map;
mod wire;
mod writes;

#[cfg(test)]
mod tests;

use crate::exchange::{Exchange, Refusal};
use crate::redaction::Redaction;
use api::{Api, From};
use async_trait::async_trait;
use http::StatusCode;
use lockstep_connector::{
    Account, BodyStream, Connector, Cost, Credential, Hint, Hook, HookDelivery, HookScheme,
    HookState, Http, Manifest, OrderCreation, Paging, Pictures, Platform, StockWrite, WriteBatch,
};
use lockstep_model::{
    BadRecord, Category, Change, ChangeSort, Cursor, Fault, FaultKind, Kind, NaturalKey, Next,
    Outcome, Page, PictureSource, PullRequest, Record, RemoteId, Scope, ShopIdentity, StepSort,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const PAGE_MAX: u32 = 250;
const BATCH_MAX: u32 = 100;
/// Pictures go one by one; the product is read once after them.
const PICTURES_MAX: u32 = 10;
/// The shop's own body bound is 2 MiB; the frame around the members needs a little of it.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024 - 4096;
const PICTURE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// A shop with more categories than this is not searched through for a name.
const CATEGORIES_MAX: usize = 50_000;

const fn paging(kind: Kind) -> Paging {
    Paging {
        kind,
        page_max: PAGE_MAX,
        since: true,
        ids_max: PAGE_MAX,
    }
}

const fn batch(sort: ChangeSort, max: u32) -> WriteBatch {
    WriteBatch { sort, max }
}

static MANIFEST: Manifest = Manifest {
    platform: "practice",
    name: "Practice shop",
    credentials: &[Credential {
        name: "token",
        label: "Token of the admin API",
        secret: true,
    }],
    paging: &[
        paging(Kind::Category),
        paging(Kind::Product),
        paging(Kind::Level),
        paging(Kind::Order),
    ],
    batches: &[
        batch(ChangeSort::CreateCategory, BATCH_MAX),
        batch(ChangeSort::UpdateCategory, BATCH_MAX),
        batch(ChangeSort::CreateProduct, BATCH_MAX),
        batch(ChangeSort::UpdateProduct, BATCH_MAX),
        batch(ChangeSort::AddPicture, PICTURES_MAX),
        batch(ChangeSort::RemovePicture, PICTURES_MAX),
        batch(ChangeSort::SetLevel, BATCH_MAX),
        batch(ChangeSort::CreateOrder, BATCH_MAX),
        batch(ChangeSort::StepOrder, BATCH_MAX),
    ],
    stock_write: StockWrite::CompareAndSet,
    orders: OrderCreation::UniqueKey,
    order_steps: StepSort::ALL,
    settles_after: Duration::from_secs(5),
    hooks: HookScheme::Topics(&[
        "product.*",
        "category.*",
        "stock.changed",
        "order.created",
        "order.changed",
    ]),
    holds: Manifest::holds_all,
    removes: Manifest::removes_all_but_prices,
};

pub struct Practice;

impl Platform for Practice {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn connect(&self, account: Account, http: Arc<dyn Http>) -> Box<dyn Connector> {
        Box::new(Shop {
            exchange: Exchange::new(http, account, read_refusal),
        })
    }

    fn hint(&self, delivery: HookDelivery<'_>) -> Hint {
        hints::hint(delivery)
    }
}

fn read_refusal(_: StatusCode, body: &[u8]) -> Refusal {
    match serde_json::from_slice::<wire::Problem>(body) {
        Ok(problem) => refusal(&problem),
        Err(_) => Refusal::default(),
    }
}

fn refusal(problem: &wire::Problem) -> Refusal {
    let existing = || problem.existing.as_deref().map(RemoteId::from);
    let kind = match problem.code.as_str() {
        "duplicate_sku" | "duplicate_order" | "duplicate_hook" => Some(FaultKind::Duplicate {
            existing: existing(),
        }),
        // No key of ours: another product has the address that this one should get.
        "duplicate_handle" => Some(FaultKind::Invalid {
            field: Some("handle".into()),
        }),
        // The shop's state forbids it: trying again will not help, reading again may.
        "wrong_state" | "in_use" | "sold_out" | "stale" => Some(FaultKind::Conflict),
        "invalid" | "unknown_field" | "unknown_reference" | "bad_parameter" => {
            let field = problem.field.clone();
            Some(FaultKind::Invalid { field })
        }
        "unknown_sku" => Some(FaultKind::Invalid {
            field: Some("sku".into()),
        }),
        "negative_stock" => Some(FaultKind::Invalid {
            field: Some("on_hand".into()),
        }),
        "sum_mismatch" => Some(FaultKind::Invalid {
            field: Some("total".into()),
        }),
        _ => None,
    };
    Refusal {
        kind,
        said: problem.detail.clone(),
    }
}

struct Shop {
    exchange: Exchange,
}

/// A place in a read: a page of it, or the feed after it.
enum Place<'a> {
    Page(&'a str),
    Since(&'a str),
}

const PAGE: &str = "page:";
const SINCE: &str = "since:";

fn place(cursor: &Cursor) -> Option<Place<'_>> {
    if let Some(page) = cursor.0.strip_prefix(PAGE) {
        return Some(Place::Page(page));
    }
    cursor.0.strip_prefix(SINCE).map(Place::Since)
}

impl Shop {
    fn api(&self) -> Api<'_> {
        Api {
            account: self.exchange.account(),
        }
    }

    fn invalid(&self, field: &str, why: &str) -> Fault {
        let kind = FaultKind::Invalid {
            field: Some(field.into()),
        };
        self.exchange.fault(kind, why)
    }

    async fn page(&self, kind: Kind, from: From<'_>, limit: u32) -> Result<Page, Fault> {
        let request = self.api().list(kind, from, limit.clamp(1, PAGE_MAX));
        let list: wire::List = self.exchange.call(request, Cost::read()).await?;
        let records = list.items.iter().map(|raw| map::item(kind, raw.get()));
        let next = match (list.next_cursor, list.as_of) {
            (Some(cursor), _) => Next::More(Cursor(format!("{PAGE}{cursor}"))),
            (None, Some(as_of)) => Next::End(Some(Cursor(format!("{SINCE}{as_of}")))),
            // Without it the next read would not know where to begin; nothing may be taken for read.
            (None, None) => {
                let what = "answered a list without saying as of when it is";
                return Err(self.exchange.fault(FaultKind::Protocol, what));
            }
        };
        Ok(Page {
            records: records.collect(),
            next,
        })
    }

    async fn by_ids(
        &self,
        kind: Kind,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<Record, BadRecord>>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let request = self.api().look_up(kind, ids);
        let list: wire::List = self.exchange.call(request, Cost::read()).await?;
        let records = list.items.iter().map(|raw| map::item(kind, raw.get()));
        Ok(records.collect())
    }

    async fn found(&self, kind: Kind, name: &str, value: &str) -> Result<Vec<Record>, Fault> {
        let request = self.api().find(kind, name, value);
        let list: wire::List = self.exchange.call(request, Cost::read()).await?;
        let records = list.items.iter().map(|raw| map::item(kind, raw.get()));
        // One that cannot be read may be the one that is looked for.
        records
            .map(|record| {
                record.map_err(|bad| {
                    let what = format!("has one that cannot be read: {}", bad.reason);
                    self.exchange.fault(FaultKind::Protocol, &what)
                })
            })
            .collect()
    }

    async fn all_categories(&self) -> Result<BTreeMap<RemoteId, Category>, Fault> {
        let mut all = BTreeMap::new();
        let mut cursor: Option<String> = None;
        let mut places = BTreeSet::new();
        loop {
            let from = match &cursor {
                None => From::Beginning,
                Some(cursor) => From::Page(cursor),
            };
            let page = self.page(Kind::Category, from, PAGE_MAX).await?;
            for record in page.records.into_iter().flatten() {
                if let Record::Category(category) = record {
                    all.insert(category.id.clone(), category);
                }
            }
            if all.len() > CATEGORIES_MAX {
                let what = "has too many categories to look one up by its name";
                return Err(self.exchange.fault(FaultKind::Protocol, what));
            }
            match page.next {
                Next::More(next) => {
                    cursor = next.0.strip_prefix(PAGE).map(str::to_owned);
                    if !places.insert(cursor.clone()) || places.len() > CATEGORIES_MAX {
                        let what = "has a list of categories that does not end";
                        return Err(self.exchange.fault(FaultKind::Protocol, what));
                    }
                }
                Next::Later { .. } | Next::End(_) => return Ok(all),
            }
        }
    }

    async fn category_at(
        &self,
        parent: Option<&RemoteId>,
        name: &str,
    ) -> Result<Vec<Record>, Fault> {
        let all = self.all_categories().await?;
        let found = all
            .into_values()
            .filter(|c| c.parent.as_ref() == parent && c.name == name)
            .map(Record::Category);
        Ok(found.collect())
    }
}

#[async_trait]
impl Connector for Shop {
    async fn check(&self) -> Result<ShopIdentity, Fault> {
        let request = self.api().shop();
        let shop: wire::Shop = match self.exchange.call(request, Cost::read()).await {
            Ok(shop) => shop,
            Err(fault) if fault.kind == FaultKind::NotFound => {
                let what = "is not at this address: something else answers there";
                return Err(self.exchange.fault(FaultKind::Protocol, what));
            }
            Err(fault) => return Err(fault),
        };
        let identity =
            map::identity(shop).map_err(|what| self.exchange.fault(FaultKind::Protocol, &what))?;
        // A shop that is only read needs no right to write.
        if crate::exchange::option(self.exchange.account(), "read_only") != Some("true") {
            self.may_write().await?;
        }
        Ok(identity)
    }

    async fn pull(&self, request: &PullRequest) -> Result<Page, Fault> {
        let from = match &request.scope {
            Scope::Ids(ids) => {
                let records = self.by_ids(request.kind, ids).await?;
                let next = Next::End(None);
                return Ok(Page { records, next });
            }
            Scope::Everything(None) => From::Beginning,
            Scope::Everything(Some(cursor)) | Scope::Since(cursor) => match place(cursor) {
                Some(Place::Page(page)) => From::Page(page),
                Some(Place::Since(time)) => From::ModifiedSince(time),
                None => {
                    return Err(self.invalid(
                        "cursor",
                        "is asked to read on from a place that it does not know",
                    ));
                }
            },
        };
        self.page(request.kind, from, request.limit).await
    }

    async fn push(
        &self,
        changes: &[Change],
        pictures: &dyn Pictures,
    ) -> Result<Vec<Outcome>, Fault> {
        self.write(changes, pictures)
            .await
            .map_err(|fault| Redaction::of_buyers(changes).clean_fault(fault))
            .map(|outcomes| Redaction::of_buyers(changes).clean_outcomes(outcomes))
    }

    async fn find(&self, key: &NaturalKey) -> Result<Vec<Record>, Fault> {
        match key {
            NaturalKey::Sku(sku) => self.found(Kind::Product, "sku", sku.as_str()).await,
            NaturalKey::Order { key, .. } => {
                let key = key.to_string();
                self.found(Kind::Order, "external_key", &key).await
            }
            NaturalKey::Category { parent, name } => self.category_at(parent.as_ref(), name).await,
            NaturalKey::Gtin(_) => Err(self.invalid("gtin", "cannot be searched by GTIN")),
        }
    }

    async fn picture(&self, picture: &PictureSource) -> Result<BodyStream, Fault> {
        let request = self.api().picture(&picture.url)?;
        let cost = Cost {
            reply_bytes_max: PICTURE_BYTES_MAX,
            ..Cost::read()
        };
        self.exchange.http().open(request, cost).await
    }

    async fn look_at_hooks(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault> {
        self.registered(wanted).await
    }

    async fn hooks(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault> {
        self.register(wanted).await
    }
}
