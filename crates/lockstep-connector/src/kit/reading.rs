//! Lines 4 to 9: pages.

use super::ports::{Answer, Canned, Counting};
use super::{How, Proof, Seed, ShopUnderTest, Told, ensure, pulls};
use crate::Connector;
use lockstep_model::{Kind, Next, PullRequest, Scope};
use std::collections::BTreeMap;

/// The largest page, but not so large that filling four of them takes minutes.
const PAGE_MAX: u32 = 40;

fn many(tag: &str, count: u32) -> Vec<Seed> {
    (0..count)
        .map(|n| Seed::new(format!("{tag}-{n:04}")))
        .collect()
}

fn page_max(shop: &dyn ShopUnderTest, kind: Kind) -> u32 {
    let paging = shop.platform().manifest().paging(kind);
    paging.map_or(0, |paging| paging.page_max)
}

pub async fn first_pull_sees_every_record_once(shop: &dyn ShopUnderTest) -> Told {
    let limit = page_max(shop, Kind::Product).min(PAGE_MAX);
    let seeds = many(&shop.tag(), 3 * limit + 1);
    shop.add(&seeds).await?;
    let connector = shop.connector();
    for kind in [Kind::Product, Kind::Level] {
        let read = pulls::everything(connector.as_ref(), kind, limit).await?;
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        let skus = read
            .records
            .iter()
            .flatten()
            .flat_map(|record| match record {
                lockstep_model::Record::Product(product) => {
                    product.variants.iter().map(|v| v.sku.as_str()).collect()
                }
                // A shop with several stocks tells one of each.
                lockstep_model::Record::Level(level) if level.stock == shop.stock() => {
                    vec![level.sku.as_str()]
                }
                _ => Vec::new(),
            });
        for sku in skus {
            *times.entry(sku).or_default() += 1;
        }
        for seed in &seeds {
            let times = times.get(seed.sku.as_str()).copied().unwrap_or(0);
            ensure!(times == 1, "{kind:?} {} came {times} times", seed.sku);
        }
        ensure!(
            read.pages.len() >= 4,
            "{} pages are too few to prove anything",
            read.pages.len()
        );
    }
    Ok(Proof::Yes(shop.how()))
}

pub async fn a_bad_record_does_not_hide_its_page(shop: &dyn ShopUnderTest) -> Told {
    let seeds = many(&shop.tag(), 3);
    shop.add(&seeds).await?;
    let bad = &seeds[1].sku;
    shop.spoil(bad).await?;
    let limit = page_max(shop, Kind::Product);
    let read = pulls::everything(shop.connector().as_ref(), Kind::Product, limit).await;
    shop.mend(bad).await?;
    let read = read?;
    for good in [&seeds[0].sku, &seeds[2].sku] {
        ensure!(
            read.with_sku(good).len() == 1,
            "{good} is hidden by its bad neighbour"
        );
    }
    let bad_ones: Vec<_> = read
        .records
        .iter()
        .filter_map(|r| r.as_ref().err())
        .collect();
    ensure!(!bad_ones.is_empty(), "the bad record is not told");
    for bad in bad_ones {
        ensure!(bad.id.is_some(), "the bad record is not named");
        ensure!(!bad.reason.is_empty(), "what is bad about it is not told");
    }
    Ok(Proof::Yes(shop.how()))
}

fn kinds(shop: &dyn ShopUnderTest) -> Vec<Kind> {
    let paging = shop.platform().manifest().paging;
    paging.iter().map(|paging| paging.kind).collect()
}

async fn first_page(
    connector: &dyn Connector,
    kind: Kind,
) -> Result<lockstep_model::Page, lockstep_model::Fault> {
    let request = PullRequest {
        kind,
        scope: Scope::Everything(None),
        limit: 10,
    };
    connector.pull(&request).await
}

/// Over a script: a shop that has other records cannot be empty.
pub async fn an_empty_shop_is_an_empty_page(shop: &dyn ShopUnderTest) -> Told {
    for kind in kinds(shop) {
        let http = Canned::new(Answer::json(200, shop.empty_reply(kind)));
        let connector = shop.connect(shop.account(), http);
        let page = first_page(connector.as_ref(), kind).await?;
        ensure!(page.records.is_empty(), "{kind:?}: records out of nothing");
        ensure!(
            matches!(page.next, Next::End(Some(_))),
            "{kind:?}: an empty page does not end the scan"
        );
    }
    Ok(Proof::Yes(How::Scripted))
}

pub async fn a_failed_page_is_a_fault_not_an_empty_page(shop: &dyn ShopUnderTest) -> Told {
    let answers = [
        Answer::json(500, "{}"),
        Answer::json(404, "{}"),
        Answer::json(200, "{}"),
        Answer::json(200, "[]"),
        Answer::json(200, "null"),
        Answer::json(200, ""),
        Answer::typed(204, "application/json", ""),
        Answer::html(200),
    ];
    for kind in kinds(shop) {
        for answer in &answers {
            let http = Canned::new(answer.clone());
            let connector = shop.connect(shop.account(), http);
            let page = first_page(connector.as_ref(), kind).await;
            ensure!(page.is_err(), "{kind:?}: {answer:?} is taken for a page");
        }
    }
    Ok(Proof::Yes(How::Scripted))
}

/// No page is larger than asked for, and the last one costs what the first did.
pub async fn memory_stays_flat_over_a_long_pull(shop: &dyn ShopUnderTest) -> Told {
    let limit = page_max(shop, Kind::Product).min(PAGE_MAX) / 4;
    shop.add(&many(&shop.tag(), 8 * limit)).await?;
    let http = Counting::new(shop.http());
    let connector = shop.connect(shop.account(), http.clone());
    let read = pulls::everything(connector.as_ref(), Kind::Product, limit).await?;
    let largest = read.pages.iter().max().copied().unwrap_or(0);
    ensure!(
        largest <= limit as usize,
        "a page has {largest} records instead of {limit}"
    );
    let bytes = http.reply_bytes();
    let sum: usize = bytes.iter().sum();
    let mean = sum / bytes.len().max(1);
    let most = bytes.iter().max().copied().unwrap_or(0);
    ensure!(
        most <= 3 * mean + 4096,
        "one reply has {most} bytes, the mean is {mean}"
    );
    let pages = read.pages.len();
    ensure!(
        bytes.len() <= pages + 2,
        "{} requests for {pages} pages",
        bytes.len()
    );
    Ok(Proof::Yes(shop.how()))
}
