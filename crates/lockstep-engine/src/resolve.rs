//! A person's word on a conflict, turned into journal entries. What has to be written to shops follows from them: the
//! next run plans it as it plans everything else.

use crate::rules::Rules;
use crate::run::meeting::due_in_trade;
use lockstep_model::cases::{ConflictCase, ConflictSubject, Known, StockCase};
use lockstep_model::entry::{Again, Body, Conflict, Delta, MatchAnswer, Settlement, Subject, What};
use lockstep_model::{ChangeSort, Kind, Level, Path, Resolution, ShopId, Value};

/// The entries, or a sentence that says why this word cannot be taken.
pub fn resolve(
    case: &ConflictCase,
    resolution: &Resolution,
    by: &str,
    rules: &Rules,
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
            Conflict::DoubtfulMatch {
                candidates,
                gtin,
                skus,
                ..
            },
            ConflictSubject::Record(known),
            Resolution::IsRecord { record_id },
        ) => {
            if !candidates.contains(record_id) {
                return Err("that record is not one of those that it could be".into());
            }
            if gtin.is_some() {
                let theirs = skus.join(", ");
                return Err(format!(
                    "they have different SKUs ({theirs} there): give them the same in one of the shops, and the question \
                     closes by itself"
                ));
            }
            let answer = MatchAnswer::Is { record: *record_id };
            let mut bodies = matched(case, known.kind, answer, by);
            bodies.push(closed(
                format!("it is record {record_id}"),
                Delta::default(),
            ));
            Ok(bodies)
        }
        (
            Conflict::DoubtfulMatch { .. },
            ConflictSubject::Record(known),
            Resolution::NoneOfOurs,
        ) => {
            let mut bodies = matched(case, known.kind, MatchAnswer::NoneOfOurs, by);
            bodies.push(closed("it is none of ours".into(), Delta::default()));
            Ok(bodies)
        }
        (Conflict::Meeting { shop, .. }, ConflictSubject::Shop(_), Resolution::Accept) => {
            let shops = vec![*shop];
            let again = [
                Again::Records {
                    kind: Kind::Category,
                    shops: shops.clone(),
                },
                Again::Records {
                    kind: Kind::Product,
                    shops,
                },
            ];
            let mut bodies = vec![closed("accepted".into(), Delta::default())];
            bodies.extend(again.map(|what| Body::DueAgain { what }));
            bodies.extend(due_in_trade());
            Ok(bodies)
        }
        (
            Conflict::ManySoldOut { .. } | Conflict::StockSwitched { .. },
            ConflictSubject::Levels,
            Resolution::Accept,
        ) => Ok(vec![closed("accepted".into(), Delta::default())]),
        (
            Conflict::ManyArchived { .. } | Conflict::ManyRemoved { .. },
            ConflictSubject::Catalogue,
            Resolution::Accept,
        ) => Ok(vec![closed("accepted".into(), Delta::default())]),
        (Conflict::GoneThere { .. }, ConflictSubject::Record(_), Resolution::LeaveAsIs) => {
            Ok(vec![closed(
                "it stays as it is: the shop is without it".into(),
                Delta::default(),
            )])
        }
        (
            Conflict::GoneThere { shop, id },
            ConflictSubject::Record(known),
            Resolution::MakeAgain,
        ) => {
            let forgotten = Body::LinkForgotten {
                shop: *shop,
                kind: known.kind,
                id: id.clone(),
                record: known.record,
                by: by.to_owned(),
            };
            Ok(vec![
                closed("it is made again".into(), Delta::default()),
                forgotten,
            ])
        }
        (
            Conflict::PriceHeld { path, value, .. },
            ConflictSubject::Record(_),
            Resolution::Accept,
        ) => {
            let decision = format!("{path} may be {value}");
            Ok(vec![closed(decision, Delta::default())])
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
        (Conflict::Undone { path, .. }, ConflictSubject::Record(known), Resolution::Release) => {
            let decision = format!("{path} is synced again");
            // What nobody had any more is said to be nothing: else what came back there would stay, and no other follow.
            let mut ours = Delta::default();
            if !known.ours.contains_key(path) {
                ours.set.insert(path.clone(), Value::Empty);
            }
            Ok(vec![closed(decision, ours)])
        }
        (
            Conflict::Undone { path, shop, .. },
            ConflictSubject::Record(known),
            Resolution::RestoreInSource,
        ) => {
            let at = rules.shops.get(shop);
            if at.is_some_and(|shop| shop.link.transform.makes(path)) {
                return Err(
                    "what this shop shows there is made of its owner's value by a rule, and is not that value: put the \
                     owner's right in the owner, or release it here"
                        .into(),
                );
            }
            source_takes_it(path, known.kind, rules)?;
            Ok(restoring(case, known, by))
        }
        (
            Conflict::DoubtfulMatch { .. }
            | Conflict::Meeting { .. }
            | Conflict::Unchosen { .. }
            | Conflict::ManySoldOut { .. }
            | Conflict::StockSwitched { .. }
            | Conflict::SameKeyTwice { .. }
            | Conflict::ChangedInSeveral { .. }
            | Conflict::LevelInDoubt { .. }
            | Conflict::ShippedAndCancelled { .. }
            | Conflict::OrderDiffers { .. }
            | Conflict::PriceHeld { .. }
            | Conflict::NotMade { .. }
            | Conflict::GoneThere { .. }
            | Conflict::ManyArchived { .. }
            | Conflict::ManyRemoved { .. }
            | Conflict::Limit { .. }
            | Conflict::Undone { .. },
            ConflictSubject::Record(_)
            | ConflictSubject::Level(_)
            | ConflictSubject::Order(_)
            | ConflictSubject::Shop(_)
            | ConflictSubject::Levels
            | ConflictSubject::Catalogue,
            Resolution::UseShop { .. }
            | Resolution::UseValue { .. }
            | Resolution::IsRecord { .. }
            | Resolution::NoneOfOurs
            | Resolution::Accept
            | Resolution::WasWritten
            | Resolution::WasNotWritten
            | Resolution::LeaveAsIs
            | Resolution::RestoreInSource
            | Resolution::Release
            | Resolution::MakeAgain,
        ) => Err("this is no answer to that question; the page shows those that are".into()),
    }
}

