//! [`Http`]s for tests: answers from a can, a script that knows every request, and wrappers that count, lose and
//! delay.

use crate::{Body, BodyStream, Budget, Cost, Effect, Http, Reply, Request};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::Method;
use lockstep_model::{Fault, FaultKind};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Clone)]
pub enum Answer {
    Reply {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// No reply came.
    Fail(FaultKind),
}

impl Answer {
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Answer::typed(status, "application/json; charset=utf-8", body)
    }

    pub fn html(status: u16) -> Self {
        let page = "<!doctype html><html><body><h1>Log in</h1></body></html>";
        Answer::typed(status, "text/html", page)
    }

    pub fn typed(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        Answer::Reply {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Answer::Reply { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    fn give(&self) -> Result<Reply, Fault> {
        match self {
            Answer::Fail(kind) => Err(Fault::new(kind.clone(), "no reply came")),
            Answer::Reply {
                status,
                headers,
                body,
            } => {
                let mut reply = http::Response::builder().status(*status);
                for (name, value) in headers {
                    reply = reply.header(*name, value);
                }
                reply.body(Bytes::from(body.clone())).map_err(|error| {
                    Fault::new(FaultKind::Protocol, format!("a script is wrong: {error}"))
                })
            }
        }
    }
}

async fn stream_of(reply: Result<Reply, Fault>) -> Result<BodyStream, Fault> {
    let reply = reply?;
    if !reply.status().is_success() {
        return Err(Fault::new(FaultKind::Protocol, "refused"));
    }
    Ok(stream::iter([Ok(reply.into_body())]).boxed())
}

/// The same answer to everything.
pub struct Canned {
    answer: Answer,
    pub calls: AtomicUsize,
    learned: Mutex<Vec<Budget>>,
}

impl Canned {
    pub fn new(answer: Answer) -> Arc<Self> {
        Arc::new(Self {
            answer,
            calls: AtomicUsize::new(0),
            learned: Mutex::default(),
        })
    }

    pub fn learned(&self) -> Vec<Budget> {
        lock(&self.learned).clone()
    }
}

#[async_trait]
impl Http for Canned {
    async fn send(&self, _: Request, _: Cost) -> Result<Reply, Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.answer.give()
    }

    async fn open(&self, request: Request, cost: Cost) -> Result<BodyStream, Fault> {
        stream_of(self.send(request, cost).await).await
    }

    fn learn(&self, budget: Budget) {
        lock(&self.learned).push(budget);
    }
}

/// One request that a script waits for.
#[derive(Debug, Clone)]
pub struct Step {
    pub method: Method,
    /// Path and query, whole, or up to a `…` at the end.
    pub path: String,
    /// The JSON that must be in the body.
    pub body: Option<serde_json::Value>,
    pub answer: Answer,
}

/// Replays request → reply pairs, in order, and fails on anything else.
pub struct Script {
    steps: Mutex<VecDeque<Step>>,
    surprises: Mutex<Vec<String>>,
}

impl Script {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        Arc::new(Self {
            steps: Mutex::new(steps.into_iter().collect()),
            surprises: Mutex::default(),
        })
    }

    /// What went otherwise than written; empty when all of it was played.
    pub fn surprises(&self) -> Vec<String> {
        let left = lock(&self.steps);
        let left = left
            .iter()
            .map(|step| format!("never asked: {} {}", step.method, step.path));
        lock(&self.surprises).iter().cloned().chain(left).collect()
    }

    fn surprise(&self, what: String) -> Fault {
        lock(&self.surprises).push(what.clone());
        Fault::new(FaultKind::Protocol, what)
    }
}

#[async_trait]
impl Http for Script {
    async fn send(&self, request: Request, _: Cost) -> Result<Reply, Fault> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let Some(step) = lock(&self.steps).pop_front() else {
            return Err(self.surprise(format!("unexpected: {} {path}", parts.method)));
        };
        let is_path = match step.path.strip_suffix('…') {
            Some(start) => path.starts_with(start),
            None => path == step.path,
        };
        if parts.method != step.method || !is_path {
            let what = format!(
                "asked {} {path} instead of {} {}",
                parts.method, step.method, step.path
            );
            return Err(self.surprise(what));
        }
        if let Some(wanted) = &step.body {
            let sent = match body {
                Body::Bytes(bytes) => serde_json::from_slice(&bytes).ok(),
                Body::Empty | Body::Stream(_) => None,
            };
            if sent.as_ref() != Some(wanted) {
                let sent = sent.unwrap_or_default();
                return Err(self.surprise(format!("{path}: sent {sent} instead of {wanted}")));
            }
        }
        step.answer.give()
    }

