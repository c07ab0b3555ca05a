//! A plan, from the engine's lines to what people are shown.

use crate::clock;
use lockstep_engine::PlanLine;
use lockstep_journal::Standing;
use lockstep_model::settings::CustomerSettings;
use lockstep_model::{CustomerId, Flow, Revision, RunId, ShopId};
use lockstep_protocol::people::plan::{
    Closed, ClosedShop, Plan, PlanCounts, PlanField, PlanRow, Sign,
};
use lockstep_protocol::people::standing::Totals;
use std::collections::{BTreeMap, BTreeSet};

pub struct Asked {
    /// Empty: all.
    pub flows: Vec<Flow>,
    /// Empty: all.
    pub shops: Vec<ShopId>,
    pub rows_max: usize,
}

/// What the engine came to.
pub struct Made {
    pub run: RunId,
    pub lines: Vec<PlanLine>,
    pub total: u64,
    pub conflicts: u64,
    pub by_shop: BTreeMap<ShopId, u64>,
    /// Products that would be made.
    pub made_at: BTreeMap<ShopId, u64>,
    pub blocked: u64,
    pub unread: Vec<String>,
    pub stopped_by: Vec<String>,
}

impl Made {
    /// The plan of the other lane too: one answer. The catalogue's run is what an apply names.
    pub fn join(mut self, trade: Made) -> Self {
        self.lines.extend(trade.lines);
        self.total += trade.total;
        self.conflicts += trade.conflicts;
        for (shop, writes) in trade.by_shop {
            *self.by_shop.entry(shop).or_default() += writes;
        }
        // Open writes of orders and levels are told by either.
        self.blocked = self.blocked.max(trade.blocked);
        self.unread.extend(trade.unread);
        self.unread.sort();
        self.unread.dedup();
        self.stopped_by.extend(trade.stopped_by);
        self
    }
}

/// Beside what the run found: how the customer stands.
pub struct Around<'a> {
    pub settings: &'a CustomerSettings,
    pub revision: Revision,
    pub standing: Standing,
    /// Shops about which a person has not said yet that they are written to.
    pub not_accepted: BTreeSet<ShopId>,
}

pub fn plan(customer: CustomerId, made: Made, around: &Around<'_>, asked: &Asked) -> Plan {
    let Made {
        run,
        lines,
        total,
        conflicts,
        by_shop,
        made_at: _,
        blocked,
        unread,
        stopped_by,
    } = made;
    let lines_shown = lines.len() as u64;
    let mut rows: Vec<PlanRow> = Vec::new();
    let mut counts = PlanCounts::default();
    let mut cut = total > lines_shown;
    for line in lines {
        if !asked.shops.is_empty() && !asked.shops.contains(&line.shop) {
            continue;
        }
        let (sign, kind) = (sign(line.sign), kind(&line.field));
        let same = rows.last().is_some_and(|row| {
            row.shop == line.shop && row.key == line.label && row.kind == kind && row.sign == sign
        });
        let field = (!line.field.is_empty()).then(|| PlanField {
            path: line.field.clone(),
            from: (!line.from.is_empty()).then(|| line.from.clone()),
            to: (!line.to.is_empty()).then(|| line.to.clone()),
            why: line.why.clone(),
        });
        if same {
            if let Some(row) = rows.last_mut() {
                row.fields.extend(field);
            }
            continue;
        }
        let row = PlanRow {
            sign,
            shop: line.shop,
            kind: kind.to_owned(),
            key: line.label.clone(),
            title: if field.is_none() {
                line.why
            } else {
                String::new()
            },
            fields: field.into_iter().collect(),
        };
        counts.add(&row);
        rows.push(row);
    }
    // What was not kept is of unknown sort; most of a large plan is updates.
    counts.update += total.saturating_sub(lines_shown);
    cut |= rows.len() > asked.rows_max;
    let closed = closed(&rows, &by_shop, around, asked);
    rows.truncate(asked.rows_max);
    let standing = around.standing;
    let mut plan = Plan {
        id: format!("{customer}-{run}"),
        customer_id: customer,
        revision: around.revision,
        made_at: clock::now(),
        counts,
        rows,
        cut,
        stopped_by,
        totals: Totals::default(),
        closed,
        unread,
    };
    let writes = plan.written();
    plan.totals = Totals {
        writes,
        blocked: blocked + plan.counts.writes().saturating_sub(writes),
        aside: standing.asides,
        questions: standing.questions + conflicts,
        held: standing.held,
        outside: standing.outside,
    };
    plan
}

