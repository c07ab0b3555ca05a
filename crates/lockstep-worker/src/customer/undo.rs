//! An undo, from the engine's lines to what people are shown.

use crate::clock;
use lockstep_engine::{UndoLine, UndoShown, Verdict};
use lockstep_journal::RunView;
use lockstep_model::{CustomerId, RunId};
use lockstep_protocol::people::undo::{UndoPreview, UndoRow};

/// What came of a wish to undo a run.
#[derive(Debug)]
pub enum Undoing {
    Begun(RunId),
    Shown(Box<UndoPreview>),
}

/// Why this run cannot be undone (yet), for people.
pub fn objection(run: RunId, known: Option<&RunView>) -> Option<String> {
    match known {
        None => Some(format!("no run {run} of this customer is known")),
        Some(known) if known.row.finished_at.is_none() => {
            Some(format!("run {run} has not ended yet; undo it when it has"))
        }
        Some(_) => None,
    }
}

pub fn preview(customer: CustomerId, run: RunId, shown: UndoShown) -> UndoPreview {
    let total = shown.put_back + shown.as_before + shown.left;
    UndoPreview {
        customer_id: customer,
        run,
        made_at: clock::now(),
        put_back: shown.put_back,
        as_before: shown.as_before,
        left: shown.left,
        cut: total > shown.lines.len() as u64,
        rows: shown.lines.into_iter().map(row).collect(),
    }
}

fn row(line: UndoLine) -> UndoRow {
    let text = |text: String| (!text.is_empty()).then_some(text);
    UndoRow {
        shop: line.shop,
        key: line.label,
        field: text(line.field),
        now: text(line.now),
        back: text(line.back),
        put_back: line.verdict == Verdict::PutBack,
        why: line.verdict.sentence(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::ShopId;

    #[test]
    fn what_is_not_there_is_no_text() {
        let shown = UndoShown {
            lines: vec![UndoLine {
                shop: ShopId(2),
                label: "KH-100 Coffee".into(),
                field: String::new(),
                now: String::new(),
                back: String::new(),
                verdict: Verdict::Made,
            }],
            put_back: 0,
            as_before: 0,
            left: 3,
        };
        let preview = preview(CustomerId(1), RunId(12), shown);
        assert!(preview.cut, "three were left and one line is kept");
        assert_eq!(preview.rows[0].field, None);
        assert!(preview.rows[0].why.contains("archive it in its owner"));
    }
}
