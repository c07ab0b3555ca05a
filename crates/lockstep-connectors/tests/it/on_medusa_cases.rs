//! A real Medusa as merchants have it (`xtask/medusa/seed.js`): taxes of its own, two currencies, locations and channels, a
//! kit, a thing that is sold before it is there. Each test is a case that once went wrong.

use crate::http::Direct;
use crate::medusa::{Ground, decimal, look, setting, test, text};
use async_trait::async_trait;
use lockstep_connector::kit::{self, Failure, Seed, ShopUnderTest};
use lockstep_connector::{
    BodyStream, Connector, Cost, Effect, Http, NoPictures, Platform, Reply, Request,
};
use lockstep_connectors::Medusa;
use lockstep_model::{
    Change, Charge, ChargeKind, Fault, FaultKind, Field, Kind, Level, NaturalKey, NewOrder, Order,
    OrderLine, Outcome, Path, Payment, Product, PullRequest, Receipt, Record, RemoteId, Scope, Sku,
    Value, Variant, VariantField,
};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn dec(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn outlet() -> String {
    setting("SECOND_STOCK_LOCATION")
}

async fn read(connector: &dyn Connector, kind: Kind, ids: &[&str]) -> Result<Vec<Record>, Failure> {
    let request = PullRequest {
        kind,
        scope: Scope::Ids(ids.iter().map(|id| RemoteId::from(*id)).collect()),
        limit: 100,
    };
    let page = connector.pull(&request).await?;
    page.records
        .into_iter()
        .map(|record| record.map_err(|bad| Failure(format!("{bad:?}"))))
        .collect()
}

async fn order(connector: &dyn Connector, id: &RemoteId) -> Result<Order, Failure> {
    let found = read(connector, Kind::Order, &[id.as_str()]).await?;
    match found.into_iter().next() {
        Some(Record::Order(order)) => Ok(*order),
        other => Err(Failure(format!("{id}: {other:?}"))),
    }
}

/// By location.
async fn levels(connector: &dyn Connector, sku: &Sku) -> Result<BTreeMap<String, Level>, Failure> {
    let found = read(connector, Kind::Level, &[sku.as_str()]).await?;
    let levels = found.into_iter().filter_map(|record| match record {
        Record::Level(level) => Some((level.stock.0.clone(), level)),
        _ => None,
    });
    Ok(levels.collect())
}

async fn product(connector: &dyn Connector, sku: &str) -> Result<Product, Failure> {
    let found = connector.find(&NaturalKey::Sku(sku.into())).await?;
    match found.into_iter().next() {
        Some(Record::Product(product)) => Ok(product),
        other => Err(Failure(format!("{sku}: {other:?}"))),
    }
}

async fn push(connector: &dyn Connector, change: Change) -> Result<Receipt, Failure> {
    let outcomes = connector.push(&[change], &NoPictures).await?;
    match outcomes.into_iter().next() {
        Some(Outcome::Done(receipt)) => Ok(receipt),
        other => Err(Failure(format!("it ends as {other:?}"))),
    }
}

/// What has to be said so that the product is as it shall be.
fn edit(is: &Product, shall: &Product) -> Change {
    let (before, after) = (is.fields(), shall.fields());
    let mut set = after.clone();
    set.retain(|path, value| before.get(path) != Some(value));
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        set.insert(path.clone(), Value::Empty);
    }
    Change::UpdateProduct {
        id: is.id.clone(),
        set,
        product: Box::new(shall.clone()),
        parts: is.parts(),
    }
}

