//! Plans that people have been shown, so that one of them can be applied as it was shown: not the rows themselves (the
//! state has moved since), but what each would do, as a fingerprint. A row that would do the same still holds.

use crate::catalogue::Decision;
use lockstep_model::{RunId, ShopId};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Plans that are remembered; an older one is made anew.
const PLANS_MAX: usize = 8;
/// Names of rows that no longer hold, in the run's sentence.
const NAMES_MAX: usize = 5;

/// The rows of one plan by shop: what each would write there, as eight bytes.
pub(crate) type ShownRows = Arc<BTreeSet<(ShopId, u64)>>;

/// What a row would do to each of the shops, and from what: not which ids it would give out.
pub(crate) fn fingerprints(decision: &Decision) -> BTreeSet<(ShopId, u64)> {
    let shops: BTreeSet<ShopId> = decision.writes.iter().map(|write| write.shop).collect();
    let of = |shop: ShopId| (shop, fingerprint(decision, shop));
    shops.into_iter().map(of).collect()
}

fn fingerprint(decision: &Decision, shop: ShopId) -> u64 {
    let mut hasher = DefaultHasher::new();
    for line in decision.lines.iter().filter(|line| line.shop == shop) {
        (line.sign, &line.label).hash(&mut hasher);
        (&line.field, &line.from, &line.to).hash(&mut hasher);
    }
    for write in decision.writes.iter().filter(|write| write.shop == shop) {
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
    pub fn remember(&mut self, run: RunId, rows: BTreeSet<(ShopId, u64)>) {
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

    /// Takes away what the plan did not show, shop by shop. What was seen of the record is kept; it stays due.
    pub fn hold_to(&mut self, decision: &mut Decision, is_first_pass: bool) {
        let would = fingerprints(decision);
        let others = would.difference(&self.rows).map(|(shop, _)| *shop);
        let others: BTreeSet<ShopId> = others.collect();
        if others.is_empty() {
            return;
        }
        // Later passes do what the first has made possible; the next run does it.
        if is_first_pass {
            self.moved += 1;
            let moved = decision.writes.iter();
            let name = moved
                .filter(|write| others.contains(&write.shop))
                .map(|write| write.label.clone())
                .next();
            if self.names.len() < NAMES_MAX {
                self.names.extend(name);
            }
        }
        decision
            .writes
            .retain(|write| !others.contains(&write.shop));
        decision.lines.retain(|line| !others.contains(&line.shop));
    }

    /// What of the plan was not written, if any: at shops that are closed to us, each with its name and the reason, and
    /// because it moved.
    pub fn sentence<'a>(
        &self,
        closed: impl Iterator<Item = (ShopId, &'a str, &'a str)>,
    ) -> Option<String> {
        let mut sentences = Vec::new();
        for (shop, name, why) in closed {
            let rows = self.rows.iter().filter(|(at, _)| *at == shop).count();
            if rows > 0 {
                sentences.push(format!("{rows} not written at {name}: {why}."));
            }
        }
        if self.moved > 0 {
            let more = if self.moved > self.names.len() as u64 {
                " …"
            } else {
                ""
            };
            sentences.push(format!(
                "{} of the plan's records moved since it was shown and were left as they are: {}{more}. Make a new plan \
                 to see them as they are now.",
                self.moved,
                self.names.join(", ")
            ));
        }
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::{PlanLine, Sign, Write};
    use lockstep_model::entry::{Subject, What};
    use lockstep_model::{Change, Field, Fields, Parts, Path, RecordId, Value};

    const A: ShopId = ShopId(2);
    const B: ShopId = ShopId(3);

    fn decision(shops: &[(ShopId, &str)]) -> Decision {
        let line = |shop: ShopId, to: &str| PlanLine {
            shop,
            sign: Sign::Update,
            label: "KH-1".into(),
            field: "title".into(),
            from: "Tea".into(),
            to: to.into(),
            why: String::new(),
        };
        let write = |shop: ShopId, to: &str| {
            let set: Fields = [(Path::new(&Field::Title), Value::text(to))].into();
            Write {
                shop,
                subject: Subject::Record(RecordId(1)),
                change: Change::UpdateProduct {
                    id: "p1".into(),
                    set: set.clone(),
                    product: Box::default(),
                    parts: Parts::default(),
                },
                what: What::Set { set },
                label: "KH-1".into(),
                tries: 0,
                again: false,
                is_part: false,
            }
        };
        Decision {
            bodies: Vec::new(),
            writes: shops.iter().map(|(shop, to)| write(*shop, to)).collect(),
            consumed: Vec::new(),
            lines: shops.iter().map(|(shop, to)| line(*shop, to)).collect(),
            waiting: 0,
            held: Vec::new(),
            only_pictures: Vec::new(),
        }
    }

    /// As the plan showed it: both shops would be written.
    fn approved() -> Approved {
        let shown = fingerprints(&decision(&[(A, "Green tea"), (B, "Green tea")]));
        Approved::new(RunId(7), "Maija".into(), Arc::new(shown))
    }

    #[test]
    fn a_shop_that_is_closed_holds_up_no_other_and_is_named_with_its_number() {
        let mut approved = approved();
        let mut here = decision(&[(A, "Green tea")]);
        approved.hold_to(&mut here, true);
        assert_eq!(here.writes.len(), 1, "what the plan showed of A stands");
        let closed = [(B, "Web shop 2", "it is read-only")];
        assert_eq!(
            approved.sentence(closed.into_iter()).as_deref(),
            Some("1 not written at Web shop 2: it is read-only.")
        );
        assert_eq!(approved.sentence(std::iter::empty()), None);
    }

    #[test]
    fn what_moved_at_one_shop_is_left_there_alone() {
        let mut approved = approved();
        let mut here = decision(&[(A, "Black tea"), (B, "Green tea")]);
        approved.hold_to(&mut here, true);
        let written: Vec<ShopId> = here.writes.iter().map(|write| write.shop).collect();
        assert_eq!(written, [B]);
        assert_eq!(here.lines.len(), 1);
        let said = approved.sentence(std::iter::empty()).unwrap();
        assert!(said.starts_with("1 of the plan's records moved"), "{said}");
    }
}
