//! A plan as people see it: a count, then the detail.

use super::standing::Totals;
use jiff::Timestamp;
use lockstep_model::{CustomerId, Revision, RunId, ShopId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanRequest {
    /// Empty: all.
    pub flows: Vec<lockstep_model::Flow>,
    /// Empty: all.
    pub shops: Vec<ShopId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What `apply` names.
    pub id: String,
    pub customer_id: CustomerId,
    pub revision: Revision,
    pub made_at: Timestamp,
    /// Of all rows, not only of those here.
    pub counts: PlanCounts,
    pub rows: Vec<PlanRow>,
    /// There are more rows than were asked for.
    pub cut: bool,
    /// A limit or a policy stops it until a person says otherwise.
    #[serde(default)]
    pub stopped_by: Vec<String>,
    /// What is not in step once it is written, and what it would write.
    #[serde(default)]
    pub totals: Totals,
    /// Shops that are not written to, however the plan is applied.
    #[serde(default)]
    pub closed: Vec<ClosedShop>,
    /// Shops that could not be read just now, with their reasons: of them the plan knows nothing new.
    #[serde(default)]
    pub unread: Vec<String>,
}

/// What would follow from settings that are not saved, by what was read of the shops last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    pub customer_id: CustomerId,
    pub made_at: Timestamp,
    /// What is not in step, and what a run would write, by the settings in force …
    pub before: Totals,
    /// … and by these.
    pub after: Totals,
    /// What is written by these and not by those in force.
    pub counts: PlanCounts,
    pub rows: Vec<PlanRow>,
    /// What is written by those in force and not by these.
    pub dropped: u64,
    /// There are more rows than were asked for: the counts are differences of sums.
    pub cut: bool,
    pub stopped_by: Vec<String>,
    pub closed: Vec<ClosedShop>,
    /// Shops of which it cannot be told yet, with the reasons.
    pub untold: Vec<String>,
}

impl Preview {
    pub fn of(before: Plan, after: Plan, untold: Vec<String>) -> Self {
        let cut = before.cut || after.cut;
        let missing = |of: &[PlanRow], from: &[PlanRow]| -> Vec<PlanRow> {
            let rows = of.iter().filter(|row| !from.contains(row));
            rows.cloned().collect()
        };
        let rows = missing(&after.rows, &before.rows);
        let (counts, dropped) = if cut {
            let fewer = before.counts.writes().saturating_sub(after.counts.writes());
            (after.counts.beyond(&before.counts), fewer)
        } else {
            let mut counts = PlanCounts::default();
            rows.iter().for_each(|row| counts.add(row));
            (counts, missing(&before.rows, &after.rows).len() as u64)
        };
        Preview {
            customer_id: after.customer_id,
            made_at: after.made_at,
            before: before.totals,
            after: after.totals,
            counts,
            rows,
            dropped,
            cut,
            stopped_by: after.stopped_by,
            closed: after.closed,
            untold,
        }
    }

    /// Nothing would be other than it is.
    pub fn is_nothing(&self) -> bool {
        self.counts.writes() == 0 && self.dropped == 0 && self.before == self.after
    }
}

/// A shop of a plan that is not written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedShop {
    pub shop: ShopId,
    pub name: String,
    pub why: Closed,
    /// Of the plan's writes, those that are its.
    pub writes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    ReadOnly,
    /// It had products of its own, and nobody has accepted yet what would be written.
    NotAccepted,
}

impl ClosedShop {
    /// What comes of it and what opens it.
    pub fn sentence(&self) -> String {
        let Self { name, writes, .. } = self;
        let what = match writes {
            0 => "Nothing is written".to_owned(),
            1 => "1 of these writes is not made".to_owned(),
            many => format!("{many} of these writes are not made"),
        };
        match self.why {
            Closed::ReadOnly => format!(
                "{what} at {name}: it is read-only. Switch that off among the shop's settings to write to it."
            ),
            Closed::NotAccepted => format!(
                "{what} at {name}: it has products of its own, and nobody has accepted yet that it is written to. \
                 Answer that among the questions."
            ),
        }
    }
}

impl Plan {
    /// How many of its writes an apply would make.
    pub fn written(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|shop| shop.writes).sum();
        self.counts.writes().saturating_sub(closed)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanCounts {
    pub create: u64,
    pub update: u64,
    pub archive: u64,
    /// Variants that go from products that stay.
    #[serde(default)]
    pub remove: u64,
    pub stock: u64,
    pub orders: u64,
}

impl PlanCounts {
    pub fn add(&mut self, row: &PlanRow) {
        let counter = match (row.kind.as_str(), row.sign) {
            ("level", _) => &mut self.stock,
            ("order", _) => &mut self.orders,
            (_, Sign::Create) => &mut self.create,
            (_, Sign::Update) => &mut self.update,
            (_, Sign::Archive) => &mut self.archive,
            (_, Sign::Remove) => &mut self.remove,
            // What is asked is counted apart.
            (_, Sign::Ask) => return,
        };
        *counter += 1;
    }

    fn beyond(&self, other: &PlanCounts) -> PlanCounts {
        PlanCounts {
            create: self.create.saturating_sub(other.create),
            update: self.update.saturating_sub(other.update),
            archive: self.archive.saturating_sub(other.archive),
            remove: self.remove.saturating_sub(other.remove),
            stock: self.stock.saturating_sub(other.stock),
            orders: self.orders.saturating_sub(other.orders),
        }
    }

    pub fn writes(&self) -> u64 {
        self.create + self.update + self.archive + self.remove + self.stock + self.orders
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// `+`
    Create,
    /// `~`
    Update,
    /// `-`
    Archive,
    /// `-`: a variant of a product that stays.
    Remove,
    /// `?`: a conflict or a held order.
    Ask,
}

impl Sign {
    pub fn mark(self) -> char {
        match self {
            Sign::Create => '+',
            Sign::Update => '~',
            Sign::Archive | Sign::Remove => '-',
            Sign::Ask => '?',
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    pub sign: Sign,
    pub shop: ShopId,
    /// "product", "level", "order" …
    pub kind: String,
    /// A SKU, a category's path, an order's number.
    pub key: String,
    pub title: String,
    pub fields: Vec<PlanField>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanField {
    pub path: String,
    /// As text; none: nothing there yet.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Why: "owner: ERP, changed 09:02", "sold: 2 in Woo #1041".
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyPlanRequest {
    pub plan: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyPlanReply {
    pub run: RunId,
}