/// SKU → its values, of a product as the shop itself shows it.
fn shown(raw: &Json) -> BTreeMap<String, BTreeMap<String, String>> {
    let variants = raw["variants"].as_array().into_iter().flatten();
    let variants = variants.map(|variant| {
        let options = variant["options"].as_array().into_iter().flatten();
        let options =
            options.map(|option| (text(&option["option"]["title"]), text(&option["value"])));
        (text(&variant["sku"]), options.collect())
    });
    variants.collect()
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn variant(sku: &str, options: &[(&str, &str)]) -> Variant {
    Variant {
        sku: sku.into(),
        prices: [("EUR".into(), dec("10"))].into(),
        options: values(options),
        ..Variant::default()
    }
}

/// Made through the connector, as the shop then has it.
async fn make(
    connector: &dyn Connector,
    title: &str,
    axes: &[&str],
    variants: Vec<Variant>,
) -> Result<Product, Failure> {
    let product = Product {
        title: title.to_owned(),
        status: lockstep_model::Status::Active,
        options: axes.iter().map(|axis| (*axis).to_owned()).collect(),
        variants,
        ..Product::default()
    };
    let change = Change::CreateProduct {
        product: Box::new(product),
    };
    match push(connector, change).await?.record {
        Some(Record::Product(product)) => Ok(product),
        other => Err(Failure(format!("{other:?}"))),
    }
}

fn adds_up(order: &Order) {
    let state = &order.state;
    let lines: Decimal = state.lines.iter().map(|line| line.gross).sum();
    let charges: Decimal = state.charges.iter().map(|charge| charge.gross).sum();
    assert_eq!(lines + charges, state.total);
    let taxes: Decimal = state.tax_by_rate.values().sum();
    let of_lines: Decimal = state.lines.iter().map(|line| line.tax).sum();
    let of_charges: Decimal = state.charges.iter().map(|charge| charge.tax).sum();
    assert_eq!(of_lines + of_charges, taxes);
    let amounts = state
        .lines
        .iter()
        .flat_map(|line| [line.net, line.tax, line.gross, line.unit_price]);
    for amount in amounts.chain([state.total]) {
        assert!(amount.scale() <= 2, "{amount}");
    }
}

/// Orders with two rates, in both currencies: prices are with tax in one and without in the other.
#[test]
fn m1_orders_with_taxes_of_its_own_are_read_as_they_are_shown() {
    test(async |ground| {
        let connector = ground.connector();
        for (region, country, rates) in [
            ("REGION", "fi", vec![dec("13.5"), dec("25.5")]),
            ("SECOND_REGION", "us", vec![dec("8.875")]),
        ] {
            let items = [("SEED-MUG", 3), ("SEED-BOOK", 1)];
            let id = ground.order_of(&items, &setting(region), country).await?;
            let read = order(connector.as_ref(), &id).await?;
            adds_up(&read);
            let there = ground.order(&id).await?;
            assert_eq!(read.state.total, decimal(&there["total"]).round_dp(2));
            let known: Vec<Decimal> = read.state.tax_by_rate.keys().copied().collect();
            assert_eq!(known, rates);
            assert_eq!(read.state.lines.len(), 2);
        }
        Ok(())
    });
}

/// The buyer's total is what was ordered; what was given back is told as such.
#[test]
fn m9_an_order_of_which_money_was_given_back_before_it_was_first_read_adds_up() {
    test(async |ground| {
        let connector = ground.connector();
        let sku = Sku(ground.tag());
        ground.add(&[Seed::new(sku.0.clone())]).await?;
        let id = ground.buy(&sku, 2).await?;
        let before = order(connector.as_ref(), &id).await?;
        let there = ground.order(&id).await?;
        let payment = text(&there["payment_collections"][0]["payments"][0]["id"]);
        let path = format!("/admin/payments/{payment}/refund");
        ground.post(&path, json!({ "amount": 10 })).await?;
        let after = order(connector.as_ref(), &id).await?;
        adds_up(&after);
        assert_eq!(after.state.total, before.state.total);
        assert_eq!(after.state.lines, before.state.lines);
        assert_eq!(after.state.payment, Payment::PartlyRefunded);
        assert_eq!(after.state.refunded(), dec("10"));
        // Cancelled, all of it is given back: it is still what was ordered.
        ground.cancel(&id).await?;
        let cancelled = order(connector.as_ref(), &id).await?;
        adds_up(&cancelled);
        assert_eq!(cancelled.state.total, before.state.total);
        assert!(cancelled.state.cancelled);
        Ok(())
    });
}

#[test]
fn m9_a_returned_unit_leaves_the_amounts_as_they_were_ordered() {
    test(async |ground| {
        let connector = ground.connector();
        let sku = Sku(ground.tag());
        ground.add(&[Seed::new(sku.0.clone())]).await?;
        let id = ground.buy(&sku, 2).await?;
        ground.ship(&id).await?;
        let before = order(connector.as_ref(), &id).await?.state;
        for units in [1, 1] {
            ground.take_back(&id, units).await?;
            let after = order(connector.as_ref(), &id).await?;
            adds_up(&after);
            assert_eq!(after.state.total, before.total);
            assert_eq!(after.state.lines[0].gross, before.lines[0].gross);
            assert_eq!(after.state.lines[0].tax, before.lines[0].tax);
        }
        let after = order(connector.as_ref(), &id).await?.state;
        assert_eq!(after.lines[0].returned, dec("2"));
        Ok(())
    });
}

fn with_amounts(
    mut new: NewOrder,
    lines: &[(Option<&Sku>, &str, &str, &str)],
    charges: &[(ChargeKind, &str, &str)],
) -> NewOrder {
    let state = &mut new.order.state;
    let tax = |gross: Decimal, rate: Decimal| (gross * rate / (dec("100") + rate)).round_dp(2);
    let line: OrderLine = state.lines[0].clone();
    state.lines = lines
        .iter()
        .enumerate()
        .map(|(nth, (sku, units, gross, rate))| {
            let (gross, rate) = (dec(gross), dec(rate));
            OrderLine {
                variant: None,
                item: None,
                id: RemoteId(nth.to_string()),
                sku: sku.cloned(),
                title: format!("Line {nth}"),
                quantity: dec(units),
                gross,
                tax: tax(gross, rate),
                net: gross - tax(gross, rate),
                tax_rate: rate,
                ..line.clone()
            }
        })
        .collect();
    state.charges = charges
        .iter()
        .map(|(kind, gross, rate)| {
            let (gross, rate) = (dec(gross), dec(rate));
            Charge {
                kind: *kind,
                title: format!("{kind:?}"),
                net: gross - tax(gross, rate),
                tax: tax(gross, rate),
                gross,
                tax_rate: rate,
            }
        })
        .collect();
    let parts = state.lines.iter().map(|line| line.gross);
    state.total = parts
        .chain(state.charges.iter().map(|charge| charge.gross))
        .sum();
    new
}

#[test]
fn m4_a_copy_costs_what_the_order_costs_to_the_cent() {
    test(async |ground| {
        let (sku, book) = (Sku(ground.tag()), Sku::from("SEED-BOOK"));
        let seed = Seed {
            units: 100,
            ..Seed::new(sku.0.clone())
        };
        ground.add(&[seed]).await?;
        use ChargeKind::{Discount, Fee, Shipping};
        type Lines<'a> = Vec<(Option<&'a Sku>, &'a str, &'a str, &'a str)>;
        let some = Some(&sku);
        type Charges<'a> = Vec<(ChargeKind, &'a str, &'a str)>;
        let cases: Vec<(&str, &str, Lines<'_>, Charges<'_>)> = vec![
            // Seven that do not divide, and shipping at the shop's own rate.
            (
                "EUR",
                "FI",
                vec![(some, "7", "171.94", "25.5")],
                vec![(Shipping, "4.90", "25.5")],
            ),
            // Shipping at another rate than the shop's, two rates, a tip.
            (
                "EUR",
                "FI",
                vec![
                    (some, "3", "10.00", "25.5"),
                    (Some(&book), "1", "11.35", "13.5"),
                    (None, "1", "5.00", "0"),
                ],
                vec![(Shipping, "4.90", "13.5")],
            ),
            // A discount, a fee, two lines of one SKU.
            (
                "EUR",
                "FI",
                vec![(some, "2", "40.00", "25.5"), (some, "3", "30.01", "25.5")],
                vec![
                    (Shipping, "0.00", "0"),
                    (Discount, "-6.67", "25.5"),
                    (Fee, "1.99", "25.5"),
                ],
            ),
            // Prices without tax, and a rate of three decimals.
            (
                "USD",
                "US",
                vec![(some, "3", "32.63", "8.875")],
                vec![(Shipping, "7.62", "8.875")],
            ),
        ];
        for (nth, (currency, country, lines, charges)) in cases.into_iter().enumerate() {
            let mut new = kit::copy(ground, &sku, &format!("{sku}-{nth}"));
            new.order.state.currency = currency.into();
            let person = &mut new.order.person;
            for address in [&mut person.billing, &mut person.shipping]
                .into_iter()
                .flatten()
            {
                address.country = Some(country.into());
            }
            let new = with_amounts(new, &lines, &charges);
            let account = ground.account_without(&["region"]);
            let connector = ground.connect(account, ground.http());
            let change = Change::CreateOrder {
                order: Box::new(new.clone()),
            };
            let made = push(connector.as_ref(), change).await?;
            let there = ground.order(&made.id).await?;
            assert_eq!(
                decimal(&there["total"]).round_dp(2),
                new.order.state.total,
                "case {nth}"
            );
            let copy = order(connector.as_ref(), &made.id).await?;
            adds_up(&copy);
            assert_eq!(copy.state.total, new.order.state.total, "case {nth}");
            let mut of: Vec<RemoteId> = copy
                .state
                .lines
                .iter()
                .filter_map(|line| line.of.clone())
                .collect();
            of.sort();
            let lines: Vec<RemoteId> = new
                .order
                .state
                .lines
                .iter()
                .map(|line| line.id.clone())
                .collect();
            assert_eq!(
                of, lines,
                "case {nth}: each line of the origin is one of the copy"
            );
            let key = new.key.to_string();
            assert_eq!(ground.with_metadata("draft_orders", &key).await?, 0);
        }
        Ok(())
    });
}

/// All pages of a look, and where the next begins.
/// What is told of one product. Where more moves in the overlap than a cursor remembers, the same comes twice.
fn only<'r>(records: &'r [Record], id: &RemoteId) -> Vec<&'r Record> {
    let mut told: Vec<&Record> = Vec::new();
    for record in records {
        if matches!(record, Record::Product(product) if product.id == *id)
            && !told.contains(&record)
        {
            told.push(record);
        }
    }
    told
}

