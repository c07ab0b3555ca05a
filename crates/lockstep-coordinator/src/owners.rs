//! Moves by hand. What moves by itself is in [`crate::fleet`].

use crate::{
    AppState,
    refusal::{Answer, Refusal},
    view::Standing,
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, WorkerId};
use lockstep_protocol::Code;
use lockstep_storage::{WorkerState, ownership::Event};

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
