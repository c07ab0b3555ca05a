//! Cargo, called as a person would call it.

use std::process::Command;

use crate::place;

/// `cargo` in the workspace's root, without what the cargo that runs xtask has told xtask of itself
/// (`CARGO_PKG_NAME`, `CARGO_MANIFEST_DIR` …). Build scripts look at these: with them, ring and all that rests
/// on it would be built again at each change between `cargo xtask …` and plain `cargo …`.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(place::root()).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_the_outer_run) {
            command.env_remove(name);
        }
    }
    command
}

fn is_of_the_outer_run(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_CRATE_NAME",
        "CARGO_BIN_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "OUT_DIR",
    ];
    NAMES.contains(&name) || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_BIN_EXE_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_sets_is_kept_and_what_cargo_run_sets_is_not() {
        for kept in [
            "CARGO_TARGET_DIR",
            "CARGO_INCREMENTAL",
            "CARGO_TERM_COLOR",
            "CARGO_HOME",
        ] {
            assert!(!is_of_the_outer_run(kept), "{kept}");
        }
        for dropped in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_VERSION_MAJOR"] {
            assert!(is_of_the_outer_run(dropped), "{dropped}");
        }
    }
}
