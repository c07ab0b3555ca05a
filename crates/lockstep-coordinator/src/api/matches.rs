//! Doubtful matches as a table, out and back: whoever connects a shop of ten thousand products answers in a spreadsheet.

use super::{
    Person,
    customers::stored,
    said::{self, Names},
};
use crate::{
    AppState,
    asks::{Asked, ask, not_done},
    bounds::{ASK_WAIT, MATCHES_AT_ONCE, MATCHES_MAX},
    events::Topic,
    extract::{Json, Path},
    refusal::{Answer, Refusal},
};
use axum::extract::State;
use lockstep_journal::{ConflictRow, Journal, JournalError};
use lockstep_model::{ConflictId, CustomerId, RecordId, Resolution, entry::Conflict};
use lockstep_protocol::{
    Code,
    asks::{Answer as Answered, Decided, Question},
    people::{
        login::Role,
        matches::{MatchesReply, MatchesRequest, MatchesView, RefusedRow},
        records::RecordRow,
    },
};
use std::collections::BTreeMap;

const HEAD: [&str; 8] = [
    "question",
    "shop",
    "shop_record",
    "title",
    "skus",
    "gtin",
    "could_be",
    "answer",
];
const NONE: &str = "none";

pub async fn list(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
) -> Answer<Json<MatchesView>> {
    person.may(Role::Viewer, customer)?;
    let names = Names::of(&app, customer).await?;
    let read = app
        .replicas
        .read(customer, |journal| {
            let mut rows = journal.doubtful_matches(None, MATCHES_MAX + 1)?;
            let more = rows.len() > MATCHES_MAX;
            rows.truncate(MATCHES_MAX);
            let candidates = candidates(journal, &rows)?;
            Ok((rows, candidates, more))
        })
        .await?;
    let (rows, candidates, more) = read.value;
    let csv = table(&names, &rows, &candidates).map_err(|error| {
        Refusal::new(Code::Internal, format!("the table cannot be made: {error}"))
    })?;
    Ok(Json(MatchesView {
        csv,
        rows: rows.len() as u64,
        more,
    }))
}

/// The records of ours that these questions speak of.
pub(super) fn candidates(
    journal: &Journal,
    rows: &[ConflictRow],
) -> Result<BTreeMap<RecordId, RecordRow>, JournalError> {
    let mut found = BTreeMap::new();
    for row in rows {
        let Conflict::DoubtfulMatch { candidates, .. } = &row.about else {
            continue;
        };
        for record in candidates {
            if found.contains_key(record) {
                continue;
            }
            if let Some(view) = journal.record_view(*record)? {
                found.insert(*record, said::record_row(&view));
            }
        }
    }
    Ok(found)
}

fn table(
    names: &Names,
    rows: &[ConflictRow],
    candidates: &BTreeMap<RecordId, RecordRow>,
) -> Result<String, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(HEAD)?;
    for row in rows {
        let Conflict::DoubtfulMatch {
            shop,
            id,
            candidates: could_be,
            title,
            skus,
            gtin,
        } = &row.about
        else {
            continue;
        };
        let could_be: Vec<String> = could_be
            .iter()
            .map(|record| format!("{record}: {}", said::candidate(candidates.get(record))))
            .collect();
        table.write_record([
            row.conflict.to_string(),
            plain(&names.shop(*shop)),
            plain(id.as_str()),
            plain(title),
            plain(&skus.join(" ")),
            plain(gtin.as_deref().unwrap_or_default()),
            plain(&could_be.join(" | ")),
            String::new(),
        ])?;
    }
    let bytes = table
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    // What was written is text.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a shop says must not become a formula of whoever opens the table.
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("\'{text}")
    } else {
        text.to_owned()
    }
}

/// An answered table: line, question, answer.
#[derive(Debug, PartialEq)]
struct AnsweredTable {
    answers: Vec<(u64, Decided)>,
    left: u64,
    refused: Vec<RefusedRow>,
}

fn answers(text: &str) -> Result<AnsweredTable, String> {
    // So that lines are counted as people count them.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let head = text.lines().next().unwrap_or_default();
    let separator = [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|separator| head.bytes().filter(|byte| byte == separator).count())
        .unwrap_or(b',');
    let mut table = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let head = table.headers().map_err(|error| error.to_string())?.clone();
    let column = |name: &str| {
        let mut columns = head.iter();
        columns
            .position(|column| column.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                format!(
                    "the table has no column \"{name}\"; its first line must be the head that it came with. Nothing was \
                     answered"
                )
            })
    };
    let (question, answer) = (column("question")?, column("answer")?);
    let mut read = AnsweredTable {
        answers: Vec::new(),
        left: 0,
        refused: Vec::new(),
    };
    for row in table.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let why = format!("the line cannot be read: {error}");
                read.refused.push(RefusedRow { line, why });
                continue;
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        let said = row.get(answer).unwrap_or_default();
        if said.is_empty() {
            read.left += 1;
            continue;
        }
        let named = row.get(question).unwrap_or_default();
        match decided(named, said) {
            Ok(decided) => read.answers.push((line, decided)),
            Err(why) => read.refused.push(RefusedRow { line, why }),
        }
    }
    Ok(read)
}

