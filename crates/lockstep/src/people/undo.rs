//! `lockstep undo`

use super::api::{Api, ShopNames};
use super::runs::until_ended;
use crate::arguments;
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_model::RunId;
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::undo::{UndoPreview, UndoReply, UndoRow};

pub async fn undo(arguments: arguments::Undo, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let named = arguments.run.rsplit_once('-');
    let named = named.and_then(|(customer, run)| Some((customer, RunId(run.parse().ok()?))));
    let Some((customer, run)) = named else {
        return Err(Trouble::wrong_use(format!(
            "\"{}\" names no run: its customer and its number, as in 1-12; lockstep runs CUSTOMER shows them",
            arguments.run
        ))
        .into());
    };
    let customer = api.customer(customer).await?;
    if arguments.dry_run {
        let path = fill(paths::RUN_UNDO_PREVIEW, &[&customer, &run]);
        let preview: UndoPreview = api.post(&path, &()).await?;
        if as_json {
            print::json(&preview)?;
        } else {
            show(&preview, &api.shop_names(customer).await?);
        }
        return Ok(Exit::Done);
    }
    let path = fill(paths::RUN_UNDO, &[&customer, &run]);
    let reply: UndoReply = api.post(&path, &()).await?;
    until_ended(&api, customer, reply.run, as_json).await
}

fn show(preview: &UndoPreview, names: &ShopNames) {
    print::line(&format!(
        "Undo of run {}: {} to put back, {} as before already, {} left as they are. Nothing was written.",
        preview.run, preview.put_back, preview.as_before, preview.left
    ));
    if !preview.rows.is_empty() {
        let heads = ["", "record", "field", "shop", "now", "back to", "why"];
        let rows = preview.rows.iter().map(|each| row(each, names));
        print::table(&heads, rows.collect());
    }
    if preview.cut {
        print::line("… and more");
    }
    if preview.put_back > 0 {
        print::line(&format!(
            "Put it back: lockstep undo {}-{}",
            preview.customer_id, preview.run
        ));
    }
}

fn row(row: &UndoRow, names: &ShopNames) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "—".into());
    vec![
        if row.put_back { "~" } else { " " }.to_owned(),
        row.key.clone(),
        row.field.clone().unwrap_or_default(),
        names.of(row.shop),
        text(&row.now),
        text(&row.back),
        row.why.clone(),
    ]
}
