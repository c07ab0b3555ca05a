//! Medusa v2.
pub struct Medusa;
