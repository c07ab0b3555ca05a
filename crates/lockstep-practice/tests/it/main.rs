//! The practice shop over real HTTP, on free ports.

mod caller;
mod catalogue;
mod checkout;
mod faults;
mod hooks;
mod orders;
mod reading;
mod stock;
mod storefront;
