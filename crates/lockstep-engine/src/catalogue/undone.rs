//! Fields that an undo has put back, or is about to. Until a person says what counts, the shop is kept from the value
//! that was undone, and nothing of ours is written there:
//!
//! ```text
//! the shop shows what the undone run wrote   → what it held before is written
//! … anything else                            → it is left as it is
//! ours, or the shop, has moved to the other  → nothing is left to decide: the question closes
//! a person wants it in the source too        → it is written there, the merge takes it from there, and it closes
//! ```
//!
//! The open question is all there is to it: a run that dies on the way loses nothing, for the next one reads it too.

use super::Terms;
use super::merge::Side;
use crate::rules::Rules;
use lockstep_model::cases::OpenConflict;
use lockstep_model::entry::Conflict;
use lockstep_model::settings::Policy;
use lockstep_model::{ConflictId, FieldGroup, Fields, Path, RunId, ShopId, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A value that a person wants in a shop, whatever the policy says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PutBack {
    pub value: Value,
    /// For people.
    pub why: String,
}

/// A question that there is nothing left to decide in.
#[derive(Debug, PartialEq)]
pub(super) struct Closed {
    pub conflict: ConflictId,
    pub decision: &'static str,
    /// The person whose word has been carried out.
    pub by: Option<String>,
}

/// What the open undos of one record mean for it now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Undone {
    held: BTreeSet<(ShopId, Path)>,
    put_back: BTreeMap<ShopId, BTreeMap<Path, PutBack>>,
    pub closed: Vec<Closed>,
    /// Questions in which the source has moved.
    pub asked_anew: Vec<Conflict>,
}

impl Undone {
    /// Is nothing of ours written to this field of the shop?
    pub fn holds(&self, shop: ShopId, path: &Path) -> bool {
        self.held.contains(&(shop, path.clone()))
    }

    pub fn at(&self, shop: ShopId) -> Option<&BTreeMap<Path, PutBack>> {
        self.put_back.get(&shop)
    }

