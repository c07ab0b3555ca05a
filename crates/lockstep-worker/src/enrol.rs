//! How a worker becomes known: it shows its key, a person compares a code and confirms, it signs and is
//! given a token. What waits for the person is kept on the disk, so that asking from cron works too.

use crate::backoff::Backoff;
use crate::bounds;
use crate::config::{WorkerConfig, cut, host_name};
use crate::coordinator::{CallError, Incoming, Verdict, verdict};
use crate::folder::FolderError;
use crate::identity::Pass;
use crate::link::Link;
use crate::state::WorkerState;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use lockstep_protocol::auth::{
    AuthRequest, Facts, Pending, RenewRequest, TokenReply, TokenRequest, renew_challenge,
    return_challenge, token_challenge,
};
use lockstep_protocol::{Code, Nonce, UserCode, VERSIONS, paths};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const WAITING: &str = "enrolment.json";

/// An enrolment that waits for a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    pending: Pending,
    until: Timestamp,
}

/// What asking once came to.
#[derive(Debug)]
pub enum Asked {
    Enrolled(Pass),
    /// Nobody has confirmed yet; ask again after this.
    Pending(Duration),
    /// A person said no, to this enrolment or to the worker that we were.
    Refused(CallError),
    /// Nobody confirmed in time: begin again.
    Expired,
    Failed(CallError),
}

#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Asks until there is a token.
pub async fn enrol(link: &Link, config: &WorkerConfig) -> Result<Pass, FolderError> {
    let mut backoff = Backoff::default();
    loop {
        let waiting = match begin(link, config).await {
            Ok(waiting) => waiting,
            Err(EnrolError::Folder(error)) => return Err(error),
            Err(EnrolError::Call(error)) => {
                let pause = backoff.next(pause_after(&error));
                show_failure(link, &error);
                tracing::warn!(%error, seconds = pause.as_secs(), "the coordinator was not asked to enrol us");
                tokio::time::sleep(pause).await;
                continue;
            }
        };
        backoff.reset();
        let mut interval = Duration::from_secs(waiting.pending.interval.clamp(1, 60));
        // With a join token, or a key that is known, nobody has to be waited for.
        let mut wait = if waiting.pending.known || config.join_token.is_some() {
            Duration::ZERO
        } else {
            interval
        };
        loop {
            tokio::time::sleep(wait).await;
            match ask(link, &waiting).await? {
                Asked::Enrolled(pass) => return Ok(pass),
                Asked::Pending(at_least) => {
                    if !wait.is_zero() {
                        interval = interval.max(at_least);
                    }
                    wait = interval;
                }
                Asked::Refused(error) => {
                    show_failure(link, &error);
                    tracing::warn!(%error, "this worker is refused; it asks again in a while");
                    let pause = pause_after(&error).unwrap_or(bounds::REFUSED_PAUSE);
                    tokio::time::sleep(pause).await;
                    break;
                }
                Asked::Expired => {
                    tracing::warn!("nobody confirmed this worker in time; it asks again");
                    break;
                }
                Asked::Failed(error) => {
                    tracing::debug!(%error, "no answer about the enrolment");
                    wait = backoff.next(error.retry_after()).max(interval);
                }
            }
        }
    }
}

/// A refusal that only a person can change is not worth asking every second.
fn pause_after(error: &CallError) -> Option<Duration> {
    let refused = error
        .problem()
        .and_then(|problem| match verdict(problem.code) {
            Verdict::Again => None,
            Verdict::Renew | Verdict::Reload | Verdict::Wait(_) | Verdict::StartOver => {
                Some(bounds::REFUSED_PAUSE)
            }
        });
    error.retry_after().or(refused)
}

fn show_failure(link: &Link, error: &CallError) {
    link.set_state(match error.problem() {
        Some(problem) if problem.code == Code::Rejected => WorkerState::Rejected,
        Some(problem) => WorkerState::Refused {
            code: problem.code,
            detail: problem.to_string(),
        },
        None => WorkerState::NoAnswer {
            reason: error.to_string(),
        },
    });
}

/// One try, for a worker that was started to do one round.
pub async fn enrol_once(link: &Link, config: &WorkerConfig) -> Result<Asked, EnrolError> {
    let waiting = begin(link, config).await?;
    Ok(ask(link, &waiting).await?)
}

/// The enrolment that waits already, or a new one.
async fn begin(link: &Link, config: &WorkerConfig) -> Result<Waiting, EnrolError> {
    let kept: Option<Waiting> = link.folder.read_json(WAITING)?;
    let waiting = match kept.filter(|waiting| waiting.until > Timestamp::now()) {
        Some(waiting) => waiting,
        None => {
            let pending = request(link, config).await?;
            let life = i64::try_from(pending.expires_in).unwrap_or(i64::MAX);
            let until = Timestamp::now()
                .checked_add(SignedDuration::from_secs(life))
                .unwrap_or(Timestamp::MAX);
            let waiting = Waiting { pending, until };
            link.folder.write_json(WAITING, &waiting)?;
            waiting
        }
    };
    let pending = &waiting.pending;
    if pending.known {
        tracing::info!("our key is known; we prove it and ask who we are");
        return Ok(waiting);
    }
    let code = UserCode::new(&link.key.public(), &pending.enrolment, &pending.nonce);
    if code != pending.user_code {
        tracing::error!(
            "the coordinator shows another code than ours for this enrolment: do not confirm it"
        );
    }
    tracing::info!(
        name = link.name,
        enrolment = %pending.enrolment,
        %code,
        fingerprint = link.key.public().fingerprint(),
        "waiting for a person: compare this code with the one in the console, and confirm"
    );
    link.set_state(WorkerState::Pending {
        enrolment: pending.enrolment.clone(),
        code,
        fingerprint: link.key.public().fingerprint(),
        until: waiting.until,
    });
    Ok(waiting)
}

