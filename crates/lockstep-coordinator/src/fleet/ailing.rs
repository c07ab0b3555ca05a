//! Why a customer is not served, whatever the cause; and what a person does about it.

use super::{
    moves::may_take,
    seen::{CustomerSeen, Fleet, WorkerSeen},
};
use crate::view::Standing;
use lockstep_model::{CustomerId, WorkerId};
use lockstep_protocol::status::ApplyState;

/// One cause may keep many customers waiting: it is one incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The coordinator cannot write: its disk is full, or its database does not answer.
    NotKept {
        why: String,
    },
    NobodyIsHere {
        pending: bool,
    },
    /// Nobody who is here has the connector.
    NobodySpeaks {
        platform: String,
    },
    /// The settings name a worker that cannot have it.
    Pinned {
        to: WorkerId,
        name: String,
    },
    /// It was found free a moment ago.
    NotGivenYet,
    Silent {
        owner: WorkerId,
        name: String,
        movable: bool,
    },
    TakenOut {
        owner: WorkerId,
        name: String,
        word: &'static str,
    },
    NotReleased {
        owner: WorkerId,
        name: String,
    },
    JournalNotTaken {
        owner: WorkerId,
        name: String,
        why: String,
    },
    LeaseLost {
        owner: WorkerId,
        name: String,
    },
    /// Its owner is here and does not work for it, or begins again and again.
    NotAtWork {
        owner: WorkerId,
        name: String,
        why: String,
    },
}

/// `None`: it is served, or not meant to be. With the time for which it has been so, if that is known.
pub fn cause(fleet: &Fleet, customer: &CustomerSeen) -> Option<(Cause, u64)> {
    if !customer.wanted {
        return None;
    }
    if let Some(why) = &fleet.not_kept {
        return Some((Cause::NotKept { why: why.clone() }, 0));
    }
    let now = customer.ownership;
    let Some(owner) = now.worker else {
        return Some((unowned(fleet, customer), 0));
    };
    let name = fleet.name(owner);
    let seen = fleet.workers.get(&owner);
    let standing = fleet.standing(owner);
    let word = match standing {
        Standing::Active => None,
        Standing::Draining => Some("draining"),
        Standing::Suspended => Some("suspended"),
        Standing::Gone => Some("revoked"),
    };
    if let Some(word) = word {
        return Some((Cause::TakenOut { owner, name, word }, 0));
    }
    if seen.is_none_or(WorkerSeen::is_silent) {
        let silent_ms = seen.map_or(0, |seen| seen.silent_ms);
        let movable = customer.movable;
        return Some((
            Cause::Silent {
                owner,
                name,
                movable,
            },
            silent_ms,
        ));
    }
    if now.moving_to.is_some() || now.revoked {
        return Some((Cause::NotReleased { owner, name }, 0));
    }
    if let Some(why) = customer.not_kept.clone() {
        return Some((Cause::JournalNotTaken { owner, name, why }, 0));
    }
    if customer.movable && seen.is_none_or(WorkerSeen::lost_its_lease) {
        return Some((Cause::LeaseLost { owner, name }, 0));
    }
    let said = customer.said.as_ref();
    let said = said.filter(|said| (said.worker, said.epoch) == (owner, now.epoch));
    let why = match said.map(|said| (said.state, &said.error)) {
        Some((ApplyState::Applied, _)) => return None,
        Some((ApplyState::Failed, error)) => error.clone().unwrap_or_default(),
        Some((ApplyState::Applying, _)) => "it begins and does not get on".to_owned(),
        None => "it has not said yet that it works for it".to_owned(),
    };
    Some((Cause::NotAtWork { owner, name, why }, 0))
}

fn unowned(fleet: &Fleet, customer: &CustomerSeen) -> Cause {
    if let Some(to) = customer.pin {
        let is_able = fleet
            .workers
            .get(&to)
            .is_some_and(|seen| seen.is_here() && may_take(customer, seen));
        if !is_able {
            let name = fleet.name(to);
            return Cause::Pinned { to, name };
        }
        return Cause::NotGivenYet;
    }
    let here: Vec<_> = fleet
        .workers
        .values()
        .filter(|seen| seen.standing == Standing::Active && seen.is_here())
        .collect();
    if here.is_empty() {
        let pending = fleet.pending > 0;
        return Cause::NobodyIsHere { pending };
    }
    if here.iter().any(|seen| may_take(customer, seen)) {
        return Cause::NotGivenYet;
    }
    let unspoken = customer
        .platforms
        .iter()
        .find(|platform| !here.iter().any(|seen| seen.platforms.contains(*platform)));
    let platform = unspoken.cloned().unwrap_or_else(|| {
        let all: Vec<&str> = customer.platforms.iter().map(String::as_str).collect();
        all.join(" and ")
    });
    Cause::NobodySpeaks { platform }
}