#[test]
fn m2_what_changed_is_seen_at_the_next_look_whichever_part_it_is() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let tag = ground.tag();
        let made = make(
            connector,
            &tag,
            &["Size"],
            vec![
                variant(&format!("{tag}-S"), &[("Size", "S")]),
                variant(&format!("{tag}-M"), &[("Size", "M")]),
            ],
        )
        .await?;
        let raw = ground.raw(&Sku(format!("{tag}-S"))).await?;
        let (product, option) = (text(&raw["id"]), text(&raw["options"][0]["id"]));
        let of_variant = format!("/admin/products/{product}/variants/{}", made.variants[0].id);
        let product_path = format!("/admin/products/{product}");
        let (_, cursor) = look(connector, Kind::Product, Scope::Everything(None)).await?;
        let (_, mut cursor) = look(connector, Kind::Product, Scope::Since(cursor)).await?;
        let handle = format!("{}-other", tag.to_lowercase());
        for (what, path, body) in [
            ("title", product_path.clone(), json!({ "title": "Another" })),
            ("status", product_path.clone(), json!({ "status": "draft" })),
            ("handle", product_path, json!({ "handle": handle })),
            (
                "axis",
                format!("/admin/product-options/{option}"),
                json!({ "title": "Koko" }),
            ),
            (
                "price",
                of_variant.clone(),
                json!({ "prices": [{ "currency_code": "eur", "amount": 3 }] }),
            ),
            ("SKU", of_variant, json!({ "sku": format!("{tag}-XS") })),
        ] {
            ground.post(&path, body).await?;
            let (told, next) = look(connector, Kind::Product, Scope::Since(cursor)).await?;
            let told = only(&told, &made.id);
            assert_eq!(told.len(), 1, "{what}: {told:?}");
            let (again, next) = look(connector, Kind::Product, Scope::Since(next)).await?;
            let again = only(&again, &made.id);
            assert!(
                again.iter().all(|record| told.contains(record)),
                "{what} is told as something else: {again:?}"
            );
            cursor = next;
        }
        Ok(())
    });
}

