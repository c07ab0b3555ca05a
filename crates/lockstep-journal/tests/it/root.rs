//! The root category of our own: found by its name, and never a part of a path.

use crate::support::*;
use lockstep_journal::Journal;
use lockstep_model::cases::{CatalogueChunk, RootCategory};
use lockstep_model::entry::{Body, Delta, Merged, Seen};
use lockstep_model::{Category, Kind, RecordId};

fn root() -> RootCategory {
    RootCategory {
        name: "Kahvila Oy".into(),
        shops: [WEB].into(),
    }
}

/// All chunks; of each the keys of its clusters and how many rows were staged for it.
fn chunks(journal: &Journal) -> Vec<Vec<(String, usize)>> {
    let (root, mut found, mut after) = (root(), Vec::new(), None::<String>);
    loop {
        let chunk: CatalogueChunk = journal
            .load_categories_under(&root, after.as_deref(), 100, at(0))
            .unwrap();
        let clusters = chunk.clusters.iter();
        found.push(
            clusters
                .map(|cluster| (cluster.key.clone(), cluster.staged.len()))
                .collect(),
        );
        after = chunk.next;
        if after.is_none() {
            found.retain(|chunk: &Vec<_>| !chunk.is_empty());
            return found;
        }
    }
}

fn of(key: &str, staged: usize) -> Vec<(String, usize)> {
    vec![(key.to_owned(), staged)]
}

fn linked(id: &str) -> Body {
    let held = Delta {
        set: Category {
            name: "Kahvila Oy".into(),
            ..Category::default()
        }
        .fields(),
        unset: vec![],
    };
    Body::Merged(Merged {
        run: RUN,
        record: RecordId::ROOT_CATEGORY,
        kind: Kind::Category,
        title: "Kahvila Oy".into(),
        keys: vec![RootCategory::KEY.into()],
        ours: held.clone(),
        seen: [(
            WEB,
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
        due: vec![],
        awaits: Default::default(),
    })
}

#[test]
fn it_comes_first_also_when_nothing_is_known_of_it() {
    let mut journal = journal();
    let page = vec![category("c1", "Garden", None)];
    journal.stage(ERP, page).unwrap();
    assert_eq!(
        chunks(&journal),
        [of(RootCategory::KEY, 0), of("Garden", 1)]
    );
}

#[test]
fn one_of_its_name_is_it_and_the_tree_under_it_is_the_owners() {
    // As after a lost disk: both shops are read for the first time.
    let mut journal = journal();
    let page = vec![
        category("c1", "Garden", None),
        category("c2", "Tools", Some("c1")),
        // The owner's own of that name is one of the tree.
        category("c3", "Kahvila Oy", None),
    ];
    journal.stage(ERP, page).unwrap();
    let page = vec![
        category("3", "Tools", Some("2")),
        category("2", "Garden", Some("1")),
        category("1", "Kahvila Oy", None),
    ];
    journal.stage(WEB, page).unwrap();
    let found = chunks(&journal);
    assert_eq!(found[0], of(RootCategory::KEY, 1));
    let top = vec![("Garden".to_owned(), 2), ("Kahvila Oy".to_owned(), 1)];
    assert_eq!(found[1], top);
    assert_eq!(found[2], of("Garden\u{1f}Tools", 2));
}

#[test]
fn of_two_of_its_name_one_is_it() {
    let mut journal = journal();
    let page = vec![
        category("2", "Kahvila Oy", None),
        category("1", "Kahvila Oy", None),
    ];
    journal.stage(WEB, page).unwrap();
    assert_eq!(
        chunks(&journal),
        [of(RootCategory::KEY, 1), of("Kahvila Oy", 1)]
    );
}

#[test]
fn one_that_is_linked_is_it_whatever_it_is_called_and_also_when_it_is_not_wanted() {
    let mut journal = journal();
    append(&mut journal, vec![linked("9")]);
    let page = vec![
        category("9", "Renamed", None),
        category("8", "Garden", Some("9")),
    ];
    journal.stage(WEB, page).unwrap();
    assert_eq!(
        chunks(&journal),
        [of(RootCategory::KEY, 1), of("Garden", 1)]
    );
    let first = journal
        .load_catalogue(Kind::Category, None, 100, at(0))
        .unwrap();
    assert_eq!(first.clusters[0].known[0].record, RecordId::ROOT_CATEGORY);
    let links = &first.categories.links[&WEB];
    assert_eq!(links[&"9".into()], RecordId::ROOT_CATEGORY);
    assert_eq!(journal.counters().unwrap().record, 1, "it is not counted");
}
