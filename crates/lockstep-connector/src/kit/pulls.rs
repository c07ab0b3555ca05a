//! Reading for the kit's lines: whole scans and whole looks at a feed, with a bound.

use super::Failure;
use crate::Connector;
use lockstep_model::{
    BadRecord, Cursor, Kind, Level, Next, Order, Product, PullRequest, Record, RemoteId, Scope, Sku,
};

/// A scan that does not end by then goes round in circles.
const PAGES_MAX: usize = 10_000;

#[derive(Default)]
pub struct Read {
    pub records: Vec<Result<Record, BadRecord>>,
    pub pages: Vec<usize>,
    pub cursor: Option<Cursor>,
}

pub async fn read(
    connector: &dyn Connector,
    kind: Kind,
    scope: Scope,
    limit: u32,
) -> Result<Read, Failure> {
    let mut read = Read::default();
    let mut scope = scope;
    for _ in 0..PAGES_MAX {
        let is_feed = matches!(scope, Scope::Since(_));
        let page = connector.pull(&PullRequest { kind, scope, limit }).await?;
        read.pages.push(page.records.len());
        read.records.extend(page.records);
        scope = match page.next {
            Next::End(cursor) => {
                read.cursor = cursor;
                return Ok(read);
            }
            Next::More(cursor) | Next::Later { cursor, .. } if is_feed => Scope::Since(cursor),
            Next::More(cursor) | Next::Later { cursor, .. } => Scope::Everything(Some(cursor)),
        };
    }
    Err(Failure(format!("{} pages and no end", PAGES_MAX)))
}

pub async fn everything(
    connector: &dyn Connector,
    kind: Kind,
    limit: u32,
) -> Result<Read, Failure> {
    read(connector, kind, Scope::Everything(None), limit).await
}

/// Where the feed stands now: a full scan, and one look after it.
pub async fn now(connector: &dyn Connector, kind: Kind, limit: u32) -> Result<Cursor, Failure> {
    let scan = everything(connector, kind, limit).await?;
    let cursor = end(scan)?;
    let look = read(connector, kind, Scope::Since(cursor), limit).await?;
    end(look)
}

pub fn end(read: Read) -> Result<Cursor, Failure> {
    read.cursor
        .ok_or_else(|| Failure("the read ended without a cursor for the next".into()))
}

pub async fn since(
    connector: &dyn Connector,
    kind: Kind,
    cursor: Cursor,
    limit: u32,
) -> Result<Read, Failure> {
    read(connector, kind, Scope::Since(cursor), limit).await
}

impl Read {
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.records.iter().filter_map(|record| match record {
            Ok(Record::Product(product)) => Some(product),
            _ => None,
        })
    }

    pub fn with_sku(&self, sku: &Sku) -> Vec<&Product> {
        let has = |product: &&Product| product.variants.iter().any(|v| v.sku == *sku);
        self.products().filter(has).collect()
    }
}

pub async fn product(connector: &dyn Connector, sku: &Sku) -> Result<Product, Failure> {
    let key = lockstep_model::NaturalKey::Sku(sku.clone());
    let found = connector.find(&key).await?;
    match found.into_iter().next() {
        Some(Record::Product(product)) => Ok(product),
        other => Err(Failure(format!(
            "{sku} was looked for and {other:?} was found"
        ))),
    }
}

pub async fn level(
    connector: &dyn Connector,
    sku: &Sku,
    stock: &RemoteId,
) -> Result<Level, Failure> {
    let scope = Scope::Ids(vec![RemoteId(sku.0.clone())]);
    let read = read(connector, Kind::Level, scope, 10).await?;
    let mut levels = read.records.into_iter().filter_map(|record| match record {
        Ok(Record::Level(level)) => Some(level),
        _ => None,
    });
    levels
        .find(|level| level.sku == *sku && level.stock == *stock)
        .ok_or_else(|| Failure(format!("no level of {sku} in {stock}")))
}

pub async fn order(connector: &dyn Connector, id: &RemoteId) -> Result<Order, Failure> {
    let read = read(connector, Kind::Order, Scope::Ids(vec![id.clone()]), 10).await?;
    match read.records.into_iter().next() {
        Some(Ok(Record::Order(order))) => Ok(*order),
        other => Err(Failure(format!(
            "order {id} was asked for and {other:?} came"
        ))),
    }
}
