//! The real servers that tests speak to: started on loopback and free ports in temporary folders, told
//! to the tests by the environment, stopped at the end. What cannot be had is named with its reason; what
//! was there and did not start is a failure.

mod chromium;
mod mariadb;
mod medusa;
mod npm;
mod packages;
mod postgres;
mod readiness;
mod user;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::place;
use crate::process::{Bounds, Guard, Interrupt, Running, run_to_end};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Server {
    Postgres,
    Mariadb,
    Chromium,
    Medusa,
}

impl Server {
    pub const ALL: [Self; 4] = [Self::Postgres, Self::Mariadb, Self::Chromium, Self::Medusa];
    pub const QUICK: [Self; 2] = [Self::Postgres, Self::Mariadb];

    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mariadb => "MariaDB",
            Self::Chromium => "Chromium",
            Self::Medusa => "Medusa",
        }
    }

    /// What the path of every test contains that needs this server.
    pub fn test_mark(self) -> &'static str {
        match self {
            Self::Postgres => "on_postgres",
            Self::Mariadb => "on_mariadb",
            Self::Chromium => "in_chromium",
            Self::Medusa => "on_medusa",
        }
    }
}

/// Names and values for the tests' environment.
pub type Environment = Vec<(&'static str, String)>;

pub enum Outcome {
    Ready {
        after: Duration,
    },
    /// It is not on this machine and could not be put there: its tests count as skipped.
    Missing {
        why: String,
    },
    /// It is there and did not start: a failure of the run.
    Broken {
        why: String,
    },
    LeftOut {
        why: &'static str,
    },
}

/// Why a server is not there.
pub enum Absence {
    Missing(String),
    Broken(anyhow::Error),
}

/// An error on the way to a server that is installed is a fault of ours or the machine's, not an absence.
impl From<anyhow::Error> for Absence {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

/// One server that answers, what the tests are told of it, and what has to live as long as it does.
pub struct Standing {
    pub environment: Environment,
    pub process: Option<Running>,
    /// The installation that it runs from, kept from being replaced.
    pub _installation: Option<npm::Installation>,
}

/// What each server is started with.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    pub cache: &'a Path,
    pub folder: &'a Path,
    pub logs: &'a Path,
    pub interrupt: &'a Interrupt,
    pub guard: &'a Arc<Guard>,
}

impl Ground<'_> {
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Runs a command to its end, with its output in a log of this name.
    pub fn run(
        &self,
        name: &str,
        command: &mut Command,
        log: &str,
        wait_max: Duration,
    ) -> Result<String> {
        let bounds = Bounds {
            wait_max,
            interrupt: self.interrupt,
            guard: self.guard,
        };
        run_to_end(name, command, &self.log(log), bounds)
    }
}

/// All servers of one start; dropping it stops them, the users of a server before the server.
#[derive(Default)]
pub struct Servers {
    pub outcomes: Vec<(Server, Outcome)>,
    pub environment: Environment,
    standing: Vec<Standing>,
}

impl Servers {
    /// Installs what is missing and starts what is wanted, side by side. Never fails as a whole.
    pub fn start(wanted: &[Server], left_out: &'static str, ground: Ground<'_>) -> Self {
        let mut asked: BTreeSet<Server> = wanted.iter().copied().collect();
        let for_tests = asked.clone();
        if asked.contains(&Server::Medusa) {
            asked.insert(Server::Postgres);
        }
        let packages = packages::ensure(&asked, ground);

        let (postgres, mariadb, chromium, medusa) = std::thread::scope(|scope| {
            let start = |server: Server| asked.contains(&server);
            let medusa_files = start(Server::Medusa)
                .then(|| scope.spawn(|| npm::ensure("medusa", &packages, ground)));
            let chromium = start(Server::Chromium)
                .then(|| scope.spawn(|| timed(|| chromium::start(&packages, ground))));
            let mariadb = start(Server::Mariadb)
                .then(|| scope.spawn(|| timed(|| mariadb::start(&packages, ground))));
            let postgres =
                start(Server::Postgres).then(|| timed(|| postgres::start(&packages, ground)));
            let medusa = medusa_files.map(|files| {
                timed(|| {
                    let files = joined(files)?;
                    match &postgres {
                        Some((Ok(database), _)) => medusa::start(files, database, ground),
                        _ => Err(Absence::Missing(
                            "it needs PostgreSQL, which is not there".to_owned(),
                        )),
                    }
                })
            });
            let postgres =
                postgres.map(|(found, after)| (found.map(|database| database.standing), after));
            (
                postgres,
                mariadb.map(join_timed),
                chromium.map(join_timed),
                medusa,
            )
        });

        let mut servers = Self::default();
        for (server, found) in [
            (Server::Postgres, postgres),
            (Server::Mariadb, mariadb),
            (Server::Chromium, chromium),
            (Server::Medusa, medusa),
        ] {
            servers.add(
                server,
                found,
                for_tests.contains(&server),
                left_out,
                ground.interrupt,
            );
        }
        servers
    }

