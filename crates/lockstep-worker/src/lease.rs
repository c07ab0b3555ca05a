//! The worker's time-limited right to its movable customers, renewed for all of them at once.
//!
//! ```text
//!   sent ─────────── request ───────────► committed          our deadline = sent + (until − their now) − 2 s
//!    │◄──────── {Lease-Until-Ms} ────────────┘               on a clock that counts suspend
//! ```

use crate::bounds;
use crate::clock::BootTime;
use crate::coordinator::CallError;
use crate::link::Link;
use crate::members::Members;
use lockstep_protocol::headers::LEASE_UNTIL_MS;
use lockstep_protocol::lease::{HeldLease, LeaseReply, LeaseRequest, ReleaseRequest};
use lockstep_protocol::{Code, paths};
use std::time::Duration;

/// Renews for as long as the worker lives.
pub async fn renew_always(link: &Link, members: &Members) {
    loop {
        let have = members.movable();
        if have.is_empty() {
            members.changed().await;
            continue;
        }
        let started = BootTime::now();
        let pause = match renew(link, have).await {
            Ok(lost) => {
                for lease in lost {
                    tracing::warn!(customer = %lease.customer_id, epoch = %lease.epoch, "the coordinator gave this customer to another worker");
                    members.fence(lease.customer_id, lease.epoch);
                }
                jittered(bounds::LEASE_INTERVAL)
            }
            // The deadline stands; a second later is early enough to keep it.
            Err(error) => {
                tracing::debug!(%error, "the lease was not renewed");
                jittered(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause.saturating_sub(started.elapsed())) => {}
            // A customer that came should not wait for its right.
            () = members.changed() => {}
        }
    }
}

async fn renew(link: &Link, have: Vec<HeldLease>) -> Result<Vec<HeldLease>, CallError> {
    // From before it was sent: what took long on its way is ours to bear.
    let sent = BootTime::now();
    let reply = match link
        .post_json(paths::worker::LEASE, &LeaseRequest { have })
        .await
    {
        Ok(reply) => reply,
        Err(error) => {
            let grants_none = error
                .problem()
                .is_some_and(|problem| problem.code == Code::NotYet);
            if grants_none {
                // Ownership is given by hand there; the epoch on each segment fences.
                link.set_lease(Some(sent.plus(bounds::LEASE_MAX)));
                return Ok(Vec::new());
            }
            return Err(error);
        }
    };
    let until_ms: Option<i64> = reply
        .headers
        .get(&LEASE_UNTIL_MS)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body: LeaseReply = reply.json()?;
    // Only a reply with the header renews.
    if let Some(until_ms) = until_ms {
        let granted = until_ms.saturating_sub(body.server_time.as_millisecond());
        link.set_lease(Some(deadline(sent, granted)));
    }
    Ok(body.lost)
}

fn deadline(sent: BootTime, granted_ms: i64) -> BootTime {
    let granted = Duration::from_millis(u64::try_from(granted_ms).unwrap_or(0));
    sent.plus(
        granted
            .min(bounds::LEASE_MAX)
            .saturating_sub(bounds::LEASE_MARGIN),
    )
}

fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.9..1.1))
}

/// Nothing of these customers is in flight here any more.
pub async fn release(link: &Link, released: Vec<HeldLease>) {
    if released.is_empty() {
        return;
    }
    let request = ReleaseRequest { released };
    if let Err(error) = link.post_json(paths::worker::LEASE_RELEASE, &request).await {
        tracing::debug!(%error, "the release was not taken; the lease runs out by itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_is_earlier_than_the_coordinators_and_bounded() {
        let sent = BootTime::now();
        assert_eq!(deadline(sent, 15_000), sent.plus(Duration::from_secs(13)));
        assert_eq!(deadline(sent, 1_000), sent);
        assert_eq!(deadline(sent, -5), sent);
        let far = deadline(sent, i64::MAX);
        assert_eq!(far, sent.plus(bounds::LEASE_MAX - bounds::LEASE_MARGIN));
    }
}
