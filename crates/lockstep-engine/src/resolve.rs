//! A person's word on a conflict, turned into journal entries. What has to be written to shops follows from them: the
//! next run plans it as it plans everything else.

use lockstep_model::cases::{ConflictCase, ConflictSubject, Known, StockCase};
use lockstep_model::entry::{Body, Conflict, Delta, Settlement, What};
use lockstep_model::{Level, Path, Resolution, ShopId, Value};

/// The entries, or a sentence that says why this word cannot be taken.
pub fn resolve(
    case: &ConflictCase,
    resolution: &Resolution,
    by: &str,
) -> Result<Vec<Body>, String> {
    let closed = |decision: String, ours: Delta| Body::ConflictClosed {
        conflict: case.conflict,
        decision,
        by: Some(by.to_owned()),
        ours,
    };
    match (&case.about, &case.subject, resolution) {
        (
            Conflict::ChangedInSeveral { path, values },
            ConflictSubject::Record(known),
            Resolution::UseShop { shop_id },
        ) => {
            let value = values
                .get(shop_id)
                .ok_or("that shop is not one of those that changed it")?;
            let decision = format!("{path} is {value}, as in shop {shop_id}");
            Ok(vec![closed(decision, set(known, path, value))])
        }
        (
            Conflict::ChangedInSeveral { path, values },
            ConflictSubject::Record(known),
            Resolution::UseValue { value },
        ) => {
            let value = of_the_same_kind(value, values.values())?;
            let decision = format!("{path} is {value}");
            Ok(vec![closed(decision, set(known, path, &value))])
        }
        (
            Conflict::LevelInDoubt { shop, .. },
            ConflictSubject::Level(level),
            Resolution::WasWritten | Resolution::WasNotWritten,
        ) => {
            let was_written = *resolution == Resolution::WasWritten;
            let decision = if was_written {
                "the write was applied"
            } else {
                "the write was not applied"
            };
            let mut bodies = settled(level, *shop, was_written)?;
            bodies.push(closed(decision.into(), Delta::default()));
            Ok(bodies)
        }
        (
            Conflict::ShippedAndCancelled { .. } | Conflict::OrderDiffers { .. },
            ConflictSubject::Order(_),
            Resolution::LeaveAsIs,
        ) => {
            let decision = "settled by hand; the order is left as it is in both shops";
            Ok(vec![closed(decision.into(), Delta::default())])
        }
        (
            Conflict::DoubtfulMatch { .. }
            | Conflict::SameKeyTwice { .. }
            | Conflict::ChangedInSeveral { .. }
            | Conflict::LevelInDoubt { .. }
            | Conflict::ShippedAndCancelled { .. }
            | Conflict::OrderDiffers { .. }
            | Conflict::Limit { .. },
            ConflictSubject::Record(_) | ConflictSubject::Level(_) | ConflictSubject::Order(_),
            Resolution::UseShop { .. }
            | Resolution::UseValue { .. }
            | Resolution::WasWritten
            | Resolution::WasNotWritten
            | Resolution::LeaveAsIs,
        ) => Err("this is no answer to that question; the page shows those that are".into()),
    }
}

fn set(known: &Known, path: &Path, value: &Value) -> Delta {
    let mut ours = known.ours.clone();
    if *value == Value::Empty {
        ours.remove(path);
    } else {
        ours.insert(path.clone(), value.clone());
    }
    Delta::between(&known.ours, &ours)
}

/// A value that a person typed is text; the field may hold a number or a flag.
fn of_the_same_kind<'a>(
    typed: &Value,
    others: impl Iterator<Item = &'a Value>,
) -> Result<Value, String> {
    let Some(text) = typed.as_text() else {
        return Ok(typed.clone());
    };
    if text.is_empty() {
        return Ok(Value::Empty);
    }
    for other in others {
        match other {
            Value::Number(_) => {
                let number = text.replace(',', ".").parse();
                return number
                    .map(Value::number)
                    .map_err(|_| format!("\"{text}\" is not a number"));
            }
            Value::Flag(_) => {
                return match text {
                    "yes" | "true" | "1" => Ok(Value::Flag(true)),
                    "no" | "false" | "0" => Ok(Value::Flag(false)),
                    _ => Err(format!("\"{text}\" is neither yes nor no")),
                };
            }
            Value::List(_) => {
                return Err("a list cannot be typed; use one of the shops' values".into());
            }
            Value::Text(_) | Value::Empty => {}
        }
    }
    Ok(typed.clone())
}

