//! What too many records at once would be done to: a source that has lost half of its products looks like one that sells
//! them no more. None of it is done before a person has accepted; everything else of those records, and all others, goes
//! on.
//!
//! ```text
//! plan whole → more than the limit? → plan whole once more, without it → ask → apply
//! ```

use super::Run;
use crate::catalogue::{Decision, Holding, Withholds};
use crate::customer::{Effect, Shared};
use crate::write::Sign;
use jiff::{SignedDuration, Timestamp};
use lockstep_model::ConflictId;
use lockstep_model::cases::{Also, OpenConflict};
use lockstep_model::entry::{Body, Conflict, Subject};
use std::collections::BTreeSet;

/// So many may always go: a percentage of a small shop means nothing.
const A_HANDFUL: u64 = 10;
/// A person's word holds for so long.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Sentences that are kept for people.
const SENTENCES_MAX: usize = 3;

/// Questions about all records, and what a person has accepted.
#[derive(Debug, Default)]
pub(crate) struct OfCatalogue {
    asked: Vec<OpenConflict>,
    may_archive_until: Option<Timestamp>,
    may_remove_until: Option<Timestamp>,
}

impl OfCatalogue {
    pub fn new(asked: Vec<OpenConflict>) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    pub fn accept(&mut self, answered: Option<ConflictId>, now: Timestamp) {
        let until = now.checked_add(WINDOW).ok();
        for open in self
            .asked
            .extract_if(.., |open| Some(open.conflict) == answered)
        {
            match open.about {
                Conflict::ManyArchived { .. } => self.may_archive_until = until,
                Conflict::ManyRemoved { .. } => self.may_remove_until = until,
                _ => {}
            }
        }
    }
}

/// Of one run.
#[derive(Debug, Default)]
pub(super) struct LimitsOfRun {
    may_archive: bool,
    may_remove: bool,
    withholds: Withholds,
    /// What this plan would do, each record or variant once however many shops it is in; and all that there are.
    archives: u64,
    removals: u64,
    records: u64,
    items: u64,
    /// Before it is planned once more.
    counted: Option<(u64, u64)>,
    sentences: Vec<String>,
    more: u64,
}

impl LimitsOfRun {
    fn says(&mut self, sentence: String) {
        if self.sentences.len() < SENTENCES_MAX {
            self.sentences.push(sentence);
        } else {
            self.more += 1;
        }
    }
}

impl Run {
    /// What was accepted until now, this run does.
    pub(super) fn take_accepted_limits(&mut self, shared: &Shared, now: Timestamp) {
        let is_within = |until: Option<Timestamp>| until.is_some_and(|until| until > now);
        let accepted = &shared.of_catalogue;
        let may_all = self.dry || self.approved.is_some();
        self.limits.may_archive = may_all || is_within(accepted.may_archive_until);
        self.limits.may_remove = may_all || is_within(accepted.may_remove_until);
    }

    pub(super) fn withholds(&self) -> Withholds {
        self.limits.withholds
    }

    pub(super) fn holding(&self) -> Holding {
        if self.dry {
            Holding::Shows
        } else if self.approved.is_some() {
            Holding::Accepts
        } else {
            Holding::Asks
        }
    }

    pub(super) fn begin_to_count(&mut self) {
        let limits = &mut self.limits;
        (limits.archives, limits.removals) = (0, 0);
    }

    pub(super) fn count_against_limits(&mut self, decision: &Decision, records: u64, items: u64) {
        let with = |sign| decision.lines.iter().filter(move |line| line.sign == sign);
        let removed: BTreeSet<&str> = with(Sign::Remove).map(|line| line.field.as_str()).collect();
        let is_archived = with(Sign::Archive).next().is_some();
        let limits = &mut self.limits;
        limits.archives += u64::from(is_archived);
        limits.removals += removed.len() as u64;
        (limits.records, limits.items) = (records, items);
        let is_asked = |body: &Body| {
            matches!(
                body,
                Body::ConflictOpened {
                    about: Conflict::PriceHeld { .. } | Conflict::NotMade { .. },
                    ..
                }
            )
        };
        if self.dry || decision.bodies.iter().any(is_asked) {
            for sentence in &decision.held {
                limits.says(sentence.clone());
            }
        }
    }

    fn is_beyond(&self, count: u64, of: u64) -> bool {
        let limit = u64::from(self.rules.settings.policies.limits.archive_percent_max);
        count > A_HANDFUL && count * 100 > limit * of.max(1)
    }

    /// The whole plan is there. True: it has to be made once more, without what it would do too often.
    pub(super) fn goes_beyond_limits(&mut self) -> bool {
        let LimitsOfRun {
            may_archive,
            may_remove,
            withholds: before,
            archives,
            removals,
            records,
            items,
            ..
        } = self.limits;
        if before != Withholds::default() {
            return false;
        }
        let withholds = Withholds {
            archives: !may_archive && self.is_beyond(archives, records),
            removals: !may_remove && self.is_beyond(removals, items),
        };
        self.limits.counted = Some((archives, removals));
        self.limits.withholds = withholds;
        let is_beyond = withholds != Withholds::default();
        if is_beyond {
            self.limits.sentences.clear();
            self.limits.more = 0;
        }
        is_beyond
    }

