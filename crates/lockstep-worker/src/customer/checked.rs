//! When each shop was last asked who it is. Kept beside the journal: a worker that is started every few minutes does not
//! spend a part of the shops' calls on asking it each time.

use super::Seat;
use crate::folder::Folder;
use jiff::{SignedDuration, Timestamp};
use lockstep_model::{Revision, ShopId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const ASKED_EVERY: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Checked {
    /// Under other settings every shop is asked anew: its address or key may be another.
    revision: Revision,
    at: BTreeMap<ShopId, Timestamp>,
}

impl Checked {
    /// What cannot be read is as if nobody had been asked.
    pub fn load(folder: &Folder, seat: &Seat) -> Self {
        let kept: Option<Checked> = folder.read_json(&name(seat)).unwrap_or_else(|error| {
            tracing::warn!(%error, "when the shops were last asked who they are is not known; they are asked now");
            None
        });
        kept.filter(|kept| kept.revision == seat.revision)
            .unwrap_or_else(|| Checked {
                revision: seat.revision,
                at: BTreeMap::new(),
            })
    }

    pub fn is_due(&self, shop: ShopId, now: Timestamp) -> bool {
        let past = self.at.get(&shop).map(|at| now.duration_since(*at));
        past.is_none_or(|past| past.is_negative() || past >= ASKED_EVERY)
    }

    pub fn note(&mut self, shop: ShopId, now: Timestamp, folder: &Folder, seat: &Seat) {
        if self.revision != seat.revision {
            *self = Checked {
                revision: seat.revision,
                at: BTreeMap::new(),
            };
        }
        self.at.insert(shop, now);
        if let Err(error) = folder.write_json(&name(seat), self) {
            tracing::warn!(%error, "it was not noted that a shop said who it is; it is asked again at the next start");
        }
    }
}

fn name(seat: &Seat) -> String {
    format!("customers/{}.checked", seat.customer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_is_asked_once_an_hour_and_also_if_the_note_is_of_the_future() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let checked = Checked {
            revision: Revision(1),
            at: [(ShopId(1), second(10_000))].into(),
        };
        assert!(checked.is_due(ShopId(2), second(10_000)));
        assert!(!checked.is_due(ShopId(1), second(10_060)));
        assert!(checked.is_due(ShopId(1), second(13_600)));
        assert!(checked.is_due(ShopId(1), second(9_999)));
    }
}
