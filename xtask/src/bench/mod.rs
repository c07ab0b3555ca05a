//! `cargo xtask bench`: measures the release build against what is possible. Each benchmark prints lines for
//! people and ends with one JSON object `{name, ratio, unit, ours, other, …}`, where a higher ratio is better.

mod enrolment;
mod file;
mod peer;
mod polls;
mod sync;
mod usage;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Map, Value};

use crate::place::{self, TempFolder};
use crate::process::{Guard, Interrupt, cargo, run_in_foreground};

const BUILD_MAX: Duration = Duration::from_secs(30 * 60);

#[derive(clap::Args)]
pub struct Options {
    /// Only this benchmark
    #[arg(long)]
    only: Option<String>,
    /// Only the JSON lines on standard output
    #[arg(long)]
    json: bool,
}

/// What a benchmark runs with.
pub struct Bench {
    pub binary: PathBuf,
    pub peer: PathBuf,
    pub folder: TempFolder,
    pub logs: PathBuf,
    pub interrupt: Interrupt,
    pub guard: Arc<Guard>,
    is_json: bool,
}

impl Bench {
    /// A line for people: beside the JSON on standard output, or on standard error when only JSON is wanted.
    pub fn say(&self, line: &str) {
        if self.is_json {
            eprintln!("{line}")
        } else {
            println!("{line}")
        }
    }
}

impl Bench {
    /// Our binary, without what the person at the keyboard has set.
    pub fn lockstep(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LOCKSTEP_") {
                command.env_remove(name);
            }
        }
        command
    }
}

/// A benchmark's last line.
pub struct Figures {
    pub name: &'static str,
    pub ratio: f64,
    pub unit: &'static str,
    pub ours: f64,
    pub other: f64,
    pub more: Map<String, Value>,
}

impl Figures {
    fn to_json(&self) -> Value {
        let mut all = Map::new();
        all.insert("name".to_owned(), self.name.into());
        all.insert("ratio".to_owned(), rounded(self.ratio).into());
        all.insert("unit".to_owned(), self.unit.into());
        all.insert("ours".to_owned(), rounded(self.ours).into());
        all.insert("other".to_owned(), rounded(self.other).into());
        all.extend(self.more.clone());
        Value::Object(all)
    }
}

/// Four digits say all that a measurement on a shared machine knows.
fn rounded(figure: f64) -> f64 {
    (figure * 10_000.0).round() / 10_000.0
}

struct Benchmark {
    name: &'static str,
    measures: &'static str,
    /// What it is made of; no more is built.
    packages: &'static [&'static str],
    run: fn(&Bench) -> Result<Figures>,
    /// Runs only when it is named: it says something about the machine, not about Lockstep.
    is_extra: bool,
}

const ALL: [Benchmark; 7] = [
    Benchmark {
        name: "polls",
        measures: "CPU of an unchanged poll beside a bare axum \"ok\" at the same offered load",
        packages: &["lockstep", "bench-peer"],
        run: polls::run,
        is_extra: false,
    },
    Benchmark {
        name: "first_sync",
        measures: "first and no-change sync of 10,000 products between two practice shops",
        packages: &["lockstep", "bench-peer"],
        run: sync::first_sync,
        is_extra: false,
    },
    Benchmark {
        name: "memory",
        measures: "the worker's peak memory at 10,000 and at 100,000 products",
        packages: &["lockstep", "bench-peer"],
        run: sync::memory,
        is_extra: false,
    },
    Benchmark {
        name: "merge",
        measures: "merge and plan of 1,000,000 records, and the memory beside that of 100,000",
        packages: &["bench-peer"],
        run: file::merge,
        is_extra: false,
    },
    Benchmark {
        name: "journal",
        measures: "entries appended and restored beside bare SQLite and a bare file",
        packages: &["bench-peer"],
        run: file::journal,
        is_extra: false,
    },
    Benchmark {
        name: "calls",
        measures: "calls to the shops when 1 %, 10 % and all of a catalogue have changed, beside the least possible",
        packages: &["lockstep", "bench-peer"],
        run: sync::calls,
        is_extra: false,
    },
    Benchmark {
        name: "noise",
        measures: "the bare axum \"ok\" beside itself: what a ratio is worth on this machine",
        packages: &["bench-peer"],
        run: polls::noise,
        is_extra: true,
    },
];

/// Builds the release binaries and runs the chosen benchmarks, the others too when one fails; then it is `Ok(false)`.
pub fn run(options: &Options) -> Result<bool> {
    let chosen: Vec<&Benchmark> = ALL
        .iter()
        .filter(|benchmark| {
            options
                .only
                .as_deref()
                .map_or(!benchmark.is_extra, |only| only == benchmark.name)
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|benchmark| benchmark.name).collect();
        bail!(
            "there is no benchmark of that name; there are {}",
            names.join(", ")
        );
    }
    let interrupt = Interrupt::listen()?;
    let guard = Arc::new(Guard::start()?);
    let packages: BTreeSet<&str> = chosen
        .iter()
        .flat_map(|benchmark| benchmark.packages.iter().copied())
        .collect();
    let mut build = cargo(&["build", "--release"]);
    build.args(packages.iter().flat_map(|package| ["--package", package]));
    if !run_in_foreground(&mut build, BUILD_MAX, &interrupt, &guard)?.success() {
        bail!("the release build failed");
    }
    let target = place::target()?;
    let bench = Bench {
        binary: target.join("release/lockstep"),
        folder: TempFolder::new(&guard)?,
        peer: target.join("release/bench-peer"),
        logs: place::logs(&target)?,
        interrupt,
        guard,
        is_json: options.json,
    };
    let mut are_all_done = true;
    for benchmark in chosen {
        bench.interrupt.check()?;
        bench.say(&format!("{}: {}", benchmark.name, benchmark.measures));
        match (benchmark.run)(&bench) {
            Ok(figures) => println!("{}", figures.to_json()),
            Err(error) => {
                eprintln!("{}: {error:#}", benchmark.name);
                eprintln!("xtask: logs are in {}", bench.logs.display());
                are_all_done = false;
            }
        }
    }
    Ok(are_all_done)
}
