//! What a person says to the worker that holds the customer, as a worker hears it.

use super::Sim;
use lockstep_engine::{Event, resolve};
use lockstep_model::cases::ConflictSubject;
use lockstep_model::entry::Subject;
use lockstep_model::{ConflictId, Resolution, RunId};

const SOMEBODY: &str = "somebody";

impl Sim {
    pub fn undo(&mut self, run: RunId) {
        let Some(machine) = self.holder() else {
            return;
        };
        self.tell(|| format!("somebody undoes run {run}"));
        let asked = Event::UndoAsked {
            run,
            by: SOMEBODY.into(),
            dry: false,
        };
        self.feed(machine, asked);
    }

    /// Whether this is an answer to the question.
    pub fn answer(&mut self, conflict: ConflictId, resolution: &Resolution) -> bool {
        let Some(machine) = self.holder() else {
            return false;
        };
        let case = self.journal().and_then(|journal| {
            journal
                .conflict_case(conflict)
                .expect("what a question is about")
        });
        let Some(case) = case else {
            return false;
        };
        let Ok(bodies) = resolve(&case, resolution, SOMEBODY, &self.rules) else {
            return false;
        };
        self.tell(|| format!("question {conflict} is answered: {resolution:?}"));
        self.append(machine, bodies, Default::default());
        let subject = match case.subject {
            ConflictSubject::Record(known) => Subject::Record(known.record),
            ConflictSubject::Level(level) => Subject::Level {
                stock: level.stock,
                sku: level.sku,
            },
            ConflictSubject::Order(order) => Subject::Order(order),
            ConflictSubject::Shop(shop) => Subject::Shop(shop),
            ConflictSubject::Levels => Subject::Levels,
            ConflictSubject::Catalogue => Subject::Catalogue,
        };
        self.feed(
            machine,
            Event::Resolved {
                subject,
                conflict: Some(conflict),
                read: None,
                by: SOMEBODY.into(),
            },
        );
        true
    }
}
