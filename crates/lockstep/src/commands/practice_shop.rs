//! `lockstep practice-shop`

use crate::arguments::PracticeShop;
use crate::exit::Exit;
use crate::print;
use lockstep_practice::{Seed, Shop, ShopConfig};
use serde_json::json;

pub async fn run(arguments: PracticeShop, as_json: bool) -> anyhow::Result<Exit> {
    let mut config = ShopConfig::new(&arguments.data);
    config.listen = arguments.listen;
    config.name = arguments.name;
    config.takes = arguments.takes;
    config.countries = arguments.countries;
    config.re_encodes_pictures = arguments.re_encodes_pictures;
    config.stocks.extend(arguments.stock);
    config.token = arguments.token.map(Into::into);
    config.seed = (arguments.products > 0).then(|| Seed {
        products: arguments.products,
        variants_per_product: arguments.variants,
        units_each: arguments.units,
        ..Seed::default()
    });
    let shop = Shop::start(config).await?;
    if as_json {
        print::json(&json!({
            "name": shop.name(),
            "url": shop.url(),
            "storefront_url": shop.url(),
            "api_token": shop.token(),
        }))?;
    } else {
        print::line(&format!("{} is open at {}", shop.name(), shop.url()));
        print::line(&format!("  API token  {}", shop.token()));
        print::line("  Ctrl-C closes it; its data stays.");
    }
    super::until_stopped().await;
    shop.shutdown().await;
    Ok(Exit::Done)
}
