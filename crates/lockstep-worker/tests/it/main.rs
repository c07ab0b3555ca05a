//! The worker against servers and coordinators that misbehave as scripted, all on loopback.

mod coordinator;
mod enrolment;
mod hooks;
mod http_port;
mod leaving;
mod scripted_server;
mod shop;
mod sync;
mod takeover;
