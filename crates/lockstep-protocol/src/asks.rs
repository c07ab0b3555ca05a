//! Questions with an answer, coordinator to worker, since only workers talk to shops. An ask may be
//! handed out twice; the first answer counts.

use crate::{
    auth::Bearer,
    people::{
        buyers::{BuyerSought, BuyersView},
        plan::{Plan, Preview},
        undo::UndoPreview,
    },
};
use jiff::Timestamp;
use lockstep_model::{
    ConflictId, CustomerId, Fault, Flow, OrderAnswer, OrderKey, Resolution, RunId, ShopId,
    ShopIdentity,
    settings::{Credentials, CustomerSettings, OnWire, Service},
};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AskId(pub u64);

impl fmt::Display for AskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    pub id: AskId,
    /// None: a shop of a customer that is not saved yet.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// An answer after this is not read.
    pub deadline: Timestamp,
    pub question: Question,
}

/// A shop by its id in the settings that the worker has, or with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShopAsked {
    Saved(ShopId),
    Given(Box<OnWire<Service>>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// Do the credentials work, and what does the shop say of itself?
    Check { shop: ShopAsked },
    /// Stocks, methods, versions …, for the forms.
    Lists { shop: ShopAsked },
    /// What would a run write? Nothing is written.
    Plan {
        /// Empty: all.
        flows: Vec<Flow>,
        /// Empty: all.
        shops: Vec<ShopId>,
        /// How many rows to return; the counts are of all.
        rows_max: u32,
        by: String,
    },
    /// What would follow from these settings, which nobody has saved? They have no secrets. No shop is called.
    Preview {
        settings: Box<CustomerSettings>,
        rows_max: u32,
        by: String,
    },
    /// Write what this plan showed, where it still holds.
    Apply { plan: String, by: String },
    /// Put back what this run wrote, where it still stands; `dry`: only say what that would be.
    Undo { run: RunId, dry: bool, by: String },
    /// A person's word on a conflict.
    Decide {
        conflict: ConflictId,
        decision: Resolution,
        by: String,
    },
    /// A person's words on several conflicts, each carried out by itself.
    DecideEach { decisions: Vec<Decided>, by: String },
    /// A person's word on an order that is held. Where it says that it is there: by its id or its number there.
    AnswerOrder {
        order: OrderKey,
        answer: OrderAnswer,
        by: String,
    },
    /// What is kept of a buyer?
    Buyers { of: BuyerSought },
    /// Forget a buyer. Answered when the coordinator has the entry that says so.
    EraseBuyers { of: BuyerSought, by: String },
    /// Turn an OAuth code into credentials.
    ExchangeCode {
        shop: ShopAsked,
        code: Bearer,
        redirect_url: String,
    },
    /// Make the shop's webhooks equal to this wish.
    Hooks {
        shop_id: ShopId,
        url: Option<String>,
    },
}

impl Question {
    pub fn kind(&self) -> &'static str {
        match self {
            Question::Check { .. } => "check",
            Question::Lists { .. } => "lists",
            Question::Plan { .. } => "plan",
            Question::Preview { .. } => "preview",
            Question::Apply { .. } => "apply",
            Question::Undo { .. } => "undo",
            Question::Decide { .. } => "decide",
            Question::DecideEach { .. } => "decide_each",
            Question::AnswerOrder { .. } => "answer_order",
            Question::Buyers { .. } => "buyers",
            Question::EraseBuyers { .. } => "erase_buyers",
            Question::ExchangeCode { .. } => "exchange_code",
            Question::Hooks { .. } => "hooks",
        }
    }

    /// Nothing of it may be kept when it was answered.
    pub fn is_personal(&self) -> bool {
        matches!(self, Question::Buyers { .. } | Question::EraseBuyers { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    pub conflict: ConflictId,
    pub decision: Resolution,
}

/// The body of `POST /asks/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Checked {
        identity: Box<ShopIdentity>,
    },
    Lists {
        identity: Box<ShopIdentity>,
    },
    Planned {
        plan: Box<Plan>,
    },
    Previewed {
        preview: Box<Preview>,
    },
    /// The run that applies it.
    Applied {
        run: RunId,
    },
    /// A run goes on that this has to wait for. It is not done: asked again once that has ended, it is.
    RunGoesOn {
        run: RunId,
        /// For people: what the run does, and how far it is.
        detail: String,
    },
    UndoShown {
        undo: Box<UndoPreview>,
    },
    /// The run that undoes.
    Undoing {
        run: RunId,
    },
    Decided,
    /// Those that could not be carried out, with the reason.
    DecidedEach {
        refused: Vec<(ConflictId, String)>,
    },
    Buyers {
        buyers: Box<BuyersView>,
    },
    Erased {
        orders: u64,
        unreadable: u64,
    },
    Exchanged {
        credentials: OnWire<Credentials>,
    },
    Hooks {
        hooks: Vec<HookAnswer>,
    },
    /// The shop, or the worker, could not.
    Failed {
        fault: Fault,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookAnswer {
    pub flow: Flow,
    /// The platform's word for it.
    pub topic: String,
    pub url: String,
    pub active: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::settings::Secret;

    #[test]
    fn a_buyer_s_data_is_read_as_it_was_answered_and_debug_does_not_show_it() {
        let buyer = lockstep_model::Person {
            email: Some("aino@example.com".into()),
            ..Default::default()
        };
        let view = crate::people::buyers::BuyerView {
            order: OrderKey::parse("lockstep:7:2:o1").unwrap(),
            number: "1041".into(),
            placed_at: Some(Timestamp::UNIX_EPOCH),
            currency: "EUR".into(),
            total: 10.into(),
            lines: vec![],
            copies: vec![crate::people::buyers::CopyAt {
                shop: ShopId(1),
                id: "s76".into(),
            }],
            buyer,
        };
        let answer = Answer::Buyers {
            buyers: Box::new(BuyersView {
                orders: vec![view],
                unreadable: 0,
                cut: false,
            }),
        };
        let json = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&json).unwrap(), answer);
        assert!(!format!("{answer:?}").contains("aino"));
        let of = BuyerSought::Email("aino@example.com".into());
        let question = Question::Buyers { of };
        assert!(question.is_personal() && !format!("{question:?}").contains("aino"));
    }

    #[test]
    fn an_ask_about_an_unsaved_shop_carries_its_credentials_and_debug_does_not() {
        let service = Service::new(ShopId(0), "ERP", "practice", "http://127.0.0.1:1")
            .with_credential("token", Secret::new("s3cret"));
        let ask = Ask {
            id: AskId(1),
            customer_id: None,
            deadline: Timestamp::UNIX_EPOCH,
            question: Question::Check {
                shop: ShopAsked::Given(Box::new(OnWire(service))),
            },
        };
        let json = serde_json::to_string(&ask).unwrap();
        assert_eq!(serde_json::from_str::<Ask>(&json).unwrap(), ask);
        assert!(json.contains("s3cret"));
        assert!(!format!("{ask:?}").contains("s3cret"));
    }
}
