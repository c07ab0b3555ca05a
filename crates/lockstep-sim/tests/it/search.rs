//! Histories that nobody has looked at before. `cargo xtask sim --runs N` looks at more, and at longer ones.

use lockstep_sim::{Scenario, run};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Short histories, and among them some as long as the search's own.
const SEEDS: u64 = 2_000;
const SHORT: u32 = 7;
const LONG: u32 = 40;
const LONG_EVERY: u64 = 40;

#[test]
fn whatever_goes_wrong_everything_is_in_step_at_rest() {
    let next = AtomicU64::new(1);
    let seen = Mutex::new((0_u64, 0_usize, Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > SEEDS {
                        break;
                    }
                    let acts = if seed.is_multiple_of(LONG_EVERY) {
                        LONG
                    } else {
                        SHORT
                    };
                    let scenario = Scenario {
                        acts,
                        ..Scenario::new(seed)
                    };
                    let outcome = run(scenario);
                    let mut seen = seen.lock().unwrap();
                    seen.0 += outcome.crashes;
                    seen.1 += outcome.orders;
                    if !outcome.violations.is_empty() {
                        seen.2.push((seed, acts, outcome.violations));
                    }
                }
            });
        }
    });
    let (crashes, orders, violated) = seen.into_inner().unwrap();
    assert!(
        violated.is_empty(),
        "(seed, --acts, what): {violated:#?}\nreplay one with: cargo xtask sim --seed SEED --acts ACTS"
    );
    assert!(
        crashes > 500 && orders > 4_000,
        "{crashes} crashes, {orders} orders"
    );
}
