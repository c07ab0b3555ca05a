//! The task of one customer: opens the journal, drives the engine, ships, and begins anew after an error, a
//! new epoch or a fence. One at a time works on a customer's file.

use super::Seat;
use super::buyers::Erasure;
use super::driver::Driver;
use super::file::FileError;
use super::hooks::HookUrls;
use super::pace::Pair;
use super::plan::Asked;
use super::restore::{self, RestoreError};
use super::shipper::{Shipped, Shipper, ShippingEnd, wait_until_shipped};
use super::undo::Undoing;
use super::wishes::{ApplyReply, HeldUp, PlanReply, UndoReply};
use crate::backoff::Backoff;
use crate::bounds;
use crate::clock::{self, until};
use crate::link::Link;
use crate::members::Members;
use crate::report::Reporter;
use crate::shop_http::Calling;
use crate::shops::{Shops, UnknownPlatform};
use lockstep_connector::Registry;
use lockstep_engine::Event;
use lockstep_model::entry::RunResult;
use lockstep_model::{
    ConflictId, CustomerId, Order, OrderAnswer, OrderKey, RemoteId, Resolution, RunId, ShopId,
};
use lockstep_protocol::people::buyers::{BuyerSought, BuyersView};
use lockstep_protocol::people::plan::Plan;
use lockstep_protocol::status::{ApplyState, CustomerReport};
use lockstep_protocol::wanted::Wake;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// What every customer's task works with.
pub struct Tools {
    pub link: Arc<Link>,
    pub registry: Registry,
    pub reporter: Arc<Reporter>,
    pub members: Arc<Members>,
    pub calling: Calling,
    /// One round, until nothing is left to do now, instead of for ever.
    pub once: bool,
    pub hook_urls: HookUrls,
    /// How often a shop's registrations are looked at.
    pub hooks_looked_at: Duration,
}

