//! Lines 58 to 61: batches, echoes, doubt.

use super::ports::{Counting, Mishap, Mishaps};
use super::products::{create, done, plain, push_one, update};
use super::{Failure, Proof, Seed, ShopUnderTest, Told, ensure, pulls};
use crate::NoPictures;
use lockstep_model::{
    Change, ChangeSort, FaultKind, Field, Kind, NaturalKey, Outcome, Path, Record, Sku, Value,
};
use rust_decimal::Decimal;

fn new_product(shop: &dyn ShopUnderTest, sku: &str) -> Change {
    let sku = Sku(sku.to_owned());
    Change::CreateProduct {
        product: Box::new(plain(&sku, Decimal::new(500, 2), &shop.currency())),
    }
}

pub async fn a_batch_of_the_largest_safe_size_is_one_call(shop: &dyn ShopUnderTest) -> Told {
    let tag = shop.tag();
    let manifest = shop.platform().manifest();
    let http = Counting::new(shop.http());
    let connector = shop.connect(shop.account(), http.clone());
    let connector = connector.as_ref();
    let max = manifest.batch_max(ChangeSort::CreateProduct);
    let changes: Vec<Change> = (0..max)
        .map(|n| new_product(shop, &format!("{tag}-{n:03}")))
        .collect();
    let outcomes = connector.push(&changes, &NoPictures).await?;
    ensure!(
        outcomes.len() == changes.len(),
        "{} outcomes for {max} changes",
        outcomes.len()
    );
    for (outcome, change) in outcomes.into_iter().zip(&changes) {
        let receipt = done(outcome)?;
        let Change::CreateProduct { product } = change else {
            continue;
        };
        // Outcomes stand in the order of the changes.
        match receipt.record {
            Some(Record::Product(made)) => ensure!(
                made.variants[0].sku == product.variants[0].sku,
                "{} is answered by {}",
                product.variants[0].sku,
                made.variants[0].sku
            ),
            other => return Err(Failure(format!("the receipt holds {other:?}"))),
        }
    }
    ensure!(
        http.writes() == 1,
        "{} writes for {max} new products",
        http.writes()
    );
    let max = max.min(manifest.batch_max(ChangeSort::SetLevel));
    let mut levels = Vec::new();
    for n in 0..max {
        let sku = Sku(format!("{tag}-{n:03}"));
        let was = pulls::level(connector, &sku, &shop.stock()).await?;
        levels.push(Change::SetLevel {
            was: Box::new(was),
            on_hand: (n + 1).into(),
            location: None,
        });
    }
    http.reset();
    for outcome in connector.push(&levels, &NoPictures).await? {
        done(outcome)?;
    }
    ensure!(
        (http.writes(), http.reads()) == (1, 0),
        "{} writes and {} reads for {max} levels",
        http.writes(),
        http.reads()
    );
    let last = Sku(format!("{tag}-{:03}", max - 1));
    let (on_hand, _) = shop.level(&last).await?;
    ensure!(on_hand == max.into(), "the last level is {on_hand}");
    Ok(Proof::Yes(shop.how()))
}

pub async fn one_bad_member_fails_alone(shop: &dyn ShopUnderTest) -> Told {
    let tag = shop.tag();
    let taken = format!("{tag}-taken");
    shop.add(&[Seed::new(taken.clone())]).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let skus = [
        format!("{tag}-1"),
        format!("{tag}-2"),
        taken.clone(),
        format!("{tag}-3"),
    ];
    let changes: Vec<Change> = skus.iter().map(|sku| new_product(shop, sku)).collect();
    let outcomes = connector.push(&changes, &NoPictures).await?;
    ensure!(outcomes.len() == 4, "{} outcomes for 4", outcomes.len());
    for (sku, outcome) in skus.iter().zip(outcomes) {
        match outcome {
            Outcome::Done(_) => ensure!(*sku != taken, "a taken SKU was taken twice"),
            Outcome::Failed(fault) => {
                ensure!(*sku == taken, "{sku} failed too: {fault:?}");
                ensure!(
                    matches!(fault.kind, FaultKind::Duplicate { .. }),
                    "a taken SKU is told as {:?}",
                    fault.kind
                );
                ensure!(
                    fault.record.as_deref() == Some(sku.as_str()),
                    "the fault is about {:?}",
                    fault.record
                );
            }
            other => return Err(Failure(format!("{sku} ends as {other:?}"))),
        }
        let there = shop.look(&Sku(sku.clone())).await?;
        ensure!(there.is_some(), "{sku} is not in the shop");
    }
    // Updates too: one of a product that is gone.
    let mut updates = Vec::new();
    for sku in [&skus[0], &skus[1], &skus[3]] {
        let product = pulls::product(connector, &Sku(sku.clone())).await?;
        let title = [(Path::new(&Field::Title), Value::text("Renamed"))];
        updates.push(update(&product, title.into()));
    }
    shop.delete(&Sku(skus[1].clone())).await?;
    let outcomes = connector.push(&updates, &NoPictures).await?;
    let words: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Done(_) => "done",
            Outcome::Failed(fault) if fault.kind == FaultKind::NotFound => "not found",
            _ => "otherwise",
        })
        .collect();
    ensure!(
        words == ["done", "not found", "done"],
        "the updates end as {outcomes:?}"
    );
    Ok(Proof::Yes(shop.how()))
}

