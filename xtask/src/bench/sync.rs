//! A first sync and one without changes, of a catalogue from one practice shop to another: calls beside the
//! least that the manifest's pages and batches permit, wall and CPU time, and the worker's peak memory. The
//! worker is a process of its own that does one round (`lockstep worker sync`), and what it left in the shops is
//! compared record by record before any figure counts.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::peer::{Server, ask_peer};
use super::usage::{cpu_seconds, memory_peak_bytes};
use super::{Bench, Figures};

const PRODUCTS: u32 = 10_000;
const PRODUCTS_MANY: u32 = 100_000;
const ROUND_MAX: Duration = Duration::from_secs(30 * 60);
/// A peak grows only, so a look at this pace misses at most what came up in its last moment.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const MIB: f64 = 1024.0 * 1024.0;

/// What one round of the worker took.
struct Round {
    wall_seconds: f64,
    cpu_seconds: f64,
    memory_peak_bytes: u64,
    calls: u64,
    routes: Value,
}

/// What `bench-peer asked` prints.
#[derive(Deserialize)]
struct Asked {
    total: u64,
    counts: Value,
}

/// What `bench-peer crossed` prints.
#[derive(Deserialize)]
struct Crossed {
    products: u64,
    categories: u64,
    levels: u64,
    different: u64,
    least_first: u64,
    least_unchanged: u64,
}

impl Crossed {
    fn records(&self) -> u64 {
        self.products + self.categories + self.levels
    }
}

struct Measured {
    first: Round,
    /// Sees what the first wrote come back in the target's feed, and writes nothing.
    second: Round,
    unchanged: Round,
    crossed: Crossed,
}

/// A coordinator, two shops and a worker's folder, for one catalogue.
struct Trial<'a> {
    bench: &'a Bench,
    servers: Value,
    shops: [Server<'a>; 2],
    coordinator: Server<'a>,
    worker_data: std::path::PathBuf,
}

impl<'a> Trial<'a> {
    fn set_up(bench: &'a Bench, name: &str, products: u32) -> Result<Self> {
        let folder = bench.folder.path().join(format!("{name}-{products}"));
        bench.say(&format!("  a shop with {products} products is made …"));
        let source = shop(bench, "source", &folder.join("source"), products)?;
        let target = shop(bench, "target", &folder.join("target"), 0)?;
        let coordinator = Server::coordinator(bench, &folder.join("coordinator"))?;
        let servers = json!({
            "coordinator": coordinator.said,
            "source": source.said,
            "target": target.said,
        });
        let worker_data = folder.join("worker");
        let trial = Self {
            bench,
            servers,
            shops: [source, target],
            coordinator,
            worker_data,
        };
        trial.let_worker_in()?;
        ask_peer(bench, "customer", &trial.servers)?;
        Ok(trial)
    }

    /// A first round, before there is a customer: the worker joins.
    fn let_worker_in(&self) -> Result<()> {
        let join = ask_peer(self.bench, "join", &self.coordinator.said)?;
        let token = join["token"].as_str().context("no join token")?.to_owned();
        let mut command = self.worker()?;
        command.env("LOCKSTEP_JOIN", token);
        self.run(command).map(drop)
    }

    fn worker(&self) -> Result<Command> {
        let mut command = self.bench.lockstep();
        command
            .args(["worker", "sync", "--json", "--name", "benchmark"])
            .args(["--allow-address", "loopback"])
            .args(["--coordinator", self.coordinator.url()?, "--data"])
            .arg(&self.worker_data);
        Ok(command)
    }

    /// One round of the worker with a customer, and what it asked of the shops.
    fn round(&self, name: &str) -> Result<Round> {
        self.asked()?;
        let (wall, cpu_seconds, memory_peak_bytes) = self.run(self.worker()?)?;
        let [source, target] = self.asked()?;
        let round = Round {
            wall_seconds: wall.as_secs_f64(),
            cpu_seconds,
            memory_peak_bytes,
            calls: source.total + target.total,
            routes: json!({ "source": source.counts, "target": target.counts }),
        };
        self.bench.say(&format!(
            "  {name:<10} {} calls · wall {:.1} s, CPU {:.1} s, peak {:.1} MiB",
            round.calls,
            round.wall_seconds,
            round.cpu_seconds,
            round.memory_peak_bytes as f64 / MIB
        ));
        Ok(round)
    }

