//! First meetings and what must not be guessed.

use super::tests::{coffee, decide_on, deciding, gone, in_step, now, our_rules, sets, staged};
use super::{Decision, Ids, Terms, decide};
use crate::fixture::{A, B, ERP};
use lockstep_model::cases::{Cluster, Doubt, Known, OpenConflict, Staged, StagedBody};
use lockstep_model::entry::{Body, Conflict, MatchAnswer};
use lockstep_model::{ConflictId, Product, RecordId, ShopId, Variant};

const GTIN: &str = "6417700050008";

/// A product with these SKUs, each at the same price.
fn product(shop: ShopId, id: &str, title: &str, skus: &[&str]) -> Product {
    Product {
        id: id.into(),
        variants: skus
            .iter()
            .map(|sku| Variant {
                id: format!("v-{sku}").into(),
                sku: (*sku).into(),
                ..coffee(shop, title, "6.90").variants.remove(0)
            })
            .collect(),
        ..coffee(shop, title, "6.90")
    }
}

fn reads(shop: ShopId, product: &Product) -> Staged {
    Staged {
        id: product.id.clone(),
        keys: product
            .variants
            .iter()
            .map(|variant| variant.sku.0.clone())
            .collect(),
        ..staged(shop, product)
    }
}

/// One of ours that only the ERP has.
fn only_in_erp(record: u64, sku: &str) -> Known {
    let shown = product(ERP, &format!("erp-{sku}"), sku, &[sku]);
    let mut known = in_step("", "6.90");
    known.record = RecordId(record);
    known.keys = vec![sku.into()];
    known.ours = shown.fields();
    let mut at_erp = known.shops.remove(&ERP).unwrap();
    at_erp.id = Some(shown.id.clone());
    at_erp.parts = shown.parts();
    at_erp.held = shown.fields();
    known.shops = [(ERP, at_erp)].into();
    known
}

fn doubted(answer: Option<MatchAnswer>, by_sku: bool) -> Option<Doubt> {
    Some(Doubt {
        candidates: [RecordId(7), RecordId(8)].into(),
        by_sku,
        answer,
    })
}

fn questions(decision: &Decision) -> Vec<(ShopId, Vec<RecordId>, Option<String>)> {
    let bodies = decision.bodies.iter();
    bodies
        .filter_map(|body| match body {
            Body::ConflictOpened {
                about:
                    Conflict::DoubtfulMatch {
                        shop,
                        candidates,
                        gtin,
                        ..
                    },
                ..
            } => Some((*shop, candidates.clone(), gtin.clone())),
            _ => None,
        })
        .collect()
}

fn made_at(decision: &Decision) -> Vec<ShopId> {
    sets(decision).into_iter().map(|(shop, _)| shop).collect()
}

fn linked(decision: &Decision) -> Vec<(RecordId, ShopId)> {
    let bodies = decision.bodies.iter();
    bodies
        .filter_map(|body| match body {
            Body::Merged(merged) => Some(merged),
            _ => None,
        })
        .flat_map(|merged| merged.seen.keys().map(|shop| (merged.record, *shop)))
        .collect()
}

#[test]
fn a_product_that_could_be_two_of_ours_is_asked_about_and_holds_up_only_its_own_shop() {
    let both = product(A, "p-a", "Two in one", &["KH-1", "KH-2"]);
    let decision = decide_on(
        vec![only_in_erp(7, "KH-1"), only_in_erp(8, "KH-2")],
        vec![reads(A, &both)],
        &our_rules(),
    );
    let candidates = vec![RecordId(7), RecordId(8)];
    assert_eq!(questions(&decision), [(A, candidates.clone(), None)]);
    assert!(decision.bodies.iter().any(|body| matches!(body,
        Body::MatchDoubted { candidates: of, by_sku: true, .. } if *of == candidates)));
    assert_eq!(made_at(&decision), [B, B], "made where nothing is in doubt");
}

#[test]
fn while_the_question_is_open_none_of_them_is_made_in_that_shop_and_it_is_not_asked_again() {
    let mut first = only_in_erp(7, "KH-1");
    first.withheld.insert((A, "p-a".into()));
    let decision = decide_on(vec![first.clone()], vec![], &our_rules());
    assert_eq!(made_at(&decision), [B]);
    let mut second = only_in_erp(8, "KH-2");
    second.withheld.insert((A, "p-a".into()));
    let row = Staged {
        doubt: doubted(None, true),
        ..reads(A, &product(A, "p-a", "Moved", &["KH-1", "KH-2"]))
    };
    let decision = decide_on(vec![first, second], vec![row], &our_rules());
    assert_eq!(questions(&decision), []);
    assert_eq!(made_at(&decision), [B, B]);
}

