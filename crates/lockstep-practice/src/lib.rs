#![doc = include_str!("../README.md")]

mod api;
mod bounds;
mod catalogue;
mod clock;
mod config;
mod database;
mod faults;
mod hooks;
mod ids;
mod line;
mod money;
mod orders;
mod page;
mod problem;
mod requests;
mod running;
mod seed;
mod state;
mod stock;
mod storefront;

pub use config::{Location, Method, Named, PaymentTerm, Rate, ShopConfig, ShopVersion};
pub use money::{Money, Percent};
pub use orders::lifecycle::Takes;
pub use running::{RunningShop, Shop};
pub use seed::Seed;
