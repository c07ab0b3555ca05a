//! Merge and plan as a table: what shops hold, and what is therefore written.

use super::{Deciding, Decision, Holding, Ids, Terms, Withholds, decide};
use crate::fixture::{A, B, ERP, rules};
use crate::rules::Rules;
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{
    AtShop, Categories, Cluster, Known, OpenConflict, OpenIntent, Staged, StagedBody,
};
use lockstep_model::entry::{Body, Conflict, Settlement, Subject, What};
use lockstep_model::settings::{Assortment, Policy, PriceRule, Rounding, Tax, Transform, Way};
use lockstep_model::{
    Change, ConflictId, Field, FieldGroup, Fields, IntentId, Kind, Path, Product, RecordId, RunId,
    ShopId, Status, Takes, Value, Variant, VariantField,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) fn now() -> Timestamp {
    "2026-03-01T09:00:00Z".parse().unwrap()
}

pub(crate) fn our_rules() -> Rules {
    rules(Takes::Placement, Takes::Payment, Takes::Reserve)
}

pub(crate) fn coffee(shop: ShopId, title: &str, price: &str) -> Product {
    Product {
        id: format!("p{shop}").into(),
        title: title.into(),
        status: Status::Active,
        variants: vec![Variant {
            id: format!("v{shop}").into(),
            sku: "KH-100".into(),
            prices: [("EUR".into(), price.parse().unwrap())].into(),
            ..Variant::default()
        }],
        ..Product::default()
    }
}

pub(crate) fn staged(shop: ShopId, product: &Product) -> Staged {
    Staged {
        shop,
        kind: Kind::Product,
        id: product.id.clone(),
        linked: None,
        keys: vec!["KH-100".into()],
        body: StagedBody::Fields {
            fields: product.fields(),
            parts: product.parts(),
        },
        doubt: None,
        reading: 1,
        left_at: now(),
    }
}

pub(super) fn gone(shop: ShopId) -> Staged {
    Staged {
        body: StagedBody::Gone,
        ..staged(shop, &coffee(shop, "", "0"))
    }
}

pub(crate) fn shadow(product: &Product) -> AtShop {
    AtShop {
        id: Some(product.id.clone()),
        parts: product.parts(),
        held: product.fields(),
        ..AtShop::default()
    }
}

/// A record that all three shops hold alike.
pub(crate) fn in_step(title: &str, price: &str) -> Known {
    Known {
        record: RecordId(7),
        kind: Kind::Product,
        keys: vec!["KH-100".into()],
        ours: coffee(ERP, title, price).fields(),
        changed_at: now(),
        shops: [ERP, A, B]
            .map(|shop| (shop, shadow(&coffee(shop, title, price))))
            .into(),
        conflicts: vec![],
        accepted: Default::default(),
        left: Default::default(),
        withheld: Default::default(),
        in_doubt: Default::default(),
        awaits: Default::default(),
    }
}

pub(crate) fn decide_on(known: Vec<Known>, staged: Vec<Staged>, rules: &Rules) -> Decision {
    decide_after(&[], known, staged, rules)
}

/// `looked`: how many minutes ago the last look at a shop began.
fn decide_after(
    looked: &[(ShopId, i64)],
    known: Vec<Known>,
    staged: Vec<Staged>,
    rules: &Rules,
) -> Decision {
    let looked = looked.iter();
    let looked = looked.map(|(shop, minutes)| (*shop, now() - minutes.minutes()));
    let cluster = Cluster {
        key: "KH-100".into(),
        known,
        staged,
    };
    let mut ids = Ids {
        record: &mut 8,
        conflict: &mut 1,
    };
    let terms = Terms::new(Default::default(), &rules.settings);
    decide(
        &cluster,
        rules,
        &terms,
        &deciding(&looked.collect()),
        &mut ids,
    )
}

/// A run that may do anything but what a person should see first.
pub(super) fn deciding(looked: &BTreeMap<ShopId, Timestamp>) -> Deciding<'_> {
    Deciding {
        run: RunId(1),
        now: now(),
        looked,
        holding: Holding::Asks,
        withholds: Withholds::default(),
    }
}

/// Shop, and what is set there.
pub(super) fn sets(decision: &Decision) -> Vec<(ShopId, Vec<String>)> {
    let writes = decision.writes.iter();
    writes
        .map(|write| {
            let set = match &write.what {
                What::Set { set } | What::Create { set } => set,
                other => panic!("{other:?}"),
            };
            let set = set.iter().map(|(path, value)| format!("{path}={value}"));
            (write.shop, set.collect())
        })
        .collect()
}

const PRICE: &str = "variant/KH-100/price/EUR";

