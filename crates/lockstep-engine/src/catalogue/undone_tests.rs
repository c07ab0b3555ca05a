//! What an open undo means for its record, case by case.

use super::tests::{coffee, decide_on, in_step, now, open, our_rules, sets, shadow, staged};
use crate::fixture::{A, B, ERP};
use crate::write::Sign;
use lockstep_model::cases::{Known, OpenConflict};
use lockstep_model::entry::{Body, Conflict, What};
use lockstep_model::settings::Policy;
use lockstep_model::{ConflictId, Path, RunId, ShopId, Value};
use std::sync::Arc;

const PRICE: &str = "variant/KH-100/price/EUR";

fn path() -> Path {
    Path::from_stored(PRICE.into())
}

fn price(value: &str) -> Value {
    Value::number(value.parse().unwrap())
}

/// Run 12 wrote 7.20 over 6.90 at A.
fn asked(ours: &str, restoring: Option<&str>) -> OpenConflict {
    OpenConflict {
        conflict: ConflictId(5),
        about: Conflict::Undone {
            path: path(),
            shop: A,
            run: RunId(12),
            wrote: price("7.20"),
            held: price("6.90"),
            ours: price(ours),
            restoring: restoring.map(str::to_owned),
        },
        at: now(),
    }
}

/// 7.20 everywhere, but at A what is said.
fn undone(at_a: &str, restoring: Option<&str>) -> Known {
    let mut known = in_step("Coffee", "7.20");
    known.shops.insert(A, shadow(&coffee(A, "Coffee", at_a)));
    known.conflicts = vec![asked("7.20", restoring)];
    known
}

fn closed(bodies: &[Body]) -> Vec<(&str, Option<&str>)> {
    let closed = bodies.iter().filter_map(|body| match body {
        Body::ConflictClosed { decision, by, .. } => Some((decision.as_str(), by.as_deref())),
        _ => None,
    });
    closed.collect()
}

fn writes(shop: ShopId, value: &str) -> Vec<(ShopId, Vec<String>)> {
    vec![(shop, vec![format!("{PRICE}={value}")])]
}

#[test]
fn what_the_undone_run_wrote_is_put_back_where_it_stands() {
    let decision = decide_on(vec![undone("7.20", None)], vec![], &our_rules());
    assert_eq!(sets(&decision), writes(A, "6.9"));
    assert_eq!(decision.lines[0].sign, Sign::PutBack);
    assert!(decision.writes[0].again, "its question hangs on it");
    assert_eq!(closed(&decision.bodies), []);
}

#[test]
fn what_was_put_back_is_held_and_not_written() {
    let decision = decide_on(vec![undone("6.90", None)], vec![], &our_rules());
    assert_eq!(sets(&decision), []);
    assert_eq!(closed(&decision.bodies), []);
}

#[test]
fn the_other_shops_and_the_other_fields_are_synced_as_ever() {
    let decision = decide_on(
        vec![undone("6.90", None)],
        vec![staged(ERP, &coffee(ERP, "Espresso", "7.20"))],
        &our_rules(),
    );
    let title = vec!["title=Espresso".to_owned()];
    assert_eq!(sets(&decision), [(A, title.clone()), (B, title)]);
}

#[test]
fn what_the_shop_makes_of_it_meanwhile_is_left() {
    let decision = decide_on(
        vec![undone("6.90", None)],
        vec![staged(A, &coffee(A, "Coffee", "6.50"))],
        &our_rules(),
    );
    assert_eq!(sets(&decision), []);
    let Some(Body::Merged(merged)) = decision.bodies.first() else {
        panic!("{:?}", decision.bodies);
    };
    assert_eq!(merged.overruled, [], "it is not written over");
}

#[test]
fn a_shop_whose_people_want_the_new_value_after_all_closes_the_question() {
    let decision = decide_on(
        vec![undone("6.90", None)],
        vec![staged(A, &coffee(A, "Coffee", "7.20"))],
        &our_rules(),
    );
    assert_eq!(sets(&decision), []);
    let why = "the shop and the source agree by now";
    assert_eq!(closed(&decision.bodies), [(why, None)]);
}

#[test]
fn a_source_that_says_what_is_held_closes_the_question() {
    let decision = decide_on(
        vec![undone("6.90", None)],
        vec![staged(ERP, &coffee(ERP, "Coffee", "6.90"))],
        &our_rules(),
    );
    assert_eq!(sets(&decision), writes(B, "6.9"));
    let why = "the source says the same by now";
    assert_eq!(closed(&decision.bodies), [(why, None)]);
}

#[test]
fn a_source_that_moves_on_is_asked_about_anew_and_the_shop_stays_held() {
    let decision = decide_on(
        vec![undone("6.90", None)],
        vec![staged(ERP, &coffee(ERP, "Coffee", "8.00"))],
        &our_rules(),
    );
    assert_eq!(sets(&decision), writes(B, "8"));
    let opened = decision.bodies.iter().find_map(|body| match body {
        Body::ConflictOpened { about, .. } => Some(about.clone()),
        _ => None,
    });
    assert_eq!(opened, Some(asked("8.00", None).about));
    assert_eq!(closed(&decision.bodies).len(), 1);
}