#[test]
fn a_person_s_word_links_it_and_keeps_the_other_away() {
    let row = Staged {
        doubt: doubted(
            Some(MatchAnswer::Is {
                record: RecordId(8),
            }),
            true,
        ),
        ..reads(A, &product(A, "p-a", "KH-2", &["KH-1", "KH-2"]))
    };
    let mut other = only_in_erp(7, "KH-1");
    other.withheld.insert((A, "p-a".into()));
    let decision = decide_on(vec![other, only_in_erp(8, "KH-2")], vec![row], &our_rules());
    assert_eq!(linked(&decision), [(RecordId(8), A)]);
    assert_eq!(made_at(&decision), [B, B]);
    let keys = decision.bodies.iter().find_map(|body| match body {
        Body::Merged(merged) if merged.record == RecordId(8) => Some(merged.keys.clone()),
        _ => None,
    });
    assert_eq!(keys.unwrap(), ["KH-2"], "the other's SKU stays the other's");
}

#[test]
fn what_is_none_of_ours_but_bears_our_sku_is_left_alone() {
    let row = Staged {
        doubt: doubted(Some(MatchAnswer::NoneOfOurs), true),
        ..reads(A, &product(A, "p-a", "Another", &["KH-1"]))
    };
    let mut first = only_in_erp(7, "KH-1");
    first.withheld.insert((A, "p-a".into()));
    let decision = decide_on(vec![first], vec![row], &our_rules());
    assert_eq!(linked(&decision), []);
    assert_eq!(made_at(&decision), [B]);
    assert_eq!(decision.consumed.len(), 1);
}

#[test]
fn the_question_closes_once_the_shop_has_put_it_right_and_what_was_withheld_is_made() {
    let mut first = only_in_erp(7, "KH-1");
    first.withheld.insert((A, "p-a".into()));
    first.conflicts.push(OpenConflict {
        conflict: ConflictId(5),
        about: Conflict::DoubtfulMatch {
            shop: A,
            id: "p-a".into(),
            candidates: vec![RecordId(7), RecordId(8)],
            title: String::new(),
            skus: vec![],
            gtin: None,
        },
        at: now(),
    });
    let mut second = only_in_erp(8, "KH-2");
    second.withheld.insert((A, "p-a".into()));
    let row = Staged {
        doubt: doubted(None, true),
        ..reads(A, &product(A, "p-a", "KH-2", &["KH-2"]))
    };
    let decision = decide_on(vec![first, second], vec![row], &our_rules());
    assert!(decision.bodies.iter().any(
        |body| matches!(body, Body::ConflictClosed { conflict, .. } if *conflict == ConflictId(5))
    ));
    assert!(decision.bodies.iter().any(|body| matches!(
        body,
        Body::MatchAnswered {
            answer: MatchAnswer::Over,
            ..
        }
    )));
    assert_eq!(linked(&decision), [(RecordId(8), A)]);
    assert_eq!(made_at(&decision), [A, B, B]);
}

#[test]
fn a_shop_that_drops_what_was_in_doubt_gets_the_record() {
    let mut first = only_in_erp(7, "KH-1");
    first.withheld.insert((A, "p-a".into()));
    let row = Staged {
        doubt: doubted(None, true),
        body: StagedBody::Gone,
        keys: vec![],
        ..reads(A, &product(A, "p-a", "", &[]))
    };
    let decision = decide_on(vec![first], vec![row], &our_rules());
    assert_eq!(made_at(&decision), [A, B]);
}

fn with_gtin(mut product: Product) -> Product {
    product.variants[0].gtin = Some(GTIN.into());
    product
}

#[test]
fn the_same_gtin_under_another_sku_is_asked_about_and_nothing_is_doubled() {
    let shown = with_gtin(product(ERP, "erp", "Coffee", &["KH-1"]));
    let theirs = with_gtin(product(A, "p-a", "Kaffe", &["OTHER-1"]));
    // Both catalogues meet in one run: none of them is ours yet.
    let decision = decide_on(
        vec![],
        vec![reads(A, &theirs), reads(ERP, &shown)],
        &our_rules(),
    );
    let asked = questions(&decision);
    assert_eq!(asked, [(A, vec![RecordId(8)], Some(GTIN.to_owned()))]);
    assert_eq!(linked(&decision), [(RecordId(8), ERP)]);
    assert_eq!(made_at(&decision), [B], "it may be there under another SKU");
}