#[test]
fn what_the_owner_changes_is_written_to_the_others_and_nothing_else() {
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(ERP, &coffee(ERP, "Coffee", "7.20"))],
        &our_rules(),
    );
    let want = vec![format!("{PRICE}=7.2")];
    assert_eq!(sets(&decision), [(A, want.clone()), (B, want)]);
}

#[test]
fn what_another_shop_changes_is_written_back_and_said() {
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(A, &coffee(A, "Kahvi", "6.90"))],
        &our_rules(),
    );
    assert_eq!(sets(&decision), [(A, vec!["title=Coffee".to_owned()])]);
    let Some(Body::Merged(merged)) = decision.bodies.first() else {
        panic!("{:?}", decision.bodies);
    };
    assert_eq!(merged.overruled.len(), 1);
    assert_eq!(merged.overruled[0].theirs, Value::text("Kahvi"));
}

#[test]
fn an_unchanged_reading_decides_nothing() {
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(ERP, &coffee(ERP, "Coffee", "6.90"))],
        &our_rules(),
    );
    assert!(decision.writes.is_empty());
}

#[test]
fn a_record_that_only_its_owner_has_is_made_where_everything_is_wanted() {
    let mut rules = our_rules();
    rules.shops.get_mut(&B).unwrap().link.assortment = Assortment::Linked;
    let decision = decide_on(
        vec![],
        vec![staged(ERP, &coffee(ERP, "Coffee", "6.90"))],
        &rules,
    );
    assert_eq!(decision.writes.len(), 1);
    assert_eq!(decision.writes[0].shop, A);
    assert!(matches!(
        decision.writes[0].change,
        Change::CreateProduct { .. }
    ));
}

#[test]
fn a_shop_with_a_picked_assortment_gets_what_is_picked_and_keeps_what_it_has() {
    let picked = |sku: &str| {
        let mut rules = our_rules();
        let link = &mut rules.shops.get_mut(&B).unwrap().link;
        link.assortment = Assortment::Picked;
        link.picks.skus = vec![sku.into()];
        rules
    };
    let new = || vec![staged(ERP, &coffee(ERP, "Coffee", "6.90"))];
    let made = |decision: &Decision| -> Vec<ShopId> {
        sets(decision).into_iter().map(|(shop, _)| shop).collect()
    };
    let decision = decide_on(vec![], new(), &picked("KH-100"));
    assert_eq!(made(&decision), [A, B]);
    let decision = decide_on(vec![], new(), &picked("KH-200"));
    assert_eq!(made(&decision), [A]);
    // It is there: it is kept in step.
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(ERP, &coffee(ERP, "Coffee", "7.20"))],
        &picked("KH-200"),
    );
    assert_eq!(made(&decision), [A, B]);
}

#[test]
fn a_shop_gets_what_the_owner_has_in_a_picked_category_or_below_it() {
    let mut rules = our_rules();
    let link = &mut rules.shops.get_mut(&B).unwrap().link;
    link.assortment = Assortment::Picked;
    link.picks.categories = vec!["c7".into()];
    let ids = [("c7".into(), RecordId(40)), ("c9".into(), RecordId(42))];
    let above = [(42, 41), (41, 40), (51, 50), (50, 51)];
    let categories = Categories {
        links: [(ERP, ids.into())].into(),
        above: above
            .map(|(below, above)| (RecordId(below), RecordId(above)))
            .into(),
        gone: Default::default(),
    };
    let terms = Terms::new(categories, &rules.settings);
    let gives = |categories: &[&str]| {
        let ours = Product {
            categories: Some(categories.iter().map(|id| (*id).into()).collect()),
            ..coffee(ERP, "Coffee", "6.90")
        };
        rules.gives(B, Kind::Product, &ours.fields(), &terms)
    };
    assert!(gives(&["39", "40"]));
    assert!(!gives(&["39"]));
    assert!(gives(&["42"]), "two below it");
    assert!(!gives(&["50"]), "a loop has no top");
    let ours = Default::default();
    assert!(
        rules.gives(B, Kind::Category, &ours, &terms),
        "the tree is whole"
    );
}

#[test]
fn a_record_that_only_a_shop_has_goes_nowhere() {
    let decision = decide_on(
        vec![],
        vec![staged(A, &coffee(A, "Coffee", "6.90"))],
        &our_rules(),
    );
    assert!(decision.writes.is_empty());
    assert!(matches!(decision.bodies[0], Body::Merged(_)));
}

