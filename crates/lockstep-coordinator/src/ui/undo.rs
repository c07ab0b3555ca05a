//! Undoing a run: what it would put back, shown before it is done.

use super::{
    Shared,
    customers::{Names, shop_names},
    failure::{Failure, Shown},
    frame::Frame,
    session::{Posted, refused, said, went_well},
    urls,
    widgets::{When, grouped},
};
use askama::Template;
use axum::{
    extract::{self, Path},
    response::{IntoResponse, Response},
};
use lockstep_model::{CustomerId, RunId};
use lockstep_protocol::{
    Problem,
    paths::people,
    people::undo::{UndoPreview, UndoReply, UndoRow},
};

#[derive(Template)]
#[template(path = "undo.html")]
struct Page {
    frame: Frame,
    run: RunId,
    run_href: String,
    action: String,
    may_edit: bool,
    shown: Option<Shape>,
    problem: Option<String>,
}

struct Shape {
    made: When,
    put_back: String,
    puts_back: bool,
    as_before: String,
    left: String,
    rows: Vec<Row>,
    cut: bool,
}

struct Row {
    key: String,
    field: String,
    shop: String,
    shop_href: String,
    now: String,
    back: String,
    put_back: bool,
    why: String,
}

impl Shape {
    fn new(preview: UndoPreview, names: &Names, frame: &Frame) -> Self {
        let customer = preview.customer_id;
        let rows = preview.rows.into_iter();
        Shape {
            made: When::new(preview.made_at, frame.now),
            put_back: grouped(preview.put_back),
            puts_back: preview.put_back > 0,
            as_before: grouped(preview.as_before),
            left: grouped(preview.left),
            rows: rows.map(|row| Row::new(row, customer, names)).collect(),
            cut: preview.cut,
        }
    }
}

impl Row {
    fn new(row: UndoRow, customer: CustomerId, names: &Names) -> Self {
        let text = |text: Option<String>| text.unwrap_or_else(|| "nothing".into());
        // Of a whole record no value is shown.
        let is_field = row.field.is_some();
        Row {
            key: row.key,
            field: row.field.unwrap_or_default(),
            shop: names.of(row.shop),
            shop_href: urls::shop(customer, row.shop),
            now: match is_field {
                true => text(row.now),
                false => "—".into(),
            },
            back: text(row.back),
            put_back: row.put_back,
            why: row.why,
        }
    }
}

/// Reads the shops and shows what would be put back. Writes nothing.
pub async fn preview(
    extract::State(ui): extract::State<Shared>,
    Path((customer, run)): Path<(CustomerId, RunId)>,
    posted: Posted,
) -> Result<Response, Failure> {
    let visitor = &posted.visitor;
    let names = shop_names(&visitor.caller, customer).await?;
    let path = urls::path(people::RUN_UNDO_PREVIEW, &[&customer, &run]);
    let shown: Result<UndoPreview, Problem> = visitor.caller.post(&path, &()).await;
    let mut frame = Frame::of(&ui, visitor, &format!("Undo run {run}"), "customers")
        .await
        .within(customer, &names.customer, "runs");
    frame.crumb("Runs", urls::of_customer(customer, "runs"));
    frame.crumb(&format!("Run {run}"), urls::run(customer, run));
    let status = shown.as_ref().err().map(|problem| problem.code.status());
    let (shown, problem) = match shown {
        Ok(shown) => (Some(shown), None),
        Err(problem) => (None, Some(said(&problem))),
    };
    let page = Page {
        run,
        run_href: urls::run(customer, run),
        action: urls::undo(customer, run),
        may_edit: visitor.may_edit(),
        shown: shown.map(|shown| Shape::new(shown, &names, &frame)),
        problem,
        frame,
    };
    let mut response = Shown(page).into_response();
    if let Some(status) = status {
        *response.status_mut() = status;
    }
    Ok(response)
}

pub async fn undo(Path((customer, run)): Path<(CustomerId, RunId)>, posted: Posted) -> Response {
    let path = urls::path(people::RUN_UNDO, &[&customer, &run]);
    let answered: Result<UndoReply, Problem> = posted.visitor.caller.post(&path, &()).await;
    match answered {
        Ok(reply) => went_well(
            &urls::run(customer, reply.run),
            "It is being undone: what still stands is put back and waits for your word, what moved is named.",
        ),
        Err(problem) => refused(&urls::run(customer, run), &problem),
    }
}
