//! Lines 19 to 28: products there and back.

use super::{Failure, Proof, Seed, ShopUnderTest, Told, ensure, pulls};
use crate::{Connector, NoPictures};
use lockstep_model::{
    Change, Currency, Field, Fields, Outcome, Path, Product, Receipt, Record, Sku, Status, Value,
    Variant, VariantField,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

pub fn plain(sku: &Sku, price: Decimal, currency: &Currency) -> Product {
    Product {
        title: format!("Product {sku}"),
        description: Some(String::new()),
        status: Status::Active,
        variants: vec![Variant {
            sku: sku.clone(),
            prices: [(currency.clone(), price)].into(),
            ..Variant::default()
        }],
        ..Product::default()
    }
}

pub async fn push_one(connector: &dyn Connector, change: Change) -> Result<Outcome, Failure> {
    let mut outcomes = connector.push(&[change], &NoPictures).await?;
    ensure!(
        outcomes.len() == 1,
        "{} outcomes for one change",
        outcomes.len()
    );
    outcomes
        .pop()
        .ok_or_else(|| Failure("no outcome for a change".into()))
}

pub fn done(outcome: Outcome) -> Result<Receipt, Failure> {
    match outcome {
        Outcome::Done(receipt) => Ok(receipt),
        other => Err(Failure(format!("not done: {other:?}"))),
    }
}

pub async fn create(connector: &dyn Connector, product: Product) -> Result<Product, Failure> {
    let product = Box::new(product);
    let receipt = done(push_one(connector, Change::CreateProduct { product }).await?)?;
    match receipt.record {
        Some(Record::Product(made)) => {
            ensure!(made.id == receipt.id, "the receipt names another product");
            Ok(made)
        }
        other => Err(Failure(format!("the receipt holds {other:?}"))),
    }
}

/// The product with these fields set, as the engine would ask for it.
pub fn update(product: &Product, set: Fields) -> Change {
    let mut fields = product.fields();
    for (path, value) in &set {
        fields.insert(path.clone(), value.clone());
    }
    let parts = product.parts();
    Change::UpdateProduct {
        id: product.id.clone(),
        product: Box::new(Product::from_fields(product.id.clone(), &fields, &parts)),
        set,
        parts,
    }
}

pub async fn change(
    connector: &dyn Connector,
    product: &Product,
    set: Fields,
) -> Result<Product, Failure> {
    let receipt = done(push_one(connector, update(product, set)).await?)?;
    match receipt.record {
        Some(Record::Product(product)) => Ok(product),
        other => Err(Failure(format!("the receipt holds {other:?}"))),
    }
}

fn variant_path(sku: &Sku, field: VariantField<'_>) -> Path {
    Path::new(&Field::Variant {
        item: sku.into(),
        field,
    })
}

/// Every field that the platform holds comes back as it was sent.
fn same(shop: &dyn ShopUnderTest, sent: &Product, held: &Product) -> Result<(), Failure> {
    let holds = shop.platform().manifest().holds;
    let there = held.fields();
    for (path, value) in sent.fields() {
        let Some(field) = path.field().filter(|field| holds(field)) else {
            continue;
        };
        // A shop makes an address where none was asked for.
        if field == Field::Handle {
            continue;
        }
        let held = there.get(&path);
        ensure!(
            held.unwrap_or(&Value::Empty) == &value,
            "{path} was sent as {value:?} and is held as {held:?}"
        );
    }
    Ok(())
}

pub async fn a_simple_product_makes_the_round_trip(shop: &dyn ShopUnderTest) -> Told {
    let sku = Sku(format!("{} a/b É", shop.tag()));
    let currency = shop.currency();
    let mut product = plain(&sku, Decimal::new(720, 2), &currency);
    product.title = "Kahvi & tee “extra” ☕ 𝄞".into();
    product.description = Some("<p>Dark <b>roast</b>, 500&nbsp;g — ☕</p>".into());
    product.status = Status::Draft;
    let variant = &mut product.variants[0];
    variant.gtin = Some("6400000000002".into());
    variant.weight_g = Some(Decimal::from(500));
    variant.backorder = Some(true);
    let connector = shop.connector();
    let connector = connector.as_ref();
    let made = create(connector, product.clone()).await?;
    same(shop, &product, &made)?;
    let found = pulls::product(connector, &sku).await?;
    ensure!(
        found.fields() == made.fields(),
        "it is read otherwise than it was answered"
    );
    let seen = shop.look(&sku).await?;
    let seen = seen.ok_or_else(|| Failure("the shop does not have it".into()))?;
    ensure!(seen.title == product.title, "the title is {}", seen.title);
    ensure!(
        Some(&seen.description) == product.description.as_ref(),
        "the description is {}",
        seen.description
    );
    ensure!(!seen.for_sale, "a draft is for sale");
    ensure!(
        seen.prices == product.variants[0].prices,
        "the prices are {:?}",
        seen.prices
    );
    ensure!(
        seen.gtin == product.variants[0].gtin,
        "the GTIN is {:?}",
        seen.gtin
    );
    ensure!(
        seen.weight_g == product.variants[0].weight_g,
        "the weight is {:?}",
        seen.weight_g
    );
    let set = [
        (Path::new(&Field::Title), Value::text("Kahvi")),
        (Path::new(&Field::Description), Value::Empty),
        (Path::new(&Field::Status), Value::text("active")),
        (variant_path(&sku, VariantField::Gtin), Value::Empty),
    ];
    let changed = change(connector, &made, set.into()).await?;
    ensure!(
        changed.description.as_deref() == Some(""),
        "an emptied text is held as {:?}",
        changed.description
    );
    let seen = shop.look(&sku).await?.unwrap_or_default();
    ensure!(
        seen.title == "Kahvi" && seen.for_sale && seen.gtin.is_none(),
        "the update is seen as {seen:?}"
    );
    is_renamed(shop, connector, &changed, &sku).await?;
    Ok(Proof::Yes(shop.how()))
}

/// Another SKU makes no other variant.
async fn is_renamed(
    shop: &dyn ShopUnderTest,
    connector: &dyn Connector,
    product: &Product,
    from: &Sku,
) -> Result<(), Failure> {
    let to = Sku(shop.tag());
    let set = [(
        variant_path(from, VariantField::Sku),
        Value::text(to.as_str()),
    )];
    let renamed = change(connector, product, set.into()).await?;
    let found = pulls::product(connector, &to).await?;
    for there in [&renamed, &found] {
        let there: Vec<_> = there.variants.iter().map(|v| (&v.id, &v.sku)).collect();
        let wanted: Vec<_> = product.variants.iter().map(|v| (&v.id, &to)).collect();
        ensure!(
            there == wanted,
            "called otherwise its variants are {there:?}"
        );
    }
    ensure!(
        shop.look(&to).await?.is_some() && shop.look(from).await?.is_none(),
        "the shop does not call it by its new SKU"
    );
    Ok(())
}

pub async fn variants_make_the_round_trip(shop: &dyn ShopUnderTest) -> Told {
    let tag = shop.tag();
    let currency = shop.currency();
    let sku = |size: &str, colour: &str| Sku(format!("{tag}-{size}-{colour}"));
    let variant = |size: &str, colour: &str| Variant {
        sku: sku(size, colour),
        prices: [(currency.clone(), Decimal::new(1000, 2))].into(),
        options: BTreeMap::from([
            ("Size".to_owned(), size.to_owned()),
            ("Colour".to_owned(), colour.to_owned()),
        ]),
        ..Variant::default()
    };
    let product = Product {
        title: format!("Shirt {tag}"),
        description: Some(String::new()),
        options: vec!["Size".into(), "Colour".into()],
        variants: vec![
            variant("S", "Red"),
            variant("S", "Blue"),
            variant("M", "Red"),
        ],
        ..Product::default()
    };
    let connector = shop.connector();
    let connector = connector.as_ref();
    let made = create(connector, product.clone()).await?;
    same(shop, &product, &made)?;
    ensure!(
        made.options == product.options,
        "the axes come back as {:?}",
        made.options
    );
    // One comes (with a value that no other has), one goes, one moves along an axis.
    let mut set = Fields::new();
    let (new, gone, moved) = (sku("XL", "Red"), sku("S", "Blue"), sku("M", "Red"));
    set.insert(variant_path(&new, VariantField::Present), Value::Flag(true));
    set.insert(
        variant_path(&new, VariantField::Price(currency.clone())),
        Value::number(Decimal::new(1250, 2)),
    );
    for (name, value) in [("Size", "XL"), ("Colour", "Red")] {
        let path = variant_path(&new, VariantField::Option(name.into()));
        set.insert(path, Value::text(value));
    }
    set.insert(variant_path(&gone, VariantField::Present), Value::Empty);
    set.insert(
        variant_path(&moved, VariantField::Option("Colour".into())),
        Value::text("Green"),
    );
    let changed = change(connector, &made, set).await?;
    let mut skus: Vec<_> = changed.variants.iter().map(|v| v.sku.clone()).collect();
    skus.sort();
    let mut wanted = vec![sku("S", "Red"), moved.clone(), new.clone()];
    wanted.sort();
    ensure!(skus == wanted, "the variants are {skus:?}");
    let seen = shop.look(&moved).await?.unwrap_or_default();
    ensure!(
        seen.options.get("Colour").map(String::as_str) == Some("Green")
            && seen.options.get("Size").map(String::as_str) == Some("M"),
        "the moved variant is seen with {:?}",
        seen.options
    );
    let seen = shop.look(&new).await?.unwrap_or_default();
    ensure!(
        seen.prices.get(&currency) == Some(&Decimal::new(1250, 2)),
        "the new variant costs {:?}",
        seen.prices
    );
    ensure!(
        shop.look(&gone).await?.is_none(),
        "the removed variant is still there"
    );
    Ok(Proof::Yes(shop.how()))
}

pub async fn prices_make_the_round_trip(shop: &dyn ShopUnderTest) -> Told {
    let currency = shop.currency();
    let connector = shop.connector();
    let connector = connector.as_ref();
    let tag = shop.tag();
    for (n, text) in ["19.99", "0.10", "1234.5", "7", "99999.99"]
        .iter()
        .enumerate()
    {
        let price: Decimal = text
            .parse()
            .map_err(|_| Failure(format!("{text} is no price")))?;
        let sku = Sku(format!("{tag}-{n}"));
        let made = create(connector, plain(&sku, price, &currency)).await?;
        let held = made.variants[0].prices.get(&currency);
        ensure!(held == Some(&price), "{text} is held as {held:?}");
        let raised = price + Decimal::new(1, 2);
        let path = variant_path(&sku, VariantField::Price(currency.clone()));
        let set = [(path, Value::number(raised))].into();
        change(connector, &made, set).await?;
        let seen = shop.look(&sku).await?.unwrap_or_default();
        ensure!(
            seen.prices.get(&currency) == Some(&raised),
            "{raised} is seen as {:?}",
            seen.prices
        );
    }
    let sale = VariantField::SalePrice(currency.clone());
    let sku = Sku(format!("{tag}-0"));
    let field = Field::Variant {
        item: (&sku).into(),
        field: sale.clone(),
    };
    if (shop.platform().manifest().holds)(&field) {
        let product = pulls::product(connector, &sku).await?;
        let path = variant_path(&sku, sale);
        let set = [(path.clone(), Value::number(Decimal::new(1500, 2)))];
        let changed = change(connector, &product, set.into()).await?;
        let held = changed.variants[0].sale_prices.get(&currency);
        ensure!(
            held == Some(&Decimal::new(1500, 2)),
            "the sale price is held as {held:?}"
        );
        let changed = change(connector, &changed, [(path, Value::Empty)].into()).await?;
        ensure!(
            changed.variants[0].sale_prices.is_empty(),
            "the sale does not end"
        );
    }
    Ok(Proof::Yes(shop.how()))
}

/// Paths of members that differ.
fn differences(
    path: &str,
    before: &serde_json::Value,
    after: &serde_json::Value,
    out: &mut Vec<String>,
) {
    use serde_json::Value as Json;
    match (before, after) {
        (Json::Object(a), Json::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let path = format!("{path}/{name}");
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => differences(&path, a, b, out),
                    _ => out.push(path),
                }
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{n}"), a, b, out);
            }
        }
        _ if before == after => {}
        _ => out.push(path.to_owned()),
    }
}

pub async fn an_update_touches_only_what_it_says(shop: &dyn ShopUnderTest) -> Told {
    let sku = Sku(shop.tag());
    shop.add(&[Seed::new(sku.0.clone())]).await?;
    let connector = shop.connector();
    let connector = connector.as_ref();
    let product = pulls::product(connector, &sku).await?;
    let currency = shop.currency();
    let updates = [
        (
            Path::new(&Field::Title),
            Value::text("Only the title"),
            "title",
        ),
        (
            variant_path(&sku, VariantField::Price(currency)),
            Value::number(Decimal::new(4242, 2)),
            "price",
        ),
    ];
    for (path, value, word) in updates {
        let before = shop.raw(&sku).await?;
        change(connector, &product, [(path, value)].into()).await?;
        let after = shop.raw(&sku).await?;
        let mut moved = Vec::new();
        differences("", &before, &after, &mut moved);
        moved.retain(|path| {
            let last = path.rsplit('/').next().unwrap_or_default();
            !path.contains(word) && !shop.moving().contains(&last)
        });
        ensure!(moved.is_empty(), "setting the {word} also moved {moved:?}");
    }
    Ok(Proof::Yes(shop.how()))
}
