//! Looks at the fleet every second, does what can be done without a person, and keeps the watchdog told.

use super::{
    ailing::{self, Cause},
    moves::{Move, moves},
    seen::{CustomerSeen, Fleet, Said, WorkerSeen},
    watchdog::News,
};
use crate::{
    AppState,
    bounds::SESSION_TTL,
    events::Topic,
    refusal::{Answer, Chain},
    view::{self, Slot, Standing, now_ms},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, WorkerId};
use lockstep_protocol::{
    people::{Need, NeedKind},
    status::ApplyState,
};
use lockstep_storage::{self as storage, MoveOutcome, StorageError, ownership::Event};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::PoisonError,
    time::Duration,
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Of those that one cause keeps waiting, so many are named.
const NAMED_MAX: usize = 5;

/// Runs until the coordinator stops.
pub async fn follow(app: AppState) {
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let mut fleet = match look(&app).await {
            Ok(fleet) => fleet,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "it could not be looked at who works for whom; it is in a moment");
                continue;
            }
        };
        if app.view.is_fresh() {
            act(&app, moves(&fleet)).await;
        } else {
            fleet.not_kept = Some("its database does not answer".into());
        }
        watch(&app, &fleet);
    }
}

/// Gives what nobody has, at once: a customer was saved or released, a worker was let in, came or was taken out.
pub async fn settle(app: &AppState) -> Answer<()> {
    app.tail.look(app).await?;
    let fleet = look(app).await?;
    if act(app, moves(&fleet)).await {
        app.tail.look(app).await?;
    }
    Ok(())
}

/// After an edit: the pin is kept.
pub async fn settle_customer(
    app: &AppState,
    customer: CustomerId,
    pinned_to: Option<WorkerId>,
) -> Answer<()> {
    app.tail.look(app).await?;
    if let Some(pin) = pinned_to {
        let owner = app.storage.owner(customer).await?;
        let now = owner.map(|owned| owned.ownership);
        let wanted = now.and_then(|now| now.moving_to.or(now.worker));
        let is_there = app
            .view
            .worker(pin)
            .is_some_and(|slot| slot.standing() != Standing::Gone);
        if wanted != Some(pin) && is_there {
            app.storage
                .move_customer(customer, Event::Assign { to: pin }, Timestamp::now())
                .await?;
        }
    }
    settle(app).await
}

/// True: something moved.
async fn act(app: &AppState, moves: Vec<Move>) -> bool {
    let mut moved = false;
    for Move { customer, event } in moves {
        let outcome = app
            .storage
            .move_customer(customer, event, Timestamp::now())
            .await;
        match outcome {
            Ok(MoveOutcome::Done(owned)) => {
                moved = true;
                app.progress.forget_live(customer);
                app.events.tell(Topic::Customers, Some(customer));
                tracing::info!(%customer, now = %owned.ownership, "a customer has another owner, by itself");
            }
            // Somebody else was first.
            Ok(MoveOutcome::NotTheOwner) => {}
            Err(error) => {
                tracing::warn!(%customer, error = %Chain(&error), "a customer could not be given to a worker; it is tried again");
            }
        }
    }
    if moved {
        app.tail.notify();
        app.events.tell(Topic::Workers, None);
    }
    moved
}

fn watch(app: &AppState, fleet: &Fleet) {
    let found: BTreeMap<CustomerId, (Cause, u64)> = fleet
        .customers
        .iter()
        .filter_map(|customer| Some((customer.id, ailing::cause(fleet, customer)?)))
        .collect();
    let news = {
        let mut dog = app.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        dog.look(now_ms(), found)
    };
    for one in news {
        let customer = match &one {
            News::NotServed { customer, cause } => {
                let why = cause.told(Some(*customer)).why;
                tracing::warn!(%customer, why, "a customer is not served");
                *customer
            }
            News::ServedAgain { customer, after_ms } => {
                tracing::info!(%customer, after_seconds = after_ms / 1_000, "a customer is served again");
                *customer
            }
        };
        app.events.tell(Topic::Customers, Some(customer));
    }
}

