//! Plans that people have been shown, so that one of them can be applied as it was shown: not the rows themselves (the
//! state has moved since), but what each would do, as a fingerprint. A row that would do the same still holds.

use crate::catalogue::Decision;
use lockstep_model::RunId;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Plans that are remembered; an older one is made anew.
const PLANS_MAX: usize = 8;
/// Names of rows that no longer hold, in the run's sentence.
const NAMES_MAX: usize = 5;

/// The rows of one plan: eight bytes each, whatever they write.
pub(crate) type ShownRows = Arc<BTreeSet<u64>>;

/// What a row would do to the shops, and from what: not which ids it would give out.
pub(crate) fn fingerprint(decision: &Decision) -> u64 {
    let mut hasher = DefaultHasher::new();
    for line in &decision.lines {
        (line.shop, line.sign, &line.label).hash(&mut hasher);
        (&line.field, &line.from, &line.to).hash(&mut hasher);
    }
    for write in &decision.writes {
        write.shop.hash(&mut hasher);
        // Plain data, whose maps are sorted. What could not be written down would only ever differ.
        match serde_json::to_string(&write.what) {
            Ok(what) => what.hash(&mut hasher),
            Err(_) => false.hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// The newest plans that were shown.
#[derive(Debug, Default)]
pub(crate) struct ShownPlans {
    plans: BTreeMap<RunId, ShownRows>,
}

impl ShownPlans {
    pub fn remember(&mut self, run: RunId, rows: BTreeSet<u64>) {
        self.plans.insert(run, Arc::new(rows));
        while self.plans.len() > PLANS_MAX {
            self.plans.pop_first();
        }
    }

    pub fn get(&self, run: RunId) -> Option<ShownRows> {
        self.plans.get(&run).cloned()
    }
}

/// A plan that a person wants applied as it was shown.
#[derive(Debug, Clone)]
pub(crate) struct Approved {
    pub plan: RunId,
    pub by: String,
    rows: ShownRows,
    moved: u64,
    names: Vec<String>,
}

impl Approved {
    pub fn new(plan: RunId, by: String, rows: ShownRows) -> Self {
        Self {
            plan,
            by,
            rows,
            moved: 0,
            names: Vec::new(),
        }
    }

    /// Takes away what the plan did not show. What was seen of the record is kept; it stays due.
    pub fn hold_to(&mut self, decision: &mut Decision, is_first_pass: bool) {
        if decision.writes.is_empty() || self.rows.contains(&fingerprint(decision)) {
            return;
        }
        // Later passes do what the first has made possible; the next run does it.
        if is_first_pass {
            self.moved += 1;
            if self.names.len() < NAMES_MAX {
                let names = decision.writes.iter().map(|write| write.label.clone());
                self.names.extend(names.take(1));
            }
        }
        decision.writes.clear();
        decision.lines.clear();
    }

    /// Which rows no longer held, if any.
    pub fn sentence(&self) -> Option<String> {
        (self.moved > 0).then(|| {
            let more = if self.moved > self.names.len() as u64 {
                " …"
            } else {
                ""
            };
            format!(
                "{} of the plan's records moved since it was shown and were left as they are: {}{more}. Make a new plan \
                 to see them as they are now.",
                self.moved,
                self.names.join(", ")
            )
        })
    }
}
