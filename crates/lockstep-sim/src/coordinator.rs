//! A made-up coordinator: who holds the customer, under which epoch, and the chain of segments it has acknowledged.

use crate::door::intent_of;
use jiff::{SignedDuration, Timestamp};
use lockstep_journal::Segment;
use lockstep_model::entry::{Body, Entry, Movement, Subject};
use lockstep_model::{ShopId, Sku};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A lease that is not renewed is over after this.
pub const LEASE_MS: i64 = 15_000;
/// A worker counts its own from before it asked, less what clocks may differ, less what a write may take.
pub const OWN_MARGIN_MS: i64 = 7_000;
/// A lease that is over is given to another after this.
const GRANT_AFTER_MS: i64 = 5_000;

const INTENDED: &str = "\"entry\":\"intended\"";
const BASE_MOVED: &str = "\"entry\":\"base_moved\"";
const LEVEL_OVERRULED: &str = "\"entry\":\"level_overruled\"";

pub fn later(at: Timestamp, ms: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(ms))
        .unwrap_or(at)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Another epoch was granted since.
    OldEpoch,
    /// It does not follow what is there.
    Fork,
}

#[derive(Debug, Default)]
pub struct Coordinator {
    pub segments: Vec<Segment>,
    pub epoch: u64,
    pub owner: usize,
    pub lease_until: Option<Timestamp>,
    /// Accepts segments of epochs that are over: a mistake.
    pub epochs_unchecked: bool,
    /// What the acknowledged journal means to push and no push has used yet.
    pub intents: BTreeMap<String, u32>,
    /// When the last write to a level of the ERP was meant: only its levels may be left to a person.
    pub level_intents: BTreeMap<Subject, Timestamp>,
    /// Units that levels moved by and no order explains, as the journal has it: up and down alike.
    pub unexplained: BTreeMap<(ShopId, Sku), Decimal>,
    /// What was accepted against the rules.
    pub violations: Vec<String>,
}

impl Coordinator {
    pub fn may_grant(&self, machine: usize, now: Timestamp) -> bool {
        self.epoch == 0
            || self.owner == machine
            || self
                .lease_until
                .is_none_or(|until| later(until, GRANT_AFTER_MS) < now)
    }

    pub fn grant(&mut self, machine: usize, now: Timestamp) -> u64 {
        self.epoch += 1;
        self.owner = machine;
        self.lease_until = Some(later(now, LEASE_MS));
        self.epoch
    }

    /// Until when, on the clock that everybody shares.
    pub fn renew(&mut self, epoch: u64, now: Timestamp) -> Option<Timestamp> {
        (epoch == self.epoch).then(|| {
            self.lease_until = Some(later(now, LEASE_MS));
            later(now, LEASE_MS)
        })
    }

    pub fn take(&mut self, segment: &Segment) -> Result<(), Refusal> {
        let header = &segment.header;
        let is_old = header.epoch.0 < self.epoch;
        if is_old && !self.epochs_unchecked {
            return Err(Refusal::OldEpoch);
        }
        let index = usize::try_from(header.sequence).unwrap_or(usize::MAX) - 1;
        if let Some(known) = self.segments.get(index) {
            return if known.hash == segment.hash {
                Ok(())
            } else {
                Err(Refusal::Fork)
            };
        }
        let last = self.segments.last().map(|last| last.hash);
        if index != self.segments.len() || header.previous != last.unwrap_or_default() {
            return Err(Refusal::Fork);
        }
        if is_old {
            self.violations.push(format!(
                "segment {} of epoch {} was accepted after epoch {} had been granted",
                header.sequence, header.epoch, self.epoch
            ));
        }
        self.read(segment);
        self.segments.push(segment.clone());
        Ok(())
    }

    fn read(&mut self, segment: &Segment) {
        let lines = segment.lines().expect("a segment that was cut is whole");
        let lines = std::str::from_utf8(&lines).expect("JSON is text");
        // Most entries are not intents, and reading JSON is most of what this costs.
        let is_read = |line: &&str| {
            let entries = [INTENDED, BASE_MOVED, LEVEL_OVERRULED];
            entries.iter().any(|entry| line.contains(entry))
        };
        for line in lines.lines().filter(is_read) {
            let entry: Entry = serde_json::from_str(line).expect("an entry that was written");
            match &entry.body {
                Body::Intended {
                    shop,
                    subject,
                    what,
                    ..
                } => {
                    let intent = intent_of(*shop, subject, what);
                    *self.intents.entry(intent).or_default() += 1;
                    if let Subject::Level { .. } = subject
                        && *shop == crate::scenario::ERP
                    {
                        self.level_intents.insert(subject.clone(), entry.at);
                    }
                }
                Body::BaseMoved {
                    item,
                    delta,
                    cause: Movement::Unexplained { shop, .. },
                    ..
                }
                | Body::LevelOverruled {
                    shop, item, delta, ..
                } => {
                    let key = (*shop, Sku(item.0.clone()));
                    *self.unexplained.entry(key).or_default() += delta.abs();
                }
                _ => {}
            }
        }
    }
}
