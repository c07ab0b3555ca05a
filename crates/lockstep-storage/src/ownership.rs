//! Who owns a customer: one pure, total transition. The epoch grows with each grant and never returns.
//!
//! ```text
//!            assign(B)              release(A)
//!  A owns ───────────► A moves to B ─────────► B owns, epoch + 1
//!    └──────── assign(B, the machine is gone) ────────┘
//! ```
//! While a customer moves it is in nobody's settings: A is told to let go, B is not told yet. A's segments
//! are taken until it releases.

use lockstep_model::{Epoch, WorkerId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ownership {
    pub worker: Option<WorkerId>,
    /// Of the present or the last owner; 0 before the first.
    pub epoch: Epoch,
    pub moving_to: Option<WorkerId>,
    /// The owner shall let go and nobody shall get it.
    pub revoked: bool,
}

impl Ownership {
    /// In whose settings the customer is.
    pub fn told_to(&self) -> Option<WorkerId> {
        self.worker
            .filter(|_| self.moving_to.is_none() && !self.revoked)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Give it to this worker; an owner that is there lets go first.
    Assign { to: WorkerId },
    /// Give it at once: the owner's machine is gone, or its lease is over.
    Take { to: WorkerId },
    /// As `Take`, if who has it (or that nobody has) is still as it was seen: whoever looked may be late.
    Pass {
        from: Option<WorkerId>,
        epoch: Epoch,
        to: WorkerId,
    },
    /// The owner stays, in a new epoch: it let go of what was given back to it meanwhile.
    Regrant { to: WorkerId, epoch: Epoch },
    /// Nobody shall have it; an owner lets go first.
    Revoke,
    /// The owner has let go: nothing of it is in flight.
    Release { by: WorkerId, epoch: Epoch },
}

/// Not the owner, or not in this epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTheOwner;

pub fn next(now: Ownership, event: Event) -> Result<Ownership, NotTheOwner> {
    match event {
        Event::Assign { to } => Ok(match now.worker {
            None => granted(now, to),
            Some(owner) if owner == to => Ownership {
                moving_to: None,
                revoked: false,
                ..now
            },
            Some(_) => Ownership {
                moving_to: Some(to),
                revoked: false,
                ..now
            },
        }),
        Event::Take { to } => Ok(granted(now, to)),
        Event::Pass { from, epoch, to } => {
            if now.worker != from || now.epoch != epoch {
                return Err(NotTheOwner);
            }
            Ok(granted(now, to))
        }
        Event::Regrant { to, epoch } => {
            if now.told_to() != Some(to) || now.epoch != epoch {
                return Err(NotTheOwner);
            }
            Ok(granted(now, to))
        }
        Event::Revoke => Ok(match now.worker {
            None => Ownership {
                moving_to: None,
                revoked: false,
                ..now
            },
            Some(_) => Ownership {
                moving_to: None,
                revoked: true,
                ..now
            },
        }),
        Event::Release { by, epoch } => {
            if now.worker != Some(by) || now.epoch != epoch {
                return Err(NotTheOwner);
            }
            let free = Ownership {
                worker: None,
                moving_to: None,
                revoked: false,
                ..now
            };
            Ok(now.moving_to.map_or(free, |to| granted(now, to)))
        }
    }
}

fn granted(now: Ownership, to: WorkerId) -> Ownership {
    Ownership {
        worker: Some(to),
        epoch: Epoch(now.epoch.0.saturating_add(1)),
        moving_to: None,
        revoked: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: WorkerId = WorkerId(1);
    const B: WorkerId = WorkerId(2);

    fn after(events: &[Event]) -> Ownership {
        events.iter().fold(Ownership::default(), |now, event| {
            next(now, *event).unwrap_or(now)
        })
    }

    #[test]
    fn a_move_waits_for_the_release() {
        let moving = after(&[Event::Assign { to: A }, Event::Assign { to: B }]);
        assert_eq!(
            (moving.worker, moving.epoch, moving.told_to()),
            (Some(A), Epoch(1), None)
        );
        let moved = next(
            moving,
            Event::Release {
                by: A,
                epoch: Epoch(1),
            },
        )
        .unwrap();
        assert_eq!((moved.told_to(), moved.epoch), (Some(B), Epoch(2)));
    }

    #[test]
    fn a_take_over_does_not_wait_and_the_old_owner_is_refused() {
        let taken = after(&[Event::Assign { to: A }, Event::Take { to: B }]);
        assert_eq!((taken.told_to(), taken.epoch), (Some(B), Epoch(2)));
        assert_eq!(
            next(
                taken,
                Event::Release {
                    by: A,
                    epoch: Epoch(1)
                }
            ),
            Err(NotTheOwner)
        );
    }

    #[test]
    fn a_move_that_is_thought_better_of_leaves_the_owner_its_epoch() {
        let kept = after(&[
            Event::Assign { to: A },
            Event::Assign { to: B },
            Event::Assign { to: A },
        ]);
        assert_eq!((kept.told_to(), kept.epoch), (Some(A), Epoch(1)));
    }

    #[test]
    fn what_was_seen_too_late_moves_nothing() {
        let pass = |from, epoch| Event::Pass {
            from,
            epoch: Epoch(epoch),
            to: B,
        };
        let free = Ownership::default();
        let given = next(free, pass(None, 0)).unwrap();
        assert_eq!((given.told_to(), given.epoch), (Some(B), Epoch(1)));
        // Another coordinator was first.
        let owned = after(&[Event::Assign { to: A }]);
        assert_eq!(next(owned, pass(None, 0)), Err(NotTheOwner));
        assert_eq!(next(owned, pass(Some(A), 2)), Err(NotTheOwner));
        let passed = next(owned, pass(Some(A), 1)).unwrap();
        assert_eq!((passed.told_to(), passed.epoch), (Some(B), Epoch(2)));
    }

    #[test]
    fn who_let_go_of_what_was_given_back_has_it_in_a_new_epoch() {
        let back = after(&[
            Event::Assign { to: A },
            Event::Assign { to: B },
            Event::Assign { to: A },
        ]);
        let regrant = Event::Regrant {
            to: A,
            epoch: Epoch(1),
        };
        let again = next(back, regrant).unwrap();
        assert_eq!((again.told_to(), again.epoch), (Some(A), Epoch(2)));
        let moving = after(&[Event::Assign { to: A }, Event::Assign { to: B }]);
        assert_eq!(next(moving, regrant), Err(NotTheOwner));
    }

    #[test]
    fn the_epoch_never_falls_and_grows_with_each_new_owner() {
        let events = [
            Event::Pass {
                from: Some(A),
                epoch: Epoch(1),
                to: B,
            },
            Event::Pass {
                from: None,
                epoch: Epoch(2),
                to: A,
            },
            Event::Assign { to: A },
            Event::Assign { to: B },
            Event::Take { to: A },
            Event::Take { to: B },
            Event::Revoke,
            Event::Release {
                by: A,
                epoch: Epoch(1),
            },
            Event::Release {
                by: B,
                epoch: Epoch(2),
            },
        ];
        // All walks of five steps.
        let mut states = vec![Ownership::default()];
        for _ in 0..5 {
            let mut reached = Vec::new();
            for now in &states {
                for event in events {
                    let Ok(then) = next(*now, event) else {
                        continue;
                    };
                    assert!(then.epoch >= now.epoch);
                    if then.worker.is_some() && then.worker != now.worker {
                        assert!(then.epoch > now.epoch, "{now:?} {event:?} {then:?}");
                    }
                    if !reached.contains(&then) {
                        reached.push(then);
                    }
                }
            }
            states = reached;
        }
    }
}