#[test]
fn the_first_meeting_of_two_full_shops_links_by_sku_and_makes_nothing() {
    let decision = decide_on(
        vec![],
        vec![
            staged(ERP, &coffee(ERP, "Coffee", "6.90")),
            staged(A, &coffee(A, "Coffee", "6.90")),
            staged(B, &coffee(B, "Coffee", "6.90")),
        ],
        &our_rules(),
    );
    assert!(decision.writes.is_empty());
    let Some(Body::Merged(merged)) = decision.bodies.first() else {
        panic!("{:?}", decision.bodies);
    };
    assert_eq!(merged.seen.len(), 3);
}

#[test]
fn a_shop_that_rounds_comes_to_rest_after_one_write() {
    // We wrote 6.905, the shop answered 6.91.
    let mut known = in_step("Coffee", "6.905");
    let at = known.shops.get_mut(&A).unwrap();
    let price = Path::from_stored(PRICE.into());
    at.held
        .insert(price.clone(), Value::number(Decimal::new(691, 2)));
    at.meant.insert(price, Value::number(Decimal::new(6905, 3)));
    let decision = decide_on(
        vec![known],
        vec![staged(A, &coffee(A, "Coffee", "6.91"))],
        &our_rules(),
    );
    assert!(decision.writes.is_empty(), "{:?}", decision.writes);
}

#[test]
fn a_record_gone_in_its_owner_is_archived_elsewhere_and_deleted_nowhere() {
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![gone(ERP)],
        &our_rules(),
    );
    let want = vec!["status=archived".to_owned()];
    assert_eq!(sets(&decision), [(A, want.clone()), (B, want)]);
}

#[test]
fn what_a_person_removed_from_a_shop_is_not_made_again() {
    let decision = decide_on(vec![in_step("Coffee", "6.90")], vec![gone(A)], &our_rules());
    assert!(decision.writes.is_empty());
    let mut known = in_step("Coffee", "6.90");
    known.shops.get_mut(&A).unwrap().gone = true;
    let later = decide_on(
        vec![known],
        vec![staged(ERP, &coffee(ERP, "Coffee", "7.20"))],
        &our_rules(),
    );
    assert_eq!(sets(&later).len(), 1, "B alone");
}

#[test]
fn two_records_of_one_shop_with_one_sku_stand_aside_both_and_nothing_is_guessed() {
    let mut twin = coffee(A, "Twin", "1.00");
    twin.id = "p-twin".into();
    let decision = decide_on(
        vec![],
        vec![staged(A, &coffee(A, "Coffee", "6.90")), staged(A, &twin)],
        &our_rules(),
    );
    assert!(decision.writes.is_empty());
    assert_eq!(decision.consumed.len(), 2);
    let asides = decision
        .bodies
        .iter()
        .filter(|body| matches!(body, Body::Aside { .. }));
    assert_eq!(asides.count(), 2);
}

pub(super) fn open(what: What, look_at: Option<Timestamp>) -> OpenIntent {
    OpenIntent {
        intent: IntentId(5),
        run: RunId(1),
        shop: A,
        subject: Subject::Record(RecordId(7)),
        what,
        at: now(),
        look_at,
    }
}

fn price_set(price: i64) -> Fields {
    let path = Path::new(&Field::Variant {
        item: "KH-100".into(),
        field: VariantField::Price("EUR".into()),
    });
    [(path, Value::number(Decimal::new(price, 2)))].into()
}

#[test]
fn a_value_equal_to_an_open_intent_is_our_own_write_coming_back() {
    let mut rules = our_rules();
    let mut settings = (*rules.settings).clone();
    settings.policies.prices = Policy::Ask;
    rules.settings = Arc::new(settings);
    let mut known = in_step("Coffee", "6.90");
    let at = known.shops.get_mut(&A).unwrap();
    at.open.push(open(
        What::Set {
            set: price_set(720),
        },
        None,
    ));
    let decision = decide_on(
        vec![known],
        vec![staged(A, &coffee(A, "Coffee", "7.20"))],
        &rules,
    );
    assert!(
        decision.bodies.iter().any(|body| matches!(
            body,
            Body::Settled { how, .. } if matches!(**how, Settlement::Done { .. })
        )),
        "{:?}",
        decision.bodies
    );
    let Some(Body::Merged(merged)) = decision
        .bodies
        .iter()
        .find(|body| matches!(body, Body::Merged(_)))
    else {
        panic!("{:?}", decision.bodies);
    };
    assert!(
        merged.ours.is_empty(),
        "our own value is not a change of the shop"
    );
}

