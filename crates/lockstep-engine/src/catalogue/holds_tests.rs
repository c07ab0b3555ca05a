//! Prices that a person should see first, and what is not made, as a table.

use super::tests::{coffee, deciding, gone, in_step, our_rules, sets, shadow, staged};
use super::{Decision, Holding, Ids, Terms, decide};
use crate::fixture::{A, B, ERP};
use crate::rules::Rules;
use jiff::Timestamp;
use lockstep_model::cases::{Cluster, Known, OpenConflict, Staged};
use lockstep_model::entry::{Body, Conflict, HeldPrice, MissingThere, PriceDoubt};
use lockstep_model::{ConflictId, Path, Product, ShopId, Status, Value, Variant};
use rust_decimal::Decimal;

const PRICE: &str = "variant/KH-100/price/EUR";
const SALE: &str = "variant/KH-100/sale_price/EUR";

fn decide_holding(
    known: Option<Known>,
    staged: Vec<Staged>,
    rules: &Rules,
    holding: Holding,
) -> Decision {
    let cluster = Cluster {
        key: "KH-100".into(),
        known: known.into_iter().collect(),
        staged,
    };
    let mut ids = Ids {
        record: &mut 8,
        conflict: &mut 1,
    };
    let looked = Default::default();
    let deciding = super::Deciding {
        holding,
        ..deciding(&looked)
    };
    let terms = Terms::new(Default::default(), &rules.settings);
    decide(&cluster, rules, &terms, &deciding, &mut ids)
}

fn asks(known: Option<Known>, staged: Vec<Staged>) -> Decision {
    decide_holding(known, staged, &our_rules(), Holding::Asks)
}

fn opened(decision: &Decision) -> Vec<Conflict> {
    let bodies = decision.bodies.iter();
    bodies
        .filter_map(|body| match body {
            Body::ConflictOpened { about, .. } => Some(about.clone()),
            _ => None,
        })
        .collect()
}

fn closed(decision: &Decision) -> usize {
    let closed = |body: &&Body| matches!(body, Body::ConflictClosed { .. });
    decision.bodies.iter().filter(closed).count()
}

fn number(text: &str) -> Value {
    Value::number(text.parse().unwrap())
}

/// Why each price is held, by field and shop.
fn why(decision: &Decision) -> Vec<(String, ShopId, PriceDoubt)> {
    let held = opened(decision).into_iter().flat_map(|about| match about {
        Conflict::PriceHeld { path, shops, .. } => shops
            .into_iter()
            .map(|(shop, held)| (path.to_string(), shop, held.why))
            .collect(),
        _ => Vec::new(),
    });
    held.collect()
}

/// The ERP's coffee, at this price and sale price.
fn on_sale(shop: ShopId, price: &str, sale: Option<&str>) -> Product {
    let mut product = coffee(shop, "Coffee", price);
    let sale = sale.map(|sale| ("EUR".into(), sale.parse().unwrap()));
    product.variants[0].sale_prices = sale.into_iter().collect();
    product
}

/// As all three hold it.
fn known_on_sale(price: &str, sale: Option<&str>) -> Known {
    let mut known = in_step("Coffee", price);
    known.ours = on_sale(ERP, price, sale).fields();
    known.shops = [ERP, A, B]
        .map(|shop| (shop, shadow(&on_sale(shop, price, sale))))
        .into();
    known
}

fn too_far() -> PriceDoubt {
    PriceDoubt::MovesTooFar { limit: 50 }
}

#[test]
fn c7_a_price_beyond_the_limit_waits_alone_and_the_rest_of_its_record_goes_on() {
    let slip = staged(ERP, &coffee(ERP, "Espresso", "69.00"));
    let decision = asks(Some(in_step("Coffee", "6.90")), vec![slip]);
    let title = vec!["title=Espresso".to_owned()];
    assert_eq!(sets(&decision), [(A, title.clone()), (B, title)]);
    let held = HeldPrice {
        from: number("6.90"),
        to: number("69"),
        why: too_far(),
    };
    let about = Conflict::PriceHeld {
        path: Path::from_stored(PRICE.into()),
        value: number("69"),
        shops: [(A, held.clone()), (B, held)].into(),
    };
    assert_eq!(opened(&decision), [about]);
    assert!(decision.held[0].contains("more than the limit of 50 %"));
}

