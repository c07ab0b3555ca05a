//! Products in categories that have no link yet, and in categories that are a shop's own.

use super::tests::{coffee, deciding, in_step, our_rules, sets, shadow, staged};
use super::{Decision, Ids, Terms, decide};
use crate::fixture::{A, B, ERP};
use lockstep_model::cases::{Categories, Cluster, Known, Staged};
use lockstep_model::entry::{Awaited, Body, Merged};
use lockstep_model::{Product, RecordId, ShopId};

/// Links of categories of ours: shop, its id, ours.
type Links<'a> = &'a [(ShopId, &'a str, u64)];

fn decide_with(known: Known, staged: Vec<Staged>, links: Links<'_>, gone: Links<'_>) -> Decision {
    let rules = our_rules();
    let mut categories = Categories::default();
    for (of, all) in [(&mut categories.links, links), (&mut categories.gone, gone)] {
        for (shop, theirs, ours) in all {
            of.entry(*shop)
                .or_default()
                .insert((*theirs).into(), RecordId(*ours));
        }
    }
    let cluster = Cluster {
        key: "KH-100".into(),
        known: vec![known],
        staged,
    };
    let mut ids = Ids {
        record: &mut 8,
        conflict: &mut 1,
    };
    decide(
        &cluster,
        &rules,
        &Terms::new(categories, &rules.settings),
        &deciding(&Default::default()),
        &mut ids,
    )
}

fn in_categories(shop: ShopId, title: &str, categories: &[&str]) -> Product {
    Product {
        categories: Some(categories.iter().map(|id| (*id).into()).collect()),
        ..coffee(shop, title, "6.90")
    }
}

/// In the ERP it is in these, by our ids in these; in A and B it is in those.
fn known_in(erp: &[&str], ours: &[&str], others: &[&str]) -> Known {
    let mut known = in_step("Coffee", "6.90");
    known.ours = in_categories(ERP, "Coffee", ours).fields();
    known.shops = [(ERP, erp), (A, others), (B, others)]
        .map(|(shop, held)| (shop, shadow(&in_categories(shop, "Coffee", held))))
        .into();
    known
}

fn merged(decision: &Decision) -> &Merged {
    let mut bodies = decision.bodies.iter();
    let merged = bodies.find_map(|body| match body {
        Body::Merged(merged) => Some(merged),
        _ => None,
    });
    merged.expect("it was merged")
}

#[test]
fn c10_a_membership_waits_for_the_link_of_its_category_in_the_source_and_in_each_shop() {
    // The ERP's c1 is not known yet.
    let read = staged(ERP, &in_categories(ERP, "Coffee", &["c1"]));
    let early = decide_with(known_in(&[], &[], &[]), vec![read], &[], &[]);
    let theirs = Awaited::Theirs {
        shop: ERP,
        id: "c1".into(),
    };
    assert_eq!(merged(&early).awaits, [theirs].into());
    // It is ours, and A has it; B does not have it yet.
    let links = [(ERP, "c1", 40), (A, "a1", 40)];
    let mut known = known_in(&["c1"], &[], &[]);
    known.awaits = merged(&early).awaits.clone();
    let later = decide_with(known, vec![], &links, &[]);
    assert_eq!(sets(&later), [(A, vec!["categories=a1".to_owned()])]);
    let ours = Awaited::Ours {
        shop: B,
        record: RecordId(40),
    };
    assert_eq!(merged(&later).awaits, [ours.clone()].into());
    // Nothing is said twice.
    let mut known = known_in(&["c1"], &["40"], &["a1"]);
    known.awaits = [ours].into();
    known
        .shops
        .insert(B, shadow(&in_categories(B, "Coffee", &[])));
    let dearer = staged(ERP, &in_categories(ERP, "Espresso", &["c1"]));
    let again = decide_with(known, vec![dearer], &links, &[]);
    assert_eq!(merged(&again).awaits.len(), 1);
}

#[test]
fn c10_a_product_that_is_made_before_its_category_waits_for_it() {
    let mut known = known_in(&["c1"], &["40"], &["a1"]);
    known.shops.remove(&B);
    let title = staged(ERP, &in_categories(ERP, "Espresso", &["c1"]));
    let decision = decide_with(known, vec![title], &[(ERP, "c1", 40), (A, "a1", 40)], &[]);
    let ours = Awaited::Ours {
        shop: B,
        record: RecordId(40),
    };
    assert_eq!(merged(&decision).awaits, [ours].into());
}

#[test]
fn c10_a_category_that_the_shop_once_had_is_waited_for_by_nobody() {
    let read = staged(ERP, &in_categories(ERP, "Coffee", &["c1"]));
    let decision = decide_with(known_in(&[], &[], &[]), vec![read], &[], &[(ERP, "c1", 40)]);
    assert!(merged(&decision).awaits.is_empty());
}

#[test]
fn c10_a_shop_s_own_category_stays_when_another_field_or_another_category_is_written() {
    // 55 is A's own; 40 is in all three, and 41 in the ERP and A.
    let links = [
        (ERP, "c1", 40),
        (ERP, "c2", 41),
        (A, "a1", 40),
        (A, "a2", 41),
        (A, "own", 55),
        (B, "b1", 40),
    ];
    let mut known = known_in(&["c1"], &["40"], &["b1"]);
    let at_a = in_categories(A, "Coffee", &["a1", "own", "unread"]);
    known.shops.insert(A, shadow(&at_a));
    let title = staged(ERP, &in_categories(ERP, "Espresso", &["c1"]));
    let decision = decide_with(known.clone(), vec![title], &links, &[]);
    let want = vec!["title=Espresso".to_owned()];
    assert_eq!(sets(&decision), [(A, want.clone()), (B, want)]);
    let other = staged(ERP, &in_categories(ERP, "Coffee", &["c2"]));
    let decision = decide_with(known.clone(), vec![other], &links, &[]);
    let at_a = sets(&decision).into_iter().find(|(shop, _)| *shop == A);
    assert_eq!(at_a.unwrap().1, ["categories=a2, own, unread"]);
    // What the owner had, and deleted, is not A's own: it goes with the membership.
    let gone = [(ERP, "c1", 40)];
    let none = staged(ERP, &in_categories(ERP, "Coffee", &[]));
    let decision = decide_with(known, vec![none], &links[1..], &gone);
    let at_a = sets(&decision).into_iter().find(|(shop, _)| *shop == A);
    assert_eq!(at_a.unwrap().1, ["categories=own, unread"]);
}