#[test]
fn m5_a_renamed_variant_keeps_its_stock_and_a_kit_has_as_many_as_its_parts() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let sku = Sku(ground.tag());
        let seed = Seed {
            units: 39,
            ..Seed::new(sku.0.clone())
        };
        ground.add(&[seed]).await?;
        let item = text(&ground.item(&sku).await?["id"]);
        let (product, variant) = ground.ids(&sku).await?;
        let renamed = Sku(format!("{sku}-new"));
        let path = format!("/admin/products/{product}/variants/{variant}");
        ground.post(&path, json!({ "sku": renamed })).await?;
        let main = setting("STOCK_LOCATION");
        let there = levels(connector, &renamed).await?;
        assert_eq!(there[&main].on_hand, dec("39"));
        assert!(levels(connector, &sku).await?.is_empty());
        let set = Change::SetLevel {
            was: Box::new(there[&main].clone()),
            on_hand: dec("41"),
            location: None,
        };
        push(connector, set).await?;
        assert_eq!(
            ground.level(&sku).await?.0,
            dec("41"),
            "of the item, which keeps its name"
        );

        let pair = Sku(format!("{sku}-pair"));
        ground.add_kit(&pair, &[(&item, 2)]).await?;
        let there = levels(connector, &pair).await?;
        assert_eq!(there[&main].available(), dec("20"));
        let set = Change::SetLevel {
            was: Box::new(there[&main].clone()),
            on_hand: dec("3"),
            location: None,
        };
        let outcomes = connector.push(&[set], &NoPictures).await?;
        let Outcome::Failed(fault) = &outcomes[0] else {
            panic!("a kit of another's units is written: {outcomes:?}");
        };
        assert!(fault.message.contains("other items"), "{fault}");
        assert_eq!(ground.level(&sku).await?.0, dec("41"));
        // A scan says the same.
        let (scanned, _) = look(connector, Kind::Level, Scope::Everything(None)).await?;
        let of_pair = scanned.into_iter().find_map(|record| match record {
            Record::Level(level) if level.sku == pair && level.stock.0 == main => {
                Some(level.available())
            }
            _ => None,
        });
        assert_eq!(of_pair, Some(dec("20")));
        Ok(())
    });
}

#[test]
fn m5_a_sku_that_is_new_where_an_old_one_goes_is_a_renamed_variant() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let tag = ground.tag();
        let sku = |size: &str| format!("{tag}-{size}");
        let is = make(
            connector,
            &tag,
            &["Size"],
            vec![
                variant(&sku("S"), &[("Size", "S")]),
                variant(&sku("M"), &[("Size", "M")]),
            ],
        )
        .await?;
        let ids: Vec<_> = is
            .variants
            .iter()
            .map(|variant| variant.id.clone())
            .collect();
        let mut shall = is.clone();
        shall.variants[0].sku = sku("SMALL").as_str().into();
        shall.variants[0].prices.insert("EUR".into(), dec("12.5"));
        push(connector, edit(&is, &shall)).await?;
        let now = product(connector, &sku("SMALL")).await?;
        let kept: Vec<_> = now
            .variants
            .iter()
            .map(|variant| variant.id.clone())
            .collect();
        assert_eq!(kept, ids, "the same variants");
        assert_eq!(now.variants[0].prices[&"EUR".into()], dec("12.5"));
        Ok(())
    });
}

#[test]
fn m6_axes_are_renamed_dropped_and_taken_back_and_values_are_swapped() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let tag = ground.tag();
        let sku = |name: &str| format!("{tag}-{name}");
        let mut is = make(
            connector,
            &tag,
            &["Size", "Colour"],
            vec![
                variant(&sku("A"), &[("Size", "S"), ("Colour", "Red")]),
                variant(&sku("B"), &[("Size", "M"), ("Colour", "Red")]),
                variant(&sku("C"), &[("Size", "L"), ("Colour", "Blue")]),
            ],
        )
        .await?;
        let ids: BTreeMap<Sku, RemoteId> = is
            .variants
            .iter()
            .map(|v| (v.sku.clone(), v.id.clone()))
            .collect();
        type Wanted<'a> = Vec<Vec<(&'a str, &'a str)>>;
        let steps: Vec<(&str, Vec<&str>, Wanted<'_>)> = vec![
            (
                "two swap, and a third follows",
                vec!["Size", "Colour"],
                vec![
                    vec![("Size", "M"), ("Colour", "Red")],
                    vec![("Size", "S"), ("Colour", "Red")],
                    vec![("Size", "M"), ("Colour", "Blue")],
                ],
            ),
            (
                "an axis is renamed",
                vec!["Koko", "Colour"],
                vec![
                    vec![("Koko", "M"), ("Colour", "Red")],
                    vec![("Koko", "S"), ("Colour", "Red")],
                    vec![("Koko", "M"), ("Colour", "Blue")],
                ],
            ),
            (
                "an axis is dropped, and all change",
                vec!["Koko"],
                vec![
                    vec![("Koko", "S")],
                    vec![("Koko", "M")],
                    vec![("Koko", "L")],
                ],
            ),
            (
                "it is taken back",
                vec!["Koko", "Colour"],
                vec![
                    vec![("Koko", "S"), ("Colour", "Red")],
                    vec![("Koko", "M"), ("Colour", "Red")],
                    vec![("Koko", "L"), ("Colour", "Green")],
                ],
            ),
            (
                "three go round",
                vec!["Koko", "Colour"],
                vec![
                    vec![("Koko", "M"), ("Colour", "Red")],
                    vec![("Koko", "L"), ("Colour", "Green")],
                    vec![("Koko", "S"), ("Colour", "Red")],
                ],
            ),
        ];
        for (what, axes, wanted) in steps {
            let mut shall = is.clone();
            shall.options = axes.iter().map(|axis| (*axis).to_owned()).collect();
            for (name, pairs) in ["A", "B", "C"].into_iter().zip(&wanted) {
                let own = shall.variants.iter_mut().find(|v| v.sku.0 == sku(name));
                own.expect("the variant").options = values(pairs);
            }
            push(connector, edit(&is, &shall))
                .await
                .map_err(|failure| Failure(format!("{what}: {failure}")))?;
            is = product(connector, &sku("A")).await?;
            assert_eq!(is.options, shall.options, "{what}");
            let now: BTreeMap<Sku, BTreeMap<String, String>> = is
                .variants
                .iter()
                .map(|v| (v.sku.clone(), v.options.clone()))
                .collect();
            let then: BTreeMap<Sku, BTreeMap<String, String>> = shall
                .variants
                .iter()
                .map(|v| (v.sku.clone(), v.options.clone()))
                .collect();
            assert_eq!(now, then, "{what}");
            let kept: BTreeMap<Sku, RemoteId> = is
                .variants
                .iter()
                .map(|v| (v.sku.clone(), v.id.clone()))
                .collect();
            assert_eq!(kept, ids, "{what}: the same variants");
            // M13: nothing that no variant has stays behind.
            let raw = ground.raw(&sku("A").as_str().into()).await?;
            for option in raw["options"].as_array().into_iter().flatten() {
                let title = text(&option["title"]);
                for value in option["values"].as_array().into_iter().flatten() {
                    let value = text(&value["value"]);
                    let used = shown(&raw)
                        .values()
                        .any(|own| own.get(&title) == Some(&value));
                    assert!(used, "{what}: nothing uses {value} of {title}");
                }
            }
        }
        Ok(())
    });
}