#[test]
fn c7_a_withdrawal_never_waits_for_a_price() {
    let mut slip = coffee(ERP, "Coffee", "69.00");
    slip.status = Status::Archived;
    let decision = asks(Some(in_step("Coffee", "6.90")), vec![staged(ERP, &slip)]);
    let want = vec!["status=archived".to_owned()];
    assert_eq!(sets(&decision), [(A, want.clone()), (B, want)]);
    let deleted = asks(Some(in_step("Coffee", "6.90")), vec![gone(ERP)]);
    assert_eq!(sets(&deleted).len(), 2);
}

/// As after the first question: the ERP was taken in, A and B hold what they held.
fn asked() -> Known {
    let slip = staged(ERP, &coffee(ERP, "Coffee", "69.00"));
    let decision = asks(Some(in_step("Coffee", "6.90")), vec![slip]);
    let mut known = in_step("Coffee", "6.90");
    known.ours = coffee(ERP, "Coffee", "69.00").fields();
    known
        .shops
        .insert(ERP, shadow(&coffee(ERP, "Coffee", "69.00")));
    known.conflicts = vec![OpenConflict {
        conflict: ConflictId(5),
        about: opened(&decision).remove(0),
        at: Timestamp::UNIX_EPOCH,
    }];
    known
}

#[test]
fn c7_a_held_price_stays_asked_until_a_person_accepts_or_its_source_mends_it() {
    let again = asks(Some(asked()), vec![]);
    assert_eq!((opened(&again).len(), closed(&again)), (0, 0));
    assert!(again.writes.is_empty());
    // Another value is another question.
    let other = staged(ERP, &coffee(ERP, "Coffee", "79.00"));
    let other = asks(Some(asked()), vec![other]);
    assert_eq!((opened(&other).len(), closed(&other)), (1, 1));
    // Mended.
    let mended = staged(ERP, &coffee(ERP, "Coffee", "7.20"));
    let mended = asks(Some(asked()), vec![mended]);
    assert_eq!((opened(&mended).len(), closed(&mended)), (0, 1));
    let want = vec![format!("{PRICE}=7.2")];
    assert_eq!(sets(&mended), [(A, want.clone()), (B, want)]);
    // Accepted: that value and no other.
    let mut accepted = asked();
    accepted.conflicts.clear();
    accepted.accepted = [(Path::from_stored(PRICE.into()), number("69"))].into();
    let decision = asks(Some(accepted.clone()), vec![]);
    let want = vec![format!("{PRICE}=69")];
    assert_eq!(sets(&decision), [(A, want.clone()), (B, want)]);
    let other = staged(ERP, &coffee(ERP, "Coffee", "690.00"));
    let other = asks(Some(accepted), vec![other]);
    assert_eq!(opened(&other).len(), 1);
}

#[test]
fn c7_a_plan_shows_what_waits_and_what_a_person_applies_is_written() {
    for holding in [Holding::Shows, Holding::Accepts] {
        let decision = decide_holding(Some(asked()), vec![], &our_rules(), holding);
        let want = vec![format!("{PRICE}=69")];
        assert_eq!(sets(&decision), [(A, want.clone()), (B, want)]);
        assert_eq!((opened(&decision).len(), closed(&decision)), (0, 0));
        assert_eq!(decision.held.len(), 2);
        assert!(
            decision.writes.iter().all(|write| write.again),
            "looked at once it is written"
        );
    }
}

#[test]
fn c14_prices_that_are_a_slip_are_held_whether_new_or_not_and_sale_prices_too() {
    let limit = too_far();
    let (nothing, above) = (PriceDoubt::Nothing, PriceDoubt::SaleAbovePrice);
    for (before, now, expected) in [
        // Price and sale price before and now; what is held.
        (("6.90", None), ("0.00", None), vec![(PRICE, nothing)]),
        (("6.90", None), ("7.20", None), vec![]),
        (("6.90", None), ("6.90", Some("0")), vec![(SALE, nothing)]),
        (("6.90", None), ("6.90", Some("5.90")), vec![]),
        // A sale that begins is held against the price.
        (("6.90", None), ("6.90", Some("0.59")), vec![(SALE, limit)]),
        (
            ("6.90", Some("5.90")),
            ("6.90", Some("0.59")),
            vec![(SALE, limit)],
        ),
        (("6.90", None), ("6.90", Some("7.90")), vec![(SALE, above)]),
        // A sale that ends is no move.
        (("69", Some("6.90")), ("69", None), vec![]),
    ] {
        let read = staged(ERP, &on_sale(ERP, now.0, now.1));
        let decision = asks(Some(known_on_sale(before.0, before.1)), vec![read]);
        let expected: Vec<_> = expected
            .iter()
            .flat_map(|(path, why)| [A, B].map(|shop| ((*path).to_owned(), shop, *why)))
            .collect();
        assert_eq!(why(&decision), expected, "{before:?} {now:?}");
    }
}

