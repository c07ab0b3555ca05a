//! Chunks of the catalogue: what belongs together, in which order, and what is left out.

use crate::support::*;
use lockstep_journal::Journal;
use lockstep_model::cases::{Also, CatalogueChunk};
use lockstep_model::entry::{
    Again, Awaited, Body, Counts, Delta, Merged, RunResult, Seen, Settlement, Subject,
};
use lockstep_model::{
    Category, Fault, FaultKind, Field, Kind, Lane, Path, Product, Record, RecordId, Revision,
    RunId, ShopId, Value,
};

fn stage(journal: &mut Journal, shop: ShopId, products: &[Product]) {
    let page = products.iter().cloned().map(Record::Product).collect();
    journal.stage(shop, page).unwrap();
}

fn load(journal: &Journal) -> CatalogueChunk {
    journal
        .load_catalogue(Kind::Product, None, 100, at(0))
        .unwrap()
}

fn keys(chunk: &CatalogueChunk) -> Vec<&str> {
    chunk
        .clusters
        .iter()
        .map(|cluster| cluster.key.as_str())
        .collect()
}

#[test]
fn records_that_share_a_key_are_decided_together() {
    let mut journal = journal();
    stage(
        &mut journal,
        ERP,
        &[
            product("e1", &["B", "A"], "Coffee", 1),
            product("e2", &["C"], "Tea", 1),
        ],
    );
    stage(&mut journal, WEB, &[product("w1", &["B"], "Coffee", 1)]);
    let chunk = load(&journal);
    assert_eq!(keys(&chunk), ["A", "C"]);
    let ids: Vec<_> = chunk.clusters[0]
        .staged
        .iter()
        .map(|row| (row.shop, row.id.as_str()))
        .collect();
    assert_eq!(ids, [(ERP, "e1"), (WEB, "w1")]);
    assert_eq!(chunk.next, None);
}

#[test]
fn a_link_holds_what_no_key_holds_any_more() {
    let mut journal = journal();
    let coffee = product("e1", &["A"], "Coffee", 1);
    append(&mut journal, vec![merged(1, &coffee, &[ERP, WEB], &[])]);
    // The shop renames its SKU.
    stage(&mut journal, WEB, &[product("e1", &["Z"], "Coffee", 1)]);
    let chunk = load(&journal);
    assert_eq!(chunk.clusters.len(), 1);
    let cluster = &chunk.clusters[0];
    assert_eq!(cluster.known[0].record, RecordId(1));
    assert_eq!(cluster.known[0].shops.len(), 2);
    assert_eq!(cluster.staged[0].keys, ["Z"]);
}

#[test]
fn pages_of_clusters_show_each_once_and_in_order() {
    let mut journal = journal();
    let names: Vec<String> = (0..57).map(|n| format!("S{n:03}")).collect();
    for (shop, id) in [(ERP, "e"), (WEB, "w")] {
        let products: Vec<_> = names
            .iter()
            .map(|sku| product(&format!("{id}{sku}"), &[sku.as_str()], sku, 1))
            .collect();
        stage(&mut journal, shop, &products);
    }
    for (n, sku) in names.iter().enumerate().step_by(5) {
        let known = product(&format!("x{sku}"), &[sku.as_str()], sku, 1);
        append(
            &mut journal,
            vec![merged(n as u64 + 1, &known, &[], &[WEB])],
        );
    }
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let chunk = journal
            .load_catalogue(Kind::Product, after.as_deref(), 10, at(0))
            .unwrap();
        assert!(chunk.clusters.len() <= 10);
        for cluster in &chunk.clusters {
            assert_eq!(cluster.staged.len(), 2, "{}", cluster.key);
            seen.push(cluster.key.clone());
        }
        match chunk.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, names);
}

#[test]
fn a_hundred_products_with_one_sku_are_bounded_and_none_is_lost() {
    let mut journal = journal();
    let products: Vec<_> = (0..100)
        .map(|n| product(&format!("p{n}"), &["SAME"], "Twin", 1))
        .collect();
    stage(&mut journal, WEB, &products);
    let chunk = load(&journal);
    let sizes: Vec<_> = chunk
        .clusters
        .iter()
        .map(|cluster| cluster.staged.len())
        .collect();
    assert!(sizes.iter().all(|size| *size <= 50), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 100);
}