#[test]
fn m6_a_plain_product_gets_an_axis_and_loses_it() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let tag = ground.tag();
        let sku = |size: &str| format!("{tag}-{size}");
        let is = make(connector, &tag, &[], vec![variant(&sku("S"), &[])]).await?;
        let mut shall = is.clone();
        shall.options = vec!["Size".into()];
        shall.variants[0].options = values(&[("Size", "S")]);
        shall.variants.push(variant(&sku("M"), &[("Size", "M")]));
        push(connector, edit(&is, &shall)).await?;
        let is = product(connector, &sku("S")).await?;
        assert_eq!(is.options, ["Size"]);
        assert_eq!(is.variants.len(), 2);
        let mut shall = is.clone();
        shall.options = Vec::new();
        shall.variants.retain(|variant| variant.sku.0 == sku("S"));
        shall.variants[0].options.clear();
        push(connector, edit(&is, &shall)).await?;
        let is = product(connector, &sku("S")).await?;
        assert!(is.options.is_empty() && is.variants.len() == 1, "{is:?}");
        assert!(is.variants[0].options.is_empty());
        Ok(())
    });
}

/// Every location is told, so that any of them may stand for a stock of ours; which channel, is not guessed.
#[test]
fn m7_all_locations_are_told_and_nothing_is_made_before_a_channel_is_chosen() {
    test(async |ground| {
        let account = ground.account_without(&["stock_location", "sales_channel"]);
        let connector = ground.connect(account, ground.http());
        let connector = connector.as_ref();
        let identity = connector.check().await?;
        let choice = |setting: &str| {
            let choices = identity.choices.iter();
            let mut found = choices.filter(|choice| choice.setting == setting);
            found.next().expect("a choice")
        };
        for (name, first, second) in [
            ("stock_location", "STOCK_LOCATION", "SECOND_STOCK_LOCATION"),
            ("sales_channel", "SALES_CHANNEL", "SECOND_SALES_CHANNEL"),
        ] {
            let choice = choice(name);
            let ids: Vec<&str> = choice.rows.iter().map(|row| row.id.as_str()).collect();
            assert!(choice.is_needed);
            for id in [setting(first), setting(second)] {
                assert!(ids.contains(&id.as_str()), "{name}: {ids:?}");
            }
        }
        let mut named = choice("shipping_profile").rows.iter();
        assert!(named.any(|row| row.id.0 == setting("SHIPPING_PROFILE") && !row.name.is_empty()));

        let tag = ground.tag();
        let failed = make(connector, &tag, &[], vec![variant(&tag, &[])]).await;
        let why = failed
            .err()
            .map(|failure| failure.to_string())
            .unwrap_or_default();
        assert!(why.contains("sales channel"), "{why}");

        let sku = Sku(ground.tag());
        ground.add(&[Seed::new(sku.0.clone())]).await?;
        let there = levels(connector, &sku).await?;
        assert_eq!(there[&outlet()].version, None);
        let set = Change::SetLevel {
            was: Box::new(there[&outlet()].clone()),
            on_hand: dec("4"),
            location: None,
        };
        push(connector, set).await?;
        let there = levels(connector, &sku).await?;
        assert_eq!(there[&outlet()].on_hand, dec("4"));
        assert_eq!(there[&setting("STOCK_LOCATION")].on_hand, dec("10"));
        Ok(())
    });
}

#[test]
fn m7_the_chosen_location_comes_first() {
    test(async |ground| {
        let mut account = ground.account();
        account.options.insert("stock_location".into(), outlet());
        let identity = ground.connect(account, ground.http()).check().await?;
        assert_eq!(identity.stocks[0].id.0, outlet());
        Ok(())
    });
}