/// What a person reads: why, what to do about it, where, and the word on the button.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub why: String,
    pub advice: String,
    pub href: String,
    pub action: &'static str,
}

impl Cause {
    /// `only`: the one customer that it is about, if it is one.
    pub fn told(&self, only: Option<CustomerId>) -> Told {
        let worker = |owner: &WorkerId| format!("/workers/{owner}");
        // One customer is given to another worker on its own page; several by taking the worker out.
        let give = |owner: &WorkerId| match only {
            Some(customer) => (format!("/customers/{customer}"), "Give to another worker…"),
            None => (worker(owner), "Give to other workers…"),
        };
        let told = |why: String, advice: &str, (href, action): (String, &'static str)| Told {
            why,
            advice: advice.to_owned(),
            href,
            action,
        };
        match self {
            Cause::NotKept { why } => told(
                format!("the coordinator cannot write: {why}"),
                "Nothing is lost; workers keep what they have until it is taken. Make room on the coordinator's disk, or \
                 bring its database back: it goes on by itself.",
                ("/workers".into(), "See the workers"),
            ),
            Cause::NobodyIsHere { pending: true } => told(
                "no worker is there".into(),
                "One waits for your word: compare its code and let it in.",
                ("/workers".into(), "Confirm the worker…"),
            ),
            Cause::NobodyIsHere { pending: false } => told(
                "no worker is there".into(),
                "Start one where it can reach the shops: lockstep worker --coordinator URL.",
                ("/workers".into(), "Add a worker…"),
            ),
            Cause::NobodySpeaks { platform } => told(
                format!("no worker that is there has the connector {platform}"),
                "Start a worker of a build that has it.",
                ("/workers".into(), "Add a worker…"),
            ),
            Cause::Pinned { to, name } => told(
                format!(
                    "its settings name {name} (worker {to}), which is not there or may not have it"
                ),
                "Start that worker, or leave the choice of the worker in the settings empty.",
                match only {
                    Some(customer) => (
                        format!("/customers/{customer}/settings"),
                        "Open the settings",
                    ),
                    None => (worker(to), "Open the worker"),
                },
            ),
            Cause::NotGivenYet => told(
                "it is being given to a worker".into(),
                "If this lasts, the coordinator's log says why.",
                ("/workers".into(), "See the workers"),
            ),
            Cause::Silent {
                owner,
                name,
                movable,
            } => told(
                format!("its worker {name} is away"),
                if *movable {
                    "Start it again, or give its customers to others: they wait until its lease is over, a few seconds, and \
                     nothing is done twice."
                } else {
                    "Start it again. What lies on its disk alone would be lost with it: only if its machine is gone, say so \
                     and give its customers to others."
                },
                give(owner),
            ),
            Cause::TakenOut { owner, name, word } => told(
                format!("its worker {name} is {word}"),
                "Make it active again, or give its customers to others.",
                give(owner),
            ),
            Cause::NotReleased { owner, name } => told(
                format!("{name} was told to let go and has not yet"),
                "It is asked again and again. If its machine is gone, say so where the customer is given away.",
                give(owner),
            ),
            Cause::JournalNotTaken { name, why, owner } => told(
                format!("what {name} did for it is not taken: {why}"),
                "Nothing is lost: it is offered again and again. Is the coordinator's disk full?",
                (worker(owner), "Open the worker"),
            ),
            Cause::LeaseLost { owner, name } => told(
                format!("{name} is there and its right to write is not renewed"),
                "It reads and does not write. Restart it, or give its customers to others.",
                give(owner),
            ),
            Cause::NotAtWork { owner, name, why } => told(
                format!("its worker {name} cannot work for it: {why}"),
                "It tries again by itself. If it does not get on, give the customer to another worker.",
                give(owner),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        moves::tests::{A, B, customer, fleet, silent, worker},
        seen::{Said, WorkerSeen},
    };
    use super::*;
    use lockstep_model::Epoch;

    fn said(state: ApplyState, epoch: u64) -> Option<Said> {
        Some(Said {
            worker: A,
            epoch: Epoch(epoch),
            state,
            error: Some("the shop's connector is missing".into()),
        })
    }

    fn served() -> CustomerSeen {
        CustomerSeen {
            said: said(ApplyState::Applied, 3),
            ..customer(1, Some(A))
        }
    }

    fn of(a: WorkerSeen, customer: CustomerSeen) -> Option<Cause> {
        let fleet = fleet(vec![(A, a)], vec![customer.clone()]);
        cause(&fleet, &customer).map(|(cause, _)| cause)
    }

    #[test]
    fn r3_each_way_of_not_being_served_is_told_apart() {
        let a = || worker("a", 1);
        assert_eq!(of(a(), served()), None);
        let name = || "a".to_owned();
        let not_at_work = |cause: Option<Cause>| matches!(cause, Some(Cause::NotAtWork { .. }));
        for said in [
            None,
            said(ApplyState::Failed, 3),
            said(ApplyState::Applying, 3),
            // What was so in an epoch that is over.
            said(ApplyState::Applied, 2),
        ] {
            assert!(not_at_work(of(a(), CustomerSeen { said, ..served() })));
        }
        let (owner, movable) = (A, true);
        assert_eq!(
            of(silent("a", 15_000), served()),
            Some(Cause::Silent {
                owner,
                name: name(),
                movable
            })
        );
        let mut leaving = served();
        leaving.ownership.moving_to = Some(B);
        assert_eq!(
            of(a(), leaving),
            Some(Cause::NotReleased {
                owner,
                name: name()
            })
        );
        let unrenewed = WorkerSeen {
            unrenewed_ms: 15_000,
            ..a()
        };
        assert_eq!(
            of(unrenewed.clone(), served()),
            Some(Cause::LeaseLost {
                owner,
                name: name()
            })
        );
        let by_cron = WorkerSeen {
            comes_by: true,
            ..silent("a", 15 * 60_000)
        };
        assert_eq!(of(by_cron, served()), None, "it comes again");
        let pinned = CustomerSeen {
            movable: false,
            ..served()
        };
        assert_eq!(of(unrenewed, pinned), None, "it needs no lease");
        let suspended = WorkerSeen {
            standing: Standing::Suspended,
            ..a()
        };
        assert!(matches!(
            of(suspended, served()),
            Some(Cause::TakenOut {
                word: "suspended",
                ..
            })
        ));
        let full = CustomerSeen {
            not_kept: Some("the disk is full".into()),
            ..served()
        };
        assert!(matches!(of(a(), full), Some(Cause::JournalNotTaken { .. })));
        let mut shut = customer(1, None);
        shut.wanted = false;
        assert_eq!(of(a(), shut), None, "it is switched off");
    }

    #[test]
    fn r3_nobody_has_it_and_why() {
        let of = |workers, pending, customer: CustomerSeen| {
            let mut fleet = fleet(workers, vec![customer.clone()]);
            fleet.pending = pending;
            cause(&fleet, &customer).map(|(cause, _)| cause)
        };
        let free = || customer(1, None);
        let nobody = |pending| Some(Cause::NobodyIsHere { pending });
        assert_eq!(of(vec![], 0, free()), nobody(false));
        assert_eq!(of(vec![], 1, free()), nobody(true));
        assert_eq!(of(vec![(A, silent("a", 60_000))], 0, free()), nobody(false));
        assert_eq!(
            of(vec![(A, worker("a", 0))], 0, free()),
            Some(Cause::NotGivenYet)
        );
        let mut medusa = free();
        medusa.platforms.insert("medusa".into());
        assert_eq!(
            of(vec![(A, worker("a", 0))], 0, medusa),
            Some(Cause::NobodySpeaks {
                platform: "medusa".into()
            })
        );
        let pinned = CustomerSeen {
            pin: Some(B),
            ..free()
        };
        assert!(matches!(
            of(vec![(A, worker("a", 0))], 0, pinned),
            Some(Cause::Pinned { to: B, .. })
        ));
    }

    #[test]
    fn the_coordinators_own_disk_comes_first() {
        let mut fleet = fleet(vec![(A, silent("a", 60_000))], vec![]);
        fleet.not_kept = Some("database or disk is full".into());
        let found = cause(&fleet, &served());
        assert!(matches!(found, Some((Cause::NotKept { .. }, 0))));
    }

    #[test]
    fn one_customer_is_cured_on_its_page_and_several_on_the_workers() {
        let away = Cause::Silent {
            owner: A,
            name: "a".into(),
            movable: true,
        };
        let one = away.told(Some(CustomerId(7)));
        assert_eq!(
            (one.href.as_str(), one.action),
            ("/customers/7", "Give to another worker…")
        );
        assert_eq!(away.told(None).href, "/workers/1");
    }
}
