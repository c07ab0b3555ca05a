//! What its owner takes away, as a table: it goes from the other shops, and nothing else does.

use super::Decision;
use super::tests::{decide_on, now, open, our_rules, sets, shadow, staged};
use crate::customer::{Customer, Effect, Event, Opened};
use crate::fixture::{A, B, ERP, nothing_to_read};
use crate::rules::Rules;
use crate::write::Sign;
use jiff::Timestamp;
use lockstep_model::cases::{AtShop, CatalogueChunk, Cluster, Known, Staged};
use lockstep_model::entry::{Body, Conflict, Merged, What};
use lockstep_model::settings::Policy;
use lockstep_model::{
    Cursor, Field, Flow, Kind, Next, Page, Path, Product, RecordId, ShopId, Status, Value, Variant,
    VariantField,
};
use std::sync::Arc;

/// With a sale price, an attribute and a text in a further language.
fn shirt(shop: ShopId, skus: &[&str]) -> Product {
    let variant = |sku: &&str| Variant {
        id: format!("v{shop}-{sku}").into(),
        sku: (*sku).into(),
        gtin: Some(String::new()),
        prices: [("EUR".into(), "19.90".parse().unwrap())].into(),
        sale_prices: [("EUR".into(), "14.90".parse().unwrap())].into(),
        ..Variant::default()
    };
    Product {
        id: format!("p{shop}").into(),
        title: "Shirt".into(),
        description: Some("Cotton".into()),
        texts: [(
            "fi".to_owned(),
            [("title".to_owned(), "Paita".to_owned())].into(),
        )]
        .into(),
        status: Status::Active,
        categories: Some(vec![]),
        variants: skus.iter().map(variant).collect(),
        attributes: [("fabric".to_owned(), "cotton".to_owned())].into(),
        ..Product::default()
    }
}

fn known_as(ours: &Product, at: &[Product]) -> Known {
    Known {
        record: RecordId(7),
        kind: Kind::Product,
        keys: vec!["M".into(), "S".into()],
        ours: ours.fields(),
        changed_at: now(),
        shops: [ERP, A, B].into_iter().zip(at.iter().map(shadow)).collect(),
        conflicts: vec![],
        accepted: Default::default(),
        left: Default::default(),
        withheld: Default::default(),
        in_doubt: Default::default(),
        awaits: Default::default(),
    }
}

/// S and M in all three shops.
fn in_step() -> Known {
    let at = [ERP, A, B].map(|shop| shirt(shop, &["S", "M"]));
    known_as(&at[0], &at)
}

fn read(product: &Product) -> Staged {
    let skus = product.variants.iter().map(|variant| variant.sku.0.clone());
    Staged {
        keys: skus.collect(),
        ..staged(ERP, product)
    }
}

fn merged(decision: &Decision) -> &Merged {
    let found = decision.bodies.iter().find_map(|body| match body {
        Body::Merged(merged) => Some(merged),
        _ => None,
    });
    found.expect("a merge")
}

const GONE: &str = "variant/M/present=—";

/// The owner's reading of a record that is in step, and what is therefore set in A and B alike.
fn check(what: &str, edit: impl FnOnce(&mut Product), wanted: &[&str]) {
    let mut at_erp = shirt(ERP, &["S", "M"]);
    edit(&mut at_erp);
    let decision = decide_on(vec![in_step()], vec![read(&at_erp)], &our_rules());
    let wanted: Vec<String> = wanted.iter().map(|set| (*set).to_owned()).collect();
    let wanted = if wanted.is_empty() {
        vec![]
    } else {
        vec![(A, wanted.clone()), (B, wanted)]
    };
    assert_eq!(sets(&decision), wanted, "{what}");
}

#[test]
fn what_its_owner_takes_away_goes_from_the_other_shops() {
    check("a variant", |p| drop(p.variants.pop()), &[GONE]);
    check(
        "a sale price",
        |p| p.variants[0].sale_prices.clear(),
        &["variant/S/sale_price/EUR=—"],
    );
    check(
        "a price",
        |p| p.variants[0].prices.clear(),
        &["variant/S/price/EUR=—"],
    );
    check(
        "an attribute",
        |p| p.attributes.clear(),
        &["attribute/fabric=—"],
    );
    check("a text", |p| p.texts.clear(), &["text/fi/title=—"]);
    check(
        "an emptied text",
        |p| p.description = Some(String::new()),
        &["description=—"],
    );
}

