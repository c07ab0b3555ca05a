//! The coordinator over real HTTP on a free port, with a database in a temporary folder, called by a
//! worker and a person that are made for this.

mod asks;
mod checkpoints;
mod console;
mod enrolment;
mod events;
mod hooks;
mod journal;
mod ownership;
mod people;
mod platform;
mod restart;
mod runs;
mod security;
mod settings;
mod tls;
mod worker;
mod world;
