//! What happens again and again is one line with its number: a shop that refuses the same each time would else fill a
//! record's history, and hide what else happened.

use lockstep_protocol::people::records::HistoryRow;

/// Rows that repeat together, as a write, its refusal and what follows.
const TOGETHER_MAX: usize = 4;

/// Newest first, as they come.
pub fn folded(rows: Vec<HistoryRow>) -> Vec<HistoryRow> {
    let mut folded: Vec<HistoryRow> = Vec::with_capacity(rows.len());
    let mut at = 0;
    while let Some(left) = rows.get(at..).filter(|left| !left.is_empty()) {
        let (length, times) = repetition(left);
        let (Some(newest), Some(oldest)) = (
            left.get(..length),
            left.get(length * (times - 1)..length * times),
        ) else {
            break;
        };
        for (row, first) in newest.iter().zip(oldest) {
            let mut row = row.clone();
            row.times = times as u64;
            row.first_at = (times > 1).then_some(first.at);
            folded.push(row);
        }
        at += length * times;
    }
    folded
}

/// How many rows stand at the beginning that come again at once, and how often they come in all.
fn repetition(rows: &[HistoryRow]) -> (usize, usize) {
    let mut best = (1, 1);
    for length in 1..=TOGETHER_MAX.min(rows.len()) {
        let Some(pattern) = rows.get(..length) else {
            break;
        };
        let times = rows
            .chunks(length)
            .take_while(|chunk| {
                chunk.len() == length
                    && chunk
                        .iter()
                        .zip(pattern)
                        .all(|(one, other)| same(one, other))
            })
            .count()
            .max(1);
        // Two of a kind are quicker read than explained.
        if times > 2 && length * times > best.0 * best.1 {
            best = (length, times);
        }
    }
    best
}

fn same(one: &HistoryRow, other: &HistoryRow) -> bool {
    one.what == other.what
        && one.who == other.who
        && one.moved == other.moved
        && without_runs(&one.why) == without_runs(&other.why)
}

/// The number of a run is of the run, not of what happened.
fn without_runs(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut pieces = text.split("run ");
    plain.extend(pieces.next());
    for piece in pieces {
        plain.push_str("run ");
        plain.push_str(piece.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn row(second: i64, what: &str, why: &str) -> HistoryRow {
        HistoryRow {
            at: Timestamp::from_second(second).unwrap(),
            seq: second.unsigned_abs(),
            run: None,
            what: what.into(),
            why: why.into(),
            who: "Web shop".into(),
            moved: None,
            cause: String::new(),
            times: 1,
            first_at: None,
        }
    }

    fn told(rows: Vec<HistoryRow>) -> Vec<(String, u64, Option<i64>)> {
        let rows = folded(rows).into_iter();
        rows.map(|row| (row.what, row.times, row.first_at.map(Timestamp::as_second)))
            .collect()
    }

    #[test]
    fn g5_what_repeats_is_told_once_with_its_number() {
        let mut rows = vec![row(100, "price 1 → 2", "changed in ERP")];
        for second in (10..50).rev() {
            let why = format!("by run {second}");
            rows.push(row(second, "refused", &why));
            rows.push(row(second, "title → Tea", "to be written"));
        }
        rows.push(row(1, "made", "in ERP"));
        assert_eq!(
            told(rows),
            [
                ("price 1 → 2".into(), 1, None),
                ("refused".into(), 40, Some(10)),
                ("title → Tea".into(), 40, Some(10)),
                ("made".into(), 1, None),
            ]
        );
    }

    #[test]
    fn what_only_looks_alike_stays_apart() {
        let rows = vec![
            row(3, "price 1 → 2", "changed in ERP"),
            row(2, "price 1 → 2", "changed in Web"),
            row(1, "price 1 → 2", "changed in ERP"),
        ];
        assert_eq!(told(rows).len(), 3);
        assert!(told(Vec::new()).is_empty());
    }
}