#[test]
fn a_reading_that_says_less_than_it_could_takes_nothing_away() {
    check("no variants at all", |p| p.variants.clear(), &[]);
    check("no description", |p| p.description = None, &[]);
    check("no categories", |p| p.categories = None, &[]);
    check("no GTINs", |p| p.variants[0].gtin = None, &[]);
    // The record was not read at all.
    let decision = decide_on(vec![in_step()], vec![], &our_rules());
    assert!(decision.writes.is_empty());
}

#[test]
fn a_product_that_was_read_without_variants_keeps_them_when_they_are_read_again() {
    let bare = decide_on(vec![in_step()], vec![read(&shirt(ERP, &[]))], &our_rules());
    assert!(bare.writes.is_empty());
    let mut known = in_step();
    merged(&bare).ours.apply(&mut known.ours);
    known.shops.insert(ERP, shadow(&shirt(ERP, &[])));
    let again = decide_on(
        vec![known],
        vec![read(&shirt(ERP, &["S", "M"]))],
        &our_rules(),
    );
    assert!(again.writes.is_empty(), "{:?}", again.writes);
}

#[test]
fn a_variant_that_goes_is_planned_as_a_removal_and_says_only_that() {
    let decision = decide_on(
        vec![in_step()],
        vec![read(&shirt(ERP, &["S"]))],
        &our_rules(),
    );
    let signs: Vec<Sign> = decision.lines.iter().map(|line| line.sign).collect();
    assert_eq!(signs, [Sign::Remove, Sign::Remove]);
    assert_eq!(decision.lines[0].label, "S Shirt");
}

#[test]
fn what_only_another_shop_has_stays_there() {
    let at = [
        shirt(ERP, &["S", "M"]),
        shirt(A, &["S", "M", "OWN"]),
        shirt(B, &["S"]),
    ];
    let known = known_as(&at[0], &at);
    let decision = decide_on(vec![known], vec![read(&shirt(ERP, &["S"]))], &our_rules());
    assert_eq!(sets(&decision), [(A, vec![GONE.to_owned()])]);
}

#[test]
fn a_removal_waits_for_a_shop_that_cannot_be_written_and_is_forgotten_once_it_is_done() {
    let mut known = in_step();
    let at_a = known.shops.get_mut(&A).unwrap();
    at_a.aside_until = Some(Timestamp::MAX);
    let first = decide_on(
        vec![known.clone()],
        vec![read(&shirt(ERP, &["S"]))],
        &our_rules(),
    );
    assert_eq!(sets(&first), [(B, vec![GONE.to_owned()])]);
    assert_eq!(merged(&first).due, [A, B]);

    // B answered; A can be written again.
    merged(&first).ours.apply(&mut known.ours);
    known.shops.insert(ERP, shadow(&shirt(ERP, &["S"])));
    known.shops.insert(B, shadow(&shirt(B, &["S"])));
    known.shops.get_mut(&A).unwrap().aside_until = None;
    let second = decide_on(vec![known.clone()], vec![], &our_rules());
    assert_eq!(sets(&second), [(A, vec![GONE.to_owned()])]);

    known.shops.insert(A, shadow(&shirt(A, &["S"])));
    let third = decide_on(vec![known.clone()], vec![], &our_rules());
    assert!(third.writes.is_empty());
    assert_eq!(merged(&third).keys, ["S"], "the SKU is free");
    merged(&third).ours.apply(&mut known.ours);

    // Somebody adds it in A by hand: it is that shop's own.
    let by_hand = staged(A, &shirt(A, &["S", "M"]));
    let later = decide_on(vec![known], vec![by_hand], &our_rules());
    assert!(later.writes.is_empty(), "{:?}", later.writes);
}

#[test]
fn a_variant_that_comes_back_is_made_again() {
    let mut known = in_step();
    for (shop, skus) in [(ERP, vec!["S"]), (A, vec!["S"]), (B, vec!["S", "M"])] {
        known.shops.insert(shop, shadow(&shirt(shop, &skus)));
    }
    let present = Path::present(&"M".into());
    known.ours.retain(|path, _| !path.as_str().contains("/M/"));
    known.ours.insert(present, Value::Empty);
    let decision = decide_on(
        vec![known],
        vec![read(&shirt(ERP, &["S", "M"]))],
        &our_rules(),
    );
    let sets = sets(&decision);
    assert_eq!(sets.len(), 1, "B still has it: {sets:?}");
    assert_eq!(sets[0].0, A);
    assert!(sets[0].1.contains(&"variant/M/present=yes".to_owned()));
}