#[test]
fn a_record_whose_last_write_is_in_doubt_gets_no_other() {
    let mut known = in_step("Coffee", "6.90");
    let later = now().checked_add(5.seconds()).unwrap();
    let at = known.shops.get_mut(&A).unwrap();
    at.open.push(open(
        What::Set {
            set: price_set(650),
        },
        Some(later),
    ));
    let decision = decide_on(
        vec![known],
        vec![
            staged(ERP, &coffee(ERP, "Coffee", "7.20")),
            staged(A, &coffee(A, "Coffee", "6.90")),
        ],
        &our_rules(),
    );
    assert_eq!(sets(&decision).len(), 1);
    assert_eq!(decision.writes[0].shop, B);
    let Some(Body::Merged(merged)) = decision
        .bodies
        .iter()
        .find(|body| matches!(body, Body::Merged(_)))
    else {
        panic!("{:?}", decision.bodies);
    };
    assert_eq!(merged.due, [A, B], "A stays due");
}

#[test]
fn two_shops_that_changed_one_field_are_a_conflict_where_the_policy_asks() {
    let rules = texts_ask();
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![
            staged(A, &coffee(A, "Kahvi", "6.90")),
            staged(B, &coffee(B, "Kaffe", "6.90")),
        ],
        &rules,
    );
    assert!(decision.writes.is_empty());
    assert!(
        decision
            .bodies
            .iter()
            .any(|body| matches!(body, Body::ConflictOpened { .. }))
    );
    let one = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(A, &coffee(A, "Kahvi", "6.90"))],
        &rules,
    );
    let want = vec!["title=Kahvi".to_owned()];
    assert_eq!(sets(&one), [(ERP, want.clone()), (B, want)]);
}

#[test]
fn a_flow_that_is_off_writes_nothing() {
    let mut rules = our_rules();
    let mut settings = (*rules.settings).clone();
    settings.customer.sync_products = false;
    rules.settings = Arc::new(settings);
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(ERP, &coffee(ERP, "Coffee", "7.20"))],
        &rules,
    );
    assert!(decision.writes.is_empty());
}

fn texts_ask() -> Rules {
    let mut rules = our_rules();
    let mut settings = (*rules.settings).clone();
    settings.policies.texts = Policy::Ask;
    rules.settings = Arc::new(settings);
    rules
}

/// A and B were seen with other titles, and a person was asked.
fn asked_about_the_title(a: &str, b: &str) -> Known {
    let mut known = in_step("Coffee", "6.90");
    for (shop, title) in [(A, a), (B, b)] {
        let at = known.shops.get_mut(&shop).unwrap();
        *at = shadow(&coffee(shop, title, "6.90"));
    }
    known.conflicts.push(OpenConflict {
        conflict: ConflictId(5),
        about: Conflict::ChangedInSeveral {
            path: Path::new(&Field::Title),
            values: [(A, Value::text(a)), (B, Value::text(b))].into(),
        },
        at: now(),
    });
    known
}

/// Conflicts that were closed by themselves, and how many were opened.
fn questions(decision: &Decision) -> (Vec<ConflictId>, usize) {
    let closed = decision.bodies.iter().filter_map(|body| match body {
        Body::ConflictClosed { conflict, .. } => Some(*conflict),
        _ => None,
    });
    let opened = decision.bodies.iter();
    let opened = opened.filter(|body| matches!(body, Body::ConflictOpened { .. }));
    (closed.collect(), opened.count())
}

#[test]
fn while_a_person_is_asked_about_one_field_the_others_go_on() {
    let decision = decide_on(
        vec![asked_about_the_title("Kahvi", "Kaffe")],
        vec![staged(ERP, &coffee(ERP, "Coffee", "7.20"))],
        &texts_ask(),
    );
    assert_eq!(questions(&decision), (vec![], 0));
    let want = vec![format!("{PRICE}=7.2")];
    assert_eq!(sets(&decision), [(A, want.clone()), (B, want)]);
}

#[test]
fn a_question_closes_once_the_shops_agree() {
    let decision = decide_on(
        vec![asked_about_the_title("Kahvi", "Kaffe")],
        vec![staged(B, &coffee(B, "Kahvi", "6.90"))],
        &texts_ask(),
    );
    assert_eq!(questions(&decision), (vec![ConflictId(5)], 0));
    assert_eq!(sets(&decision), [(ERP, vec!["title=Kahvi".to_owned()])]);
}

#[test]
fn a_question_whose_values_moved_is_asked_anew() {
    let decision = decide_on(
        vec![asked_about_the_title("Kahvi", "Kaffe")],
        vec![staged(B, &coffee(B, "Café", "6.90"))],
        &texts_ask(),
    );
    assert_eq!(questions(&decision), (vec![ConflictId(5)], 1));
    assert!(decision.writes.is_empty(), "nobody is written over");
}

#[test]
fn another_policy_closes_the_question_and_decides() {
    let decision = decide_on(
        vec![asked_about_the_title("Kahvi", "Kaffe")],
        vec![],
        &our_rules(),
    );
    assert_eq!(questions(&decision), (vec![ConflictId(5)], 0));
    let want = vec!["title=Coffee".to_owned()];
    assert_eq!(sets(&decision), [(A, want.clone()), (B, want)]);
}

