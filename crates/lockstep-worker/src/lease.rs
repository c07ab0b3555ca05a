//! The worker's time-limited right to its movable customers, renewed for all of them at once; and its sign of life,
//! which a worker without any gives too.
//!
//! ```text
//!   sent ─────────── request ───────────► committed          our deadline = sent + (until − their now) − 2 s
//!    │◄──────── {Lease-Until-Ms} ────────────┘               on a clock that counts suspend
//! ```

use crate::backoff::Backoff;
use crate::bounds;
use crate::clock::BootTime;
use crate::coordinator::CallError;
use crate::link::Link;
use crate::members::Members;
use lockstep_protocol::headers::LEASE_UNTIL_MS;
use lockstep_protocol::lease::{HeldLease, LeaseReply, LeaseRequest, ReleaseRequest};
use lockstep_protocol::{Code, paths};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Renews for as long as the worker lives.
///
/// `comes_by`: this process does one round.
pub async fn renew_always(link: &Link, members: &Members, comes_by: bool) {
    loop {
        let have = members.movable();
        let nothing_to_lose = have.is_empty();
        let started = BootTime::now();
        let pause = match renew(link, have, comes_by).await {
            Ok(told) => {
                members.asked_to_leave(told.leaving);
                for lease in told.lost {
                    tracing::warn!(customer = %lease.customer_id, epoch = %lease.epoch, "the coordinator gave this customer to another worker");
                    members.fence(lease.customer_id, lease.epoch);
                }
                jittered(bounds::LEASE_INTERVAL)
            }
            // The deadline stands; a second later is early enough to keep it.
            Err(error) => {
                tracing::debug!(%error, "the lease was not renewed");
                if nothing_to_lose {
                    jittered(bounds::LEASE_INTERVAL)
                } else {
                    jittered(Duration::from_secs(1))
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause.saturating_sub(started.elapsed())) => {}
            // A customer that came should not wait for its right.
            () = members.changed() => {}
        }
    }
}

/// What a renewal was answered.
#[derive(Default)]
struct Told {
    lost: Vec<HeldLease>,
    leaving: Vec<HeldLease>,
}

async fn renew(link: &Link, have: Vec<HeldLease>, comes_by: bool) -> Result<Told, CallError> {
    // From before it was sent: what took long on its way is ours to bear.
    let sent = BootTime::now();
    let reply = match link
        .post_json(paths::worker::LEASE, &LeaseRequest { have, comes_by })
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
                return Ok(Told::default());
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
    Ok(Told {
        lost: body.lost,
        leaving: body.leaving,
    })
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

/// Nothing of this customer is in flight here any more: said again until it is heard, or until this worker stops, whose
/// next start is asked for it. Nobody else gets the customer before.
pub async fn release(link: &Link, released: HeldLease, stopping: &CancellationToken) {
    let request = ReleaseRequest {
        released: vec![released],
    };
    let mut backoff = Backoff::default();
    loop {
        let error = match link.post_json(paths::worker::LEASE_RELEASE, &request).await {
            Ok(_) => return,
            Err(error) => error,
        };
        tracing::debug!(customer = %released.customer_id, %error, "the release was not taken; it is said again");
        tokio::select! {
            () = tokio::time::sleep(backoff.next(error.retry_after())) => {}
            () = stopping.cancelled() => return,
        }
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
