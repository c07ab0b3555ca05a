//! A worker's process and its signs of life. The row in the database is the session that all coordinators
//! see; what lies in memory is only sooner.

use super::identify::duplicate;
use crate::{
    AppState,
    bounds::SESSION_TTL,
    refusal::{Answer, Refusal},
    view::Slot,
};
use jiff::{SignedDuration, Timestamp};
use lockstep_protocol::{Code, InstanceId};

/// A process shows itself for the first time here: is no other alive, as far as any coordinator knows?
pub async fn begin(app: &AppState, slot: &Slot, instance: &InstanceId) -> Answer<()> {
    let Some(worker) = app.storage.worker(slot.id).await? else {
        return Err(Refusal::new(
            Code::BadToken,
            "this worker was deleted; enrol again with /auth",
        ));
    };
    let now = Timestamp::now();
    let known = worker.instance.as_deref().and_then(InstanceId::parse);
    let heard_lately = worker.last_seen_at.is_some_and(|seen| {
        now.duration_since(seen) <= SignedDuration::try_from(SESSION_TTL).unwrap_or_default()
    });
    let another = known.is_some_and(|known| known != *instance && !instance.succeeds(&known));
    if another && heard_lately {
        return Err(duplicate());
    }
    if !slot.begin(instance.clone()) {
        return Err(duplicate());
    }
    app.storage
        .see_worker(slot.id, &instance.to_string(), &worker.build, now)
        .await?;
    app.events.tell(crate::events::Topic::Workers, None);
    Ok(())
}
