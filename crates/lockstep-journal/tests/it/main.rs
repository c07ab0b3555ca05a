//! The journal as its callers see it: files, entries, pages, chunks, segments.

mod catalogue;
mod chain;
mod checkpoints;
mod closing;
mod crash;
mod files;
mod items;
mod paging;
mod personal;
mod plans;
mod projections;
mod removal;
mod root;
mod staging;
mod support;
mod trade;
mod undo;
mod views;