    /// Questions are asked, or close since there is nothing to ask any more.
    pub(super) fn ask_about_limits(&mut self, shared: &mut Shared, out: &mut Vec<Effect>) {
        let Some((archives, removals)) = self.limits.counted.take() else {
            return;
        };
        let limit = self.rules.settings.policies.limits.archive_percent_max;
        let LimitsOfRun {
            records,
            items,
            withholds,
            ..
        } = self.limits;
        if self.dry {
            for (count, of, what) in [
                (archives, records, "records be archived"),
                (removals, items, "variants be removed"),
            ] {
                if self.is_beyond(count, of) {
                    self.limits.says(format!(
                        "{count} of {of} {what} at once, more than the limit of {limit} %"
                    ));
                }
            }
            return;
        }
        let archived = withholds.archives.then_some(Conflict::ManyArchived {
            records: archives,
            of: records,
            limit,
        });
        let removed = withholds.removals.then_some(Conflict::ManyRemoved {
            variants: removals,
            of: items,
            limit,
        });
        let mut bodies = Vec::new();
        for (about, of_archived) in [(archived, true), (removed, false)] {
            let asked = &mut shared.of_catalogue.asked;
            let is_archived =
                |open: &OpenConflict| matches!(open.about, Conflict::ManyArchived { .. });
            let open = asked
                .iter()
                .position(|open| is_archived(open) == of_archived);
            match (about, open) {
                (Some(about), None) => {
                    let conflict = shared.counters.conflict();
                    asked.push(OpenConflict {
                        conflict,
                        about: about.clone(),
                        at: self.started_at,
                    });
                    bodies.push(Body::ConflictOpened {
                        conflict,
                        subject: Subject::Catalogue,
                        about,
                    });
                    let (count, what) = match of_archived {
                        true => (archives, "records are to be archived"),
                        false => (removals, "variants are to be removed"),
                    };
                    self.limits.says(format!(
                        "{count} {what} at once, more than the limit of {limit} %"
                    ));
                }
                (None, Some(open)) => bodies.push(Body::ConflictClosed {
                    conflict: asked.remove(open).conflict,
                    decision: "there is nothing of the kind to be done any more".into(),
                    by: None,
                    ours: Default::default(),
                }),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        self.count_conflicts(&bodies);
        self.append(bodies, Also::default(), out);
    }

    /// What waits for a person's word, in words. `None`: nothing that this run has found.
    pub(super) fn held_in_words(&self) -> Option<String> {
        let LimitsOfRun {
            sentences, more, ..
        } = &self.limits;
        if sentences.is_empty() {
            return None;
        }
        let more = match more {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Some(format!("{}{more}", sentences.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::{coffee, shadow};
    use crate::customer::{Customer, Event, Opened};
    use crate::fixture::{A, B, ERP, nothing_to_read, rules};
    use lockstep_model::cases::{CatalogueChunk, Cluster, Known, Staged, StagedBody};
    use lockstep_model::entry::{Cause, What};
    use lockstep_model::{
        Cursor, Flow, Kind, Next, Page, Product, RecordId, ShopId, Status, Takes, Value,
    };

    fn item(shop: ShopId, number: u64, price: &str) -> Product {
        let mut product = coffee(shop, "Coffee", price);
        product.id = format!("p{shop}-{number}").into();
        product.variants[0].sku = format!("KH-{number:02}").into();
        product
    }

    /// What the ERP shows now of a product that all three have at 6.90.
    fn cluster(number: u64, now: &Product) -> Cluster {
        let sku = format!("KH-{number:02}");
        let known = Known {
            record: RecordId(number),
            kind: Kind::Product,
            keys: vec![sku.clone()],
            ours: item(ERP, number, "6.90").fields(),
            changed_at: Timestamp::UNIX_EPOCH,
            shops: [ERP, A, B]
                .map(|shop| (shop, shadow(&item(shop, number, "6.90"))))
                .into(),
            conflicts: vec![],
            accepted: Default::default(),
            left: Default::default(),
            withheld: Default::default(),
            in_doubt: Default::default(),
            awaits: Default::default(),
        };
        let staged = Staged {
            shop: ERP,
            kind: Kind::Product,
            id: now.id.clone(),
            linked: Some(known.record),
            keys: vec![sku.clone()],
            body: StagedBody::Fields {
                fields: now.fields(),
                parts: now.parts(),
            },
            doubt: None,
            reading: number,
            left_at: Timestamp::MAX,
        };
        Cluster {
            key: sku,
            known: vec![known],
            staged: vec![staged],
        }
    }

    /// A run of the catalogue over twenty products, of which so many were withdrawn, each with another title; and one has
    /// another price. Answers what it asks, and of each write the fields.
    fn run(withdrawn: u64, asked: Vec<OpenConflict>) -> (Vec<Body>, Vec<Vec<String>>) {
        let clusters = (1..=20).map(|number| {
            let mut now = item(ERP, number, if number == 20 { "7.20" } else { "6.90" });
            if number <= withdrawn {
                now.status = Status::Archived;
                now.title = "Gone".into();
            }
            cluster(number, &now)
        });
        let products = CatalogueChunk {
            clusters: clusters.collect(),
            total: 20,
            items: 20,
            ..CatalogueChunk::default()
        };
        let met = [ERP, A, B].map(|shop| ((shop, Kind::Product), Cursor("1".into())));
        let opened = Opened {
            cursors: met.into(),
            asked_of_catalogue: asked,
            ..Opened::default()
        };
        let rules = rules(Takes::Placement, Takes::Payment, Takes::Reserve);
        let mut customer = Customer::new(opened, rules);
        let mut events = vec![
            Event::WritesUntil(None),
            Event::Woken {
                flows: vec![(ERP, Flow::Products)],
                causes: vec![Cause::Schedule],
                everything: false,
            },
        ];
        events.reverse();
        let mut said = Vec::new();
        let mut plan = Vec::new();
        while let Some(event) = events.pop() {
            for effect in customer.on(event, Timestamp::UNIX_EPOCH) {
                match effect {
                    Effect::Pull { call, .. } => events.push(Event::Pulled {
                        call,
                        result: Ok(Page {
                            records: vec![],
                            next: Next::End(Some(Cursor("2".into()))),
                        }),
                    }),
                    Effect::ReadAgainList {
                        lane, shop, kind, ..
                    } => events.push(nothing_to_read(lane, shop, kind)),
                    Effect::LoadCatalogue { kind, .. } => {
                        let chunk = match kind {
                            Kind::Product if plan.is_empty() || said.is_empty() => products.clone(),
                            _ => CatalogueChunk::default(),
                        };
                        events.push(Event::CatalogueLoaded(chunk));
                    }
                    Effect::SavePlan { rows, .. } => plan.extend(rows),
                    Effect::DropPlan { .. } => plan.clear(),
                    Effect::LoadPlan { .. } => {
                        // As far as it goes here.
                        let fields = plan.iter().flat_map(|(_, decision): &(u64, Decision)| {
                            decision.writes.iter().map(|write| match &write.what {
                                What::Set { set } => set
                                    .iter()
                                    .map(|(path, value): (_, &Value)| format!("{path}={value}"))
                                    .collect(),
                                other => panic!("{other:?}"),
                            })
                        });
                        return (said, fields.collect());
                    }
                    Effect::Append { bodies, .. } => {
                        said.extend(bodies.into_iter().filter(|body| {
                            matches!(
                                body,
                                Body::ConflictOpened { .. } | Body::ConflictClosed { .. }
                            )
                        }))
                    }
                    _ => {}
                }
            }
        }
        (said, Vec::new())
    }

    #[test]
    fn c7_too_many_withdrawals_wait_and_everything_else_of_them_and_all_others_go_on() {
        let (said, writes) = run(11, vec![]);
        let [Body::ConflictOpened { about, .. }] = said.as_slice() else {
            panic!("{said:?}");
        };
        let many = Conflict::ManyArchived {
            records: 11,
            of: 20,
            limit: 10,
        };
        assert_eq!(*about, many);
        let title = vec!["title=Gone".to_owned()];
        let price = vec!["variant/KH-20/price/EUR=7.2".to_owned()];
        let mut wanted = vec![title; 22];
        wanted.extend([price.clone(), price]);
        assert_eq!(writes, wanted);
        // Asked already: not again.
        let open = OpenConflict {
            conflict: ConflictId(1),
            about: many,
            at: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(run(11, vec![open.clone()]), (vec![], wanted));
        // The source was mended: it closes by itself.
        let (said, writes) = run(1, vec![open]);
        assert!(matches!(said.as_slice(), [Body::ConflictClosed { .. }]));
        assert_eq!(writes[0], ["status=archived", "title=Gone"]);
    }

    #[test]
    fn one_answer_is_about_one_question_and_holds_for_an_hour() {
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        let open = |conflict: u64, about: Conflict| OpenConflict {
            conflict: ConflictId(conflict),
            about,
            at: at(0),
        };
        let (of, limit) = (100, 10);
        let mut of_catalogue = OfCatalogue::new(vec![
            open(
                1,
                Conflict::ManyArchived {
                    records: 20,
                    of,
                    limit,
                },
            ),
            open(
                2,
                Conflict::ManyRemoved {
                    variants: 20,
                    of,
                    limit,
                },
            ),
        ]);
        of_catalogue.accept(Some(ConflictId(2)), at(5));
        assert_eq!(of_catalogue.may_remove_until, Some(at(65)));
        assert_eq!(of_catalogue.may_archive_until, None);
        assert_eq!(of_catalogue.asked.len(), 1);
    }
}
