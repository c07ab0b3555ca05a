//! What people decide, carried out: their word becomes entries, and the engine is told to go on from them.

use super::calls::Done;
use super::driver::Driver;
use super::file::FileError;
use crate::clock;
use lockstep_engine::Event;
use lockstep_model::cases::{Also, OrderCase};
use lockstep_model::entry::{Conflict, Subject, What};
use lockstep_model::{
    ConflictId, Lane, Order, OrderAnswer, OrderKey, Record, RemoteId, Resolution, ShopId,
};

const NOT_KNOWN: &str = "no shop has shown this order yet";

impl Driver {
    /// Carries a person's word on a conflict out. The inner error is for people.
    pub async fn decide(
        &mut self,
        conflict: ConflictId,
        resolution: &Resolution,
        by: String,
    ) -> Result<Result<(), String>, FileError> {
        let case = self
            .file
            .with(move |journal| journal.conflict_case(conflict))
            .await?;
        let Some(case) = case else {
            let sentence =
                "the question is not open any more: it was answered, or closed by itself";
            return Ok(Err(sentence.into()));
        };
        let bodies = match lockstep_engine::resolve(&case, resolution, &by, self.engine.rules()) {
            Ok(bodies) => bodies,
            Err(why) => return Ok(Err(why)),
        };
        self.file
            .with(move |journal| journal.append(clock::now(), bodies, Also::default()))
            .await?;
        self.ship.notify_one();
        let read = match case.about {
            Conflict::LevelInDoubt { shop, .. } => Some(shop),
            _ => None,
        };
        self.on(Event::Resolved {
            subject: case.subject.subject(),
            conflict: Some(case.conflict),
            read,
            by,
        });
        Ok(Ok(()))
    }

    /// The shop that the copy of an order in doubt would be in, and what there may be called like this.
    pub async fn copies_named(
        &mut self,
        order: OrderKey,
        named: RemoteId,
    ) -> Result<Result<(ShopId, Vec<RemoteId>), String>, FileError> {
        let settings = self.seat.settings.clone();
        self.file
            .with(move |journal| {
                let Some(case) = journal.order_case(&order)? else {
                    return Ok(Err(NOT_KNOWN.to_owned()));
                };
                let into = into(&case, settings.policies.orders.into);
                let mut ids = journal.orders_numbered(into, named.as_str())?;
                if !ids.contains(&named) {
                    ids.push(named);
                }
                Ok::<_, lockstep_journal::JournalError>(Ok((into, ids)))
            })
            .await
    }

    /// Carries a person's word on an order out. The inner error is for people.
    pub async fn answer_order(
        &mut self,
        order: OrderKey,
        answer: OrderAnswer,
        copy: Option<Box<Order>>,
        by: String,
    ) -> Result<Result<(), String>, FileError> {
        self.settle_what_was_loaded(&order).await?;
        let receiver = self.seat.settings.policies.orders.into;
        let (named, said, name) = (order.clone(), answer.clone(), by.clone());
        let done = self
            .file
            .with(move |journal| {
                let Some(case) = journal.order_case(&named)? else {
                    return Ok(Err(NOT_KNOWN.to_owned()));
                };
                let into = into(&case, receiver);
                if let OrderAnswer::ItIsThere { id } = &said
                    && let Some(other) = journal.copied_from(into, id)?
                {
                    return Ok(Err(format!(
                        "order {id} there is the copy of order {} already; nothing was linked",
                        other.id
                    )));
                }
                let bodies = match lockstep_engine::orders::answer(&case, into, &said, &name) {
                    Ok(bodies) => bodies,
                    Err(why) => return Ok(Err(why)),
                };
                journal.append(clock::now(), bodies, Also::default())?;
                if let Some(copy) = copy {
                    journal.stage(into, vec![Record::Order(copy)])?;
                }
                Ok::<_, lockstep_journal::JournalError>(Ok(into))
            })
            .await?;
        let into = match done {
            Ok(into) => into,
            Err(why) => return Ok(Err(why)),
        };
        self.ship.notify_one();
        let resolved = Event::Resolved {
            subject: Subject::Order(order),
            conflict: None,
            read: None,
            by,
        };
        match answer {
            OrderAnswer::TryAgain => self.ask_who_it_is_then(into, resolved),
            OrderAnswer::ItIsThere { .. } | OrderAnswer::ItIsNotThere => self.on(resolved),
        }
        Ok(Ok(()))
    }

    /// What was mended may be a list of the shop's: its tax rates, its methods.
    fn ask_who_it_is_then(&mut self, shop: ShopId, then: Event) {
        let Ok(connector) = self.shops.connector(shop) else {
            // Switched off: the run says so.
            self.on(then);
            return;
        };
        self.calls.spawn(async move {
            let mut events = Vec::new();
            match connector.check().await {
                Ok(identity) => events.push(Event::ShopChecked {
                    shop,
                    identity: Box::new(identity),
                }),
                // The run's own calls will say so.
                Err(fault) => tracing::debug!(%shop, %fault, "the shop was not asked who it is"),
            }
            events.push(then);
            Done {
                events,
                lane: Lane::Trade,
                requests: 0,
                was_push: false,
                shows: None,
                wrote: None,
            }
        });
    }

    /// What was loaded of an order before a person's word on it must not be taken for what it left.
    async fn settle_what_was_loaded(&mut self, order: &OrderKey) -> Result<(), FileError> {
        let is_about_it = |event: &Event| match event {
            Event::OrdersLoaded(chunk) => chunk.cases.iter().any(|case| case.order == *order),
            _ => false,
        };
        while self.queue.iter().any(is_about_it) {
            self.step().await?;
        }
        Ok(())
    }
}

/// The shop that an order's copy is, or would be, in.
fn into(case: &OrderCase, receiver: Option<ShopId>) -> ShopId {
    let creates = case.open.iter();
    let meant = creates.filter(|open| open.what == What::CreateOrder);
    let meant = meant.map(|open| open.shop).next();
    meant.or(receiver).unwrap_or(case.order.shop)
}