/// What is told now of the customers that this person sees: the one that has waited longest first.
pub fn incidents(app: &AppState, sees: impl Fn(CustomerId) -> bool) -> Vec<Need> {
    let mut incidents = {
        let dog = app.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        dog.incidents()
    };
    incidents.sort_by_key(|incident| incident.since_ms);
    let mut needs = Vec::new();
    for incident in incidents {
        let seen = incident.customers.into_iter().filter(|id| sees(*id));
        let customers: Vec<CustomerId> = seen.collect();
        let Some(first) = customers.first().copied() else {
            continue;
        };
        let told = incident
            .cause
            .told(Some(first).filter(|_| customers.len() == 1));
        let seconds = now_ms().saturating_sub(incident.since_ms) / 1_000;
        let name = |id: &CustomerId| app.view.customer_name(*id);
        let (who, names) = match customers.len() {
            1 => (format!("{} is", name(&first)), String::new()),
            several => {
                let mut names: Vec<String> = customers.iter().take(NAMED_MAX).map(name).collect();
                if several > NAMED_MAX {
                    names.push(format!("{} more", several - NAMED_MAX));
                }
                (
                    format!("{several} customers are"),
                    format!(" Not served: {}.", names.join(", ")),
                )
            }
        };
        needs.push(Need {
            kind: NeedKind::NotServed,
            title: format!("{who} not served: {}", told.why),
            detail: format!("For {seconds} s now. {}{names}", told.advice),
            href: told.href,
            since: i64::try_from(incident.since_ms)
                .ok()
                .and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            action: told.action.to_owned(),
            times: 0,
            again: None,
        });
    }
    needs
}

/// All workers, and the customers that something may be the matter with.
async fn look(app: &AppState) -> Result<Fleet, StorageError> {
    let customers = app.view.all_customers();
    let mut fleet = Fleet {
        workers: workers(app, &customers).await,
        not_kept: app.keeping.not_kept(),
        ..Fleet::default()
    };
    let mut suspects: Vec<(CustomerId, view::CustomerSeen)> = customers
        .into_iter()
        .filter(|(id, seen)| fleet.not_kept.is_some() || is_suspect(app, &fleet, *id, seen))
        .collect();
    if suspects.is_empty() {
        return Ok(fleet);
    }
    let stored = stored_reports(app, &suspects).await?;
    for (id, seen) in suspects.drain(..) {
        let Some(fact) = app.facts.of(app, id, &seen).await? else {
            continue;
        };
        fleet.customers.push(CustomerSeen {
            id,
            ownership: seen.ownership,
            wanted: fact.wanted,
            pin: fact.pin,
            movable: fact.movable,
            platforms: fact.platforms.clone(),
            said: said(app, id).or_else(|| stored.get(&id).cloned()),
            not_kept: app.keeping.journal_not_kept(id),
        });
    }
    if fleet
        .customers
        .iter()
        .any(|customer| customer.ownership.worker.is_none())
    {
        let waiting = app.storage.pending_enrolments(Timestamp::now()).await?;
        fleet.pending = waiting.len();
    }
    Ok(fleet)
}

fn said(app: &AppState, customer: CustomerId) -> Option<Said> {
    let known = app.reports.known(customer)?;
    Some(Said {
        worker: known.worker,
        epoch: known.epoch,
        // Where only the newest settings are no good, those before them stay in force.
        state: match known.state {
            ApplyState::Failed if !known.stopped => ApplyState::Applied,
            state => state,
        },
        error: known.error,
    })
}