/// A question that only the engine can answer.
pub enum Ask {
    Plan {
        asked: Asked,
        reply: PlanReply,
    },
    Cancel(RunId),
    Apply {
        plan: RunId,
        by: String,
        reply: ApplyReply,
    },
    Undo {
        run: RunId,
        dry: bool,
        by: String,
        reply: UndoReply,
    },
    Decide {
        conflict: ConflictId,
        resolution: Resolution,
        by: String,
        /// An error is for people.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Where may the copy of an order in doubt be, that a person calls like this?
    CopiesNamed {
        order: OrderKey,
        named: RemoteId,
        reply: oneshot::Sender<Result<(ShopId, Vec<RemoteId>), String>>,
    },
    AnswerOrder {
        order: OrderKey,
        answer: OrderAnswer,
        /// The copy as the shop shows it, where one was found.
        copy: Option<Box<Order>>,
        by: String,
        reply: oneshot::Sender<Result<(), String>>,
    },
    Buyers {
        of: BuyerSought,
        reply: oneshot::Sender<Result<BuyersView, String>>,
    },
    EraseBuyers {
        of: BuyerSought,
        by: String,
        reply: oneshot::Sender<Result<Erasure, String>>,
    },
}

/// The outside's hold on a customer's task.
#[derive(Clone)]
pub struct Handle {
    pub seat: watch::Sender<Arc<Seat>>,
    pub asks: mpsc::Sender<Ask>,
    wakes: Arc<Wakes>,
    pub stop: CancellationToken,
}

/// Flows of shops that should be looked at: as many as there are, however often they are woken.
#[derive(Default)]
struct Wakes {
    waiting: Mutex<BTreeMap<Pair, Waiting>>,
    notify: Notify,
}

struct Waiting {
    wake: Wake,
    since: Instant,
    /// A person asked: it does not wait.
    at_once: bool,
}

impl Wakes {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Pair, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those whose time has come, and when that of the next is.
    fn take(
        &self,
        now: Instant,
        due: impl Fn(Pair, Instant) -> Instant,
    ) -> (Vec<Wake>, Option<Instant>) {
        let mut waiting = self.waiting();
        let mut next = None;
        let mut taken = Vec::new();
        waiting.retain(|pair, each| {
            let at = if each.at_once {
                now
            } else {
                due(*pair, each.since)
            };
            if at <= now {
                taken.push(each.wake);
                return false;
            }
            next = Some(next.map_or(at, |next: Instant| next.min(at)));
            true
        });
        (taken, next)
    }
}

impl Handle {
    /// `at_once`: a person asked for it.
    pub fn wake(&self, wake: Wake, at_once: bool) {
        {
            let mut waiting = self.wakes.waiting();
            let new = || Waiting {
                wake,
                since: Instant::now(),
                at_once,
            };
            let each = waiting.entry((wake.shop_id, wake.flow)).or_insert_with(new);
            each.wake = wake;
            each.at_once |= at_once;
        }
        self.wakes.notify.notify_one();
    }
}

/// Hands on what has waited for long enough; when to look again.
fn follow_wakes(driver: &mut Driver, wakes: &Wakes) -> Option<Instant> {
    let now = Instant::now();
    let (pace, once) = (&driver.pace, driver.tools.once);
    let (taken, next) = wakes.take(now, |pair, since| {
        if once {
            now
        } else {
            pace.due(pair, since, now)
        }
    });
    if !taken.is_empty() {
        let pairs = taken.iter().map(|wake| (wake.shop_id, wake.flow));
        driver.wake(pairs.collect());
        for wake in taken {
            driver.tools.reporter.acted(wake);
        }
    }
    next
}

/// What the task listens to.
pub struct Ears {
    seat: watch::Receiver<Arc<Seat>>,
    asks: mpsc::Receiver<Ask>,
    wakes: Arc<Wakes>,
    stop: CancellationToken,
}

pub fn wire(seat: Arc<Seat>) -> (Handle, Ears) {
    let (seat, seats) = watch::channel(seat);
    let (asks, questions) = mpsc::channel(bounds::MAILBOX);
    let wakes = Arc::new(Wakes::default());
    let stop = CancellationToken::new();
    let handle = Handle {
        seat,
        asks,
        wakes: wakes.clone(),
        stop: stop.clone(),
    };
    let ears = Ears {
        seat: seats,
        asks: questions,
        wakes,
        stop,
    };
    (handle, ears)
}

/// How a round ended.
#[derive(Debug)]
pub enum RoundEnd {
    Stopped,
    /// Only with `once`: how the runs went, and whether the coordinator has the whole journal.
    AtRest {
        runs: Vec<(RunResult, String)>,
        shipped: bool,
    },
    /// Another epoch was granted.
    Reseated,
    /// Another worker owns the customer now.
    Fenced,
}

#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("{0}")]
    Unknown(#[from] UnknownPlatform),
    #[error("{0}")]
    Forked(String),
}

/// Works on a customer until it is stopped, or once until it is at rest.
pub async fn tend(tools: Arc<Tools>, mut ears: Ears) -> RoundEnd {
    let mut backoff = Backoff::default();
    loop {
        let seat = ears.seat.borrow_and_update().clone();
        let (customer, epoch) = (seat.customer, seat.epoch);
        tools.reporter.customer(report(&seat, ApplyState::Applying));
        let fence = tools.members.join(customer, epoch, seat.movable());
        let end = round(&tools, seat, &mut ears, &fence).await;
        tools.members.leave(customer, epoch);
        match end {
            Ok(end @ (RoundEnd::Stopped | RoundEnd::AtRest { .. })) => return end,
            Ok(RoundEnd::Reseated) => backoff.reset(),
            Ok(RoundEnd::Fenced) => {
                tracing::warn!(%customer, "another worker owns this customer now; this one has stopped");
                tools.reporter.failed(
                    customer,
                    "another worker owns this customer now; this one has stopped",
                );
                if tools.once {
                    return RoundEnd::Fenced;
                }
                tokio::select! {
                    changed = ears.seat.changed() => if changed.is_err() { return RoundEnd::Stopped },
                    () = ears.stop.cancelled() => return RoundEnd::Stopped,
                    // A coordinator that was behind the others may have said so: the customer is still ours
                    // then, and if not, the next segment is refused.
                    () = tokio::time::sleep(bounds::FENCED_PAUSE) => {}
                }
            }
            Err(error) => {
                let why = error.to_string();
                tracing::error!(%customer, error = why, "the customer's work stopped; it begins anew in a moment");
                tools.reporter.failed(customer, &why);
                if tools.once {
                    return RoundEnd::AtRest {
                        runs: vec![(RunResult::Failed, why)],
                        shipped: false,
                    };
                }
                let pause = backoff.next(Some(Duration::from_secs(1)));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    changed = ears.seat.changed() => if changed.is_err() { return RoundEnd::Stopped },
                    () = ears.stop.cancelled() => return RoundEnd::Stopped,
                }
            }
        }
    }
}

fn report(seat: &Seat, state: ApplyState) -> CustomerReport {
    CustomerReport {
        id: seat.customer,
        revision: seat.revision,
        epoch: seat.epoch,
        state,
        error: None,
        stopped: false,
        journal_sequence: 0,
        calls_per_second_max: None,
        shops: Vec::new(),
    }
}