#[test]
fn a_record_that_a_person_is_asked_about_is_not_made_elsewhere_meanwhile() {
    let mut known = asked_about_the_title("Kahvi", "Kaffe");
    known.shops.remove(&B);
    known.conflicts[0].about = Conflict::ChangedInSeveral {
        path: Path::new(&Field::Title),
        values: [(ERP, Value::text("Coffee")), (A, Value::text("Kahvi"))].into(),
    };
    let decision = decide_on(vec![known], vec![], &texts_ask());
    assert!(decision.writes.is_empty(), "{:?}", decision.writes);
}

#[test]
fn what_was_decided_is_written_to_those_who_say_otherwise() {
    let mut known = asked_about_the_title("Kahvi", "Kaffe");
    known.conflicts.clear();
    known
        .ours
        .insert(Path::new(&Field::Title), Value::text("Kahvi"));
    let decision = decide_on(vec![known], vec![], &texts_ask());
    let want = vec!["title=Kahvi".to_owned()];
    assert_eq!(sets(&decision), [(ERP, want.clone()), (B, want)]);
}

/// ERP and A call version 1 and 2 these.
fn with_versions(erp: [&str; 2], a: [&str; 2]) -> Rules {
    let mut rules = our_rules();
    let mut settings = (*rules.settings).clone();
    for (shop, names) in [(ERP, erp), (A, a)] {
        for (version, name) in (1..).zip(names) {
            let row = lockstep_model::settings::ShopVersionServiceIdentifier {
                id: lockstep_model::settings::RowId(shop.0 * 10 + version),
                shop_version_id: lockstep_model::settings::ShopVersionId(version),
                service_id: shop,
                identifier: name.into(),
            };
            settings.shop_version_service_identifiers.push(row);
        }
    }
    for version in [1, 2] {
        let active = lockstep_model::settings::ActiveShopVersion {
            id: lockstep_model::settings::RowId(version),
            shop_version_id: lockstep_model::settings::ShopVersionId(version),
            service_id: None,
        };
        settings.active_shop_versions.push(active);
    }
    rules.settings = Arc::new(settings);
    rules
}

#[test]
fn another_name_for_a_shop_version_is_written_where_it_is_another() {
    let mut known = in_step("Coffee", "6.90");
    let path = Path::new(&Field::ShopVersions);
    for shop in [ERP, A] {
        let held = &mut known.shops.get_mut(&shop).unwrap().held;
        held.insert(path.clone(), Value::list(["fi".to_owned()]));
    }
    known.ours.insert(path, Value::list(["2".to_owned()]));
    let same = with_versions(["en", "fi"], ["en", "fi"]);
    assert_eq!(sets(&decide_on(vec![known.clone()], vec![], &same)), []);
    let swapped = with_versions(["en", "fi"], ["fi", "en"]);
    assert_eq!(
        sets(&decide_on(vec![known], vec![], &swapped)),
        [(A, vec!["shop_versions=en".to_owned()])]
    );
}

fn texts(policy: Policy, rank: &[ShopId]) -> Rules {
    let mut rules = our_rules();
    let mut settings = (*rules.settings).clone();
    settings.policies.texts = policy;
    settings.policies.rank = rank.to_vec();
    rules.settings = Arc::new(settings);
    rules
}

/// A's title was taken in ten minutes ago, and B was not given it yet.
fn not_yet_at_b(title: &str) -> Known {
    let mut known = in_step("Coffee", "6.90");
    known.ours = coffee(A, title, "6.90").fields();
    for shop in [ERP, A] {
        let at = known.shops.get_mut(&shop).unwrap();
        *at = shadow(&coffee(shop, title, "6.90"));
    }
    known.changed_at = now() - 10.minutes();
    known
}

#[test]
fn a_change_of_a_shop_that_has_not_been_given_ours_yet_is_no_answer_to_it() {
    for policy in [Policy::Ask, Policy::Newest] {
        let decision = decide_after(
            &[(B, 20)],
            vec![not_yet_at_b("Kahvi")],
            vec![staged(B, &coffee(B, "Kaffe", "6.90"))],
            &texts(policy, &[]),
        );
        assert_eq!(questions(&decision), (vec![], 1), "{policy:?}");
        assert!(sets(&decision).is_empty(), "{policy:?}");
        let asked = decision.bodies.iter().find_map(|body| match body {
            Body::ConflictOpened {
                about: Conflict::ChangedInSeveral { values, .. },
                ..
            } => Some(values.clone()),
            _ => None,
        });
        let said: Vec<Value> = asked.unwrap().into_values().collect();
        assert_eq!(said, [Value::text("Kahvi"), Value::text("Kaffe")]);
    }
}

