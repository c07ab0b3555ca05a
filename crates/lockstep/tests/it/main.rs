//! Lockstep as its users meet it: real processes, real shops, a real browser.

mod buyers;
mod chapter_six;
mod checkpoints;
mod conflicts;
mod crashes;
mod demo_story;
mod edges;
mod edits;
mod faults;
mod fields;
mod held;
mod history;
mod in_chromium;
mod meetings;
mod moved;
mod on_medusa;
mod order_steps;
mod pinned;
mod plans;
mod removals;
mod security;
mod stocks;
mod storm;
mod transforms;
mod undo;
mod world;
