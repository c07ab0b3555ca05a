//! Which of our items a shop speaks of (A1).

use crate::support::{ERP, WEB, append, journal, key, level, line, merged, order, product, state};
use lockstep_journal::Journal;
use lockstep_model::{ItemId, Product, Record, RemoteId, ShopId};

/// A scarf, called so from the first day, and renamed in the ERP since.
fn renamed() -> (Journal, Product) {
    let mut journal = journal();
    let scarf = product("p1", &["A"], "Scarf", 690);
    append(&mut journal, vec![merged(1, &scarf, &[ERP, WEB], &[])]);
    let mut now = scarf.clone();
    now.variants[0].item = "A".into();
    now.variants[0].sku = "B".into();
    append(&mut journal, vec![merged(1, &now, &[ERP], &[])]);
    (journal, now)
}

fn named_level(journal: &Journal, shop: ShopId, variant: Option<&str>, sku: &str) -> ItemId {
    let mut read = level(sku, 5);
    read.variant = variant.map(RemoteId::from);
    let mut record = Record::Level(read);
    journal.name_items(shop, &mut record).unwrap();
    let Record::Level(level) = record else {
        unreachable!()
    };
    level.item()
}

fn named_variants(journal: &Journal, shop: ShopId, read: Product) -> Vec<ItemId> {
    let mut record = Record::Product(read);
    journal.name_items(shop, &mut record).unwrap();
    let Record::Product(product) = record else {
        unreachable!()
    };
    product.variants.iter().map(|v| v.item()).collect()
}

#[test]
fn a1_a_variant_that_is_linked_is_its_item_whatever_it_is_called() {
    let (journal, _) = renamed();
    let mut read = product("p1", &["C"], "Scarf", 690);
    read.variants[0].id = "p1-A".into();
    assert_eq!(named_variants(&journal, WEB, read), ["A".into()]);
}

#[test]
fn a1_a_level_is_of_the_item_whose_variant_the_shop_names() {
    let (journal, _) = renamed();
    assert_eq!(named_level(&journal, ERP, Some("p1-A"), "B"), "A".into());
    // Where the shop names none, by what it is called there.
    assert_eq!(named_level(&journal, ERP, None, "B"), "A".into());
    assert_eq!(named_level(&journal, WEB, None, "A"), "A".into());
    assert_eq!(
        journal.skus_at(ERP, &["A".into()]).unwrap(),
        [RemoteId::from("B")]
    );
    assert_eq!(
        journal.skus_at(WEB, &["A".into()]).unwrap(),
        [RemoteId::from("A")]
    );
}

#[test]
fn a1_a_sku_that_is_free_again_is_another_item_s() {
    let (mut journal, renamed) = renamed();
    // Until something else bears it, it is what it was called before.
    assert_eq!(named_level(&journal, ERP, Some("p2-A"), "A"), "A".into());
    let other = product("p2", &["A"], "Shawl", 990);
    let names = named_variants(&journal, ERP, other.clone());
    assert_eq!(names, ["A~2".into()]);
    let mut named = other;
    named.variants[0].item = "A~2".into();
    append(&mut journal, vec![merged(2, &named, &[ERP], &[])]);
    assert_eq!(named_level(&journal, ERP, Some("p2-A"), "A"), "A~2".into());
    assert_eq!(named_level(&journal, ERP, Some("p1-A"), "B"), "A".into());
    assert_eq!(journal.item_called(&"A".into()).unwrap(), "A~2".into());
    assert_eq!(journal.item_called(&"B".into()).unwrap(), "A".into());
    assert_eq!(
        journal.sku_of(&renamed.variants[0].item()).unwrap(),
        "B".into()
    );
}

#[test]
fn a1_a_line_of_an_order_is_by_the_variant_then_by_the_sku_and_stays_what_it_is() {
    let (mut journal, _) = renamed();
    let mut by_variant = line("B", 1, 1);
    by_variant.variant = Some("p1-A".into());
    let read = order(state("o1", vec![by_variant, line("X", 1, 1)]));
    journal.stage(ERP, vec![read]).unwrap();
    let case = &journal
        .load_orders(None, 10, crate::support::at(0), &[])
        .unwrap()
        .cases[0];
    let staged = &case.staged[&ERP].state;
    let items: Vec<_> = staged.lines.iter().map(|line| line.item()).collect();
    assert_eq!(items, [Some("A".into()), Some("X".into())]);
    assert_eq!(case.order, key(ERP, "o1"));
}

#[test]
fn a1_a_variant_without_a_sku_has_a_name_of_its_own() {
    let journal = journal();
    let read = product("p1", &[""], "Scarf", 690);
    assert_eq!(named_variants(&journal, WEB, read), ["#2/p1-".into()]);
}
