//! Lines 34 and 35: categories and what is in them.

use super::products::{change, create, done, plain, push_one};
use super::{Failure, Proof, ShopUnderTest, Told, ensure, pulls};
use crate::Connector;
use lockstep_model::{
    Category, Change, ChangeSort, Field, Fields, Kind, NaturalKey, Path, PullRequest, Record,
    RemoteId, Scope, Sku, Value,
};
use rust_decimal::Decimal;

const NOT_WRITTEN: Told = Ok(Proof::None("its categories are not written yet"));

fn writes_categories(shop: &dyn ShopUnderTest) -> bool {
    let manifest = shop.platform().manifest();
    manifest.batch_max(ChangeSort::CreateCategory) > 0
}

async fn make(
    connector: &dyn Connector,
    name: &str,
    parent: Option<&RemoteId>,
) -> Result<Category, Failure> {
    let category = Category {
        name: name.to_owned(),
        parent: parent.cloned(),
        ..Category::default()
    };
    let receipt = done(push_one(connector, Change::CreateCategory { category }).await?)?;
    match receipt.record {
        Some(Record::Category(made)) => Ok(made),
        other => Err(Failure(format!("the receipt holds {other:?}"))),
    }
}

/// As the shop has it now.
async fn read(connector: &dyn Connector, id: &RemoteId) -> Result<Category, Failure> {
    let request = PullRequest {
        kind: Kind::Category,
        scope: Scope::Ids(vec![id.clone()]),
        limit: 1,
    };
    let page = connector.pull(&request).await?;
    match page.records.into_iter().next() {
        Some(Ok(Record::Category(category))) => Ok(category),
        other => Err(Failure(format!("it is read as {other:?}"))),
    }
}

pub async fn a_membership_is_set_and_cleared(shop: &dyn ShopUnderTest) -> Told {
    if !writes_categories(shop) {
        return NOT_WRITTEN;
    }
    let connector = shop.connector();
    let connector = connector.as_ref();
    let tag = shop.tag();
    let category = make(connector, &format!("Category {tag}"), None).await?;
    let sku = Sku(tag);
    let product = plain(&sku, Decimal::TEN, &shop.currency());
    let mut product = create(connector, product).await?;
    let path = Path::new(&Field::Categories);
    for ids in [vec![category.id.0.clone()], vec![]] {
        let value = Value::list(ids.clone());
        product = change(connector, &product, [(path.clone(), value)].into()).await?;
        let found = pulls::product(connector, &sku).await?;
        let there = found.categories.unwrap_or_default();
        let there: Vec<String> = there.into_iter().map(|id| id.0).collect();
        ensure!(there == ids, "it is in {there:?} and not in {ids:?}");
    }
    Ok(Proof::Yes(shop.how()))
}

pub async fn a_root_category_is_made_or_used(shop: &dyn ShopUnderTest) -> Told {
    if !writes_categories(shop) {
        return NOT_WRITTEN;
    }
    let connector = shop.connector();
    let connector = connector.as_ref();
    let name = format!("Root {}", shop.tag());
    let at_top = NaturalKey::Category {
        parent: None,
        name: name.clone(),
    };
    ensure!(
        connector.find(&at_top).await?.is_empty(),
        "it is found before it is made"
    );
    let root = make(connector, &name, None).await?;
    let found = connector.find(&at_top).await?;
    ensure!(
        matches!(&found[..], [Record::Category(found)] if found.id == root.id),
        "by its name it is found as {found:?}"
    );
    // Of the same name and elsewhere: another one.
    let below = make(connector, &name, Some(&root.id)).await?;
    ensure!(
        connector.find(&at_top).await?.len() == 1,
        "the one below is found as well"
    );
    let mut category = make(connector, &format!("{name}, moved"), None).await?;
    for parent in [Some(&root.id), None, Some(&below.id)] {
        let value = Value::optional_text(parent.map(RemoteId::as_str));
        let set: Fields = [(Path::new(&Field::Parent), value)].into();
        category.parent = parent.cloned();
        let update = Change::UpdateCategory {
            id: category.id.clone(),
            set,
            category: category.clone(),
        };
        done(push_one(connector, update).await?)?;
        let there = read(connector, &category.id).await?;
        ensure!(
            there.parent.as_ref() == parent && there.name == category.name,
            "under {parent:?} it is read as {there:?}"
        );
    }
    Ok(Proof::Yes(shop.how()))
}