fn decided(question: &str, answer: &str) -> Result<Decided, String> {
    let conflict = question
        .parse()
        .map(ConflictId)
        .map_err(|_| format!("\"{question}\" is no number of a question"))?;
    let decision = if answer.eq_ignore_ascii_case(NONE) {
        Resolution::NoneOfOurs
    } else {
        let record = answer.parse().map(RecordId).map_err(|_| {
            format!(
                "\"{answer}\" is no answer: the number of a record under could_be, or \"{NONE}\""
            )
        })?;
        Resolution::IsRecord { record_id: record }
    };
    Ok(Decided { conflict, decision })
}

pub async fn answer(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Json(request): Json<MatchesRequest>,
) -> Answer<Json<MatchesReply>> {
    person.may(Role::Editor, customer)?;
    stored(&app, customer).await?;
    let AnsweredTable {
        answers,
        left,
        mut refused,
    } = answers(&request.csv).map_err(Refusal::bad_request)?;
    if answers.len() > MATCHES_MAX {
        return Err(Refusal::bad_request(format!(
            "the table answers {} questions, and {MATCHES_MAX} are taken at once; nothing was answered",
            answers.len()
        )));
    }
    let mut answered = 0;
    for some in answers.chunks(MATCHES_AT_ONCE) {
        let asked = Asked {
            customer: Some(customer),
            platform: None,
            question: Question::DecideEach {
                decisions: some.iter().map(|(_, decided)| decided.clone()).collect(),
                by: person.name().to_owned(),
            },
            by: person.name(),
            wait: ASK_WAIT,
        };
        let not_taken: BTreeMap<ConflictId, String> = match ask(&app, asked).await? {
            Answered::DecidedEach { refused } => refused.into_iter().collect(),
            other => return Err(not_done(other)),
        };
        for (line, decided) in some {
            match not_taken.get(&decided.conflict) {
                Some(why) => refused.push(RefusedRow {
                    line: *line,
                    why: why.clone(),
                }),
                None => answered += 1,
            }
        }
    }
    refused.sort_by_key(|row| row.line);
    app.events.tell(Topic::Records, Some(customer));
    Ok(Json(MatchesReply {
        answered,
        left,
        refused,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(conflict: u64, record: u64) -> Decided {
        Decided {
            conflict: ConflictId(conflict),
            decision: Resolution::IsRecord {
                record_id: RecordId(record),
            },
        }
    }

    #[test]
    fn a_table_is_read_however_a_spreadsheet_saved_it() {
        for text in [
            "question,title,answer\n5,Coffee,17\n6,Tea,\n",
            "\u{feff}question;title;answer\r\n5;\"Coffee; ground\";17\r\n6;Tea;\r\n",
            "Question\ttitle\tAnswer\n5\tCoffee\t17\n6\tTea\t\n",
            "answer,question\n17,5\n,6\n",
        ] {
            let read = answers(text).unwrap();
            assert_eq!(read.answers, [(2, is(5, 17))], "{text}");
            assert_eq!((read.left, read.refused.len()), (1, 0), "{text}");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named_and_the_others_are_taken() {
        let read = answers("question,answer\n5,perhaps\nfive,17\n7,NONE\n8\n").unwrap();
        let none = Decided {
            conflict: ConflictId(7),
            decision: Resolution::NoneOfOurs,
        };
        assert_eq!(read.answers, [(4, none)]);
        let lines: Vec<u64> = read.refused.iter().map(|row| row.line).collect();
        assert_eq!((lines.as_slice(), read.left), ([2, 3].as_slice(), 1));
    }

    #[test]
    fn a_table_without_its_head_is_refused_whole() {
        let why = answers("5,17\n").unwrap_err();
        assert!(why.contains("no column \"question\""), "{why}");
        assert!(answers("").is_err());
    }

    #[test]
    fn what_a_shop_calls_a_product_is_never_a_formula() {
        assert_eq!(plain("=HYPERLINK(\"x\")"), "\'=HYPERLINK(\"x\")");
        assert_eq!(plain("Coffee"), "Coffee");
    }
}
