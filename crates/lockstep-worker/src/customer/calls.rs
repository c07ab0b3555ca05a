//! Calls to shops on behalf of the engine, each a task of its own that ends in events.

use super::doors::Pass;
use super::health::{ShopsHealth, Sort};
use crate::clock::{self, BootTime, on_our_clock};
use crate::crash::{CrashPoint, CrashPoints};
use crate::link::{Link, Right};
use crate::shop_http::{counting, counting_writes};
use crate::shops::{OtherShops, Shops};
use lockstep_connector::Connector;
use lockstep_engine::budget::Urgency;
use lockstep_engine::{CallId, Event};
use lockstep_model::{
    Change, Fault, FaultKind, Kind, Lane, NaturalKey, Outcome, PullRequest, ShopId, ShopIdentity,
};
use std::sync::Arc;

/// What a call came to: events for the engine in order, and how many requests it took.
pub struct Done {
    pub events: Vec<Event>,
    pub lane: Lane,
    pub requests: u64,
    pub was_push: bool,
    /// The shop whose records are in it.
    pub shows: Option<ShopId>,
    /// The shop that was written to: its own hooks about it are on their way.
    pub wrote: Option<ShopId>,
}

/// One shop, as a call needs it.
#[derive(Clone)]
pub struct Line {
    pub shop: ShopId,
    pub shops: Arc<Shops>,
    /// What the shop is (when it takes stock, which currency it has) is known. Nothing is read from or
    /// written to a shop before.
    pub is_known: bool,
    pub health: Arc<ShopsHealth>,
    pub crash: CrashPoints,
}

impl Line {
    fn connector(&self) -> Result<Arc<dyn Connector>, Fault> {
        self.shops.connector(self.shop)
    }

    /// For a shop that is not known: asks it who it is, and leaves the rest to the next run.
    async fn introduce(&self) -> Result<Option<ShopIdentity>, Fault> {
        if self.is_known {
            return Ok(None);
        }
        let answer = self.connector()?.check().await;
        self.health
            .heard(self.shop, Sort::Read, &answer, clock::now());
        answer.map(Some)
    }

    pub async fn pull(self, call: CallId, request: PullRequest) -> Done {
        let shop = self.shop;
        let lane = request.kind.flow().lane();
        let (events, requests) = counting(Urgency::of_reading(request.kind), async {
            let (mut events, fault) = self.met().await;
            let result = match fault {
                Some(fault) => Err(fault),
                None => match self.connector() {
                    Ok(connector) => {
                        let result = connector.pull(&request).await;
                        self.health
                            .heard(self.shop, Sort::Read, &result, clock::now());
                        result
                    }
                    Err(fault) => Err(fault),
                },
            };
            self.crash.reach(CrashPoint::AfterPull);
            let result = result.map_err(on_our_clock);
            events.push(Event::Pulled { call, result });
            events
        })
        .await;
        Done {
            events,
            lane,
            requests,
            was_push: false,
            shows: Some(shop),
            wrote: None,
        }
    }

    pub async fn find(self, call: CallId, key: NaturalKey) -> Done {
        let shop = self.shop;
        let kind = match &key {
            NaturalKey::Order { .. } => Kind::Order,
            NaturalKey::Sku(_) | NaturalKey::Gtin(_) => Kind::Product,
            NaturalKey::Category { .. } => Kind::Category,
        };
        let (lane, urgency) = (kind.flow().lane(), Urgency::of_reading(kind));
        let (events, requests) = counting(urgency, async {
            let (mut events, fault) = self.met().await;
            let result = match fault {
                Some(fault) => Err(fault),
                None => match self.connector() {
                    Ok(connector) => {
                        let result = connector.find(&key).await;
                        self.health
                            .heard(self.shop, Sort::Read, &result, clock::now());
                        result
                    }
                    Err(fault) => Err(fault),
                },
            };
            let result = result.map_err(on_our_clock);
            events.push(Event::Found { call, result });
            events
        })
        .await;
        Done {
            events,
            lane,
            requests,
            was_push: false,
            shows: Some(shop),
            wrote: None,
        }
    }

