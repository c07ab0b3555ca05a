//! How often what goes wrong.

use crate::coordinator::later;
use crate::dice::Dice;
use jiff::Timestamp;
use lockstep_model::{Fault, FaultKind};

/// In percent where nothing else is said. All zeros: peace.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub lost_reply: u64,
    pub never_arrives: u64,
    pub applied_late: u64,
    /// Nobody answers, or a 5xx to what changes nothing.
    pub unavailable: u64,
    /// 429.
    pub rate_limited: u64,
    pub slow: u64,
    /// Pages that take several times what a write needs to settle.
    pub slow_pages: u64,
    /// Webhooks and replies that come twice.
    pub duplicated: u64,
    /// Per effect, in hundredths of a percent.
    pub crash: u64,
    /// Of the crashes, those that lose the disk too.
    pub disk_lost: u64,
    /// A machine is suspended just before a write leaves.
    pub paused: u64,
    pub acknowledgement_lost: u64,
    /// These three per act of a person.
    pub cut_off: u64,
    pub clock_step: u64,
    pub declared_gone: u64,
}

impl Faults {
    pub fn from(dice: &mut Dice) -> Self {
        Self {
            lost_reply: dice.below(11),
            never_arrives: dice.below(5),
            applied_late: dice.below(8),
            unavailable: dice.below(5),
            rate_limited: dice.below(4),
            slow: dice.below(15),
            slow_pages: 0,
            duplicated: dice.below(10),
            crash: dice.below(60),
            disk_lost: 30,
            paused: dice.below(3),
            acknowledgement_lost: dice.below(6),
            cut_off: dice.below(6),
            clock_step: dice.below(4),
            declared_gone: dice.below(3),
        }
    }

    pub fn of_a_read(&self, dice: &mut Dice, clock: Timestamp) -> Option<Fault> {
        if dice.chance(self.unavailable) {
            let kinds = [
                FaultKind::Unavailable,
                FaultKind::Timeout,
                FaultKind::Protocol,
            ];
            let kind = dice.pick(&kinds).cloned()?;
            return Some(Fault::new(kind, "nobody answers"));
        }
        self.rate(dice, clock)
    }

    /// No byte of it was sent, or it was turned away whole.
    pub fn of_a_write(&self, dice: &mut Dice, clock: Timestamp) -> Option<Fault> {
        if dice.chance(self.unavailable) {
            return Some(Fault::new(FaultKind::Unavailable, "nobody answers"));
        }
        self.rate(dice, clock)
    }

    fn rate(&self, dice: &mut Dice, clock: Timestamp) -> Option<Fault> {
        dice.chance(self.rate_limited).then(|| {
            let retry_at = Some(later(clock, dice.between(200, 3_000)));
            Fault::new(FaultKind::RateLimited { retry_at }, "too many requests")
        })
    }
}
