//! `cargo xtask sim`: searches seeds for a violation, or replays one.

use clap::Parser;
use lockstep_sim::{Scenario, run};
use std::process::ExitCode;

#[derive(Parser)]
struct Arguments {
    /// Replay this seed and tell what happened.
    #[arg(long)]
    seed: Option<u64>,
    /// Search this many seeds.
    #[arg(long, default_value_t = 200)]
    runs: u64,
    /// The first seed of the search.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// What people and buyers do in one history.
    #[arg(long, default_value_t = 40)]
    acts: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let acts = arguments.acts;
    let seeds = match arguments.seed {
        Some(seed) => seed..=seed,
        None => {
            arguments.from
                ..=arguments
                    .from
                    .saturating_add(arguments.runs.saturating_sub(1))
        }
    };
    let (mut crashes, mut orders, mut histories, mut effects, mut waits) = (0, 0, 0_u64, 0, 0);
    let mut violated = Vec::new();
    for seed in seeds {
        let outcome = run(Scenario { seed, acts });
        histories += 1;
        crashes += outcome.crashes;
        orders += outcome.orders;
        effects += outcome.effects;
        waits += outcome.waits;
        if !outcome.violations.is_empty() {
            println!("seed {seed}:");
            for violation in &outcome.violations {
                println!("  {violation}");
            }
            if arguments.seed.is_some() {
                for line in &outcome.trace {
                    println!("    {line}");
                }
            }
            violated.push(seed);
        }
    }
    println!(
        "{histories} histories, {orders} orders, {crashes} crashes, {effects} effects, {waits} levels left to a person: \
         {} with a violation",
        violated.len()
    );
    if violated.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("replay one with: cargo xtask sim --seed {}", violated[0]);
        ExitCode::FAILURE
    }
}