    /// Rounds until one costs what the one before it did: what was written has come back, and the webhooks that a shop
    /// is told once are told.
    fn until_nothing_follows(&self) -> Result<()> {
        let mut before = None;
        for _ in 0..ROUNDS_TO_SETTLE_MAX {
            let calls = self.round("and again")?.calls;
            if before == Some(calls) {
                return Ok(());
            }
            before = Some(calls);
        }
        bail!("after {ROUNDS_TO_SETTLE_MAX} rounds without a change the calls still differ")
    }

    /// What both shops were asked since the last time.
    fn asked(&self) -> Result<[Asked; 2]> {
        let ask = |shop: &Server<'_>| -> Result<Asked> {
            let asked = ask_peer(self.bench, "asked", &shop.said)?;
            serde_json::from_value(asked).context("a shop's counters cannot be read")
        };
        Ok([ask(&self.shops[0])?, ask(&self.shops[1])?])
    }

    /// Runs the worker to its end and watches what it uses.
    fn run(&self, mut command: Command) -> Result<(Duration, f64, u64)> {
        let bench = self.bench;
        let output = bench.logs.join("worker.out");
        let out = std::fs::File::create(&output).context("no output can be written")?;
        let log = std::fs::File::create(bench.logs.join("worker.log"))
            .context("no log can be written")?;
        let began = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("the worker could not be started")?;
        bench.guard.add_group(child.id());
        let watched = watch(child, began, bench);
        let said = std::fs::read_to_string(&output).unwrap_or_default();
        let (status, wall, cpu, peak) = watched?;
        if !status.success() {
            bail!(
                "the worker's round ended with {status}: {}(logs: {})",
                said,
                bench.logs.display()
            );
        }
        Ok((wall, cpu, peak))
    }

    fn crossed(&self) -> Result<Crossed> {
        let crossed: Crossed =
            serde_json::from_value(ask_peer(self.bench, "crossed", &self.servers)?)
                .context("the comparison cannot be read")?;
        if crossed.different > 0 {
            bail!(
                "{} of {} levels differ: a sync that is not complete is not measured",
                crossed.different,
                crossed.levels
            );
        }
        Ok(crossed)
    }
}

type Watched = (std::process::ExitStatus, Duration, f64, u64);

fn watch(mut child: Child, began: Instant, bench: &Bench) -> Result<Watched> {
    let id = child.id();
    let (mut cpu, mut peak) = (0.0, 0);
    let ended = loop {
        // Gone between two looks: the last look stands.
        cpu = cpu_seconds(id).unwrap_or(cpu);
        peak = memory_peak_bytes(id).unwrap_or(peak);
        if let Some(status) = child.try_wait().context("the worker cannot be watched")? {
            break Ok((status, began.elapsed(), cpu, peak));
        }
        if bench.interrupt.is_raised() || began.elapsed() > ROUND_MAX {
            child.kill().context("the worker cannot be killed")?;
            child.wait().context("the worker cannot be waited for")?;
            break Err(anyhow::anyhow!(
                "the worker's round took {} s and was ended",
                began.elapsed().as_secs()
            ));
        }
        std::thread::sleep(LOOK_EVERY);
    };
    bench.guard.forget_group(id);
    ended
}

fn shop<'a>(
    bench: &'a Bench,
    name: &'static str,
    folder: &Path,
    products: u32,
) -> Result<Server<'a>> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut command = bench.lockstep();
    command
        .args([
            "practice-shop",
            "--listen",
            "127.0.0.1:0",
            "--json",
            "--name",
            name,
            "--data",
        ])
        .arg(folder)
        .args(["--products", &products.to_string(), "--variants", "1"]);
    Server::start(bench, name, &mut command)
}

fn measure(bench: &Bench, name: &str, products: u32) -> Result<Measured> {
    let trial = Trial::set_up(bench, name, products)?;
    let first = trial.round("first")?;
    let crossed = trial.crossed()?;
    let second = trial.round("second")?;
    let unchanged = trial.round("unchanged")?;
    bench.say(&format!(
        "  {} records crossed ({} products, {} categories, {} levels); at least {} calls, unchanged {}",
        crossed.records(),
        crossed.products,
        crossed.categories,
        crossed.levels,
        crossed.least_first,
        crossed.least_unchanged
    ));
    Ok(Measured {
        first,
        second,
        unchanged,
        crossed,
    })
}

