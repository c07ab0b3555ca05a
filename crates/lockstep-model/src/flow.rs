//! What is kept in step, and in which lane it runs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A flow can be switched on or off for a customer and is woken by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    Categories,
    Products,
    Pictures,
    Stock,
    Orders,
}

impl Flow {
    pub const ALL: [Flow; 5] = [
        Flow::Categories,
        Flow::Products,
        Flow::Pictures,
        Flow::Stock,
        Flow::Orders,
    ];

    pub fn lane(self) -> Lane {
        match self {
            Flow::Categories | Flow::Products | Flow::Pictures => Lane::Catalogue,
            Flow::Stock | Flow::Orders => Lane::Trade,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Flow::Categories => "categories",
            Flow::Products => "products",
            Flow::Pictures => "pictures",
            Flow::Stock => "stock",
            Flow::Orders => "orders",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flow| flow.as_str() == text)
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A customer has at most one run in each lane at a time. Stock and orders of a shop share one reading and one
/// commit, so they share a lane; a long first sync of the catalogue must not hold them up, so it has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    Trade,
    Catalogue,
}

impl Lane {
    pub const ALL: [Lane; 2] = [Lane::Trade, Lane::Catalogue];

    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Trade => "trade",
            Lane::Catalogue => "catalogue",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
