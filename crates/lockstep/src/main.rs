//! The binary `lockstep`: sub-commands, configuration, logging. Chooses; does nothing itself.

mod arguments;
mod commands;
mod config;
mod exit;
mod logging;
mod people;
mod print;
mod system;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    system::write_for_ourselves();
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not mistakes.
            let wrong = error.use_stderr();
            let printed = error.print().is_ok();
            return if wrong || !printed {
                exit::Exit::WrongUse.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    // One TLS library for the process, before anything speaks TLS.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        print::trouble(&anyhow::anyhow!("TLS was set up twice"));
        return exit::Exit::Failed.into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            print::trouble(&anyhow::Error::new(error).context("lockstep could not start"));
            return exit::Exit::Failed.into();
        }
    };
    let code = runtime.block_on(commands::run(arguments));
    // Whatever still runs was told to stop already; a stuck call must not hold the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code.into()
}
