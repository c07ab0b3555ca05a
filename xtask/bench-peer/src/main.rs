//! The other side of the benchmarks, as processes of their own so that their CPU time is counted apart:
//! a server that does the least an axum server can, a client that offers a fixed load, and a worker that
//! does no more than enrol, so that its token can be used for that load.
//! Apart from xtask because xtask is built before anything else and stays small.

mod bare;
mod enrol;
mod load;
mod wire;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The other side of Lockstep's benchmarks")]
struct Arguments {
    #[command(subcommand)]
    command: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Answer every GET with "ok"; prints {"url"} and serves until standard input ends
    BareOk,
    /// Enrol as a worker and print what its polls carry; the operator's login is read from standard input
    Enrol(enrol::Options),
    /// Offer a load for a while and print how it was answered
    Load(load::Options),
}

fn main() -> anyhow::Result<()> {
    let part = Arguments::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match part {
            Part::BareOk => bare::serve().await,
            Part::Enrol(options) => {
                let enrolled = enrol::run(&options).await?;
                println!("{}", serde_json::to_string(&enrolled)?);
                Ok(())
            }
            Part::Load(options) => {
                let report = load::run(&options).await?;
                println!("{}", serde_json::to_string(&report)?);
                Ok(())
            }
        }
    })
}