    pub async fn push(
        self,
        call: CallId,
        changes: Vec<Change>,
        pass: Pass,
        link: Arc<Link>,
        movable: bool,
    ) -> Done {
        let shop = self.shop;
        let lane = changes
            .first()
            .map_or(Lane::Trade, |change| change.kind().flow().lane());
        let urgency = Urgency::of_writing(&changes);
        let (events, requests) = counting_writes(urgency, pass.clone(), async {
            let (mut events, fault) = self.met().await;
            let result = match fault {
                Some(fault) => Err(fault),
                None if !link.right(movable).allows_a_write() => Err(Fault::new(
                    FaultKind::Unavailable,
                    "the right to write ran out before this was sent; it is sent when the coordinator is back",
                )
                .at(self.shop)),
                None => match pass.check() {
                    Ok(()) => self.send(&changes, &link, movable).await,
                    Err(closed) => Err(closed),
                },
            };
            self.crash.reach(CrashPoint::AfterSend);
            let result = outcomes_on_our_clock(result);
            events.push(Event::Pushed { call, result });
            events
        })
        .await;
        Done {
            events,
            lane,
            requests,
            was_push: true,
            shows: Some(shop),
            wrote: Some(shop),
        }
    }

    /// Given up as unknown when the lease ends: another worker may look from then on.
    async fn send(
        &self,
        changes: &[Change],
        link: &Link,
        movable: bool,
    ) -> Result<Vec<Outcome>, Fault> {
        let connector = self.connector()?;
        let pictures = OtherShops(self.shops.clone());
        tokio::select! {
            result = connector.push(changes, &pictures) => {
                self.health.heard_of_writes(self.shop, &result, clock::now());
                result
            }
            () = lease_is_over(link, movable) => Ok(changes
                .iter()
                .map(|_| {
                    Outcome::Failed(Fault::new(
                        FaultKind::UnknownOutcome,
                        "the lease ended while this was on its way; it is looked up before anything is sent again",
                    )
                    .at(self.shop))
                })
                .collect()),
        }
    }

    async fn met(&self) -> (Vec<Event>, Option<Fault>) {
        match self.introduce().await {
            Ok(None) => (Vec::new(), None),
            Err(fault) => (Vec::new(), Some(fault.at(self.shop))),
            Ok(Some(identity)) => {
                let seen = Event::ShopChecked {
                    shop: self.shop,
                    identity: Box::new(identity),
                };
                let message =
                    "it was reached for the first time just now; its data is read in a moment";
                let later = Fault::new(FaultKind::Unavailable, message).at(self.shop);
                (vec![seen], Some(later))
            }
        }
    }
}

fn outcomes_on_our_clock(result: Result<Vec<Outcome>, Fault>) -> Result<Vec<Outcome>, Fault> {
    let outcomes = result.map_err(on_our_clock)?.into_iter();
    let outcomes = outcomes.map(|outcome| match outcome {
        Outcome::Failed(fault) => Outcome::Failed(on_our_clock(fault)),
        outcome @ (Outcome::Done(_) | Outcome::Partly { .. } | Outcome::Accepted { .. }) => outcome,
    });
    Ok(outcomes.collect())
}

async fn lease_is_over(link: &Link, movable: bool) {
    let mut rights = link.rights();
    loop {
        match link.right(movable) {
            Right::Until(deadline) if deadline <= BootTime::now() => return,
            Right::Until(deadline) => {
                tokio::select! {
                    () = tokio::time::sleep(deadline.left()) => {}
                    () = rights.changed() => {}
                }
            }
            // What is in flight may end; nothing new begins.
            Right::Always | Right::Never => rights.changed().await,
        }
    }
}
