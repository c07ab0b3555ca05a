//! Lines 41 to 46: levels.

use super::products::{done, push_one};
use super::{Failure, Proof, Seed, ShopUnderTest, Told, ensure, pulls};
use crate::StockWrite;
use lockstep_model::{Change, FaultKind, Fulfilment, Level, Outcome, Payment, Record, Sku};
use rust_decimal::Decimal;

fn set(was: &Level, on_hand: u32) -> Change {
    Change::SetLevel {
        was: Box::new(was.clone()),
        on_hand: on_hand.into(),
        location: None,
    }
}

async fn seeded(shop: &dyn ShopUnderTest) -> Result<Sku, Failure> {
    let sku = Sku(shop.tag());
    shop.add(&[Seed::new(sku.0.clone())]).await?;
    Ok(sku)
}

pub async fn a_level_is_set(shop: &dyn ShopUnderTest) -> Told {
    let sku = seeded(shop).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let mut was = pulls::level(connector, &sku, &shop.stock()).await?;
    ensure!(
        was.on_hand == Decimal::from(10),
        "10 units are read as {}",
        was.on_hand
    );
    for units in [23, 0, 5] {
        let receipt = done(push_one(connector, set(&was, units)).await?)?;
        let (on_hand, _) = shop.level(&sku).await?;
        ensure!(on_hand == units.into(), "{units} is seen as {on_hand}");
        was = match receipt.record {
            Some(Record::Level(level)) => level,
            other => return Err(Failure(format!("the receipt holds {other:?}"))),
        };
        ensure!(
            was.on_hand == units.into() && was.sku == sku && was.stock == shop.stock(),
            "the receipt holds {was:?}"
        );
    }
    // A SKU that never had a level in this stock gets one.
    let currency = shop.currency();
    let new = Sku(format!("{sku}-new"));
    super::products::create(
        connector,
        super::products::plain(&new, Decimal::ONE, &currency),
    )
    .await?;
    let was = pulls::level(connector, &new, &shop.stock()).await?;
    done(push_one(connector, set(&was, 4)).await?)?;
    let (on_hand, _) = shop.level(&new).await?;
    ensure!(on_hand == Decimal::from(4), "the first level is {on_hand}");
    Ok(Proof::Yes(shop.how()))
}

pub async fn a_level_is_set_by_the_safest_call(shop: &dyn ShopUnderTest) -> Told {
    let sku = seeded(shop).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let was = pulls::level(connector, &sku, &shop.stock()).await?;
    done(push_one(connector, set(&was, 8)).await?)?;
    // Somebody who read the same level writes too.
    let second = push_one(connector, set(&was, 9)).await?;
    let (on_hand, _) = shop.level(&sku).await?;
    match shop.platform().manifest().stock_write {
        StockWrite::CompareAndSet => {
            let is_refused =
                matches!(&second, Outcome::Failed(fault) if fault.kind == FaultKind::Conflict);
            ensure!(is_refused, "a stale write ends as {second:?}");
            ensure!(
                on_hand == Decimal::from(8),
                "a stale write made it {on_hand}"
            );
            Ok(Proof::Yes(shop.how()))
        }
        StockWrite::Relative | StockWrite::Absolute => {
            ensure!(
                on_hand == Decimal::from(9),
                "the last write made it {on_hand}"
            );
            Ok(Proof::None(
                "the platform only sets levels, whatever they are; written absolutely",
            ))
        }
        StockWrite::None => Ok(Proof::None("the platform's stock cannot be written")),
    }
}

pub async fn a_sale_between_read_and_write_is_not_lost(shop: &dyn ShopUnderTest) -> Told {
    let sku = seeded(shop).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let was = pulls::level(connector, &sku, &shop.stock()).await?;
    shop.buy(&sku, 1).await?;
    // Two more came in, we thought.
    let outcome = push_one(connector, set(&was, 12)).await?;
    let (on_hand, reserved) = shop.level(&sku).await?;
    let available = on_hand - reserved;
    match outcome {
        Outcome::Failed(fault) if fault.kind == FaultKind::Conflict => {
            ensure!(
                available == Decimal::from(9),
                "the refused write left {available}"
            );
        }
        Outcome::Done(_) => {
            ensure!(
                available == Decimal::from(11),
                "10, one sold, two more: {available} are available"
            );
        }
        other => return Err(Failure(format!("the write ends as {other:?}"))),
    }
    Ok(Proof::Yes(shop.how()))
}

/// `available + taken` of one order's units never moves: not by placement, payment, shipping, nor by a cancel that
/// puts back.
pub async fn available_and_taken_agree_with_the_platform(shop: &dyn ShopUnderTest) -> Told {
    let sku = seeded(shop).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let all = Decimal::from(10);
    let shipped = shop.buy(&sku, 2).await?;
    let cancelled = shop.buy(&sku, 3).await?;
    for stage in ["bought", "shipped", "cancelled"] {
        match stage {
            "shipped" => shop.ship(&shipped).await?,
            "cancelled" => shop.cancel(&cancelled).await?,
            _ => {}
        }
        let level = pulls::level(connector, &sku, &shop.stock()).await?;
        let (on_hand, reserved) = shop.level(&sku).await?;
        ensure!(
            level.available() == on_hand - reserved,
            "{stage}: {} available are read, the shop says {on_hand} − {reserved}",
            level.available()
        );
        let mut taken = Decimal::ZERO;
        for id in [&shipped, &cancelled] {
            let order = pulls::order(connector, id).await?;
            let lines = order.state.lines.iter();
            let lines = lines.filter(|line| line.sku.as_ref() == Some(&sku));
            taken += lines.map(|line| line.taken).sum::<Decimal>();
        }
        ensure!(
            level.available() + taken == all,
            "{stage}: {} available and {taken} taken are not {all}",
            level.available()
        );
    }
    let order = pulls::order(connector, &shipped).await?.state;
    ensure!(
        order.fulfilment == Fulfilment::Shipped,
        "the shipped order is {:?}",
        order.fulfilment
    );
    ensure!(
        order.payment >= Payment::Accepted,
        "the paid order is {:?}",
        order.payment
    );
    let order = pulls::order(connector, &cancelled).await?.state;
    ensure!(order.cancelled, "the cancelled order is not");
    let taken: Decimal = order.lines.iter().map(|line| line.taken).sum();
    ensure!(taken.is_zero(), "{taken} of a cancelled order are taken");
    Ok(Proof::Yes(shop.how()))
}
