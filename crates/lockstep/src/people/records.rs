//! `lockstep record` and `lockstep explain`

use super::api::Api;
use crate::arguments::{Explain, Record};
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::Page;
use lockstep_protocol::people::records::{LevelRow, RecordRow, RecordView, StockExplained};

pub async fn record(arguments: Record, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    let found: Page<RecordRow> = api
        .get(
            &Api::of_customer(paths::RECORDS, customer),
            &[("query", &arguments.key)],
        )
        .await?;
    let row = found
        .items
        .iter()
        .find(|row| row.key == arguments.key || row.record.to_string() == arguments.key)
        .or(match found.items.as_slice() {
            [only] => Some(only),
            _ => None,
        });
    let Some(row) = row else {
        if found.items.is_empty() {
            return Err(
                Trouble::wrong_use(format!("nothing is known of \"{}\"", arguments.key)).into(),
            );
        }
        if as_json {
            print::json(&found.items)?;
        } else {
            let rows = found.items.iter().map(|row| {
                vec![
                    row.record.to_string(),
                    row.kind.clone(),
                    row.key.clone(),
                    row.title.clone(),
                ]
            });
            print::table(&["record", "kind", "key", "title"], rows.collect());
        }
        return Ok(Exit::Done);
    };
    let path = fill(paths::RECORD, &[&customer, &row.record]);
    let view: RecordView = api.get(&path, &[]).await?;
    if as_json {
        print::json(&view)?;
    } else {
        show(&view);
    }
    Ok(if view.conflicts.is_empty() {
        Exit::Done
    } else {
        Exit::NeedsPerson
    })
}

fn show(view: &RecordView) {
    print::line(&format!("{} {}", view.row.key, view.row.title));
    let mut heads = vec!["field"];
    heads.extend(view.shops.iter().map(|shop| shop.name.as_str()));
    heads.push("who decides");
    let rows = view.fields.iter().map(|field| {
        let mut row = vec![field.path.clone()];
        for shop in &view.shops {
            let value = field.values.get(&shop.shop).cloned();
            row.push(value.unwrap_or_else(|| "—".into()));
        }
        row.push(field.decides.clone());
        row
    });
    print::table(&heads, rows.collect());
    for item in &view.history {
        print::line(&format!("{}  {}  {}", item.at, item.what, item.why));
    }
    for conflict in &view.conflicts {
        print::line(&format!(
            "needs a person: {} {}",
            conflict.title, conflict.detail
        ));
    }
}

/// The shop, and the stocks whose sum it shows.
fn shown_as(level: &LevelRow) -> String {
    match level.sells_from.as_slice() {
        [] => level.name.clone(),
        several => format!("{} ({})", level.name, several.join(" + ")),
    }
}

pub async fn explain(arguments: Explain, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    let path = fill(paths::EXPLAIN, &[&customer, &arguments.sku]);
    let explained: StockExplained = api.get(&path, &[]).await?;
    if as_json {
        print::json(&explained)?;
        return Ok(Exit::Done);
    }
    if explained.stocks.is_empty() {
        print::line(&format!(
            "Nothing is known of the stock of {} yet.",
            explained.sku
        ));
    }
    for stock in &explained.stocks {
        print::line(&format!(
            "{} in {}: {} = base {} − committed {}",
            explained.sku,
            stock.stock_name,
            stock.pool.normalize(),
            stock.base.normalize(),
            stock.committed.normalize()
        ));
        for movement in &stock.movements {
            print::line(&format!(
                "  {}  {:>+6}  {}",
                movement.at,
                movement.units.normalize(),
                movement.what
            ));
        }
        let rows = stock.levels.iter().map(|level| {
            [
                level.on_hand,
                level.reserved,
                level.available,
                level.pending,
                level.target,
            ]
            .map(|units| units.normalize().to_string())
            .into_iter()
            .fold(vec![shown_as(level)], |mut row, units| {
                row.push(units);
                row
            })
        });
        print::table(
            &[
                "shop",
                "on hand",
                "reserved",
                "available",
                "pending",
                "target",
            ],
            rows.collect(),
        );
    }
    Ok(Exit::Done)
}
