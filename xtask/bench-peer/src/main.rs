//! The other side of the benchmarks, as processes of their own so that their CPU time is counted apart:
//! a server that does the least an axum server can, a client that offers a fixed load, a worker that
//! does no more than enrol, and the person who lets workers in, saves customers and counts what crossed.
//! Apart from xtask because xtask is built before anything else and stays small.

mod append;
mod bare;
mod bare_plan;
mod client;
mod enrol;
mod load;
mod merge;
mod trial;
mod usage;
mod wire;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

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
    /// Enrol as a worker and print what its polls carry. Read: what the coordinator said
    Enrol,
    /// Print a token that lets one worker join. Read: what the coordinator said
    Join,
    /// Save the trial's customer. Read: {coordinator, source, target}
    Customer,
    /// Print what a practice shop was asked, and begin anew. Read: what the shop said
    Asked,
    /// Change a part of the source's catalogue. Read: {coordinator, source, target, percent}
    Edit,
    /// Compare the trial's shops record by record. Read: {coordinator, source, target}
    Crossed,
    /// Fill a customer's file with what two shops have, read and not yet dealt with
    Stage(merge::Options),
    /// Merge and plan all of it as the worker does
    Plan(merge::Options),
    /// Read and write the rows of that plan with bare SQLite
    BarePlan(merge::Options),
    /// Append entries to a journal and restore it from its segments, both beside the bare disk
    Journal(append::Options),
    /// Offer a load for a while and print how it was answered
    Load(load::Options),
}

fn main() -> Result<()> {
    let part = Arguments::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match part {
            Part::BareOk => bare::serve().await,
            Part::Enrol => print(&enrol::run(read()?).await?),
            Part::Join => print(&trial::join(read()?).await?),
            Part::Customer => print(&trial::customer(read()?).await?),
            Part::Asked => print(&trial::asked(read()?).await?),
            Part::Edit => print(&trial::edit(read()?).await?),
            Part::Crossed => print(&trial::crossed(read()?).await?),
            Part::Stage(options) => print(&merge::stage(&options)?),
            Part::Plan(options) => print(&merge::plan(&options)?),
            Part::BarePlan(options) => print(&bare_plan::run(&options)?),
            Part::Journal(options) => print(&append::run(&options)?),
            Part::Load(options) => print(&load::run(&options).await?),
        }
    })
}

/// Standard input, where tokens are read from: arguments can be seen by everybody.
fn read<T: DeserializeOwned>() -> Result<T> {
    serde_json::from_reader(std::io::stdin().lock())
        .context("standard input is not what is read here")
}

fn print(answer: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}