/// Shops that the plan is about and that are not written to, however it is applied.
fn closed(
    rows: &[PlanRow],
    by_shop: &BTreeMap<ShopId, u64>,
    around: &Around<'_>,
    asked: &Asked,
) -> Vec<ClosedShop> {
    let shops = around.settings.shops();
    let shops = shops.filter(|(shop, _)| asked.shops.is_empty() || asked.shops.contains(&shop.id));
    let closed = shops.filter_map(|(shop, _)| {
        let why = if shop.read_only {
            Closed::ReadOnly
        } else if around.not_accepted.contains(&shop.id) {
            Closed::NotAccepted
        } else {
            return None;
        };
        let shown = rows.iter().filter(|row| row.shop == shop.id).count() as u64;
        Some(ClosedShop {
            shop: shop.id,
            name: shop.name.clone(),
            why,
            writes: by_shop.get(&shop.id).copied().unwrap_or(0).max(shown),
        })
    });
    closed.collect()
}

fn sign(sign: lockstep_engine::Sign) -> Sign {
    match sign {
        lockstep_engine::Sign::Create => Sign::Create,
        lockstep_engine::Sign::Update => Sign::Update,
        lockstep_engine::Sign::Archive => Sign::Archive,
        lockstep_engine::Sign::Remove => Sign::Remove,
        lockstep_engine::Sign::PutBack => Sign::Update,
    }
}

fn kind(field: &str) -> &'static str {
    match field {
        "stock" => "level",
        "order" => "order",
        _ => "record",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::settings::{Customer, CustomerHasService, RowId, Service, ShopRole};

    fn line(shop: u64, label: &str, field: &str) -> PlanLine {
        PlanLine {
            shop: ShopId(shop),
            sign: lockstep_engine::Sign::Update,
            label: label.into(),
            field: field.into(),
            from: "1".into(),
            to: "2".into(),
            why: "w".into(),
        }
    }

    fn made(lines: Vec<PlanLine>, read_only: &[ShopId]) -> Plan {
        let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila"));
        for (row, (shop, name)) in [(1, "ERP"), (2, "Web")].into_iter().enumerate() {
            let shop = ShopId(shop);
            let mut service = Service::new(shop, name, "practice", "http://127.0.0.1:1");
            service.read_only = read_only.contains(&shop);
            settings.services.push(service);
            let row = RowId(row as u64);
            let link = CustomerHasService::new(row, CustomerId(1), shop, ShopRole::Shop);
            settings.customer_has_services.push(link);
        }
        let around = Around {
            settings: &settings,
            revision: Revision(3),
            standing: Standing {
                asides: 5,
                questions: 2,
                outside: 9,
                ..Standing::default()
            },
            not_accepted: BTreeSet::new(),
        };
        let asked = Asked {
            flows: vec![],
            shops: vec![],
            rows_max: 2,
        };
        let made = Made {
            run: RunId(4),
            total: lines.len() as u64,
            lines,
            conflicts: 1,
            by_shop: BTreeMap::new(),
            made_at: BTreeMap::new(),
            blocked: 0,
            unread: Vec::new(),
            stopped_by: Vec::new(),
        };
        plan(CustomerId(1), made, &around, &asked)
    }

    #[test]
    fn lines_of_one_record_are_one_row_and_counts_are_of_all() {
        let lines = vec![
            line(1, "KH-1", "title"),
            line(1, "KH-1", "price"),
            line(2, "KH-1", "title"),
            line(2, "KH-1", "stock"),
        ];
        let plan = made(lines, &[]);
        assert_eq!(plan.rows.len(), 2);
        assert!(plan.cut);
        assert_eq!(plan.rows[0].fields.len(), 2);
        assert_eq!((plan.counts.update, plan.counts.stock), (2, 1));
        assert_eq!((plan.totals.writes, plan.totals.questions), (3, 3));
        assert_eq!((plan.totals.aside, plan.totals.outside), (5, 9));
    }

    #[test]
    fn what_a_shop_that_is_only_read_would_get_is_said_before_it_is_applied() {
        let lines = vec![
            line(1, "KH-1", "title"),
            line(2, "KH-1", "title"),
            line(2, "KH-2", "title"),
        ];
        let read_only = made(lines.clone(), &[ShopId(2)]);
        let [shop] = read_only.closed.as_slice() else {
            panic!("{:?}", read_only.closed)
        };
        assert_eq!((shop.why, shop.writes), (Closed::ReadOnly, 2));
        assert!(
            shop.sentence()
                .contains("2 of these writes are not made at Web: it is read-only")
        );
        assert_eq!(read_only.written(), 1);
        assert_eq!((read_only.totals.writes, read_only.totals.blocked), (1, 2));
        assert_eq!(made(lines, &[]).written(), 3);
    }
}