async fn round(
    tools: &Arc<Tools>,
    seat: Arc<Seat>,
    ears: &mut Ears,
    fence: &CancellationToken,
) -> Result<RoundEnd, RoundError> {
    let shops = Shops::of(
        &seat.settings,
        &tools.registry,
        &tools.calling,
        &Shops::default(),
    )?;
    let file = tokio::select! {
        file = restore::open(&tools.link, &seat) => file?,
        () = ears.stop.cancelled() => return Ok(RoundEnd::Stopped),
        () = fence.cancelled() => return Ok(RoundEnd::Fenced),
    };
    let head = file.with(|journal| journal.head()).await?;
    let (told, mut shipped) = watch::channel(Shipped {
        acknowledged_seq: head.acknowledged_seq,
        sequence: head.segment.map_or(0, |(sequence, _)| sequence),
    });
    let ship = Arc::new(Notify::new());
    let shipper = Shipper {
        link: tools.link.clone(),
        customer: seat.customer,
        file: file.clone(),
        wanted: ship.clone(),
        shipped: told,
    };
    let work = async {
        let driver = Driver::new(
            tools.clone(),
            Seat::clone(&seat),
            file.clone(),
            shops,
            shipped.clone(),
            ship.clone(),
        );
        let mut driver = driver.await?;
        wait_for_the_right(&driver).await;
        driver.check_known_shops();
        driver.begin().await?;
        let mut applied = report(&seat, ApplyState::Applied);
        applied.journal_sequence = driver.shipped.borrow().sequence;
        applied.shops = driver.shop_reports();
        tools.reporter.customer(applied);
        drive(&mut driver, ears).await
    };
    let end = tokio::select! {
        end = work => end,
        end = shipper.ship_always() => match end {
            ShippingEnd::OldEpoch => Ok(RoundEnd::Fenced),
            ShippingEnd::Forked(why) => {
                tools.link.folder.set_journal_aside(seat.customer).map_err(RestoreError::Folder)?;
                restore::clear_aside(&tools.link, seat.customer);
                Err(RoundError::Forked(format!(
                    "the coordinator has another journal of this customer than this disk ({why}). The file here is kept \
                     beside, and the coordinator's is fetched"
                )))
            }
            ShippingEnd::File(error) => Err(error.into()),
        },
        () = fence.cancelled() => Ok(RoundEnd::Fenced),
    }?;
    // What is not with the coordinator yet is offered a little longer.
    let seq = file.with(|journal| journal.head()).await?.seq;
    let patience = match &end {
        RoundEnd::Stopped => Duration::from_secs(2),
        RoundEnd::AtRest { .. } if !tools.link.has_an_answer() => Duration::from_millis(500),
        RoundEnd::AtRest { .. } => bounds::STOP_PATIENCE,
        RoundEnd::Reseated | RoundEnd::Fenced => Duration::ZERO,
    };
    ship.notify_one();
    let all = tokio::select! {
        all = wait_until_shipped(&mut shipped, seq, patience) => all,
        _ended = shipper.ship_always() => false,
    };
    drop(shipper);
    file.close().await;
    Ok(match end {
        RoundEnd::AtRest { runs, .. } => RoundEnd::AtRest { runs, shipped: all },
        end => end,
    })
}

/// A movable customer's first run should not begin before its lease: it would read, and then not write.
async fn wait_for_the_right(driver: &Driver) {
    let mut rights = driver.tools.link.rights();
    let granted = async {
        while !driver.right().allows_a_write() {
            rights.changed().await;
        }
    };
    let _late = tokio::time::timeout(bounds::LEASE_INTERVAL, granted).await;
}