async fn request(link: &Link, config: &WorkerConfig) -> Result<Pending, CallError> {
    let platforms = config.registry.iter();
    let request = AuthRequest {
        name: link.name.clone(),
        public_key: link.key.public(),
        build: cut(env!("CARGO_PKG_VERSION")),
        protocol: VERSIONS,
        platforms: platforms
            .map(|platform| platform.manifest().platform.to_owned())
            .collect(),
        facts: Facts {
            host: cut(&host_name()),
            os: std::env::consts::OS.into(),
            arch: std::env::consts::ARCH.into(),
            other: Default::default(),
        },
        join_token: config.join_token.clone(),
    };
    match post(link, paths::worker::AUTH, &request).await {
        Ok(_) => Err(CallError::Unreadable(
            "/auth was answered without an enrolment".into(),
        )),
        Err(CallError::Refused {
            problem,
            retry_after,
        }) => match problem.pending {
            Some(pending) if problem.code == Code::AuthorizationPending => Ok(pending),
            pending => Err(CallError::Refused {
                problem: Box::new(lockstep_protocol::Problem {
                    pending,
                    ..*problem
                }),
                retry_after,
            }),
        },
        Err(error) => Err(error),
    }
}

async fn ask(link: &Link, waiting: &Waiting) -> Result<Asked, FolderError> {
    if waiting.until <= Timestamp::now() {
        link.folder.remove(WAITING)?;
        return Ok(Asked::Expired);
    }
    let pending = &waiting.pending;
    let nonce = Nonce(rand::random());
    let (id, code) = (&pending.enrolment, &pending.device_code);
    let instance = pending.known.then(|| link.folder.instance().clone());
    let challenge = match &instance {
        None => token_challenge(id, &pending.nonce, &nonce, code),
        Some(instance) => return_challenge(id, &pending.nonce, &nonce, code, instance),
    };
    let request = TokenRequest {
        enrolment: pending.enrolment.clone(),
        device_code: pending.device_code.clone(),
        nonce,
        instance,
        signature: link.key.sign(&challenge),
    };
    let answer = post(link, paths::worker::AUTH_TOKEN, &request).await;
    let reply: Result<TokenReply, CallError> = answer.and_then(|incoming| incoming.json());
    let error = match reply {
        Ok(reply) => {
            let pass = Pass::of(reply, Timestamp::now());
            link.take_pass(pass.clone())?;
            link.folder.remove(WAITING)?;
            tracing::info!(worker = %pass.worker_id, "confirmed, and given a token");
            return Ok(Asked::Enrolled(pass));
        }
        Err(error) => error,
    };
    let interval = Duration::from_secs(pending.interval.clamp(1, 60));
    let Some(problem) = error.problem() else {
        return Ok(Asked::Failed(error));
    };
    Ok(match problem.code {
        Code::AuthorizationPending => Asked::Pending(interval),
        Code::SlowDown => {
            let longer = interval + Duration::from_secs(5);
            Asked::Pending(error.retry_after().unwrap_or(longer))
        }
        Code::Rejected | Code::Suspended | Code::DuplicateInstance => {
            link.folder.remove(WAITING)?;
            Asked::Refused(error)
        }
        Code::Expired | Code::NotFound => {
            link.folder.remove(WAITING)?;
            Asked::Expired
        }
        _ => Asked::Failed(error),
    })
}

/// A new token, by the key that was approved.
pub async fn renew(link: &Link, pass: &Pass) -> Result<Pass, EnrolError> {
    let nonce = Nonce(rand::random());
    let signed_at = pass.their_now(Timestamp::now());
    let instance = link.folder.instance().clone();
    let challenge = renew_challenge(pass.worker_id, &instance, &nonce, signed_at);
    let request = RenewRequest {
        worker_id: pass.worker_id,
        instance,
        nonce,
        signed_at,
        signature: link.key.sign(&challenge),
    };
    let reply: TokenReply = post(link, paths::worker::AUTH_RENEW, &request)
        .await?
        .json()?;
    let pass = Pass::of(reply, Timestamp::now());
    link.take_pass(pass.clone())?;
    tracing::info!(worker = %pass.worker_id, until = %pass.expires_at, "the token was renewed");
    Ok(pass)
}

async fn post<T: Serialize + Sync>(
    link: &Link,
    path: &str,
    value: &T,
) -> Result<Incoming, CallError> {
    let max = lockstep_protocol::bounds::BODY_BYTES_MAX;
    link.coordinator
        .call(
            Method::POST,
            path,
            bounds::COORDINATOR_TIMEOUT,
            max,
            |request| request.json(value),
        )
        .await
}
