//! An item is itself whatever it is called (A1).

use super::Decision;
use super::tests::{coffee, decide_on, gone, in_step, our_rules, shadow, staged};
use crate::fixture::{A, B, ERP};
use lockstep_model::cases::{Doubt, Known, Staged, StagedBody};
use lockstep_model::entry::{Body, MatchAnswer, What};
use lockstep_model::{
    Change, Fields, ItemId, Path, Product, RecordId, ShopId, Value, Variant, sku_of,
};

const GTIN: &str = "6417700050008";

/// As a connector reads it, under our own name of its one variant.
fn called(shop: ShopId, item: &str, sku: &str) -> Product {
    let mut product = coffee(shop, "Coffee", "6.90");
    product.variants[0].item = item.into();
    product.variants[0].sku = sku.into();
    product
}

fn reads(product: &Product, shop: ShopId) -> Staged {
    Staged {
        keys: product.variants.iter().map(|v| v.sku.0.clone()).collect(),
        ..staged(shop, product)
    }
}

/// One of ours with an id of its own in each shop.
fn record(number: u64, item: &str, sku: &str) -> Known {
    let there = |shop| {
        let mut product = called(shop, item, sku);
        product.id = format!("p{shop}-{number}").into();
        product.variants[0].id = format!("v{shop}-{number}").into();
        product
    };
    Known {
        record: RecordId(number),
        keys: vec![sku.into()],
        ours: there(ERP).fields(),
        shops: [ERP, A, B].map(|shop| (shop, shadow(&there(shop)))).into(),
        ..in_step("Coffee", "6.90")
    }
}

fn read_of(known: &Known, shop: ShopId, sku: &str) -> Staged {
    let at = &known.shops[&shop];
    let mut product = Product::from_fields(at.id.clone().unwrap(), &at.held, &at.parts);
    product.variants[0].sku = sku.into();
    Staged {
        id: product.id.clone(),
        linked: Some(known.record),
        ..reads(&product, shop)
    }
}