    async fn open(&self, request: Request, cost: Cost) -> Result<BodyStream, Fault> {
        stream_of(self.send(request, cost).await).await
    }
}

/// Counts what goes through.
pub struct Counting {
    inner: Arc<dyn Http>,
    reads: AtomicUsize,
    writes: AtomicUsize,
    reply_bytes: Mutex<Vec<usize>>,
}

impl Counting {
    pub fn new(inner: Arc<dyn Http>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            reply_bytes: Mutex::default(),
        })
    }

    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    pub fn reply_bytes(&self) -> Vec<usize> {
        lock(&self.reply_bytes).clone()
    }

    pub fn reset(&self) {
        self.reads.store(0, Ordering::Relaxed);
        self.writes.store(0, Ordering::Relaxed);
        lock(&self.reply_bytes).clear();
    }
}

#[async_trait]
impl Http for Counting {
    async fn send(&self, request: Request, cost: Cost) -> Result<Reply, Fault> {
        let counter = if cost.effect == Effect::Read {
            &self.reads
        } else {
            &self.writes
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let reply = self.inner.send(request, cost).await?;
        lock(&self.reply_bytes).push(reply.body().len());
        Ok(reply)
    }

    async fn open(&self, request: Request, cost: Cost) -> Result<BodyStream, Fault> {
        self.inner.open(request, cost).await
    }

    fn learn(&self, budget: Budget) {
        self.inner.learn(budget);
    }
}

/// What happens to one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The shop did it; its reply is lost.
    LostReply,
    /// Nothing came back, and the shop does it later: when [`Mishaps::arrive`] is called.
    Late,
}

/// Lets one write after `pass` others go wrong; everything else goes through.
pub struct Mishaps {
    inner: Arc<dyn Http>,
    mishap: Mishap,
    pass: AtomicUsize,
    is_spent: Mutex<bool>,
    late: Mutex<Option<(Request, Cost)>>,
    writes: AtomicUsize,
}

impl Mishaps {
    pub fn new(inner: Arc<dyn Http>, mishap: Mishap, pass: usize) -> Arc<Self> {
        Arc::new(Self {
            inner,
            mishap,
            pass: AtomicUsize::new(pass),
            is_spent: Mutex::default(),
            late: Mutex::default(),
            writes: AtomicUsize::new(0),
        })
    }

    /// Writes that were sent by the connector.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    pub fn is_spent(&self) -> bool {
        *lock(&self.is_spent)
    }

    /// The late write arrives at the shop now.
    pub async fn arrive(&self) {
        let late = lock(&self.late).take();
        if let Some((request, cost)) = late {
            // Nobody is there to hear the answer.
            drop(self.inner.send(request, cost).await);
        }
    }
}

#[async_trait]
impl Http for Mishaps {
    async fn send(&self, request: Request, cost: Cost) -> Result<Reply, Fault> {
        if cost.effect == Effect::Read {
            return self.inner.send(request, cost).await;
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let left = self.pass.load(Ordering::Relaxed);
        if left > 0 {
            self.pass.store(left - 1, Ordering::Relaxed);
            return self.inner.send(request, cost).await;
        }
        if std::mem::replace(&mut *lock(&self.is_spent), true) {
            return self.inner.send(request, cost).await;
        }
        match self.mishap {
            Mishap::LostReply => drop(self.inner.send(request, cost).await),
            Mishap::Late => *lock(&self.late) = Some((request, cost)),
        }
        Err(Fault::new(
            FaultKind::UnknownOutcome,
            "the shop's answer was lost",
        ))
    }

    async fn open(&self, request: Request, cost: Cost) -> Result<BodyStream, Fault> {
        self.inner.open(request, cost).await
    }
}
