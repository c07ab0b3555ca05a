//! What would follow from settings that are not saved yet, before they are.

use super::{customers::Names, plan::Row, session::said, widgets::grouped};
use lockstep_protocol::{
    Problem,
    people::{
        customers::CustomerView,
        plan::{ClosedShop, Preview},
        standing::{Part, Totals},
    },
};

/// Rows that are shown; the counts are of all.
const ROWS_SHOWN: usize = 20;

/// Above the form, which is folded and holds what was typed.
pub struct Shown {
    /// Stands for the settings that are shown: others are shown before they are saved.
    pub of: String,
    /// Why it cannot be said now.
    pub problem: Option<String>,
    pub sums: Vec<Sum>,
    /// What is not in step, by the settings in force and by these.
    pub parts: Vec<Moved>,
    pub rows: Vec<Row>,
    pub more: bool,
    pub remarks: Vec<String>,
}

pub struct Sum {
    pub class: &'static str,
    pub text: String,
}

pub struct Moved {
    pub word: &'static str,
    pub before: String,
    pub after: String,
    pub moved: bool,
}

impl Shown {
    pub fn new(of: String, preview: Preview, view: &CustomerView) -> Self {
        let names = Names::new(view);
        let counts = preview.counts;
        let sums = [
            ("create", "+", counts.create, "to be made"),
            ("update", "~", counts.update, "to be changed"),
            ("archive", "−", counts.archive, "to be archived"),
            ("archive", "−", counts.remove, "variants to be taken away"),
            ("", "", counts.stock, "stock levels"),
            ("", "", counts.orders, "order changes"),
            ("", "", preview.dropped, "not written any more"),
        ];
        let sums = sums.into_iter().filter(|(_, _, count, _)| *count > 0);
        let sums = sums.map(|(class, sign, count, word)| Sum {
            class,
            text: format!("{sign} {} {word}", grouped(count))
                .trim()
                .to_owned(),
        });
        let mut remarks = preview.stopped_by;
        remarks.extend(preview.closed.iter().map(ClosedShop::sentence));
        remarks.extend(preview.untold);
        Shown {
            of,
            problem: None,
            sums: sums.collect(),
            parts: parts(&preview.before, &preview.after),
            more: preview.cut || preview.rows.len() > ROWS_SHOWN,
            rows: preview
                .rows
                .into_iter()
                .take(ROWS_SHOWN)
                .map(|row| Row::new(row, preview.customer_id, &names))
                .collect(),
            remarks,
        }
    }

    pub fn unable(of: String, problem: &Problem) -> Self {
        Shown {
            of,
            problem: Some(said(problem)),
            sums: Vec::new(),
            parts: Vec::new(),
            rows: Vec::new(),
            more: false,
            remarks: Vec::new(),
        }
    }
}

fn parts(before: &Totals, after: &Totals) -> Vec<Moved> {
    let parts = Part::ALL
        .into_iter()
        .map(|part| (part, before.of(part), after.of(part)));
    let parts = parts.filter(|(_, before, after)| before + after > 0);
    let parts = parts.map(|(part, before, after)| Moved {
        word: part.words(2),
        before: grouped(before),
        after: grouped(after),
        moved: before != after,
    });
    parts.collect()
}
