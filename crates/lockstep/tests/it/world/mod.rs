//! What the tests put on: real processes of the built binary, and clients that speak to them over HTTP. No code of
//! a connector, of the worker or of the coordinator is used here: what is checked is read from the outside.

mod books;
mod coordinator;
mod medusa;
mod people;
mod process;
mod scene;
pub mod settings;
mod shop;
mod wait;
mod wiretap;
mod worker;

pub use books::{Books, in_step};
pub use coordinator::Coordinator;
pub use medusa::Medusa;
pub use people::{People, Typed};
pub use process::{Process, command};
pub use scene::{Scene, ShopPlan};
pub use shop::{Bought, PracticeShop, ShopClient};
pub use wait::{eventually, holds_for, seconds};
pub use wiretap::{Exchange, Wiretap};
pub use worker::Worker;

/// A client that waits for no answer longer than a person would.
pub fn http() -> reqwest::Client {
    // Another test of this process may have installed it already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("an HTTP client")
}