#[test]
fn a_removal_that_was_lost_on_the_way_is_known_by_the_shop_being_without_it() {
    let mut known = in_step();
    let set = [(Path::present(&"M".into()), Value::Empty)].into();
    let at = known.shops.get_mut(&A).unwrap();
    at.open.push(open(What::Set { set }, None));
    let decision = decide_on(
        vec![known],
        vec![read(&shirt(ERP, &["S"])), staged(A, &shirt(A, &["S"]))],
        &our_rules(),
    );
    assert!(matches!(decision.bodies[0], Body::Settled { .. }));
    assert_eq!(sets(&decision), [(B, vec![GONE.to_owned()])]);
}

#[test]
fn what_is_taken_away_while_it_is_on_its_way_to_a_shop_goes_from_there_once_it_has_come() {
    let mut known = in_step();
    for shop in [A, B] {
        known.shops.insert(shop, shadow(&shirt(shop, &["S"])));
    }
    let present = Path::present(&"M".into());
    let set = [(present, Value::Flag(true))].into();
    let at_a = known.shops.get_mut(&A).unwrap();
    at_a.open.push(open(What::Set { set }, Some(now())));
    let first = decide_on(
        vec![known.clone()],
        vec![read(&shirt(ERP, &["S"]))],
        &our_rules(),
    );
    assert!(first.writes.is_empty(), "what became of it is not known");

    merged(&first).ours.apply(&mut known.ours);
    known.shops.insert(ERP, shadow(&shirt(ERP, &["S"])));
    let has_come = staged(A, &shirt(A, &["S", "M"]));
    let then = decide_on(vec![known.clone()], vec![has_come], &our_rules());
    assert_eq!(sets(&then), [(A, vec![GONE.to_owned()])]);

    // Where it never came, nothing is left to remember.
    known.shops.get_mut(&A).unwrap().open[0].look_at = Some(Timestamp::MIN);
    let has_not = staged(A, &shirt(A, &["S"]));
    let never = decide_on(vec![known.clone()], vec![has_not], &our_rules());
    assert!(never.writes.is_empty());
    merged(&never).ours.apply(&mut known.ours);
    assert!(!known.ours.keys().any(|path| path.as_str().contains("/M/")));
}

#[test]
fn what_is_renamed_while_it_is_on_its_way_to_a_shop_is_the_same_record_when_it_turns_up_there() {
    let at = [ERP, A, B].map(|shop| shirt(shop, &["M"]));
    let mut known = known_as(&at[0], &at);
    known.keys = vec!["M".into()];
    let set = at[1].fields();
    let mut on_its_way = AtShop::default();
    on_its_way
        .open
        .push(open(What::Create { set }, Some(now())));
    known.shops.insert(A, on_its_way);
    let renamed = shirt(ERP, &["L"]);
    let first = decide_on(vec![known.clone()], vec![read(&renamed)], &our_rules());
    assert_eq!(merged(&first).keys, ["L", "M"], "A may have it as M");

    merged(&first).ours.apply(&mut known.ours);
    known.keys = merged(&first).keys.clone();
    known.shops.insert(ERP, shadow(&renamed));
    known.shops.insert(B, shadow(&shirt(B, &["L"])));
    let turns_up = Staged {
        keys: vec!["M".into()],
        ..staged(A, &at[1])
    };
    let then = decide_on(vec![known], vec![turns_up], &our_rules());
    assert_eq!(merged(&then).record, RecordId(7));
    let sets = sets(&then);
    assert_eq!(sets.len(), 1);
    assert!(sets[0].1.contains(&GONE.to_owned()), "{sets:?}");
}

fn with(edit: impl FnOnce(&mut lockstep_model::settings::CustomerSettings)) -> Rules {
    let mut rules = our_rules();
    let mut settings = (*rules.settings).clone();
    edit(&mut settings);
    rules.settings = Arc::new(settings);
    rules
}

