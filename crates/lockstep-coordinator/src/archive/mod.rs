//! Replicas: the projections of a customer's acknowledged segments, in one SQLite file per customer that
//! can be thrown away and built again. What people read of records, history, stock and runs comes from
//! here, and never from a worker's disk.

mod found;
mod replica;
mod replicas;

pub use replicas::{Replicas, follow};
