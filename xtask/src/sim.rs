//! `cargo xtask sim`: the simulation, optimised, with whatever it is asked for.

use anyhow::Context;
use clap::Args;

use crate::process::cargo;

#[derive(Args)]
pub struct Options {
    /// As the simulation understands them: --runs N, --from SEED, --seed N, --acts N, --teeth, --mistake NAME
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// False: a seed ends in a violation.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let status = cargo(&[
        "run",
        "--quiet",
        "--release",
        "--package",
        "lockstep-sim",
        "--",
    ])
    .args(&options.arguments)
    .status()
    .context("cargo could not be started")?;
    Ok(status.success())
}