    fn add(
        &mut self,
        server: Server,
        found: Option<(Result<Standing, Absence>, Duration)>,
        is_for_tests: bool,
        left_out: &'static str,
        interrupt: &Interrupt,
    ) {
        let outcome = match found {
            None => Outcome::LeftOut { why: left_out },
            Some((Ok(standing), after)) => {
                if is_for_tests {
                    self.environment
                        .extend(standing.environment.iter().cloned());
                }
                self.standing.push(standing);
                if is_for_tests {
                    Outcome::Ready { after }
                } else {
                    Outcome::LeftOut { why: left_out }
                }
            }
            Some((Err(Absence::Missing(why)), _)) => Outcome::Missing { why },
            Some((Err(Absence::Broken(error)), _)) => Outcome::Broken {
                why: format!("{error:#}"),
            },
        };
        // What an interrupt cut short is nobody's fault.
        match &outcome {
            _ if interrupt.is_raised() => {}
            Outcome::Ready { after } => {
                eprintln!(
                    "xtask: {} is ready after {:.1} s",
                    server.name(),
                    after.as_secs_f64()
                );
            }
            Outcome::Missing { why } => eprintln!(
                "xtask: !!! {} IS MISSING: {why}\nxtask: !!! tests with {} in their path are SKIPPED",
                server.name(),
                server.test_mark()
            ),
            Outcome::Broken { why } => {
                eprintln!("xtask: !!! {} DID NOT START: {why}", server.name())
            }
            Outcome::LeftOut { .. } => {}
        }
        self.outcomes.push((server, outcome));
    }

    /// The servers whose tests must not run, with the reason.
    pub fn absent(&self) -> impl Iterator<Item = (Server, &str)> {
        self.outcomes
            .iter()
            .filter_map(|(server, outcome)| match outcome {
                Outcome::Ready { .. } => None,
                Outcome::Missing { why } | Outcome::Broken { why } => Some((*server, why.as_str())),
                Outcome::LeftOut { why } => Some((*server, *why)),
            })
    }

    pub fn are_broken(&self) -> bool {
        self.outcomes
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Broken { .. }))
    }

    pub fn stop(&mut self) {
        while let Some(mut standing) = self.standing.pop() {
            if let Some(process) = &mut standing.process {
                process.stop();
            }
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop();
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began.elapsed())
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T, Absence>>) -> Result<T, Absence> {
    thread.join().unwrap_or_else(|_| {
        Err(Absence::Broken(anyhow::anyhow!(
            "the thread that started it panicked"
        )))
    })
}

fn join_timed<T>(
    thread: std::thread::ScopedJoinHandle<'_, (Result<T, Absence>, Duration)>,
) -> (Result<T, Absence>, Duration) {
    thread.join().unwrap_or_else(|_| {
        (
            Err(Absence::Broken(anyhow::anyhow!(
                "the thread that started it panicked"
            ))),
            Duration::ZERO,
        )
    })
}

/// 128 random bits in hex, for passwords that live as long as one start.
fn random_hex() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Keeps a proxy of the machine's from seeing what tests send to loopback.
pub fn loopback_environment() -> Environment {
    let mut environment = Environment::new();
    for name in ["NO_PROXY", "no_proxy"] {
        let known = std::env::var(name).unwrap_or_default();
        let joiner = if known.is_empty() { "" } else { "," };
        environment.push((name, format!("{known}{joiner}127.0.0.1,localhost")));
    }
    environment
}

/// Where the folder with xtask's own files for a server lies in the clone.
fn own_files(name: &str) -> PathBuf {
    place::root().join("xtask").join(name)
}
