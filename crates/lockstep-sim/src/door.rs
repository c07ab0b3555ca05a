//! The door of the shops: every change that arrives is held against the intents that the coordinator had
//! acknowledged before. One intent, one push.

use crate::shop::SimShop;
use lockstep_model::entry::{Subject, What};
use lockstep_model::{Change, CustomerId, Field, Fields, OrderKey, Path, ShopId};

/// How an intent and the push that follows from it are told to belong together.
pub fn intent_of(shop: ShopId, subject: &Subject, what: &What) -> String {
    match (subject, what) {
        (Subject::Level { item, .. }, What::Level { on_hand, .. }) => {
            format!("{shop} level {item} {}", on_hand.normalize())
        }
        (Subject::Order(key), What::CreateOrder) => format!("{shop} make {key}"),
        (Subject::Order(key), What::StepOrder { step }) => format!("{shop} step {key} {step:?}"),
        (_, What::Create { set }) => format!("{shop} make {}", named(set)),
        (_, What::AddPicture { digest, .. }) => format!("{shop} add picture {digest}"),
        (_, What::RemovePicture { .. }) => format!("{shop} remove a picture"),
        (_, What::Set { set }) => format!("{shop} set {set:?}"),
        (subject, what) => format!("{shop} {subject:?} {what:?}"),
    }
}

pub fn push_of(shop: &SimShop, change: &Change) -> String {
    let id = shop.id;
    match change {
        Change::SetLevel { was, on_hand, .. } => {
            format!("{id} level {} {}", was.item(), on_hand.normalize())
        }
        Change::CreateOrder { order } => format!("{id} make {}", order.key),
        Change::StepOrder {
            id: order, step, ..
        } => {
            let key = shop.orders.get(order).and_then(|order| order.key.clone());
            let own = || {
                let key = OrderKey {
                    customer: CustomerId(1),
                    shop: id,
                    id: order.clone(),
                };
                key.to_string()
            };
            format!("{id} step {} {step:?}", key.unwrap_or_else(own))
        }
        Change::CreateProduct { product } => format!("{id} make {}", named(&product.fields())),
        Change::CreateCategory { category } => format!("{id} make {}", named(&category.fields())),
        Change::UpdateProduct { set, .. } | Change::UpdateCategory { set, .. } => {
            format!("{id} set {set:?}")
        }
        Change::AddPicture { digest, .. } => format!("{id} add picture {digest}"),
        Change::RemovePicture { .. } => format!("{id} remove a picture"),
    }
}

/// A product by its SKUs, a category by its name.
fn named(fields: &Fields) -> String {
    let mut skus: Vec<String> = fields
        .keys()
        .filter_map(|path| match path.field() {
            Some(Field::Variant { item, .. }) => Some(item.0),
            _ => None,
        })
        .collect();
    skus.dedup();
    if skus.is_empty() {
        let title = fields.get(&Path::new(&Field::Title));
        return format!("category {title:?}");
    }
    skus.join(",")
}