#[test]
fn another_thing_with_the_same_gtin_is_a_record_of_its_own_and_ours_is_made_beside_it() {
    let mut ours = only_in_erp(7, "KH-1");
    ours.ours = with_gtin(product(ERP, "erp-KH-1", "KH-1", &["KH-1"])).fields();
    ours.shops.get_mut(&ERP).unwrap().held = ours.ours.clone();
    let theirs = with_gtin(product(A, "p-a", "Kaffe", &["OTHER-1"]));
    let row = Staged {
        doubt: doubted(Some(MatchAnswer::NoneOfOurs), false),
        ..reads(A, &theirs)
    };
    let decision = decide_on(vec![ours], vec![row], &our_rules());
    assert_eq!(questions(&decision), []);
    assert_eq!(linked(&decision), [(RecordId(8), A)]);
    assert_eq!(made_at(&decision), [A, B]);
}

#[test]
fn a_number_that_is_no_gtin_asks_nobody_anything() {
    let mut shown = product(ERP, "erp", "Coffee", &["KH-1"]);
    let mut theirs = product(A, "p-a", "Kaffe", &["OTHER-1"]);
    for product in [&mut shown, &mut theirs] {
        product.variants[0].gtin = Some("0000000000000".into());
    }
    let decision = decide_on(
        vec![],
        vec![reads(A, &theirs), reads(ERP, &shown)],
        &our_rules(),
    );
    assert_eq!(questions(&decision), []);
}

#[test]
fn two_of_one_shop_that_are_one_of_ours_stand_aside_and_a_third_is_not_made() {
    let ours = {
        let mut ours = only_in_erp(7, "KH-1");
        ours.keys = vec!["KH-1".into(), "KH-2".into()];
        ours
    };
    let rows = vec![
        reads(A, &product(A, "p-1", "One", &["KH-1"])),
        reads(A, &product(A, "p-2", "Two", &["KH-2"])),
    ];
    let decision = decide_on(vec![ours], rows, &our_rules());
    let asides = decision
        .bodies
        .iter()
        .filter(|body| matches!(body, Body::Aside { .. }));
    assert_eq!(asides.count(), 2);
    assert_eq!(made_at(&decision), [B]);
}

#[test]
fn the_same_first_meeting_decides_the_same_whatever_the_order_of_the_rows() {
    let rows = || {
        vec![
            reads(A, &product(A, "p-a", "Two", &["KH-1", "KH-2"])),
            reads(ERP, &product(ERP, "e-1", "One", &["KH-1"])),
            reads(ERP, &product(ERP, "e-2", "Two", &["KH-2"])),
            reads(B, &product(B, "p-b", "One", &["KH-1"])),
        ]
    };
    let decided = |staged: Vec<Staged>| {
        let cluster = Cluster {
            key: "KH-1".into(),
            known: vec![],
            staged,
        };
        let mut ids = Ids {
            record: &mut 8,
            conflict: &mut 1,
        };
        let rules = our_rules();
        let terms = Terms::new(Default::default(), &rules.settings);
        let looked = Default::default();
        decide(&cluster, &rules, &terms, &deciding(&looked), &mut ids)
    };
    let straight = decided(rows());
    assert_eq!(
        questions(&straight),
        [(A, vec![RecordId(8), RecordId(9)], None)]
    );
    let mut turned = rows();
    turned.reverse();
    let turned = decided(turned);
    assert_eq!(questions(&turned).len(), 1);
    let made = |decision: &Decision| {
        let mut made = made_at(decision);
        made.sort();
        made
    };
    assert_eq!(made(&turned), made(&straight));
}

/// The ERP's KH-100 under another id, with another price.
fn made_again() -> Product {
    Product {
        id: "p-new".into(),
        ..coffee(ERP, "Coffee", "7.20")
    }
}

fn is_aside(body: &Body) -> bool {
    matches!(body, Body::Aside { .. })
}