/// The open writes of this level, as the person says that they went.
fn settled(case: &StockCase, shop: ShopId, was_written: bool) -> Result<Vec<Body>, String> {
    let at = case.levels.get(&shop);
    let held = at.and_then(|at| Some((at, at.held.as_ref()?)));
    let (at, (before, _)) = held.ok_or("that shop shows no level of it any more")?;
    let bodies = at.open.iter().map(|intent| {
        let how = match (&intent.what, was_written) {
            (
                What::Level {
                    on_hand,
                    target,
                    was_taken,
                    ..
                },
                true,
            ) => {
                let level = Level {
                    on_hand: *on_hand,
                    reserved: *on_hand - *target,
                    ..before.clone()
                };
                Settlement::Done {
                    id: level
                        .item
                        .clone()
                        .unwrap_or_else(|| level.sku.0.clone().into()),
                    parts: None,
                    held: None,
                    level: Some((level, *was_taken)),
                    partly: false,
                }
            }
            _ => Settlement::NotApplied { fault: None },
        };
        Body::Settled {
            intent: intent.intent,
            how: Box::new(how),
        }
    });
    Ok(bodies.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use lockstep_model::cases::{LevelAt, OpenIntent};
    use lockstep_model::entry::Subject;
    use lockstep_model::settings::StockId;
    use lockstep_model::{ConflictId, IntentId, Kind, RecordId, RunId};
    use rust_decimal::Decimal;

    const PRICE: &str = "variant/KH-100/price/EUR";

    fn price(value: &str) -> Value {
        Value::number(value.parse().unwrap())
    }

    fn about_a_price() -> ConflictCase {
        let path = Path::from_stored(PRICE.into());
        ConflictCase {
            conflict: ConflictId(3),
            about: Conflict::ChangedInSeveral {
                path: path.clone(),
                values: [(ShopId(1), price("7.20")), (ShopId(2), price("6.50"))].into(),
            },
            subject: ConflictSubject::Record(Box::new(Known {
                record: RecordId(7),
                kind: Kind::Product,
                keys: vec!["KH-100".into()],
                ours: [(path, price("6.90"))].into(),
                changed_at: Timestamp::UNIX_EPOCH,
                shops: Default::default(),
                conflicts: vec![],
            })),
        }
    }

    fn becomes(resolution: Resolution) -> Result<Value, String> {
        let bodies = resolve(&about_a_price(), &resolution, "operator")?;
        let [Body::ConflictClosed { ours, by, .. }] = bodies.as_slice() else {
            panic!("{bodies:?}");
        };
        assert_eq!(by.as_deref(), Some("operator"));
        Ok(ours.set[&Path::from_stored(PRICE.into())].clone())
    }

    #[test]
    fn a_shop_s_value_becomes_ours() {
        let shop_id = ShopId(2);
        assert_eq!(becomes(Resolution::UseShop { shop_id }), Ok(price("6.50")));
        let other = Resolution::UseShop { shop_id: ShopId(9) };
        assert!(becomes(other).is_err(), "it was not asked about");
    }

    #[test]
    fn a_typed_value_is_read_as_what_the_field_holds() {
        let typed = |text| {
            becomes(Resolution::UseValue {
                value: Value::text(text),
            })
        };
        assert_eq!(typed("6,75"), Ok(price("6.75")));
        assert!(typed("cheap").is_err());
    }

    #[test]
    fn a_word_that_is_no_answer_changes_nothing() {
        assert!(resolve(&about_a_price(), &Resolution::WasWritten, "operator").is_err());
        assert!(resolve(&about_a_price(), &Resolution::LeaveAsIs, "operator").is_err());
    }

    fn in_doubt() -> ConflictCase {
        let shop = ShopId(1);
        let (was, target, found) = (Decimal::TEN, Decimal::from(7), Decimal::from(12));
        let level = Level {
            sku: "KH-100".into(),
            stock: "main".into(),
            item: None,
            on_hand: was,
            reserved: Decimal::ZERO,
            version: None,
            location: None,
            modified_at: None,
        };
        let open = OpenIntent {
            intent: IntentId(5),
            run: RunId(1),
            shop,
            subject: Subject::Level {
                stock: StockId(1),
                sku: "KH-100".into(),
            },
            what: What::Level {
                on_hand: target,
                target,
                was_available: was,
                was_taken: Decimal::ONE,
                answered: false,
            },
            at: Timestamp::UNIX_EPOCH,
            look_at: None,
        };
        let at = LevelAt {
            held: Some((level, Decimal::ONE)),
            open: vec![open],
            ..LevelAt::default()
        };
        ConflictCase {
            conflict: ConflictId(4),
            about: Conflict::LevelInDoubt {
                shop,
                was,
                target,
                found,
            },
            subject: ConflictSubject::Level(Box::new(StockCase {
                sku: "KH-100".into(),
                stock: StockId(1),
                status: None,
                base: Some(Decimal::TEN),
                levels: [(shop, at)].into(),
                lines: vec![],
                conflicts: vec![],
            })),
        }
    }

    #[test]
    fn a_level_in_doubt_is_settled_as_the_person_says() {
        let settled = |resolution| {
            let bodies = resolve(&in_doubt(), &resolution, "operator").unwrap();
            let [Body::Settled { how, .. }, Body::ConflictClosed { .. }] = bodies.as_slice() else {
                panic!("{bodies:?}");
            };
            (**how).clone()
        };
        let Settlement::Done {
            level: Some((level, taken)),
            ..
        } = settled(Resolution::WasWritten)
        else {
            panic!("it was applied");
        };
        assert_eq!((level.available(), taken), (Decimal::from(7), Decimal::ONE));
        let not_written = settled(Resolution::WasNotWritten);
        assert_eq!(not_written, Settlement::NotApplied { fault: None });
    }
}
