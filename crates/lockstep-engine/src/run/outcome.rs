//! From what a shop answered to the entries that say so.

use crate::catalogue::pictures::{self, Shown};
use crate::rules::LevelWrites;
use crate::write::Write;
use jiff::Timestamp;
use lockstep_model::entry::{Again, Body, Personal, Settlement, Subject, What};
use lockstep_model::{
    Change, Fields, IntentId, Kind, Level, OrderStep, Parts, Path, Product, Receipt, Record,
    RecordId, RunId, ShopId, Value, Variant,
};
use rust_decimal::Decimal;

/// How the level of a shop is written, and whether its own movements count.
#[derive(Debug, Clone, Copy)]
pub(super) struct LevelTerms {
    pub writes: LevelWrites,
    pub counts: bool,
}

impl LevelTerms {
    /// A write loses what has moved since the level was read, and what moved counts: it is read just before.
    pub fn needs_a_fresh_reading(self) -> bool {
        self.counts && self.writes == LevelWrites::Absolute
    }
}

/// The entries of a write that was done, wholly or but for `missing`.
#[expect(
    clippy::too_many_arguments,
    reason = "one caller; the parts of one answer"
)]
pub(super) fn settle(
    run: RunId,
    intent: IntentId,
    write: &Write,
    receipt: Receipt,
    missing: &[String],
    terms: LevelTerms,
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
    // What nothing can be decided by says nothing: it is read again.
    let answered = receipt.record.filter(|record| record.unsound().is_none());
    match (answered, &write.what) {
        (Some(Record::Product(mut product)), _) => {
            call_as_sent(&mut product, write);
            how = Settlement::Done {
                id: receipt.id,
                parts: Some(parts_of(&product, &write.change)),
                held: Some(what_was_not_edited(product.fields(), write)),
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
        // It may have written over units that moved meanwhile: only a reading with the orders around it tells.
        (_, What::Level { .. }) if terms.needs_a_fresh_reading() => {
            how = Settlement::Answered { look_at: now };
        }
        (
            Some(Record::Level(level)),
            What::Level {
                on_hand,
                target,
                was_available,
                was_taken,
                ..
            },
        ) => {
            let held = match level.stops_at_nothing(*was_available, *target) {
                true => level,
                false => what_is_ours(level, *on_hand, *target, terms.writes),
            };
            how = Settlement::Done {
                id: receipt.id,
                parts: None,
                held: None,
                level: Some((held, *was_taken)),
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
                    readdressed: false,
                });
            }
        }
        // Nothing that the order shows changes by it.
        (
            _,
            What::StepOrder {
                step: OrderStep::Readdress,
            },
        ) => {}
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
        // Pictures that are still missing keep it due by themselves.
        let more = match &write.what {
            What::Create { .. } | What::AddPicture { .. } | What::RemovePicture { .. } => {
                !missing.is_empty()
            }
            // What is gone everywhere now need not be remembered.
            What::Set { set } => !missing.is_empty() || set.iter().any(is_taken_away),
            What::Level { .. } | What::CreateOrder | What::StepOrder { .. } => !missing.is_empty(),
        };
        if more || write.again {
            bodies.push(Body::DueAgain {
                what: Again::Record(*record),
            });
        }
    }
}

/// The ids inside the record as it was answered. Whose SKUs are the shop's own no answer says.
fn parts_of(answered: &Product, change: &Change) -> Parts {
    let mut parts = answered.parts();
    if let Change::UpdateProduct { parts: sent, .. } = change {
        let own = sent.own_skus.iter();
        let own = own.filter(|item| parts.variants.contains_key(*item));
        parts.own_skus = own.cloned().collect();
    }
    parts
}

/// The picture that was given is ours, whatever the shop made of its bytes.
fn name_picture(answered: &mut Product, what: &What) {
    let What::AddPicture { digest, .. } = what else {
        return;
    };
    let pictures = || answered.pictures.iter().flatten();
    let shown: Vec<Shown<'_>> = pictures()
        .map(|picture| Shown {
            name: &picture.digest,
            alt: &picture.alt,
        })
        .collect();
    let found = pictures::given(what, &shown);
    let at = found.and_then(|found| pictures().position(|picture| picture.digest == found));
    let given = at.and_then(|at| answered.pictures.as_mut()?.get_mut(at));
    if let Some(picture) = given {
        picture.digest.clone_from(digest);
    }
}

/// The shop answers with ids and SKUs: its variants are the items that were sent.
fn call_as_sent(answered: &mut Product, write: &Write) {
    name_picture(answered, &write.what);
    let (Change::CreateProduct { product } | Change::UpdateProduct { product, .. }) = &write.change
    else {
        return;
    };
    for variant in &mut answered.variants {
        let by_id = |sent: &&Variant| !sent.id.0.is_empty() && sent.id == variant.id;
        let by_sku = |sent: &&Variant| !sent.sku.0.is_empty() && sent.sku == variant.sku;
        let sent = product.variants.iter().find(by_id);
        if let Some(sent) = sent.or_else(|| product.variants.iter().find(by_sku)) {
            variant.item = sent.item();
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

/// The shop answers with the whole record. What moved there between our reading and this write, beside what was
/// written, is left to the next reading, which sees it as the edit that it is.
fn what_was_not_edited(answered: Fields, write: &Write) -> Fields {
    let (What::Set { set }, Change::UpdateProduct { product, .. }) = (&write.what, &write.change)
    else {
        return answered;
    };
    let believed = product.fields();
    answered
        .into_iter()
        .map(|(path, value)| match believed.get(&path) {
            Some(before) if !set.contains_key(&path) => (path, before.clone()),
            _ => (path, value),
        })
        .collect()
}

/// What of an answered level is our write's doing. Unless the shop compares before it sets, units may have moved
/// between our reading and the write: those are read later, as what they are, and must not become the shadow now.
fn what_is_ours(level: Level, on_hand: Decimal, target: Decimal, writes: LevelWrites) -> Level {
    if writes == LevelWrites::CompareAndSet {
        return level;
    }
    Level {
        on_hand,
        reserved: on_hand - target,
        ..level
    }
}
