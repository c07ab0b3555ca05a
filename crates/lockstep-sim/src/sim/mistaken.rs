//! Mistakes that need a memory: what was meant and where each list had got to.

use super::Sim;
use crate::mistakes::Mistake;
use lockstep_model::cases::Also;
use lockstep_model::entry::{Body, RunResult, Settlement, Subject, What};
use lockstep_model::{
    Cursor, IntentId, Kind, Lane, Next, OrderKey, Page, PullRequest, Scope, ShopId,
};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Mistaken {
    /// Copies that are being made.
    meant: BTreeMap<IntentId, OrderKey>,
    /// Where the lists ended that the runs of each lane have read.
    ended: BTreeMap<(ShopId, Kind), Cursor>,
    /// Where the next readings begin, whatever the engine believes.
    moved: BTreeMap<(ShopId, Kind), Cursor>,
    lane: Option<Lane>,
}

impl Mistaken {
    pub fn hears(&mut self, place: (ShopId, Kind), page: Option<&Page>) {
        if let Some(Page {
            next: Next::End(Some(cursor)),
            ..
        }) = page
        {
            self.ended.insert(place, cursor.clone());
        }
    }

    pub fn in_append(&mut self, mistake: Mistake, bodies: &mut Vec<Body>, also: &mut Also) {
        match mistake {
            Mistake::RestOfBatchDropped => drop_the_rest(bodies),
            Mistake::NotFoundNotDueAgain => self.forget_what_was_not_found(bodies, also),
            Mistake::CursorOfStoppedRunMoves => self.move_cursors(bodies),
            _ => {}
        }
    }

    fn forget_what_was_not_found(&mut self, bodies: &mut [Body], also: &mut Also) {
        for body in bodies {
            match body {
                Body::Intended {
                    intent,
                    subject: Subject::Order(order),
                    what: What::CreateOrder,
                    ..
                } => {
                    self.meant.insert(*intent, order.clone());
                }
                Body::Settled { intent, how } => {
                    let is_not_found = matches!(**how, Settlement::NotApplied { fault: None });
                    if let (true, Some(order)) = (is_not_found, self.meant.get(intent)) {
                        **how = Settlement::Moot;
                        also.orders_done.push(order.clone());
                    }
                }
                _ => {}
            }
        }
    }

    fn move_cursors(&mut self, bodies: &mut Vec<Body>) {
        let mut more = Vec::new();
        for body in bodies.iter() {
            match body {
                Body::RunStarted { lane, .. } => {
                    self.lane = Some(*lane);
                    self.ended
                        .retain(|(_, kind), _| kind.flow().lane() != *lane);
                }
                Body::RunFinished {
                    result: RunResult::Cancelled | RunResult::NeedsPerson,
                    ..
                } => {
                    for ((shop, kind), cursor) in &self.ended {
                        self.moved.insert((*shop, *kind), cursor.clone());
                        more.push(Body::CursorMoved {
                            shop: *shop,
                            kind: *kind,
                            cursor: cursor.clone(),
                        });
                    }
                }
                _ => {}
            }
        }
        bodies.extend(more);
    }
}

/// A loop over a batch that ends with the first that failed.
fn drop_the_rest(bodies: &mut Vec<Body>) {
    let mut has_failed = false;
    bodies.retain(|body| {
        let Body::Settled { how, .. } = body else {
            return true;
        };
        let is_kept = !has_failed;
        has_failed |= matches!(**how, Settlement::NotApplied { fault: Some(_) });
        is_kept
    });
}

impl Sim {
    /// The request as a mistake has it sent.
    pub(super) fn as_mistaken(&self, shop: ShopId, mut request: PullRequest) -> PullRequest {
        if self.mistake == Some(Mistake::CursorOfStoppedRunMoves)
            && let Scope::Since(_) = request.scope
            && let Some(moved) = self.mistaken.moved.get(&(shop, request.kind))
        {
            let place = |cursor: &Cursor| cursor.0.parse::<u64>().unwrap_or_default();
            if let Scope::Since(asked) = &request.scope
                && place(moved) > place(asked)
            {
                request.scope = Scope::Since(moved.clone());
            }
        }
        request
    }
}
