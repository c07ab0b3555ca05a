//! `lockstep history`

use super::api::Api;
use crate::arguments;
use crate::exit::Exit;
use crate::print;
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::records::{HistoryPage, HistoryRow};

pub async fn history(arguments: arguments::History, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    let path = fill(paths::HISTORY, &[&customer, &arguments.named]);
    let limit = arguments.limit.map(|limit| limit.to_string());
    let limit = limit.iter().map(|limit| ("limit", limit.as_str()));
    let cursor = arguments.cursor.iter();
    let cursor = cursor.map(|cursor| ("cursor", cursor.as_str()));
    let query: Vec<(&str, &str)> = limit.chain(cursor).collect();
    let page: HistoryPage = api.get(&path, &query).await?;
    if as_json {
        print::json(&page)?;
    } else {
        show(&page);
    }
    Ok(Exit::Done)
}

fn show(page: &HistoryPage) {
    print::line(&page.about);
    if page.rows.is_empty() {
        print::line("Nothing has happened to it.");
        return;
    }
    let heads = ["at", "what", "where", "from", "to", "who", "run", "why"];
    print::table(&heads, page.rows.iter().map(row).collect());
    if let Some(next) = &page.next {
        print::line(&format!("What was before: --cursor {next}"));
    }
}

fn row(row: &HistoryRow) -> Vec<String> {
    let nothing = || "—".to_owned();
    let [what, place, from, to] = match &row.moved {
        Some(moved) => [
            moved.name.clone(),
            match moved.shop {
                Some(_) => moved.shop_name.clone(),
                None => "our record".into(),
            },
            moved.from.clone().unwrap_or_else(nothing),
            moved.to.clone().unwrap_or_else(nothing),
        ],
        None => [
            row.what.clone(),
            String::new(),
            String::new(),
            String::new(),
        ],
    };
    let why = match row.cause.as_str() {
        "" => row.why.clone(),
        cause => format!("{} ({cause})", row.why),
    };
    let at = match row.first_at {
        Some(first) => format!("{} ({} times since {first})", row.at, row.times),
        None => row.at.to_string(),
    };
    vec![
        at,
        what,
        place,
        from,
        to,
        row.who.clone(),
        row.run.map(|run| run.to_string()).unwrap_or_default(),
        why,
    ]
}
