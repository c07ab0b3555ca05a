//! Which crate may know which: the borders that hold the design.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

/// As docs/ARCHITECTURE.md draws them. Test-only dependencies are free: a test may know anybody.
const MAY_USE: &[(&str, &[&str])] = &[
    ("lockstep-model", &[]),
    ("lockstep-engine", &["lockstep-model"]),
    ("lockstep-journal", &["lockstep-model"]),
    ("lockstep-connector", &["lockstep-model"]),
    (
        "lockstep-connectors",
        &["lockstep-connector", "lockstep-model"],
    ),
    ("lockstep-protocol", &["lockstep-model"]),
    (
        "lockstep-storage",
        &["lockstep-engine", "lockstep-model", "lockstep-protocol"],
    ),
    (
        "lockstep-coordinator",
        &[
            "lockstep-storage",
            "lockstep-journal",
            "lockstep-protocol",
            "lockstep-engine",
            "lockstep-connector",
            "lockstep-model",
        ],
    ),
    (
        "lockstep-worker",
        &[
            "lockstep-engine",
            "lockstep-journal",
            "lockstep-connector",
            "lockstep-protocol",
            "lockstep-model",
        ],
    ),
    ("lockstep-practice", &[]),
    // Development only: nothing uses it.
    (
        "lockstep-sim",
        &["lockstep-engine", "lockstep-journal", "lockstep-model"],
    ),
    (
        "lockstep",
        &[
            "lockstep-coordinator",
            "lockstep-worker",
            "lockstep-connectors",
            "lockstep-protocol",
            "lockstep-practice",
            "lockstep-model",
        ],
    ),
];

/// What a crate must not even see: IO in the engine, SQL outside of storage and journal.
const NEVER: &[(&str, &[&str])] = &[
    (
        "lockstep-engine",
        &[
            "tokio",
            "reqwest",
            "rusqlite",
            "sea-orm",
            "rand",
            "async-trait",
            "axum",
        ],
    ),
    (
        "lockstep-model",
        &["tokio", "reqwest", "rusqlite", "sea-orm", "rand", "axum"],
    ),
    (
        "lockstep-connectors",
        &["tokio", "reqwest", "rusqlite", "sea-orm", "axum"],
    ),
    (
        "lockstep-coordinator",
        &["rusqlite", "sea-orm", "reqwest", "lockstep-connectors"],
    ),
    (
        "lockstep-worker",
        &["rusqlite", "sea-orm", "axum", "lockstep-connectors"],
    ),
    ("lockstep", &["rusqlite", "sea-orm", "axum"]),
];

#[test]
fn crates_know_only_what_they_may() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .expect("cargo metadata");
    let uses: BTreeMap<String, BTreeSet<String>> = metadata
        .packages
        .iter()
        .map(|package| {
            let dependencies = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .map(|dependency| dependency.name.clone())
                .collect();
            (package.name.to_string(), dependencies)
        })
        .collect();
    for (name, may) in MAY_USE {
        let found = uses.get(*name).unwrap_or_else(|| panic!("{name} is gone"));
        for dependency in found
            .iter()
            .filter(|dependency| dependency.starts_with("lockstep"))
        {
            assert!(
                may.contains(&dependency.as_str()),
                "{name} may not use {dependency}"
            );
        }
    }
    for (name, never) in NEVER {
        for dependency in *never {
            assert!(
                !uses[*name].contains(*dependency),
                "{name} must not depend on {dependency}"
            );
        }
    }
    for name in uses.keys().filter(|name| name.starts_with("lockstep")) {
        assert!(
            MAY_USE.iter().any(|(known, _)| known == name),
            "{name} is not in docs/ARCHITECTURE.md's drawing"
        );
    }
}
