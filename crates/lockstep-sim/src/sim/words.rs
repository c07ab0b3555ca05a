//! What a person says to the worker that holds the customer, as a worker hears it.

use super::Sim;
use lockstep_engine::{Event, resolve};
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
        self.feed(
            machine,
            Event::Resolved {
                subject: case.subject.subject(),
                conflict: Some(conflict),
                read: None,
                by: SOMEBODY.into(),
            },
        );
        true
    }
}
