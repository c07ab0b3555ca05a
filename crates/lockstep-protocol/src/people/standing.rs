//! How a customer stands: what is not in step, and why. The one place where these are added up and put into words:
//! plans, the overview, a customer's page and the CLI all say what stands here.

use super::Need;
use jiff::Timestamp;
use lockstep_model::{CustomerId, RunId};
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// All that keeps shops from being in step, each thing counted under one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// What a run would write now. Only a plan knows it.
    pub writes: u64,
    /// Wanted and not written: an answer is looked up, another record or a shop comes first.
    pub blocked: u64,
    /// Set aside: a shop refused it, or it cannot be read.
    pub aside: u64,
    /// Questions that nobody has answered.
    pub questions: u64,
    /// Orders that are held, but for those that wait for their payment.
    pub held: u64,
    /// Products that a shop does not have because its assortment leaves them out.
    pub outside: u64,
}

/// One sort of what is not in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Writes,
    Blocked,
    Aside,
    Questions,
    Held,
    Outside,
}

impl Part {
    pub const ALL: [Part; 6] = [
        Part::Writes,
        Part::Blocked,
        Part::Aside,
        Part::Questions,
        Part::Held,
        Part::Outside,
    ];

    /// Beside its count.
    pub fn words(self, count: u64) -> &'static str {
        let one = count == 1;
        match self {
            Part::Writes if one => "write",
            Part::Writes => "writes",
            Part::Blocked => "not written yet",
            Part::Aside => "set aside",
            Part::Questions if one => "question",
            Part::Questions => "questions",
            Part::Held if one => "order held",
            Part::Held => "orders held",
            Part::Outside => "not in the assortment",
        }
    }
}

impl Totals {
    pub fn of(&self, part: Part) -> u64 {
        match part {
            Part::Writes => self.writes,
            Part::Blocked => self.blocked,
            Part::Aside => self.aside,
            Part::Questions => self.questions,
            Part::Held => self.held,
            Part::Outside => self.outside,
        }
    }

    /// Every shop holds everything.
    pub fn is_in_step(&self) -> bool {
        Part::ALL.iter().all(|part| self.of(*part) == 0)
    }

    /// What is wanted and has not come about. An assortment is nobody's omission, and what a plan would write
    /// is for a run to do.
    pub fn waits(&self) -> u64 {
        self.blocked + self.aside + self.questions + self.held
    }

    /// What there is of it, in this order.
    pub fn parts(&self) -> Vec<(Part, u64)> {
        let parts = Part::ALL.iter().map(|part| (*part, self.of(*part)));
        parts.filter(|(_, count)| *count > 0).collect()
    }

    /// "3 questions, 2 set aside"; "all shops are in step" if there is nothing.
    pub fn sentence(&self) -> String {
        if self.is_in_step() {
            return "all shops are in step".into();
        }
        let parts: Vec<String> = self
            .parts()
            .into_iter()
            .map(|(part, count)| format!("{count} {}", part.words(count)))
            .collect();
        parts.join(", ")
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.writes += other.writes;
        self.blocked += other.blocked;
        self.aside += other.aside;
        self.questions += other.questions;
        self.held += other.held;
        self.outside += other.outside;
    }
}

/// A state as a page and a terminal say it: a word, its colour, and what lies behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub mood: Mood,
    /// "in step", "refuses our key", "no worker".
    pub word: String,
    /// A sentence; empty: the word says it all.
    #[serde(default)]
    pub detail: String,
    /// Since when it is so, where that is known.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl Health {
    pub fn new(mood: Mood, word: impl Into<String>) -> Self {
        Health {
            mood,
            word: word.into(),
            detail: String::new(),
            since: None,
        }
    }

    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub fn since(mut self, at: Option<Timestamp>) -> Self {
        self.since = at;
        self
    }
}

impl Default for Health {
    fn default() -> Self {
        Health::new(Mood::Idle, "not known")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    Good,
    Attention,
    Failed,
    Idle,
}

/// How one customer stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub customer_id: CustomerId,
    pub totals: Totals,
    /// What a person has to see to, each cause once.
    pub needs: Vec<Need>,
    pub health: Health,
    /// The newest run that has ended and is counted in here.
    pub after_run: Option<RunId>,
    pub as_of: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_step_needs_all_others_to_be_nothing() {
        assert!(Totals::default().is_in_step());
        assert_eq!(Totals::default().sentence(), "all shops are in step");
        for part in Part::ALL {
            let mut totals = Totals::default();
            match part {
                Part::Writes => totals.writes = 1,
                Part::Blocked => totals.blocked = 1,
                Part::Aside => totals.aside = 1,
                Part::Questions => totals.questions = 1,
                Part::Held => totals.held = 1,
                Part::Outside => totals.outside = 1,
            }
            assert!(!totals.is_in_step(), "{part:?}");
            assert_eq!(totals.parts(), [(part, 1)]);
            assert!(!totals.sentence().contains("in step"), "{part:?}");
            let waits = !matches!(part, Part::Writes | Part::Outside);
            assert_eq!(totals.waits() > 0, waits, "{part:?}");
        }
    }

    #[test]
    fn what_there_is_of_it_is_said_with_its_number() {
        let totals = Totals {
            questions: 5,
            held: 1,
            outside: 40,
            ..Totals::default()
        };
        assert_eq!(
            totals.sentence(),
            "5 questions, 1 order held, 40 not in the assortment"
        );
    }
}