/// Main has 2, the outlet 9: five are taken where there are five.
#[test]
fn m8_a_line_says_where_its_units_are_reserved_and_packed() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let sku = Sku(ground.tag());
        let seed = Seed {
            units: 2,
            ..Seed::new(sku.0.clone())
        };
        ground.add(&[seed]).await?;
        ground.set_level_at(&sku, &outlet(), 9).await?;
        let id = ground.buy(&sku, 5).await?;
        let line = |order: Order| order.state.lines[0].stock.clone();
        assert_eq!(line(order(connector, &id).await?), Some(RemoteId(outlet())));
        let there = levels(connector, &sku).await?;
        assert_eq!(there[&outlet()].available(), dec("4"));
        assert_eq!(there[&setting("STOCK_LOCATION")].available(), dec("2"));
        ground.ship_from(&id, &outlet()).await?;
        assert_eq!(line(order(connector, &id).await?), Some(RemoteId(outlet())));
        Ok(())
    });
}

#[test]
fn m10_what_is_sold_before_it_is_there_has_a_level_of_0_and_can_be_bought() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let tag = ground.tag();
        let sold_before = Variant {
            backorder: Some(true),
            ..variant(&tag, &[])
        };
        make(connector, &tag, &[], vec![sold_before]).await?;
        let sku = Sku(tag);
        assert_eq!(ground.level(&sku).await?, (dec("0"), dec("0")));
        let id = ground.buy(&sku, 2).await?;
        assert_eq!(order(connector, &id).await?.state.lines[0].taken, dec("2"));

        // One that may be sold so only later.
        let later = Sku(ground.tag());
        let is = make(
            connector,
            later.as_str(),
            &[],
            vec![variant(later.as_str(), &[])],
        )
        .await?;
        assert!(ground.level(&later).await.is_err());
        let mut shall = is.clone();
        shall.variants[0].backorder = Some(true);
        push(connector, edit(&is, &shall)).await?;
        ground.buy(&later, 1).await?;
        Ok(())
    });
}

/// Counts what leaves.
struct Counted {
    inner: Arc<Direct>,
    writes: AtomicUsize,
    all: AtomicUsize,
}

#[async_trait]
impl Http for Counted {
    async fn send(&self, request: Request, cost: Cost) -> Result<Reply, Fault> {
        self.all.fetch_add(1, Ordering::Relaxed);
        if cost.effect != Effect::Read {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.send(request, cost).await
    }

    async fn open(&self, request: Request, cost: Cost) -> Result<BodyStream, Fault> {
        self.inner.open(request, cost).await
    }
}

#[test]
fn m11_many_products_are_repriced_in_one_call_and_lose_no_variant() {
    test(async |ground| {
        let connector = ground.connector();
        let tag = ground.tag();
        let mut made = Vec::new();
        for nth in 0..20 {
            let sku = |size: &str| format!("{tag}-{nth:02}{size}");
            let variants = ["S", "M", "L"].map(|size| variant(&sku(size), &[("Size", size)]));
            let title = format!("{tag} {nth}");
            made.push(make(connector.as_ref(), &title, &["Size"], variants.into()).await?);
        }
        let changes: Vec<Change> = made
            .iter()
            .map(|is| {
                let mut shall = is.clone();
                shall.title = format!("{} anew", is.title);
                shall.variants[1].prices.insert("EUR".into(), dec("11.95"));
                edit(is, &shall)
            })
            .collect();
        let http = Arc::new(Counted {
            inner: Direct::new(),
            writes: AtomicUsize::new(0),
            all: AtomicUsize::new(0),
        });
        let counted = Medusa.connect(ground.account(), http.clone());
        let outcomes = counted.push(&changes, &NoPictures).await?;
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Outcome::Done(_))),
            "{outcomes:?}"
        );
        assert_eq!(http.writes.load(Ordering::Relaxed), 1);
        assert_eq!(
            http.all.load(Ordering::Relaxed),
            3,
            "as they were, the change, as they are"
        );
        for is in &made {
            let now = product(connector.as_ref(), is.variants[0].sku.as_str()).await?;
            let prices: Vec<Decimal> = now
                .variants
                .iter()
                .map(|variant| variant.prices[&"EUR".into()])
                .collect();
            assert_eq!(prices, [dec("10"), dec("11.95"), dec("10")]);
            let ids = |product: &Product| -> Vec<RemoteId> {
                product
                    .variants
                    .iter()
                    .map(|variant| variant.id.clone())
                    .collect()
            };
            assert_eq!(ids(&now), ids(is));
        }
        Ok(())
    });
}

/// Prices, and one variant that the shop refuses: the others' changes are made.
#[test]
fn m11_one_bad_product_of_a_batch_fails_alone() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let (one, other) = (ground.tag(), ground.tag());
        let good = make(connector, &one, &[], vec![variant(&one, &[])]).await?;
        let bad = make(connector, &other, &[], vec![variant(&other, &[])]).await?;
        let path = Path::new(&Field::Variant {
            item: one.clone().into(),
            field: VariantField::Price("EUR".into()),
        });
        let mut dearer = good.clone();
        dearer.variants[0].prices.insert("EUR".into(), dec("21.49"));
        let mut taken = bad.clone();
        taken.handle = good.handle.clone();
        let changes = [edit(&bad, &taken), edit(&good, &dearer)];
        let Change::UpdateProduct { set, .. } = &changes[1] else {
            unreachable!("an update");
        };
        assert_eq!(set.keys().collect::<Vec<_>>(), [&path]);
        let outcomes = connector.push(&changes, &NoPictures).await?;
        assert!(
            matches!(&outcomes[0], Outcome::Failed(fault) if matches!(fault.kind, FaultKind::Invalid { .. })),
            "{outcomes:?}"
        );
        assert!(matches!(&outcomes[1], Outcome::Done(_)), "{outcomes:?}");
        let now = product(connector, &one).await?;
        assert_eq!(now.variants[0].prices[&"EUR".into()], dec("21.49"));
        Ok(())
    });
}