#[test]
fn c14_what_is_new_is_not_made_with_a_price_that_is_a_slip() {
    for (price, sale, path, expected) in [
        ("0.00", None, PRICE, PriceDoubt::Nothing),
        ("6.90", Some("7.90"), SALE, PriceDoubt::SaleAbovePrice),
        ("6.90", Some("0.69"), SALE, too_far()),
    ] {
        let new = staged(ERP, &on_sale(ERP, price, sale));
        let decision = asks(None, vec![new.clone()]);
        assert!(decision.writes.is_empty(), "{:?}", decision.writes);
        let held = [A, B].map(|shop| (path.to_owned(), shop, expected));
        assert_eq!(why(&decision), held);
        let shown = decide_holding(None, vec![new], &our_rules(), Holding::Shows);
        assert_eq!(shown.writes.len(), 2, "what a person would apply");
    }
    let fine = asks(None, vec![staged(ERP, &on_sale(ERP, "6.90", Some("5.90")))]);
    assert_eq!(fine.writes.len(), 2);
}

#[test]
fn c14_what_was_never_made_is_held_against_what_was_last_known_of_it() {
    // B does not have it yet.
    let mut known = in_step("Coffee", "6.90");
    known.shops.retain(|shop, _| *shop == ERP);
    let slip = staged(ERP, &coffee(ERP, "Coffee", "69.00"));
    let decision = asks(Some(known.clone()), vec![slip]);
    assert!(decision.writes.is_empty());
    assert_eq!(why(&decision).len(), 2);
    // The next run knows no more what it was, but for the question.
    let mut later = known.clone();
    later.ours = coffee(ERP, "Coffee", "69.00").fields();
    later
        .shops
        .insert(ERP, shadow(&coffee(ERP, "Coffee", "69.00")));
    later.conflicts = vec![OpenConflict {
        conflict: ConflictId(5),
        about: opened(&decision).remove(0),
        at: Timestamp::UNIX_EPOCH,
    }];
    let again = asks(Some(later.clone()), vec![]);
    assert!(again.writes.is_empty() && opened(&again).is_empty());
    let mended = staged(ERP, &coffee(ERP, "Coffee", "7.20"));
    let mended = asks(Some(later), vec![mended]);
    assert_eq!((sets(&mended).len(), closed(&mended)), (2, 1));
}

/// The ERP's coffee with a second variant.
fn two(second: Option<&str>) -> Product {
    let mut two = coffee(ERP, "Coffee", "6.90");
    let price = second.map(|price| ("EUR".into(), price.parse::<Decimal>().unwrap()));
    two.variants.push(Variant {
        id: "v-2".into(),
        sku: "KH-200".into(),
        prices: price.into_iter().collect(),
        ..Variant::default()
    });
    two
}

#[test]
fn c14_a_variant_whose_price_waits_holds_up_itself_and_not_its_product() {
    let is_there = |decision: &Decision| {
        let sets = sets(decision);
        let named = |sku: &str| {
            let path = format!("variant/{sku}/present=yes");
            sets.iter().filter(|(_, set)| set.contains(&path)).count()
        };
        (named("KH-100"), named("KH-200"))
    };
    let made = asks(None, vec![staged(ERP, &two(Some("0")))]);
    assert_eq!(is_there(&made), (2, 0));
    let added = asks(
        Some(in_step("Coffee", "6.90")),
        vec![staged(ERP, &two(Some("0")))],
    );
    assert_eq!(is_there(&added), (0, 0));
    assert_eq!(why(&added).len(), 2);
    let fine = asks(
        Some(in_step("Coffee", "6.90")),
        vec![staged(ERP, &two(Some("9.90")))],
    );
    assert_eq!(is_there(&fine), (0, 2));
}

/// B sells in crowns, and nobody has said at what rate.
fn crowns_without_a_rule() -> Rules {
    let mut rules = our_rules();
    rules.shops.get_mut(&B).unwrap().identity.currency = "SEK".into();
    rules
}

