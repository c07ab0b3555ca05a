//! Who gets a customer: pins, the only worker there is, and moves by hand that wait for a release or for
//! the owner to have been silent for long enough.

use crate::{
    AppState,
    bounds::{REGRANT_AFTER, SESSION_TTL},
    refusal::{Answer, Chain, Refusal},
    view::{Standing, now_ms},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, WorkerId};
use lockstep_protocol::Code;
use lockstep_storage::{MoveOutcome, StorageError, WorkerState, ownership::Event};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Gives each customer that nobody owns to the worker that it is pinned to, or to the only one there is.
pub async fn settle(app: &AppState) -> Answer<()> {
    app.tail.look(app).await?;
    let free = app.view.unowned();
    for customer in free {
        let Some(stored) = app.storage.customer(customer).await? else {
            continue;
        };
        settle_customer(app, customer, stored.settings.customer.worker_id).await?;
    }
    Ok(())
}

/// After an edit: the pin is kept; a customer that nobody owns is given to the only worker.
pub async fn settle_customer(
    app: &AppState,
    customer: CustomerId,
    pinned_to: Option<WorkerId>,
) -> Answer<()> {
    app.tail.look(app).await?;
    let owner = app
        .storage
        .owner(customer)
        .await?
        .map(|owned| owned.ownership);
    let wanted = owner.and_then(|now| now.moving_to.or(now.worker));
    let to = match pinned_to {
        Some(pin) if wanted != Some(pin) => match app.view.worker(pin) {
            Some(slot) if slot.standing() != Standing::Gone => Some(pin),
            // Kept in the settings; the console shows that nobody has the customer.
            Some(_) | None => None,
        },
        Some(_) => None,
        None if wanted.is_some() => None,
        None => only_active(app),
    };
    if let Some(to) = to {
        app.storage
            .move_customer(customer, Event::Assign { to }, Timestamp::now())
            .await?;
        app.tail.look(app).await?;
    }
    Ok(())
}

fn only_active(app: &AppState) -> Option<WorkerId> {
    let workers = app.view.workers();
    let mut active = workers
        .iter()
        .filter(|slot| slot.standing() == Standing::Active);
    match (active.next(), active.next()) {
        (Some(only), None) => Some(only.id),
        _ => None,
    }
}

/// By hand. An owner that is there lets go first; one whose machine is gone, and whose name was typed to
/// say so, is shut out and loses the customer at once.
pub async fn give(
    app: &AppState,
    customer: CustomerId,
    to: WorkerId,
    gone: Option<&str>,
) -> Answer<()> {
    app.tail.look(app).await?;
    let stored = app
        .storage
        .customer(customer)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("customer {customer}")))?;
    let slot = app
        .view
        .worker(to)
        .ok_or_else(|| Refusal::not_found(format!("worker {to}")))?;
    if slot.standing() != Standing::Active {
        return Err(Refusal::new(
            Code::Conflict,
            format!("worker {} is not active; nothing was moved", slot.name()),
        ));
    }
    if let Some(pin) = stored.settings.customer.worker_id
        && pin != to
    {
        return Err(Refusal::new(
            Code::Conflict,
            format!(
                "the settings pin {} to worker {pin}; change customer.workerId there first",
                stored.settings.customer.name
            ),
        ));
    }
    let owner = app
        .storage
        .owner(customer)
        .await?
        .and_then(|owned| owned.ownership.worker);
    let now = Timestamp::now();
    match (gone, owner) {
        (Some(typed), Some(owner)) if owner != to => {
            let name = app
                .view
                .worker(owner)
                .map(|slot| slot.name())
                .unwrap_or_default();
            if typed != name {
                return Err(Refusal::new(
                    Code::Conflict,
                    format!(
                        "the present worker is called \"{name}\", not \"{typed}\"; nothing was moved"
                    ),
                ));
            }
            app.storage
                .set_worker_state(owner, WorkerState::Gone)
                .await?;
            app.storage
                .move_customer(customer, Event::Take { to }, now)
                .await?;
            app.progress.forget_live(customer);
            tracing::warn!(%customer, from = %owner, %to, "a person declared the owner's machine gone");
        }
        _ => {
            let shut_out = owner
                .and_then(|owner| app.view.worker(owner))
                .is_some_and(|slot| slot.standing() == Standing::Gone);
            let event = if shut_out {
                Event::Take { to }
            } else {
                Event::Assign { to }
            };
            app.storage.move_customer(customer, event, now).await?;
        }
    }
    app.tail.look(app).await
}

/// Runs until the coordinator stops: completes moves whose owner has been silent for too long. First it gives what nobody
/// has: whoever was there before may have died between letting a worker in and that.
pub async fn follow(app: AppState) {
    let started_ms = now_ms();
    let mut is_settled = false;
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if !app.view.is_fresh() {
            continue;
        }
        if !is_settled {
            match settle(&app).await {
                Ok(()) => is_settled = true,
                Err(error) => {
                    tracing::warn!(%error, "customers that nobody has could not be given; it is tried again");
                }
            }
        }
        for (customer, owner) in app.view.leaving() {
            if let Err(error) = complete(&app, customer, owner, started_ms).await {
                tracing::warn!(%customer, error = %Chain(&error), "a move could not be completed; it is tried again");
            }
        }
    }
}

async fn complete(
    app: &AppState,
    customer: CustomerId,
    owner: WorkerId,
    started_ms: u64,
) -> Result<(), StorageError> {
    let silent_ms = (SESSION_TTL + REGRANT_AFTER).as_millis();
    let seen_ms = app.view.worker(owner).map_or(0, |slot| slot.seen_ms());
    // Before this coordinator began it heard nothing: it waits as long as if it had just heard.
    if u128::from(now_ms().saturating_sub(seen_ms.max(started_ms))) < silent_ms {
        return Ok(());
    }
    let Some(stored) = app.storage.customer(customer).await? else {
        return Ok(());
    };
    // A pinned customer's truth is on its worker's disk: only a release, or a person, moves it.
    if !stored.settings.customer.movable {
        return Ok(());
    }
    let now = Timestamp::now();
    let heard = app
        .storage
        .worker(owner)
        .await?
        .and_then(|worker| worker.last_seen_at);
    let heard_by_others = heard.is_some_and(|heard| {
        now.duration_since(heard).as_millis() < i128::try_from(silent_ms).unwrap_or(i128::MAX)
    });
    if heard_by_others {
        return Ok(());
    }
    let Some(owned) = app.storage.owner(customer).await? else {
        return Ok(());
    };
    let event = match owned.ownership.moving_to {
        Some(to) => Event::Take { to },
        None if owned.ownership.revoked => Event::Release {
            by: owner,
            epoch: owned.ownership.epoch,
        },
        None => return Ok(()),
    };
    if owned.ownership.worker != Some(owner) {
        return Ok(());
    }
    let outcome = app.storage.move_customer(customer, event, now).await?;
    app.progress.forget_live(customer);
    app.tail.notify();
    if let MoveOutcome::Done(owned) = outcome {
        tracing::info!(%customer, from = %owner, now = %owned.ownership, "the owner was silent for too long; the move is complete");
    }
    Ok(())
}
