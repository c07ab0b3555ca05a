//! Developer commands: `cargo xtask check | test | services | bench`. Builds, starts and measures; nothing of
//! it is shipped. `xtask/README.md` is the guide.

mod bench;
mod check;
mod place;
mod process;
mod servers;
mod sim;
mod suite;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::servers::Server;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks, tests and measures Lockstep")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Formatting, lints, crate edges, words, licences
    Check,
    /// Start the servers that tests need, run all tests, stop everything
    Test(suite::Options),
    /// Start the servers, print their environment, stay until Ctrl-C
    Services {
        /// Only these
        #[arg(long, value_delimiter = ',')]
        only: Vec<Server>,
    },
    /// Search the simulation's seeds for a violation, or replay one
    Sim(sim::Options),
    /// Measure the release build; each benchmark's last line is one JSON object
    Bench(bench::Options),
    /// What outlives a killed xtask and cleans up; started by xtask itself
    #[command(name = process::guard::SUBCOMMAND, hide = true)]
    Guard,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Task::Check => check::run(),
        Task::Test(options) => suite::test(&options),
        Task::Services { only } => suite::stay(&only),
        Task::Sim(options) => sim::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Guard => {
            process::guard::keep_watch(std::io::stdin().lock());
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