#[test]
fn c9_what_has_no_price_in_a_shop_s_currency_is_not_made_there_and_that_is_said() {
    let rules = crowns_without_a_rule();
    let new = || vec![staged(ERP, &coffee(ERP, "Coffee", "6.90"))];
    let decision = decide_holding(None, new(), &rules, Holding::Asks);
    assert_eq!(decision.writes.len(), 1);
    assert_eq!(decision.writes[0].shop, A, "where it has a price");
    let missing = MissingThere::Price {
        currency: "SEK".into(),
        skus: vec!["KH-100".into()],
    };
    let about = Conflict::NotMade {
        shops: [(B, missing)].into(),
    };
    assert_eq!(opened(&decision), [about]);
    assert!(decision.held[0].contains("has no price in SEK"));
    // A draft is not sold: it may be made, and priced there.
    let mut draft = coffee(ERP, "Coffee", "6.90");
    draft.status = Status::Draft;
    let draft = decide_holding(None, vec![staged(ERP, &draft)], &rules, Holding::Asks);
    assert_eq!(draft.writes.len(), 2);
    assert!(opened(&draft).is_empty());
}

#[test]
fn c9_a_variant_without_a_price_is_left_out_and_said() {
    let decision = asks(None, vec![staged(ERP, &two(None))]);
    assert_eq!(decision.writes.len(), 2);
    for (_, set) in sets(&decision) {
        assert!(!set.iter().any(|field| field.starts_with("variant/KH-200/")));
    }
    let Some(Conflict::NotMade { shops }) = opened(&decision).pop() else {
        panic!("{:?}", decision.bodies);
    };
    assert_eq!(shops.len(), 2);
}

#[test]
fn c13_a_product_without_variants_is_not_made_and_says_why() {
    let mut bare = coffee(ERP, "Coffee", "6.90");
    bare.variants.clear();
    let mut row = staged(ERP, &bare);
    row.keys.clear();
    let decision = asks(None, vec![row]);
    assert!(decision.writes.is_empty());
    let about = Conflict::NotMade {
        shops: [A, B].map(|shop| (shop, MissingThere::Variants)).into(),
    };
    assert_eq!(opened(&decision), [about]);
    // In a shop that is only read it is not asked for.
    let mut rules = our_rules();
    for shop in [A, B] {
        rules.shops.get_mut(&shop).unwrap().read_only = true;
    }
    let mut row = staged(ERP, &bare);
    row.keys.clear();
    let decision = decide_holding(None, vec![row], &rules, Holding::Asks);
    assert!(opened(&decision).is_empty());
}

#[test]
fn m13_what_a_shop_deleted_is_asked_about_and_neither_made_again_nor_forgotten() {
    let about = Conflict::GoneThere {
        shop: A,
        id: format!("p{A}").into(),
    };
    let deleted = asks(Some(in_step("Coffee", "6.90")), vec![gone(A)]);
    assert!(deleted.writes.is_empty());
    assert_eq!(opened(&deleted), std::slice::from_ref(&about));
    // The others go on, and it is asked once.
    let mut known = in_step("Coffee", "6.90");
    known.shops.get_mut(&A).unwrap().gone = true;
    known.conflicts = vec![OpenConflict {
        conflict: ConflictId(5),
        about,
        at: Timestamp::UNIX_EPOCH,
    }];
    let dearer = || staged(ERP, &coffee(ERP, "Coffee", "7.20"));
    let later = asks(Some(known.clone()), vec![dearer()]);
    assert_eq!(
        (sets(&later).len(), opened(&later).len(), closed(&later)),
        (1, 0, 0)
    );
    // It stays as it is, by a person's word.
    let mut left = known.clone();
    left.conflicts.clear();
    left.left = [(A, format!("p{A}").into())].into();
    let left = asks(Some(left), vec![dearer()]);
    assert!(opened(&left).is_empty());
    // Its owner drops it, too: there is nothing left to ask.
    let dropped = asks(Some(known.clone()), vec![gone(ERP)]);
    assert_eq!((opened(&dropped).len(), closed(&dropped)), (0, 1));
    // It is forgotten there, by a person's word: it is made again.
    known.shops.remove(&A);
    known.conflicts.clear();
    let again = asks(Some(known), vec![]);
    assert!(matches!(
        again.writes.as_slice(),
        [write] if write.shop == A && matches!(write.change, lockstep_model::Change::CreateProduct { .. })
    ));
}
