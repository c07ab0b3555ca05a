//! `lockstep asides`

use super::api::Api;
use crate::arguments;
use crate::exit::Exit;
use crate::print;
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::Page;
use lockstep_protocol::people::asides::AsideView;

pub async fn asides(arguments: arguments::Asides, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    let page: Page<AsideView> = api
        .get(&Api::of_customer(paths::ASIDES, customer), &[])
        .await?;
    let exit = match page.items.is_empty() {
        true => Exit::Done,
        false => Exit::NeedsPerson,
    };
    if as_json {
        print::json(&page.items)?;
        return Ok(exit);
    }
    if page.items.is_empty() {
        print::line("Nothing stands aside.");
        return Ok(exit);
    }
    let rows = page.items.into_iter().map(|aside| {
        let next = match aside.retry_at {
            Some(at) => format!("tried again {}", at.strftime("%Y-%m-%d %H:%M:%S UTC")),
            None => aside.advice,
        };
        vec![
            aside.what,
            aside.shop_name,
            aside.why,
            aside.tries.to_string(),
            aside.at.strftime("%Y-%m-%d %H:%M").to_string(),
            next,
        ]
    });
    let heads = ["what", "shop", "why", "tries", "since", "next"];
    print::table(&heads, rows.collect());
    Ok(exit)
}
