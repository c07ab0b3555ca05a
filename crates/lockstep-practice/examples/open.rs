//! Opens one practice shop until Ctrl-C, for looking at it: `cargo run -p lockstep-practice --example open -- 200 payment`.

use lockstep_practice::{Seed, Shop, ShopConfig, Takes};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let mut words = std::env::args().skip(1);
    let products: u64 = words.next().map_or(Ok(200), |word| word.parse())?;
    let takes: Takes = words
        .next()
        .map_or(Ok(Takes::Placement), |word| word.parse())
        .map_err(anyhow::Error::msg)?;
    let folder = words
        .next()
        .unwrap_or_else(|| "target/practice-shop".into());
    let begun = std::time::Instant::now();
    let shop = Shop::start(ShopConfig {
        name: "Harbour & Birch".into(),
        takes,
        token: Some("practice".to_string().into()),
        seed: Some(Seed {
            products,
            ..Seed::default()
        }),
        ..ShopConfig::new(folder)
    })
    .await?;
    println!(
        "{} (token {}) after {:?}",
        shop.url(),
        shop.token(),
        begun.elapsed()
    );
    tokio::signal::ctrl_c().await?;
    shop.shutdown().await;
    Ok(())
}
