//! Reading the settings of one customer, which costs many times their bytes while it lasts: on one thread, one after the
//! other, so that what is taken for it is taken once and used again.

use crate::refusal::{Answer, Refusal};
use lockstep_model::settings::{CustomerSettings, Problem, read};
use lockstep_protocol::Code;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

/// Bodies that wait for their turn.
const WAITING_MAX: usize = 64;
/// What is longer is read and saved one at a time.
const LARGE_BYTES: usize = 64 * 1024;

type Read = Result<CustomerSettings, Vec<Problem>>;

struct Task {
    body: String,
    done: oneshot::Sender<Read>,
}

pub struct Reading {
    tasks: SyncSender<Task>,
    large: Semaphore,
}

/// Held until a large edit is saved.
pub struct Turn<'a>(
    #[expect(dead_code, reason = "held, never looked at")] Option<SemaphorePermit<'a>>,
);

impl Reading {
    /// The thread ends with this.
    pub fn start() -> std::io::Result<Self> {
        let (tasks, queue) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("settings".into())
            .spawn(move || work(&queue))?;
        Ok(Reading {
            tasks,
            large: Semaphore::new(1),
        })
    }

    /// Small ones wait for nobody's save.
    pub async fn turn(&self, body: &str) -> Turn<'_> {
        if body.len() <= LARGE_BYTES {
            return Turn(None);
        }
        // It is never closed.
        Turn(self.large.acquire().await.ok())
    }

    pub async fn read(&self, body: String) -> Answer<Read> {
        let (done, read) = oneshot::channel();
        let busy = || {
            Refusal::new(
                Code::Unavailable,
                "too many settings are sent at once; nothing was saved, try again",
            )
            .retry_after(2)
        };
        match self.tasks.try_send(Task { body, done }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(busy()),
            Err(TrySendError::Disconnected(_)) => {
                return Err(Refusal::internal(
                    "reading the settings",
                    "its thread is gone",
                ));
            }
        }
        read.await
            .map_err(|_| Refusal::internal("reading the settings", "its thread broke off"))
    }
}

fn work(queue: &Receiver<Task>) {
    while let Ok(task) = queue.recv() {
        // Whoever does not wait any more needs no answer.
        let _gone = task.done.send(read(&task.body));
    }
}