#[test]
fn m13_products_of_other_channels_are_not_read() {
    test(async |ground| {
        let connector = ground.connector();
        let (ours, theirs) = (Sku(ground.tag()), Sku(ground.tag()));
        ground
            .add(&[Seed::new(ours.0.clone()), Seed::new(theirs.0.clone())])
            .await?;
        let (id, _) = ground.ids(&theirs).await?;
        let channels = json!({ "sales_channels": [{ "id": setting("SECOND_SALES_CHANNEL") }] });
        ground
            .post(&format!("/admin/products/{id}"), channels)
            .await?;
        let (records, cursor) =
            look(connector.as_ref(), Kind::Product, Scope::Everything(None)).await?;
        for sku in [&ours, &theirs] {
            ground.set_title(sku, "Another").await?;
        }
        let (feed, _) = look(connector.as_ref(), Kind::Product, Scope::Since(cursor)).await?;
        let told = |sku: &Sku| {
            feed.iter()
                .any(|record| matches!(record, Record::Product(p) if p.variants[0].sku == *sku))
        };
        assert!(told(&ours) && !told(&theirs));
        let skus: Vec<&Sku> = records
            .iter()
            .filter_map(|record| match record {
                Record::Product(product) => product.variants.first().map(|variant| &variant.sku),
                _ => None,
            })
            .collect();
        assert!(skus.contains(&&ours));
        assert!(!skus.contains(&&theirs));
        Ok(())
    });
}

/// Two are promised to somebody, by hand; a third is an order's.
#[test]
fn m13_a_reservation_that_no_order_made_is_told_as_set_aside_and_outlives_a_write() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let (sku, main) = (Sku(ground.tag()), setting("STOCK_LOCATION"));
        let seed = Seed {
            units: 20,
            ..Seed::new(sku.0.clone())
        };
        ground.add(&[seed]).await?;
        let item = text(&ground.item(&sku).await?["id"]);
        let body = json!({ "inventory_item_id": item, "location_id": main, "quantity": 2 });
        let made = ground.post("/admin/reservations", body).await?;
        let shows = async || -> Result<[Decimal; 4], Failure> {
            let level = levels(connector, &sku).await?.remove(&main);
            let level = level.ok_or_else(|| Failure("no level".into()))?;
            Ok([
                level.on_hand,
                level.reserved,
                level.set_aside,
                level.available(),
            ])
        };
        assert_eq!(shows().await?, [20, 2, 2, 18].map(Decimal::from));
        ground.buy(&sku, 1).await?;
        assert_eq!(shows().await?, [20, 3, 2, 17].map(Decimal::from));
        let was = levels(connector, &sku).await?.remove(&main);
        let set = Change::SetLevel {
            was: Box::new(was.ok_or_else(|| Failure("no level".into()))?),
            on_hand: dec("1"),
            location: None,
        };
        // Less than is promised: the shop shows it as it is.
        match push(connector, set).await?.record {
            Some(Record::Level(level)) => assert_eq!(level.set_aside, dec("2")),
            other => panic!("{other:?}"),
        }
        assert_eq!(shows().await?, [1, 3, 2, -2].map(Decimal::from));
        let id = text(&made["reservation"]["id"]);
        ground
            .call("DELETE", &format!("/admin/reservations/{id}"), None)
            .await?;
        assert_eq!(shows().await?, [1, 1, 0, 0].map(Decimal::from));
        Ok(())
    });
}

/// A sale price list of the shop's own people, of one variant. Its id.
async fn sale_list(
    ground: &Ground,
    sku: &Sku,
    amount: &str,
    more: Json,
) -> Result<String, Failure> {
    let (_, variant) = ground.ids(sku).await?;
    let amount: f64 = amount.parse().expect("an amount");
    let mut body = json!({
        "title": format!("Sale of {sku}"), "description": "Theirs", "type": "sale", "status": "active",
        "prices": [{ "currency_code": "eur", "amount": amount, "variant_id": variant }],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let made = ground.post("/admin/price-lists", body).await?;
    Ok(text(&made["price_list"]["id"]))
}

async fn sale_price(connector: &dyn Connector, sku: &Sku) -> Result<Option<Decimal>, Failure> {
    let product = product(connector, sku.as_str()).await?;
    let variant = product.variants.iter().find(|variant| variant.sku == *sku);
    let variant = variant.ok_or_else(|| Failure("no variant".into()))?;
    Ok(variant.sale_prices.get(&"EUR".into()).copied())
}

#[test]
fn m14_what_everybody_pays_by_a_list_that_runs_is_the_sale_price() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let day = |days: i64| {
            (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).to_string()
        };
        let cases = [
            ("a list without an end", json!({}), Some("7.5")),
            (
                "one within its dates",
                json!({ "starts_at": day(-1), "ends_at": day(1) }),
                Some("7.5"),
            ),
            (
                "one that is over",
                json!({ "starts_at": day(-2), "ends_at": day(-1) }),
                None,
            ),
            (
                "one to come",
                json!({ "starts_at": day(1), "ends_at": day(2) }),
                None,
            ),
            ("a draft", json!({ "status": "draft" }), None),
            (
                "one that replaces the price",
                json!({ "type": "override" }),
                None,
            ),
            (
                "one of some buyers",
                json!({ "rules": { "customer.groups.id": ["cusgroup_1"] } }),
                None,
            ),
        ];
        for (what, more, expected) in cases {
            let sku = Sku(ground.tag());
            ground.add(&[Seed::new(sku.0.clone())]).await?;
            sale_list(ground, &sku, "7.5", more).await?;
            assert_eq!(
                sale_price(connector, &sku).await?,
                expected.map(dec),
                "{what}"
            );
        }
        // The least of several.
        let sku = Sku(ground.tag());
        ground.add(&[Seed::new(sku.0.clone())]).await?;
        for amount in ["7.5", "6.25", "8"] {
            sale_list(ground, &sku, amount, json!({})).await?;
        }
        assert_eq!(sale_price(connector, &sku).await?, Some(dec("6.25")));
        Ok(())
    });
}

