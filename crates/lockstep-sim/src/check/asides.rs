//! At rest nothing stands aside: whatever the shops refused, they take now.

use crate::sim::Sim;

pub fn none_left(sim: &Sim) -> Vec<String> {
    let Some(journal) = sim.journal() else {
        return Vec::new();
    };
    let asides = journal.asides(1_000).expect("what stands aside");
    asides
        .iter()
        .map(|aside| {
            format!(
                "stands aside though its cause is gone: {:?} at shop {}: {:?}",
                aside.subject, aside.shop, aside.fault.kind
            )
        })
        .collect()
}