#[test]
fn products_without_any_sku_stand_alone() {
    let mut journal = journal();
    let products = [product("p1", &[], "One", 1), product("p2", &[""], "Two", 1)];
    stage(&mut journal, WEB, &products);
    let chunk = load(&journal);
    assert_eq!(keys(&chunk), ["#2/p1", "#2/p2"]);
    assert!(chunk.clusters.iter().all(|c| c.staged.len() == 1));
}

#[test]
fn what_stands_aside_or_is_being_written_is_not_shown() {
    let mut journal = journal();
    let [a, b, c] = ["A", "B", "C"].map(|sku| product(sku, &[sku], sku, 1));
    append(
        &mut journal,
        vec![
            merged(1, &a, &[ERP], &[WEB]),
            merged(2, &b, &[ERP], &[WEB]),
            merged(3, &c, &[ERP], &[WEB]),
        ],
    );
    assert_eq!(keys(&load(&journal)), ["A", "B", "C"]);
    let aside = aside(
        Subject::Record(RecordId(1)),
        Fault::new(FaultKind::Unavailable, "the shop is away"),
        2,
    );
    let open = intended(1, WEB, Subject::Record(RecordId(2)), set_title("X"));
    append(&mut journal, vec![aside, open]);
    assert_eq!(keys(&load(&journal)), ["C"]);
    assert_eq!(journal.next_retry().unwrap(), Some(at(60)));
    let later = journal
        .load_catalogue(Kind::Product, None, 10, at(60))
        .unwrap();
    assert_eq!(keys(&later), ["A", "C"]);
    assert_eq!(later.clusters[0].known[0].shops[&WEB].tries, 2);

    append(
        &mut journal,
        vec![settled(1, Settlement::NotApplied { fault: None })],
    );
    append(
        &mut journal,
        vec![Body::DueAgain {
            what: Again::Record(RecordId(1)),
        }],
    );
    assert_eq!(keys(&load(&journal)), ["A", "B", "C"]);
}

#[test]
fn a_write_that_failed_keeps_its_record_due_though_another_went_through() {
    let mut journal = journal();
    let a = product("A", &["A"], "A", 1);
    append(&mut journal, vec![merged(1, &a, &[WEB], &[WEB])]);
    let record = || Subject::Record(RecordId(1));
    let round = |first: u64, how: Settlement| {
        vec![
            intended(first, WEB, record(), set_title("X")),
            intended(first + 1, WEB, record(), set_title("Y")),
            settled(first, how),
            settled(first + 1, done("A", None)),
        ]
    };
    append(
        &mut journal,
        round(1, Settlement::NotApplied { fault: None }),
    );
    assert_eq!(load(&journal).clusters.len(), 1);
    append(&mut journal, round(3, done("A", None)));
    assert_eq!(load(&journal).clusters.len(), 0);
}

#[test]
fn everything_is_due_again_when_a_shop_is_added() {
    let mut journal = journal();
    let [a, b] = ["A", "B"].map(|sku| product(sku, &[sku], sku, 1));
    append(
        &mut journal,
        vec![merged(1, &a, &[ERP], &[]), merged(2, &b, &[ERP], &[])],
    );
    assert!(load(&journal).clusters.is_empty());
    let what = Again::Records {
        kind: Kind::Product,
        shops: vec![WEB],
    };
    journal.mark_due(at(0), what).unwrap();
    assert_eq!(keys(&load(&journal)), ["A", "B"]);
}

fn category_merged(record: u64, shop: ShopId, id: &str, path: &str, due: &[ShopId]) -> Body {
    let name = path.rsplit('\u{1f}').next().unwrap();
    let category = Category {
        id: id.into(),
        name: name.into(),
        ..Category::default()
    };
    let held = Delta {
        set: category.fields(),
        unset: vec![],
    };
    Body::Merged(Merged {
        run: RUN,
        record: RecordId(record),
        kind: Kind::Category,
        title: name.into(),
        keys: vec![path.into()],
        ours: held.clone(),
        seen: [(
            shop,
            Seen {
                id: id.into(),
                parts: None,
                held,
                anew: false,
                gone: false,
            },
        )]
        .into(),
        overruled: vec![],
        due: due.to_vec(),
        awaits: Default::default(),
    })
}