fn is_suspect(app: &AppState, fleet: &Fleet, id: CustomerId, seen: &view::CustomerSeen) -> bool {
    let now = seen.ownership;
    let Some(owner) = now.worker else {
        return true;
    };
    let is_well = fleet.workers.get(&owner).is_some_and(|worker| {
        worker.standing == Standing::Active && !worker.is_silent() && !worker.lost_its_lease()
    });
    let is_applied = said(app, id).is_some_and(|said| {
        (said.worker, said.epoch, said.state) == (owner, now.epoch, ApplyState::Applied)
    });
    !is_well
        || !is_applied
        || now.moving_to.is_some()
        || now.revoked
        || app.keeping.journal_not_kept(id).is_some()
}

/// What was told to another coordinator, or to this one before it was started again.
async fn stored_reports(
    app: &AppState,
    suspects: &[(CustomerId, view::CustomerSeen)],
) -> Result<HashMap<CustomerId, Said>, StorageError> {
    let unheard: Vec<CustomerId> = suspects
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| app.reports.known(*id).is_none())
        .collect();
    if unheard.is_empty() {
        return Ok(HashMap::new());
    }
    let reports = app.storage.reports(&unheard).await?.into_iter();
    Ok(reports
        .map(|report| {
            let state = match report.state {
                storage::ApplyState::Applied | storage::ApplyState::Failed => ApplyState::Applied,
                storage::ApplyState::Applying => ApplyState::Applying,
            };
            let said = Said {
                worker: report.worker,
                epoch: report.epoch,
                state,
                error: report.error,
            };
            (report.customer, said)
        })
        .collect())
}

async fn workers(
    app: &AppState,
    customers: &[(CustomerId, view::CustomerSeen)],
) -> BTreeMap<WorkerId, WorkerSeen> {
    let slots = app.view.workers();
    let now = now_ms();
    let ago = |ms: u64| (ms > 0).then(|| now.saturating_sub(ms));
    let ttl = SESSION_TTL.as_millis();
    let is_quiet = |slot: &Slot| ago(slot.called_ms()).is_none_or(|ms| u128::from(ms) > ttl);
    // Heard by another coordinator, perhaps.
    let elsewhere = if slots.iter().any(|slot| is_quiet(slot)) {
        heard_elsewhere(app).await
    } else {
        HashMap::new()
    };
    let mut load: BTreeMap<WorkerId, usize> = BTreeMap::new();
    for (_, seen) in customers {
        let carrier = seen.ownership.moving_to.or(seen.ownership.worker);
        if let Some(carrier) = carrier {
            *load.entry(carrier).or_default() += 1;
        }
    }
    let listening_ms = now.saturating_sub(app.started_ms);
    slots
        .into_iter()
        .map(|slot| {
            let there = elsewhere.get(&slot.id).copied();
            let heard_ms_ago = ago(slot.called_ms().max(there.unwrap_or(0)));
            let renewed_ms_ago = ago(slot.renewed_ms().max(there.unwrap_or(0)));
            let in_vain =
                |since: Option<u64>| since.map_or(listening_ms, |ms| ms.min(listening_ms));
            let seen = WorkerSeen {
                name: slot.name(),
                standing: slot.standing(),
                platforms: slot.platforms().into_iter().collect::<BTreeSet<_>>(),
                heard_ms_ago,
                comes_by: slot.comes_by(),
                silent_ms: in_vain(heard_ms_ago),
                unrenewed_ms: in_vain(renewed_ms_ago),
                load: load.get(&slot.id).copied().unwrap_or_default(),
            };
            (slot.id, seen)
        })
        .collect()
}

async fn heard_elsewhere(app: &AppState) -> HashMap<WorkerId, u64> {
    match app.storage.workers().await {
        Ok(all) => all
            .into_iter()
            .filter_map(|worker| {
                let ms = worker.last_seen_at?.as_millisecond();
                Some((worker.id, u64::try_from(ms).ok()?))
            })
            .collect(),
        Err(error) => {
            tracing::debug!(error = %Chain(&error), "it is not known what other coordinators heard");
            HashMap::new()
        }
    }
}