#[test]
fn the_newest_change_counts_where_the_readings_prove_it() {
    let decision = decide_after(
        &[(B, 5)],
        vec![not_yet_at_b("Kahvi")],
        vec![staged(B, &coffee(B, "Kaffe", "6.90"))],
        &texts(Policy::Newest, &[]),
    );
    assert_eq!(questions(&decision), (vec![], 0));
    let want = vec!["title=Kaffe".to_owned()];
    assert_eq!(sets(&decision), [(ERP, want.clone()), (A, want)]);
}

#[test]
fn a_change_on_top_of_ours_is_the_newest_whenever_it_was_seen() {
    for policy in [Policy::Ask, Policy::Newest] {
        let decision = decide_on(
            vec![in_step("Coffee", "6.90")],
            vec![staged(B, &coffee(B, "Kaffe", "6.90"))],
            &texts(policy, &[]),
        );
        assert_eq!(questions(&decision), (vec![], 0));
        let want = vec!["title=Kaffe".to_owned()];
        assert_eq!(sets(&decision), [(ERP, want.clone()), (A, want)]);
    }
}

#[test]
fn a_change_of_what_our_own_create_made_is_on_top_of_ours_though_its_answer_was_lost() {
    for policy in [Policy::Ask, Policy::Newest] {
        let mut known = in_step("Coffee", "6.90");
        let create = What::Create {
            set: coffee(A, "Coffee", "6.90").fields(),
        };
        let at = AtShop {
            open: vec![open(create, None)],
            ..AtShop::default()
        };
        known.shops.insert(A, at);
        let decision = decide_on(
            vec![known],
            vec![staged(A, &coffee(A, "Kahvi", "6.90"))],
            &texts(policy, &[]),
        );
        assert_eq!(questions(&decision), (vec![], 0), "{policy:?}");
        let want = vec!["title=Kahvi".to_owned()];
        assert_eq!(sets(&decision), [(ERP, want.clone()), (B, want)]);
    }
}

#[test]
fn changes_that_are_seen_together_go_by_the_rank_of_the_shops_and_the_other_is_said() {
    let both = || {
        vec![
            staged(A, &coffee(A, "Kahvi", "6.90")),
            staged(B, &coffee(B, "Kaffe", "6.90")),
        ]
    };
    let looked = [(A, 5), (B, 5)];
    let known = || vec![in_step("Coffee", "6.90")];
    let asked = decide_after(&looked, known(), both(), &texts(Policy::Newest, &[]));
    assert_eq!(questions(&asked), (vec![], 1));
    let ranked = decide_after(&looked, known(), both(), &texts(Policy::Newest, &[B, A]));
    assert_eq!(questions(&ranked), (vec![], 0));
    let want = vec!["title=Kaffe".to_owned()];
    assert_eq!(sets(&ranked), [(ERP, want.clone()), (A, want)]);
    let merged = ranked.bodies.iter().find_map(|body| match body {
        Body::Merged(merged) => Some(merged),
        _ => None,
    });
    let overruled = &merged.unwrap().overruled;
    assert_eq!(overruled.len(), 1);
    assert_eq!(overruled[0].theirs, Value::text("Kahvi"));
}

#[test]
fn a_person_s_question_is_answered_by_a_later_change_where_the_newest_counts() {
    let mut known = asked_about_the_title("Kahvi", "Kaffe");
    known.conflicts[0].at = now() - 10.minutes();
    let decision = decide_after(
        &[(A, 5), (B, 5)],
        vec![known],
        vec![staged(B, &coffee(B, "Espresso", "6.90"))],
        &texts(Policy::Newest, &[]),
    );
    assert_eq!(questions(&decision), (vec![ConflictId(5)], 0));
    let want = vec!["title=Espresso".to_owned()];
    assert_eq!(sets(&decision), [(ERP, want.clone()), (A, want)]);
}

#[test]
fn a_shop_that_is_met_for_the_first_time_does_not_speak_over_the_others() {
    let mut known = in_step("Coffee", "6.90");
    known.shops.remove(&B);
    let meets = |policy, rank: &[ShopId]| {
        decide_after(
            &[(A, 5)],
            vec![known.clone()],
            vec![staged(B, &coffee(B, "Kaffe", "6.90"))],
            &texts(policy, rank),
        )
    };
    for policy in [Policy::Ask, Policy::Newest] {
        assert_eq!(questions(&meets(policy, &[])), (vec![], 1), "{policy:?}");
    }
    let ranked = meets(Policy::Newest, &[ERP]);
    assert_eq!(sets(&ranked), [(B, vec!["title=Coffee".to_owned()])]);
}

