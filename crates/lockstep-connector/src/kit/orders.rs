//! Lines 47 to 57e: orders read, and copies made once.

use super::ports::{Mishap, Mishaps};
use super::products::{done, push_one};
use super::{Failure, Proof, Seed, ShopUnderTest, Told, ensure, pulls};
use crate::{Connector, NoPictures, OrderCreation};
use jiff::Timestamp;
use lockstep_model::{
    Address, Change, ChangeSort, Charge, ChargeKind, CustomerId, FaultKind, NaturalKey, NewOrder,
    Order, OrderKey, OrderLine, OrderState, Outcome, Payment, Person, Record, RemoteId, ShopId,
    Sku,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

fn dec(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

pub fn person() -> Person {
    let address = Address {
        name: Some("Aino Virta".into()),
        street: Some("Rantakatu 7".into()),
        postcode: Some("33100".into()),
        city: Some("Tampere".into()),
        country: Some("FI".into()),
        ..Address::default()
    };
    Person {
        email: Some("aino.virta@example.com".into()),
        name: Some("Aino Virta".into()),
        billing: Some(address.clone()),
        shipping: Some(address),
        ..Person::default()
    }
}

/// An order placed elsewhere: three units whose sum does not divide, and shipping.
pub fn copy(shop: &dyn ShopUnderTest, sku: &Sku, id: &str) -> NewOrder {
    let line = OrderLine {
        id: "1".into(),
        of: None,
        variant: None,
        item: None,
        sku: Some(sku.clone()),
        title: format!("Product {sku}"),
        quantity: Decimal::from(3),
        unit_price: dec(333),
        net: dec(797),
        tax: dec(203),
        gross: dec(1000),
        tax_rate: Decimal::new(255, 1),
        discount: Decimal::ZERO,
        taken: Decimal::ZERO,
        shipped: Decimal::ZERO,
        cancelled: Decimal::ZERO,
        returned: Decimal::ZERO,
        written_off: Decimal::ZERO,
        stock: None,
    };
    let shipping = Charge {
        kind: ChargeKind::Shipping,
        title: "Post parcel".into(),
        net: dec(390),
        tax: dec(100),
        gross: dec(490),
        tax_rate: Decimal::new(255, 1),
    };
    NewOrder {
        key: OrderKey {
            customer: CustomerId(7),
            shop: ShopId(99),
            id: id.into(),
        },
        reference: format!("WEB-{id}"),
        order: Order {
            state: OrderState {
                id: id.into(),
                number: "1001".into(),
                key: None,
                stage: Default::default(),
                payment: Payment::Paid,
                fulfilment: Default::default(),
                cancelled: false,
                placed_at: Timestamp::now(),
                modified_at: None,
                currency: shop.currency(),
                lines: vec![line],
                charges: vec![shipping],
                total: dec(1490),
                tax_by_rate: [(Decimal::new(255, 1), dec(303))].into(),
                payment_method: None,
                shipping_method: None,
                payment_term: None,
                parcels: Vec::new(),
                refunds: Vec::new(),
                discounts: Vec::new(),
            },
            person: person(),
        },
        branch: None,
        stock: None,
        payment_term: None,
        due_days: None,
        send_confirmation: false,
    }
}

fn create(order: &NewOrder) -> Change {
    Change::CreateOrder {
        order: Box::new(order.clone()),
    }
}

async fn find(
    connector: &dyn Connector,
    order: &NewOrder,
    not_before: Timestamp,
) -> Result<Vec<Order>, Failure> {
    let key = NaturalKey::Order {
        key: order.key.clone(),
        not_before,
    };
    let found = connector.find(&key).await?;
    Ok(found
        .into_iter()
        .filter_map(|record| match record {
            Record::Order(order) => Some(*order),
            _ => None,
        })
        .collect())
}

async fn seeded(shop: &dyn ShopUnderTest) -> Result<(Sku, String), Failure> {
    let tag = shop.tag();
    // A shop may refuse an order of what it has not got.
    let seed = Seed {
        units: 1000,
        ..Seed::new(tag.clone())
    };
    shop.add(&[seed]).await?;
    Ok((Sku(tag.clone()), tag))
}

pub async fn an_order_is_read_in_full(shop: &dyn ShopUnderTest) -> Told {
    let (sku, _) = seeded(shop).await?;
    let id = shop.buy(&sku, 2).await?;
    let Order { state, person } = pulls::order(shop.connector().as_ref(), &id).await?;
    ensure!(!state.number.is_empty(), "the buyer's number is missing");
    ensure!(
        state.currency == shop.currency(),
        "the currency is {}",
        state.currency
    );
    ensure!(state.lines.len() == 1, "{} lines", state.lines.len());
    let line = &state.lines[0];
    ensure!(
        line.sku.as_ref() == Some(&sku),
        "the line's SKU is {:?}",
        line.sku
    );
    ensure!(
        line.quantity == Decimal::TWO,
        "{} units are read",
        line.quantity
    );
    ensure!(!line.title.is_empty(), "the line has no title");
    for line in &state.lines {
        ensure!(
            line.net + line.tax == line.gross,
            "a line's net and tax are not its gross"
        );
    }
    let lines: Decimal = state.lines.iter().map(|line| line.gross).sum();
    let charges: Decimal = state.charges.iter().map(|charge| charge.gross).sum();
    ensure!(
        lines + charges == state.total,
        "{lines} and {charges} are not {}",
        state.total
    );
    let taxes: Decimal = state.lines.iter().map(|line| line.tax).sum();
    let charged: Decimal = state.charges.iter().map(|charge| charge.tax).sum();
    let by_rate: Decimal = state.tax_by_rate.values().sum();
    ensure!(
        taxes + charged == by_rate,
        "{taxes} and {charged} of tax are not {by_rate} by rate"
    );
    ensure!(
        person.email.as_deref() == Some(shop.buyer_email()),
        "the buyer's address is not read"
    );
    ensure!(person.name.is_some(), "the buyer's name is not read");
    ensure!(state.payment_method.is_some(), "no payment method");
    ensure!(
        state.payment >= Payment::Accepted,
        "the payment is {:?}",
        state.payment
    );
    Ok(Proof::Yes(shop.how()))
}

pub async fn an_order_is_created_once_by_key(shop: &dyn ShopUnderTest) -> Told {
    let (sku, tag) = seeded(shop).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let began = Timestamp::now();
    let new = copy(shop, &sku, &tag);
    ensure!(
        find(connector, &new, began).await?.is_empty(),
        "an order is found that nobody made"
    );
    let receipt = done(push_one(connector, create(&new)).await?)?;
    let found = find(connector, &new, began).await?;
    ensure!(found.len() == 1, "{} are found", found.len());
    let state = &found[0].state;
    ensure!(
        state.id == receipt.id,
        "another one is found than was answered"
    );
    ensure!(
        state.total == new.order.state.total,
        "the total is {}",
        state.total
    );
    let mut units: BTreeMap<&Sku, Decimal> = BTreeMap::new();
    for line in &state.lines {
        if let Some(sku) = &line.sku {
            *units.entry(sku).or_default() += line.quantity;
        }
    }
    ensure!(
        units == BTreeMap::from([(&sku, Decimal::from(3))]),
        "the units are {units:?}"
    );
    let buyer = &found[0].person;
    ensure!(
        buyer.email == new.order.person.email,
        "the buyer's address did not cross"
    );
    let street = |person: &Person| person.shipping.as_ref().and_then(|a| a.street.clone());
    ensure!(
        street(buyer) == street(&new.order.person),
        "the delivery address did not cross"
    );
    let there = shop.orders_with_key(&new.key.to_string()).await?;
    ensure!(there == 1, "the shop has {there}");
    if shop.platform().manifest().orders == OrderCreation::UniqueKey {
        let again = push_one(connector, create(&new)).await?;
        let is_same = match &again {
            Outcome::Done(again) => again.id == receipt.id,
            Outcome::Failed(fault) => {
                fault.kind
                    == FaultKind::Duplicate {
                        existing: Some(receipt.id.clone()),
                    }
            }
            _ => false,
        };
        ensure!(is_same, "sent again it ends as {again:?}");
        let there = shop.orders_with_key(&new.key.to_string()).await?;
        ensure!(there == 1, "sent again, the shop has {there}");
    }
    Ok(Proof::Yes(shop.how()))
}

/// As the engine does it: a doubtful create is looked for when it has settled, and made again only if it is not
/// there. Each write of the create goes wrong in turn.
pub async fn a_lost_reply_and_a_late_write_do_not_create_a_second(
    shop: &dyn ShopUnderTest,
) -> Told {
    if shop.platform().manifest().orders == OrderCreation::None {
        return Ok(Proof::None("a doubtful order is held for a person"));
    }
    let (sku, tag) = seeded(shop).await?;
    let mut cases = 0;
    for mishap in [Mishap::LostReply, Mishap::Late] {
        for pass in 0..4 {
            let new = copy(shop, &sku, &format!("{tag}-{mishap:?}-{pass}"));
            let began = Timestamp::now();
            let http = Mishaps::new(shop.http(), mishap, pass);
            let connector = shop.connect(shop.account(), http.clone());
            let connector = connector.as_ref();
            let outcome = push_one(connector, create(&new)).await?;
            if !http.is_spent() {
                break;
            }
            cases += 1;
            let is_unknown = matches!(&outcome, Outcome::Failed(fault) if fault.kind == FaultKind::UnknownOutcome);
            ensure!(is_unknown, "{mishap:?} of write {pass} ends as {outcome:?}");
            http.arrive().await;
            let found = find(connector, &new, began).await?;
            ensure!(
                found.len() <= 1,
                "{mishap:?} of write {pass}: {} are found",
                found.len()
            );
            if found.is_empty() {
                done(push_one(connector, create(&new)).await?)?;
            }
            let there = shop.orders_with_key(&new.key.to_string()).await?;
            ensure!(
                there == 1,
                "{mishap:?} of write {pass}: the shop has {there}"
            );
            let found = find(connector, &new, began).await?;
            ensure!(
                found.len() == 1,
                "{mishap:?} of write {pass}: it is not found"
            );
        }
    }
    ensure!(cases >= 2, "nothing went wrong in {cases} cases");
    Ok(Proof::Yes(shop.how()))
}

pub async fn two_creators_with_one_key_make_one(shop: &dyn ShopUnderTest) -> Told {
    match shop.platform().manifest().orders {
        OrderCreation::UniqueKey => {}
        OrderCreation::ExactSearch | OrderCreation::None => {
            return Ok(Proof::None(
                "the platform has no unique key; the lease keeps two creators apart",
            ));
        }
    }
    let (sku, tag) = seeded(shop).await?;
    let new = copy(shop, &sku, &tag);
    let (one, other) = (shop.connector(), shop.connector());
    let changes = [create(&new)];
    let (one, other) = futures::join!(
        one.push(&changes, &NoPictures),
        other.push(&changes, &NoPictures)
    );
    for outcome in one?.into_iter().chain(other?) {
        let is_fine = match &outcome {
            Outcome::Done(_) => true,
            Outcome::Failed(fault) => matches!(fault.kind, FaultKind::Duplicate { .. }),
            _ => false,
        };
        ensure!(is_fine, "one of two creators ends as {outcome:?}");
    }
    let there = shop.orders_with_key(&new.key.to_string()).await?;
    ensure!(there == 1, "two creators made {there}");
    Ok(Proof::Yes(shop.how()))
}

pub async fn a_copy_is_never_taken_for_an_order(shop: &dyn ShopUnderTest) -> Told {
    if shop
        .platform()
        .manifest()
        .batch_max(ChangeSort::CreateOrder)
        == 0
    {
        return Ok(Proof::None("the platform takes no orders from others"));
    }
    let (sku, tag) = seeded(shop).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let new = copy(shop, &sku, &tag);
    let made = done(push_one(connector, create(&new)).await?)?.id;
    let own = shop.buy(&sku, 1).await?;
    let key = |id: RemoteId| async move {
        let order = pulls::order(connector, &id).await?;
        Ok::<_, Failure>(order.state.key.as_deref().and_then(OrderKey::parse))
    };
    let known = key(made).await?;
    ensure!(
        known == Some(new.key),
        "the copy's key is read as {known:?}"
    );
    let known = key(own).await?;
    ensure!(
        known.is_none(),
        "an order of the shop's own bears {known:?}"
    );
    Ok(Proof::Yes(shop.how()))
}
