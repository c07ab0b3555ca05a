//! Replicas: the projections of a customer's acknowledged segments, in one SQLite file per customer that
//! can be thrown away and built again. What people read of records, history, stock and runs comes from
//! here, and never from a worker's disk. A replica is what a checkpoint is made of, too.

mod checkpoints;
mod found;
mod replica;
mod replicas;
mod stored;

pub use checkpoints::{Checkpoints, follow as follow_growth, stands_in_the_chain};
pub use replicas::{Replicas, Shops, Summary, follow};
