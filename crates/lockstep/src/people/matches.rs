//! `lockstep matches`

use super::api::Api;
use crate::arguments::Matches;
use crate::exit::{Exit, Trouble};
use crate::print;
use anyhow::Context;
use lockstep_model::CustomerId;
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::matches::{MatchesReply, MatchesRequest, MatchesView};
use std::io::Read;
use std::path::Path;

pub async fn matches(command: Matches, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&command.customer).await?;
    match command.answer {
        None => ask(&api, customer, as_json).await,
        Some(file) => answer(&api, customer, read(&file)?, as_json).await,
    }
}

/// The table alone on standard output, so that it can be sent to a file.
async fn ask(api: &Api, customer: CustomerId, as_json: bool) -> anyhow::Result<Exit> {
    let view: MatchesView = api
        .get(&Api::of_customer(paths::MATCHES, customer), &[])
        .await?;
    if as_json {
        print::json(&view)?;
    } else if view.rows == 0 {
        print::note("No match is in doubt.");
    } else {
        print::raw(&view.csv)?;
        print::note(
            "Fill in the column \"answer\" (the number of a record under could_be, or \"none\") and give it back: lockstep \
             matches CUSTOMER --answer FILE",
        );
        if view.more {
            print::note("There are more; these come first.");
        }
    }
    Ok(if view.rows == 0 {
        Exit::Done
    } else {
        Exit::NeedsPerson
    })
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("the table cannot be read from standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(|error| {
        Trouble::wrong_use(format!("{} cannot be read: {error}", file.display())).into()
    })
}

async fn answer(
    api: &Api,
    customer: CustomerId,
    csv: String,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let path = Api::of_customer(paths::MATCHES, customer);
    let reply: MatchesReply = api.post(&path, &MatchesRequest { csv }).await?;
    if as_json {
        print::json(&reply)?;
    } else {
        for row in &reply.refused {
            print::line(&format!("line {}: {}", row.line, row.why));
        }
        print::line(&format!(
            "{} answered, {} left open, {} refused. What was answered is read again in the shop and synced in a moment.",
            reply.answered,
            reply.left,
            reply.refused.len()
        ));
    }
    Ok(if reply.refused.is_empty() && reply.left == 0 {
        Exit::Done
    } else {
        Exit::NeedsPerson
    })
}
