//! `cargo xtask sim`: searches seeds for a violation on all cores, or replays one.

use clap::Parser;
use lockstep_sim::{Mistake, Outcome, Scenario, Topic, Topics, run};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

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
    /// How many seeds are tried at once; by itself as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
    /// With these topics and no others, by their names; "usual" for those that are on anyway, "all" for those too that
    /// are known to be red, "none" for none.
    #[arg(long, num_args = 1..)]
    topics: Vec<String>,
    /// With this bug switched on, by its name.
    #[arg(long)]
    mistake: Option<String>,
    /// For each bug that can be switched on: the first seed, counted from `--from`, whose checkers catch it.
    #[arg(long)]
    teeth: bool,
}

#[derive(Default)]
struct Totals {
    histories: u64,
    orders: u64,
    crashes: u64,
    effects: u64,
    pushes: u64,
    epochs: u64,
    waits: u64,
    violated: Vec<u64>,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.histories += 1;
        self.orders += outcome.orders as u64;
        self.crashes += outcome.crashes;
        self.effects += outcome.effects;
        self.pushes += outcome.pushes;
        self.epochs += outcome.epochs;
        self.waits += outcome.waits;
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.teeth {
        return show_teeth(&arguments);
    }
    let topics = match topics(&arguments.topics) {
        Ok(topics) => topics,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let mistake = arguments.mistake.as_ref().map(|name| {
        let known = Mistake::ALL.into_iter();
        known
            .clone()
            .find(|mistake| format!("{mistake:?}") == *name)
            .ok_or_else(|| format!("there is no \"{name}\", but {:?}", Mistake::ALL))
    });
    let mistake = match mistake.transpose() {
        Ok(mistake) => mistake,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match arguments.seed {
        Some(seed) => replay(&arguments, seed, mistake, topics),
        None => search(&arguments, mistake, topics),
    }
}

fn topics(names: &[String]) -> Result<Topics, String> {
    if names.is_empty() {
        return Ok(Topics::usual());
    }
    let mut topics = Topics::NONE;
    for name in names {
        topics =
            match name.as_str() {
                "all" => Topics::all(),
                "usual" => topics.or(Topics::usual()),
                "none" => topics,
                name => {
                    let topic = Topic::all().find(|topic| format!("{topic:?}") == name);
                    let known = || Topic::all().collect::<Vec<_>>();
                    topics.and(topic.ok_or_else(|| {
                        format!("there is no topic \"{name}\", but {:?}", known())
                    })?)
                }
            };
    }
    Ok(topics)
}

fn replay(arguments: &Arguments, seed: u64, mistake: Option<Mistake>, topics: Topics) -> ExitCode {
    let outcome = run(Scenario {
        acts: arguments.acts,
        mistake,
        topics,
        traced: true,
        ..Scenario::new(seed)
    });
    for line in &outcome.trace {
        println!("{line}");
    }
    for violation in &outcome.violations {
        println!("violation: {violation}");
    }
    println!(
        "seed {seed}: {} orders, {} crashes, {} pushes, {} epochs, {} things wait for a person",
        outcome.orders, outcome.crashes, outcome.pushes, outcome.epochs, outcome.waits
    );
    if outcome.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn search(arguments: &Arguments, mistake: Option<Mistake>, topics: Topics) -> ExitCode {
    let started = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.runs);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.unwrap_or(cores) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let outcome = run(Scenario {
                        acts: arguments.acts,
                        mistake,
                        topics,
                        ..Scenario::new(seed)
                    });
                    let Ok(mut totals) = totals.lock() else {
                        break;
                    };
                    totals.add(&outcome);
                    if !outcome.violations.is_empty() {
                        totals.violated.push(seed);
                        println!("seed {seed}:");
                        for violation in &outcome.violations {
                            println!("  {violation}");
                        }
                    }
                }
            });
        }
    });
    let mut totals = totals
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    totals.violated.sort_unstable();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} histories in {seconds:.1} s ({:.0}/s): {} orders, {} pushes, {} effects, {} crashes, {} epochs, {} things \
         left to a person; {} with a violation",
        totals.histories,
        totals.histories as f64 / seconds.max(0.001),
        totals.orders,
        totals.pushes,
        totals.effects,
        totals.crashes,
        totals.epochs,
        totals.waits,
        totals.violated.len()
    );
    match totals.violated.first() {
        None if totals.histories == arguments.runs => ExitCode::SUCCESS,
        None => {
            println!("a history ended in a panic");
            ExitCode::FAILURE
        }
        Some(first) => {
            println!("replay one with: cargo xtask sim --seed {first}");
            ExitCode::FAILURE
        }
    }
}

fn show_teeth(arguments: &Arguments) -> ExitCode {
    let mut all = true;
    for mistake in Mistake::ALL {
        let caught = (0..arguments.runs).find_map(|number| {
            let outcome = run(Scenario {
                acts: arguments.acts,
                mistake: Some(mistake),
                ..Scenario::new(arguments.from.saturating_add(number))
            });
            let violation = outcome.violations.first().cloned()?;
            Some((number + 1, violation))
        });
        match caught {
            Some((number, violation)) => println!("{mistake:?}: by {number} seeds: {violation}"),
            None => {
                all = false;
                println!("{mistake:?}: not by {} seeds", arguments.runs);
            }
        }
    }
    if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