#[test]
fn prices_of_a_shop_that_lost_the_variant_stay_as_it_last_said_them() {
    let rules = with(|settings| settings.policies.prices = Policy::Owner(A));
    let decision = decide_on(vec![in_step()], vec![staged(A, &shirt(A, &["S"]))], &rules);
    let others: Vec<ShopId> = decision.writes.iter().map(|write| write.shop).collect();
    assert_eq!(
        others,
        [A],
        "it is made again there and nothing moves elsewhere"
    );
}

#[test]
fn what_a_platform_cannot_be_without_stays_and_is_shown() {
    let mut rules = our_rules();
    let cannot: fn(&Field<'_>) -> bool = |field| {
        !matches!(
            field,
            Field::Variant {
                field: VariantField::Present,
                ..
            }
        )
    };
    rules.shops.get_mut(&A).unwrap().abilities.removes = cannot;
    let decision = decide_on(vec![in_step()], vec![read(&shirt(ERP, &["S"]))], &rules);
    assert_eq!(sets(&decision), [(B, vec![GONE.to_owned()])]);
    let shown = decision.bodies.iter().find_map(|body| match body {
        Body::Aside { shop, fault, .. } => Some((*shop, fault.message.clone())),
        _ => None,
    });
    let (shop, message) = shown.expect("an aside");
    assert_eq!(shop, A);
    assert!(message.contains("variant/M/present"), "{message}");
}

/// Plans this many products that lose one of two variants, of so many items known. Answers how many products are written,
/// and what is asked.
fn plan_of(removals: usize, items: u64) -> (usize, Option<Conflict>) {
    let mut customer = Customer::new(
        Opened {
            next_run: 1,
            next_record: 100,
            next_intent: 1,
            next_conflict: 1,
            cursors: Default::default(),
            open: vec![],
            ..Opened::default()
        },
        our_rules(),
    );
    let now = Timestamp::UNIX_EPOCH;
    let clusters = (0..removals).map(|n| {
        let mut known = in_step();
        known.record = RecordId(n as u64 + 1);
        Cluster {
            key: format!("{n:04}"),
            known: vec![known],
            staged: vec![read(&shirt(ERP, &["S"]))],
        }
    });
    let chunk = CatalogueChunk {
        clusters: clusters.collect(),
        total: items,
        items,
        ..CatalogueChunk::default()
    };
    let mut events = vec![Event::Woken {
        flows: vec![(ERP, Flow::Products)],
        causes: vec![],
        everything: false,
    }];
    let (mut written, mut asked) = (0, None);
    while let Some(event) = events.pop() {
        for effect in customer.on(event, now) {
            match effect {
                Effect::SavePlan { rows, .. } => {
                    written = rows
                        .iter()
                        .filter(|(_, row)| !row.writes.is_empty())
                        .count();
                }
                Effect::Append { bodies, .. } => {
                    asked = bodies
                        .into_iter()
                        .find_map(|body| match body {
                            Body::ConflictOpened { about, .. } => Some(about),
                            _ => None,
                        })
                        .or(asked);
                }
                Effect::Pull { call, .. } => events.push(Event::Pulled {
                    call,
                    result: Ok(Page {
                        records: vec![],
                        next: Next::End(Some(Cursor("1".into()))),
                    }),
                }),
                Effect::ReadAgainList {
                    lane, shop, kind, ..
                } => events.push(nothing_to_read(lane, shop, kind)),
                Effect::LoadCatalogue { kind, .. } => {
                    events.push(Event::CatalogueLoaded(match kind {
                        Kind::Product => chunk.clone(),
                        _ => CatalogueChunk::default(),
                    }));
                }
                Effect::LoadPlan { .. } => return (written, asked),
                _ => {}
            }
        }
    }
    panic!("the run applied nothing");
}

#[test]
fn c7_a_plan_that_removes_too_many_variants_asks_and_removes_none_of_them() {
    let many = Conflict::ManyRemoved {
        variants: 11,
        of: 100,
        limit: 10,
    };
    assert_eq!(plan_of(11, 100), (0, Some(many)));
    // Each counts once, though two shops lose it; and a handful may always go.
    assert_eq!(plan_of(11, 200), (11, None));
    assert_eq!(plan_of(10, 20), (10, None));
}