#[test]
fn parents_come_before_children_whatever_the_order_of_pages() {
    let mut journal = journal();
    journal
        .stage(
            ERP,
            vec![
                category("c3", "Sencha", Some("c2")),
                category("c2", "Green", Some("c1")),
            ],
        )
        .unwrap();
    let load = |journal: &Journal, after: Option<&str>| {
        journal
            .load_catalogue(Kind::Category, after, 100, at(0))
            .unwrap()
    };
    let first = load(&journal, None);
    assert_eq!(keys(&first), ["Green"], "its parent is not known yet");
    journal
        .stage(ERP, vec![category("c1", "Tea", None)])
        .unwrap();
    journal
        .stage(WEB, vec![category("9", "Tea", None)])
        .unwrap();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let chunk = load(&journal, after.as_deref());
        // One depth a chunk.
        found.push(
            keys(&chunk)
                .iter()
                .map(|key| key.to_string())
                .collect::<Vec<_>>(),
        );
        after = chunk.next;
        if after.is_none() {
            break;
        }
    }
    let path = |names: &[&str]| names.join("\u{1f}");
    assert_eq!(
        found,
        [
            [path(&["Tea"])],
            [path(&["Tea", "Green"])],
            [path(&["Tea", "Green", "Sencha"])]
        ]
    );
}

#[test]
fn a_categorys_path_goes_through_parents_that_are_known_already() {
    let mut journal = journal();
    append(
        &mut journal,
        vec![category_merged(1, ERP, "c1", "Tea", &[])],
    );
    journal
        .stage(ERP, vec![category("c2", "Green", Some("c1"))])
        .unwrap();
    let chunk = journal
        .load_catalogue(Kind::Category, None, 100, at(0))
        .unwrap();
    assert_eq!(keys(&chunk), ["Tea\u{1f}Green"]);
    assert_eq!(chunk.categories.links[&ERP][&"c1".into()], RecordId(1));
}

