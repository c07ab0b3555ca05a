#![doc = include_str!("../README.md")]

mod exchange;
mod medusa;
mod portions;
mod practice;
mod redaction;

use lockstep_connector::Registry;
use std::sync::Arc;

pub use medusa::Medusa;
pub use practice::Practice;

/// Every platform that this build knows.
pub fn registry() -> Registry {
    Registry::new(vec![Arc::new(Practice), Arc::new(Medusa)])
}