fn sets(decision: &Decision) -> Vec<(ShopId, Fields)> {
    let writes = decision.writes.iter();
    writes
        .map(|write| match &write.what {
            What::Set { set } | What::Create { set } => (write.shop, set.clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn sku_set(item: &str, sku: &str) -> Fields {
    [(Path::sku(&item.into()), Value::text(sku))].into()
}

fn questions(decision: &Decision) -> usize {
    let bodies = decision.bodies.iter();
    bodies
        .filter(|body| matches!(body, Body::ConflictOpened { .. }))
        .count()
}

#[test]
fn a1_a_sku_that_is_renamed_in_its_owner_reaches_the_others_as_a_rename() {
    let known = record(7, "KH-100", "KH-100");
    let row = read_of(&known, ERP, "KH-200");
    let decision = decide_on(vec![known], vec![row], &our_rules());
    let set = sku_set("KH-100", "KH-200");
    assert_eq!(sets(&decision), [(A, set.clone()), (B, set)]);
    let Change::UpdateProduct { product, parts, .. } = &decision.writes[0].change else {
        panic!("{:?}", decision.writes[0].change);
    };
    let [variant] = product.variants.as_slice() else {
        panic!("no variant comes and none goes: {:?}", product.variants);
    };
    assert_eq!(
        (variant.sku.as_str(), variant.id.as_str()),
        ("KH-200", "v2-7")
    );
    assert_eq!(parts.variants.len(), 1);
}

#[test]
fn a1_what_another_shop_renames_is_called_again_as_its_owner_does() {
    let known = record(7, "KH-100", "KH-100");
    let row = read_of(&known, A, "OUT-1");
    let decision = decide_on(vec![known], vec![row], &our_rules());
    assert_eq!(sets(&decision), [(A, sku_set("KH-100", "KH-100"))]);
}

#[test]
fn a1_two_items_that_swap_their_skus_in_one_page_stay_what_they_are() {
    let (one, other) = (record(7, "A", "A"), record(8, "B", "B"));
    let rows = vec![read_of(&one, ERP, "B"), read_of(&other, ERP, "A")];
    let decision = decide_on(vec![one, other], rows, &our_rules());
    assert_eq!(questions(&decision), 0);
    let written: Vec<_> = sets(&decision)
        .into_iter()
        .filter(|(at, _)| *at == A)
        .collect();
    assert_eq!(written, [(A, sku_set("A", "B")), (A, sku_set("B", "A"))]);
}

#[test]
fn a1_what_was_made_again_is_the_item_that_it_was() {
    let known = record(7, "KH-100", "KH-100");
    let mut again = called(ERP, "KH-100", "KH-100");
    again.id = "p-new".into();
    again.variants[0].id = "v-new".into();
    let went = Staged {
        id: known.shops[&ERP].id.clone().unwrap(),
        linked: Some(known.record),
        keys: Vec::new(),
        ..gone(ERP)
    };
    let decision = decide_on(vec![known], vec![went, reads(&again, ERP)], &our_rules());
    assert!(decision.writes.is_empty(), "{:?}", decision.writes);
}

/// A person has said which of ours it is, and it bears another SKU there.
fn linked_by_gtin() -> (Known, Staged) {
    let mut known = record(7, "KH-100", "KH-100");
    known.shops.remove(&B);
    let gtin = |variant: &mut Variant| variant.gtin = Some(GTIN.into());
    for shop in [ERP, A] {
        let at = known.shops.get_mut(&shop).unwrap();
        let mut product = Product::from_fields(at.id.clone().unwrap(), &at.held, &at.parts);
        gtin(&mut product.variants[0]);
        *at = shadow(&product);
        known.ours = product.fields();
    }
    let mut there = called(B, "OUT-1", "OUT-1");
    gtin(&mut there.variants[0]);
    let row = Staged {
        doubt: Some(Doubt {
            candidates: [known.record].into(),
            by_sku: false,
            answer: Some(MatchAnswer::Is {
                record: known.record,
            }),
        }),
        ..reads(&there, B)
    };
    (known, row)
}

#[test]
fn a1_one_item_has_another_sku_in_a_shop_of_which_a_person_said_that_it_is_that() {
    let (known, row) = linked_by_gtin();
    let decision = decide_on(vec![known], vec![row], &our_rules());
    assert!(decision.writes.is_empty(), "{:?}", decision.writes);
    let seen = decision.bodies.iter().find_map(|body| match body {
        Body::Merged(merged) => merged.seen.get(&B),
        _ => None,
    });
    let parts = seen.unwrap().parts.as_ref().unwrap();
    assert_eq!(parts.variants, [("KH-100".into(), "v3".into())].into());
    assert_eq!(parts.own_skus, [ItemId::from("KH-100")].into());
}

#[test]
fn a1_a_sku_that_is_a_shop_s_own_is_not_renamed_with_the_others() {
    let (mut known, row) = linked_by_gtin();
    let StagedBody::Fields { fields, mut parts } = row.body else {
        unreachable!()
    };
    let mut there = Product::from_fields("p3".into(), &fields, &parts);
    there.variants[0].item = "KH-100".into();
    parts.variants = [("KH-100".into(), "v3".into())].into();
    parts.own_skus = [ItemId::from("KH-100")].into();
    let mut at = shadow(&there);
    at.parts = parts;
    known.shops.insert(B, at);
    let row = read_of(&known, ERP, "KH-200");
    let decision = decide_on(vec![known], vec![row], &our_rules());
    assert_eq!(sets(&decision), [(A, sku_set("KH-100", "KH-200"))]);
}

#[test]
fn a1_an_item_without_a_sku_is_made_without_one_and_takes_none_away() {
    let mut known = record(7, "#1/v1", "");
    known.shops.remove(&B);
    let at = known.shops.get_mut(&A).unwrap();
    at.held
        .insert(Path::sku(&"#1/v1".into()), Value::text("OWN"));
    let row = read_of(&known, ERP, "");
    let decision = decide_on(vec![known], vec![row], &our_rules());
    let made = sets(&decision);
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0].0, B);
    assert_eq!(sku_of(&made[0].1, &"#1/v1".into()), None);
}