#[test]
fn a_loop_of_categories_is_cut() {
    let mut journal = journal();
    let page = vec![category("a", "A", Some("b")), category("b", "B", Some("a"))];
    journal.stage(ERP, page).unwrap();
    let mut after = None;
    let mut clusters = 0;
    loop {
        let chunk = journal
            .load_catalogue(Kind::Category, after.as_deref(), 100, at(0))
            .unwrap();
        clusters += chunk.clusters.len();
        after = chunk.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(clusters, 2);
}

#[test]
fn a_path_that_hangs_below_itself_grows_no_further_than_categories_are_deep() {
    let mut journal = journal();
    append(
        &mut journal,
        vec![category_merged(1, ERP, "c1", "Tea", &[])],
    );
    let deep = ["Green"; 40].join("\u{1f}");
    let renamed = match category_merged(1, ERP, "c1", &deep, &[]) {
        Body::Merged(mut merged) => {
            merged.keys.push("Tea\u{1f}Green".into());
            merged
        }
        _ => unreachable!(),
    };
    let below = category_merged(2, ERP, "c2", "Tea\u{1f}Leaf", &[]);
    append(&mut journal, vec![below, Body::Merged(renamed)]);
    let view = journal.record_view(RecordId(2)).unwrap().unwrap();
    let depths = view.keys.iter().map(|key| key.matches('\u{1f}').count());
    assert!(depths.max() < Some(32), "{:?}", view.keys);
    assert!(
        view.keys.contains(&"Tea\u{1f}Green\u{1f}Leaf".to_owned()),
        "{:?}",
        view.keys
    );
}

#[test]
fn the_categories_of_a_product_can_be_read_both_ways() {
    let mut journal = journal();
    append(
        &mut journal,
        vec![
            category_merged(1, ERP, "c1", "Tea", &[]),
            category_merged(1, WEB, "77", "Tea", &[]),
        ],
    );
    let mut tea = product("p1", &["T"], "Tea", 1);
    tea.categories = Some(vec!["c1".into()]);
    stage(&mut journal, ERP, &[tea]);
    let chunk = load(&journal);
    assert_eq!(chunk.categories.links[&ERP][&"c1".into()], RecordId(1));
    assert_eq!(chunk.categories.links[&WEB][&"77".into()], RecordId(1));
    assert_eq!(chunk.categories.above, [].into());
}

#[test]
fn what_stands_above_the_category_of_a_product_is_known_up_to_the_top() {
    let mut journal = journal();
    let below = |record, id, path, parent: &str| {
        let mut body = category_merged(record, ERP, id, path, &[]);
        if let Body::Merged(merged) = &mut body {
            let parent = (Path::new(&Field::Parent), Value::text(parent));
            merged.ours.set.extend([parent]);
        }
        body
    };
    let bodies = vec![
        category_merged(1, ERP, "c1", "Tea", &[]),
        below(2, "c2", "Tea\u{1f}Green", "1"),
        below(3, "c3", "Tea\u{1f}Green\u{1f}Sencha", "2"),
        // Each hangs under the other.
        below(4, "c4", "Loop", "5"),
        below(5, "c5", "Loop\u{1f}Loop", "4"),
    ];
    append(&mut journal, bodies);
    let mut sencha = product("p1", &["S"], "Sencha", 1);
    sencha.categories = Some(vec!["c3".into(), "c4".into()]);
    stage(&mut journal, ERP, &[sencha]);
    let categories = load(&journal).categories;
    let above = [(2, 1), (3, 2), (4, 5), (5, 4)];
    let above = above.map(|(below, above)| (RecordId(below), RecordId(above)));
    assert_eq!(categories.above, above.into());
    assert_eq!(categories.links[&ERP].len(), 5, "their links too");
}

#[test]
fn a_conflict_is_shown_until_it_is_answered_and_then_the_record_is_due() {
    let mut journal = journal();
    let a = product("A", &["A"], "A", 1);
    let about = lockstep_model::entry::Conflict::SameKeyTwice {
        shop: WEB,
        key: "A".into(),
        ids: vec!["1".into()],
    };
    append(
        &mut journal,
        vec![
            merged(1, &a, &[ERP, WEB], &[]),
            Body::ConflictOpened {
                conflict: lockstep_model::ConflictId(1),
                subject: Subject::Record(RecordId(1)),
                about,
            },
        ],
    );
    assert_eq!(journal.conflicts(None, 10).unwrap().len(), 1);
    assert!(load(&journal).clusters.is_empty());
    let closed = Body::ConflictClosed {
        conflict: lockstep_model::ConflictId(1),
        decision: "keep ours".into(),
        by: None,
        ours: Default::default(),
    };
    journal
        .append(at(0), vec![closed], Also::default())
        .unwrap();
    assert!(journal.conflicts(None, 10).unwrap().is_empty());
    assert_eq!(keys(&load(&journal)), ["A"]);
}

#[test]
fn when_a_record_changed_and_when_its_shops_were_looked_at_is_known() {
    let mut journal = journal();
    let started = |run| Body::RunStarted {
        run,
        lane: Lane::Catalogue,
        revision: Revision(1),
        causes: vec![],
    };
    let finished = |run, through| Body::RunFinished {
        run,
        result: RunResult::Done,
        counts: Counts::default(),
        message: String::new(),
        through,
    };
    let mut write = |seconds, bodies| {
        let written = journal.append(at(seconds), bodies, Also::default());
        written.unwrap();
    };
    let coffee = product("e1", &["A"], "Coffee", 1);
    write(10, vec![started(RUN)]);
    write(20, vec![merged(1, &coffee, &[ERP], &[WEB])]);
    write(30, vec![finished(RUN, vec![(ERP, Kind::Product)])]);
    // Nothing of ours changes, and what a run did not get through was not looked at.
    let next = RunId(RUN.0 + 1);
    let Body::Merged(same) = merged(1, &coffee, &[WEB], &[WEB]) else {
        unreachable!()
    };
    let same = Merged {
        ours: Delta::default(),
        ..same
    };
    write(40, vec![started(next), Body::Merged(same)]);
    write(50, vec![finished(next, vec![])]);
    let chunk = load(&journal);
    assert_eq!(chunk.looked, [(ERP, at(10))].into());
    assert_eq!(chunk.clusters[0].known[0].changed_at, at(20));
}

#[test]
fn c8_one_of_ours_has_one_link_in_a_shop_and_its_items_stay() {
    let mut journal = journal();
    let first = product("p1", &["A", "B"], "Coffee", 690);
    let again = product("p2", &["A"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &first, &[ERP, WEB], &[])]);
    let Body::Merged(mut moved) = merged(1, &again, &[ERP], &[]) else {
        unreachable!()
    };
    for seen in moved.seen.values_mut() {
        seen.anew = true;
    }
    append(&mut journal, vec![Body::Merged(moved)]);
    // The tombstone of the first comes late.
    let gone = lockstep_model::Record::Gone {
        kind: Kind::Product,
        id: "p1".into(),
    };
    let staged = journal.stage(ERP, vec![gone]).unwrap();
    assert_eq!(staged.changed, 0, "it is known to be gone");
    let dearer = Record::Product(product("p2", &["A"], "Coffee", 750));
    journal.stage(ERP, vec![dearer]).unwrap();
    let chunk = load(&journal);
    let at = &chunk.clusters[0].known[0].shops[&ERP];
    assert_eq!(at.id, Some("p2".into()));
    assert_eq!(at.held, again.fields());
    assert!(!at.gone);
}