    /// Goes through the open questions, after the merge. What a person wants in a record that has no source becomes ours.
    pub fn follow(
        open: &[OpenConflict],
        ours: &mut Fields,
        sides: &[Side<'_>],
        rules: &Rules,
        terms: &Terms,
    ) -> Self {
        let mut undone = Undone::default();
        for open in open {
            if let Some(question) = Question::of(open) {
                undone.answer(&question, ours, sides, rules, terms);
            }
        }
        undone
    }

    fn answer(
        &mut self,
        question: &Question<'_>,
        ours: &mut Fields,
        sides: &[Side<'_>],
        rules: &Rules,
        terms: &Terms,
    ) {
        let Question { path, shop, .. } = *question;
        let Some(side) = sides.iter().find(|side| side.shop == shop) else {
            return;
        };
        if !side.is_there() {
            self.close(question, "the shop has the record no more", false);
            return;
        }
        let Some(group) = path.group().filter(|group| rules.group_is_on(*group)) else {
            // Nobody merges it now: it stays as it is.
            self.hold(question);
            return;
        };
        let says = ours.get(path).unwrap_or(&Value::Empty).clone();
        let says_there = terms.to_theirs(shop, path, &says);
        let now = held_now(side, path);
        let is_pending = *now == *question.wrote && held_before(side, path) == question.wrote;
        if says_there.as_ref() == Some(question.held) {
            let is_restored = question.restoring.is_some();
            if is_restored {
                // What the source has no more by our own write it took away, as by any other: the others follow.
                ours.entry(path.clone()).or_insert(says);
            }
            let why = match is_restored {
                true => "restored in the source",
                false => "the source says the same by now",
            };
            self.close(question, why, is_restored);
            return;
        }
        if !is_pending && says_there.as_ref() == Some(now) {
            self.close(question, "the shop and the source agree by now", false);
            return;
        }
        if question.restoring.is_some() {
            let back = terms.to_ours(shop, path, question.held);
            let source = source(group, path, shop, sides, rules);
            match source {
                None if says == *question.ours => {
                    ours.insert(path.clone(), back);
                    self.close(question, "restored in our record", true);
                    return;
                }
                None => self.ask_anew(question, says),
                Some(source) => {
                    let there = terms.to_ours(source.shop, path, held_now(source, path));
                    if there == *question.ours
                        && let Some(value) = terms.to_theirs(source.shop, path, &back)
                    {
                        let why =
                            format!("run {} was undone, and is in the source too", question.run);
                        self.put_back(source.shop, path, value, why);
                    } else {
                        self.ask_anew(question, says);
                    }
                }
            }
        } else if says != *question.ours {
            self.ask_anew(question, says);
        }
        self.hold(question);
        if is_pending {
            let why = format!("run {} is undone", question.run);
            self.put_back(shop, path, question.held.clone(), why);
        }
    }

    fn hold(&mut self, question: &Question<'_>) {
        self.held.insert((question.shop, question.path.clone()));
    }

    fn put_back(&mut self, shop: ShopId, path: &Path, value: Value, why: String) {
        let at = self.put_back.entry(shop).or_default();
        at.insert(path.clone(), PutBack { value, why });
    }

    fn close(&mut self, question: &Question<'_>, decision: &'static str, is_carried_out: bool) {
        self.closed.push(Closed {
            conflict: question.conflict,
            decision,
            by: question
                .restoring
                .filter(|_| is_carried_out)
                .map(str::to_owned),
        });
    }

    fn ask_anew(&mut self, question: &Question<'_>, ours: Value) {
        self.close(question, "the source has moved; it is asked anew", false);
        self.asked_anew.push(Conflict::Undone {
            path: question.path.clone(),
            shop: question.shop,
            run: question.run,
            wrote: question.wrote.clone(),
            held: question.held.clone(),
            ours,
            restoring: None,
        });
    }
}

/// One undone field, as the person was asked about it.
struct Question<'a> {
    conflict: ConflictId,
    path: &'a Path,
    shop: ShopId,
    run: RunId,
    wrote: &'a Value,
    held: &'a Value,
    ours: &'a Value,
    restoring: Option<&'a str>,
}

impl<'a> Question<'a> {
    fn of(open: &'a OpenConflict) -> Option<Self> {
        match &open.about {
            Conflict::Undone {
                path,
                shop,
                run,
                wrote,
                held,
                ours,
                restoring,
            } => Some(Self {
                conflict: open.conflict,
                path,
                shop: *shop,
                run: *run,
                wrote,
                held,
                ours,
                restoring: restoring.as_deref(),
            }),
            Conflict::DoubtfulMatch { .. }
            | Conflict::Meeting { .. }
            | Conflict::Unchosen { .. }
            | Conflict::ManySoldOut { .. }
            | Conflict::StockSwitched { .. }
            | Conflict::SameKeyTwice { .. }
            | Conflict::ChangedInSeveral { .. }
            | Conflict::LevelInDoubt { .. }
            | Conflict::ShippedAndCancelled { .. }
            | Conflict::OrderDiffers { .. }
            | Conflict::PriceHeld { .. }
            | Conflict::NotMade { .. }
            | Conflict::GoneThere { .. }
            | Conflict::ManyArchived { .. }
            | Conflict::ManyRemoved { .. }
            | Conflict::Limit { .. } => None,
        }
    }
}

/// What the shop shows of a field; nothing there is empty.
pub(crate) fn held_now<'a>(side: &'a Side<'_>, path: &Path) -> &'a Value {
    side.holds().get(path).unwrap_or(&Value::Empty)
}

fn held_before<'a>(side: &'a Side<'_>, path: &Path) -> &'a Value {
    side.shadow.held.get(path).unwrap_or(&Value::Empty)
}

/// From where our own record has the field, in spite of what it says itself. `None`: it is its own word.
fn source<'a, 'b>(
    group: FieldGroup,
    path: &Path,
    except: ShopId,
    sides: &'a [Side<'b>],
    rules: &Rules,
) -> Option<&'a Side<'b>> {
    let there = |side: &&Side<'_>| side.is_there() && side.shop != except;
    match rules.settings.policies.of(group) {
        Policy::Owner(owner) => sides.iter().filter(there).find(|side| side.shop == owner),
        Policy::FirstNotEmpty => sides
            .iter()
            .filter(there)
            .find(|side| *held_now(side, path) != Value::Empty),
        Policy::Newest | Policy::Ask => None,
    }
}
