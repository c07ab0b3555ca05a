//! A customer's journal on a thread of its own: SQLite blocks, the driver must not.

use crate::bounds;
use lockstep_journal::{Journal, JournalError, SegmentError};
use lockstep_model::CustomerId;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// A thread that does not end by then is at work for somebody else.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce(&mut Journal) + Send>;

/// Closed when the last of its clones is dropped.
#[derive(Clone)]
pub struct File {
    jobs: mpsc::Sender<Job>,
    /// Its sender goes with the thread.
    ended: watch::Receiver<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error("the customer's journal was closed by an error; it is opened again")]
    Closed,
    #[error("a call to a shop broke off inside this program: {0}")]
    Call(String),
    #[error("a row of the plan cannot be kept or read: {0}")]
    Plan(#[source] serde_json::Error),
    #[error("no thread for the customer's journal: {0}")]
    Thread(#[source] std::io::Error),
}

impl File {
    pub async fn open(path: PathBuf, customer: CustomerId) -> Result<Self, FileError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(bounds::JOURNAL_QUEUE);
        let (opened, result) = oneshot::channel();
        let (alive, ended) = watch::channel(());
        std::thread::Builder::new()
            .name(format!("journal-{customer}"))
            .spawn(move || {
                // Dropped last, when the file is closed.
                let _alive = alive;
                let mut journal = match Journal::open(&path, customer) {
                    Ok(journal) => {
                        let _unheard = opened.send(Ok(()));
                        journal
                    }
                    Err(error) => {
                        let _unheard = opened.send(Err(error));
                        return;
                    }
                };
                while let Some(job) = queue.blocking_recv() {
                    job(&mut journal);
                }
            })
            .map_err(FileError::Thread)?;
        result.await.map_err(|_| FileError::Closed)??;
        Ok(File { jobs, ended })
    }

    /// Runs `work` on the journal's thread, after all that was asked for before.
    pub async fn with<T, E>(
        &self,
        work: impl FnOnce(&mut Journal) -> Result<T, E> + Send + 'static,
    ) -> Result<T, FileError>
    where
        T: Send + 'static,
        E: Send + 'static,
        FileError: From<E>,
    {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |journal| {
            let _unheard = done.send(work(journal));
        });
        self.jobs.send(job).await.map_err(|_| FileError::Closed)?;
        Ok(result.await.map_err(|_| FileError::Closed)??)
    }

    /// Waits until the thread has let go of the file, which it does when no clone is left. False: it has not.
    pub async fn close(self) -> bool {
        let File { jobs, mut ended } = self;
        drop(jobs);
        let gone = async { while ended.changed().await.is_ok() {} };
        let closed = tokio::time::timeout(CLOSE_PATIENCE, gone).await.is_ok();
        if !closed {
            tracing::warn!("a customer's journal is still in use though it was to be closed");
        }
        closed
    }
}
