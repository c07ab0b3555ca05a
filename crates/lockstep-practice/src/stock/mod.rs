//! Levels: how many units of a SKU a stock holds, and the three ways to write one.

pub mod level;
pub mod level_rows;