#[test]
fn c8_what_was_deleted_and_made_again_between_two_readings_is_the_same_record() {
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![gone(ERP), staged(ERP, &made_again())],
        &our_rules(),
    );
    let want = vec!["variant/KH-100/price/EUR=7.2".to_owned()];
    assert_eq!(
        sets(&decision),
        [(A, want.clone()), (B, want)],
        "archived nowhere"
    );
    let Some(Body::Merged(merged)) = decision.bodies.first() else {
        panic!("{:?}", decision.bodies);
    };
    let seen = &merged.seen[&ERP];
    assert_eq!((seen.id.as_str(), seen.gone), ("p-new", false));
    assert!(seen.anew, "whole, since nothing is known of it");
    assert_eq!(seen.held.set, made_again().fields());
    assert!(!decision.bodies.iter().any(is_aside));
    assert_eq!(decision.consumed.len(), 2);
    // In a shop that is given its products, too.
    let again = Product {
        id: "p-new".into(),
        ..coffee(A, "Coffee", "6.90")
    };
    let decision = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![gone(A), staged(A, &again)],
        &our_rules(),
    );
    assert!(decision.writes.is_empty());
    assert_eq!(linked(&decision), [(RecordId(7), A)]);
}

#[test]
fn c8_a_tombstone_of_what_was_replaced_says_nothing() {
    let mut known = in_step("Coffee", "6.90");
    known.shops.get_mut(&ERP).unwrap().id = Some("p-new".into());
    let mut late = gone(ERP);
    late.linked = Some(RecordId(7));
    let decision = decide_on(vec![known], vec![late], &our_rules());
    assert!(decision.writes.is_empty(), "{:?}", decision.writes);
    assert!(linked(&decision).is_empty());
}

#[test]
fn c8_nothing_is_archived_while_what_was_made_again_is_in_doubt() {
    // The new one was read while the old one was still believed to be there.
    let early = decide_on(
        vec![in_step("Coffee", "6.90")],
        vec![staged(ERP, &made_again())],
        &our_rules(),
    );
    assert!(early.writes.is_empty() && early.bodies.iter().any(is_aside));
    let mut known = in_step("Coffee", "6.90");
    known.withheld = [(ERP, "p-new".into())].into();
    known.in_doubt = known.withheld.clone();
    let decision = decide_on(vec![known.clone()], vec![gone(ERP)], &our_rules());
    assert!(decision.writes.is_empty(), "{:?}", decision.writes);
    // Somebody has said that it is another.
    known.in_doubt.clear();
    let decision = decide_on(vec![known], vec![gone(ERP)], &our_rules());
    assert_eq!(sets(&decision).len(), 2, "archived");
}

#[test]
fn c13_a_shop_that_joins_with_other_variants_does_not_rename_the_record() {
    let mut known = in_step("Coffee", "6.90");
    let ours = product(ERP, "p1", "Coffee", &["P-2-L", "P-2-XL"]);
    known.keys = vec!["P-2-L".into(), "P-2-XL".into()];
    known.ours = ours.fields();
    let at = known.shops.get_mut(&ERP).unwrap();
    (at.parts, at.held) = (ours.parts(), ours.fields());
    known.shops.retain(|shop, _| *shop == ERP);
    let joins = product(A, "p-a", "Kahvi", &["OUT-XL", "P-2-L"]);
    let decision = decide_on(vec![known], vec![reads(A, &joins)], &our_rules());
    let Some(Body::Merged(merged)) = decision.bodies.first() else {
        panic!("{:?}", decision.bodies);
    };
    assert_eq!(merged.keys, ["P-2-L", "P-2-XL", "OUT-XL"]);
    let labels = decision.writes.iter().map(|write| write.label.as_str());
    assert_eq!(labels.collect::<Vec<_>>(), ["P-2-L Coffee"; 2]);
}

#[test]
fn c13_the_name_of_a_record_moves_only_with_its_owner() {
    let renamed = |keys: &[&str], shown: &[&str]| {
        let mut known = in_step("Coffee", "6.90");
        known.keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let shown = product(ERP, "p1", "Coffee", shown);
        let decision = decide_on(vec![known], vec![reads(ERP, &shown)], &our_rules());
        let Some(Body::Merged(merged)) = decision.bodies.first().cloned() else {
            panic!("{:?}", decision.bodies);
        };
        merged.keys[0].clone()
    };
    assert_eq!(renamed(&["Z", "KH-100"], &["A", "KH-100", "Z"]), "Z");
    assert_eq!(renamed(&["Z", "KH-100"], &["A", "KH-100"]), "A");
}
