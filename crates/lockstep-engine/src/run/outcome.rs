//! From what a shop answered to the entries that say so.

use crate::write::Write;
use jiff::Timestamp;
use lockstep_model::entry::{Again, Body, Personal, Settlement, Subject, What};
use lockstep_model::{
    IntentId, Kind, Parts, Path, Receipt, Record, RecordId, RunId, ShopId, Value,
};

/// The entries of a write that was done, wholly or but for `missing`.
pub(super) fn settle(
    run: RunId,
    intent: IntentId,
    write: &Write,
    receipt: Receipt,
    missing: &[String],
    now: Timestamp,
    bodies: &mut Vec<Body>,
) {
    let mut how = Settlement::Done {
        id: receipt.id.clone(),
        parts: None,
        held: None,
        level: None,
        partly: !missing.is_empty(),
    };
    match (receipt.record, &write.what) {
        (Some(Record::Product(product)), _) => {
            how = Settlement::Done {
                id: receipt.id,
                parts: Some(product.parts()),
                held: Some(product.fields()),
                level: None,
                partly: !missing.is_empty(),
            };
        }
        (Some(Record::Category(category)), _) => {
            how = Settlement::Done {
                id: receipt.id,
                parts: Some(Parts::default()),
                held: Some(category.fields()),
                level: None,
                partly: !missing.is_empty(),
            };
        }
        (Some(Record::Level(level)), What::Level { was_taken, .. }) => {
            how = Settlement::Done {
                id: receipt.id,
                parts: None,
                held: None,
                level: Some((level, *was_taken)),
                partly: !missing.is_empty(),
            };
        }
        (Some(Record::Order(order)), What::CreateOrder | What::StepOrder { .. }) => {
            if let Subject::Order(key) = &write.subject {
                bodies.push(Body::OrderSeen {
                    run,
                    shop: write.shop,
                    order: key.clone(),
                    state: Box::new(order.state),
                    person: Personal::None,
                    before_opening: false,
                });
            }
        }
        // Done, and nothing was said of what it is now: it is read before anything else is decided on it.
        (_, What::StepOrder { .. } | What::Level { .. }) => {
            how = Settlement::Unknown { look_at: now };
        }
        (_, _) => {}
    }
    bodies.push(Body::Settled {
        intent,
        how: Box::new(how),
    });
    if write.subject == Subject::Record(RecordId::ROOT_CATEGORY) {
        if matches!(write.what, What::Create { .. }) {
            bodies.push(hangs_under_it_now(write.shop));
        }
    } else if let Subject::Record(record) = &write.subject {
        // A picture comes after its product, and one after the other.
        let more = match &write.what {
            What::Create { .. } | What::AddPicture { .. } | What::RemovePicture { .. } => true,
            // What is gone everywhere now need not be remembered.
            What::Set { set } => !missing.is_empty() || set.iter().any(is_taken_away),
            What::Level { .. } | What::CreateOrder | What::StepOrder { .. } => !missing.is_empty(),
        };
        if more {
            bodies.push(Body::DueAgain {
                what: Again::Record(*record),
            });
        }
    }
}

fn is_taken_away((path, value): (&Path, &Value)) -> bool {
    *value == Value::Empty && path.field().is_some_and(|field| field.is_one_of_many())
}

/// The root category is there: the tree has waited for it.
pub(crate) fn hangs_under_it_now(shop: ShopId) -> Body {
    Body::DueAgain {
        what: Again::Records {
            kind: Kind::Category,
            shops: vec![shop],
        },
    }
}
