//! Questions of the coordinator that only a worker can answer, since only workers talk to shops.

use crate::bounds;
use crate::clock::until;
use crate::customer::{
    Asked, Draft, Handle, HeldUp, Undoing, answer_order, apply, ask_for_plan, buyers, copies_named,
    decide, erase_buyers, rehearse, undo,
};
use crate::link::Link;
use crate::shop_http::Calling;
use crate::shops::{Shops, connect};
use lockstep_connector::{Connector, Hook, HookScheme, HookState, Registry};
use lockstep_model::settings::{CustomerSettings, Secret, Service};
use lockstep_model::{
    CustomerId, Fault, FaultKind, Flow, Kind, OrderAnswer, OrderKey, PullRequest, Record, RunId,
    Scope, ShopId,
};
use lockstep_protocol::asks::{Answer, Ask, AskId, Decided, HookAnswer, Question, ShopAsked};
use lockstep_protocol::paths;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What an answer needs of its customer.
#[derive(Clone, Default)]
pub struct About {
    pub settings: Option<Arc<CustomerSettings>>,
    pub handle: Option<Handle>,
}

/// Asks that are being answered, a bounded number at a time.
pub struct Asks {
    link: Arc<Link>,
    registry: Registry,
    calling: Calling,
    slots: Arc<Semaphore>,
    /// A copy of a journal may be large: there is one at a time.
    copies: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// They may be handed out twice.
    seen: VecDeque<AskId>,
}

impl Asks {
    pub fn new(link: Arc<Link>, registry: Registry, calling: Calling) -> Self {
        Asks {
            link,
            registry,
            calling,
            slots: Arc::new(Semaphore::new(bounds::ASKS_AT_ONCE)),
            copies: Arc::new(Semaphore::new(1)),
            tasks: JoinSet::new(),
            seen: VecDeque::new(),
        }
    }

    pub fn is_new(&self, ask: &Ask) -> bool {
        !self.seen.contains(&ask.id)
    }

    /// The coordinator's database is another one, and counts its questions anew.
    pub fn forget_seen(&mut self) {
        self.seen.clear();
    }

    pub fn take(&mut self, ask: Ask, about: About) {
        while self.tasks.try_join_next().is_some() {}
        if self.tasks.len() >= bounds::ASKS_REMEMBERED {
            tracing::warn!(ask = %ask.id, "too many questions at once; this one is left to another worker");
            return;
        }
        self.seen.push_back(ask.id);
        if self.seen.len() > bounds::ASKS_REMEMBERED {
            self.seen.pop_front();
        }
        let (link, slots) = (self.link.clone(), self.slots.clone());
        let answerer = Answerer {
            registry: self.registry.clone(),
            calling: self.calling.clone(),
            customer: ask.customer_id,
            about,
            link: link.clone(),
            copies: self.copies.clone(),
        };
        self.tasks.spawn(async move {
            let patience = until(ask.deadline).min(bounds::ASK_PATIENCE);
            let (id, kind) = (ask.id, ask.question.kind());
            let work = async {
                let _slot = slots.acquire().await;
                answerer.answer(ask.question).await
            };
            let answer = match tokio::time::timeout(patience, work).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(fault)) => Answer::Failed { fault },
                // It would not be read any more.
                Err(_late) => return,
            };
            give(&link, id, kind, &answer).await;
        });
    }

    /// Until all that were taken are answered, or this long.
    pub async fn finish(&mut self, patience: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            self.tasks.abort_all();
        }
    }
}

