//! A bare axum server: one route, a fixed answer, nothing around it.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("there is no free port on loopback")?;
    let address = listener
        .local_addr()
        .context("a listener without an address")?;
    println!(
        "{}",
        serde_json::json!({ "url": format!("http://{address}/") })
    );
    let app = Router::new().fallback(get(|| async { "ok" }));
    axum::serve(listener, app)
        .with_graceful_shutdown(input_ends())
        .await
        .context("the server failed")
}

/// Whoever started this holds its standard input open; when that is gone, so is the need for this server.
async fn input_ends() {
    let mut input = tokio::io::stdin();
    let mut ignored = [0_u8; 64];
    while matches!(input.read(&mut ignored).await, Ok(1..)) {}
}