fn matched(case: &ConflictCase, kind: Kind, answer: MatchAnswer, by: &str) -> Vec<Body> {
    let Conflict::DoubtfulMatch { shop, id, .. } = &case.about else {
        return Vec::new();
    };
    vec![Body::MatchAnswered {
        shop: *shop,
        kind,
        id: id.clone(),
        answer,
        by: Some(by.to_owned()),
    }]
}

/// The question stands until the source has it: the next run writes it there.
fn restoring(case: &ConflictCase, known: &Known, by: &str) -> Vec<Body> {
    let mut about = case.about.clone();
    if let Conflict::Undone { restoring, .. } = &mut about {
        *restoring = Some(by.to_owned());
    }
    vec![
        Body::ConflictOpened {
            conflict: case.conflict,
            subject: Subject::Record(known.record),
            about,
        },
        Body::DueAgain {
            what: Again::Record(known.record),
        },
    ]
}

/// An owner that is only read would never say it.
fn source_takes_it(path: &Path, kind: Kind, rules: &Rules) -> Result<(), String> {
    let owner = path.group().and_then(|group| rules.owner(group));
    let Some(owner) = owner.and_then(|owner| rules.shops.get(&owner)) else {
        return Ok(());
    };
    let update = match kind {
        Kind::Category => ChangeSort::UpdateCategory,
        Kind::Product | Kind::Level | Kind::Order => ChangeSort::UpdateProduct,
    };
    let is_written = !owner.read_only
        && owner.abilities.batches.contains_key(&update)
        && path
            .field()
            .is_some_and(|field| (owner.abilities.holds)(&field));
    if is_written {
        return Ok(());
    }
    Err(format!(
        "{} is not written to: change it there, and the question closes by itself; or release it",
        owner.name
    ))
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
                        .inventory
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
    use lockstep_model::settings::StockId;
    use lockstep_model::{ConflictId, IntentId, RecordId, RunId, Takes};
    use rust_decimal::Decimal;
    use std::collections::BTreeMap;

    const PRICE: &str = "variant/KH-100/price/EUR";

    fn our_rules() -> Rules {
        crate::fixture::rules(Takes::Placement, Takes::Payment, Takes::Reserve)
    }

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
                accepted: Default::default(),
                left: Default::default(),
                withheld: Default::default(),
                in_doubt: Default::default(),
                awaits: Default::default(),
            })),
        }
    }

    fn becomes(resolution: Resolution) -> Result<Value, String> {
        let bodies = resolve(&about_a_price(), &resolution, "operator", &our_rules())?;
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
        assert!(
            resolve(
                &about_a_price(),
                &Resolution::WasWritten,
                "operator",
                &our_rules()
            )
            .is_err()
        );
        assert!(
            resolve(
                &about_a_price(),
                &Resolution::LeaveAsIs,
                "operator",
                &our_rules()
            )
            .is_err()
        );
    }

    fn undone() -> ConflictCase {
        let asked = about_a_price();
        ConflictCase {
            about: Conflict::Undone {
                path: Path::from_stored(PRICE.into()),
                shop: ShopId(2),
                run: RunId(12),
                wrote: price("7.20"),
                held: price("6.50"),
                ours: price("7.20"),
                restoring: None,
            },
            ..asked
        }
    }

    #[test]
    fn an_undone_field_that_is_released_is_synced_again_and_ours_stays() {
        let bodies = resolve(&undone(), &Resolution::Release, "operator", &our_rules()).unwrap();
        let [Body::ConflictClosed { ours, by, .. }] = bodies.as_slice() else {
            panic!("{bodies:?}");
        };
        assert!(ours.is_empty());
        assert_eq!(by.as_deref(), Some("operator"));
    }

    #[test]
    fn an_undone_field_that_our_record_has_no_more_is_emptied_when_it_is_released() {
        let mut asked = undone();
        if let ConflictSubject::Record(known) = &mut asked.subject {
            known.ours.clear();
        }
        let bodies = resolve(&asked, &Resolution::Release, "operator", &our_rules()).unwrap();
        let [Body::ConflictClosed { ours, .. }] = bodies.as_slice() else {
            panic!("{bodies:?}");
        };
        let emptied = [(Path::from_stored(PRICE.into()), Value::Empty)];
        assert_eq!(ours.set, emptied.into());
    }

    #[test]
    fn an_undone_field_that_is_restored_stays_a_question_until_the_source_has_it() {
        let restore = Resolution::RestoreInSource;
        let bodies = resolve(&undone(), &restore, "operator", &our_rules()).unwrap();
        let [
            Body::ConflictOpened {
                conflict,
                about: Conflict::Undone {
                    restoring, ours, ..
                },
                ..
            },
            Body::DueAgain { .. },
        ] = bodies.as_slice()
        else {
            panic!("{bodies:?}");
        };
        assert_eq!(*conflict, ConflictId(3), "the same question");
        assert_eq!(restoring.as_deref(), Some("operator"));
        assert_eq!(*ours, price("7.20"), "as the person saw it");
    }

    #[test]
    fn what_cannot_be_written_to_its_source_is_not_restored_there() {
        let mut rules = our_rules();
        let erp = rules.shops.get_mut(&crate::fixture::ERP).unwrap();
        erp.read_only = true;
        let restore = Resolution::RestoreInSource;
        let refused = resolve(&undone(), &restore, "operator", &rules).unwrap_err();
        assert!(refused.contains("ERP is not written to"), "{refused}");
    }

    fn in_doubt() -> ConflictCase {
        let shop = ShopId(1);
        let (was, target, found) = (Decimal::TEN, Decimal::from(7), Decimal::from(12));
        let level = Level {
            sku: "KH-100".into(),
            stock: "main".into(),
            item: "".into(),
            variant: None,
            inventory: None,
            on_hand: was,
            reserved: Decimal::ZERO,
            set_aside: Decimal::ZERO,
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
                item: "KH-100".into(),
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
                item: "KH-100".into(),
                sku: "KH-100".into(),
                stock: StockId(1),
                status: None,
                base: Some(Decimal::TEN),
                counted_by: None,
                other_bases: BTreeMap::new(),
                emptied: Default::default(),
                levels: [(shop, at)].into(),
                lines: vec![],
                conflicts: vec![],
            })),
        }
    }

    #[test]
    fn a_level_in_doubt_is_settled_as_the_person_says() {
        let settled = |resolution| {
            let bodies = resolve(&in_doubt(), &resolution, "operator", &our_rules()).unwrap();
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