async fn give(link: &Link, id: AskId, kind: &str, answer: &Answer) {
    let path = paths::fill(paths::worker::ASK, &[&id]);
    for _ in 0..bounds::ANSWER_TRIES {
        match link.post_json(&path, answer).await {
            Ok(_) => return,
            // Too late, or answered by another worker.
            Err(error) if error.problem().is_some() => {
                tracing::debug!(ask = %id, kind, %error, "the answer was not wanted");
                return;
            }
            Err(error) => {
                tracing::debug!(ask = %id, kind, %error, "the answer was not taken; it is given again");
                let pause = error.retry_after().unwrap_or(bounds::BACKOFF_MIN);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

struct Answerer {
    registry: Registry,
    calling: Calling,
    customer: Option<CustomerId>,
    about: About,
    link: Arc<Link>,
    copies: Arc<Semaphore>,
}

impl Answerer {
    async fn answer(&self, question: Question) -> Result<Answer, Fault> {
        match question {
            Question::Check { shop } => {
                let identity = Box::new(self.shop(shop)?.check().await?);
                Ok(Answer::Checked { identity })
            }
            Question::Lists { shop } => {
                let identity = Box::new(self.shop(shop)?.check().await?);
                Ok(Answer::Lists { identity })
            }
            Question::Plan {
                flows,
                shops,
                rows_max,
                by: _,
            } => {
                let (customer, handle) = self.held()?;
                let rows_max = (rows_max as usize).min(lockstep_protocol::bounds::PAGE_ROWS_MAX);
                let asked = Asked {
                    flows,
                    shops,
                    rows_max,
                };
                let plan = ask_for_plan(handle, customer, asked)
                    .await
                    .map_err(|why| Fault::new(FaultKind::Unavailable, why))?;
                Ok(match plan {
                    Ok(plan) => Answer::Planned {
                        plan: Box::new(plan),
                    },
                    Err(held_up) => goes_on(held_up),
                })
            }
            Question::Preview {
                settings,
                rows_max,
                by: _,
            } => {
                let (customer, _) = self.held()?;
                let in_force = self.about.settings.clone().ok_or_else(not_held)?;
                let unable = |why: String| Fault::new(FaultKind::Unavailable, why);
                let none = Shops::default();
                let shops = Shops::of(&in_force, &self.registry, &self.calling, &none)
                    .map_err(|unknown| unable(unknown.to_string()))?;
                let draft = Draft {
                    in_force,
                    proposed: Arc::new(*settings),
                    rows_max: (rows_max as usize).min(lockstep_protocol::bounds::PAGE_ROWS_MAX),
                };
                let _turn = self.copies.acquire().await;
                let preview = rehearse(&self.link, customer, &shops, &draft)
                    .await
                    .map_err(|error| unable(error.to_string()))?;
                Ok(Answer::Previewed {
                    preview: Box::new(preview),
                })
            }
            Question::Hooks { shop_id, url } => {
                let service = self.saved(shop_id)?;
                let hooks =
                    register(&service, url.as_deref(), &self.registry, &self.calling).await?;
                Ok(Answer::Hooks { hooks })
            }
            Question::Apply { plan, by } => {
                let (customer, handle) = self.held()?;
                let gone = || {
                    let message =
                        "that plan is not known any more, or no run may start now; make a new plan";
                    Fault::new(FaultKind::Invalid { field: None }, message)
                };
                let made = plan.split_once('-').and_then(|(of, run)| {
                    let is_ours = of == customer.to_string();
                    is_ours.then(|| run.parse().ok().map(RunId)).flatten()
                });
                let run = apply(handle, customer, made.ok_or_else(gone)?, by)
                    .await
                    .map_err(|why| Fault::new(FaultKind::Unavailable, why))?;
                Ok(match run {
                    Ok(run) => Answer::Applied {
                        run: run.ok_or_else(gone)?,
                    },
                    Err(held_up) => goes_on(held_up),
                })
            }
            Question::Undo { run, dry, by } => {
                let (customer, handle) = self.held()?;
                let undoing = undo(handle, customer, run, dry, by)
                    .await
                    .map_err(|why| Fault::new(FaultKind::Unavailable, why))?;
                let undoing = match undoing {
                    Ok(undoing) => undoing,
                    Err(held_up) => return Ok(goes_on(held_up)),
                };
                let undoing =
                    undoing.map_err(|why| Fault::new(FaultKind::Invalid { field: None }, why))?;
                Ok(match undoing {
                    Undoing::Begun(run) => Answer::Undoing { run },
                    Undoing::Shown(undo) => Answer::UndoShown { undo },
                })
            }
            Question::Decide {
                conflict,
                decision,
                by,
            } => {
                let (customer, handle) = self.held()?;
                decide(handle, customer, conflict, decision, by)
                    .await
                    .map_err(|why| Fault::new(FaultKind::Invalid { field: None }, why))?;
                Ok(Answer::Decided)
            }
            Question::DecideEach { decisions, by } => {
                let (customer, handle) = self.held()?;
                let mut refused = Vec::new();
                for Decided { conflict, decision } in decisions {
                    let decided = decide(handle, customer, conflict, decision, by.clone()).await;
                    refused.extend(decided.err().map(|why| (conflict, why)));
                }
                Ok(Answer::DecidedEach { refused })
            }
            Question::AnswerOrder { order, answer, by } => {
                self.answer_order(order, answer, by).await?;
                Ok(Answer::Decided)
            }
            Question::Buyers { of } => {
                let (customer, handle) = self.held()?;
                let found = buyers(handle, customer, of)
                    .await
                    .map_err(|why| Fault::new(FaultKind::Unavailable, why))?;
                let found =
                    found.map_err(|why| Fault::new(FaultKind::Invalid { field: None }, why))?;
                Ok(Answer::Buyers {
                    buyers: Box::new(found),
                })
            }
            Question::EraseBuyers { of, by } => {
                let (customer, handle) = self.held()?;
                let erased = erase_buyers(handle, customer, of, by)
                    .await
                    .map_err(|why| Fault::new(FaultKind::Unavailable, why))?;
                let (orders, unreadable) =
                    erased.map_err(|why| Fault::new(FaultKind::Invalid { field: None }, why))?;
                Ok(Answer::Erased { orders, unreadable })
            }
            Question::ExchangeCode { .. } => Err(not_yet(
                "no platform of this build logs in by a code; enter the shop's own key",
            )),
        }
    }

    /// The customer that the question is about, at work on this worker.
    fn held(&self) -> Result<(CustomerId, &Handle), Fault> {
        let held = self.customer.zip(self.about.handle.as_ref());
        held.ok_or_else(not_held)
    }

    /// What a person says to be there is looked at first: a copy that is linked and is none would never be made.
    async fn answer_order(
        &self,
        order: OrderKey,
        answer: OrderAnswer,
        by: String,
    ) -> Result<(), Fault> {
        let (customer, handle) = self.held()?;
        let invalid = |why| Fault::new(FaultKind::Invalid { field: None }, why);
        let OrderAnswer::ItIsThere { id: named } = answer else {
            return answer_order(handle, customer, order, answer, None, by)
                .await
                .map_err(invalid);
        };
        let (into, ids) = copies_named(handle, customer, order.clone(), named.clone())
            .await
            .map_err(invalid)?;
        let connector = self.shop(ShopAsked::Saved(into))?;
        let mut found = BTreeMap::new();
        for id in ids {
            let request = PullRequest {
                kind: Kind::Order,
                scope: Scope::Ids(vec![id]),
                limit: 1,
            };
            let page = connector.pull(&request).await?;
            found.extend(page.records.into_iter().filter_map(|record| match record {
                Ok(Record::Order(found)) => Some((found.state.id.clone(), found)),
                _ => None,
            }));
        }
        let mut found = found.into_values();
        match (found.next(), found.next()) {
            (Some(copy), None) => {
                let id = copy.state.id.clone();
                let answer = OrderAnswer::ItIsThere { id };
                answer_order(handle, customer, order, answer, Some(copy), by)
                    .await
                    .map_err(invalid)
            }
            (None, _) => {
                let why = format!("there is no order {named} there; nothing was linked");
                Err(invalid(why).at(into))
            }
            (Some(_), Some(_)) => {
                let why = format!(
                    "several orders there are called {named}; name it by its id. Nothing was linked"
                );
                Err(invalid(why).at(into))
            }
        }
    }

    fn saved(&self, shop: ShopId) -> Result<Service, Fault> {
        let service = self.about.settings.as_ref().and_then(|s| s.service(shop));
        service.cloned().ok_or_else(|| {
            let message = "this worker does not have the settings of this shop (any more)";
            Fault::new(FaultKind::NotFound, message).at(shop)
        })
    }

    fn shop(&self, asked: ShopAsked) -> Result<Arc<dyn Connector>, Fault> {
        let service = match asked {
            ShopAsked::Saved(shop) => self.saved(shop)?,
            ShopAsked::Given(given) => {
                let mut service = given.0;
                if let Ok(stored) = self.saved(service.id) {
                    // A worker's copy may be older than the coordinator's: the same rule holds for it.
                    service.keep_secrets_of(&stored);
                }
                service
            }
        };
        Ok(connect(&service, &self.registry, &self.calling)?.connector)
    }
}

fn not_held() -> Fault {
    let message = "this worker does not hold the customer (any more); ask again";
    Fault::new(FaultKind::Unavailable, message)
}

fn goes_on(HeldUp { run, detail }: HeldUp) -> Answer {
    Answer::RunGoesOn { run, detail }
}

fn not_yet(what: &str) -> Fault {
    let field = None;
    Fault::new(FaultKind::Invalid { field }, format!("not yet: {what}"))
}

/// Makes the shop's registrations equal to the wish: all its topics to this address, or none.
pub async fn register(
    service: &Service,
    url: Option<&str>,
    registry: &Registry,
    calling: &Calling,
) -> Result<Vec<HookAnswer>, Fault> {
    let shop = connect(service, registry, calling)?;
    if shop.manifest.hooks == HookScheme::None {
        return Ok(Vec::new());
    }
    let wanted = wanted(service, url, shop.manifest.hooks)?;
    Ok(answers(shop.connector.hooks(&wanted).await?))
}

/// All topics of the platform to this address, or none.
pub fn wanted(
    service: &Service,
    url: Option<&str>,
    scheme: HookScheme,
) -> Result<Vec<Hook>, Fault> {
    let HookScheme::Topics(topics) = scheme else {
        return Ok(Vec::new());
    };
    Ok(
        match (url, service.hook_secret.as_ref().map(Secret::reveal)) {
            (None, _) => Vec::new(),
            (Some(_), None) => {
                let field = Some("hookSecret".to_owned());
                let message = format!(
                    "{} has no secret to sign its webhooks with, so they could not be told from forged ones",
                    service.name
                );
                return Err(Fault::new(FaultKind::Invalid { field }, message).at(service.id));
            }
            (Some(url), Some(secret)) => topics
                .iter()
                .map(|topic| Hook {
                    topic: (*topic).to_owned(),
                    url: url.to_owned(),
                    secret: secret.to_owned(),
                })
                .collect(),
        },
    )
}

pub fn answers(states: Vec<HookState>) -> Vec<HookAnswer> {
    let each = states.into_iter().map(|state| HookAnswer {
        flow: flow_of(&state.topic),
        topic: state.topic,
        url: state.url,
        active: state.active,
    });
    each.collect()
}

/// For people: which flow a platform's topic is about.
fn flow_of(topic: &str) -> Flow {
    let topic = topic.to_ascii_lowercase();
    let about = |words: &[&str]| words.iter().any(|word| topic.contains(word));
    if about(&["order", "payment", "fulfil", "refund", "checkout"]) {
        Flow::Orders
    } else if about(&["stock", "inventory", "level", "reservation"]) {
        Flow::Stock
    } else if about(&["categor", "collection"]) {
        Flow::Categories
    } else {
        Flow::Products
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_shown_under_their_flows() {
        for (topic, flow) in [
            ("order.paid", Flow::Orders),
            ("inventory_levels/update", Flow::Stock),
            ("collections/update", Flow::Categories),
            ("product.updated", Flow::Products),
        ] {
            assert_eq!(flow_of(topic), flow, "{topic}");
        }
    }
}