#[test]
fn what_is_restored_is_written_to_its_owner_first() {
    let decision = decide_on(vec![undone("6.90", Some("operator"))], vec![], &our_rules());
    assert_eq!(sets(&decision), writes(ERP, "6.9"));
    assert_eq!(closed(&decision.bodies), [], "it does not have it yet");
    // Once the owner has it, the others follow and the question is answered.
    let mut known = undone("6.90", Some("operator"));
    known
        .shops
        .insert(ERP, shadow(&coffee(ERP, "Coffee", "6.90")));
    let decision = decide_on(vec![known], vec![], &our_rules());
    assert_eq!(sets(&decision), writes(B, "6.9"));
    let why = "restored in the source";
    assert_eq!(closed(&decision.bodies), [(why, Some("operator"))]);
}

#[test]
fn an_owner_that_moved_since_the_answer_is_not_written_over() {
    let decision = decide_on(
        vec![undone("6.90", Some("operator"))],
        vec![staged(ERP, &coffee(ERP, "Coffee", "8.00"))],
        &our_rules(),
    );
    assert_eq!(sets(&decision), writes(B, "8"));
    let opened = decision.bodies.iter().find_map(|body| match body {
        Body::ConflictOpened { about, .. } => Some(about.clone()),
        _ => None,
    });
    assert_eq!(opened, Some(asked("8.00", None).about));
}

#[test]
fn without_an_owner_our_own_record_takes_it() {
    let mut rules = our_rules();
    let settings = Arc::make_mut(&mut rules.settings);
    settings.policies.prices = Policy::Ask;
    let decision = decide_on(vec![undone("6.90", Some("operator"))], vec![], &rules);
    let want = vec![format!("{PRICE}=6.9")];
    assert_eq!(sets(&decision), [(ERP, want.clone()), (B, want)]);
    let why = "restored in our record";
    assert_eq!(closed(&decision.bodies), [(why, Some("operator"))]);
}

/// A text that the undone run gave to A, which had none.
fn a_text() -> (Path, OpenConflict) {
    let text = Path::from_stored("text/sv/title".into());
    let about = Conflict::Undone {
        path: text.clone(),
        shop: A,
        run: RunId(12),
        wrote: Value::text("Kaffe"),
        held: Value::Empty,
        ours: Value::text("Kaffe"),
        restoring: Some("operator".into()),
    };
    let open = OpenConflict {
        about,
        ..asked("7.20", None)
    };
    (text, open)
}

#[test]
fn what_its_source_has_no_more_since_it_was_restored_there_goes_from_the_other_shops() {
    let (text, open) = a_text();
    let mut known = in_step("Coffee", "7.20");
    known.ours.insert(text.clone(), Value::text("Kaffe"));
    let at_b = known.shops.get_mut(&B).unwrap();
    at_b.held.insert(text.clone(), Value::text("Kaffe"));
    known.conflicts = vec![open];
    let decision = decide_on(vec![known], vec![], &our_rules());
    assert_eq!(sets(&decision), [(B, vec![format!("{text}=—")])]);
    let why = "restored in the source";
    assert_eq!(closed(&decision.bodies), [(why, Some("operator"))]);
}

#[test]
fn what_an_undo_took_away_without_an_answer_is_no_edit_of_that_shop() {
    let (text, mut asked) = a_text();
    if let Conflict::Undone { restoring, .. } = &mut asked.about {
        *restoring = None;
    }
    let mut rules = our_rules();
    Arc::make_mut(&mut rules.settings).policies.texts = Policy::Newest;
    let mut known = in_step("Coffee", "7.20");
    known.ours.insert(text.clone(), Value::text("Kaffe"));
    for shop in [ERP, A, B] {
        let at = known.shops.get_mut(&shop).unwrap();
        at.held.insert(text.clone(), Value::text("Kaffe"));
    }
    let set = [(text, Value::Empty)].into();
    let at_a = known.shops.get_mut(&A).unwrap();
    at_a.open.push(open(What::Set { set }, Some(now())));
    known.conflicts = vec![asked];
    let read = vec![staged(A, &coffee(A, "Coffee", "7.20"))];
    let decision = decide_on(vec![known], read, &rules);
    assert_eq!(sets(&decision), []);
}

#[test]
fn a_record_that_is_gone_from_the_shop_has_nothing_to_decide() {
    let mut known = undone("6.90", None);
    known.shops.get_mut(&A).unwrap().gone = true;
    let decision = decide_on(vec![known], vec![], &our_rules());
    let why = "the shop has the record no more";
    assert_eq!(closed(&decision.bodies), [(why, None)]);
}