/// What the shop answers to a write is what it shows in the next reading.
pub async fn an_echo_of_our_own_write_is_not_a_change(shop: &dyn ShopUnderTest) -> Told {
    let sku = Sku(shop.tag());
    let connector = shop.connector();
    let connector = connector.as_ref();
    let paging = shop.platform().manifest().paging(Kind::Product);
    let limit = paging.map_or(100, |paging| paging.page_max);
    let cursor = pulls::now(connector, Kind::Product, limit).await?;
    let mut product = plain(&sku, Decimal::new(1990, 2), &shop.currency());
    product.title = "  Spaces and ÄÖ  ".into();
    product.description = Some("<p>x</p>\n<script>alert(1)</script>".into());
    let made = create(connector, product).await?;
    let look = pulls::since(connector, Kind::Product, cursor, limit).await?;
    let seen = look.with_sku(&sku);
    ensure!(seen.len() == 1, "our product is told {} times", seen.len());
    ensure!(
        seen[0].fields() == made.fields() && seen[0].parts() == made.parts(),
        "the feed shows it otherwise than it was answered"
    );
    let cursor = pulls::end(look)?;
    let title = [(Path::new(&Field::Title), Value::text("Renamed"))];
    let receipt = done(push_one(connector, update(&made, title.into())).await?)?;
    let look = pulls::since(connector, Kind::Product, cursor, limit).await?;
    let seen = look.with_sku(&sku);
    ensure!(seen.len() == 1, "our update is told {} times", seen.len());
    match receipt.record {
        Some(Record::Product(held)) => ensure!(
            seen[0].fields() == held.fields(),
            "the feed shows the update otherwise than it was answered"
        ),
        other => return Err(Failure(format!("the receipt holds {other:?}"))),
    }
    Ok(Proof::Yes(shop.how()))
}

pub async fn an_unknown_outcome_leads_to_a_look_and_not_to_a_repeat(
    shop: &dyn ShopUnderTest,
) -> Told {
    let tag = shop.tag();
    let sku = Sku(format!("{tag}-lost"));
    let http = Mishaps::new(shop.http(), Mishap::LostReply, 0);
    let connector = shop.connect(shop.account(), http.clone());
    let outcome = push_one(connector.as_ref(), new_product(shop, sku.as_str())).await?;
    let is_unknown = |outcome: &Outcome| matches!(outcome, Outcome::Failed(fault) if fault.kind == FaultKind::UnknownOutcome);
    ensure!(is_unknown(&outcome), "a lost reply ends as {outcome:?}");
    ensure!(http.writes() == 1, "it was sent {} times", http.writes());
    let found = connector.find(&NaturalKey::Sku(sku.clone())).await?;
    ensure!(found.len() == 1, "a look finds {}", found.len());

    shop.add(&[Seed::new(tag.clone())]).await?;
    let level_of = Sku(tag);
    let was = pulls::level(connector.as_ref(), &level_of, &shop.stock()).await?;
    let http = Mishaps::new(shop.http(), Mishap::LostReply, 0);
    let connector = shop.connect(shop.account(), http.clone());
    let change = Change::SetLevel {
        was: Box::new(was),
        on_hand: Decimal::from(3),
        location: None,
    };
    let outcome = push_one(connector.as_ref(), change).await?;
    ensure!(is_unknown(&outcome), "a lost reply ends as {outcome:?}");
    ensure!(http.writes() == 1, "it was sent {} times", http.writes());
    let level = pulls::level(connector.as_ref(), &level_of, &shop.stock()).await?;
    ensure!(
        level.on_hand == Decimal::from(3),
        "a look finds {}",
        level.on_hand
    );
    Ok(Proof::Yes(shop.how()))
}