#[test]
fn m14_a_sale_price_that_moves_in_a_list_is_told_in_the_feed() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let sku = Sku(ground.tag());
        ground.add(&[Seed::new(sku.0.clone())]).await?;
        let id = product(connector, sku.as_str()).await?.id;
        let (_, cursor) = look(connector, Kind::Product, Scope::Everything(None)).await?;
        let told = |records: &[Record]| -> Vec<Option<Decimal>> {
            let told = only(records, &id)
                .into_iter()
                .filter_map(|record| match record {
                    Record::Product(product) => {
                        Some(product.variants[0].sale_prices.get(&"EUR".into()).copied())
                    }
                    _ => None,
                });
            told.collect()
        };
        let list = sale_list(ground, &sku, "7.5", json!({})).await?;
        let (records, cursor) = look(connector, Kind::Product, Scope::Since(cursor)).await?;
        assert_eq!(told(&records).last(), Some(&Some(dec("7.5"))));
        let (_, variant) = ground.ids(&sku).await?;
        let prices = ground
            .get(&format!("/admin/price-lists/{list}/prices"))
            .await?;
        let price = text(&prices["prices"][0]["id"]);
        let body = json!({ "update": [{ "id": price, "variant_id": variant, "amount": 6 }] });
        ground
            .post(&format!("/admin/price-lists/{list}/prices/batch"), body)
            .await?;
        let (records, cursor) = look(connector, Kind::Product, Scope::Since(cursor)).await?;
        assert_eq!(told(&records).last(), Some(&Some(dec("6"))));
        let draft = json!({ "status": "draft" });
        ground
            .post(&format!("/admin/price-lists/{list}"), draft)
            .await?;
        let (records, _) = look(connector, Kind::Product, Scope::Since(cursor)).await?;
        assert_eq!(told(&records).last(), Some(&None));
        Ok(())
    });
}

/// Many at once, into one list of our own; the shop's stay as they are.
#[test]
fn m14_sale_prices_are_written_into_one_list_of_our_own() {
    test(async |ground| {
        let connector = ground.connector();
        let connector = connector.as_ref();
        let (first, second) = (ground.tag(), ground.tag());
        let on_sale = Variant {
            sale_prices: [("EUR".into(), dec("8"))].into(),
            ..variant(&first, &[])
        };
        // Made with one, and without.
        let one = make(connector, &first, &[], vec![on_sale]).await?;
        assert_eq!(one.variants[0].sale_prices[&"EUR".into()], dec("8"));
        let other = make(connector, &second, &[], vec![variant(&second, &[])]).await?;
        let skus = [Sku(first), Sku(second)];
        let theirs = sale_list(ground, &skus[1], "9.5", json!({})).await?;
        let before = ground
            .get(&format!("/admin/price-lists/{theirs}/prices"))
            .await?;
        let told = |product: &Product, amount: Option<&str>| {
            let path = Path::new(&Field::Variant {
                item: product.variants[0].item(),
                field: VariantField::SalePrice("EUR".into()),
            });
            let mut shall = product.clone();
            shall.variants[0].sale_prices = amount
                .map(|amount| ("EUR".into(), dec(amount)))
                .into_iter()
                .collect();
            Change::UpdateProduct {
                id: product.id.clone(),
                set: [(path, Value::optional_number(amount.map(dec)))].into(),
                product: Box::new(shall),
                parts: product.parts(),
            }
        };
        for (amounts, expected) in [
            ([Some("7"), Some("7.77")], [Some("7"), Some("7.77")]),
            ([Some("6.5"), Some("9.9")], [Some("6.5"), Some("9.5")]),
            ([None, None], [None, Some("9.5")]),
        ] {
            let changes = [told(&one, amounts[0]), told(&other, amounts[1])];
            let outcomes = connector.push(&changes, &NoPictures).await?;
            for (nth, outcome) in outcomes.iter().enumerate() {
                let Outcome::Done(Receipt {
                    record: Some(Record::Product(product)),
                    ..
                }) = outcome
                else {
                    panic!("{outcome:?}");
                };
                let answered = product.variants[0].sale_prices.get(&"EUR".into()).copied();
                assert_eq!(answered, expected[nth].map(dec));
                assert_eq!(sale_price(connector, &skus[nth]).await?, answered);
                assert_eq!(product.variants[0].prices[&"EUR".into()], dec("10"));
            }
        }
        let after = ground
            .get(&format!("/admin/price-lists/{theirs}/prices"))
            .await?;
        assert_eq!(after, before);
        assert!(ground.with_metadata("price_lists", "sale prices").await? > 0);
        Ok(())
    });
}
