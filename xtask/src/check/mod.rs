//! `cargo xtask check`: what can be said about the code without running it.

mod edges;
mod licences;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::place;
use crate::process::{Guard, Interrupt, cargo, run_in_foreground};

const CARGO_MAX: Duration = Duration::from_secs(20 * 60);

/// Runs every check, also after one has failed, and says which did. The quick ones come first.
pub fn run() -> Result<bool> {
    let interrupt = Interrupt::listen()?;
    let guard = Arc::new(Guard::start()?);
    let metadata = read_workspace()?;
    let run_cargo = |arguments: &[&str]| {
        let mut command = cargo(arguments);
        let status = run_in_foreground(&mut command, CARGO_MAX, &interrupt, &guard)?;
        Ok(if status.success() {
            Vec::new()
        } else {
            vec![format!("`cargo {}` failed", arguments.join(" "))]
        })
    };
    type Check<'a> = (&'a str, &'a dyn Fn() -> Result<Vec<String>>);
    let checks: [Check<'_>; 5] = [
        ("formatting", &|| run_cargo(&["fmt", "--all", "--check"])),
        ("words", &|| words::faults(place::root())),
        ("crate edges", &|| Ok(edges::faults(&metadata))),
        ("licences", &|| Ok(licences::faults(&metadata))),
        ("lints", &|| {
            run_cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        }),
    ];

    let mut failed = Vec::new();
    for (name, check) in checks {
        interrupt.check()?;
        let began = Instant::now();
        let faults = check()?;
        for fault in &faults {
            eprintln!("  {fault}");
        }
        let verdict = if faults.is_empty() { "ok" } else { "FAILED" };
        eprintln!(
            "xtask check: {name}: {verdict} ({:.1} s)",
            began.elapsed().as_secs_f64()
        );
        if !faults.is_empty() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        eprintln!("xtask check: passed");
    } else {
        eprintln!("xtask check: failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

/// The workspace and all that it depends on, on every platform, as the committed lock file has it.
fn read_workspace() -> Result<Metadata> {
    MetadataCommand::new()
        .current_dir(place::root())
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .context("cargo cannot read the workspace, or Cargo.lock does not fit the Cargo.toml files")
}
