//! Which crate may know which: the borders that docs/ARCHITECTURE.md draws, held by `cargo metadata`.
//! Dependencies that only tests use are free.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata};

/// Each crate with the crates of ours that it may use.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("lockstep-model", &[]),
    ("lockstep-engine", &["lockstep-model"]),
    ("lockstep-journal", &["lockstep-model"]),
    ("lockstep-connector", &["lockstep-model"]),
    (
        "lockstep-connectors",
        &["lockstep-connector", "lockstep-model"],
    ),
    ("lockstep-protocol", &["lockstep-model"]),
    ("lockstep-storage", &["lockstep-engine", "lockstep-model"]),
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
    (
        "lockstep-sim",
        &[
            "lockstep-coordinator",
            "lockstep-worker",
            "lockstep-connectors",
            "lockstep-connector",
            "lockstep-protocol",
            "lockstep-practice",
            "lockstep-storage",
            "lockstep-journal",
            "lockstep-engine",
            "lockstep-model",
        ],
    ),
    ("xtask", &[]),
    (
        "bench-peer",
        &[
            "lockstep-connectors",
            "lockstep-connector",
            "lockstep-protocol",
            "lockstep-journal",
            "lockstep-engine",
            "lockstep-model",
        ],
    ),
];

/// Libraries that only these crates may use, and why.
const KEPT_TO: [(&str, &[&str], &str); 4] = [
    (
        "sea-orm",
        &["lockstep-storage"],
        "only storage speaks to the coordinator's database",
    ),
    (
        "sea-orm-migration",
        &["lockstep-storage"],
        "only storage speaks to the coordinator's database",
    ),
    (
        "rusqlite",
        &["lockstep-journal", "lockstep-practice", "bench-peer"],
        "SQL of the worker's file is the journal's",
    ),
    (
        "reqwest",
        &[
            "lockstep-worker",
            "lockstep-practice",
            "lockstep",
            "bench-peer",
        ],
        "only the worker talks to shops, the coordinator calls nobody",
    ),
];

/// What the pure crates must not have: IO, async, randomness.
const PURE: [&str; 2] = ["lockstep-model", "lockstep-engine"];
const IMPURE: [&str; 10] = [
    "tokio",
    "futures",
    "async-trait",
    "reqwest",
    "hyper",
    "axum",
    "rusqlite",
    "sea-orm",
    "rand",
    "rustix",
];

/// One dependency: of whom, on whom.
type Edge = (String, String);

pub fn faults(metadata: &Metadata) -> Vec<String> {
    let edges: BTreeSet<Edge> = metadata
        .workspace_packages()
        .into_iter()
        .flat_map(|package| {
            let kept = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development);
            kept.map(|dependency| (package.name.to_string(), dependency.name.clone()))
        })
        .collect();
    let members: BTreeSet<String> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| package.name.to_string())
        .collect();
    faults_of(&members, &edges)
}

fn faults_of(members: &BTreeSet<String>, edges: &BTreeSet<Edge>) -> Vec<String> {
    let mut faults = Vec::new();
    for member in members {
        if !MAY_USE.iter().any(|(known, _)| known == member) {
            faults.push(format!(
                "{member} is not in the table of crate edges (xtask/src/check/edges.rs)"
            ));
        }
    }
    for (user, used) in edges {
        let allowed = MAY_USE
            .iter()
            .find(|(known, _)| known == user)
            .map_or(&[][..], |(_, allowed)| allowed);
        if members.contains(used) && !allowed.contains(&used.as_str()) {
            faults.push(format!("{user} may not use {used}"));
        }
        if let Some((_, keepers, why)) = KEPT_TO.iter().find(|(library, _, _)| library == used)
            && !keepers.contains(&user.as_str())
        {
            faults.push(format!("{user} may not use {used}: {why}"));
        }
        if PURE.contains(&user.as_str()) && IMPURE.contains(&used.as_str()) {
            faults.push(format!("{user} is pure and may not use {used}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edges: &[(&str, &str)]) -> Vec<String> {
        let members = MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect();
        let edges = edges
            .iter()
            .map(|(user, used)| ((*user).to_owned(), (*used).to_owned()))
            .collect();
        faults_of(&members, &edges)
    }

    #[test]
    fn the_workspace_keeps_its_edges() {
        let metadata = cargo_metadata::MetadataCommand::new()
            .current_dir(crate::place::root())
            .no_deps()
            .exec()
            .expect("the workspace");
        assert_eq!(faults(&metadata), Vec::<String>::new());
    }

    #[test]
    fn an_edge_that_is_not_drawn_is_a_fault() {
        assert_eq!(
            check(&[("lockstep-worker", "lockstep-engine")]),
            Vec::<String>::new()
        );
        assert_eq!(
            check(&[("lockstep-engine", "lockstep-storage")]),
            ["lockstep-engine may not use lockstep-storage"]
        );
    }

    #[test]
    fn a_pure_crate_with_async_and_a_coordinator_with_a_client_are_faults() {
        assert_eq!(
            check(&[("lockstep-engine", "tokio")]),
            ["lockstep-engine is pure and may not use tokio"]
        );
        assert_eq!(
            check(&[("lockstep-coordinator", "reqwest")]),
            [
                "lockstep-coordinator may not use reqwest: only the worker talks to shops, the coordinator calls nobody"
            ]
        );
    }

    #[test]
    fn a_crate_without_a_row_is_a_fault() {
        let members = BTreeSet::from(["lockstep-new".to_owned()]);
        assert_eq!(faults_of(&members, &BTreeSet::new()).len(), 1);
    }
}
