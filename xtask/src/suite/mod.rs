//! `cargo xtask test` and `cargo xtask services`: servers started while cargo builds, then the runner with
//! their addresses in the environment, then a word about what was skipped.

mod runner;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::place::{self, TempFolder};
use crate::process::{Guard, Interrupt};
use crate::servers::{self, Ground, Outcome, Server, Servers};
use runner::Runner;

/// Where tests find the built `lockstep`.
const BINARY: &str = "LOCKSTEP_TEST_BINARY";

#[derive(clap::Args)]
pub struct Options {
    /// Leave out Medusa and Chromium, and the tests that need them
    #[arg(long)]
    quick: bool,
    /// Only this crate's tests (may be repeated)
    #[arg(long, short)]
    package: Vec<String>,
    /// Start only these servers; the others' tests are skipped
    #[arg(long, value_delimiter = ',')]
    servers: Option<Vec<Server>>,
    /// Passed to the test runner: filters, for example
    #[arg(last = true)]
    rest: Vec<String>,
}

impl Options {
    fn wanted(&self) -> (Vec<Server>, &'static str) {
        match (&self.servers, self.quick) {
            (Some(named), _) => (named.clone(), "left out by --servers"),
            (None, true) => (Server::QUICK.to_vec(), "left out by --quick"),
            (None, false) => (Server::ALL.to_vec(), "not asked for"),
        }
    }
}

/// What every start needs, in the order in which it is taken down: the guard last.
struct Start {
    interrupt: Interrupt,
    target: PathBuf,
    logs: PathBuf,
    cache: PathBuf,
    folder: TempFolder,
    guard: Arc<Guard>,
}

impl Start {
    fn new() -> Result<Self> {
        let interrupt = Interrupt::listen()?;
        let guard = Arc::new(Guard::start()?);
        let target = place::target()?;
        let logs = place::logs(&target)?;
        Ok(Self {
            interrupt,
            logs,
            target,
            cache: place::cache()?,
            folder: TempFolder::new(&guard)?,
            guard,
        })
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            cache: &self.cache,
            folder: self.folder.path(),
            logs: &self.logs,
            interrupt: &self.interrupt,
            guard: &self.guard,
        }
    }

    fn binary(&self) -> PathBuf {
        self.target
            .join("debug")
            .join(format!("lockstep{}", std::env::consts::EXE_SUFFIX))
    }
}

/// Builds, starts, tests, stops. `Ok(false)` when a test failed or a server that is installed did not start.
pub fn test(options: &Options) -> Result<bool> {
    let start = Start::new()?;
    let runner = Runner::choose(&start, &options.package, &options.rest);
    let (wanted, left_out) = options.wanted();

    let (built, mut servers) = std::thread::scope(|scope| {
        let servers = scope.spawn(|| {
            let began = Instant::now();
            (
                Servers::start(&wanted, left_out, start.ground()),
                began.elapsed(),
            )
        });
        let built = runner.build();
        if built.is_err() {
            start.interrupt.raise();
        }
        (built, servers.join())
    });
    let build_time = built?;
    let (servers, servers_time) = match &mut servers {
        Ok((servers, time)) => (servers, *time),
        Err(_) => anyhow::bail!("the thread that starts the servers panicked"),
    };
    start.interrupt.check()?;

    let mut environment = servers::loopback_environment();
    environment.extend(servers.environment.iter().cloned());
    if runner.has_built_binary() {
        environment.push((BINARY, start.binary().display().to_string()));
    }
    let absent: Vec<Server> = servers.absent().map(|(server, _)| server).collect();
    let skipped = runner.count_marked(&absent)?;
    let began = Instant::now();
    let have_passed = runner.run(&environment, &absent)?;
    let test_time = began.elapsed();
    servers.stop();

    summarise(servers, &skipped, [build_time, servers_time, test_time]);
    if servers.are_broken() || !have_passed {
        eprintln!("xtask: logs are in {}", start.logs.display());
    }
    let is_good = have_passed && !servers.are_broken();
    eprintln!("xtask test: {}", if is_good { "passed" } else { "FAILED" });
    Ok(is_good)
}

fn summarise(servers: &Servers, skipped: &[(Server, usize)], [build, start, test]: [Duration; 3]) {
    eprintln!(
        "xtask: build {:.0} s, servers beside it {:.0} s, tests {:.0} s",
        build.as_secs_f64(),
        start.as_secs_f64(),
        test.as_secs_f64()
    );
    for (server, why) in servers.absent() {
        let count = skipped
            .iter()
            .find(|(of, _)| *of == server)
            .map_or(0, |(_, count)| *count);
        eprintln!(
            "SKIPPED: {} ({}) – {count} tests",
            server.name(),
            why.lines().next().unwrap_or_default()
        );
    }
    for (server, outcome) in &servers.outcomes {
        if let Outcome::Broken { why } = outcome {
            eprintln!(
                "FAILED: {} is installed and did not start: {why}",
                server.name()
            );
        }
    }
}

/// Starts the servers, prints what tests want to know of them, and stays until it is interrupted.
pub fn stay(only: &[Server]) -> Result<bool> {
    const LOOK_EVERY: Duration = Duration::from_millis(100);

    let start = Start::new()?;
    let wanted = if only.is_empty() {
        Server::ALL.to_vec()
    } else {
        only.to_vec()
    };
    let servers = Servers::start(&wanted, "not asked for", start.ground());
    start.interrupt.check()?;
    let binary = (BINARY, start.binary().display().to_string());
    for (name, value) in servers::loopback_environment()
        .iter()
        .chain(&servers.environment)
        .chain([&binary])
    {
        println!("export {name}='{value}'");
    }
    eprintln!(
        "xtask: logs are in {}; Ctrl-C stops the servers",
        start.logs.display()
    );
    while !start.interrupt.is_raised() {
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(!servers.are_broken())
}
