//! To be written.
#![allow(dead_code)]

mod backoff;
mod bounds;
mod clock;
mod config;
mod coordinator;
mod crash;
mod enrol;
mod folder;
mod identity;
mod link;
mod shop_http;
mod state;
mod trust;
