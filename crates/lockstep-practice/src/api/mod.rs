//! The admin API: who may call (`caller`), what comes in (`body`, `batch`), and one file for each kind of record.

mod batch;
pub mod body;
mod caller;
mod categories;
mod hooks;
mod identity;
mod knobs;
mod lists;
mod orders;
mod pictures;
mod products;
pub mod router;
mod stock;
