//! The contract kit against every platform: practice in this process, medusa where `cargo xtask test` has started one.

mod http;
mod medusa;
mod on_medusa_cases;
mod practice;
