//! Lockstep as its users meet it: real processes, real shops, a real browser.

mod demo_story;
mod edges;
mod world;