/// Calls per record of a first sync beside the least possible; the sync without changes beside it.
pub fn first_sync(bench: &Bench) -> Result<Figures> {
    let Measured {
        first,
        second,
        unchanged,
        crossed,
    } = measure(bench, "first_sync", PRODUCTS)?;
    let each = |calls: u64| calls as f64 / crossed.records().max(1) as f64;
    let shown = |round: &Round, least: u64| {
        json!({
            "calls": round.calls,
            "least_calls": least,
            "wall_seconds": round.wall_seconds,
            "cpu_seconds": round.cpu_seconds,
            "memory_peak_mib": round.memory_peak_bytes as f64 / MIB,
            "routes": round.routes,
        })
    };
    let mut more = Map::new();
    more.insert("records".to_owned(), crossed.records().into());
    more.insert("first".to_owned(), shown(&first, crossed.least_first));
    more.insert("second".to_owned(), shown(&second, crossed.least_unchanged));
    more.insert(
        "unchanged".to_owned(),
        shown(&unchanged, crossed.least_unchanged),
    );
    Ok(Figures {
        name: "first_sync",
        ratio: crossed.least_first as f64 / first.calls.max(1) as f64,
        unit: "API calls per record",
        ours: each(first.calls),
        other: each(crossed.least_first),
        more,
    })
}

const PERCENTS: [u32; 3] = [1, 10, 100];
const ROUNDS_TO_SETTLE_MAX: u32 = 6;

/// What `bench-peer edit` prints.
#[derive(Deserialize)]
struct Edited {
    products: u64,
    least_calls: u64,
    least_echo: u64,
}

/// Calls per changed record when a part of the catalogue has another price and another level, beside the least.
pub fn calls(bench: &Bench) -> Result<Figures> {
    let trial = Trial::set_up(bench, "calls", PRODUCTS)?;
    trial.round("first")?;
    trial.crossed()?;
    trial.until_nothing_follows()?;
    let (mut records, mut calls, mut least) = (0, 0, 0);
    let mut more = Map::new();
    for percent in PERCENTS {
        let mut input = trial.servers.clone();
        input["percent"] = percent.into();
        let edited: Edited = serde_json::from_value(ask_peer(bench, "edit", &input)?)
            .context("what was edited cannot be read")?;
        let round = trial.round(&format!("{percent} %"))?;
        trial.crossed()?;
        let echo = trial.round("its echo")?;
        // A price and a level of each.
        let changed = 2 * edited.products;
        bench.say(&format!(
            "  {changed} records changed; at least {} calls, and {} for their echo",
            edited.least_calls, edited.least_echo
        ));
        more.insert(
            format!("{percent}_percent"),
            json!({
                "records": changed,
                "calls": round.calls,
                "least_calls": edited.least_calls,
                "per_record": round.calls as f64 / changed.max(1) as f64,
                "routes": round.routes,
                "echo": { "calls": echo.calls, "least_calls": edited.least_echo, "routes": echo.routes },
                "wall_seconds": round.wall_seconds,
                "cpu_seconds": round.cpu_seconds,
            }),
        );
        records += changed;
        calls += round.calls;
        least += edited.least_calls;
    }
    let each = |calls: u64| calls as f64 / records.max(1) as f64;
    more.insert("records".to_owned(), records.into());
    Ok(Figures {
        name: "calls",
        ratio: least as f64 / calls.max(1) as f64,
        unit: "API calls per changed record",
        ours: each(calls),
        other: each(least),
        more,
    })
}

/// The worker's peak with ten times as many products, beside the peak with the fewer.
pub fn memory(bench: &Bench) -> Result<Figures> {
    let few = measure(bench, "memory", PRODUCTS)?.first;
    let many = measure(bench, "memory", PRODUCTS_MANY)?.first;
    let [few_mib, many_mib] = [&few, &many].map(|round| round.memory_peak_bytes as f64 / MIB);
    let mut more = Map::new();
    more.insert("products".to_owned(), json!([PRODUCTS_MANY, PRODUCTS]));
    more.insert(
        "wall_seconds".to_owned(),
        json!([many.wall_seconds, few.wall_seconds]),
    );
    more.insert(
        "cpu_seconds".to_owned(),
        json!([many.cpu_seconds, few.cpu_seconds]),
    );
    more.insert(
        "aim".to_owned(),
        "ours at most 64 MiB and at most 1.2 times the other".into(),
    );
    Ok(Figures {
        name: "memory",
        ratio: few_mib / many_mib,
        unit: "MiB, peak of the worker's process in a first sync",
        ours: many_mib,
        other: few_mib,
        more,
    })
}
