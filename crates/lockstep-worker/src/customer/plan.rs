//! A plan, from the engine's lines to what people are shown.

use crate::clock;
use lockstep_engine::PlanLine;
use lockstep_model::{CustomerId, Revision, RunId, ShopId};
use lockstep_protocol::people::plan::{Plan, PlanCounts, PlanField, PlanRow, Sign};

pub struct Asked {
    /// Empty: all.
    pub shops: Vec<ShopId>,
    pub rows_max: usize,
}

pub fn plan(
    customer: CustomerId,
    revision: Revision,
    run: RunId,
    lines: Vec<PlanLine>,
    total: u64,
    conflicts: u64,
    asked: &Asked,
) -> Plan {
    let lines_shown = lines.len() as u64;
    let mut rows: Vec<PlanRow> = Vec::new();
    let mut counts = PlanCounts {
        conflicts,
        ..PlanCounts::default()
    };
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
        count(&mut counts, sign, kind);
        rows.push(PlanRow {
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
        });
    }
    // What was not kept is of unknown sort; most of a large plan is updates.
    counts.update += total.saturating_sub(lines_shown);
    cut |= rows.len() > asked.rows_max;
    rows.truncate(asked.rows_max);
    Plan {
        id: format!("{customer}-{run}"),
        customer_id: customer,
        revision,
        made_at: clock::now(),
        counts,
        rows,
        cut,
        stopped_by: Vec::new(),
    }
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

fn count(counts: &mut PlanCounts, sign: Sign, kind: &str) {
    let counter = match (kind, sign) {
        ("level", _) => &mut counts.stock,
        ("order", _) => &mut counts.orders,
        (_, Sign::Create) => &mut counts.create,
        (_, Sign::Update) => &mut counts.update,
        (_, Sign::Archive) => &mut counts.archive,
        (_, Sign::Remove) => &mut counts.remove,
        (_, Sign::Ask) => &mut counts.held,
    };
    *counter += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn lines_of_one_record_are_one_row_and_counts_are_of_all() {
        let lines = vec![
            line(1, "KH-1", "title"),
            line(1, "KH-1", "price"),
            line(2, "KH-1", "title"),
            line(2, "KH-1", "stock"),
        ];
        let asked = Asked {
            shops: vec![],
            rows_max: 2,
        };
        let plan = plan(CustomerId(1), Revision(3), RunId(4), lines, 4, 1, &asked);
        assert_eq!(plan.rows.len(), 2);
        assert!(plan.cut);
        assert_eq!(plan.rows[0].fields.len(), 2);
        assert_eq!((plan.counts.update, plan.counts.stock), (2, 1));
        assert_eq!(plan.counts.conflicts, 1);
    }
}
