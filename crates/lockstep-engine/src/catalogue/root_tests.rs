//! The root category of our own, as a table.

use super::tests::{deciding, now, our_rules, sets};
use super::{Decision, Ids, Terms, decide};
use crate::customer::{Customer, Effect, Event, Opened};
use crate::fixture::{A, B, ERP, nothing_to_read};
use crate::rules::Rules;
use lockstep_model::cases::{
    AtShop, CatalogueChunk, Categories, Cluster, Known, RootCategory, Staged, StagedBody,
};
use lockstep_model::entry::{Again, Body};
use lockstep_model::settings::Assortment;
use lockstep_model::{
    Category, Change, ChangeSort, Cursor, Fault, FaultKind, Fields, Flow, Kind, Next, Page,
    RecordId, RemoteId, ShopId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const NAME: &str = "Kahvila Oy";

fn rules_with_a_root() -> Rules {
    let mut rules = our_rules();
    let mut settings = (*rules.settings).clone();
    settings.customer.create_root_category = true;
    rules.settings = Arc::new(settings);
    rules
}

fn named(name: &str, parent: Option<&str>) -> Fields {
    Category {
        name: name.into(),
        parent: parent.map(RemoteId::from),
        ..Category::default()
    }
    .fields()
}

fn holds(id: &str, fields: Fields) -> AtShop {
    AtShop {
        id: Some(id.into()),
        held: fields,
        ..AtShop::default()
    }
}

fn reads(shop: ShopId, id: &str, fields: Fields, linked: Option<RecordId>) -> Staged {
    Staged {
        shop,
        kind: Kind::Category,
        id: id.into(),
        linked,
        keys: vec![RootCategory::KEY.into()],
        body: StagedBody::Fields {
            fields,
            parts: Default::default(),
        },
        doubt: None,
        reading: 1,
        left_at: jiff::Timestamp::MAX,
    }
}

/// Where the root was made, and Garden, which is record 7.
fn terms(roots: &[ShopId]) -> Terms {
    let mut links: BTreeMap<ShopId, BTreeMap<RemoteId, RecordId>> = BTreeMap::new();
    for shop in [ERP, A, B] {
        let links = links.entry(shop).or_default();
        links.insert("garden".into(), RecordId(7));
        if roots.contains(&shop) {
            links.insert("root".into(), RecordId::ROOT_CATEGORY);
        }
    }
    let categories = Categories {
        links,
        ..Categories::default()
    };
    Terms::new(categories, &our_rules().settings)
}

fn decide_with(
    key: &str,
    known: Option<Known>,
    staged: Vec<Staged>,
    rules: &Rules,
    terms: &Terms,
) -> Decision {
    let cluster = Cluster {
        key: key.into(),
        known: known.into_iter().collect(),
        staged,
    };
    let mut ids = Ids {
        record: &mut 8,
        conflict: &mut 1,
    };
    decide(
        &cluster,
        rules,
        terms,
        &deciding(&Default::default()),
        &mut ids,
    )
}

fn the_root(known: Option<Known>, staged: Vec<Staged>, rules: &Rules) -> Decision {
    decide_with(RootCategory::KEY, known, staged, rules, &terms(&[]))
}

fn known_root(name: &str, at: &[ShopId]) -> Known {
    Known {
        record: RecordId::ROOT_CATEGORY,
        kind: Kind::Category,
        keys: vec![RootCategory::KEY.into()],
        ours: named(name, None),
        changed_at: now(),
        shops: at
            .iter()
            .map(|shop| (*shop, holds("root", named(name, None))))
            .collect(),
        conflicts: vec![],
        accepted: Default::default(),
        left: Default::default(),
        withheld: Default::default(),
        in_doubt: Default::default(),
        awaits: Default::default(),
    }
}

/// Garden, at the top of the owner's tree; where it hangs in A and B.
fn garden(parent: Option<&str>) -> Known {
    let at = |parent| holds("garden", named("Garden", parent));
    Known {
        record: RecordId(7),
        kind: Kind::Category,
        keys: vec!["Garden".into()],
        ours: named("Garden", None),
        changed_at: now(),
        shops: [(ERP, at(None)), (A, at(parent)), (B, at(parent))].into(),
        conflicts: vec![],
        accepted: Default::default(),
        left: Default::default(),
        withheld: Default::default(),
        in_doubt: Default::default(),
        awaits: Default::default(),
    }
}

fn made(decision: &Decision) -> Vec<(ShopId, String, Option<RemoteId>)> {
    let writes = decision.writes.iter();
    writes
        .map(|write| match &write.change {
            Change::CreateCategory { category } => {
                (write.shop, category.name.clone(), category.parent.clone())
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn it_is_made_in_the_shops_that_receive_the_tree_and_bears_the_customers_name() {
    let decision = the_root(None, vec![], &rules_with_a_root());
    let name = || NAME.to_owned();
    assert_eq!(made(&decision), [(A, name(), None), (B, name(), None)]);
    let Some(Body::Merged(merged)) = decision.bodies.first() else {
        panic!("{:?}", decision.bodies);
    };
    assert_eq!(merged.record, RecordId::ROOT_CATEGORY);
    assert_eq!(merged.keys, [RootCategory::KEY]);
}

#[test]
fn one_that_is_there_already_is_linked_and_not_made_again() {
    let found = reads(A, "c9", named(NAME, None), None);
    let decision = the_root(None, vec![found], &rules_with_a_root());
    assert_eq!(made(&decision).len(), 1, "in B alone");
    assert_eq!(decision.writes[0].shop, B);
    let again = Body::DueAgain {
        what: Again::Records {
            kind: Kind::Category,
            shops: vec![A],
        },
    };
    assert!(
        decision.bodies.contains(&again),
        "the tree may go under it now"
    );
    // In step: nothing more.
    let known = known_root(NAME, &[A, B]);
    let rest = the_root(Some(known), vec![], &rules_with_a_root());
    assert!(rest.writes.is_empty() && rest.bodies.is_empty(), "{rest:?}");
}

#[test]
fn it_follows_the_customers_name_and_goes_back_to_the_top() {
    let known = known_root("Old name", &[A]);
    let moved = reads(
        A,
        "root",
        named("Old name", Some("c3")),
        Some(RecordId::ROOT_CATEGORY),
    );
    let decision = the_root(Some(known), vec![moved], &rules_with_a_root());
    let at_a = sets(&decision).into_iter().find(|(shop, _)| *shop == A);
    let (_, set) = at_a.expect("a write to A");
    assert_eq!(set, ["parent=—", "title=Kahvila Oy"]);
}

#[test]
fn one_that_a_person_removed_is_made_again() {
    let mut known = known_root(NAME, &[A, B]);
    known.shops.get_mut(&A).unwrap().gone = true;
    let decision = the_root(Some(known), vec![], &rules_with_a_root());
    assert_eq!(made(&decision), [(A, NAME.to_owned(), None)]);
}

#[test]
fn the_tree_moves_under_it_once_it_is_there_and_waits_until_then() {
    let rules = rules_with_a_root();
    let decision = decide_with("Garden", Some(garden(None)), vec![], &rules, &terms(&[A]));
    assert_eq!(sets(&decision), [(A, vec!["parent=root".to_owned()])]);
    // A new one waits in B, and stays due there.
    let mut new = garden(None);
    new.shops.retain(|shop, _| *shop == ERP);
    let decision = decide_with("Garden", Some(new), vec![], &rules, &terms(&[A]));
    let under = Some("root".into());
    assert_eq!(made(&decision), [(A, "Garden".to_owned(), under)]);
    // Nothing is said of B's being in step.
    assert!(decision.bodies.is_empty(), "{:?}", decision.bodies);
}

#[test]
fn switched_off_the_tree_moves_back() {
    let decision = decide_with(
        "Garden",
        Some(garden(Some("root"))),
        vec![],
        &our_rules(),
        &terms(&[A, B]),
    );
    let back = || vec!["parent=—".to_owned()];
    assert_eq!(sets(&decision), [(A, back()), (B, back())]);
    let root = the_root(Some(known_root(NAME, &[A, B])), vec![], &our_rules());
    assert!(root.writes.is_empty(), "it is left where it is");
}

#[test]
fn what_hangs_under_it_is_at_the_top_in_ours() {
    let mut known = garden(Some("root"));
    known.shops.get_mut(&A).unwrap().held = named("Garden", None);
    let read = Staged {
        keys: vec!["Garden".into()],
        ..reads(
            A,
            "garden",
            named("Garden", Some("root")),
            Some(RecordId(7)),
        )
    };
    let decision = decide_with(
        "Garden",
        Some(known),
        vec![read],
        &rules_with_a_root(),
        &terms(&[A, B]),
    );
    assert!(decision.writes.is_empty(), "{:?}", decision.writes);
    let Some(Body::Merged(merged)) = decision.bodies.first() else {
        panic!("{:?}", decision.bodies);
    };
    assert!(merged.ours.is_empty() && merged.overruled.is_empty());
}

#[test]
fn a_shop_that_gets_no_tree_or_has_no_categories_gets_no_root() {
    let mut rules = rules_with_a_root();
    rules.shops.get_mut(&A).unwrap().link.assortment = Assortment::Linked;
    let at_b = rules.shops.get_mut(&B).unwrap();
    at_b.abilities.batches.remove(&ChangeSort::CreateCategory);
    assert_eq!(rules.root_category(), None);
    let decision = decide_with("Garden", Some(garden(None)), vec![], &rules, &terms(&[]));
    assert!(decision.writes.is_empty());
}

/// Where the root is planned to be made by a first run in which only these shops answer.
fn planned(answering: &[ShopId]) -> Vec<ShopId> {
    let mut customer = Customer::new(
        Opened {
            next_run: 1,
            next_record: 1,
            next_intent: 1,
            next_conflict: 1,
            cursors: BTreeMap::new(),
            open: vec![],
            ..Opened::default()
        },
        rules_with_a_root(),
    );
    let mut events = vec![Event::Woken {
        flows: vec![(ERP, Flow::Categories)],
        causes: vec![],
        everything: false,
    }];
    while let Some(event) = events.pop() {
        for effect in customer.on(event, now()) {
            match effect {
                Effect::Pull { call, shop, .. } => {
                    let page = Page {
                        records: vec![],
                        next: Next::End(Some(Cursor("1".into()))),
                    };
                    let fault = || Fault::new(FaultKind::Unavailable, "closed");
                    let answers = answering.contains(&shop);
                    let result = answers.then_some(page).ok_or_else(fault);
                    events.push(Event::Pulled { call, result });
                }
                Effect::ReadAgainList {
                    lane, shop, kind, ..
                } => events.push(nothing_to_read(lane, shop, kind)),
                Effect::LoadCatalogue { root, .. } => {
                    assert_eq!(root.map(|root| root.name).as_deref(), Some(NAME));
                    events.push(Event::CatalogueLoaded(CatalogueChunk {
                        clusters: vec![Cluster {
                            key: RootCategory::KEY.into(),
                            ..Cluster::default()
                        }],
                        ..CatalogueChunk::default()
                    }));
                }
                Effect::SavePlan { rows, .. } => {
                    let writes = rows.iter().flat_map(|(_, decision)| &decision.writes);
                    return writes.map(|write| write.shop).collect();
                }
                _ => {}
            }
        }
    }
    panic!("nothing was planned");
}

#[test]
fn it_is_not_made_before_the_shops_categories_were_read() {
    assert_eq!(planned(&[ERP]), []);
    assert_eq!(planned(&[ERP, A]), [A]);
    assert_eq!(planned(&[ERP, A, B]), [A, B]);
}