#[test]
fn the_first_that_is_not_empty_goes_by_rank() {
    let decision = decide_on(
        vec![in_step("", "6.90")],
        vec![
            staged(A, &coffee(A, "Kahvi", "6.90")),
            staged(B, &coffee(B, "Kaffe", "6.90")),
        ],
        &texts(Policy::FirstNotEmpty, &[B]),
    );
    let want = vec!["title=Kaffe".to_owned()];
    assert_eq!(sets(&decision), [(ERP, want.clone()), (A, want)]);
}

fn transformed(shop: ShopId, transform: Transform) -> Rules {
    let mut rules = our_rules();
    rules.shops.get_mut(&shop).unwrap().link.transform = transform;
    rules
}

fn in_crowns() -> Transform {
    Transform {
        prices: vec![PriceRule {
            from: "EUR".into(),
            to: "SEK".into(),
            factor: Decimal::new(115, 1),
            tax: Tax::Added(Decimal::from(25)),
            round: Some(Rounding {
                step: Decimal::ONE,
                way: Way::Up,
                less: Decimal::ZERO,
            }),
        }],
        ..Transform::default()
    }
}

/// B sells in crowns, by rule.
fn rules_with_crowns() -> Rules {
    let mut rules = transformed(B, in_crowns());
    rules.shops.get_mut(&B).unwrap().identity.currency = "SEK".into();
    rules
}

#[test]
fn a_shop_is_given_prices_by_its_rule_and_comes_to_rest() {
    let rules = rules_with_crowns();
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(ERP, &coffee(ERP, "Coffee", "7.20"))],
        &rules,
    );
    let crowns = "variant/KH-100/price/SEK=104".to_owned();
    let euros = format!("{PRICE}=7.2");
    assert_eq!(sets(&decision), [(A, vec![euros]), (B, vec![crowns])]);
    let last = decision.lines.last().unwrap();
    assert_eq!(
        last.why,
        "owner: ERP, from EUR, × 11.5, 25 % tax added, rounded up to 1"
    );
    // B answered with what it was given.
    let mut known = in_step("Coffee", "7.20");
    let mut at_b = coffee(B, "Coffee", "104");
    at_b.variants[0].prices = [("SEK".into(), Decimal::from(104))].into();
    known.shops.insert(B, shadow(&at_b));
    let again = decide_on(vec![known.clone()], vec![staged(B, &at_b)], &rules);
    assert!(sets(&again).is_empty());
    // Somebody changes it there: the owner's word counts, by the rule.
    at_b.variants[0].prices = [("SEK".into(), Decimal::from(99))].into();
    let edited = decide_on(vec![known], vec![staged(B, &at_b)], &rules);
    let crowns = "variant/KH-100/price/SEK=104".to_owned();
    assert_eq!(sets(&edited), [(B, vec![crowns])]);
}

#[test]
fn a_shop_gets_the_texts_of_its_language_where_they_are_there() {
    let rules = transformed(
        A,
        Transform {
            language: Some("fi".into()),
            ..Transform::default()
        },
    );
    let mut known = in_step("Coffee", "6.90");
    let title = Path::new(&Field::Text {
        language: "fi".into(),
        name: "title".into(),
    });
    let others = [ERP, B].map(|shop| known.shops.get_mut(&shop).unwrap().held.clone());
    for (shop, mut held) in [ERP, B].into_iter().zip(others) {
        held.insert(title.clone(), Value::text("Kahvi"));
        known.shops.get_mut(&shop).unwrap().held = held;
    }
    known.ours.insert(title.clone(), Value::text("Kahvi"));
    let decision = decide_on(vec![known], vec![], &rules);
    let want = vec![format!("{title}=Kahvi"), "title=Kahvi".to_owned()];
    assert_eq!(sets(&decision), [(A, want)]);
}