async fn drive(driver: &mut Driver, ears: &mut Ears) -> Result<RoundEnd, RoundError> {
    let mut rights = driver.tools.link.rights();
    let mut shipping = tokio::time::interval(bounds::LEASE_INTERVAL);
    let first_look = tokio::time::Instant::now() + driver.tools.hooks_looked_at;
    let mut hooks = tokio::time::interval_at(first_look, driver.tools.hooks_looked_at);
    hooks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop_by = None;
    loop {
        if ears.stop.is_cancelled() {
            let by =
                *stop_by.get_or_insert_with(|| tokio::time::Instant::now() + bounds::STOP_PATIENCE);
            // A write that is on its way may end; what it came to is then known.
            if driver.pushes == 0 && !driver.has_events() || tokio::time::Instant::now() >= by {
                return Ok(RoundEnd::Stopped);
            }
        }
        if driver.tools.once && driver.is_at_rest() {
            let runs = std::mem::take(&mut driver.ended);
            return Ok(RoundEnd::AtRest {
                runs,
                shipped: false,
            });
        }
        let tick = driver.next_tick;
        let next_wake = match stop_by {
            None => follow_wakes(driver, &ears.wakes),
            Some(_) => None,
        };
        tokio::select! {
            biased;
            Some(done) = driver.calls.join_next() => match done {
                Ok(done) => driver.called(done).await?,
                // A bug in a connector must not stop the customer for ever: it begins anew.
                Err(error) => return Err(FileError::Call(error.to_string()).into()),
            },
            changed = driver.shipped.changed() => if changed.is_ok() { driver.acknowledged() },
            () = rights.changed() => driver.rights_changed(),
            changed = ears.seat.changed() => {
                if changed.is_err() {
                    return Ok(RoundEnd::Stopped);
                }
                let seat = ears.seat.borrow_and_update().clone();
                let same = (driver.seat.incarnation, driver.seat.epoch, driver.seat.movable())
                    == (seat.incarnation, seat.epoch, seat.movable());
                if !same {
                    return Ok(RoundEnd::Reseated);
                }
                set(driver, &seat).await?;
            }
            // They are looked at above.
            () = ears.wakes.notify.notified(), if stop_by.is_none() => {}
            () = wake_is_due(next_wake) => {}
            _ = hooks.tick(), if stop_by.is_none() && !driver.tools.once => driver.look_at_hooks(),
            Some(ask) = ears.asks.recv() => match ask {
                Ask::Plan { asked, reply } => driver.ask_for_plan(asked, reply),
                Ask::Cancel(run) => driver.on(Event::Cancelled { run }),
                Ask::Apply { plan, by, reply } => driver.apply(plan, by, reply),
                Ask::Undo { run, dry, by, reply } => driver.undo(run, dry, by, reply).await?,
                Ask::Decide { conflict, resolution, by, reply } => {
                    // Whoever asked may be gone; the journal has it all the same.
                    let _unheard = reply.send(driver.decide(conflict, &resolution, by).await?);
                }
                Ask::CopiesNamed { order, named, reply } => {
                    let _unheard = reply.send(driver.copies_named(order, named).await?);
                }
                Ask::Buyers { of, reply } => {
                    let _unheard = reply.send(driver.buyers(of).await?);
                }
                Ask::EraseBuyers { of, by, reply } => {
                    let _unheard = reply.send(driver.erase_buyers(of, by).await?);
                }
                Ask::AnswerOrder { order, answer, copy, by, reply } => {
                    let _unheard = reply.send(driver.answer_order(order, answer, copy, by).await?);
                }
            },
            () = ears.stop.cancelled(), if stop_by.is_none() => {}
            _ = shipping.tick() => driver.ship.notify_one(),
            () = std::future::ready(()), if driver.has_events() => driver.step().await?,
            () = due(tick), if stop_by.is_none() => {
                if tick.is_some_and(|at| at <= clock::now()) {
                    driver.on(Event::Tick);
                }
            }
            () = at_last(driver.wishes.next_look()) => driver.tell_who_waits(),
            () = tokio::time::sleep(Duration::from_millis(200)), if stop_by.is_some() => {}
        }
    }
}

async fn wake_is_due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// At the time, or after a minute of it: the wall's clock may be set meanwhile.
async fn due(at: Option<jiff::Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(until(at).min(Duration::from_secs(60))).await,
        None => std::future::pending().await,
    }
}

