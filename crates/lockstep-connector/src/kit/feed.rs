//! Lines 10 to 16: what changed since.

use super::{Proof, Seed, ShopUnderTest, Told, ensure, pulls};
use lockstep_model::{Kind, Record, Sku};
use rust_decimal::Decimal;

const LIMIT: u32 = 100;

fn limit(shop: &dyn ShopUnderTest, kind: Kind) -> u32 {
    let paging = shop.platform().manifest().paging(kind);
    paging.map_or(LIMIT, |paging| paging.page_max.min(LIMIT))
}

pub async fn an_edit_is_seen_once(shop: &dyn ShopUnderTest) -> Told {
    let sku = Sku(shop.tag());
    shop.add(&[Seed::new(sku.0.clone())]).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let limit = limit(shop, Kind::Product);
    let cursor = pulls::now(connector, Kind::Product, limit).await?;
    let idle = pulls::since(connector, Kind::Product, cursor, limit).await?;
    ensure!(
        idle.with_sku(&sku).is_empty(),
        "an unchanged product is told as changed"
    );
    let cursor = pulls::end(idle)?;
    shop.set_title(&sku, "Edited once").await?;
    let look = pulls::since(connector, Kind::Product, cursor.clone(), limit).await?;
    let seen = look.with_sku(&sku);
    ensure!(seen.len() == 1, "the edit is told {} times", seen.len());
    ensure!(seen[0].title == "Edited once", "the edit is not in it");
    // A run that is cut off reads from the same place again.
    let again = pulls::since(connector, Kind::Product, cursor, limit).await?;
    ensure!(
        again.with_sku(&sku).len() == 1,
        "read again from the same place, the edit is gone"
    );
    let after = pulls::since(connector, Kind::Product, pulls::end(look)?, limit).await?;
    ensure!(
        after.with_sku(&sku).is_empty(),
        "the edit is told again by the next look"
    );
    Ok(Proof::Yes(shop.how()))
}

pub async fn edits_within_one_second_are_all_seen(shop: &dyn ShopUnderTest) -> Told {
    let tag = shop.tag();
    let skus: Vec<Sku> = (0..4).map(|n| Sku(format!("{tag}-{n}"))).collect();
    let seeds: Vec<Seed> = skus.iter().map(|sku| Seed::new(sku.0.clone())).collect();
    shop.add(&seeds).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let limit = limit(shop, Kind::Product);
    let mut cursor = pulls::now(connector, Kind::Product, limit).await?;
    for round in 0..3 {
        // Looks between edits, as close together as they go.
        for sku in &skus {
            let title = format!("{sku} in round {round}");
            shop.set_title(sku, &title).await?;
            if sku.0.ends_with('1') {
                let look = pulls::since(connector, Kind::Product, cursor, limit).await?;
                for early in &skus[..2] {
                    ensure!(
                        look.with_sku(early).len() == 1,
                        "the edit of {early} is not seen in round {round}"
                    );
                }
                cursor = pulls::end(look)?;
            }
        }
        let look = pulls::since(connector, Kind::Product, cursor, limit).await?;
        for late in &skus[2..] {
            ensure!(
                look.with_sku(late).len() == 1,
                "the edit of {late} is not seen in round {round}"
            );
        }
        cursor = pulls::end(look)?;
    }
    Ok(Proof::Yes(shop.how()))
}

pub async fn a_price_change_is_seen(shop: &dyn ShopUnderTest) -> Told {
    let sku = Sku(shop.tag());
    shop.add(&[Seed::new(sku.0.clone())]).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let limit = limit(shop, Kind::Product);
    let cursor = pulls::now(connector, Kind::Product, limit).await?;
    let price = Decimal::new(2345, 2);
    shop.set_price(&sku, price).await?;
    let look = pulls::since(connector, Kind::Product, cursor, limit).await?;
    let seen = look.with_sku(&sku);
    ensure!(
        seen.len() == 1,
        "a price change is told {} times",
        seen.len()
    );
    let variant = seen[0].variants.iter().find(|v| v.sku == sku);
    let told = variant.and_then(|v| v.prices.get(&shop.currency()));
    ensure!(told == Some(&price), "the price is told as {told:?}");
    Ok(Proof::Yes(shop.how()))
}

/// By the feed, or where there is none by a full scan, which the manifest then says is needed.
pub async fn a_stock_change_is_seen(shop: &dyn ShopUnderTest) -> Told {
    let sku = Sku(shop.tag());
    shop.add(&[Seed::new(sku.0.clone())]).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let limit = limit(shop, Kind::Level);
    let cursor = pulls::now(connector, Kind::Level, limit).await?;
    shop.set_on_hand(&sku, 7).await?;
    let look = pulls::since(connector, Kind::Level, cursor, limit).await?;
    let mut levels = look.records.iter().filter_map(|record| match record {
        Ok(Record::Level(level)) if level.sku == sku && level.stock == shop.stock() => Some(level),
        _ => None,
    });
    let told = levels.next().map(|level| level.available());
    ensure!(
        told == Some(Decimal::from(7)),
        "7 are available, told is {told:?}"
    );
    ensure!(levels.next().is_none(), "the level is told twice");
    let paging = shop.platform().manifest().paging(Kind::Level);
    let has_feed = paging.is_some_and(|paging| paging.since);
    if has_feed {
        let after = pulls::since(connector, Kind::Level, pulls::end(look)?, limit).await?;
        ensure!(
            after.records.is_empty(),
            "nothing changed, and {} levels are told",
            after.records.len()
        );
    }
    Ok(Proof::Yes(shop.how()))
}

pub async fn a_delete_is_seen(shop: &dyn ShopUnderTest) -> Told {
    let sku = Sku(shop.tag());
    shop.add(&[Seed::new(sku.0.clone())]).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let limit = limit(shop, Kind::Product);
    let id = pulls::product(connector, &sku).await?.id;
    let cursor = pulls::now(connector, Kind::Product, limit).await?;
    shop.delete(&sku).await?;
    let look = pulls::since(connector, Kind::Product, cursor, limit).await?;
    let is_gone = look.records.iter().flatten().any(
        |record| matches!(record, Record::Gone { kind: Kind::Product, id: gone } if *gone == id),
    );
    ensure!(is_gone, "the delete is not told");
    ensure!(
        look.with_sku(&sku).is_empty(),
        "what is deleted is told too"
    );
    Ok(Proof::Yes(shop.how()))
}