#[test]
fn c8_the_record_beside_which_another_bears_its_sku_is_read_by_name_until_it_is_gone() {
    let mut journal = journal();
    let first = product("p1", &["A"], "Coffee", 690);
    let doubted = Body::MatchDoubted {
        shop: ERP,
        kind: Kind::Product,
        id: "p2".into(),
        candidates: vec![RecordId(1)],
        by_sku: true,
    };
    append(&mut journal, vec![merged(1, &first, &[ERP], &[]), doubted]);
    let to_read = |journal: &Journal| {
        journal
            .records_to_read(ERP, Kind::Product, None, 10)
            .unwrap()
    };
    assert_eq!(to_read(&journal), ["p1".into()]);
    let Body::Merged(mut gone) = merged(1, &first, &[ERP], &[]) else {
        unreachable!()
    };
    for seen in gone.seen.values_mut() {
        seen.gone = true;
    }
    append(&mut journal, vec![Body::Merged(gone)]);
    assert_eq!(to_read(&journal), ["p2".into()]);
}

#[test]
fn c10_a_record_is_due_once_a_category_that_it_waits_for_is_there() {
    let mut journal = journal();
    let coffee = product("e1", &["A"], "Coffee", 690);
    let awaiting = |awaits: Vec<Awaited>| {
        let Body::Merged(merged) = merged(1, &coffee, &[ERP, WEB], &[]) else {
            unreachable!()
        };
        Body::Merged(Merged {
            awaits: awaits.into_iter().collect(),
            ..merged
        })
    };
    let theirs = Awaited::Theirs {
        shop: ERP,
        id: "c1".into(),
    };
    let ours = Awaited::Ours {
        shop: WEB,
        record: RecordId(2),
    };
    for awaited in [theirs, ours] {
        append(&mut journal, vec![awaiting(vec![awaited.clone()])]);
        let chunk = load(&journal);
        assert!(chunk.clusters.is_empty(), "it waits");
        let (shop, id) = match &awaited {
            Awaited::Theirs { shop, id } => (*shop, id.as_str()),
            Awaited::Ours { shop, .. } => (*shop, "w1"),
        };
        append(
            &mut journal,
            vec![category_merged(2, shop, id, "Garden", &[])],
        );
        let chunk = load(&journal);
        assert_eq!(keys(&chunk), ["A"], "{awaited:?}");
        assert_eq!(chunk.clusters[0].known[0].awaits, [awaited].into());
    }
    append(&mut journal, vec![awaiting(vec![])]);
    assert!(load(&journal).clusters.is_empty());
}