#[test]
fn what_a_shop_keeps_of_its_own_is_given_once_and_neither_written_nor_heard_after() {
    let keeps = |groups: &[FieldGroup]| {
        transformed(
            B,
            Transform {
                keeps: groups.iter().copied().collect(),
                ..Transform::default()
            },
        )
    };
    let prices = keeps(&[FieldGroup::Prices]);
    let dearer = || staged(ERP, &coffee(ERP, "Coffee", "7.20"));
    let want = vec![format!("{PRICE}=7.2")];
    let written = decide_on(vec![in_step("Coffee", "6.90")], vec![dearer()], &prices);
    assert_eq!(sets(&written), [(A, want)]);
    let made = decide_on(vec![], vec![dearer()], &prices);
    let at_b = sets(&made).into_iter().find(|(shop, _)| *shop == B);
    assert!(at_b.unwrap().1.contains(&format!("{PRICE}=7.2")));
    let heard = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(B, &coffee(B, "Coffee", "9.90"))],
        &prices,
    );
    assert!(sets(&heard).is_empty());
    let Some(Body::Merged(merged)) = heard.bodies.first() else {
        panic!("{:?}", heard.bodies);
    };
    assert!(merged.ours.is_empty() && merged.overruled.is_empty());
    // A variant that is new there comes with its price, unless the variants are the shop's own, too.
    let mut two = coffee(ERP, "Coffee", "6.90");
    two.variants.push(Variant {
        id: "v-2".into(),
        sku: "KH-200".into(),
        prices: [("EUR".into(), Decimal::TEN)].into(),
        ..Variant::default()
    });
    for (rules, is_given) in [
        (prices, true),
        (keeps(&[FieldGroup::Prices, FieldGroup::Variants]), false),
    ] {
        let more = decide_on(
            vec![in_step("Coffee", "6.90")],
            vec![staged(ERP, &two)],
            &rules,
        );
        let at_b = sets(&more).into_iter().find(|(shop, _)| *shop == B);
        let set = at_b.map(|(_, set)| set).unwrap_or_default();
        assert_eq!(
            set.contains(&"variant/KH-200/price/EUR=10".to_owned()),
            is_given
        );
    }
}

/// The owner's own flag crosses; the customer's switch says it of all.
#[test]
fn m14_a_variant_may_be_sold_before_it_is_there_where_its_owner_says_so() {
    let flagged = |flag: bool| {
        let mut product = coffee(ERP, "Coffee", "18.90");
        product.variants[0].backorder = Some(flag);
        product
    };
    let path = "variant/KH-100/backorder";
    let set = |decision: &Decision| -> Vec<(ShopId, String)> {
        let sets = sets(decision).into_iter();
        sets.flat_map(|(shop, set)| set.into_iter().map(move |set| (shop, set)))
            .filter(|(_, set)| set.starts_with(path))
            .collect()
    };
    let may = format!("{path}={}", Value::Flag(true));
    let known = vec![in_step("Coffee", "18.90")];
    let decision = decide_on(known, vec![staged(ERP, &flagged(true))], &our_rules());
    assert_eq!(set(&decision), [(A, may.clone()), (B, may.clone())]);

    let mut all_may = our_rules();
    let settings = Arc::make_mut(&mut all_may.settings);
    settings.customer.product_back_order_enabled = true;
    let known = vec![in_step("Coffee", "18.90")];
    let decision = decide_on(known, vec![staged(ERP, &flagged(false))], &all_may);
    assert_eq!(set(&decision), [(A, may.clone()), (B, may)]);
}

#[test]
fn x2_what_differs_from_the_refused_is_tried_at_once() {
    let refused = |price: i64| {
        let what = What::Set {
            set: price_set(price),
        };
        let mut known = in_step("Coffee", "6.90");
        let at = known.shops.get_mut(&A).unwrap();
        at.aside_until = Some(Timestamp::MAX);
        at.refused = [crate::write::of_what(&what)].into();
        at.tries = 4;
        known
    };
    let decide = |known| {
        let read = vec![staged(ERP, &coffee(ERP, "Coffee", "7.20"))];
        decide_on(vec![known], read, &our_rules())
    };
    let to_a = |decision: &Decision| {
        let writes = decision.writes.iter();
        let mut tries = writes
            .filter(|write| write.shop == A)
            .map(|write| write.tries);
        tries.next()
    };
    assert_eq!(
        to_a(&decide(refused(720))),
        None,
        "the same is not repeated"
    );
    assert_eq!(to_a(&decide(refused(650))), Some(0), "a later price is");
}

#[test]
fn x3_a_record_is_judged_by_when_its_reading_left_not_by_when_it_came() {
    let lost = || {
        let mut known = in_step("Coffee", "6.90");
        let look_at = now().checked_sub(10.seconds()).unwrap();
        let set = price_set(650);
        let at = known.shops.get_mut(&A).unwrap();
        at.open.push(open(What::Set { set }, Some(look_at)));
        known
    };
    let decide = |seconds_ago: i64| {
        let mut read = staged(A, &coffee(A, "Coffee", "6.90"));
        read.left_at = now().checked_sub(seconds_ago.seconds()).unwrap();
        decide_on(vec![lost()], vec![read], &our_rules())
    };
    let settles = |decision: &Decision| {
        let mut bodies = decision.bodies.iter();
        bodies.any(|body| matches!(body, Body::Settled { .. }))
    };
    assert!(
        !settles(&decide(11)),
        "it left before the write could be told of"
    );
    assert!(settles(&decide(10)));
}