async fn at_last(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn set(driver: &mut Driver, seat: &Seat) -> Result<(), RoundError> {
    let reporter = driver.tools.reporter.clone();
    let tools = driver.tools.clone();
    match Shops::of(
        &seat.settings,
        &tools.registry,
        &tools.calling,
        &driver.shops,
    ) {
        Ok(shops) => {
            driver.set(seat.clone(), shops).await?;
            let sequence = driver.shipped.borrow().sequence;
            let mut applied = report(seat, ApplyState::Applied);
            applied.journal_sequence = sequence;
            applied.shops = driver.shop_reports();
            reporter.customer(applied);
        }
        // The last good ones stay in force.
        Err(unknown) => {
            let mut failed = report(seat, ApplyState::Failed);
            failed.error = Some(unknown.to_string());
            failed.shops = driver.shop_reports();
            reporter.customer(failed);
        }
    }
    Ok(())
}

/// For whoever has a handle and wants a plan. The inner error: a run goes on, and none was made.
pub async fn ask_for_plan(
    handle: &Handle,
    customer: CustomerId,
    asked: Asked,
) -> Result<Result<Plan, HeldUp>, String> {
    let (reply, answer) = oneshot::channel();
    let ask = Ask::Plan { asked, reply };
    handle.asks.try_send(ask).map_err(|_| busy(customer))?;
    answer.await.map_err(|_| busy(customer))
}

/// For whoever has a handle and wants a plan applied as it was shown. `None`: it is not known (any more). The inner
/// error: a run goes on, and nothing was applied.
pub async fn apply(
    handle: &Handle,
    customer: CustomerId,
    plan: RunId,
    by: String,
) -> Result<Result<Option<RunId>, HeldUp>, String> {
    let (reply, answer) = oneshot::channel();
    let ask = Ask::Apply { plan, by, reply };
    handle.asks.try_send(ask).map_err(|_| busy(customer))?;
    answer.await.map_err(|_| busy(customer))
}

/// For whoever has a handle and wants a run undone, or (`dry`) to know what that would do. The errors from the outside in:
/// not now; a run goes on, and nothing was undone; for people, why the run cannot be undone.
pub async fn undo(
    handle: &Handle,
    customer: CustomerId,
    run: RunId,
    dry: bool,
    by: String,
) -> Result<Result<Result<Undoing, String>, HeldUp>, String> {
    let (reply, answer) = oneshot::channel();
    let ask = Ask::Undo {
        run,
        dry,
        by,
        reply,
    };
    handle.asks.try_send(ask).map_err(|_| busy(customer))?;
    answer.await.map_err(|_| busy(customer))
}

/// For whoever has a handle and brings a person's word on a conflict.
pub async fn decide(
    handle: &Handle,
    customer: CustomerId,
    conflict: ConflictId,
    resolution: Resolution,
    by: String,
) -> Result<(), String> {
    let (reply, answer) = oneshot::channel();
    let ask = Ask::Decide {
        conflict,
        resolution,
        by,
        reply,
    };
    handle.asks.try_send(ask).map_err(|_| busy(customer))?;
    answer.await.map_err(|_| busy(customer))?
}

/// For whoever has a handle and wants to know which orders of which shop a person may mean.
pub async fn copies_named(
    handle: &Handle,
    customer: CustomerId,
    order: OrderKey,
    named: RemoteId,
) -> Result<(ShopId, Vec<RemoteId>), String> {
    let (reply, answer) = oneshot::channel();
    let ask = Ask::CopiesNamed {
        order,
        named,
        reply,
    };
    handle.asks.try_send(ask).map_err(|_| busy(customer))?;
    answer.await.map_err(|_| busy(customer))?
}

/// For whoever has a handle and brings a person's word on an order.
pub async fn answer_order(
    handle: &Handle,
    customer: CustomerId,
    order: OrderKey,
    answer: OrderAnswer,
    copy: Option<Box<Order>>,
    by: String,
) -> Result<(), String> {
    let (reply, answered) = oneshot::channel();
    let ask = Ask::AnswerOrder {
        order,
        answer,
        copy,
        by,
        reply,
    };
    handle.asks.try_send(ask).map_err(|_| busy(customer))?;
    answered.await.map_err(|_| busy(customer))?
}

/// For whoever has a handle and may see what is kept of a buyer. The outer error: not now.
pub async fn buyers(
    handle: &Handle,
    customer: CustomerId,
    of: BuyerSought,
) -> Result<Result<BuyersView, String>, String> {
    let (reply, answer) = oneshot::channel();
    let ask = Ask::Buyers { of, reply };
    handle.asks.try_send(ask).map_err(|_| busy(customer))?;
    answer.await.map_err(|_| busy(customer))
}

/// For whoever has a handle and wants a buyer forgotten, here and with the coordinator. Orders, and those that nobody
/// can read. The outer error: not now, or not all of it.
pub async fn erase_buyers(
    handle: &Handle,
    customer: CustomerId,
    of: BuyerSought,
    by: String,
) -> Result<Result<(u64, u64), String>, String> {
    let (reply, answer) = oneshot::channel();
    let ask = Ask::EraseBuyers { of, by, reply };
    handle.asks.try_send(ask).map_err(|_| busy(customer))?;
    let mut erasure = match answer.await.map_err(|_| busy(customer))? {
        Ok(erasure) => erasure,
        Err(why) => return Ok(Err(why)),
    };
    let patience = bounds::STOP_PATIENCE;
    if wait_until_shipped(&mut erasure.shipped, erasure.seq, patience).await {
        Ok(Ok((erasure.orders, erasure.unreadable)))
    } else {
        Err(
            "the buyer is forgotten on the worker; the coordinator does not have the entry yet"
                .into(),
        )
    }
}

fn busy(customer: CustomerId) -> String {
    format!("customer {customer} is not at work on this worker now; ask again in a moment")
}