#[test]
fn c10_a_record_whose_category_came_with_the_chunk_in_which_it_began_to_wait_is_due() {
    let coffee = product("e1", &["A"], "Coffee", 690);
    let theirs = Awaited::Theirs {
        shop: ERP,
        id: "c1".into(),
    };
    let ours = Awaited::Ours {
        shop: WEB,
        record: RecordId(2),
    };
    for (awaited, shop, id) in [(theirs, ERP, "c1"), (ours, WEB, "w1")] {
        let mut journal = journal();
        let Body::Merged(mut waits) = merged(1, &coffee, &[ERP, WEB], &[]) else {
            unreachable!()
        };
        waits.awaits = [awaited].into();
        let there = category_merged(2, shop, id, "Garden", &[]);
        append(&mut journal, vec![there, Body::Merged(waits)]);
        assert_eq!(keys(&load(&journal)), ["A"]);
    }
}

#[test]
fn what_hangs_below_a_renamed_category_is_found_under_its_new_path() {
    let mut journal = journal();
    let mut leaf = category_merged(3, ERP, "c3", "Tea\u{1f}Green\u{1f}Sencha", &[WEB]);
    if let Body::Merged(leaf) = &mut leaf {
        leaf.keys.push("Herbs\u{1f}Sencha".into());
    }
    append(
        &mut journal,
        vec![
            category_merged(1, ERP, "c1", "Tea", &[]),
            category_merged(2, ERP, "c2", "Tea\u{1f}Green", &[]),
            leaf,
            category_merged(4, ERP, "c4", "Teapots\u{1f}Green", &[]),
        ],
    );
    let renamed = |keys: &[&str]| match category_merged(1, ERP, "c1", "Teas", &[]) {
        Body::Merged(merged) => Body::Merged(Merged {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..merged
        }),
        _ => unreachable!(),
    };
    let keys_of = |journal: &lockstep_journal::Journal, record: u64| {
        let view = journal.record_view(RecordId(record)).unwrap().unwrap();
        view.keys.join(", ").replace('\u{1f}', "/")
    };
    // While a shop may still show the old name, both lead there.
    append(&mut journal, vec![renamed(&["Tea", "Teas"])]);
    assert_eq!(keys_of(&journal, 2), "Tea/Green, Teas/Green");
    append(&mut journal, vec![renamed(&["Teas"])]);
    assert_eq!(keys_of(&journal, 2), "Teas/Green");
    assert_eq!(keys_of(&journal, 3), "Teas/Green/Sencha, Herbs/Sencha");
    assert_eq!(keys_of(&journal, 4), "Teapots/Green");
    // A shop that shows it under the new path shows this one.
    let page = vec![
        category("9", "Teas", None),
        category("8", "Green", Some("9")),
        category("7", "Sencha", Some("8")),
    ];
    journal.stage(WEB, page).unwrap();
    let third = journal
        .load_catalogue(Kind::Category, None, 100, at(0))
        .unwrap();
    assert!(
        third
            .clusters
            .iter()
            .all(|cluster| cluster.known.len() == 1)
    );
}

#[test]
fn m13_what_a_person_wants_made_again_is_due_there_without_its_old_link() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 690);
    let Body::Merged(mut gone) = merged(1, &coffee, &[ERP, WEB], &[]) else {
        unreachable!()
    };
    gone.seen.get_mut(&WEB).unwrap().gone = true;
    append(&mut journal, vec![Body::Merged(gone)]);
    assert!(load(&journal).clusters.is_empty());
    let forgotten = Body::LinkForgotten {
        shop: WEB,
        kind: Kind::Product,
        id: "p1".into(),
        record: RecordId(1),
        by: "operator".into(),
    };
    append(&mut journal, vec![forgotten]);
    let chunk = load(&journal);
    let shops = &chunk.clusters[0].known[0].shops;
    assert!(shops.contains_key(&ERP) && !shops.contains_key(&WEB));
}
